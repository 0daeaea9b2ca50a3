package etcd_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// bent is what a member that lies says to questions of a method: the truth, bent.
func bent[Q, A proto.Message](method string, q Q, a A, bend func(q Q, a A)) etcdtest.Lie {
	return func(asked string, question []byte, ask func() ([]byte, error)) ([]byte, error) {
		truth, err := ask()
		if err != nil || asked != method {
			return truth, err
		}
		q, a := proto.Clone(q).(Q), proto.Clone(a).(A)
		if err := errors.Join(proto.Unmarshal(question, q), proto.Unmarshal(truth, a)); err != nil {
			return nil, err
		}
		bend(q, a)
		return proto.Marshal(a)
	}
}

func onRange(of string, bend func(a *pb.RangeResponse)) etcdtest.Lie {
	return onRead(of, func(_ *pb.RangeRequest, a *pb.RangeResponse) { bend(a) })
}

func onRead(of string, bend func(q *pb.RangeRequest, a *pb.RangeResponse)) etcdtest.Lie {
	return bent("Range", &pb.RangeRequest{}, &pb.RangeResponse{}, func(q *pb.RangeRequest, a *pb.RangeResponse) {
		if strings.Contains(string(q.Key), of) {
			bend(q, a)
		}
	})
}

func onTxn(bend func(q *pb.TxnRequest, a *pb.TxnResponse)) etcdtest.Lie {
	return bent("Txn", &pb.TxnRequest{}, &pb.TxnResponse{}, bend)
}

// value makes a row say something else.
func value(text string) func(a *pb.RangeResponse) {
	return func(a *pb.RangeResponse) {
		for _, kv := range a.Kvs {
			kv.Value = []byte(text)
		}
	}
}

type lie struct {
	name, says string // says: in the log
	lie        etcdtest.Lie
}

// A heard log, of several goroutines.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.text.String(), text)
}

// misled connects to the liar, and to other endpoints after it.
func misled(t *testing.T, l *etcdtest.Liar, name string, others ...string) (*etcd.Cluster, *heard) {
	t.Helper()
	o, log := members.Options(name, "r2"), &heard{}
	o.Endpoints, o.TTL, o.Log = append([]string{l.Endpoint}, others...), 2*time.Second, slog.New(slog.NewTextHandler(log, nil))
	c, err := etcd.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, log
}

func liar(t *testing.T) *etcdtest.Liar {
	t.Helper()
	conf, err := members.Options("x", "r2").TLS()
	if err != nil {
		t.Fatal(err)
	}
	l, err := etcdtest.NewLiar(members.All[0].Endpoint, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

var readLies = []lie{
	{"no header", "no header", onRange("", func(a *pb.RangeResponse) { a.Header = nil })},
	{"a revision below 0", "no header", onRange("", func(a *pb.RangeResponse) { a.Header.Revision = -1 })},
	{"another record", "was asked for", onRange("/r/", func(a *pb.RangeResponse) {
		for _, kv := range a.Kvs {
			kv.Key = append(kv.Key, 'x')
		}
	})},
	{"two for one, or two too many", "were asked for", onRange("/r/", func(a *pb.RangeResponse) {
		a.Kvs = append(a.Kvs, a.Kvs...)
		a.Kvs = append(a.Kvs, a.Kvs...)
	})},
	{"a page out of order", "after", onRange("/r/k", func(a *pb.RangeResponse) {
		if len(a.Kvs) > 1 {
			a.Kvs[0], a.Kvs[1] = a.Kvs[1], a.Kvs[0]
		}
	})},
	{"a page cut short", "there are more", onRange("/r/k", func(a *pb.RangeResponse) {
		if len(a.Kvs) > 1 {
			a.Kvs, a.More = a.Kvs[:1], true
		}
	})},
	{"a record of the future", "as of revision", onRange("/r/", func(a *pb.RangeResponse) {
		for _, kv := range a.Kvs {
			kv.ModRevision = a.Header.Revision + 1
		}
	})},
	{"a record that was never made", "as of revision", onRange("", func(a *pb.RangeResponse) {
		for _, kv := range a.Kvs {
			kv.CreateRevision = -1
		}
	})},
	{"more bytes than a record has", "larger than max", onRange("/r/", value(strings.Repeat("x", 10<<20)))},
	{"an owner of no form", "row owner", onRange("/owner", value("{"))},
	{"an owner without a name", "row owner", onRange("/owner", value("{}"))},
	{"an owner whose address ends a terminal's line", "row owner", onRange("/owner", value(`{"name":"a","link":"x:1\u001b[2J"}`))},
	{"an owner of 65 KiB", "row owner", onRange("/owner", value(`{"name":"a","more":"`+strings.Repeat("x", 65<<10)+`"}`))},
	{"tenures of no form", "row tenures", onRange("/tenures", value("7"))},
	{"tenures without end", "row tenures", onRange("/tenures", value("["+strings.Repeat(`{"to":"a","why":"first"},`, 99)+`{"to":"a","why":"first"}]`))},
	{"a tenure of nobody", "row tenures", onRange("/tenures", value(`[{"to":"","why":"first"}]`))},
	{"a mark of another state", "row mark", onRead("/mark", func(q *pb.RangeRequest, a *pb.RangeResponse) {
		a.Kvs = []*mvccpb.KeyValue{{Key: q.Key, Value: []byte(`{"state":"x"}`), CreateRevision: 1, ModRevision: 1}}
	})},
	{"a replica under another's name", "of a replica", onRead("/replica/", func(q *pb.RangeRequest, a *pb.RangeResponse) {
		a.Kvs = []*mvccpb.KeyValue{{Key: append(q.Key, 'a'), Value: []byte(`{"name":"b"}`), CreateRevision: 1, ModRevision: 1}}
	})},
	{"no members", "cluster of 0 members", bent("MemberList", &pb.MemberListRequest{}, &pb.MemberListResponse{}, func(_ *pb.MemberListRequest, a *pb.MemberListResponse) { a.Members = nil })},
}

// Whatever one member answers that is no answer to what it was asked, another is asked: a reader gets what is true, and the log says who lied.
func TestLyingMemberIsPassedOver(t *testing.T) {
	a := owner(t, "lies-read", "r1")
	mustCommit(t, a, store.Batch{Put: []store.Entry{{Key: "k1", Value: []byte("1")}, {Key: "k2", Value: []byte("2")}, {Key: "k3", Value: []byte("3")}}})
	l := liar(t)
	for _, one := range readLies {
		t.Run(one.name, func(t *testing.T) {
			l.Tell(nil)
			c, log := misled(t, l, a.name, members.All[1].Endpoint)
			l.Tell(one.lie)
			short, cancel := within(10 * time.Second)
			defer cancel()
			it, getErr := c.View().Get(short, "k1")
			page, rangeErr := c.View().Range(short, "k", "", 2)
			if getErr != nil || rangeErr != nil || string(it.Value) != "1" || len(page) != 2 || page[0].Key != "k1" || page[1].Key != "k2" {
				t.Errorf("reads %+v and %+v: %v, %v", it, page, getErr, rangeErr)
			}
			who, token, ok, err := c.Owner(short)
			if err != nil || !ok || who.Name != "r1" || token != a.t.Token() {
				t.Errorf("%s owns the store by token %d: %v", who.Name, token, err)
			}
			list, err := c.Tenures(short)
			mark, markErr := c.Marked(short)
			if err != nil || len(list) != 1 || list[0].To != "r1" || mark != nil || markErr != nil {
				t.Errorf("tenures %+v, mark %+v: %v, %v", list, mark, err, markErr)
			}
			there, err := c.Replicas(short)
			all, membersErr := c.Members(short)
			if err != nil || len(there) != 0 || membersErr != nil || len(all) != 3 {
				t.Errorf("replicas %+v, members %+v: %v, %v", there, all, err, membersErr)
			}
			if !log.has("is broken, or lies") || !log.has(one.says) || !log.has(l.Endpoint) {
				t.Errorf("the log says %s", log.text.String())
			}
		})
	}
}

var ownerLies = []lie{
	{"a batch answered without header", "no header", onTxn(func(_ *pb.TxnRequest, a *pb.TxnResponse) { a.Header = nil })},
	{"a batch of which an operation has no answer", "operations", onTxn(func(_ *pb.TxnRequest, a *pb.TxnResponse) { a.Responses = a.Responses[1:] })},
	{"a batch of which an operation is answered as another", "as if it were another", onTxn(func(_ *pb.TxnRequest, a *pb.TxnResponse) {
		a.Responses[0] = &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: &pb.DeleteRangeResponse{}}}
	})},
	{"a batch that did not hold, though all its conditions do", "all its conditions do", refusal(nil)},
	{"a batch that did not hold, for another key", "was asked for", refusal(func(q *pb.TxnRequest, a *pb.TxnResponse) {
		a.Responses[0].GetResponseRange().Kvs = []*mvccpb.KeyValue{{Key: []byte("x"), CreateRevision: 1, ModRevision: 1}}
	})},
	{"a lease without end", "where 2 were asked for", bent("LeaseGrant", &pb.LeaseGrantRequest{}, &pb.LeaseGrantResponse{}, func(_ *pb.LeaseGrantRequest, a *pb.LeaseGrantResponse) { a.TTL = 1 << 62 })},
	{"a lease that is shorter", "where 2 were asked for", bent("LeaseGrant", &pb.LeaseGrantRequest{}, &pb.LeaseGrantResponse{}, func(_ *pb.LeaseGrantRequest, a *pb.LeaseGrantResponse) { a.TTL = 1 })},
	{"a lease below 0", "where 2 were asked for", bent("LeaseGrant", &pb.LeaseGrantRequest{}, &pb.LeaseGrantResponse{}, func(_ *pb.LeaseGrantRequest, a *pb.LeaseGrantResponse) { a.TTL = -1 })},
	{"a renewal without end", "is renewed for", renewal(func(a *pb.LeaseKeepAliveResponse) { a.TTL = 1 << 62 })},
	{"a renewal of another lease", "is renewed, where", renewal(func(a *pb.LeaseKeepAliveResponse) { a.ID++ })},
	{"a status without header", "", bent("Status", &pb.StatusRequest{}, &pb.StatusResponse{}, func(_ *pb.StatusRequest, a *pb.StatusResponse) { a.Header = nil })},
}

func renewal(bend func(a *pb.LeaseKeepAliveResponse)) etcdtest.Lie {
	return bent("LeaseKeepAlive", &pb.LeaseKeepAliveRequest{}, &pb.LeaseKeepAliveResponse{}, func(_ *pb.LeaseKeepAliveRequest, a *pb.LeaseKeepAliveResponse) { bend(a) })
}

// refusal says of a batch that it did not hold, without asking anyone, with rows as the owner knows them; bend makes them false.
func refusal(bend func(q *pb.TxnRequest, a *pb.TxnResponse)) etcdtest.Lie {
	return func(method string, question []byte, ask func() ([]byte, error)) ([]byte, error) {
		var q pb.TxnRequest
		if err := proto.Unmarshal(question, &q); method != "Txn" || err != nil || len(q.Failure) != len(q.Compare) {
			return ask()
		}
		a := &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 1 << 40}}
		for _, c := range q.Compare {
			var kvs []*mvccpb.KeyValue
			if at := max(c.GetCreateRevision(), c.GetModRevision()); at > 0 {
				kvs = []*mvccpb.KeyValue{{Key: c.Key, CreateRevision: at, ModRevision: at}}
			}
			a.Responses = append(a.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: &pb.RangeResponse{Kvs: kvs}}})
		}
		if bend != nil {
			bend(&q, a)
		}
		return proto.Marshal(a)
	}
}

// An owner is misled by no answer that is none: it takes the store, writes, and keeps it, past the member that lies.
func TestOwnerOverLyingMember(t *testing.T) {
	l := liar(t)
	for _, one := range ownerLies {
		t.Run(one.name, func(t *testing.T) {
			l.Tell(nil)
			c, log := misled(t, l, named(t, "lies"), members.All[1].Endpoint)
			l.Tell(one.lie)
			short, cancel := within(10 * time.Second)
			defer cancel()
			tenure, err := c.AcquireNow(short, etcd.Info{Name: "r2"})
			if err != nil {
				t.Fatal(err)
			}
			s := tenure.Store()
			if _, err := s.Commit(short, store.Batch{If: []store.Cond{store.Absent("k")}, Put: []store.Entry{{Key: "k", Value: []byte("1")}}}); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(3 * time.Second); !log.has(one.says) && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
			if it, err := s.Get(short, "k"); err != nil || string(it.Value) != "1" || tenure.Err() != nil || time.Until(tenure.Until()) > 2*time.Second {
				t.Errorf("reads %+v, %v; the tenure: %v until %v", it, err, tenure.Err(), tenure.Until())
			}
			if !log.has(one.says) {
				t.Errorf("the log says %s", log.text.String())
			}
			l.Tell(nil)
			if err := tenure.Resign(short); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where every member that is asked answers so, the call ends and says it: a reader is not told that there is no record, and a batch is unknown.
func TestAllMembersLie(t *testing.T) {
	a, l := owner(t, "liars", "r1"), liar(t)
	mustCommit(t, a, put("k", "1"))
	c, _ := misled(t, l, a.name)
	l.Tell(readLies[0].lie)
	short, cancel := within(10 * time.Second)
	defer cancel()
	if it, err := c.View().Get(short, "k"); err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "is not one to what it was asked") || !strings.Contains(err.Error(), l.Endpoint) {
		t.Errorf("get: %+v, %v", it, err)
	}
	l.Tell(nil)
	c, _ = misled(t, l, named(t, "liars-own"))
	tenure, err := c.AcquireNow(short, etcd.Info{Name: "r2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range ownerLies[:5] {
		l.Tell(one.lie)
		if _, err := tenure.Store().Commit(short, put("k", "2")); !errors.Is(err, store.ErrUnknown) || short.Err() != nil {
			t.Errorf("%s: commit: %v", one.name, err)
		}
	}
	l.Tell(nil)
	if err := tenure.Resign(short); err != nil {
		t.Error(err)
	}
}

// A standby that waits for the owner's row to change is not ended by what a member says of it, and takes over when the owner is gone.
func TestWatchOverLyingMember(t *testing.T) {
	for _, events := range [][]*mvccpb.Event{nil, {{}}, {{Kv: &mvccpb.KeyValue{ModRevision: -1}}}} {
		a, l := owner(t, "watched", "r1"), liar(t)
		c, _ := misled(t, l, a.name, members.All[1].Endpoint)
		watched := make(chan struct{}, 64)
		l.Tell(func(method string, _ []byte, ask func() ([]byte, error)) ([]byte, error) {
			if method != "Watch" {
				return ask()
			}
			select {
			case watched <- struct{}{}:
			default:
			}
			return proto.Marshal(&pb.WatchResponse{Events: events, Created: len(events) == 0})
		})
		took := make(chan error, 1)
		go func() {
			short, cancel := within(10 * time.Second)
			defer cancel()
			next, err := c.Acquire(short, etcd.Info{Name: "r2"})
			if err == nil {
				err = next.Resign(short)
			}
			took <- err
		}()
		<-watched
		<-watched
		if err := errors.Join(a.t.Resign(ctx), <-took); err != nil {
			t.Error(err)
		}
	}
}

// What is false and well formed is believed, as a disk is: a member that is asked can say that a batch was written, and drop it. It shows when another
// member is asked through the same lane: then the tenure ends (spec/replicas 6).
func TestFalseSuccessEndsTheTenure(t *testing.T) {
	l := liar(t)
	c, _ := misled(t, l, named(t, "false"), members.All[1].Endpoint)
	short, cancel := within(10 * time.Second)
	defer cancel()
	tenure, err := c.AcquireNow(short, etcd.Info{Name: "r2"})
	if err != nil {
		t.Fatal(err)
	}
	s := tenure.Store()
	l.Tell(func(method string, question []byte, ask func() ([]byte, error)) ([]byte, error) {
		var q pb.TxnRequest
		if err := proto.Unmarshal(question, &q); method != "Txn" || err != nil {
			return ask()
		}
		a := &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: 1 << 40}, Succeeded: true}
		for range q.Success {
			a.Responses = append(a.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: &pb.PutResponse{}}})
		}
		return proto.Marshal(a)
	})
	if _, err := s.Commit(short, put("dropped", "1")); err != nil {
		t.Fatalf("the lie is seen: %v; then spec/replicas 6 says too much", err)
	}
	l.Tell(nil)
	for range 16 {
		if _, err = s.Commit(short, put("k", "1")); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrFenced) || !closed(tenure.Lost(), time.Second) || !strings.Contains(tenure.Err().Error(), "somebody else wrote") {
		t.Errorf("commit: %v; the tenure: %v", err, tenure.Err())
	}
}

// Who has a replica's certificate, as every replica's machine does, is no member by it: replicas do not take it from whom they dial, nor members from whom
// they speak with.
func TestReplicaIsNoMember(t *testing.T) {
	cert, err := tls.LoadX509KeyPair(members.File("replica-r1.crt"), members.File("replica-r1.key"))
	if err != nil {
		t.Fatal(err)
	}
	at, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go s.Serve(at)
	defer s.Close()
	o := members.Options("impostor", "r2")
	o.Endpoints = []string{"https://" + at.Addr().String()}
	short, cancel := within(2 * time.Second)
	defer cancel()
	if _, err := etcd.Connect(short, o); err == nil || !strings.Contains(err.Error(), "x509: ") {
		t.Errorf("a replica's certificate at a member's place: %v", err)
	}
	pool, file := x509.NewCertPool(), members.File("ca.crt")
	if raw, err := os.ReadFile(file); err != nil || !pool.AppendCertsFromPEM(raw) {
		t.Fatalf("%s: %v", file, err)
	}
	for name, want := range map[string]bool{"member-b": true, "replica-r1": false} {
		cert, err := tls.LoadX509KeyPair(members.File(name+".crt"), members.File(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}}, Timeout: 5 * time.Second}
		r, err := c.Get(members.All[0].Peer() + "/members")
		if (err == nil) != want {
			t.Errorf("%s at a member's port for members: %v", name, err)
		}
		if err == nil {
			_ = r.Body.Close()
		}
	}
}

package replicas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

const (
	healWithin = 30 * time.Second // what was pending is done by then: the one time that is asserted here
	signWithin = 2 * time.Minute  // else the side that can sign does not
)

// A split parts the places in two.
type split struct {
	one   string // names of the places of one side; "owner" is the one of acme's replica that owns its node
	hears bool   // this side still hears the other, which does not hear it,
	heard bool   // or the other way round
}

func (s split) String() string {
	switch {
	case s.hears:
		return s.one + ", which hears the others"
	case s.heard:
		return s.one + ", which the others hear"
	}
	return s.one
}

// Of a network that falls in two, the side without operators enough for a signature signs nothing, the other signs, and what people asked either for is
// signed everywhere soon after the sides meet again. Which side acme is on is where most members of its store are, if a replica is there.
func TestSplits(t *testing.T) { partAll(t, splits()) }

func partAll(t *testing.T, all []split) {
	if !enter(t) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), splitsWithin)
	defer cancel()
	began := time.Now()
	w := founded(ctx, t)
	t.Logf("the town stood after %v", time.Since(began).Round(time.Second))
	for _, s := range all {
		if !t.Run(s.String(), func(t *testing.T) { w.part(ctx, t, s) }) {
			break // what is pending now would disturb the next
		}
	}
	if left := w.gone(); len(left) > 0 {
		t.Errorf("ended by themselves: %v", left)
	}
	if !t.Failed() {
		w.audit(ctx, t)
	}
}

// part splits the town in the middle of a signature, asks both sides for another one and the side that cannot sign for a third, watches, and heals it.
func (w *town) part(ctx context.Context, t *testing.T, s split) {
	able, unable := w.sides(ctx, t, s)
	before := w.heads(ctx, t, unable.operators)
	defer w.heal(t)
	torn, stopHanding := w.begin(ctx, t, slices.Concat(able.doors, unable.doors))
	defer stopHanding()
	if !able.hears {
		cut(t, unable.places, able.places)
	}
	if !unable.hears {
		cut(t, able.places, unable.places)
	}
	began := time.Now()
	w.parted(t, able.places)
	both, lone := w.request(ctx, t), w.request(ctx, t)
	stop := w.tryAtIdle(ctx, t, unable.idle, lone)
	defer stop()
	within, cancel := context.WithTimeout(ctx, signWithin)
	defer cancel()
	err := errors.Join(
		w.hand(within, slices.Concat(able.doors, unable.doors), both), w.hand(within, unable.doors, lone), w.hold(within, able.operators, both.stmt.ID()))
	if err != nil {
		t.Fatalf("%v after the split, %v can sign: %v", time.Since(began).Round(time.Second), able.operators, err)
	}
	t.Logf("%v signed after %v", able.operators, time.Since(began).Round(100*time.Millisecond))
	wait(ctx, time.Until(began.Add(splitQuiet)))
	w.unsigned(within, t, unable, lone)
	if !unable.hears { // else what the others allowed and signed may have come on connections that stood
		w.unsigned(within, t, unable, both)
		w.quiet(within, t, unable, before, torn)
	}
	w.silent(within, t, unable)
	stop()
	stopHanding()
	asked := []statement.ID{both.stmt.ID()}
	if len(unable.doors) > 0 {
		asked = append(asked, lone.stmt.ID())
	}
	w.heal(t)
	began = time.Now()
	within, cancel = context.WithTimeout(ctx, healWithin)
	defer cancel()
	all := []string{"acme", "bolt", "cora"}
	if err := errors.Join(w.hold(within, all, asked...), w.ended(within, all, torn.stmt.ID()), w.settled(within, all), w.whole(within, began)); err != nil {
		t.Fatalf("%v after the sides met again: %v", time.Since(began).Round(time.Second), err)
	}
	t.Logf("all was signed and told %v after the sides met again", time.Since(began).Round(100*time.Millisecond))
	for _, id := range append(asked, torn.stmt.ID()) {
		w.same(ctx, t, all, id)
	}
}

// sides are the two sides of a split, by who can sign.
func (w *town) sides(ctx context.Context, t *testing.T, s split) (able, unable side) {
	t.Helper()
	own, _, err := owner(ctx, w.replicas)
	if err != nil {
		t.Fatal(err)
	}
	at := w.places[slices.Index(w.replicas, own)].name
	inOne := strings.Fields(strings.ReplaceAll(s.one, "owner", at))
	var one, other []*place
	for _, p := range w.places {
		if slices.Contains(inOne, p.name) {
			one = append(one, p)
		} else {
			other = append(other, p)
		}
	}
	able, unable = w.side(one, s.hears), w.side(other, s.heard)
	if len(able.operators) < 2 {
		able, unable = unable, able
	}
	if len(able.operators) < 2 || len(unable.operators) > 1 || len(one) != len(inOne) {
		t.Fatalf("%s: %v and %v can work", s, able.operators, unable.operators)
	}
	return able, unable
}

// heal lets everything through.
func (w *town) heal(t *testing.T) { mend(t, w.places, w.places) }

// parted wants the network to be as the test says.
func (w *town) parted(t *testing.T, one []*place) {
	t.Helper()
	var asking sync.WaitGroup
	for _, from := range w.places {
		for _, to := range w.places {
			if from == to {
				continue
			}
			want := slices.Contains(one, from) == slices.Contains(one, to) // an answer takes both directions
			within := 10 * time.Second
			if !want {
				within = 500 * time.Millisecond
			}
			asking.Go(func() {
				if got, err := reaches(from, to, within); err != nil || got != want {
					t.Errorf("from %s to %s: an answer: %t, want %t: %v", from.name, to.name, got, want, err)
				}
			})
		}
	}
	asking.Wait()
}

// A request is what people ask for, as whoever has it hands it in.
type request struct {
	stmt      statement.Statement
	proposal  *v1.SubmitRequest
	approvals [][]byte
}

// request makes one. No node is asked, and none told.
func (w *town) request(ctx context.Context, t *testing.T) (r request) {
	t.Helper()
	var err error
	if r.stmt, err = w.prepare(ctx); err == nil {
		r.proposal, err = w.alice.SignStatement(ctx, r.stmt)
	}
	for _, person := range w.circle.Approvers {
		var c *client.Circle
		if err == nil {
			c, err = w.circle.As(person)
		}
		if err != nil {
			t.Fatal(err)
		}
		var sig []byte
		sig, err = c.Signer().Sign(ctx, signet.Approve, r.stmt.Bytes())
		r.approvals = append(r.approvals, sig)
		c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// begin hands a request in everywhere, and returns when a session for it has begun somewhere, if it has not ended yet. Some doors may not have all of it.
func (w *town) begin(ctx context.Context, t *testing.T, doors []client.Node) (r request, stop func()) {
	t.Helper()
	r = w.request(ctx, t)
	handed, cancel := context.WithCancel(ctx)
	var handing sync.WaitGroup
	handing.Go(func() { _ = w.hand(handed, doors, r) }) // the split may come before
	stop = func() { cancel(); handing.Wait() }
	err := poll(ctx, "a session for intent "+r.stmt.ID().Short(), func() error {
		var errs error
		for _, o := range w.circle.Operators {
			it, err := w.intent(ctx, o.Name, r.stmt.ID())
			if err == nil && (it.State == "signing" || len(it.Raw) > 0) {
				return nil
			}
			errs = errors.Join(errs, err)
		}
		return errors.Join(errs, errors.New("none has begun"))
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	return r, stop
}

// hand gives a request in at each of these doors, until all of it is taken there.
func (w *town) hand(ctx context.Context, doors []client.Node, r request) error {
	errs := make([]error, len(doors))
	var handing sync.WaitGroup
	for i, d := range doors {
		handing.Go(func() {
			errs[i] = poll(ctx, fmt.Sprintf("%s (%s) takes intent %s", d.Name, d.Address, r.stmt.ID().Short()), func() error { return w.give(ctx, d, r) })
		})
	}
	handing.Wait()
	return errors.Join(errs...)
}

func (w *town) give(ctx context.Context, door client.Node, r request) error {
	c := client.Dial(client.Context{Name: "demo", Nodes: []client.Node{door}}, w.alice.Signer(), client.Cache{Dir: filepath.Join(w.circle.Dir, "tokens")})
	defer c.Close()
	_, err := c.Submit(ctx, r.proposal).Need("propose", 1)
	for _, sig := range r.approvals {
		if err == nil {
			_, err = c.HandVote(ctx, r.stmt, signet.Approve, sig).Need("approve", 1)
		}
	}
	return err
}

// tryAtIdle gives a request in at the doors of replicas that stand without most members of their store, again and again, until stop: it is never taken.
func (w *town) tryAtIdle(ctx context.Context, t *testing.T, doors []client.Node, r request) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var trying sync.WaitGroup
	for _, d := range doors {
		trying.Go(func() {
			for ctx.Err() == nil {
				short, over := context.WithTimeout(ctx, 2*time.Second)
				err := w.give(short, d, r)
				over()
				if err == nil {
					t.Errorf("%s takes a request at %s, without its store", d.Name, d.Address)
					return
				}
				wait(ctx, time.Second)
			}
		})
	}
	return func() { cancel(); trying.Wait() }
}

// intent is what an operator's node has of one.
func (w *town) intent(ctx context.Context, operator string, id statement.ID) (*v1.Intent, error) {
	c, _, err := w.node(ctx, operator)
	if err != nil {
		return nil, err
	}
	res, err := c.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operator, err)
	}
	return res.Msg.Intent, nil
}

// hold waits until each of these operators has the signatures.
func (w *town) hold(ctx context.Context, operators []string, ids ...statement.ID) error {
	for _, id := range ids {
		for _, o := range operators {
			err := poll(ctx, fmt.Sprintf("%s has the signature of intent %s", o, id.Short()), func() error {
				it, err := w.intent(ctx, o, id)
				switch {
				case err != nil:
					return err
				case len(it.Raw) > 0:
					return nil
				}
				err = fmt.Errorf("%s, last error %q, waits %q, awaited %v, undecided %v", it.State, it.LastError, it.Waits, it.Awaited, it.Undecided)
				if slices.Contains([]string{"failed", "denied", "expired", "dropped"}, it.State) {
					return &finalError{err}
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// ended waits until an intent whose session was torn apart is signed everywhere, or can be signed no more: fewer than two operators still would. Who had
// sent its last message cannot know whether others have the signature, and does not try again.
func (w *town) ended(ctx context.Context, operators []string, id statement.ID) error {
	return poll(ctx, "intent "+id.Short()+" is over", func() error {
		var states []string
		signed, open := 0, 0
		for _, o := range operators {
			it, err := w.intent(ctx, o, id)
			if err != nil {
				return err
			}
			if len(it.Raw) > 0 {
				signed++
			} else if it.State != "failed" {
				open++
			}
			states = append(states, fmt.Sprintf("%s: %s, last error %q, waits %q, awaited %v", o, it.State, it.LastError, it.Waits, it.Awaited))
		}
		if signed == len(operators) || signed == 0 && open < 2 {
			return nil
		}
		return errors.New(strings.Join(states, "; "))
	})
}

// same wants one signature everywhere, or none, good, and by a nonce of its own.
func (w *town) same(ctx context.Context, t *testing.T, operators []string, id statement.ID) {
	var raw []byte
	for _, o := range operators {
		it, err := w.intent(ctx, o, id)
		if err != nil {
			t.Fatal(err)
		}
		if o == operators[0] {
			raw = it.Raw
		}
		if !bytes.Equal(raw, it.Raw) {
			t.Errorf("intent %s has two signatures: %x at %s, and %x", id.Short(), it.Raw, o, raw)
		}
	}
	if raw == nil {
		t.Logf("intent %s, whose session was torn apart, is signed nowhere", id.Short()) // ended has waited for that
		return
	}
	if err := w.check(raw); err != nil {
		t.Errorf("intent %s: %v", id.Short(), err)
	}
}

// heads are how long these operators' logs are.
func (w *town) heads(ctx context.Context, t *testing.T, operators []string) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	for _, o := range operators {
		err := poll(ctx, "the log of "+o, func() error {
			_, status, err := w.node(ctx, o)
			if err == nil && status.LogSize == 0 {
				err = errors.New("its store does not say")
			}
			if err == nil {
				all[o] = status.LogSize
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// unsigned wants that no node of a side has a signature of these, or held a session for one.
func (w *town) unsigned(ctx context.Context, t *testing.T, s side, asked ...request) {
	t.Helper()
	for _, o := range s.operators {
		c, _, err := w.node(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		sessions, err := c.Sessions(ctx, connect.NewRequest(&v1.SessionsRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range asked {
			for _, x := range sessions.Msg.Sessions {
				if strings.Contains(x.Title, r.stmt.ID().Short()) {
					t.Errorf("%s, on the side that cannot sign, held a session: %s", o, x.Title)
				}
			}
			it, err := w.intent(ctx, o, r.stmt.ID())
			if err != nil || len(it.Raw) > 0 || it.Hash != "" || it.State == "signing" || it.PossiblySigned {
				t.Errorf("%s, on the side that cannot sign, has of intent %s: %v, %v", o, r.stmt.ID().Short(), it, err)
			}
		}
	}
}

// quiet wants that the logs of a side tell of no signature and no token since then, but those of the session that was torn apart.
func (w *town) quiet(ctx context.Context, t *testing.T, s side, since map[string]uint64, torn request) {
	t.Helper()
	for _, o := range s.operators {
		tokens := 0
		for _, l := range w.leaves(ctx, t, o, since[o]) {
			if l.Kind == tlog.KindPresignature {
				tokens++
			}
			if l.Kind == tlog.KindSigned && l.About != torn.stmt.ID() || tokens > 1 {
				t.Errorf("%s, on the side that cannot sign, logged %s %x of intent %x at %v, after entry %d", o, l.Kind, l.ID, l.About[:4], l.Time, since[o])
			}
		}
	}
}

// silent waits until replicas without most members of their store own nothing, and answer for nothing.
func (w *town) silent(ctx context.Context, t *testing.T, s side) {
	t.Helper()
	for _, r := range s.replicas {
		err := poll(ctx, r.name+" falls silent", func() error {
			if _, err := r.status(ctx); err == nil {
				return errors.New("it works, without its store")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// leaves are those of an operator's log from one on.
func (w *town) leaves(ctx context.Context, t *testing.T, operator string, from uint64) (all []tlog.Leaf) {
	t.Helper()
	c, _, err := w.node(ctx, operator)
	if err != nil {
		t.Fatal(err)
	}
	for {
		res, err := c.LogEntries(ctx, connect.NewRequest(&v1.LogEntriesRequest{First: from, Bare: true}))
		if err != nil {
			t.Fatalf("read the log of %s: %v", operator, err)
		}
		for _, e := range res.Msg.Entries {
			l, err := tlog.Decode(e.Leaf)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
		if from = res.Msg.Next; from >= res.Msg.Size {
			return all
		}
	}
}

// settled waits until nobody owes another anything: all are connected, no note is on its way, and each has cosigned what the others' logs say.
func (w *town) settled(ctx context.Context, operators []string) error {
	for _, o := range operators {
		err := poll(ctx, o+" and the others agree", func() error {
			c, status, err := w.node(ctx, o)
			if err != nil {
				return err
			}
			for _, p := range status.Peers {
				if p.Twin != "" {
					return &finalError{fmt.Errorf("%s runs twice: %s", p.Operator, p.Twin)}
				}
				if !p.Connected || p.Outbox > 0 {
					return fmt.Errorf("%s: connected %t, lacks %d notes, last error %q", p.Operator, p.Connected, p.Outbox, p.LastError)
				}
			}
			if status.Fenced != "" {
				return &finalError{errors.New(status.Fenced)}
			}
			res, err := c.LogHead(ctx, connect.NewRequest(&v1.LogHeadRequest{}))
			if err == nil && (res.Msg.CheckpointSize != res.Msg.Size || len(res.Msg.Missing) > 0) {
				err = fmt.Errorf("the log has %d entries, the checkpoint %d; %v have not cosigned it", res.Msg.Size, res.Msg.CheckpointSize, res.Msg.Missing)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whole waits until both replicas have told of themselves since then, and all members of their store are there and know what the others know.
func (w *town) whole(ctx context.Context, since time.Time) error {
	return poll(ctx, "acme is whole", func() error {
		x, err := w.replicas[w.works].show(ctx)
		if err != nil {
			return err
		}
		for _, m := range x.Members {
			if m.Error != "" || m.Behind > 50 { // they are not asked at one moment
				return fmt.Errorf("member %s is %d entries behind: %s", m.Name, m.Behind, m.Error)
			}
		}
		for _, r := range x.Replicas {
			if told, err := time.Parse(time.RFC3339, r.Told); err != nil || told.Before(since.Add(-time.Second)) { // a stamp has whole seconds
				return fmt.Errorf("replica %s told of itself at %s: %v", r.Name, r.Told, err)
			}
		}
		if len(x.Members) != 3 || len(x.Replicas) != 2 {
			return fmt.Errorf("there are %d members and %d replicas", len(x.Members), len(x.Replicas))
		}
		return nil
	})
}

// audit wants every log to tell of the same signatures, and of no session or token twice.
func (w *town) audit(ctx context.Context, t *testing.T) {
	for _, o := range w.circle.Operators {
		signed, once := 0, map[string]bool{}
		for _, l := range w.leaves(ctx, t, o.Name, 0) {
			switch l.Kind {
			case tlog.KindSigned:
				signed++
			case tlog.KindSession, tlog.KindPresignature, tlog.KindLife:
			case tlog.KindFence, tlog.KindAlarm, tlog.KindBurn:
				t.Errorf("%s logged %s", o.Name, l.Kind)
			default:
				continue
			}
			if what := fmt.Sprintf("%s %x", l.Kind, l.ID); once[what] {
				t.Errorf("%s logged %s twice", o.Name, what)
			} else {
				once[what] = true
			}
		}
		if signed != len(w.people.signed) {
			t.Errorf("the log of %s tells of %d signatures, %d were made", o.Name, signed, len(w.people.signed))
		}
	}
	if len(w.people.signed) != len(w.seen) {
		t.Errorf("%d transactions have %d nonces", len(w.people.signed), len(w.seen))
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

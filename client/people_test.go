package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/ssh"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/link"
)

// fakeNode is a people's interface with nothing behind it but tokens.
type fakeNode struct {
	ostrakav1connect.UnimplementedPeopleHandler
	identity  ed25519.PublicKey
	roster    []byte
	says      ed25519.PublicKey // identity in its hello
	challenge []byte

	mu     sync.Mutex
	tokens int    // given out
	good   string // the one that it knows
	life   time.Duration
	asked  int
}

func (f *fakeNode) Hello(context.Context, *connect.Request[v1.HelloRequest]) (*connect.Response[v1.HelloResponse], error) {
	return connect.NewResponse(&v1.HelloResponse{Identity: f.says, Roster: f.roster, Challenge: f.challenge}), nil
}

func (f *fakeNode) Token(_ context.Context, r *connect.Request[v1.TokenRequest]) (*connect.Response[v1.TokenResponse], error) {
	s, err := statement.ParseKind(r.Msg.Statement, statement.Hello)
	if err == nil {
		_, err = charter.VerifyHello(s, r.Msg.Signature, statement.ID(f.roster), f.identity, [32]byte(f.challenge), time.Now())
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
	f.good = fmt.Sprintf("token-%d", f.tokens)
	return connect.NewResponse(&v1.TokenResponse{Token: f.good, Expires: statement.FormatTime(time.Now().Add(f.life))}), nil
}

func (f *fakeNode) Vaults(_ context.Context, r *connect.Request[v1.VaultsRequest]) (*connect.Response[v1.VaultsResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if r.Header().Get("Authorization") != "Bearer "+f.good || f.good == "" {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("no token"))
	}
	return connect.NewResponse(&v1.VaultsResponse{}), nil
}

func newFake(name string) *fakeNode {
	id := identity(name)
	return &fakeNode{identity: id, says: id, roster: bytes.Repeat([]byte{7}, 32), challenge: make([]byte, 32), life: 12 * time.Hour}
}

// serve runs a node's interface; nil cfg is what a node uses.
func serve(t *testing.T, name string, h ostrakav1connect.PeopleHandler, cfg *tls.Config) Node {
	t.Helper()
	if cfg == nil {
		var err error
		if cfg, err = link.ServerTLS(secretOf(name)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(ostrakav1connect.NewPeopleHandler(h))
	s := &http.Server{Handler: mux, TLSConfig: cfg, ErrorLog: log.New(io.Discard, "", 0)}
	go s.ServeTLS(l, "", "") //nolint:errcheck // ends when it is closed
	t.Cleanup(func() { s.Close() })
	return Node{name, l.Addr().String(), identity(name)}
}

func person(t testing.TB, name string) *Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(secretOf(name))
	if err != nil {
		t.Fatal(err)
	}
	out, err := NewSigner(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func dialOne(t testing.TB, n Node, s *Signer, cache Cache) *Circle {
	c := Dial(Context{"main", []Node{n}}, s, cache)
	t.Cleanup(c.Close)
	return c
}

func hello(c *Circle) error {
	a := Ask(context.Background(), c, func(ctx context.Context, m *Member) (*connect.Response[v1.HelloResponse], error) {
		return m.Hello(ctx, connect.NewRequest(&v1.HelloRequest{}))
	})
	return a[0].Err
}

func listVaults(c *Circle) error {
	a := Ask(context.Background(), c, func(ctx context.Context, m *Member) (*connect.Response[v1.VaultsResponse], error) {
		return m.Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	})
	return a[0].Err
}

// Another key behind the right address is an alarm, not a node that is down.
func TestPinning(t *testing.T) {
	n := serve(t, "acme", newFake("acme"), nil)
	if err := hello(dialOne(t, n, nil, Cache{})); err != nil {
		t.Fatalf("the pinned node: %v", err)
	}
	n.Identity = identity("somebody else")
	err := hello(dialOne(t, n, nil, Cache{}))
	var other *IdentityError
	if !errors.As(err, &other) || !other.Found.Equal(identity("acme")) || Classify(err) != Unverified || Down(err) {
		t.Fatalf("another identity: %v", err)
	}
}

// What is weaker than both sides must speak is refused.
func TestPinningRefusesWeakTLS(t *testing.T) {
	weak := map[string]func(*tls.Config){
		"TLS 1.2":             func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		"X25519 alone":        func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} },
		"another kind of key": func(c *tls.Config) { c.Certificates = []tls.Certificate{rsaCertificate(t)} },
		"two certificates": func(c *tls.Config) {
			x := c.Certificates[0]
			x.Certificate = [][]byte{x.Certificate[0], x.Certificate[0]}
			c.Certificates = []tls.Certificate{x}
		},
	}
	for name, change := range weak {
		cfg, err := link.ServerTLS(secretOf("acme"))
		if err != nil {
			t.Fatal(err)
		}
		change(cfg)
		n := serve(t, "acme", newFake("acme"), cfg)
		if err := hello(dialOne(t, n, nil, Cache{})); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func rsaCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A token is asked for once, kept for the next command, and renewed when the node forgot it.
func TestTokens(t *testing.T) {
	f := newFake("acme")
	n := serve(t, "acme", f, nil)
	cache := Cache{t.TempDir()}
	alice := person(t, "alice")
	for range 2 {
		if err := listVaults(dialOne(t, n, alice, cache)); err != nil {
			t.Fatal(err)
		}
	}
	if f.tokens != 1 || f.asked != 2 {
		t.Fatalf("%d tokens for %d calls; want 1 for 2", f.tokens, f.asked)
	}
	f.good = "" // the node was restarted
	if err := listVaults(dialOne(t, n, alice, cache)); err != nil || f.tokens != 2 {
		t.Fatalf("after a restart: %v, %d tokens", err, f.tokens)
	}
	if err := listVaults(dialOne(t, n, person(t, "bob"), cache)); err != nil || f.tokens != 3 {
		t.Fatalf("another person: %v, %d tokens; want a token of their own", err, f.tokens)
	}
	if err := listVaults(dialOne(t, n, nil, cache)); !errors.Is(err, ErrNoKey) {
		t.Fatalf("without a key: %v", err)
	}
}

func TestTokensEnd(t *testing.T) {
	cache, alice, now := Cache{t.TempDir()}, person(t, "alice").Key(), time.Now()
	if err := cache.Put(identity("acme"), alice, "secret", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		node string
		at   time.Time
		want string
	}{
		{"acme", now, "secret"}, {"acme", now.Add(time.Hour - early), ""}, {"acme", now.Add(2 * time.Hour), ""}, {"bolt", now, ""},
	} {
		if got := cache.Get(identity(c.node), alice, c.at); got != c.want {
			t.Errorf("%s at %s: %q, want %q", c.node, c.at, got, c.want)
		}
	}
	cache.Forget(identity("acme"), alice)
	if got := cache.Get(identity("acme"), alice, now); got != "" {
		t.Errorf("forgotten, and still there: %q", got)
	}
}

// A hello for another node's challenge could be passed on to that node.
func TestLoginRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeNode)
		want   string
		class  Class
	}{
		"another identity": {func(f *fakeNode) { f.says = identity("bolt") }, "another identity", Unverified},
		"no roster":        {func(f *fakeNode) { f.roster = nil }, "no roster yet", NotReady},
		"short challenge":  {func(f *fakeNode) { f.challenge = f.challenge[:31] }, "challenge has 31", Unverified},
	} {
		f := newFake("acme")
		c.change(f)
		n := serve(t, "acme", f, nil)
		err := listVaults(dialOne(t, n, person(t, "alice"), Cache{}))
		if err == nil || !strings.Contains(err.Error(), c.want) || Classify(err) != c.class || f.tokens != 0 {
			t.Errorf("%s: %v, class %v; want %q, %v", name, err, Classify(err), c.want, c.class)
		}
	}
}

// One node that is down is named; the others' answers stand.
func TestAskEveryNode(t *testing.T) {
	up := serve(t, "acme", newFake("acme"), nil)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := Node{"bolt", gone.Addr().String(), identity("bolt")}
	gone.Close()
	c := Dial(Context{"main", []Node{up, down}}, nil, Cache{})
	defer c.Close()
	a := Ask(context.Background(), c, func(ctx context.Context, m *Member) (string, error) {
		_, err := m.Hello(ctx, connect.NewRequest(&v1.HelloRequest{}))
		return m.Name, err
	})
	if good := a.Good(); len(good) != 1 || good[0].Value != "acme" {
		t.Errorf("good: %v", good)
	}
	f := a.Failures()
	if len(f) != 1 || f[0].Node != "bolt" || !Down(f[0].Err) || !strings.HasPrefix(f[0].Reason(), "cannot be reached: "+down.Address) {
		t.Errorf("failures: %+v", f)
	}
}

// hesitant says not yet so many times.
type hesitant struct {
	ostrakav1connect.UnimplementedPeopleHandler
	left int
	code connect.Code
}

func (h *hesitant) Submit(context.Context, *connect.Request[v1.SubmitRequest]) (*connect.Response[v1.SubmitResponse], error) {
	if h.left--; h.left >= 0 {
		return nil, connect.NewError(h.code, errors.New("not yet"))
	}
	return connect.NewResponse(&v1.SubmitResponse{}), nil
}

func TestSubmitAgain(t *testing.T) {
	for _, c := range []struct {
		hesitant
		fails bool
		left  int // afterwards
	}{
		{hesitant{left: 2, code: connect.CodeUnavailable}, false, -1},
		{hesitant{left: 2, code: connect.CodeFailedPrecondition}, true, 1},
	} {
		n := serve(t, "acme", &c.hesitant, nil)
		a := dialOne(t, n, nil, Cache{}).Submit(context.Background(), &v1.SubmitRequest{})
		if (a[0].Err != nil) != c.fails || c.hesitant.left != c.left {
			t.Errorf("%v: %v, %d left", c.code, a[0].Err, c.hesitant.left)
		}
	}
}

// A node that takes connections and never answers is waited for once.
func TestSilence(t *testing.T) {
	m := &Member{}
	begun := time.Unix(1e9, 0)
	down := connect.NewError(connect.CodeDeadlineExceeded, errors.New("silence"))
	for name, c := range map[string]struct {
		took time.Duration
		err  error
		want bool
	}{
		"silent":          {5 * time.Second, down, true},
		"refused at once": {time.Millisecond, down, false},
		"slow answer":     {5 * time.Second, connect.NewError(connect.CodeNotFound, errors.New("x")), false},
		"good":            {5 * time.Second, nil, false},
	} {
		now := begun.Add(c.took)
		m.note(begun, now, c.err)
		if got := m.quiet(now.Add(silentFor - 1)); (got != nil) != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if m.quiet(now.Add(silentFor)) != nil {
			t.Errorf("%s: not asked again after %s", name, silentFor)
		}
	}
}

package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/wallet"
)

// fixture is a circle of three; the first two hold a vault, with one signed intent.
type fixture struct {
	t      *testing.T
	w      *nodetest.World
	vault  statement.ID
	intent statement.ID
	people []*people // of each node
	doors  []door    // of each node
}

// door is where an interface is reached.
type door struct {
	url string
	web *http.Client
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Now = time.Now()
	w.Found()
	f := &fixture{t: t, w: w}
	f.vault = w.AcceptVault(w.VaultFile("treasury", 2, w.Hosts[:2]...), w.Hosts[:2]...)
	w.Run("the key is published", func() bool {
		return !slices.ContainsFunc(w.Hosts[:2], func(h *nodetest.Host) bool {
			v, ok := h.Keeper.Root(f.vault, charter.SuiteECDSA)
			return !ok || v.Current == nil
		})
	})
	if _, err := w.Submit(w.AccountNote(f.vault, "main", 1)); err != nil {
		t.Fatal(err)
	}
	a, err := w.Hosts[0].Accounts.New(t.Context(), w.Now, f.vault, charter.SuiteECDSA, "ops", "main")
	if err != nil {
		t.Fatal(err)
	}
	s := w.Propose(f.vault, a, 0)
	w.Approve(s)
	f.intent = s.ID()
	w.Run("signed", func() bool {
		return w.State(w.Hosts[0], f.intent) == intent.Signed && w.State(w.Hosts[1], f.intent) == intent.Signed
	})
	for _, h := range w.Hosts {
		p := newPeople(&views{&node.Daemon{Node: h.Node, Started: w.Now, Key: h.Key}})
		f.people, f.doors = append(f.people, p), append(f.doors, knock(t, outer(p)))
	}
	return f
}

// knock serves an interface without TLS.
func knock(t *testing.T, h http.Handler) door {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return door{server.URL, server.Client()}
}

// call makes one call at a node's door.
func (f *fixture) call(n int, procedure, token string, body any) (code, message string, answer map[string]any) {
	f.t.Helper()
	return f.at(f.doors[n], procedure, token, body)
}

// at makes one call in JSON and returns the error's code ("" if all is well) and the answer.
func (f *fixture) at(d door, procedure, token string, body any) (code, message string, answer map[string]any) {
	f.t.Helper()
	raw, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			f.t.Fatal(err)
		}
		raw = string(b)
	}
	req, err := http.NewRequest("POST", d.url+procedure, strings.NewReader(raw))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := d.web.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if json.Unmarshal(text, &answer) != nil {
		return fmt.Sprint(resp.StatusCode), string(text), nil
	}
	if resp.StatusCode != 200 {
		code, _ = answer["code"].(string)
		message, _ = answer["message"].(string)
		return code, message, answer
	}
	return "", "", answer
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

const peoplePath = "/ostraka.v1.People/"

// challenge asks a node for one.
func (f *fixture) challenge(n int) (c [32]byte) {
	f.t.Helper()
	code, message, a := f.call(n, peoplePath+"Hello", "", "{}")
	text, _ := a["challenge"].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if code != "" || err != nil || len(raw) != 32 {
		f.t.Fatalf("hello: %s %s %v", code, message, err)
	}
	return [32]byte(raw)
}

// hello is a person's true answer to a node's challenge.
func (f *fixture) hello(n int, p nodetest.Person) charter.Hello {
	c, _, _ := f.w.Hosts[n].Circle.Roster()
	return charter.Hello{
		Roster: c.Statement.ID(), Identity: f.w.Hosts[n].Own.Identity, Challenge: f.challenge(n), Person: p.Key, Created: time.Now().Truncate(time.Second),
	}
}

func (f *fixture) answer(n int, h charter.Hello, by nodetest.Person) (code, message, token string) {
	f.t.Helper()
	s, err := h.Statement(f.w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	code, message, a := f.call(n, peoplePath+"Token", "", map[string]string{"statement": b64(s.Bytes()), "signature": b64(by.Makes(f.t, s))})
	token, _ = a["token"].(string)
	return code, message, token
}

func (f *fixture) token(n int, name string) string {
	f.t.Helper()
	p := nodetest.NewPerson(f.t, name)
	code, message, token := f.answer(n, f.hello(n, p), p)
	if code != "" || token == "" {
		f.t.Fatalf("no token for %s: %s %s", name, code, message)
	}
	return token
}

func methods(service string) (names []string) {
	m := pb.File_ostraka_v1_ostraka_proto.Services().ByName(protoreflect.Name(service)).Methods()
	for i := range m.Len() {
		names = append(names, string(m.Get(i).Name()))
	}
	return names
}

// A token is given to who signed this node's own challenge, now, once, and is known here.
func TestTokenRules(t *testing.T) {
	f := newFixture(t)
	ines := nodetest.NewPerson(t, "ines")
	for name, c := range map[string]struct {
		change func(*charter.Hello)
		by     string
		code   string
		want   string
	}{
		"other circle":      {change: func(h *charter.Hello) { h.Roster[0] ^= 1 }, code: "invalid_argument", want: "another circle"},
		"other node":        {change: func(h *charter.Hello) { h.Identity = f.w.Hosts[1].Own.Identity }, code: "invalid_argument", want: "another node"},
		"unknown challenge": {change: func(h *charter.Hello) { h.Challenge[0] ^= 1 }, code: "invalid_argument", want: "challenge is not known or ran out"},
		"old":               {change: func(h *charter.Hello) { h.Created = h.Created.Add(-6 * time.Minute) }, code: "invalid_argument", want: "clock"},
		"from the future":   {change: func(h *charter.Hello) { h.Created = h.Created.Add(6 * time.Minute) }, code: "invalid_argument", want: "clock"},
		"signed by another": {by: "abel", code: "failed_precondition", want: "not listed"},
		"stranger":          {change: func(h *charter.Hello) { h.Person = nodetest.NewPerson(t, "mallory").Key }, by: "mallory", code: "permission_denied", want: "belongs to nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			h, by := f.hello(0, ines), ines
			if c.change != nil {
				c.change(&h)
			}
			if c.by != "" {
				by = nodetest.NewPerson(t, c.by)
			}
			code, message, token := f.answer(0, h, by)
			if code != c.code || token != "" || !strings.Contains(message, c.want) {
				t.Fatalf("code %q (%s), token %q; want %q with %q", code, message, token, c.code, c.want)
			}
		})
	}
	h := f.hello(0, ines)
	if code, message, token := f.answer(0, h, ines); code != "" || token == "" {
		t.Fatalf("%s %s", code, message)
	}
	if code, message, _ := f.answer(0, h, ines); code != "invalid_argument" || !strings.Contains(message, "ask for a new one") {
		t.Fatalf("a challenge serves twice: %q %s", code, message)
	}
}

// Tokens and challenges run out, and are bounded in number.
func TestTokensRunOut(t *testing.T) {
	k, now, ts := nodetest.NewPerson(t, "ines").Key, time.Unix(1_800_000_000, 0), newTokens()
	token, until := ts.issue(now, k)
	if got, err := ts.who(until, "Bearer "+token); err != nil || !got.Equal(k) {
		t.Fatalf("a living token: %v", err)
	}
	for name, c := range map[string]struct {
		at     time.Time
		header string
	}{
		"ran out": {until.Add(time.Second), "Bearer " + token}, "cut": {now, "Bearer " + token[:20]}, "empty": {now, ""},
		"not base64": {now, "Bearer !!!"}, "another": {now, "Bearer " + base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
	} {
		if _, err := ts.who(c.at, c.header); !errors.Is(err, errNoToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if until != now.Add(12*time.Hour) {
		t.Errorf("a token lives %s", until.Sub(now))
	}
	c := ts.challenge(now)
	if err := ts.check(now.Add(challengeLife+2*time.Second), c); err == nil {
		t.Error("a challenge that ran out is taken")
	}
	forged := c
	forged[7]++ // a second later
	if err := ts.check(now, forged); err == nil {
		t.Error("a challenge with another time is taken")
	}
	if err := newTokens().check(now, c); err == nil {
		t.Error("another node's challenge is taken")
	}
	if err := errors.Join(ts.check(now, c), ts.spend(now, c)); err != nil {
		t.Errorf("a living challenge: %v", err)
	}
	if ts.check(now, c) == nil || ts.spend(now, c) == nil {
		t.Error("a challenge serves twice")
	}
	// Asking costs nothing: nobody's challenge is pushed out.
	mine := ts.challenge(now)
	for range maxTokens + 100 {
		ts.challenge(now)
		ts.issue(now, k)
	}
	if err := ts.check(now, mine); err != nil || len(ts.holders) > maxTokens {
		t.Errorf("%v; %d tokens are held", err, len(ts.holders))
	}
}

// Requests out of bounds end with the code that says so.
func TestRequestBounds(t *testing.T) {
	f := newFixture(t)
	token := f.token(0, "ines")
	big := b64(bytes.Repeat([]byte{'x'}, maxRequest))
	for name, c := range map[string]struct {
		procedure string
		body      any
		code      string
		want      string
	}{
		"too large":        {"Submit", map[string]any{"signed": map[string]string{"statement": big}}, "resource_exhausted", ""},
		"no JSON":          {"Vaults", "{", "invalid_argument", ""},
		"empty submission": {"Submit", "{}", "invalid_argument", "neither a statement, nor a vote, nor a contribution"},
		"no statement":     {"Submit", map[string]any{"signed": map[string]string{"statement": b64([]byte("hi"))}}, "invalid_argument", ""},
		"short vault id":   {"Accounts", map[string]string{"vault": b64([]byte{1})}, "invalid_argument", "vault id is not 32 bytes"},
		"short intent id":  {"Intent", map[string]string{"id": b64([]byte{1})}, "invalid_argument", "intent id is not 32 bytes"},
		"unknown intent":   {"Intent", map[string]string{"id": b64(make([]byte, 32))}, "not_found", "no such intent"},
		"unknown vault":    {"Accounts", map[string]string{"vault": b64(make([]byte, 32))}, "not_found", "not yours to see"},
		"unknown account":  {"Addresses", map[string]string{"vault": b64(f.vault[:]), "department": "ops", "account": "none", "suite": charter.SuiteECDSA}, "not_found", "no such account"},
		"vote in disguise": {"Submit", map[string]any{"vote": map[string]string{"intent": b64(f.intent[:]), "verb": "sign", "signature": ""}}, "invalid_argument", "neither approve nor reject"},
		"unknown service":  {"Sweep", "{}", "404", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if code, message, _ := f.call(0, peoplePath+c.procedure, token, c.body); code != c.code || !strings.Contains(message, c.want) {
				t.Fatalf("code %q (%s), want %q with %q", code, message, c.code, c.want)
			}
		})
	}
}

// People submit statements and votes, and nothing that only nodes may say.
func TestSubmit(t *testing.T) {
	f := newFixture(t)
	h := f.w.Hosts[0]
	a, err := h.Accounts.New(t.Context(), f.w.Now, f.vault, charter.SuiteECDSA, "ops", "main")
	if err != nil {
		t.Fatal(err)
	}
	s, n := f.w.Proposal(f.w.Intent(f.vault, a, 5))
	body := map[string]any{"signed": map[string]string{"statement": b64(n.Fields[0]), "signature": b64(n.Fields[1])}}
	for i := range 2 {
		code, message, answer := f.call(0, peoplePath+"Submit", "", body)
		id := s.ID()
		if known, _ := answer["known"].(bool); code != "" || answer["id"] != b64(id[:]) || known != (i > 0) {
			t.Fatalf("time %d: %s %s %v", i, code, message, answer)
		}
	}
	id := s.ID()
	vote := func(person string, verb signet.Verb) (string, string) {
		sig := nodetest.NewPerson(t, person).Sign(t, verb, s.Bytes())
		code, message, _ := f.call(0, peoplePath+"Submit", "", map[string]any{"vote": map[string]string{"intent": b64(id[:]), "verb": string(verb), "signature": b64(sig)}})
		return code, message
	}
	for _, c := range []struct{ person, code, want string }{
		{"abel", "", ""}, {"mallory", "failed_precondition", "signed by nobody whom the vault lists"}, {"ines", "failed_precondition", ""},
	} {
		if code, message := vote(c.person, signet.Approve); code != c.code || !strings.Contains(message, c.want) {
			t.Errorf("approval by %s: %q %s, want %q", c.person, code, message, c.code)
		}
	}
}

// Every kind of statement but four is refused at the people's interface, whoever signed it.
func TestPeopleSubmitTheirKinds(t *testing.T) {
	f := newFixture(t)
	files, err := filepath.Glob("../custody/statement/testdata/*-least.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d statements, %v", len(files), err)
	}
	taken := []statement.Kind{statement.Intent, statement.Cancel, statement.Account, statement.Revoke, statement.SOSRequest, statement.SOSSupport, statement.SOSVeto, statement.SOSChallenge, statement.SOSAlive, statement.SOSClose, statement.SOSEarlyRelease, statement.BackupDrill}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := statement.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		code, message, _ := f.call(0, peoplePath+"Submit", "", map[string]any{"signed": map[string]string{"statement": b64(raw), "signature": b64(f.w.Hosts[0].Officer.Makes(t, s))}})
		refused := code == "invalid_argument" && strings.Contains(message, "do not submit statements of kind")
		if refused == slices.Contains(taken, s.Kind()) {
			t.Errorf("%s: %q %s", s.Kind(), code, message)
		}
	}
}

// Whoever carries a guardian's contribution: one to an activation that the node does not know waits, and one over the bounds is refused.
func TestPeopleHandInContributions(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		activation, contribution []byte
		code, want               string
	}{
		{make([]byte, 32), []byte("x"), "unavailable", ""},
		{make([]byte, 31), []byte("x"), "invalid_argument", "activation of 31 bytes"},
		{make([]byte, 32), make([]byte, guard.MaxContribution+1), "invalid_argument", "and has"},
	} {
		code, message, _ := f.call(0, peoplePath+"Submit", "", map[string]any{"contribution": map[string]string{"activation": b64(c.activation), "contribution": b64(c.contribution)}})
		if code != c.code || !strings.Contains(message, c.want) {
			t.Errorf("%d and %d bytes: %q %s", len(c.activation), len(c.contribution), code, message)
		}
	}
}

// Each family of errors has its code.
func TestErrorCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want connect.Code
	}{
		{decide.ErrUnknown, connect.CodeNotFound}, {wallet.ErrNoAccount, connect.CodeNotFound},
		{outbox.ErrLater, connect.CodeUnavailable}, {fmt.Errorf("%w: %w", outbox.ErrLater, signet.ErrStranger), connect.CodeFailedPrecondition}, {ceremony.ErrNoKey, connect.CodeUnavailable},
		{intent.ErrStranger, connect.CodeFailedPrecondition}, {intent.ErrExpired, connect.CodeFailedPrecondition},
		{intent.ErrDuplicate, connect.CodeFailedPrecondition}, {intent.ErrOtherBytes, connect.CodeFailedPrecondition},
		{intent.ErrClosed, connect.CodeFailedPrecondition}, {intent.ErrTooLate, connect.CodeFailedPrecondition},
		{charter.ErrAlreadyAccepted, connect.CodeFailedPrecondition}, {&circle.ConflictError{What: "vault x", Field: "quorum", By: "acme"}, connect.CodeFailedPrecondition},
		{&decide.CrowdedError{Initiator: "alice", Vault: "treasury"}, connect.CodeFailedPrecondition},
		{errors.New("something else"), connect.CodeInvalidArgument},
	} {
		if err := fail(fmt.Errorf("while testing: %w", c.err)); connect.CodeOf(err) != c.want || !strings.Contains(err.Error(), c.err.Error()) {
			t.Errorf("%v has code %v, want %v", c.err, connect.CodeOf(err), c.want)
		}
	}
	if fail(nil) != nil {
		t.Error("no error is an error")
	}
}

// text is an answer in JSON.
func text(t testing.TB, answer map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

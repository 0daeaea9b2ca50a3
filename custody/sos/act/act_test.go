package act

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	salt = statement.Salt{31: 7}
	keys = []Key{{[32]byte{1}, [32]byte{11}}, {[32]byte{2}, [32]byte{12}}}
)

func seed(name string) []byte { return append([]byte(name), make([]byte, 32-len(name))...) }

func node(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed("node " + name)) }

func pen(t testing.TB, name string) ssh.Signer {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed(name)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(t testing.TB, name string) signet.Key {
	k, err := signet.ParseKey(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pen(t, name).PublicKey()))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func by(t testing.TB, name string, s statement.Statement) []byte {
	armored, err := signet.Sign(rand.Reader, pen(t, name), signet.Makes(s.Kind()), s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

func people(t testing.TB) plan.Plan {
	p := plan.Plan{Name: "treasury", Vault: [32]byte{9}, Charter: [32]byte{8}}
	for _, name := range []string{"acme", "bolt", "cora"} {
		p.Operators = append(p.Operators, plan.Operator{Name: name, Identity: node(name).Public().(ed25519.PublicKey), Officers: []signet.Key{key(t, name)}})
	}
	for _, name := range []string{"gail", "gene", "gina"} {
		p.Guardians = append(p.Guardians, plan.Guardian{Name: name, Key: key(t, name)})
	}
	return p
}

func request() Request {
	return Request{
		Charter: [32]byte{8}, Vault: [32]byte{9}, Trigger: plan.Silence, Subjects: []string{"bolt"}, Reason: "no sign of life for nine days",
		Keys: keys, Role: Guardian, By: "gail", Created: noon, Expires: noon.Add(72 * time.Hour),
	}
}

// asked is the request with its id.
func asked(t testing.TB) Request {
	t.Helper()
	r, err := RequestOf(must(request().Statement(salt))(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A kind is one type, written and read again through the same two functions.
type kind struct {
	kind  statement.Kind
	value any
	write func(any) (statement.Statement, error)
	read  func(statement.Statement) (any, error)
}

func of[T any](k statement.Kind, v T, write func(T, statement.Salt) (statement.Statement, error), read func(statement.Statement) (T, error)) kind {
	return kind{k, v, func(x any) (statement.Statement, error) { return write(x.(T), salt) }, func(s statement.Statement) (any, error) { return read(s) }}
}

func kinds(t testing.TB) []kind {
	r := asked(t)
	h := r.Head()
	seat := must(Seat{Head: h, Operator: "cora", Key: keys[0], Attempt: 1, Created: noon}.Prove(must(pve.NewPrivateKey(bytes.NewReader(seed("seat"))))(t), bytes.NewReader(make([]byte, 256))))(t)
	refusal := request()
	refusal.Trigger, refusal.Challenge, refusal.Number, refusal.Previous, refusal.Document = plan.Refusal, statement.ID{5}, 2, statement.ID{6}, statement.ID{7}
	return []kind{
		of(statement.SOSRequest, refusal, Request.Statement, RequestOf),
		of(statement.SOSSupport, Support{Head: h, Role: Guardian, By: "gail", Contacts: []string{"telephone: rang out, three times", "office: closed"}, Created: noon}, Support.Statement, SupportOf),
		of(statement.SOSVeto, Veto{Head: h, By: "gene", Reason: "I spoke to them today", Created: noon}, Veto.Statement, VetoOf),
		of(statement.SOSChallenge, Challenge{Charter: r.Charter, Vault: r.Vault, Operator: "bolt", Reason: "three intents wait", Role: Operator, By: "acme", Created: noon}, Challenge.Statement, ChallengeOf),
		of(statement.SOSAlive, Alive{Head: h, Operator: "bolt", Shares: []Proof{{keys[0], bytes.Repeat([]byte{3}, 65)}, {keys[1], bytes.Repeat([]byte{4}, 64)}}, Created: noon, salt: salt},
			func(a Alive, _ statement.Salt) (statement.Statement, error) { return a.Statement() }, AliveOf),
		of(statement.SOSSigned, Signed{Head: h, Operator: "bolt", Signatures: []Proof{{keys[0], bytes.Repeat([]byte{5}, 64)}, {keys[1], bytes.Repeat([]byte{6}, 64)}}, Created: noon}, Signed.Statement, SignedOf),
		of(statement.SOSStep, Step{Head: h, Operator: "acme", State: "contest", Why: "it stands in the logs of acme and cora", Credited: 90 * time.Second, FirstSeen: noon, Created: noon.Add(2 * time.Minute)}, Step.Statement, StepOf),
		of(statement.SOSNoVeto, NoVeto{Head: h, Operator: "cora", Asker: "acme", Nonce: [32]byte{3}, Origin: "log of acme", Log: tlog.Head{Size: 12, Root: tlog.Hash{4}}, Created: noon}, NoVeto.Statement, NoVetoOf),
		of(statement.SOSSeat, seat, Seat.Statement, SeatOf),
		of(statement.SOSActivation, Activation{
			Head: h, Key: keys[0], Attempt: 1, Contributors: []string{"acme", "cora"}, Threshold: 2,
			Members: []Member{{"acme", [16]byte{1}, 1, [32]byte{1}}, {"cora", [16]byte{2}, 3, [32]byte{2}}, {"dora", [16]byte{3}, 4, [32]byte{3}}}, Created: noon,
		}, Activation.Statement, ActivationOf),
		of(statement.SOSReleased, Released{
			Head: h, Operator: "acme", Activation: statement.ID{4}, Key: keys[0].Key, Attempt: 1, NoVetos: []statement.ID{{1}, {2}}, Credited: 72 * time.Hour, FirstSeen: noon, Created: noon,
		}, Released.Statement, ReleasedOf),
		of(statement.SOSClose, Close{Head: h, Keys: []Backed{{keys[0], [32]byte{21}}, {keys[1], [32]byte{22}}}, Drill: [32]byte{23}, Report: [32]byte{24}, Created: noon}, Close.Statement, CloseOf),
		of(statement.SOSEarlyRelease, EarlyRelease{Head: h, Reason: "all is well", Created: noon}, EarlyRelease.Statement, EarlyReleaseOf),
	}
}

// Written and read, everything is as it was; its bytes are those of testdata.
func TestKinds(t *testing.T) {
	for _, k := range kinds(t) {
		s := must(k.write(k.value))(t)
		got := must(k.read(s))(t)
		// The id comes with the statement.
		want := reflect.New(reflect.TypeOf(k.value)).Elem()
		want.Set(reflect.ValueOf(k.value))
		want.FieldByName("ID").Set(reflect.ValueOf(s.ID()))
		if !reflect.DeepEqual(got, want.Interface()) {
			t.Errorf("%s: read %+v\nwant %+v", k.kind, got, want.Interface())
		}
		if again := must(k.write(got))(t); again.Text() != s.Text() {
			t.Errorf("%s: written again\n%s", k.kind, again.Text())
		}
		file := filepath.Join("testdata", string(k.kind)+".txt")
		if *update {
			if err := os.WriteFile(file, s.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(want) != s.Text() {
			t.Errorf("%s differs, %v:\n%s", file, err, s.Text())
		}
		for _, other := range kinds(t) {
			if other.kind != k.kind {
				if _, err := other.read(s); err == nil {
					t.Errorf("%s is read as %s", k.kind, other.kind)
				}
			}
		}
		if mode := strings.Split(s.Text(), "\n")[1]; mode != "mode: real" {
			t.Errorf("%s: its mode stands in %q", k.kind, mode)
		}
	}
}

// What a statement's form cannot hold is refused when it is written, and when somebody else wrote it.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind statement.Kind
		swap [2]string
		want string
	}{
		"legal without a document":     {statement.SOSRequest, [2]string{"trigger: refusal", "trigger: legal"}, "challenge"},
		"silence with a challenge":     {statement.SOSRequest, [2]string{"trigger: refusal", "trigger: silence"}, "challenge"},
		"a first with one before":      {statement.SOSRequest, [2]string{"number: 2", "number: 0"}, "previous"},
		"a subject asks":               {statement.SOSRequest, [2]string{"role: guardian\nby: gail", "role: operator\nby: bolt"}, "is a subject"},
		"S6, for weeks":                {statement.SOSRequest, [2]string{"expires: 2026-12-01T12:00:00Z", "expires: 2026-12-05T12:00:01Z"}, "7 days"},
		"over before it begins":        {statement.SOSRequest, [2]string{"expires: 2026-12-01T12:00:00Z", "expires: 2026-11-28T12:00:00Z"}, "7 days"},
		"subjects' order":              {statement.SOSRequest, [2]string{"subject: bolt", "subject: bolt\nsubject: acme"}, "subject"},
		"a subject twice":              {statement.SOSRequest, [2]string{"subject: bolt", "subject: bolt\nsubject: bolt"}, "subject"},
		"keys' order":                  {statement.SOSRequest, [2]string{"key: 02", "key: 01"}, "key"},
		"an operator's contacts":       {statement.SOSSupport, [2]string{"role: guardian", "role: operator"}, "contact"},
		"who challenges itself":        {statement.SOSChallenge, [2]string{"by: acme", "by: bolt"}, "calls on itself"},
		"shares' order":                {statement.SOSAlive, [2]string{"key: 02", "key: 01"}, "key"},
		"signatures' order":            {statement.SOSSigned, [2]string{"key: 02", "key: 01"}, "key"},
		"who answers itself":           {statement.SOSNoVeto, [2]string{"asker: acme", "asker: cora"}, "answers itself"},
		"another operator's seat":      {statement.SOSSeat, [2]string{"operator: cora", "operator: acme"}, "encryption"},
		"a seat of another key":        {statement.SOSSeat, [2]string{"key: 01", "key: 02"}, "encryption"},
		"a seat of another epoch":      {statement.SOSSeat, [2]string{"epoch: 0b", "epoch: 0c"}, "encryption"},
		"a seat of another attempt":    {statement.SOSSeat, [2]string{"attempt: 1", "attempt: 2"}, "encryption"},
		"a seat of another mode":       {statement.SOSSeat, [2]string{"mode: real", "mode: drill"}, "encryption"},
		"a seat without a proof":       {statement.SOSSeat, [2]string{"possession: ", "possession: 00"}, "possession"},
		"contributors' order":          {statement.SOSActivation, [2]string{"contributor: acme\n", "contributor: dora\n"}, "contributor"},
		"a minority signs":             {statement.SOSActivation, [2]string{"threshold: 2", "threshold: 4"}, "threshold"},
		"two members with one index":   {statement.SOSActivation, [2]string{"index: 3", "index: 1"}, "member"},
		"two members with one party":   {statement.SOSActivation, [2]string{"party: 02", "party: 01"}, "member"},
		"two members with one key":     {statement.SOSActivation, [2]string{"encryption: 02", "encryption: 01"}, "member"},
		"members' order":               {statement.SOSActivation, [2]string{"member: cora", "member: aaaa"}, "member"},
		"an index of zero":             {statement.SOSActivation, [2]string{"index: 3", "index: 0"}, "index"},
		"no-vetos' order":              {statement.SOSReleased, [2]string{"no-veto: 02", "no-veto: 00"}, "no-veto"},
		"closed keys' order":           {statement.SOSClose, [2]string{"key: 02", "key: 01"}, "key"},
		"an unknown mode":              {statement.SOSVeto, [2]string{"mode: real", "mode: test"}, "mode"},
		"an unknown state":             {statement.SOSStep, [2]string{"state: contest", "state: armed"}, "state"},
		"a veto without reason":        {statement.SOSVeto, [2]string{"reason: I spoke to them today\n", ""}, "reason"},
		"a release without activation": {statement.SOSReleased, [2]string{"activation: 04", "activation: "}, "activation"},
	} {
		for _, k := range kinds(t) {
			if k.kind != c.kind {
				continue
			}
			text := must(k.write(k.value))(t).Text()
			raw := strings.Replace(text, c.swap[0], c.swap[1], 1)
			if raw == text {
				t.Fatalf("%s: nothing to swap in\n%s", name, text)
			}
			s, err := statement.Parse([]byte(raw))
			if err == nil {
				_, err = k.read(s)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	r := request()
	r.Expires = r.Created.Add(Gather + time.Second)
	if _, err := r.Statement(salt); err == nil {
		t.Error("a request of more than 7 days is written")
	}
}

// Only the right person's key, only for this kind, only over these bytes.
func TestWhoSigns(t *testing.T) {
	p, h := people(t), asked(t).Head()
	sign := func(role, who string) statement.Statement {
		return must(Support{Head: h, Role: role, By: who, Created: noon}.Statement(salt))(t)
	}
	for _, c := range []struct {
		name string
		s    statement.Statement
		sig  []byte
		ok   bool
	}{
		{"a guardian", sign(Guardian, "gail"), by(t, "gail", sign(Guardian, "gail")), true},
		{"an operator's person", sign(Operator, "acme"), by(t, "acme", sign(Operator, "acme")), true},
		{"another guardian", sign(Guardian, "gail"), by(t, "gene", sign(Guardian, "gail")), false},
		{"an operator as a guardian", sign(Guardian, "acme"), by(t, "acme", sign(Guardian, "acme")), false},
		{"a guardian as an operator", sign(Operator, "gail"), by(t, "gail", sign(Operator, "gail")), false},
		{"other bytes", sign(Guardian, "gail"), by(t, "gail", sign(Guardian, "gene")), false},
		{"a stranger", sign(Guardian, "zoe"), by(t, "zoe", sign(Guardian, "zoe")), false},
	} {
		if _, err := VerifySupport(c.s, c.sig, p); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	no := must(Veto{Head: h, By: "gene", Reason: "no", Created: noon}.Statement(salt))(t)
	if _, err := VerifyVeto(no, by(t, "gene", no), p); err != nil {
		t.Error(err)
	}
	yes := sign(Guardian, "gene")
	armored, err := signet.Sign(rand.Reader, pen(t, "gene"), signet.Makes(statement.SOSSupport), no.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyVeto(no, armored, p); !errors.Is(err, signet.ErrNamespace) {
		t.Errorf("a veto that was signed as a support: %v", err)
	}
	if _, err := VerifyVeto(yes, by(t, "gene", yes), p); err == nil {
		t.Error("a support is a veto")
	}
	rs := must(request().Statement(salt))(t)
	if _, err := VerifyRequest(rs, by(t, "gail", rs), p); err != nil {
		t.Error(err)
	}
	if _, err := VerifyRequest(rs, by(t, "acme", rs), p); err == nil {
		t.Error("another's request")
	}
	c := must(Challenge{Charter: h.Charter, Vault: h.Vault, Operator: "bolt", Role: Operator, By: "acme", Created: noon}.Statement(salt))(t)
	if _, err := VerifyChallenge(c, by(t, "acme", c), p); err != nil {
		t.Error(err)
	}
}

func TestWhichNodeSigns(t *testing.T) {
	p := people(t)
	for _, k := range kinds(t) {
		s := must(k.write(k.value))(t)
		sig, err := signet.SignNode(node("acme"), s)
		if err != nil {
			continue
		}
		other := must(signet.SignNode(node("cora"), s))(t)
		check := map[statement.Kind]func([]byte) error{
			statement.SOSStep:     func(b []byte) error { _, err := VerifyStep(s, b, p); return err },
			statement.SOSNoVeto:   func(b []byte) error { _, err := VerifyNoVeto(s, b, p); return err },
			statement.SOSSeat:     func(b []byte) error { _, err := VerifySeat(s, b, p); return err },
			statement.SOSReleased: func(b []byte) error { _, err := VerifyReleased(s, b, p); return err },
			statement.SOSActivation: func(b []byte) error {
				_, err := VerifyActivation(s, map[string][]byte{"acme": b, "cora": other}, p)
				return err
			},
		}[k.kind]
		if k.kind == statement.SOSNoVeto || k.kind == statement.SOSSeat { // cora's
			sig, other = other, sig
		}
		if err := check(sig); err != nil {
			t.Errorf("%s: %v", k.kind, err)
		}
		for name, bad := range map[string][]byte{"another's": must(signet.SignNode(node("bolt"), s))(t), "none": nil, "damaged": append(bytes.Clone(sig[:63]), sig[63]^1)} {
			if check(bad) == nil {
				t.Errorf("%s: %s signature", k.kind, name)
			}
		}
	}
	all := func(s statement.Statement, names ...string) map[string][]byte {
		m := map[string][]byte{}
		for _, n := range names {
			m[n] = by(t, n, s)
		}
		return m
	}
	s := must(EarlyRelease{Head: asked(t).Head(), Reason: "all is well", Created: noon}.Statement(salt))(t)
	if _, err := VerifyEarlyRelease(s, all(s, "acme", "cora"), p, []string{"acme", "cora"}); err != nil {
		t.Error(err)
	}
	if _, err := VerifyEarlyRelease(s, all(s, "acme"), p, []string{"acme", "cora"}); err == nil || !strings.Contains(err.Error(), "operator cora has not signed") {
		t.Errorf("one is missing: %v", err)
	}
	if _, err := VerifyEarlyRelease(s, nil, p, nil); err == nil {
		t.Error("nobody signed, and that is everybody")
	}
	c := must(Close{Head: asked(t).Head(), Keys: []Backed{{keys[0], [32]byte{1}}}, Created: noon}.Statement(salt))(t)
	for _, x := range []struct{ by, of, want string }{
		{"acme cora", "acme cora", "acme cora"}, {"acme", "acme cora", "acme"}, {"acme cora", "cora", "cora"}, {"", "acme cora", ""}, {"acme", "", ""},
	} {
		_, signed, err := VerifyClose(c, all(c, strings.Fields(x.by)...), p, strings.Fields(x.of))
		if err != nil || strings.Join(signed, " ") != x.want {
			t.Errorf("%s of %s: %v, %v", x.by, x.of, signed, err)
		}
	}
	if _, signed, _ := VerifyClose(c, map[string][]byte{"acme": by(t, "cora", c), "cora": by(t, "cora", s)}, p, []string{"acme", "cora"}); len(signed) > 0 {
		t.Errorf("another's signature, and one over another statement: %v", signed)
	}
}

// counter is entropy that says where it is.
type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		b[i] = c.n
	}
	return len(b), nil
}

// A proof of life serves one subject, one request, its keys, and nothing that differs in anything.
func TestProofOfLife(t *testing.T) {
	r := asked(t)
	secrets, points := map[Key]group.Scalar{}, map[Key]group.Point{}
	for i, g := range []group.Group{secp256k1.Group{}, edwards25519.Group{}} {
		s := must(g.RandomScalar(&counter{byte(i)}))(t)
		secrets[keys[i]], points[keys[i]] = s, g.BaseMul(s)
	}
	party := [16]byte{7}
	point := func(k Key, operator string) ([16]byte, group.Point, error) {
		if operator != "bolt" {
			return party, nil, fmt.Errorf("%s holds no share", operator)
		}
		return party, points[k], nil
	}
	a := DraftAlive(r.Head(), "bolt", noon, salt)
	for _, k := range keys {
		a = must(a.Prove(k, party, secrets[k], points[k], &counter{}))(t)
	}
	got := must(AliveOf(must(a.Statement())(t)))(t)
	if err := CheckAlive(got, r, point); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Alive, *Request){
		"S3, another request": func(a *Alive, r *Request) { a.Request[0] ^= 1; r.ID[0] ^= 1 },
		"another charter":     func(a *Alive, r *Request) { a.Charter[0] ^= 1; r.Charter[0] ^= 1 },
		"another mode":        func(a *Alive, r *Request) { a.Drill, r.Drill = true, true },
		"not of the request":  func(a *Alive, _ *Request) { a.Request[0] ^= 1 },
		"no subject":          func(a *Alive, r *Request) { r.Subjects = []string{"acme"} },
		"another operator":    func(a *Alive, r *Request) { a.Operator, r.Subjects = "acme", []string{"acme"} },
		"later":               func(a *Alive, _ *Request) { a.Created = a.Created.Add(time.Second) },
		"another salt":        func(a *Alive, _ *Request) { a.salt[0] ^= 1 },
		"one key of two":      func(a *Alive, _ *Request) { a.Shares = a.Shares[:1] },
		"no key":              func(a *Alive, _ *Request) { a.Shares = nil },
		"another epoch":       func(a *Alive, r *Request) { a.Shares[0].Epoch[0] ^= 1; r.Keys[0].Epoch[0] ^= 1 },
		"swapped": func(a *Alive, _ *Request) {
			a.Shares[0].Bytes, a.Shares[1].Bytes = a.Shares[1].Bytes, a.Shares[0].Bytes
		},
		"damaged": func(a *Alive, _ *Request) { a.Shares[1].Bytes[40] ^= 1 },
	} {
		b, q := got, r
		b.Shares, q.Keys = nil, append([]Key{}, r.Keys...)
		for _, s := range got.Shares {
			b.Shares = append(b.Shares, Proof{s.Key, bytes.Clone(s.Bytes)})
		}
		change(&b, &q)
		broken := func(k Key, operator string) ([16]byte, group.Point, error) {
			if p, ok := points[k]; ok {
				return party, p, nil
			}
			return party, points[keys[0]], nil
		}
		if CheckAlive(b, q, broken) == nil {
			t.Errorf("%s: the proof serves", name)
		}
	}
	if err := CheckAlive(got, r, func(Key, string) ([16]byte, group.Point, error) { return [16]byte{8}, points[keys[0]], nil }); err == nil {
		t.Error("another party's proof")
	}
	if _, err := DraftAlive(Head{}, "bolt", noon, salt).Prove(keys[0], party, secrets[keys[0]], points[keys[0]], &counter{}); err == nil {
		t.Error("a proof of life for no request")
	}
}

func TestLiveSignature(t *testing.T) {
	r := asked(t)
	verify := func(k Key, digest [32]byte, sig []byte) error {
		if !bytes.Equal(sig[:32], digest[:]) || sig[32] != k.Key[0] {
			return errors.New("it does not verify")
		}
		return nil
	}
	good := Signed{Head: r.Head(), Operator: "bolt", Created: noon}
	for _, k := range keys {
		d := TestDigest(r, k, "bolt")
		good.Signatures = append(good.Signatures, Proof{k, append(d[:], append([]byte{k.Key[0]}, make([]byte, 31)...)...)})
	}
	if err := CheckSigned(good, r, verify); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Signed, *Request){
		"S3, another request": func(s *Signed, r *Request) { s.Request[0] ^= 1; r.ID[0] ^= 1 },
		"no subject":          func(s *Signed, r *Request) { s.Operator = "acme" },
		"another subject":     func(s *Signed, r *Request) { s.Operator, r.Subjects = "acme", []string{"acme"} },
		"one key of two":      func(s *Signed, r *Request) { s.Signatures = s.Signatures[:1] },
		"another epoch":       func(s *Signed, r *Request) { s.Signatures[0].Epoch[0] ^= 1 },
		"of that epoch":       func(s *Signed, r *Request) { s.Signatures[0].Epoch[0] ^= 1; r.Keys[0].Epoch[0] ^= 1 },
	} {
		s, q := good, r
		s.Signatures, q.Keys = append([]Proof{}, good.Signatures...), append([]Key{}, r.Keys...)
		change(&s, &q)
		if CheckSigned(s, q, verify) == nil {
			t.Errorf("%s: the signature serves", name)
		}
	}
}

func FuzzStatements(f *testing.F) {
	for _, k := range kinds(f) {
		f.Add(must(k.write(k.value))(f).Bytes())
	}
	all := kinds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := statement.Parse(raw)
		if err != nil {
			return
		}
		for _, k := range all {
			v, err := k.read(s)
			if err != nil {
				continue
			}
			if s.Salt() != salt && k.kind != statement.SOSAlive {
				return // the salt is the writer's argument
			}
			if again, err := k.write(v); err != nil || again.Text() != s.Text() {
				t.Errorf("%q became %q, %v", s.Text(), again.Text(), err)
			}
		}
	})
}

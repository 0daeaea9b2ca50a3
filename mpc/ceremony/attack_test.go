package ceremony

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

func keygenSetup(c *committee) *session.Setup {
	return &session.Setup{Protocol: ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 2, Parties: c.parties}
}

// prep is spec/epochs 3: every byte of PREP, and what a wrong value comes to.
var prep = malice.Message{Name: "prep", Kind: epoch.KindPrep, Size: 96, Fields: []malice.Field{
	{Name: "eh", Type: malice.Hash, Size: 32, Want: malice.Blame},
	{Name: "signature", Type: malice.Hash, At: 32, Size: 64, Want: malice.Blame},
}}

// A stand is a key generation of three, whose party 1 is corrupt.
type stand struct{ now, earlier []engine.Msg }

func run(tb testing.TB, seed uint64, edit func(uint8, []engine.Out) []engine.Out, hook enginetest.Hook) *enginetest.Cluster[Prepared] {
	tb.Helper()
	com := newCommittee(3)
	com.seed = seed
	next := -1
	return enginetest.Run(enginetest.Options{Hook: hook}, machines(tb, com.join(tb, keygenSetup(com)), func(s Seat) (engine.Stage[Prepared], error) {
		first, err := Keygen(s, nil)
		if next++; next == 1 && edit != nil {
			first = enginetest.Corrupt(first, edit)
		}
		return first, err
	})...)
}

func newStand(tb testing.TB) *stand {
	sent := func(seed uint64) (msgs []engine.Msg) {
		c := run(tb, seed, nil, nil)
		if _, err := c.Results(); err != nil {
			tb.Fatal(err)
		}
		for _, p := range c.Parties {
			msgs = append(msgs, p.Sent...)
		}
		return msgs
	}
	return &stand{now: sent(0), earlier: sent(50)}
}

func body(tb testing.TB, msgs []engine.Msg, kind engine.Kind, from engine.PartyID) []byte {
	tb.Helper()
	i := slices.IndexFunc(msgs, func(m engine.Msg) bool { return m.Kind == kind && m.From == from })
	if i < 0 {
		tb.Fatalf("no message of kind %#x", uint8(kind))
	}
	return msgs[i].Body
}

// judge is the result over the honest parties: who has a certificate has kept its rows.
func judge(tb testing.TB, c *enginetest.Cluster[Prepared]) malice.Result {
	tb.Helper()
	var ends []malice.End
	for i, p := range c.Parties {
		if i == 1 {
			continue
		}
		if p.Result != nil && (len(p.Saved) != 4 || p.Result.Cert.Check(p.Result.Record, nil) != nil) {
			tb.Errorf("party %d has a certificate and %d rows", i, len(p.Saved))
		}
		ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
	}
	r, err := malice.Judge(c.Parties[1].ID, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

func TestMaliciousPrep(t *testing.T) {
	s, ids := newStand(t), make([]engine.PartyID, 3)
	for i, p := range newCommittee(3).parties {
		ids[i] = p.ID
	}
	own := body(t, s.now, prep.Kind, ids[1])
	if err := prep.Check(own); err != nil {
		t.Fatal(err)
	}
	seen := malice.Seen{Other: body(t, s.now, prep.Kind, ids[2]), Earlier: body(t, s.earlier, prep.Kind, ids[1])}
	cell := func(name string, want malice.Result, c *enginetest.Cluster[Prepared]) {
		t.Run(name, func(t *testing.T) {
			if got := judge(t, c); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	for _, x := range append(prep.Mutations(secp256k1.Group{}, malice.One), prep.Replays(malice.Blame)...) {
		cell(x.String(), x.Want, run(t, 0, func(_ uint8, out []engine.Out) []engine.Out {
			for i, o := range out {
				if o.Kind == prep.Kind {
					out[i].Body = x.Edit(bytes.Clone(o.Body), seen)
				}
			}
			return out
		}, nil))
	}
	on := func(do enginetest.Mutate) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: ids[1], To: ids[0], Kind: prep.Kind}, do)
	}
	for _, x := range prep.Lengths() {
		cell(x.String(), x.Want, run(t, 0, nil, on(enginetest.Edit(func(b []byte) []byte { return x.Edit(b, seen) }))))
	}
	flip := func(b []byte) []byte { b[50] ^= 1; return b }
	cell("whole/lost", malice.Timeout, run(t, 0, nil, on(enginetest.Drop)))
	cell("whole/repeated", malice.Unaffected, run(t, 0, nil, on(enginetest.Twice)))
	cell("whole/second version after the first", malice.Unaffected, run(t, 0, nil, on(enginetest.Besides(flip))))
	cell("whole/equivocated", malice.Blame, run(t, 0, nil, on(enginetest.Edit(flip))))
}

// A broadcast of the round before PREP that is valid, but not the same for all: T_final, and so the
// record, would differ. The echo of PREP stops it.
func TestNobodyPreparesADisputedRecord(t *testing.T) {
	com := newCommittee(3)
	// An opening whose hash for party 2 differs at party 0 passes all of party 0's checks.
	hook := enginetest.On(enginetest.Match{From: com.parties[1].ID, To: com.parties[0].ID, Kind: keygen.KindOpening},
		enginetest.Edit(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }))
	c := run(t, 0, nil, hook)
	if got := judge(t, c); got != malice.Unattributed {
		t.Errorf("came to %s", got)
	}
	for i, p := range c.Parties {
		if len(p.Saved) != 0 || p.Result != nil {
			t.Errorf("party %d kept %d rows", i, len(p.Saved))
		}
	}
}

// Rows are kept before PREP leaves, and only the record is public.
func TestRowsBeforePrep(t *testing.T) {
	com := newCommittee(3)
	c := enginetest.NewCluster(nil, machines(t, com.join(t, keygenSetup(com)), unguarded)...)
	for _, p := range c.Parties {
		c.Start(p)
	}
	for len(c.Queue) > 0 {
		c.Deliver(0)
		for i, p := range c.Parties {
			said := slices.ContainsFunc(p.Sent, func(m engine.Msg) bool { return m.Kind == epoch.KindPrep })
			if said != (len(p.Saved) > 0) {
				t.Fatalf("party %d said PREP: %v, with %d rows", i, said, len(p.Saved))
			}
		}
	}
	names := map[string]bool{}
	for _, r := range c.Parties[0].Saved {
		names[r.Name] = true
	}
	for _, want := range []string{RowRecord, RowShare, RowPair(com.parties[1].ID), RowPair(com.parties[2].ID)} {
		if !names[want] {
			t.Errorf("row %s is not kept", want)
		}
	}
}

func TestKeygenRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*session.Setup){
		"suite":                  func(s *session.Setup) { s.Suite = "rot13" },
		"does not start a key":   func(s *session.Setup) { s.Protocol = ProtocolSign },
		"does not start":         func(s *session.Setup) { s.Epoch[0] = 1 },
		"decode guardians":       func(s *session.Setup) { s.Payload = []byte{1} },
		"threshold 4 with 3":     func(s *session.Setup) { s.Threshold = 4 },
		"has index 7":            func(s *session.Setup) { s.Parties[2].Index = 7 },
		"numbers its parties":    func(s *session.Setup) { s.Parties[0].ID, s.Parties[1].ID = s.Parties[1].ID, s.Parties[0].ID },
		"of protocol \"keygen\"": func(s *session.Setup) { s.Parties = s.Parties[1:] },
	} {
		com := newCommittee(3)
		s := keygenSetup(com)
		self := com.parties[0].ID
		s.Parties = slices.Clone(s.Parties)
		spoil(s)
		_, err := Keygen(Seat{Session: engine.SessionID{1}, Setup: s, Self: self, Rand: enginetest.Reader(1)}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// keptRows are what a member's ceremony kept.
func keptRows(t *testing.T) (*epoch.Record, []engine.PartyID, []map[string][]byte) {
	t.Helper()
	c := run(t, 0, nil, nil)
	all, err := c.Results()
	if err != nil {
		t.Fatal(err)
	}
	var ids []engine.PartyID
	var kept []map[string][]byte
	for _, p := range c.Parties {
		m := map[string][]byte{}
		for _, r := range p.Saved {
			m[r.Name] = r.Value
		}
		ids, kept = append(ids, p.ID), append(kept, m)
	}
	return all[0].Record, ids, kept
}

func TestLoadRefusesWrongRows(t *testing.T) {
	r, ids, kept := keptRows(t)
	pair1 := RowPair(ids[1])
	for want, spoil := range map[string]func(m map[string][]byte){
		"":                            func(map[string][]byte) {},
		"does not match our public":   func(m map[string][]byte) { m[RowShare] = kept[1][RowShare] },
		"does not match":              func(m map[string][]byte) { m[RowShare] = append([]byte{0}, m[RowShare][1:]...) },
		"not a canonical scalar":      func(m map[string][]byte) { m[RowShare] = bytes.Repeat([]byte{0xff}, 32) },
		"is not a canonical":          func(m map[string][]byte) { m[RowShare] = m[RowShare][1:] },
		"no row \"share\"":            func(m map[string][]byte) { delete(m, RowShare) },
		"load what we share with":     func(m map[string][]byte) { delete(m, pair1) },
		"share with party":            func(m map[string][]byte) { m[pair1] = m[pair1][1:] },
		"decode pair state: version ": func(m map[string][]byte) { m[pair1] = append([]byte{9}, m[pair1][1:]...) },
	} {
		m := map[string][]byte{}
		for k, v := range kept[0] {
			m[k] = bytes.Clone(v)
		}
		spoil(m)
		var given []secret.Bytes
		k, err := Load(r, ids[0], func(name string) (secret.Bytes, error) {
			if m[name] == nil {
				return secret.Bytes{}, fmt.Errorf("no row %q", name)
			}
			given = append(given, secret.New(m[name]))
			return given[len(given)-1], nil
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
		if err != nil && k != nil {
			t.Errorf("%q: keys beside an error", want)
		}
		for _, b := range given {
			if slices.ContainsFunc(b.Expose(), func(x byte) bool { return x != 0 }) {
				t.Errorf("%q: a row that was read is not wiped", want)
			}
		}
	}
	if _, err := Load(r, engine.PartyID{9}, func(name string) (secret.Bytes, error) { return secret.Copy(kept[0][name]), nil }); err == nil {
		t.Error("a stranger loads")
	}
}

// Shares of two key generations of one committee do not mix: a member's own record and share are
// checked against each other before it says anything.
func TestSharesOfTwoRecordsDoNotMix(t *testing.T) {
	com := newCommittee(3)
	old := com.keygen(t, 2)
	now := com.keygen(t, 2)
	if old[0].Record.Hash() == now[0].Record.Hash() {
		t.Fatal("two ceremonies made one record")
	}
	r := now[0].Record
	setup := &session.Setup{
		Protocol: ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 2, Parties: com.parties[:2],
		Payload: (&Request{Purpose: "transaction", Digest: [32]byte{1}}).Encode(),
	}
	seats := com.join(t, setup)
	if _, err := Sign(seats[1], old[1], []byte{1, 31: 0}); err == nil {
		t.Error("signs with keys of another record")
	}
	mixed := &Keys{Record: r, Share: old[1].Share, Pairs: now[1].Pairs}
	if _, err := Sign(seats[1], mixed, []byte{1, 31: 0}); err == nil {
		t.Error("signs with a share of another record")
	}
}

func TestTestRefuses(t *testing.T) {
	com := newCommittee(3)
	keys := com.keygen(t, 2)
	r := keys[0].Record
	for name, spoil := range map[string]func(*session.Setup){
		"a subset":       func(s *session.Setup) { s.Parties = s.Parties[:2] },
		"a payload":      func(s *session.Setup) { s.Payload = []byte{1} },
		"a signature":    func(s *session.Setup) { s.Protocol = ProtocolSign },
		"another record": func(s *session.Setup) { s.Epoch[0] ^= 1 },
		"another identity": func(s *session.Setup) {
			s.Parties[2].Identity = slices.Repeat([]byte{1}, 32)
		},
	} {
		s := &session.Setup{Protocol: ProtocolTest, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 2, Parties: slices.Clone(com.parties)}
		spoil(s)
		if _, err := Test(Seat{Session: engine.SessionID{1}, Setup: s, Self: com.parties[0].ID, Rand: enginetest.Reader(1)}, keys[0]); err == nil {
			t.Errorf("%s is tested", name)
		}
	}
}

func TestRequests(t *testing.T) {
	r := &Request{Purpose: "transaction", Intent: [32]byte{1}, Path: hd.Path{1, 1<<31 - 1}, Digest: sha256.Sum256([]byte("m"))}
	back, err := DecodeRequest(r.Encode())
	if err != nil || !bytes.Equal(back.Encode(), r.Encode()) || !slices.Equal(back.Path, r.Path) {
		t.Errorf("round trip: %v", err)
	}
	r.Tree = bytes.Repeat([]byte{7}, 32)
	if back, err = DecodeRequest(r.Encode()); err != nil || !bytes.Equal(back.Tree, r.Tree) {
		t.Errorf("round trip with a tree: %v", err)
	}
	for name, bad := range map[string]*Request{
		"long purpose": {Purpose: strings.Repeat("x", 17)}, "deep path": {Path: make(hd.Path, hd.MaxDepth+1)}, "hardened": {Path: hd.Path{1 << 31}},
		"short tree": {Tree: make([]byte, 31)}, "long tree": {Tree: make([]byte, 33)}, "tree of one byte": {Tree: make([]byte, 1)},
	} {
		if _, err := DecodeRequest(bad.Encode()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add((&Request{Purpose: "transaction", Path: hd.Path{1, 2}}).Encode())
	f.Add((&Request{Purpose: "proof", Tree: bytes.Repeat([]byte{7}, 32)}).Encode())
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := DecodeRequest(in); err == nil && !bytes.Equal(r.Encode(), in) {
			t.Fatal("decode then encode changed a request")
		}
	})
}

// The payload's bytes, as signed setups carry them.
func TestGoldenRequest(t *testing.T) {
	r := &Request{Purpose: "transaction", Intent: [32]byte{1}, Path: hd.Path{7}, Digest: [32]byte{2}}
	var e transcript.Encoder
	e.Bytes(1, []byte("transaction")).Bytes(2, r.Intent[:])
	e.Bytes(3, []byte{0, 0, 0, 1, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7}).Bytes(4, r.Digest[:])
	head := bytes.Clone(e.Sum())
	if want := append(head, 0, 5, 0, 0, 0, 0); !bytes.Equal(want, r.Encode()) {
		t.Errorf("got %x", r.Encode())
	}
	r.Tree = bytes.Repeat([]byte{3}, 32)
	if want := e.Bytes(5, r.Tree).Sum(); !bytes.Equal(want, r.Encode()) {
		t.Errorf("with a tree: got %x", r.Encode())
	}
}

func TestChildRefuses(t *testing.T) {
	com := newCommittee(3)
	r := com.keygen(t, 2)[0].Record
	if _, _, err := Child(r, hd.Path{1 << 31}); err == nil {
		t.Error("a hardened child")
	}
	child, shift, err := Child(r, hd.Path{4, 2})
	if err != nil {
		t.Fatal(err)
	}
	g := secp256k1.Group{}
	if !g.BaseMul(shift).Add(r.Public).Equal(child) {
		t.Error("the shift does not lead from the root to the child")
	}
}

func TestSeats(t *testing.T) {
	com := newCommittee(4)
	mixed := []session.Party{com.parties[2], com.parties[0], com.parties[3], com.parties[1]}
	for i := range mixed {
		mixed[i].Index = 99
	}
	for i, p := range Seats(mixed) {
		if p.ID != com.parties[i].ID || p.Index != share.Index(i+1) {
			t.Errorf("seat %d is %v at %d", i, p.ID, p.Index)
		}
	}
	if mixed[0].Index != 99 {
		t.Error("the caller's list changed")
	}
}

// A wiped set of keys is of no use.
func TestKeysWipe(t *testing.T) {
	com := newCommittee(3)
	k := com.keygen(t, 2)[0]
	k.Wipe()
	if !k.Share.IsZero() {
		t.Error("the share is left")
	}
	(&Keys{}).Wipe()
	if s := fmt.Sprintf("%v", k.Share); s != "[secret]" {
		t.Errorf("prints %s", s)
	}
}

var errNone = errors.New("none")

// A colluder's blame must not hide a failed tree check, or nobody counts it.
func TestFailedTreeCheckIsCountedBesideBlame(t *testing.T) {
	p, q := enginetest.IDs(2)[0], enginetest.IDs(2)[1]
	failed := engine.Nobody("pair: tree check", &pair.CheckFailed{Peers: []engine.PartyID{q}})
	for _, err := range []error{merge(engine.Blamed("keygen: share", p, errNone), failed), merge(failed, engine.Blamed("keygen: share", p, nil))} {
		var f *engine.Fault
		var check *pair.CheckFailed
		if !errors.As(err, &f) || f.Class != engine.Blame || !slices.Equal(f.Accused, []engine.PartyID{p}) {
			t.Errorf("came to %v", err)
		}
		if !errors.As(err, &check) || !slices.Equal(check.Peers, []engine.PartyID{q}) {
			t.Errorf("%v: nobody is counted", err)
		}
	}
}

func TestMergeKeepsOurOwnTroubleFirst(t *testing.T) {
	if merge(nil, nil) != nil || !errors.Is(merge(errNone, nil), errNone) || !errors.Is(merge(nil, errNone), errNone) {
		t.Error("an error is lost or made up")
	}
}

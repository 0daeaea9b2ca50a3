package ceremony

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/reshare"
	"github.com/ostraka/ostraka/mpc/session"
)

// How few it takes, with real messages (the plain numbers, over all coalitions, are mpc/guard's TestWhoKnowsTheKey): r operators with k guardians give
// the key; one operator fewer with all guardians, or one guardian fewer, do not even begin, and nor do they if they leave out every check of their own
// but the last; and what they have, put together, is another key.
func TestExactlyThePlansQuorum(t *testing.T) {
	for _, c := range []struct {
		n, t, r, k, m            int
		contributors, guardians  []int
		threshold, extra, joiner int
	}{
		{3, 3, 2, 3, 5, []int{0, 2}, []int{0, 2, 4}, 2, 1, 3},
		{3, 2, 1, 2, 3, []int{1}, []int{0, 2}, 2, 1, 3},
	} {
		t.Run(fmt.Sprintf("%d-of-%d, %d and %d of %d", c.t, c.n, c.r, c.k, c.m), func(t *testing.T) {
			e := newEmergency(t, epoch.SuiteEd25519, c.t, c.n, c.r, c.k, c.m, c.extra)
			members := []int{c.contributors[0], c.joiner}
			all := make([]int, c.m)
			for i := range all {
				all[i] = i
			}
			e.activate(t, c.threshold, members, c.guardians)
			e.open(c.contributors...)
			keys, _ := e.run(t)
			if !keyOf(t, keys...).Equal(e.record().Public) {
				t.Fatal("r operators and k guardians give another key")
			}
			for name, few := range map[string]struct{ contributors, guardians []int }{
				"an operator fewer, all guardians": {c.contributors[1:], all},
				"an operator fewer":                {c.contributors[1:], c.guardians},
				"a guardian fewer":                 {c.contributors, c.guardians[1:]},
				"no guardian":                      {c.contributors, nil},
			} {
				e.activate(t, c.threshold, members, few.guardians)
				e.open(few.contributors...)
				for _, p := range e.setup.Parties {
					seat := Seat{Session: engine.SessionID{1}, Setup: e.setup, Self: p.ID, Rand: enginetest.Reader(1)}
					if _, err := Rescue(seat, e.sos(t, p.ID)); err == nil {
						t.Errorf("%s: begins", name)
					}
				}
				e.unchecked(t, name)
				if e.together(t, few.contributors, few.guardians).Equal(e.record().Public) {
					t.Errorf("%s: what they hold gives the key", name)
				}
			}
		})
	}
}

// unchecked goes past all checks but those of the protocol that deals.
func (e *emergency) unchecked(t *testing.T, name string) {
	t.Helper()
	for _, p := range e.setup.Parties {
		x := e.sos(t, p.ID)
		from, err := x.contributions(e.quorum)
		if err != nil {
			t.Fatal(err)
		}
		if len(from)+len(e.quorum.Contributors) == 0 {
			continue
		}
		params, err := x.params(Seat{Session: engine.SessionID{1}, Setup: e.setup, Self: p.ID, Rand: enginetest.Reader(1), Sign: session.NewSigner(e.com.keys[p.ID])}, e.quorum, from)
		if len(from) == 0 || len(e.quorum.Contributors) == 0 {
			if err == nil {
				_, err = reshare.Start(params).Finish(engine.Transcript{})
			}
			if err == nil {
				t.Errorf("%s: begins without one side", name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := reshare.Start(params).Finish(engine.Transcript{})
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), "do not give the public key") && !strings.Contains(err.Error(), "deals alone") || len(out.Send) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// together is what masks and values interpolate to.
func (e *emergency) together(t *testing.T, contributors, guardians []int) group.Point {
	t.Helper()
	r := e.record()
	g := r.Public.Group()
	terms, err := r.Terms(e.plan)
	if err != nil {
		t.Fatal(err)
	}
	sum := g.Identity()
	add := func(at []share.Index, values []group.Scalar) {
		if len(at) == 0 {
			return
		}
		x, err := share.Interpolate(g, at, values)
		if err != nil {
			t.Fatal(err)
		}
		sum = sum.Add(g.BaseMul(x))
	}
	var at []share.Index
	var values []group.Scalar
	for _, i := range contributors {
		mask, err := g.DecodeScalar(e.rows[i][RowMask])
		if err != nil {
			t.Fatal(err)
		}
		at, values = append(at, r.Members[i].Index), append(values, mask)
	}
	add(at, values)
	at, values = nil, nil
	for _, i := range guardians {
		y, _, err := e.set.Open(terms, e.plan.Guardians[i].ID, e.ek[i])
		if err != nil {
			t.Fatal(err)
		}
		at, values = append(at, share.Index(i+1)), append(values, y)
	}
	add(at, values)
	return sum
}

// Contributors who hold different messages of a guardian, or another's quorum, are not in one session: the Setup names the hash of each.
func TestTwoMessagesOfOneGuardian(t *testing.T) {
	e := newEmergency(t, epoch.SuiteEd25519, 2, 3, 1, 2, 3, 1)
	e.activate(t, 2, []int{1, 3}, []int{0, 1})
	e.open(1)
	mine := e.sos(t, e.com.parties[1].ID)
	// The same guardian, the same activation, another polynomial.
	terms, err := e.record().Terms(e.plan)
	if err != nil {
		t.Fatal(err)
	}
	e.made = map[string][]byte{}
	e.entropy = 99
	other := e.contribute(t, 0)
	if other.Check(terms, e.set, e.activation) != nil || bytes.Equal(other.Encode(), e.from[0]) {
		t.Fatal("the second message is none")
	}
	mine.From = [][]byte{other.Encode(), e.from[1]}
	seat := Seat{Session: engine.SessionID{1}, Setup: e.setup, Self: e.com.parties[1].ID, Rand: enginetest.Reader(1)}
	if _, err := Rescue(seat, mine); err == nil || !strings.Contains(err.Error(), "message 0 is not the one in the quorum") {
		t.Errorf("%v", err)
	}
}

// Sessions of vaults with guardians, as one can read them: testdata/guarded-*.txt (three operators, three guardians) and rescue-*.txt: 1 contributes and
// leaves, 2 and 3 are the new committee.
func TestGuardedScripts(t *testing.T) {
	com := newCommittee(3)
	plan, _ := guardians(t, 1, 2, 3)
	e := newEmergency(t, epoch.SuiteEd25519, 2, 3, 1, 2, 3, 2)
	e.activate(t, 2, []int{3, 4}, []int{0, 2})
	e.open(1)
	for _, prefix := range []string{"guarded", "rescue"} {
		files, err := filepath.Glob("testdata/" + prefix + "-*.txt")
		if err != nil || len(files) < 3 {
			t.Fatalf("%d scripts of %s: %v", len(files), prefix, err)
		}
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				com.seed, e.com.seed = 100, 100
				first, seats := e.first(t), func() []Seat { return e.com.join(t, e.setup) }
				if prefix == "guarded" {
					first = func(s Seat) (engine.Stage[Prepared], error) { return Keygen(s, plan) }
					seats = func() []Seat { return com.join(t, com.guardedSetup(epoch.SuiteEd25519, 3, 2, plan)) }
				}
				sessions := machines(t, seats(), func(s Seat) (engine.Stage[string], error) {
					stage, err := first(s)
					return said(stage, func(p *Prepared) string {
						return fmt.Sprintf("a certificate of %d PREPs and %d old members", len(p.Cert.Preps), len(p.Cert.Olds))
					}), err
				})
				compare(t, file, sessions)
			})
		}
	}
}

func compare(t *testing.T, file string, sessions []*engine.Session[string]) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := enginetest.Script(string(want), sessions...)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != string(want) {
		t.Errorf("got\n%s", got)
	}
}

// Byte snapshots of what travels in Setups.
func TestGoldenSetups(t *testing.T) {
	plan, _ := guardians(t, 1, 2, 3)
	com := newCommittee(3)
	guards := GuardedBy(plan, com.parties, 2)
	q := &Quorum{
		Attempt: 5, Contributors: guards.Dealers[:1], Members: guards.Dealers, Guardians: [][32]byte{{1}, {2}},
		Rescue: epoch.Rescue{Activation: [32]byte{0xac}, Until: 1_900_000_000, Terms: [32]byte{7}},
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "guards %x\nquorum %x\n", guards.Encode(), q.Encode())
	q.Guards = guards
	change := &Change{Attempt: 5, Dealers: guards.Dealers, Members: guards.Dealers, Guards: guards}
	fmt.Fprintf(&out, "quorum-with-guards %x\nchange-with-guards %x\n", q.Encode(), change.Encode())
	file := "testdata/setups.txt"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("snapshots differ\ngot:\n%s", out.Bytes())
	}
}

// What a quorum's form refuses.
func TestQuorumDecodeRefuses(t *testing.T) {
	plan, _ := guardians(t, 1, 2, 3)
	g := GuardedBy(plan, newCommittee(3).parties, 2)
	made := func() *Quorum {
		return &Quorum{Attempt: 5, Contributors: slices.Clone(g.Dealers[:1]), Members: slices.Clone(g.Dealers), Guardians: [][32]byte{{1}, {2}}, Guards: g}
	}
	raw := made().Encode()
	bare := made()
	bare.Guards = nil
	for n := range raw {
		if _, err := DecodeQuorum(raw[:n]); err == nil && !bytes.Equal(raw[:n], bare.Encode()) {
			t.Errorf("its first %d bytes are a quorum", n)
		}
	}
	if _, err := DecodeQuorum(append(bytes.Clone(raw), 0)); err == nil {
		t.Error("a byte more is taken")
	}
	for want, spoil := range map[string]func(*Quorum){
		"0 items, 1 to 16":  func(q *Quorum) { q.Contributors = nil },
		"17 items, 1 to 16": func(q *Quorum) { q.Contributors = make([]engine.PartyID, 17) },
		"1 items, 2 to 16":  func(q *Quorum) { q.Members = q.Members[:1] },
		"17 items, 2 to 16": func(q *Quorum) { q.Members = make([]engine.PartyID, 17) },
		"1 items, 2 to 32":  func(q *Quorum) { q.Guardians = q.Guardians[:1] },
		"33 items, 2 to 32": func(q *Quorum) { q.Guardians = make([][32]byte, 33) },
		"field 1":           func(q *Quorum) { q.Attempt = 1<<62 + 1 },
		"field 6":           func(q *Quorum) { q.Rescue.Until = 1<<40 + 1 },
		"guardians' plan":   func(q *Quorum) { p := *plan; p.Quorum = 3; q.Guards = &Guards{&p, g.Dealers} },
	} {
		q := made()
		spoil(q)
		if _, err := DecodeQuorum(q.Encode()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

package pair

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

var sid = engine.SessionID{1, 2, 3}

// parties are n seats with indices that are neither dense nor from 1.
func parties(n int) []session.Party {
	all := make([]session.Party, n)
	for i, id := range enginetest.IDs(n) {
		all[i] = session.Party{ID: id, Index: share.Index(3*i + 2)}
	}
	return all
}

// stages are every party's first stage.
func stages(all []session.Party, seed uint64) []engine.Stage[states] {
	out := make([]engine.Stage[states], len(all))
	for i, p := range all {
		out[i] = Setup(Params{Session: sid, Self: p, Parties: all, Rand: enginetest.Reader(seed + uint64(i))})
	}
	return out
}

func sessions(t testing.TB, all []session.Party, first []engine.Stage[states]) []*engine.Session[states] {
	t.Helper()
	ids := make([]engine.PartyID, len(all))
	for i, p := range all {
		ids[i] = p.ID
	}
	out := make([]*engine.Session[states], len(all))
	for i, p := range all {
		s, err := engine.New(engine.Params{Session: sid, Parties: ids, MaxBody: MaxBody, Kinds: Kinds}, p.ID, first[i])
		if err != nil {
			t.Fatal(err)
		}
		out[i] = s
	}
	return out
}

// dealt runs set-up to its end.
func dealt(t testing.TB, all []session.Party) []states {
	t.Helper()
	results, err := enginetest.Run(enginetest.Options{}, sessions(t, all, stages(all, 1))...).Results()
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestSeedsAgreeAndDiffer(t *testing.T) {
	all := parties(3)
	results := dealt(t, all)
	seen := map[string]bool{}
	for i, p := range all {
		for j, q := range all[:i] {
			a, b := results[i][q.ID].Seed, results[j][p.ID].Seed
			if a.Len() != SeedSize || !a.Equal(b) {
				t.Errorf("parties %d and %d hold different seeds", i, j)
			}
			if seen[string(a.Expose())] {
				t.Errorf("the seed of parties %d and %d is another pair's too", i, j)
			}
			seen[string(a.Expose())] = true
		}
	}
	for i, p := range all {
		if len(results[i]) != 2 || results[i][p.ID] != nil {
			t.Errorf("party %d has states with %d peers", i, len(results[i]))
		}
	}
}

func TestZeroSharesAddUpToZero(t *testing.T) {
	all := parties(3)
	results := dealt(t, all)
	for _, set := range [][]int{{0, 1}, {0, 2}, {1, 2}, {0, 1, 2}} {
		var signers []session.Party
		for _, i := range set {
			signers = append(signers, all[i])
		}
		total := new(secp256k1.Scalar)
		for _, i := range set {
			z, err := ZeroShare(sid, all[i], signers, results[i])
			if err != nil {
				t.Fatal(err)
			}
			other, err := ZeroShare(engine.SessionID{9}, all[i], signers, results[i])
			if err != nil {
				t.Fatal(err)
			}
			if z.IsZero() || z.Equal(other) {
				t.Errorf("set %v: zero share of party %d is zero or the same in another session", set, i)
			}
			total.SetSum(total, z)
		}
		if !total.IsZero() {
			t.Errorf("set %v: zero shares add up to something", set)
		}
	}
	delete(results[0], all[2].ID)
	if _, err := ZeroShare(sid, all[0], all, results[0]); err == nil {
		t.Error("zero share without a peer's seed")
	}
}

// Every part of the id counts (TOB-SILA-5).
func TestIDNamesBothPartiesAndTheDirection(t *testing.T) {
	all := parties(3)
	moved := all[1]
	moved.Index++
	ids := map[[32]byte]string{}
	for name, id := range map[string][32]byte{
		"a to b":        ID(sid, all[0], all[1], RoleSetup),
		"b to a":        ID(sid, all[1], all[0], RoleSetup),
		"a to c":        ID(sid, all[0], all[2], RoleSetup),
		"to sign":       ID(sid, all[0], all[1], RoleSign),
		"other session": ID(engine.SessionID{7}, all[0], all[1], RoleSetup),
		"other index":   ID(sid, all[0], moved, RoleSetup),
	} {
		if other, found := ids[id]; found {
			t.Errorf("%s and %s share an id", name, other)
		}
		ids[id] = name
	}
}

func TestStateSurvivesStorage(t *testing.T) {
	all := parties(2)
	s := dealt(t, all)[0][all[1].ID]
	b := s.Encode()
	if b.Len() != StateSize {
		t.Fatalf("state has %d bytes, not %d", b.Len(), StateSize)
	}
	back, err := DecodeState(b)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Encode().Equal(b) {
		t.Error("decode then encode changed the state")
	}
	back.Wipe()
	if back.Encode().Equal(b) {
		t.Error("a wiped state is whole")
	}
	if !s.Encode().Equal(b) {
		t.Error("wiping a decoded state reached into another")
	}
	for _, bad := range [][]byte{nil, b.Expose()[:StateSize-1], append(b.Expose()[:StateSize:StateSize], 0), append([]byte{2}, b.Expose()[1:]...)} {
		if _, err := DecodeState(secret.New(bad)); err == nil {
			t.Errorf("took a state of %d bytes that is not one", len(bad))
		}
	}
}

func FuzzDecodeState(f *testing.F) {
	all := parties(2)
	s := dealt(f, all)[0][all[1].ID]
	f.Add(s.Encode().Expose())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := DecodeState(secret.Copy(in))
		if err == nil && !s.Encode().Equal(secret.New(in)) {
			t.Fatal("decode then encode changed the state")
		}
	})
}

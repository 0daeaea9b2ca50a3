package session

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// newJoin is party i's side of a setup.
func newJoin(tb testing.TB, s *Setup, i int, seed uint64) (*Joining, []byte) {
	tb.Helper()
	g, frame, err := NewJoin(s, s.Parties[i].ID, Standing{Epoch: 4, Record: [32]byte{5}, FinalCert: [32]byte{6}}, enginetest.Reader(seed), NewSigner(identity(i)))
	if err != nil {
		tb.Fatal(err)
	}
	return g, frame
}

// forge signs a changed join with a party's own key.
func forge(tb testing.TB, frame []byte, signer int, change func(*Join)) []byte {
	tb.Helper()
	body, _, err := unseal(frameJoin, frame)
	if err != nil {
		tb.Fatal(err)
	}
	j, err := DecodeJoin(body)
	if err != nil {
		tb.Fatal(err)
	}
	change(j)
	body = j.Encode()
	return sealed(frameJoin, body, NewSigner(identity(signer))(transcript.New(transcript.SessionJoin).Bytes(body)))
}

func TestJoinRefuses(t *testing.T) {
	s, other := proposal(3), proposal(3)
	other.Nonce[0]++
	g, own := newJoin(t, s, 0, 1)
	_, good := newJoin(t, s, 1, 2)
	_, elsewhere := newJoin(t, other, 1, 2)
	same := func(*Join) {}
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"of another setup":          {elsewhere, "answers another setup"},
		"our own":                   {own, ErrInauthentic.Error()},
		"by a stranger":             {forge(t, good, 7, func(j *Join) { j.From = engine.PartyID{7} }), ErrInauthentic.Error()},
		"signed by another party":   {forge(t, good, 2, same), ErrInauthentic.Error()},
		"in another party's name":   {forge(t, good, 1, func(j *Join) { j.From = s.Parties[2].ID }), ErrInauthentic.Error()},
		"a setup frame":             {append([]byte{frameSetup}, good[1:]...), "not a frame of type"},
		"nothing":                   {nil, "not a frame"},
		"another epoch":             {forge(t, good, 1, func(j *Join) { j.Standing.Epoch = 3 }), "stands in epoch 3"},
		"another record":            {forge(t, good, 1, func(j *Join) { j.Standing.Record[0]++ }), "stands in epoch 4"},
		"another final certificate": {forge(t, good, 1, func(j *Join) { j.Standing.FinalCert[0]++ }), "stands in epoch 4"},
	} {
		if err := g.Add(c.frame); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := g.Missing(); !slices.Equal(got, s.IDs()[1:]) {
		t.Errorf("missing %v", got)
	}
	if _, err := g.Complete(); err == nil {
		t.Error("complete without two joins")
	}
	var behind *StandingError
	if err := g.Add(forge(t, good, 1, func(j *Join) { j.Standing.Epoch = 9 })); !errors.As(err, &behind) || behind.Theirs.Epoch != 9 || behind.Our.Epoch != 4 {
		t.Errorf("a party ahead of us: %v", err)
	}
	if err := g.Add(good); err != nil {
		t.Fatal(err)
	}
	if err := g.Add(good); err != nil {
		t.Errorf("the same join again: %v", err)
	}
	if err := g.Add(forge(t, good, 1, func(j *Join) { j.Nonce[0]++ })); !errors.Is(err, ErrDifferentJoin) {
		t.Errorf("a second, different join: %v", err)
	}
	if h, _, err := JoinSetup(good); err != nil || h != s.Hash() {
		t.Errorf("join answers %x, %v", h, err)
	}
}

// Points of low order make every shared value zero: whoever sends one is not taken, and
// can still send a good one.
func TestLowOrderEphemeralKeys(t *testing.T) {
	s := proposal(2)
	g, _ := newJoin(t, s, 0, 1)
	_, good := newJoin(t, s, 1, 2)
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		raw, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Add(forge(t, good, 1, func(j *Join) { copy(j.Ephemeral[:], raw) })); err == nil {
			t.Errorf("ephemeral key %s is taken", point)
		}
	}
	if err := g.Add(good); err != nil {
		t.Error(err)
	}
}

// The session id is new whenever any party's join is, though the opener replays the setup.
func TestSessionIDs(t *testing.T) {
	seen := map[engine.SessionID]string{}
	note := func(name string, o *opened) {
		id := o.channels[0].Session()
		if other, found := seen[id]; found {
			t.Errorf("%s and %s have one session id", name, other)
		}
		seen[id] = name
		for i, c := range o.channels {
			if c.Session() != id {
				t.Errorf("%s: party %d has another session id", name, i)
			}
		}
	}
	note("first", open(t, proposal(3), 1))
	note("replayed setup, other joins", open(t, proposal(3), 100))
	note("replayed setup, other joins of two", open(t, proposal(3), 2))
	s := proposal(3)
	s.KeyID[0]++
	note("other key, same joins' coins", open(t, s, 1))
	s = proposal(3)
	s.Epoch[0]++
	note("other epoch", open(t, s, 1))
}

func TestJoiningIsUsedOnce(t *testing.T) {
	s := proposal(2)
	g, _ := newJoin(t, s, 0, 1)
	_, peer := newJoin(t, s, 1, 2)
	if err := g.Add(peer); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Complete(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Complete(); err == nil {
		t.Error("complete twice")
	}
	if err := g.Add(peer); err == nil {
		t.Error("joined after the session id was made")
	}
	if g.ephemeral != nil || len(g.shared) != 0 {
		t.Error("ephemeral secrets are left")
	}
}

func TestNewJoinRefuses(t *testing.T) {
	s := proposal(2)
	if _, _, err := NewJoin(s, engine.PartyID{9}, Standing{}, enginetest.Reader(1), NewSigner(identity(0))); err == nil {
		t.Error("a stranger joins")
	}
	if _, _, err := NewJoin(s, s.Parties[0].ID, Standing{}, bytes.NewReader(make([]byte, 63)), NewSigner(identity(0))); err == nil {
		t.Error("a join without entropy")
	}
}

func TestRedaction(t *testing.T) {
	g, _ := newJoin(t, proposal(2), 0, 1)
	c := open(t, proposal(2), 1).channels[0]
	for _, v := range []any{g, c} {
		if s := fmt.Sprintf("%v %+v %#v %x", v, v, v, v); strings.Contains(s, "{") {
			t.Errorf("prints %.100s", s)
		}
	}
}

package engine_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// The toy: commit to a secret, open it and give each peer a pad, agree on the sum. It
// has broadcasts, direct messages, two kinds in one round and a guarded round.
const (
	kindCommit engine.Kind = iota + 1
	kindOpen
	kindPad
	kindSum
)

type toy struct {
	self    engine.PartyID
	peers   []engine.PartyID
	rand    io.Reader
	secret  []byte
	commits map[engine.PartyID][]byte
	opened  map[engine.PartyID][]byte
	pads    map[engine.PartyID][]byte
	sums    map[engine.PartyID][]byte
}

type (
	toyCommit struct{ *toy }
	toyOpen   struct{ *toy }
	toyCheck  struct{ *toy }
	toyDone   struct{ *toy }
)

func commitment(id engine.PartyID, secret []byte) []byte {
	h := sha256.Sum256(append(id[:], secret...))
	return h[:]
}

func pad(secret []byte, to engine.PartyID) []byte { return commitment(to, secret)[:4] }

func (t *toy) tokens() (all []engine.Token) {
	for _, p := range t.peers {
		all = append(all, engine.Token{Key: [32]byte{'k'}, Peer: p})
	}
	return all
}

func (toyCommit) Expect() engine.Expect                            { return engine.Expect{} }
func (toyCommit) Accept(engine.Kind, engine.PartyID, []byte) error { return nil }
func (s toyCommit) Finish(engine.Transcript) (out engine.Outcome[string], err error) {
	s.secret = make([]byte, 8)
	if _, err := io.ReadFull(s.rand, s.secret); err != nil {
		return out, err
	}
	s.toy.secret = s.secret
	out.Send = []engine.Out{{Kind: kindCommit, Body: commitment(s.self, s.secret)}}
	out.Next = toyOpen{s.toy}
	return out, nil
}

func (s toyOpen) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: kindCommit, From: s.peers, MaxBody: 32}}}
}

func (s toyOpen) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if len(body) != 32 {
		return fmt.Errorf("commitment has %d bytes", len(body))
	}
	s.commits[from] = body
	return nil
}

func (s toyOpen) Finish(engine.Transcript) (out engine.Outcome[string], err error) {
	out.Send = []engine.Out{{Kind: kindOpen, Body: s.secret}}
	for _, p := range s.peers {
		out.Send = append(out.Send, engine.Out{Kind: kindPad, To: p, Body: pad(s.secret, p)})
	}
	out.Next = toyCheck{s.toy}
	return out, nil
}

func (s toyCheck) Expect() engine.Expect {
	return engine.Expect{
		Wants: []engine.Want{
			{Kind: kindOpen, From: s.peers, MaxBody: 8},
			{Kind: kindPad, Direct: true, From: s.peers, MaxBody: 4},
		},
		Guard: s.tokens(),
	}
}

func (s toyCheck) Accept(kind engine.Kind, from engine.PartyID, body []byte) error {
	if kind == kindPad {
		s.pads[from] = body
		return nil
	}
	if !bytes.Equal(commitment(from, body), s.commits[from]) {
		return engine.Blamed("toy: opening", from, nil)
	}
	s.opened[from] = body
	return nil
}

func (s toyCheck) Finish(t engine.Transcript) (out engine.Outcome[string], err error) {
	var faults []*engine.Fault
	sum := bytes.Clone(s.secret)
	for _, token := range s.tokens() {
		if !bytes.Equal(s.pads[token.Peer], pad(s.opened[token.Peer], s.self)) {
			out.Burn = append(out.Burn, token)
			faults = append(faults, engine.Burned("toy: pad", token.Peer, nil))
		}
		for i, b := range s.opened[token.Peer] {
			sum[i] += b
		}
	}
	if f := engine.Merge(faults...); f != nil {
		return out, f
	}
	out.Save = []engine.Record{{Name: "sum", Value: sum}}
	out.Send = []engine.Out{{Kind: kindSum, Body: sum}}
	s.sums[s.self] = append(sum, t[:4]...)
	out.Next = toyDone{s.toy}
	return out, nil
}

func (s toyDone) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: kindSum, From: s.peers, MaxBody: 8}}}
}

func (s toyDone) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if !bytes.Equal(body, s.sums[s.self][:8]) {
		return engine.Nobody("toy: sums differ", errors.New("a sum is not ours"))
	}
	return nil
}

func (s toyDone) Finish(engine.Transcript) (out engine.Outcome[string], err error) {
	r := fmt.Sprintf("sum %x", s.sums[s.self])
	out.Result = &r
	return out, nil
}

func newToy(ids []engine.PartyID, i int, r io.Reader) engine.Stage[string] {
	t := &toy{
		self: ids[i], rand: r,
		commits: map[engine.PartyID][]byte{}, opened: map[engine.PartyID][]byte{},
		pads: map[engine.PartyID][]byte{}, sums: map[engine.PartyID][]byte{},
	}
	for j, id := range ids {
		if j != i {
			t.peers = append(t.peers, id)
		}
	}
	return toyCommit{t}
}

func params(ids []engine.PartyID) engine.Params {
	return engine.Params{Session: engine.SessionID{'s', 'i', 'd'}, Parties: ids, MaxBody: 64, Kinds: 2}
}

func session[R any](t *testing.T, ids []engine.PartyID, i int, first engine.Stage[R]) *engine.Session[R] {
	t.Helper()
	s, err := engine.New(params(ids), ids[i], first)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// toys makes n honest sessions; change may replace the stages of corrupt parties.
func toys(t *testing.T, n int, change func(i int, s engine.Stage[string]) engine.Stage[string]) []*engine.Session[string] {
	t.Helper()
	ids := enginetest.IDs(n)
	var all []*engine.Session[string]
	for i := range ids {
		first := newToy(ids, i, enginetest.Reader(uint64(i+1)))
		if change != nil {
			first = change(i, first)
		}
		all = append(all, session(t, ids, i, first))
	}
	return all
}

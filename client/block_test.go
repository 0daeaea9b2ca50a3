package client

import (
	"context"
	"errors"
	"strings"
	"testing"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/intent"
)

// blockNode reads blocks of a chain of its own.
type blockNode struct {
	*fakeNode
	head uint64
	fork uint64 // from there on its hashes are others
	lie  func(*v1.BlockResponse)
}

func (n blockNode) Block(_ context.Context, r *connect.Request[v1.BlockRequest]) (*connect.Response[v1.BlockResponse], error) {
	at := n.head
	if r.Msg.Height != nil {
		at = *r.Msg.Height
	}
	if at > n.head || r.Msg.Chain != "eip155:1" {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("no such block"))
	}
	b := &v1.BlockResponse{Height: at, Hash: make([]byte, 32)}
	b.Hash[0], b.Hash[31] = 1, byte(at)
	if n.fork > 0 && at >= n.fork {
		b.Hash[1] = 1
	}
	if n.lie != nil {
		n.lie(b)
	}
	return connect.NewResponse(b), nil
}

// Two nodes must have the block, all that have it must name one hash, and none alone says how far the chain is.
func TestBlock(t *testing.T) {
	height := func(n uint64) *uint64 { return &n }
	for name, c := range map[string]struct {
		nodes  []blockNode
		height *uint64
		want   uint64
		err    string
		class  Class
	}{
		"all agree":              {[]blockNode{{head: 9}, {head: 9}, {head: 9}}, height(7), 7, "", 0},
		"the first block":        {[]blockNode{{head: 9}, {head: 9}, {head: 9}}, height(0), 0, "", 0},
		"latest":                 {[]blockNode{{head: 9}, {head: 8}, {head: 7}}, nil, 8, "", 0},
		"latest, one far ahead":  {[]blockNode{{head: 1 << 40}, {head: 8}, {head: 7}}, nil, 8, "", 0},
		"latest, one at nothing": {[]blockNode{{head: 0}, {head: 8}, {head: 7}}, nil, 7, "", 0},
		"one is behind":          {[]blockNode{{head: 9}, {head: 9}, {head: 2}}, height(7), 7, "", 0},
		"two are behind":         {[]blockNode{{head: 9}, {head: 2}, {head: 2}}, height(7), 0, "no such block", NotReady},
		"one node":               {[]blockNode{{head: 9}}, nil, 0, "at two nodes", NotReady},
		"another fork":           {[]blockNode{{head: 9}, {head: 9, fork: 7}, {head: 9}}, height(7), 0, "nodes differ about the hash of block 7 of eip155:1: acme and cora say 0x01", Unverified},
		"latest, another fork":   {[]blockNode{{head: 9}, {head: 9, fork: 9}, {head: 9}}, nil, 0, "nodes differ", Unverified},
		"a fork above":           {[]blockNode{{head: 9}, {head: 9, fork: 8}, {head: 9}}, height(7), 7, "", 0},
		"a short hash":           {[]blockNode{{head: 9}, {head: 9, lie: func(b *v1.BlockResponse) { b.Hash = b.Hash[1:] }}, {head: 9}}, height(7), 0, "node bolt", Unverified},
		"no hash":                {[]blockNode{{head: 9}, {head: 9, lie: func(b *v1.BlockResponse) { b.Hash = nil }}, {head: 9}}, height(7), 0, "node bolt", Unverified},
		"a hash of zeros":        {[]blockNode{{head: 9}, {head: 9, lie: func(b *v1.BlockResponse) { clear(b.Hash) }}, {head: 9}}, height(7), 0, "node bolt", Unverified},
		"another height":         {[]blockNode{{head: 9}, {head: 9, lie: func(b *v1.BlockResponse) { b.Height++ }}, {head: 9}}, height(7), 0, "block 8 for 7", Unverified},
	} {
		x := Context{Name: "main"}
		for i, n := range c.nodes {
			n.fakeNode = newFake(operators[i])
			x.Nodes = append(x.Nodes, serve(t, operators[i], n, nil))
		}
		circle := Dial(x, person(t, "alice"), Cache{})
		got, err := circle.Block(t.Context(), "eip155:1", c.height)
		circle.Close()
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || Classify(err) != c.class {
				t.Errorf("%s: %v (%v), want %q (%v)", name, err, Classify(err), c.err, c.class)
			}
			continue
		}
		if want := (intent.Block{Height: c.want, Hash: [32]byte{1, 31: byte(c.want)}}); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	circle := Dial(Context{"main", []Node{{"acme", "127.0.0.1:1", identity("acme")}}}, person(t, "alice"), Cache{})
	if _, err := circle.Block(t.Context(), "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", nil); Classify(err) != Refused || !strings.Contains(err.Error(), "reads blocks of chain solana") {
		t.Errorf("a block of Solana: %v", err)
	}
}

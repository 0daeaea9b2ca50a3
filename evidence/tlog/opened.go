package tlog

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Opened are bodies of a log's leaves that its operator shows to one reader, beside what the log publishes (spec/log 11). It is no
// evidence by itself: each body is its leaf's, and the leaf's place is the reader's to check against the checkpoint.
type Opened struct {
	Origin     string
	Checkpoint []byte // signed; the leaves lie below it
	Leaves     []OpenedLeaf
}

// An OpenedLeaf is a leaf with its body.
type OpenedLeaf struct {
	Index int64
	Filed
}

// PathOpened is the file of Opened in a folder of what an operator showed.
const PathOpened = "opened"

// Bounds of Opened.
const (
	MaxOpened       = 256 << 20 // bytes
	MaxOpenedLeaves = 1 << 20
)

const (
	tagOpenedOrigin transcript.Tag = iota + 1
	tagOpenedCheckpoint
	tagOpenedLeaves

	tagOpenedIndex transcript.Tag = 1
	tagOpenedLeaf  transcript.Tag = 2
	tagOpenedBody  transcript.Tag = 3
)

const (
	maxLeaf = 256
	maxBody = MaxContent + MaxSignatures*(MaxSignature+16) + 64
)

// Encode gives the one encoding of what check accepts.
func (o Opened) Encode() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var e transcript.Encoder
	e.String(tagOpenedOrigin, o.Origin).Bytes(tagOpenedCheckpoint, o.Checkpoint)
	out := e.List(tagOpenedLeaves, len(o.Leaves), func(i int, e *transcript.Encoder) {
		l := o.Leaves[i]
		e.Uint(tagOpenedIndex, uint64(l.Index)).Bytes(tagOpenedLeaf, l.Leaf.Encode()).Bytes(tagOpenedBody, l.Body.Encode())
	}).Sum()
	if len(out) > MaxOpened {
		return nil, &FormatError{"opened bodies", 0, "file", fmt.Sprintf("has %d bytes, at most %d are allowed", len(out), MaxOpened)}
	}
	return out, nil
}

// DecodeOpened reads it, and holds every body to its leaf.
func DecodeOpened(b []byte) (o Opened, err error) {
	if len(b) > MaxOpened {
		return o, &FormatError{"opened bodies", 0, "file", fmt.Sprintf("has %d bytes, at most %d are allowed", len(b), MaxOpened)}
	}
	d := transcript.NewDecoder(b)
	o.Origin, o.Checkpoint = d.String(tagOpenedOrigin, MaxName), d.Bytes(tagOpenedCheckpoint, MaxNote)
	d.List(tagOpenedLeaves, 1, MaxOpenedLeaves, func(_ int, d *transcript.Decoder) {
		var l OpenedLeaf
		l.Index = int64(d.Uint(tagOpenedIndex, MaxSize-1))
		raw, body := d.Bytes(tagOpenedLeaf, maxLeaf), d.Bytes(tagOpenedBody, maxBody)
		if d.Err() != nil {
			return
		}
		var err error
		if l.Leaf, err = Decode(raw); err != nil {
			d.Fail(tagOpenedLeaf, err)
		}
		if l.Body, err = DecodeBody(body); err != nil {
			d.Fail(tagOpenedBody, err)
		}
		o.Leaves = append(o.Leaves, l)
	})
	if err := d.Done(); err != nil {
		return Opened{}, fmt.Errorf("decode opened bodies: %w", err)
	}
	if err := o.check(); err != nil {
		return Opened{}, err
	}
	return o, nil
}

// check: one log's checkpoint, and bodies of leaves below it, in order, each its leaf's.
func (o Opened) check() error {
	bad := func(field, format string, args ...any) error {
		return &FormatError{"opened bodies", 0, field, fmt.Sprintf(format, args...)}
	}
	n, err := splitNote(o.Checkpoint)
	if err != nil {
		return fmt.Errorf("opened bodies: %w", err)
	}
	c, err := ParseCheckpoint(n.body)
	if err != nil {
		return fmt.Errorf("opened bodies: %w", err)
	}
	if c.Origin != o.Origin {
		return bad("checkpoint", "is of log %q, not of %q", c.Origin, o.Origin)
	}
	if len(o.Leaves) == 0 || len(o.Leaves) > MaxOpenedLeaves {
		return bad("leaves", "are %d, not 1 to %d", len(o.Leaves), MaxOpenedLeaves)
	}
	last := int64(-1)
	for _, l := range o.Leaves {
		which := fmt.Sprintf("leaf %d", l.Index)
		switch {
		case l.Index <= last:
			return bad(which, "stands behind leaf %d", last)
		case l.Index >= c.Head.Size:
			return bad(which, "is not below the checkpoint, which has %d", c.Head.Size)
		case len(l.Content) == 0:
			return bad(which, "has no body")
		case !Named(l.Kind) && !l.Fits(l.Body):
			return bad(which, "has a body that its id does not name")
		}
		last = l.Index
	}
	return nil
}

// Head is what the checkpoint says, whoever signed it.
func (o Opened) Head() (Head, error) {
	n, err := splitNote(o.Checkpoint)
	if err != nil {
		return Head{}, err
	}
	c, err := ParseCheckpoint(n.body)
	return c.Head, err
}

// Bundles gives each body bundle that holds a shown body, by its path: those of the leaves between are empty.
func (o Opened) Bundles() (map[string][]byte, error) {
	head, err := o.Head()
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for at := 0; at < len(o.Leaves); {
		n := o.Leaves[at].Index / tileWidth
		t := Tile{Entries, n, int(min(head.Size-n*tileWidth, tileWidth))}
		if t.Width < 1 {
			return nil, errors.New("a leaf lies beyond the checkpoint")
		}
		bodies := make([]Body, t.Width)
		for ; at < len(o.Leaves) && o.Leaves[at].Index/tileWidth == n; at++ {
			bodies[o.Leaves[at].Index%tileWidth] = o.Leaves[at].Body
		}
		out[t.BodyPath()] = EncodeBodies(bodies)
	}
	return out, nil
}

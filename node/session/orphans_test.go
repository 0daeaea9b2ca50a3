package session

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
)

func id(i int) (x [32]byte) {
	binary.BigEndian.PutUint64(x[:], uint64(i))
	return x
}

// Each link has its own bound, in frames and in bytes; beyond it its oldest frames go.
func TestOrphanBounds(t *testing.T) {
	now, a, b := time.Unix(0, 0), engine.PartyID{1}, engine.PartyID{2}
	for name, c := range map[string]struct{ size, frames int }{
		"small frames": {10, orphanCount}, "large frames": {1 << 20, orphanBytes >> 20},
	} {
		o := newOrphans()
		o.keep(b, orphan{of: id(0), frame: []byte("b"), since: now})
		frame := make([]byte, c.size)
		for i := range c.frames + 100 {
			o.keep(a, orphan{of: id(i), frame: frame, since: now})
		}
		if l := o.links[a]; len(l.frames) != c.frames || l.bytes != c.frames*c.size {
			t.Errorf("%s: %d are kept, %d bytes", name, len(l.frames), l.bytes)
		}
		if got := o.take(id(99)); len(got) != 0 {
			t.Errorf("%s: the oldest was kept", name)
		}
		if got := o.take(id(c.frames + 99)); len(got) != 1 || o.links[a].bytes != (c.frames-1)*c.size {
			t.Errorf("%s: the youngest was not kept", name)
		}
		if got := o.take(id(0)); len(got) != 1 || string(got[0].frame) != "b" {
			t.Errorf("%s: one link pushed another's out", name)
		}
	}
}

func TestOrphansInOrderAndExpired(t *testing.T) {
	now, a, b := time.Unix(1000, 0), engine.PartyID{1}, engine.PartyID{2}
	o := newOrphans()
	o.keep(b, orphan{of: id(1), frame: []byte("b1"), since: now})
	o.keep(a, orphan{of: id(1), frame: []byte("a1"), since: now})
	o.keep(a, orphan{of: id(2), frame: []byte("x"), since: now})
	o.keep(a, orphan{of: id(1), frame: []byte("a2"), since: now})
	var all string
	for _, f := range o.take(id(1)) {
		all += string(f.frame) + " "
	}
	if all != "a1 a2 b1 " {
		t.Errorf("took %s", all)
	}
	o.expire(now.Add(orphanLife - 1))
	if len(o.links[a].frames) != 1 {
		t.Error("expired too early")
	}
	o.expire(now.Add(-2 * orphanLife)) // the clock was set back
	if len(o.links) != 0 {
		t.Error("not expired")
	}
}

func TestOverIsBounded(t *testing.T) {
	o := newOver()
	for i := range 3 * maxOver {
		o.add(id(i))
		o.add(id(i))
	}
	if len(o.set) != maxOver || len(o.ring) != maxOver || o.has(id(2*maxOver-1)) || !o.has(id(2*maxOver)) || !o.has(id(3*maxOver-1)) {
		t.Errorf("%d are remembered", len(o.set))
	}
}

func TestBurnRowsOfStrangeForm(t *testing.T) {
	for _, key := range []string{"", "00", "00/", "zz/00", "00/00", string(make([]byte, 64))} {
		if _, err := parseBurn(key); err == nil {
			t.Errorf("%q is a burn row", key)
		}
	}
}

package published

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// Opened are bodies that an operator opened to this reader (spec/log 11), to be read with what its log publishes.
type Opened struct {
	Folder     string
	Checkpoint []byte // that they stand below, as the log signed it: the reader saw it

	origin string
	leaves map[int64]tlog.OpenedLeaf
	found  bool           // its log was read
	shown  map[int64]bool // leaves whose bodies nobody else is shown
	wrong  error          // what was opened is not of the log
}

// ErrUnread says that what was opened is of a log that was not read.
var ErrUnread = errors.New("is not among what was read")

// ReadOpened reads a folder that `ostraka log read` wrote.
func ReadOpened(folder string) (*Opened, error) {
	f, err := os.Open(filepath.Join(folder, tlog.PathOpened))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, tlog.MaxOpened+1))
	if err != nil {
		return nil, err
	}
	o, err := tlog.DecodeOpened(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	out := &Opened{Folder: folder, Checkpoint: o.Checkpoint, origin: o.Origin, leaves: map[int64]tlog.OpenedLeaf{}, shown: map[int64]bool{}}
	for _, l := range o.Leaves {
		out.leaves[l.Index] = l
	}
	return out, nil
}

// Bodies is how many of the bodies stood in the log and nowhere else; the error is why they cannot be told to be of the log.
func (o *Opened) Bodies() (int, error) {
	switch {
	case o.wrong != nil:
		return 0, o.wrong
	case !o.found:
		return 0, fmt.Errorf("log %s %w", o.origin, ErrUnread)
	}
	return len(o.shown), nil
}

// WithOpened gives a log's files with the bodies that were opened in their places. The reader holds each to its leaf's id, as it does those that everybody
// is shown. It is read by one goroutine.
func WithOpened(fetch tlog.Fetch, all []*Opened) tlog.Fetch {
	var mine []*Opened
	return func(path string) ([]byte, error) {
		b, err := fetch(path)
		if path == tlog.PathKeys && err == nil {
			mine = of(b, all)
		}
		if len(mine) == 0 {
			return b, err
		}
		if t, e := tlog.ParsePath(path); e == nil && t.Level == tlog.Entries && err == nil {
			for _, o := range mine {
				o.hold(t, b)
			}
		}
		t, e := tlog.ParseBodyPath(path)
		withheld := errors.Is(err, verify.ErrNotThere)
		if e != nil || err != nil && (!withheld || !t.Whole()) { // of a part that is not there the whole is asked for
			return b, err
		}
		bodies := make([]tlog.Body, t.Width)
		if !withheld {
			if bodies, e = tlog.DecodeBodies(b, t.Width); e != nil {
				return b, nil // the reader says what is wrong
			}
		}
		n := 0
		for _, o := range mine {
			n += o.put(t, bodies)
		}
		if n == 0 {
			return b, err
		}
		return tlog.EncodeBodies(bodies), nil
	}
}

// of finds what was opened of the log with these keys.
func of(keys []byte, all []*Opened) (mine []*Opened) {
	k, _, _, err := tlog.DecodeKeys(keys)
	for _, o := range all {
		if err == nil && o.origin == k.Origin {
			o.found = true
			mine = append(mine, o)
		}
	}
	return mine
}

// hold wants the leaves of what was opened to be those of an entry bundle.
func (o *Opened) hold(t tlog.Tile, bundle []byte) {
	leaves, err := tlog.DecodeEntries(bundle)
	if err != nil {
		return // the reader says so
	}
	first, _ := t.Leaves()
	for i, raw := range leaves {
		if l, ok := o.leaves[first+int64(i)]; ok && !bytes.Equal(l.Leaf.Encode(), raw) {
			o.wrong = fmt.Errorf("entry %d of the log is another than what was opened", l.Index)
		}
	}
}

// put fills the places of a bundle that have no body.
func (o *Opened) put(t tlog.Tile, bodies []tlog.Body) (n int) {
	if o.wrong != nil {
		return 0
	}
	first, _ := t.Leaves()
	for i := range bodies {
		if l, ok := o.leaves[first+int64(i)]; ok && len(bodies[i].Content) == 0 {
			bodies[i], o.shown[l.Index] = l.Body, true
			n++
		}
	}
	return n
}

package tlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// openedOf is a log of 600 leaves, and bodies of some that its operator opens.
func openedOf(t testing.TB, which ...int64) Opened {
	t.Helper()
	k, _, _, identity := ownKeys(t)
	log, _ := Derive(identity, 0)
	signer, err := NewLogSigner(k.Origin, log)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Checkpoint{Origin: k.Origin, Head: Head{Size: 600, Root: Hash{1}}}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	o := Opened{Origin: k.Origin, Checkpoint: signed}
	for _, i := range which {
		f := Says(KindDecision, time.Unix(1_900_000_000+i, 0).UTC(), [32]byte{2}, fmt.Append(nil, "body ", i), []byte("signature")).On([32]byte{3})
		o.Leaves = append(o.Leaves, OpenedLeaf{i, f})
	}
	return o
}

func TestOpened(t *testing.T) {
	o := openedOf(t, 0, 5, 255, 256, 599)
	raw, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeOpened(raw)
	if err != nil || got.Origin != o.Origin || !bytes.Equal(got.Checkpoint, o.Checkpoint) || len(got.Leaves) != 5 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, l := range got.Leaves {
		if l.Index != o.Leaves[i].Index || l.Leaf != o.Leaves[i].Leaf || !bytes.Equal(l.Body.Encode(), o.Leaves[i].Body.Encode()) {
			t.Errorf("leaf %d is %+v", i, l)
		}
	}
	bundles, err := got.Bundles()
	if err != nil || len(bundles) != 3 {
		t.Fatalf("%d bundles, %v", len(bundles), err)
	}
	shown := 0
	for path, b := range bundles {
		tile, err := ParseBodyPath(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies, err := DecodeBodies(b, tile.Width)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for i, body := range bodies {
			index := tile.Index*tileWidth + int64(i)
			at := slices.IndexFunc(o.Leaves, func(l OpenedLeaf) bool { return l.Index == index })
			if (len(body.Content) > 0) != (at >= 0) || at >= 0 && !o.Leaves[at].Fits(body) {
				t.Errorf("%s, body %d: %q", path, i, body.Content)
			}
			if at >= 0 {
				shown++
			}
		}
	}
	if _, ok := bundles["body/002.p/88"]; !ok || shown != 5 {
		t.Errorf("%d bodies are shown", shown)
	}
}

// Nothing but what was opened is read: no cut, no addition, and no body that its leaf does not name.
func TestOpenedRefuses(t *testing.T) {
	raw, err := openedOf(t, 3, 7).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		if _, err := DecodeOpened(raw[:i]); err == nil {
			t.Fatalf("cut at %d: read", i)
		}
	}
	if _, err := DecodeOpened(append(slices.Clone(raw), 0)); err == nil {
		t.Error("with a byte more: read")
	}
	for name, c := range map[string]struct {
		change func(*Opened)
		why    string
	}{
		"another body":     {func(o *Opened) { o.Leaves[0].Content = []byte("other") }, "leaf 3 has a body that its id does not name"},
		"no body":          {func(o *Opened) { o.Leaves[1].Content = nil }, "leaf 7 has no body"},
		"twice":            {func(o *Opened) { o.Leaves[1] = o.Leaves[0] }, "stands behind leaf 3"},
		"out of order":     {func(o *Opened) { slices.Reverse(o.Leaves) }, "stands behind leaf 7"},
		"beyond":           {func(o *Opened) { o.Leaves[1].Index = 600 }, "is not below the checkpoint, which has 600"},
		"none":             {func(o *Opened) { o.Leaves = nil }, "leaves are 0"},
		"another log":      {func(o *Opened) { o.Origin += "0" }, "checkpoint is of log"},
		"no checkpoint":    {func(o *Opened) { o.Checkpoint = nil }, "signed note"},
		"half a leaf":      {func(o *Opened) { o.Leaves[0].Kind = "" }, ""},
		"a long signature": {func(o *Opened) { o.Leaves[0].Signatures = [][]byte{make([]byte, MaxSignature+1)} }, ""},
	} {
		o := openedOf(t, 3, 7)
		c.change(&o)
		b, err := o.Encode()
		if c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: written: %v", name, err)
		}
		if err == nil { // what cannot be known when it is written
			_, err = DecodeOpened(b)
		}
		if err == nil {
			t.Errorf("%s: read", name)
		}
	}
	var format *FormatError
	if _, err := DecodeOpened(make([]byte, MaxOpened+1)); !errors.As(err, &format) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzOpened(f *testing.F) {
	raw, err := openedOf(f, 3, 7).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeOpened(b)
		if err != nil {
			return
		}
		again, err := o.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read and written again it differs: %v", err)
		}
		if _, err := o.Bundles(); err != nil {
			t.Fatal(err)
		}
	})
}

package session

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from this implementation")

// Byte snapshots of every frame, of what is hashed into the session id, and of one direction's key.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	put := func(name string, b []byte) { fmt.Fprintf(&out, "%s %x\n", name, b) }
	o := open(t, proposal(2), 1)
	h, id := o.setup.Hash(), o.channels[0].Session()
	put("setup", o.setup.Encode())
	put("setup-hash", h[:])
	put("setup-frame", o.frame)
	put("join-frame-0", o.joins[0])
	put("join-frame-1", o.joins[1])
	put("session", id[:])
	put("broadcast-frame", o.seal(t, 0, -1, 1, "to all"))
	put("private-frame", o.seal(t, 0, 1, 1, "to one"))
	put("private-frame-back", o.seal(t, 1, 0, 1, "to one"))
	r, err := Coins(bytes.NewReader(make([]byte, 32)), []byte("share"), id, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	coins := make([]byte, 64)
	_, _ = r.Read(coins)
	put("coins", coins)

	file := filepath.Join("testdata", "golden.txt")
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

package keygen

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from this implementation")

// Byte snapshots of every message and of the output: 2-of-3, ids and coins of these tests.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	for _, g := range []group.Group{secp256k1.Group{}, ristretto255.Group{}} {
		c := enginetest.Run(enginetest.Options{}, machines(t, committee(g, 2, 3, sid, 1))...)
		outs, err := c.Results()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "# %s\n", g.Name())
		for _, m := range c.Parties[0].Sent {
			fmt.Fprintf(&out, "round %d kind %#x to %v %x\n", m.Round, uint8(m.Kind), m.To, m.Body)
		}
		o := outs[0]
		fmt.Fprintf(&out, "share %x\npublic %x\nchain-code %x\necho %x\n", o.Share.Bytes(), o.Public.Bytes(), o.ChainCode, o.Echo)
		for _, id := range enginetest.IDs(3) {
			fmt.Fprintf(&out, "public-share %v %x\n", id, o.Publics[id].Bytes())
		}
	}
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

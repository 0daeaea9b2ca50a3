package pve

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from this implementation")

// Byte snapshots of every wire form, and the values of the first rows step by step, for whoever writes another implementation. A change
// here is a change of Suite. Long values stand as length and SHA-256.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	long := func(name string, b []byte) { fmt.Fprintf(&out, "%s %d %x\n", name, len(b), sha256.Sum256(b)) }
	short := func(name string, b []byte) { fmt.Fprintf(&out, "%s %x\n", name, b) }

	for _, g := range groups {
		c, s, k := sample(t, g)
		ek := c.Key
		possession, err := k.ProvePossession([]byte("golden"), stream("golden nonce"))
		if err != nil {
			t.Fatal(err)
		}
		f, d := dealing(t, c, s)
		proof := encrypt(t, c, s, "coins")
		h := f.hash(&d.rows)
		if !bytes.Equal(d.encode(h), proof) {
			t.Error("one value and source, two proofs")
		}
		fmt.Fprintf(&out, "# %s\n", g.Name())
		short("private-key", k.Bytes().Expose())
		short("ek", ek[:])
		short("possession", possession)
		short("value", s.Bytes())
		short("point", c.Point.Bytes())
		short("context", f.tree)
		long("seeds", d.seeds)
		for j := range 2 {
			x0 := f.share(j, d.seed(j, 0))
			for side := range 2 {
				short(fmt.Sprintf("r-%d-%d", j, side), d.seed(j, side))
				short(fmt.Sprintf("c-%d-%d", j, side), d.rows[j].sealed[side])
			}
			short(fmt.Sprintf("x-%d-0", j), x0.Bytes())
			short(fmt.Sprintf("x-%d-1", j), d.ones[j][:])
			short(fmt.Sprintf("X-%d-0", j), d.rows[j].point)
		}
		short("h", h[:])
		long("proof", proof)
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
		t.Errorf("snapshots differ\ngot:\n%s\nwant:\n%s", out.Bytes(), want)
	}
}

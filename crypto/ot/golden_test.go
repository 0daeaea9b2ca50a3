package ot

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

// Byte snapshots of every message and stored state, and of the outputs. A change here is a change
// of Suite. Long values stand as length and SHA-256.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	long := func(name string, b []byte) { fmt.Fprintf(&out, "%s %d %x\n", name, len(b), sha256.Sum256(b)) }
	short := func(name string, b []byte) { fmt.Fprintf(&out, "%s %x\n", name, b) }

	setup, session, sid := idOf("golden set-up", 0), idOf("golden session", 0), [32]byte{31: 9}
	c, phi, err := NewChooser(setup, stream("golden A"))
	if err != nil {
		t.Fatal(err)
	}
	l, answer, err := Answer(setup, stream("golden B"), phi)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish(answer)
	if err != nil {
		t.Fatal(err)
	}
	rcv, extension, err := Extend(session, l, stream("golden β"))
	if err != nil {
		t.Fatal(err)
	}
	snd, err := Check(session, p, extension)
	if err != nil {
		t.Fatal(err)
	}
	a := scalars(t, stream("golden a"))
	prod, msg, err := snd.Multiply(sid, a, stream("golden η"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := rcv.Finish(sid, msg)
	if err != nil {
		t.Fatal(err)
	}
	b := rcv.Chi()
	short("setup-psid", setup[:])
	short("session-psid", session[:])
	short("sid", sid[:])
	long("phi", phi)
	long("answer", answer)
	long("leaves", l.Encode().Expose())
	long("punctured", p.Encode().Expose())
	long("extension", extension)
	long("product", msg)
	short("gadget-0", gadget[0].Bytes())
	short("gadget-415", gadget[payload-1].Bytes())
	short("b", b.Bytes())
	for k := range a {
		short(fmt.Sprintf("a-%d", k), a[k].Bytes())
		short(fmt.Sprintf("c-%d", k), prod[k].Bytes())
		short(fmt.Sprintf("d-%d", k), d[k].Bytes())
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

package dkls

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

var update = flag.Bool("update", false, "write the outputs of testdata anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; now it is\n%s", path, got)
	}
}

// Sessions of three signers, to be read.
func TestSessionTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	all := newStand(t, 3, 3, 0, 1)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := enginetest.Script(string(text), honest(t, all.fresh())...)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, path, got)
		})
	}
}

// The bytes on the wire for fixed coins: a change here is a change of spec/dkls-sign.
func TestWireSnapshot(t *testing.T) {
	var b strings.Builder
	for _, m := range newStand(t, 2, 2, 0, 1).now {
		fmt.Fprintf(&b, "%v to %v, round %d, kind %#x, %d bytes, sha256 %x\n",
			m.From, m.To, m.Round, uint8(m.Kind), len(m.Body), sha256.Sum256(m.Body))
	}
	golden(t, "testdata/wire.txt", b.String())
}

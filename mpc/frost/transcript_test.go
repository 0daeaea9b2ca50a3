package frost

import (
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
	all := newStand(t, BIP340, 3, 3, 0, 1)
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

// The bytes on the wire for fixed coins, and the signature: a change here is a change of spec/frost.
func TestWireSnapshot(t *testing.T) {
	var b strings.Builder
	for _, suite := range suites {
		s := newStand(t, suite, 2, 2, 0, 1)
		fmt.Fprintf(&b, "%s\n", suite)
		for _, m := range s.now {
			fmt.Fprintf(&b, "%v to %v, round %d, kind %#x, %d bytes: %x\n", m.From, m.To, m.Round, uint8(m.Kind), len(m.Body), m.Body)
		}
		results, err := enginetest.Run(enginetest.Options{}, honest(t, s.fresh())...).Results()
		if err != nil {
			t.Fatal(err)
		}
		key, err := KeyOf(suite, s.all[0].Public, s.all[0].Tweak, s.all[0].Taproot)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "key %x\nsignature %v\n", key.Bytes, results[0])
	}
	golden(t, "testdata/wire.txt", b.String())
}

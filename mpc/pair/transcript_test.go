package pair

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/wire.txt anew")

// The bytes on the wire and in the store for fixed coins: a change here is a change of
// spec/pair, and stored states of older versions no longer load.
func TestSnapshot(t *testing.T) {
	var b strings.Builder
	for _, m := range newStand(t, 3).now {
		fmt.Fprintf(&b, "%v to %v, round %d, kind %#x, %d bytes, sha256 %x\n",
			m.From, m.To, m.Round, uint8(m.Kind), len(m.Body), sha256.Sum256(m.Body))
	}
	all := parties(2)
	state := dealt(t, all)[0][all[1].ID].Encode()
	fmt.Fprintf(&b, "state, %d bytes, sha256 %x\n", state.Len(), sha256.Sum256(state.Expose()))
	got := b.String()
	const path = "testdata/wire.txt"
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

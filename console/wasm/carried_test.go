//go:build embed_wasm

package wasm

import (
	"bytes"
	"os"
	"testing"
)

// What this build carries is what was built: TestEmbedded runs it.
func TestCarried(t *testing.T) {
	got, err := Verifier()
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("OSTRAKA_BUILT")
	if dir == "" {
		dir = "dist"
	}
	want, err := Read(dir)
	if err != nil || !bytes.Equal(got.Packed, want.Packed) || !bytes.Equal(got.Runtime, want.Runtime) {
		t.Errorf("another program is carried, %v", err)
	}
}

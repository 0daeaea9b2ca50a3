package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
)

const childEnv = "OSTRAKA_SEAL_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv(childEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	var err error
	if _, statErr := os.Stat(path); errors.Is(statErr, fs.ErrNotExist) {
		_, err = CreateFile(ctx, path, label, having("a", "b"), rand.Reader, one("a"), Slot{"paper", []Provider{{Kind: "b"}}})
	} else {
		_, _, err = RekeyFile(ctx, path, label, having("a"), Change{Put: []Slot{one("a")}, Remove: []string{"paper"}}, having("a'"), rand.Reader)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

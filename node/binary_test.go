package node_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/internal/stamp"
	"github.com/ostraka/ostraka/node"
)

// The file that runs is hashed, not what lies at its path by now: this program runs itself as a copy that puts another file
// in its own place first.
func TestBinary(t *testing.T) {
	const ask = "OSTRAKA_TEST_REPLACE"
	if path := os.Getenv(ask); path != "" {
		if runtime.GOOS == "linux" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("another program"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		sum, version, err := node.Binary()
		if again, _, _ := node.Binary(); err != nil || again != sum {
			t.Fatalf("%v, then %x", err, again)
		}
		fmt.Printf("%x %s\n", sum, version)
		return
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run", "^TestBinary$", "-test.count", "1")
	cmd.Env = append(os.Environ(), ask+"="+path)
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("%x %s\n", sha256.Sum256(program), stamp.Version()); err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("the copy says %q, %v; it is %s", out, err, want)
	}
}

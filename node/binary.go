package node

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/ostraka/ostraka/internal/stamp"
)

// Binary is the SHA-256 of the program that runs, and its version. It is computed once. On Linux it is of the file that was
// started, even if another has taken its place on disk since.
func Binary() (sum [32]byte, version string, err error) {
	sum, err = running()
	return sum, stamp.Version(), err
}

var running = sync.OnceValues(func() (sum [32]byte, err error) {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		if path, err = os.Executable(); err != nil {
			return sum, fmt.Errorf("find the running program: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return sum, fmt.Errorf("hash the running program: %w: it must be readable, and on Linux /proc mounted", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, fmt.Errorf("hash the running program: %w", err)
	}
	return [32]byte(h.Sum(nil)), nil
})

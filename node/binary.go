package node

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// What a release is, and the source that it is of: the linker writes them (spec/release 3). They are empty in any other
// build.
var release, commit string

// Version is the release, else the build's module version, or "devel".
func Version() string {
	if release != "" {
		return release
	}
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" && bi.Main.Version != "(devel)" {
		return bi.Main.Version
	}
	return "devel"
}

// Commit is git's name of the source that the program was built of, with "-dirty" behind it if that was changed; empty if
// it is not known.
func Commit() string {
	bi, ok := debug.ReadBuildInfo()
	if commit != "" || !ok {
		return commit
	}
	name, dirty := "", ""
	for _, s := range bi.Settings {
		switch {
		case s.Key == "vcs.revision":
			name = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if name == "" {
		return ""
	}
	return name + dirty
}

// Binary is the SHA-256 of the program that runs, and its version. It is computed once. On Linux it is of the file that was
// started, even if another has taken its place on disk since.
func Binary() (sum [32]byte, version string, err error) {
	sum, err = running()
	return sum, Version(), err
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

// Package stamp says which release a program is, and of what source.
package stamp

import (
	"fmt"
	"runtime"
	"runtime/debug"
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

// Line is all of it for people: "v0.5.0 (go1.26.8, linux/amd64, commit 1a2b…)". Every program shows it: the linker leaves out
// what a program never reads, and then nobody could tell which source it is of.
func Line() string {
	source := ""
	if c := Commit(); c != "" {
		source = ", commit " + c
	}
	return fmt.Sprintf("%s (%s, %s/%s%s)", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, source)
}

package main

import (
	"os"
	"strings"

	"github.com/ostraka/ostraka/evidence/release"
)

// releaseSigners is how many maintainers must have signed a release (spec/release 2.4).
const releaseSigners = 2

// releases reads signed notes of releases, and gives what says of a program's hash which of them it is; nil without notes.
func releases(notes, maintainers []string) (func([32]byte) string, error) {
	if len(notes) == 0 {
		if len(maintainers) > 0 {
			return nil, usage("--maintainer needs a --release whose note is held to it")
		}
		return nil, nil
	}
	who, err := release.ParseMaintainers([]byte(strings.Join(maintainers, "\n") + "\n"))
	if err != nil {
		return nil, usage("--maintainer: %w", err)
	}
	if len(who.Names()) < releaseSigners {
		return nil, usage("--release needs the keys of %d maintainers that you trust: --maintainer, twice", releaseSigners)
	}
	var all []release.Signed
	for _, path := range notes {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s, err := release.Open(raw, who, releaseSigners)
		if err != nil {
			return nil, unverified("do not believe this note; get the release's again, and the maintainers' keys from them", "%s: %w", path, err)
		}
		all = append(all, s)
	}
	return func(binary [32]byte) string {
		s, f, ok := release.Find(all, binary)
		if !ok {
			return ""
		}
		return s.Version + " for " + f.Platform
	}, nil
}

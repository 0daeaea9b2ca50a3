package hd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// MaxDepth is the most steps below a root.
	MaxDepth = 8
	// MaxStep is the largest step that is not hardened, 2^31 − 1.
	MaxStep = 1<<31 - 1
)

// ErrHardened refuses a hardened step: it hashes the private key, which nobody has.
var ErrHardened = errors.New("hardened steps need the private key, which no party has")

// A Path is the steps from a root to a key, each at most MaxStep.
type Path []uint32

// ParsePath parses "m" for the root and "m/0/5/7": at most 8 steps, in decimal without
// signs or leading zeros, so that a key has one path. A hardened step ("0'", "0h" or ≥ 2^31) is ErrHardened.
func ParsePath(s string) (Path, error) {
	head, rest, more := strings.Cut(s, "/")
	if head != "m" {
		return nil, fmt.Errorf("derivation path %.80q does not begin with m", s)
	}
	var p Path
	for more {
		var step string
		step, rest, more = strings.Cut(rest, "/")
		if len(p) == MaxDepth {
			return nil, fmt.Errorf("derivation path %.80q has more than %d steps", s, MaxDepth)
		}
		v, err := parseStep(step)
		if err != nil {
			return nil, fmt.Errorf("derivation path %.80q, step %d: %w", s, len(p)+1, err)
		}
		p = append(p, v)
	}
	return p, nil
}

func parseStep(s string) (uint32, error) {
	if n := len(s); n > 1 && strings.ContainsAny(s[n-1:], "'hH") {
		if _, err := strconv.ParseUint(s[:n-1], 10, 31); err == nil {
			return 0, ErrHardened
		}
	}
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil || strconv.FormatUint(v, 10) != s {
		return 0, fmt.Errorf("%.20q is not a number from 0 to %d", s, MaxStep)
	}
	if v > MaxStep {
		return 0, ErrHardened
	}
	return uint32(v), nil
}

// String is the path as ParsePath takes it.
func (p Path) String() string {
	b := []byte{'m'}
	for _, step := range p {
		b = strconv.AppendUint(append(b, '/'), uint64(step), 10)
	}
	return string(b)
}

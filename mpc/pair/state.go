package pair

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	// SeedSize is the length of a zero-share seed in bytes.
	SeedSize = 32

	// StateSize is the length of an encoded State in bytes.
	StateSize = 1 + ot.LeavesSize + ot.PuncturedSize + SeedSize

	stateVersion = 1
)

// State is what we share with one peer. It is secret and read-only until the next
// refresh: any number of sessions may use it at once. After one failed check it must
// never be used again (protocols.md 2.3).
type State struct {
	Leaves    *ot.Leaves    // we as multiplication receiver: both leaves of every choice
	Punctured *ot.Punctured // we as multiplication sender: all leaves but those at Δ
	Seed      secret.Bytes  // 32 bytes, equal at both ends: zero shares
}

// Encode is for storage, StateSize bytes (spec/pair 4): version 1 ‖ leaves ‖ punctured leaves ‖
// seed. The caller seals it with key and epoch as associated data, and wipes it.
func (s *State) Encode() secret.Bytes {
	leaves, punctured := s.Leaves.Encode(), s.Punctured.Encode()
	defer leaves.Wipe()
	defer punctured.Wipe()
	b := append(make([]byte, 0, StateSize), stateVersion)
	b = append(append(b, leaves.Expose()...), punctured.Expose()...)
	return secret.New(append(b, s.Seed.Expose()...))
}

// DecodeState reads what Encode wrote and nothing else. It keeps copies: the caller wipes
// the input.
func DecodeState(in secret.Bytes) (*State, error) {
	b := in.Expose()
	if len(b) != StateSize {
		return nil, fmt.Errorf("decode pair state: %d bytes, not %d", len(b), StateSize)
	}
	if b[0] != stateVersion {
		return nil, fmt.Errorf("decode pair state: version %d, not %d", b[0], stateVersion)
	}
	leaves, b := b[1:1+ot.LeavesSize], b[1+ot.LeavesSize:]
	punctured, b := b[:ot.PuncturedSize], b[ot.PuncturedSize:]
	s, err := &State{Seed: secret.Copy(b)}, error(nil)
	if s.Leaves, err = ot.DecodeLeaves(leaves); err == nil {
		s.Punctured, err = ot.DecodePunctured(punctured)
	}
	if err != nil {
		s.Wipe()
		return nil, fmt.Errorf("decode pair state: %w", err)
	}
	return s, nil
}

// Wipe overwrites the state: after a refresh, and after a burn.
func (s *State) Wipe() {
	if s == nil {
		return
	}
	if s.Leaves != nil {
		s.Leaves.Wipe()
	}
	if s.Punctured != nil {
		s.Punctured.Wipe()
	}
	s.Seed.Wipe()
}

// Format redacts under every verb.
func (State) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// MarshalText redacts in JSON, YAML and structured logs.
func (State) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

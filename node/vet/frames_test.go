package vet

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/vetted"
)

func FuzzDecodeFrames(f *testing.F) {
	f.Add(answer{nonce: [32]byte{1}, body: []byte("evidence")}.encode())
	f.Add(answer{nonce: [32]byte{1}, why: "none"}.encode())
	f.Add(challenge{nonce: [32]byte{1}, body: []byte("challenge")}.encode())
	f.Add(standing{good: true}.encode())
	f.Add(ask{[32]byte{1}, [32]byte{2}}.encode())
	f.Add(standing{why: "no"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again []byte) {
			if !bytes.Equal(again, b) {
				t.Errorf("%s %x is read, and written as %x", what, b, again)
			}
		}
		if a, err := decodeAnswer(b, vetted.MaxEvidence); err == nil && short(a.why) == a.why {
			same("answer", a.encode())
		}
		if _, err := decodeAnswer(b, tpm.SecretSize); err == nil && len(b) > 1024 {
			t.Errorf("an answer of %d bytes to a challenge", len(b))
		}
		if c, err := decodeChallenge(b); err == nil {
			same("challenge", c.encode())
		}
		if s, err := decodeStanding(b); err == nil && short(s.why) == s.why {
			same("standing", s.encode())
		}
		if q, err := decodeAsk(b); err == nil {
			same("question", q.encode())
		}
		p := &peer{}
		if p.loadKeys(b) == nil {
			same("keys", encodeKeys(p.keys))
		}
	})
}

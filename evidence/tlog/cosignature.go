package tlog

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// maxTime is the latest second of a cosignature, as of a leaf.
const maxTime = 1 << 40

// A Witness knows a witness: its name and its Ed25519 key (C2SP tlog-cosignature, type 0x04).
type Witness struct{ noteKey }

// NewWitness refuses keys that signet.CheckIdentity refuses.
func NewWitness(name string, key ed25519.PublicKey) (Witness, error) {
	k, err := newKey(name, typeCosignature, key)
	return Witness{k}, err
}

// ParseWitness reads a vkey of type 0x04, in its one form.
func ParseWitness(vkey string) (Witness, error) {
	k, err := parseKey(vkey, typeCosignature)
	return Witness{k}, err
}

// Verify says whether a timestamped signature is the key's over a note's text.
func (w Witness) Verify(text, signature []byte) bool {
	_, ok := w.open(text, signature)
	return ok
}

// open verifies a timestamped signature: time 8, big-endian ‖ Ed25519 64.
func (w Witness) open(text, signature []byte) (time.Time, bool) {
	if len(signature) != 8+ed25519.SignatureSize {
		return time.Time{}, false
	}
	at := binary.BigEndian.Uint64(signature)
	if at > maxTime || !ed25519.Verify(w.public[:], cosignedMessage(text, at), signature[8:]) {
		return time.Time{}, false
	}
	return time.Unix(int64(at), 0).UTC(), true
}

// cosignedMessage begins with a line that no checkpoint begins with before a size: what a
// witness signs is never what a log signs, even with the same key.
func cosignedMessage(body []byte, at uint64) []byte {
	return slices.Concat(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), body)
}

// A Cosigner signs as a witness.
type Cosigner struct {
	witness Witness
	sign    func([]byte) ([]byte, error)
}

// NewCosigner takes a witness's key. It holds the key, and neither copies nor wipes it.
func NewCosigner(name string, key crypto.Signer) (Cosigner, error) {
	public, sign, err := newSigner(key)
	if err != nil {
		return Cosigner{}, fmt.Errorf("witness %s: %w", name, err)
	}
	w, err := NewWitness(name, public)
	return Cosigner{w, sign}, err
}

// Witness is what others know this witness by.
func (c Cosigner) Witness() Witness { return c.witness }

// Cosign gives the signature line of a cosignature at a time, in whole seconds of 1970 to 2⁴⁰ s
// later. The caller has judged the checkpoint, and stored that it did, before.
func (c Cosigner) Cosign(cp Checkpoint, at time.Time) ([]byte, error) {
	if c.sign == nil {
		return nil, fmt.Errorf("cosign checkpoint of log %q: no key", cp.Origin)
	}
	if at.Unix() < 0 || at.Unix() > maxTime {
		return nil, fmt.Errorf("cosign checkpoint of log %q: time %d is not in 0 to 2⁴⁰", cp.Origin, at.Unix())
	}
	body, err := cp.body()
	if err != nil {
		return nil, err
	}
	seconds := uint64(at.Unix())
	signature, err := c.sign(cosignedMessage(body, seconds))
	if err != nil {
		return nil, fmt.Errorf("cosign checkpoint of log %q: %w", cp.Origin, err)
	}
	return c.witness.line(append(binary.BigEndian.AppendUint64(nil, seconds), signature...)), nil
}

// AddCosignature puts the lines that a witness answered beneath a signed checkpoint. Lines of
// other keys are passed over; of the witness's own the latest is taken, in place of any that
// the checkpoint had.
func AddCosignature(signed, lines []byte, w Witness) ([]byte, Cosigned, error) {
	n, err := splitNote(signed)
	if err != nil {
		return nil, Cosigned{}, err
	}
	if len(lines) > MaxNote {
		return nil, Cosigned{}, &FormatError{"cosignatures", 0, "text", fmt.Sprintf("has %d bytes, at most %d are allowed", len(lines), MaxNote)}
	}
	answered, err := splitLines(lines, 1)
	if err != nil {
		return nil, Cosigned{}, err
	}
	var best noteLine
	var at time.Time
	for _, l := range answered {
		if !w.wrote(l) {
			continue
		}
		t, ok := w.open(n.body, l.signature)
		if !ok {
			return nil, Cosigned{}, &SignatureError{w.label(), l.number}
		}
		if best.raw == nil || t.After(at) {
			best, at = l, t
		}
	}
	if best.raw == nil {
		return nil, Cosigned{}, &UnsignedError{w.label()}
	}
	n.lines = append(slices.DeleteFunc(n.lines, w.wrote), best)
	out := n.encode()
	if len(n.lines) > maxLines || len(out) > MaxNote {
		return nil, Cosigned{}, &FormatError{"signed note", 0, "signatures", "are too many for another"}
	}
	return out, Cosigned{w.name, at}, nil
}

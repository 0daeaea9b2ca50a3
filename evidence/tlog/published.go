package tlog

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Paths of what a log publishes beside its tiles (spec/log 8).
const (
	PathCheckpoint = "checkpoint" // signed, with cosignatures
	PathKeys       = "keys"       // the log statement, and the signature of the node's identity
	PathSeen       = "seen"       // the latest checkpoints of other logs that its node cosigned
	PathWitnesses  = "witnesses"  // verifier keys of witnesses beyond the circle that its node asks
)

// MaxBodies bounds a body bundle, in bytes.
const MaxBodies = 160 << 20

// BodyPath is the path of the bodies of an entry bundle's leaves: body/<index>, with .p/<width> if not full.
func (t Tile) BodyPath() string {
	return "body/" + strings.TrimPrefix(Tile{Entries, t.Index, t.Width}.Path(), "tile/entries/")
}

// ParseBodyPath reads it, in its one form.
func ParseBodyPath(path string) (Tile, error) {
	rest, ok := strings.CutPrefix(path, "body/")
	if !ok {
		return Tile{}, &FormatError{"body path", 0, "path", "does not begin with body/"}
	}
	return ParsePath("tile/entries/" + rest)
}

// EncodeBodies gives a body bundle: for each leaf of an entry bundle the length of its body, 4 bytes, big-endian, and the
// body; length 0 where it has none, or none is shown.
func EncodeBodies(bodies []Body) []byte {
	var out []byte
	for _, b := range bodies {
		raw := b.Encode()
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(raw))), raw...)
	}
	return out
}

// DecodeBodies takes a body bundle of n leaves apart. The bodies are parts of b.
func DecodeBodies(b []byte, n int) ([]Body, error) {
	bodies := make([]Body, 0, n)
	for len(bodies) < n {
		which := fmt.Sprintf("body %d", len(bodies))
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
			return nil, &FormatError{"body bundle", 0, which, "ends too early"}
		}
		end := 4 + int(binary.BigEndian.Uint32(b))
		body, err := DecodeBody(b[4:end:end])
		if err != nil {
			return nil, &FormatError{"body bundle", 0, which, err.Error()}
		}
		bodies, b = append(bodies, body), b[end:]
	}
	if len(b) > 0 {
		return nil, &FormatError{"body bundle", 0, "bodies", fmt.Sprintf("are more than %d", n)}
	}
	return bodies, nil
}

// MaxSeen is how many other logs' checkpoints a log shows.
const MaxSeen = 64

// EncodeSeen is the file of other logs' checkpoints, each signed by its log: tlv {1: list of {1: checkpoint}}. Whoever shows them, what a log
// signed it signed.
func EncodeSeen(signed [][]byte) []byte {
	var e transcript.Encoder
	return e.List(1, len(signed), func(i int, e *transcript.Encoder) { e.Bytes(1, signed[i]) }).Sum()
}

// DecodeSeen reads it. No signature is verified.
func DecodeSeen(b []byte) (signed [][]byte, err error) {
	d := transcript.NewDecoder(b)
	d.List(1, 0, MaxSeen, func(_ int, d *transcript.Decoder) { signed = append(signed, d.Bytes(1, MaxNote)) })
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode checkpoints that were seen: %w", err)
	}
	return signed, nil
}

// MaxWitnesses is how many witnesses a log names.
const MaxWitnesses = 64

// EncodeWitnesses is the file of witnesses that a node asks beyond its circle: verifier keys, each on a line. It is the node's word: a reader
// who does not know a witness counts nothing by it.
func EncodeWitnesses(witnesses []Witness) []byte {
	var b bytes.Buffer
	for _, w := range witnesses {
		fmt.Fprintf(&b, "%s\n", w)
	}
	return b.Bytes()
}

// DecodeWitnesses reads it.
func DecodeWitnesses(b []byte) (witnesses []Witness, err error) {
	for line := range strings.Lines(string(b)) {
		if len(witnesses) == MaxWitnesses {
			return nil, &FormatError{"witnesses", 0, "lines", fmt.Sprintf("are more than %d", MaxWitnesses)}
		}
		vkey, whole := strings.CutSuffix(line, "\n")
		if !whole {
			return nil, &FormatError{"witnesses", len(witnesses) + 1, "line", "ends without a newline"}
		}
		w, err := ParseWitness(vkey)
		if err != nil {
			return nil, err
		}
		witnesses = append(witnesses, w)
	}
	return witnesses, nil
}

// EncodeKeys is the file of a log's keys: the statement, an empty line, the signature in hex, a newline.
func EncodeKeys(s statement.Statement, signature []byte) []byte {
	return fmt.Appendf(s.Bytes(), "\n%x\n", signature)
}

// DecodeKeys reads it, and checks that the identity which it names signed it. Whose identity that is the caller knows.
func DecodeKeys(b []byte) (k Keys, s statement.Statement, signature []byte, err error) {
	text, last, ok := bytes.Cut(b, []byte("\n\n"))
	bad := func(field, reason string) (Keys, statement.Statement, []byte, error) {
		return Keys{}, statement.Statement{}, nil, &FormatError{"log keys", 0, field, reason}
	}
	if !ok || len(b) > MaxNote {
		return bad("file", "is not a statement, an empty line and a signature")
	}
	if len(last) != 2*ed25519.SignatureSize+1 || last[len(last)-1] != '\n' || !bytes.Equal(last, bytes.ToLower(last)) {
		return bad("signature", "is not 128 lower-case hexadecimal digits and a newline")
	}
	if signature, err = hex.DecodeString(string(last[:len(last)-1])); err != nil {
		return bad("signature", "is not hexadecimal")
	}
	if s, err = statement.Parse(append(text[:len(text):len(text)], '\n')); err != nil {
		return bad("statement", err.Error())
	}
	if k, err = KeysOf(s); err != nil {
		return bad("statement", err.Error())
	}
	if err = signet.VerifyNode(k.Identity, s, signature); err != nil {
		return bad("signature", err.Error())
	}
	return k, s, signature, nil
}

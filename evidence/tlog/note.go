package tlog

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

const (
	// MaxNote is the largest signed checkpoint in bytes. It bounds what opening one costs;
	// sixteen post-quantum signatures of others fit.
	MaxNote = 64 << 10
	// MaxName is the longest name of a key in bytes.
	MaxName = 255

	maxLines = 100 // signature lines, as in x/mod's note
)

// Signature types of C2SP signed-note.
const (
	typeEd25519     = 0x01
	typeCosignature = 0x04
)

// A FormatError says where bytes from outside leave their format.
type FormatError struct {
	Format string // as "checkpoint"
	Line   int    // from 1; 0 in formats without lines
	Field  string // as "size"
	Reason string
}

func (e *FormatError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s, line %d: %s %s", e.Format, e.Line, e.Field, e.Reason)
	}
	return fmt.Sprintf("%s: %s %s", e.Format, e.Field, e.Reason)
}

// base64std has one encoding for every value.
var base64std = base64.StdEncoding.Strict()

// A noteKey is a public key with its name. Name and ID stand in each signature line.
type noteKey struct {
	name   string
	kind   byte // signature type
	public [ed25519.PublicKeySize]byte
	id     uint32
}

func newKey(name string, kind byte, public ed25519.PublicKey) (noteKey, error) {
	if reason := badName(name); reason != "" {
		return noteKey{}, &FormatError{Format: "note key", Field: "name", Reason: reason}
	}
	if err := signet.CheckIdentity(public); err != nil { // anybody could sign; or one key counts as two
		return noteKey{}, fmt.Errorf("note key %s: %w", name, err)
	}
	k := noteKey{name: name, kind: kind, public: [32]byte(public)}
	sum := sha256.Sum256(slices.Concat([]byte(name), []byte{'\n', kind}, public))
	k.id = binary.BigEndian.Uint32(sum[:])
	return k, nil
}

// badName says why a text is no name of a key. Names are printed to people: nothing in them is unseen, or turns text round.
func badName(name string) string {
	if err := statement.CheckText(name, MaxName); err != nil {
		return err.Error()
	}
	if strings.ContainsAny(name, " +") {
		return "has a space or a plus"
	}
	return ""
}

// Name is the key's name; a log's is its origin.
func (k noteKey) Name() string { return k.name }

// KeyHash is the key's ID: the first four bytes of SHA-256(name ‖ "\n" ‖ type ‖ public key).
func (k noteKey) KeyHash() uint32 { return k.id }

// Public is the Ed25519 key.
func (k noteKey) Public() ed25519.PublicKey { return slices.Clone(k.public[:]) }

// String is the key as a vkey: <name>+<ID, 8 hex digits>+<base64(type ‖ public key)>.
func (k noteKey) String() string {
	return k.label() + "+" + base64std.EncodeToString(append([]byte{k.kind}, k.public[:]...))
}

// label names the key in errors and on the wire.
func (k noteKey) label() string { return fmt.Sprintf("%s+%08x", k.name, k.id) }

// line is the signature line of a signature by this key.
func (k noteKey) line(signature []byte) []byte {
	raw := append(binary.BigEndian.AppendUint32(nil, k.id), signature...)
	return []byte("— " + k.name + " " + base64std.EncodeToString(raw) + "\n")
}

// wrote says whether a line claims to be by this key.
func (k noteKey) wrote(l noteLine) bool { return l.name == k.name && l.id == k.id }

// parseKey reads a vkey of one signature type, in its one form.
func parseKey(vkey string, kind byte) (noteKey, error) {
	bad := func(field, reason string) error { return &FormatError{Format: "vkey", Field: field, Reason: reason} }
	if len(vkey) > MaxName+64 {
		return noteKey{}, bad("text", "is too long")
	}
	parts := strings.SplitN(vkey, "+", 3) // base64 has pluses, names have none
	if len(parts) < 3 {
		return noteKey{}, bad("text", "is not <name>+<ID>+<base64>")
	}
	raw, err := base64std.DecodeString(parts[2])
	switch {
	case err != nil:
		return noteKey{}, bad("public key", "is not base64")
	case len(raw) != 1+ed25519.PublicKeySize:
		return noteKey{}, bad("public key", fmt.Sprintf("has %d bytes, not %d", len(raw), 1+ed25519.PublicKeySize))
	case raw[0] != kind: // a log's key is no witness's, though the bytes of both may be equal
		return noteKey{}, bad("signature type", fmt.Sprintf("is %#02x, not %#02x", raw[0], kind))
	}
	k, err := newKey(parts[0], kind, raw[1:])
	if err != nil {
		return noteKey{}, fmt.Errorf("vkey: %w", err)
	}
	if k.String() != vkey { // another key's bytes under this name and ID
		return noteKey{}, bad("ID", fmt.Sprintf("is not %08x", k.id))
	}
	return k, nil
}

// newSigner checks a private key and gives what signs with it, which does not print it.
func newSigner(key crypto.Signer) (ed25519.PublicKey, func([]byte) ([]byte, error), error) {
	public, err := eddsa.PublicOf(key)
	if err != nil {
		return nil, nil, err
	}
	// Two signatures of one message under two public halves show the private key.
	if k, ok := key.(ed25519.PrivateKey); ok && !ed25519.NewKeyFromSeed(k.Seed()).Equal(k) {
		return nil, nil, errors.New("Ed25519 private key holds another public key than its own")
	}
	return public, func(message []byte) ([]byte, error) { return eddsa.SignBy(key, message) }, nil
}

// A signedNote is text and signature lines, none of them verified.
type signedNote struct {
	body  []byte // with its last newline
	lines []noteLine
}

type noteLine struct {
	raw       []byte // with its newline
	number    int    // in the note, from 1
	name      string
	id        uint32
	signature []byte
}

// encode is what splitNote read.
func (n signedNote) encode() []byte {
	out := append(bytes.Clone(n.body), '\n')
	for _, l := range n.lines {
		out = append(out, l.raw...)
	}
	return out
}

// splitNote takes a signed note apart: at most MaxNote bytes, at most 100 lines.
func splitNote(signed []byte) (signedNote, error) {
	bad := func(field, reason string) (signedNote, error) {
		return signedNote{}, &FormatError{Format: "signed note", Field: field, Reason: reason}
	}
	if len(signed) > MaxNote {
		return bad("text", fmt.Sprintf("has %d bytes, at most %d are allowed", len(signed), MaxNote))
	}
	if !utf8.Valid(signed) || bytes.ContainsFunc(signed, func(r rune) bool { return r < ' ' && r != '\n' }) {
		return bad("text", "is not UTF-8 without control characters")
	}
	at := bytes.LastIndex(signed, []byte("\n\n"))
	if at < 0 {
		return bad("text", "has no empty line before signatures")
	}
	n := signedNote{body: signed[:at+1]}
	first := bytes.Count(n.body, []byte("\n")) + 2
	lines, err := splitLines(signed[at+2:], first)
	if err != nil {
		return signedNote{}, err
	}
	if len(lines) == 0 {
		return bad("signatures", "are missing")
	}
	n.lines = lines
	return n, nil
}

// splitLines takes signature lines apart; the first has this number.
func splitLines(b []byte, first int) (lines []noteLine, err error) {
	for len(b) > 0 {
		number := first + len(lines)
		bad := func(field, reason string) ([]noteLine, error) {
			return nil, &FormatError{Format: "signed note", Line: number, Field: field, Reason: reason}
		}
		if len(lines) == maxLines {
			return bad("signatures", fmt.Sprintf("are more than %d", maxLines))
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return bad("signature", "does not end with a newline")
		}
		l := noteLine{raw: b[:end+1], number: number}
		b = b[end+1:]
		text, ok := strings.CutPrefix(string(l.raw[:end]), "— ")
		if !ok {
			return bad("signature", "does not begin with an em dash and a space")
		}
		name, encoded, _ := strings.Cut(text, " ")
		if reason := badName(name); reason != "" {
			return bad("key name", reason)
		}
		raw, err := base64std.DecodeString(encoded)
		if err != nil || len(raw) < 5 || base64std.EncodeToString(raw) != encoded { // the decoder skips carriage returns
			return bad("signature", "is not base64 of an ID and a signature")
		}
		l.name, l.id, l.signature = name, binary.BigEndian.Uint32(raw), raw[4:]
		lines = append(lines, l)
	}
	return lines, nil
}

// Signers are the keys, each as name+ID, that a signed note's lines claim: nothing is verified.
func Signers(signed []byte) (keys []string, err error) {
	n, err := splitNote(signed)
	for _, l := range n.lines {
		keys = append(keys, fmt.Sprintf("%s+%08x", l.name, l.id))
	}
	return keys, err
}

// Label is a key as Signers names it.
func (k noteKey) Label() string { return k.label() }

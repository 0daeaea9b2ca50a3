package tlog

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxSize is the largest tree in leaves.
const MaxSize = 1 << 48

// ErrEmptyRoot means: a tree of size 0 with another root than that of nothing. It would be
// consistent with every history.
var ErrEmptyRoot = errors.New("the root of size 0 is not that of the empty tree")

// A SignatureError means that a line claims a known key and is not by it.
type SignatureError struct {
	Key  string // <name>+<ID>
	Line int    // in the signed note, from 1
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("signed note, line %d: signature claims key %s and is not by it", e.Line, e.Key)
}

// An UnsignedError means that no line claims to be by a key that must have signed.
type UnsignedError struct {
	Key string // <name>+<ID>
}

func (e *UnsignedError) Error() string {
	return fmt.Sprintf("signed note: no signature by key %s", e.Key)
}

// A LogVerifier knows a log: its origin, which is its key's name, and its Ed25519 key (C2SP
// signed-note, type 0x01).
type LogVerifier struct{ noteKey }

// NewLogVerifier refuses keys that signet.CheckIdentity refuses.
func NewLogVerifier(origin string, key ed25519.PublicKey) (LogVerifier, error) {
	k, err := newKey(origin, typeEd25519, key)
	return LogVerifier{k}, err
}

// ParseLogVerifier reads a vkey of type 0x01, in its one form.
func ParseLogVerifier(vkey string) (LogVerifier, error) {
	k, err := parseKey(vkey, typeEd25519)
	return LogVerifier{k}, err
}

// Verify says whether a signature is the key's over a note's text.
func (v LogVerifier) Verify(text, signature []byte) bool {
	return ed25519.Verify(v.public[:], text, signature)
}

// A LogSigner signs checkpoints of one log.
type LogSigner struct {
	verifier LogVerifier
	sign     func([]byte) ([]byte, error)
}

// NewLogSigner takes a log's key. It holds the key, and neither copies nor wipes it.
func NewLogSigner(origin string, key crypto.Signer) (LogSigner, error) {
	public, sign, err := newSigner(key)
	if err != nil {
		return LogSigner{}, fmt.Errorf("log %s: %w", origin, err)
	}
	v, err := NewLogVerifier(origin, public)
	return LogSigner{v, sign}, err
}

// Verifier is what others know this log by.
func (s LogSigner) Verifier() LogVerifier { return s.verifier }

// A Checkpoint is a log's statement about itself (C2SP tlog-checkpoint, spec/log 5).
type Checkpoint struct {
	Origin     string // as the name of a key: 1 to 255 bytes, no space, no plus
	Head       Head
	Extensions []string // lines that nobody audits; ours has none
}

// Encode is the body: origin, size, root, extensions, each a line.
func (c Checkpoint) Encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Head.Size, c.Head.Root)
	for _, e := range c.Extensions {
		b.WriteString(e + "\n")
	}
	return b.Bytes()
}

// ParseCheckpoint reads a body in its one form. It is nobody's statement until its
// signatures are verified: OpenCheckpoint does both.
func ParseCheckpoint(body []byte) (Checkpoint, error) {
	bad := func(line int, field, reason string) (Checkpoint, error) {
		return Checkpoint{}, &FormatError{"checkpoint", line, field, reason}
	}
	if len(body) > MaxNote {
		return bad(0, "body", fmt.Sprintf("has %d bytes, at most %d are allowed", len(body), MaxNote))
	}
	text, ended := strings.CutSuffix(string(body), "\n")
	lines := strings.Split(text, "\n")
	if !ended || len(lines) < 3 {
		return bad(0, "body", "is not three or more lines")
	}
	if reason := badName(lines[0]); reason != "" {
		return bad(1, "origin", reason)
	}
	size, reason := parseSize(lines[1])
	if reason != "" {
		return bad(2, "size", reason)
	}
	root, reason := parseHash(lines[2])
	if reason != "" {
		return bad(3, "root", reason)
	}
	for i, e := range lines[3:] {
		if e == "" || !utf8.ValidString(e) || strings.ContainsFunc(e, func(r rune) bool { return r < ' ' }) {
			return bad(4+i, "extension", "is empty, or not UTF-8 without control characters")
		}
	}
	c := Checkpoint{Origin: lines[0], Head: Head{size, root}}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	if err := c.Head.check(); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: %w", c.Origin, err)
	}
	return c, nil
}

// check refuses heads that no tree has.
func (h Head) check() error {
	if h.Size < 0 || h.Size > MaxSize {
		return fmt.Errorf("size %d is not in 0 to %d", h.Size, int64(MaxSize))
	}
	if h.Size == 0 && h.Root != Empty.Root {
		return ErrEmptyRoot
	}
	return nil
}

// parseSize reads a decimal number of 0 to MaxSize without leading zeros.
func parseSize(text string) (int64, string) {
	if len(text) > 15 { // 2⁴⁸ has 15 digits
		return 0, "is too large"
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || strconv.FormatInt(n, 10) != text:
		return 0, "is not a decimal number without leading zeros"
	case n < 0 || n > MaxSize:
		return 0, fmt.Sprintf("is not in 0 to %d", int64(MaxSize))
	}
	return n, ""
}

// parseHash reads 32 bytes of base64.
func parseHash(text string) (Hash, string) {
	var h Hash
	if len(text) != base64std.EncodedLen(len(h)) {
		return Hash{}, "is not base64 of 32 bytes"
	}
	raw, err := base64std.DecodeString(text)
	if err != nil || copy(h[:], raw) != len(h) || len(raw) != len(h) {
		return Hash{}, "is not base64 of 32 bytes"
	}
	return h, ""
}

// Sign gives the signed checkpoint, with this one signature.
func (c Checkpoint) Sign(s LogSigner) ([]byte, error) {
	if s.sign == nil || c.Origin != s.verifier.name {
		return nil, fmt.Errorf("sign checkpoint of log %q: the key is of log %q", c.Origin, s.verifier.name)
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	signature, err := s.sign(body)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of log %q: %w", c.Origin, err)
	}
	return slices.Concat(body, []byte("\n"), s.verifier.line(signature)), nil
}

// body is what is signed. What ParseCheckpoint would not read as this checkpoint is not.
func (c Checkpoint) body() ([]byte, error) {
	body := c.Encode()
	again, err := ParseCheckpoint(body)
	if err == nil && (again.Origin != c.Origin || again.Head != c.Head || !slices.Equal(again.Extensions, c.Extensions)) {
		err = errors.New("a field is more than one line")
	}
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of log %q: %w", c.Origin, err)
	}
	return body, nil
}

// A Cosigned is a witness's word: at this time, this was the largest head it knew of the log.
type Cosigned struct {
	Name string
	Time time.Time // whole seconds, UTC, of the witness's clock
}

// OpenCheckpoint verifies a signed checkpoint of at most MaxNote bytes and 100 signatures. The
// log must have signed it; each witness's latest cosignature is reported, by names in order
// of their first lines. Lines of keys that are not known are passed over, as signed notes
// demand; one that claims a known key and is not by it is a *SignatureError.
func OpenCheckpoint(signed []byte, log LogVerifier, witnesses []Witness) (Checkpoint, []Cosigned, error) {
	o, err := open(signed, log, witnesses)
	return o.checkpoint, o.cosigned, err
}

// opened is a verified checkpoint.
type opened struct {
	checkpoint Checkpoint
	cosigned   []Cosigned
	stripped   []byte // with the log's signature alone
}

func open(signed []byte, log LogVerifier, witnesses []Witness) (opened, error) {
	if err := distinct(log, witnesses); err != nil {
		return opened{}, err
	}
	n, err := splitNote(signed)
	if err != nil {
		return opened{}, err
	}
	var o opened
	for _, l := range n.lines {
		if log.wrote(l) {
			if !log.Verify(n.body, l.signature) {
				return opened{}, &SignatureError{log.label(), l.number}
			}
			if o.stripped == nil {
				o.stripped = slices.Concat(n.body, []byte("\n"), l.raw)
			}
		}
		for _, w := range witnesses {
			if !w.wrote(l) {
				continue
			}
			at, ok := w.open(n.body, l.signature)
			if !ok {
				return opened{}, &SignatureError{w.label(), l.number}
			}
			o.count(Cosigned{w.name, at})
		}
	}
	if o.stripped == nil {
		return opened{}, &UnsignedError{log.label()}
	}
	// A note's text is read once it is signed.
	if o.checkpoint, err = ParseCheckpoint(n.body); err != nil {
		return opened{}, err
	}
	if o.checkpoint.Origin != log.name { // one log's checkpoint shown as another's that has the same key
		return opened{}, &FormatError{"checkpoint", 1, "origin", fmt.Sprintf("%q is not the log's, %q", o.checkpoint.Origin, log.name)}
	}
	return o, nil
}

// count keeps one word for each name, the latest: a witness that speaks twice is not two.
func (o *opened) count(c Cosigned) {
	i := slices.IndexFunc(o.cosigned, func(have Cosigned) bool { return have.Name == c.Name })
	switch {
	case i < 0:
		o.cosigned = append(o.cosigned, c)
	case c.Time.After(o.cosigned[i].Time):
		o.cosigned[i] = c
	}
}

// Distinct leaves out of a list the witnesses whose key, or name, stands before in it, and those that have the log's key: a list that other
// people had a hand in is used as far as it goes, where OpenCheckpoint refuses it whole.
func Distinct(log LogVerifier, witnesses []Witness) (out []Witness) {
	for _, w := range witnesses {
		same := func(o Witness) bool { return o.public == w.public || o.name == w.name }
		if w.public != log.public && !slices.ContainsFunc(out, same) {
			out = append(out, w)
		}
	}
	return out
}

// distinct refuses a list in which one key would count as several witnesses: cosignatures do
// not say the witness's name. Nor is a log its own witness.
func distinct(log LogVerifier, witnesses []Witness) error {
	for i, w := range witnesses {
		if w.public == log.public {
			return fmt.Errorf("witness %s has the key of the log", w.label())
		}
		for _, other := range witnesses[:i] {
			if w.public == other.public {
				return fmt.Errorf("witnesses %s and %s have the same key", other.label(), w.label())
			}
		}
	}
	return nil
}

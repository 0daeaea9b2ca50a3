package release

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/ostraka/ostraka/custody/statement"
)

const (
	// Needed is how many maintainers sign a release.
	Needed = 2

	maxSignatures = 100       // of a note: note.Open takes no more
	maxNote       = 512 << 10 // bytes: the statement and its signatures
	maxKeyLine    = 256       // bytes of a maintainer's line
	maxKeys       = 64
)

// Maintainers are those whose signatures count. The zero value lists nobody.
type Maintainers struct{ keys []note.Verifier }

// ParseMaintainers reads a list: a line for each key, as note.NewVerifier takes it; empty lines and those that begin with
// "#" are comments. A name with several keys is one maintainer, who counts once.
func ParseMaintainers(list []byte) (Maintainers, error) {
	var m Maintainers
	holders := map[string]string{} // key → name
	number := 0
	for line := range strings.Lines(string(list)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) > maxKeyLine || len(m.keys) == maxKeys {
			return Maintainers{}, fmt.Errorf("line %d of the maintainers: %d keys of %d bytes at most are taken", number, maxKeys, maxKeyLine)
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return Maintainers{}, fmt.Errorf("line %d of the maintainers: %w: a line is <name>+<hash>+<key>, as keygen prints it", number, err)
		}
		if err := statement.CheckLabel(v.Name()); err != nil {
			return Maintainers{}, fmt.Errorf("line %d of the maintainers: the name %w", number, err)
		}
		// One person under two names would be two maintainers.
		_, key, _ := strings.Cut(line[len(v.Name())+1:], "+")
		raw, err := base64.StdEncoding.Strict().DecodeString(key)
		if err != nil {
			return Maintainers{}, fmt.Errorf("line %d of the maintainers: key of %s: %w", number, v.Name(), err)
		}
		if other, ok := holders[string(raw)]; ok {
			return Maintainers{}, fmt.Errorf("line %d of the maintainers: %s has the key of %s: list each key once", number, v.Name(), other)
		}
		holders[string(raw)] = v.Name()
		m.keys = append(m.keys, v)
	}
	return m, nil
}

// Names are the maintainers' names, ascending.
func (m Maintainers) Names() (all []string) {
	for _, k := range m.keys {
		all = append(all, k.Name())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A Signed is a release that enough maintainers signed.
type Signed struct {
	Release
	ID statement.ID
	By []string // their names, ascending
}

// ErrUnsigned says that too few of the listed maintainers signed.
var ErrUnsigned = errors.New("too few maintainers signed it")

// Open reads a signed note and verifies it: at least need of these maintainers signed it, each counted once. Signatures
// by other keys count for nothing; a wrong one by a listed key is an error, however many others hold.
func Open(signed []byte, who Maintainers, need int) (Signed, error) {
	if need < 1 {
		return Signed{}, fmt.Errorf("open release: %d signatures are asked for, at least 1 must be", need)
	}
	text, s, r, err := read(signed)
	if err != nil {
		return Signed{}, err
	}
	var by []string
	if len(text) < len(signed) {
		n, err := note.Open(signed, note.VerifierList(who.keys...))
		var none *note.UnverifiedNoteError
		switch {
		case errors.As(err, &none):
		case err != nil:
			return Signed{}, fmt.Errorf("open release %s: %w", r.Version, err)
		case n.Text != text:
			return Signed{}, fmt.Errorf("open release %s: its signatures are over another text", r.Version)
		default:
			for _, x := range n.Sigs {
				// One signature has one text: note.Open takes any bits behind its end.
				if _, err := base64.StdEncoding.Strict().DecodeString(x.Base64); err != nil {
					return Signed{}, fmt.Errorf("open release %s: signature of %s: %w", r.Version, x.Name, err)
				}
				by = append(by, x.Name)
			}
		}
	}
	slices.Sort(by)
	if by = slices.Compact(by); len(by) < need {
		return Signed{}, fmt.Errorf("open release %s: %w: %d are needed, %d of %d listed did [%s]", r.Version, ErrUnsigned, need, len(by), len(who.Names()), strings.Join(by, ", "))
	}
	return Signed{Release: r, ID: s.ID(), By: by}, nil
}

// Read reads a note, signed or not yet, and believes nobody: it says what is to be compared and signed.
func Read(b []byte) (Release, error) {
	_, _, r, err := read(b)
	return r, err
}

// Sign adds a signature to a note, or to a release's bare text. One by the same key is replaced.
func Sign(b []byte, signer note.Signer) ([]byte, error) {
	text, _, r, err := read(b)
	if err != nil {
		return nil, err
	}
	n := &note.Note{Text: text}
	if len(text) < len(b) {
		var all *note.UnverifiedNoteError
		if _, err := note.Open(b, note.VerifierList()); !errors.As(err, &all) {
			return nil, fmt.Errorf("sign release %s: its signatures cannot be read: %w", r.Version, err)
		}
		if n = all.Note; n.Text != text {
			return nil, fmt.Errorf("sign release %s: its signatures are over another text", r.Version)
		}
	}
	if len(n.UnverifiedSigs) >= maxSignatures {
		return nil, fmt.Errorf("sign release %s: it has %d signatures already", r.Version, maxSignatures)
	}
	out, err := note.Sign(n, signer)
	if err != nil {
		return nil, fmt.Errorf("sign release %s: %w", r.Version, err)
	}
	return out, nil
}

// read cuts a note's text off, which is the statement: no line of that is empty.
func read(b []byte) (text string, s statement.Statement, r Release, err error) {
	if len(b) > maxNote {
		return "", s, r, fmt.Errorf("read release: %d bytes, at most %d are allowed", len(b), maxNote)
	}
	end := bytes.Index(b, []byte("\n\n")) + 1
	if end == 0 {
		end = len(b)
	}
	if s, err = statement.Parse(b[:end]); err != nil {
		return "", s, r, fmt.Errorf("read release: %w", err)
	}
	r, err = Of(s)
	return s.Text(), s, r, err
}

// Find says which of these releases a program is of, by its hash.
func Find(all []Signed, sum [32]byte) (Signed, File, bool) {
	for _, s := range all {
		if f, ok := s.Program(sum); ok {
			return s, f, true
		}
	}
	return Signed{}, File{}, false
}

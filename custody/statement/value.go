package statement

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// check refuses every value but the one canonical text of its type.
func (s Spec) check(v string) error {
	switch s.Type {
	case Text:
		return CheckText(v, int(s.Max))
	case Label:
		return CheckLabel(v)
	case Hex:
		return checkHex(v, s.Min, s.Max)
	case Uint:
		return checkUint(v, s.Min, s.Max)
	case Time:
		return checkTime(v)
	case PersonKey:
		return checkKey(v, int(s.Max))
	case Chain:
		return CheckChain(v)
	case Path:
		return checkPath(v, s.Min, s.Max)
	case Word:
		if !slices.Contains(s.Words, v) {
			return fmt.Errorf("is %.40q, not one of %s", v, strings.Join(s.Words, ", "))
		}
		return nil
	}
	return fmt.Errorf("has the unknown type %q", s.Type)
}

// CheckText accepts 1 to max bytes of UTF-8 in NFC made of graphic characters that can be seen
// and the ASCII space, with no space at either end.
func CheckText(v string, max int) error {
	switch {
	case v == "":
		return errors.New("is empty")
	case len(v) > max:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(v), max)
	case !utf8.ValidString(v):
		return errors.New("is not UTF-8")
	case v[0] == ' ' || v[len(v)-1] == ' ':
		return errors.New("begins or ends with a space")
	}
	for _, r := range v {
		// Trojan source: format characters reorder or hide what a person reads.
		if !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r) && r != ' ' || r == utf8.RuneError || unseen(r) {
			return fmt.Errorf("holds the character %U, which is not allowed", r)
		}
	}
	if !norm.NFC.IsNormalString(v) {
		return errors.New("is not in Unicode normal form C")
	}
	return nil
}

// unseen says whether a graphic character shows nothing: two texts that look the same would differ.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u2800' // a Braille pattern without dots
}

// CheckLabel accepts a name of 1 to 64 characters a–z, 0–9, "-", "_" and ".", the
// first a letter or digit: no look-alikes.
func CheckLabel(v string) error {
	if v == "" || len(v) > maxLabel {
		return fmt.Errorf("has %d characters, 1 to %d are allowed", len(v), maxLabel)
	}
	for i := range len(v) {
		c := v[i]
		if isLower(c) || isDigit(c) || i > 0 && (c == '-' || c == '_' || c == '.') {
			continue
		}
		return fmt.Errorf("is %q: only a–z, 0–9, \"-\", \"_\" and \".\" are allowed, the first a letter or digit", v)
	}
	return nil
}

// CheckChain accepts a CAIP-2 chain id: namespace of 3 to 8 characters, ":", reference
// of 1 to 32.
func CheckChain(v string) error {
	space, ref, ok := strings.Cut(v, ":")
	if !ok || len(space) < 3 || len(space) > 8 || len(ref) < 1 || len(ref) > 32 {
		return fmt.Errorf("is %.60q, not a chain id such as \"eip155:1\"", v)
	}
	for i := range len(space) {
		if c := space[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return fmt.Errorf("is %q: its namespace holds %q", v, c)
		}
	}
	for i := range len(ref) {
		if c := ref[i]; !isLower(c|0x20) && !isDigit(c) && c != '-' && c != '_' {
			return fmt.Errorf("is %q: its reference holds %q", v, c)
		}
	}
	// Two names for one chain would slip past an allow-list or a limit.
	if space == "eip155" && checkUint(ref, 1, maxInt) != nil {
		return fmt.Errorf("is %q: its reference is not a plain decimal number", v)
	}
	return nil
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func checkHex(v string, min, max uint64) error {
	n := uint64(len(v)) / 2
	if len(v)%2 != 0 || n < min || n > max {
		if min == max {
			return fmt.Errorf("has %d characters, not %d", len(v), 2*max)
		}
		return fmt.Errorf("has %d characters, an even number from %d to %d is allowed", len(v), 2*min, 2*max)
	}
	for i := range len(v) {
		if c := v[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return fmt.Errorf("holds %q, which is no lower-case hex digit", c)
		}
	}
	return nil
}

func checkUint(v string, min, max uint64) error {
	u, err := strconv.ParseUint(v, 10, 64)
	if err != nil || strconv.FormatUint(u, 10) != v {
		return fmt.Errorf("is %.40q, not a decimal number without leading zero", v)
	}
	if u < min || u > max {
		return fmt.Errorf("is %d, %d to %d is allowed", u, min, max)
	}
	return nil
}

func checkTime(v string) error {
	t, err := time.Parse(timeForm, v)
	if err != nil || FormatTime(t) != v || t.Year() < 1970 {
		return fmt.Errorf("is %.40q, not a UTC time such as \"2026-01-31T12:00:00Z\"", v)
	}
	return nil
}

// checkKey holds the form only; which keys may sign is signet's to say.
func checkKey(v string, max int) error {
	if len(v) > max {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(v), max)
	}
	words := strings.Split(v, " ")
	switch words[0] {
	case Passkey256, Passkey25519:
		return checkPasskey(words)
	case EIP712:
		digits, ok := strings.CutPrefix(words[len(words)-1], "0x")
		if len(words) != 2 || !ok || checkHex(strings.ToLower(digits), 20, 20) != nil {
			return errors.New("is not \"eip712 0x<40 hex digits>\" without comment")
		}
		return nil
	}
	return checkSSH(words)
}

func checkSSH(words []string) error {
	algo := words[0]
	blob, ok := decodeBase64(base64.StdEncoding, words[len(words)-1])
	if len(words) != 2 || !ok {
		return errors.New("is not an SSH public key \"<type> <base64>\" without comment")
	}
	head := append(binary.BigEndian.AppendUint32(nil, uint32(len(algo))), algo...)
	if algo == "" || !bytes.HasPrefix(blob, head) {
		return fmt.Errorf("names the key type %.40q, but holds another", algo)
	}
	return nil
}

func checkPasskey(words []string) error {
	form := errors.New("is not a passkey \"<type> <rpID> <origin> <credential id> <public key>\" without comment")
	if len(words) != 5 {
		return form
	}
	for _, w := range words {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return r < '!' || r > '~' }) {
			return form
		}
	}
	_, id := decodeBase64(base64.RawURLEncoding, words[3])
	_, point := decodeBase64(base64.StdEncoding, words[4])
	if !id || !point {
		return form
	}
	return nil
}

// decodeBase64 takes the one text of some bytes, and never none.
func decodeBase64(e *base64.Encoding, text string) ([]byte, bool) {
	b, err := e.Strict().DecodeString(text)
	return b, err == nil && len(b) > 0 && e.EncodeToString(b) == text
}

func checkPath(v string, min, max uint64) error {
	levels := strings.Split(v, "/")
	n := uint64(len(levels) - 1)
	if levels[0] != "m" || n < min || n > max {
		return fmt.Errorf("is %.60q, not \"m\" and %d levels such as \"m/0\"", v, max)
	}
	for _, l := range levels[1:] {
		if err := checkUint(l, 0, 1<<31-1); err != nil {
			return fmt.Errorf("is %.60q: a level %w", v, err)
		}
	}
	return nil
}

// ParsePath returns the levels of a Path: numbers below 2³¹, none hardened.
func ParsePath(v string) ([]uint32, error) {
	if err := checkPath(v, 0, 8); err != nil {
		return nil, fmt.Errorf("path %w", err)
	}
	var out []uint32
	for _, l := range strings.Split(v, "/")[1:] {
		u, _ := strconv.ParseUint(l, 10, 32)
		out = append(out, uint32(u))
	}
	return out, nil
}

// FormatPath writes levels as a Path.
func FormatPath(levels ...uint32) string {
	out := "m"
	for _, l := range levels {
		out += "/" + strconv.FormatUint(uint64(l), 10)
	}
	return out
}

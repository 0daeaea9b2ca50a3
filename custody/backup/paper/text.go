package paper

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/slip39"
	"github.com/ostraka/ostraka/custody/statement"
)

// names are the lines of a sheet as it is typed, in the sheet's order; the last need not be there.
var names = []string{
	"circle", "vault", "operator", "key", "suite", "epoch", "record", "party", "created", "sheets", "code", "share", "mask",
}

const maxText = 8 << 10

// ExposeText is the sheet as a person would type it (spec/paper 2.1): a secret.
func (s Sheet) ExposeText() string {
	var out strings.Builder
	lines := append(s.Facts(), Fact{"sheets", strconv.Itoa(s.Sheets)}, Fact{"code", s.Code()}, Fact{"share", strings.Join(s.ExposeShare(), " ")})
	if s.HasMask() {
		lines = append(lines, Fact{"mask", strings.Join(s.ExposeMask(), " ")})
	}
	for _, l := range lines {
		fmt.Fprintf(&out, "%s: %s\n", l.Name, l.Value)
	}
	return out.String()
}

// Typed reads a sheet that a person typed: lines "name: value", in any order, words also over several lines; lines that begin with # are
// passed over. The code finds what was mistyped in the label, the words' checksums what was mistyped in the words.
func Typed(text string) (Sheet, error) {
	s, err := typed(text)
	if err != nil {
		return Sheet{}, fmt.Errorf("read a typed sheet: %w", err)
	}
	return s, nil
}

func typed(text string) (s Sheet, err error) {
	lines, err := fields(text)
	if err != nil {
		return s, err
	}
	if s.Label, err = typedLabel(lines); err != nil {
		return s, err
	}
	sheets, err := number(lines["sheets"], MaxSheets)
	if err != nil {
		return s, fmt.Errorf("sheets: %w", err)
	}
	s.Sheets = int(sheets)
	if s.share, err = slip39.Parse(lines["share"]); err != nil {
		return s, fmt.Errorf("words of the share: %w", err)
	}
	if words, ok := lines["mask"]; ok {
		m, err := slip39.Parse(words)
		if err != nil {
			return s, fmt.Errorf("words of the mask: %w", err)
		}
		s.mask = &m
	}
	s.place()
	if code := strings.ToLower(strings.Join(strings.Fields(lines["code"]), "")); code != s.Code() {
		return s, fmt.Errorf("code: %.12q does not fit: a line above it, or the code itself, is another than on the sheet, or the mask is missing; compare them letter by letter", code)
	}
	return s, s.Check()
}

// fields takes the lines apart: no name twice, none that sheets have not, none missing.
func fields(text string) (map[string]string, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("it has %d bytes, and a sheet at most %d", len(text), maxText)
	}
	lines, last := map[string]string{}, ""
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(strings.ToLower(name))
		switch {
		case !ok && (last == "share" || last == "mask"):
			lines[last] += " " + line
			continue
		case !ok:
			return nil, fmt.Errorf("line %d: it is not of the form \"name: value\"", n)
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("line %d: sheets have no line of that name; they have %s", n, strings.Join(names, ", "))
		}
		if _, twice := lines[name]; twice {
			return nil, fmt.Errorf("line %d: %s stands there twice: one file is one sheet", n, name)
		}
		last, lines[name] = name, strings.TrimSpace(value)
	}
	for _, name := range names[:len(names)-1] {
		if lines[name] == "" {
			return nil, fmt.Errorf("%s: it is missing", name)
		}
	}
	return lines, nil
}

func typedLabel(lines map[string]string) (l Label, err error) {
	if l.Circle, err = fromASCII(lines["circle"]); err != nil {
		return l, errors.New("circle: what follows a backslash is not as on the sheet")
	}
	l.Vault, l.Operator, l.Suite = lines["vault"], lines["operator"], lines["suite"]
	for name, to := range map[string]*[32]byte{"key": &l.Key, "record": &l.Record} {
		raw, err := hex.DecodeString(strings.Join(strings.Fields(lines[name]), ""))
		if err != nil || len(raw) != len(to) {
			return l, fmt.Errorf("%s: it is not 64 digits, 0 to 9 and a to f", name)
		}
		copy(to[:], raw)
	}
	if l.Epoch, err = number(lines["epoch"], 1<<64-1); err != nil {
		return l, fmt.Errorf("epoch: %w", err)
	}
	party, err := number(lines["party"], share.MaxIndex)
	if err != nil {
		return l, fmt.Errorf("party: %w", err)
	}
	l.Party = share.Index(party)
	if l.Created, err = time.Parse(time.RFC3339, lines["created"]); err != nil || statement.FormatTime(l.Created) != lines["created"] {
		return l, fmt.Errorf("created: %.40q is not a UTC time such as \"2026-01-31T12:00:00Z\"", lines["created"])
	}
	l.Created = l.Created.UTC()
	return l, l.check()
}

func number(v string, most uint64) (uint64, error) {
	u, err := strconv.ParseUint(v, 10, 64)
	if err != nil || strconv.FormatUint(u, 10) != v || u > most {
		return 0, fmt.Errorf("%.40q is not a number up to %d", v, most)
	}
	return u, nil
}

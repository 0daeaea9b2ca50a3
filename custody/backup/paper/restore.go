package paper

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/slip39"
)

// A Bundle is what a set of sheets gives back.
type Bundle struct {
	Label
	Share secret.Bytes // sᵢ: 32 bytes, a scalar of the suite
	Mask  secret.Bytes // mᵢ: 32 bytes, or none
}

// Wipe overwrites both secrets.
func (b Bundle) Wipe() {
	b.Share.Wipe()
	b.Mask.Wipe()
}

// A TooFew tells how many sheets are missing.
type TooFew struct {
	Have   []int // numbers of the sheets that are there, ascending
	Needed int
	Sheets int
}

func (e *TooFew) Error() string {
	missing := e.Needed - len(e.Have)
	more := fmt.Sprintf("%d more are", missing)
	if missing == 1 {
		more = "1 more is"
	}
	return fmt.Sprintf("restore from sheets: %d of %d sheets are needed and %s there: %s needed, any but %s",
		e.Needed, e.Sheets, are(len(e.Have)), more, listed(e.Have))
}

func are(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}

func listed(numbers []int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, fmt.Sprint(n))
	}
	return "number " + strings.Join(all, ", ")
}

// Restore gives share and mask back (spec/paper 5). It takes the needed sheets or more, in any order, a sheet twice too; with more, every
// one of them must agree with the others. Sheets that are not of one set are refused, naming what differs.
func Restore(sheets []Sheet) (Bundle, error) {
	set, err := oneSet(sheets)
	if err != nil {
		return Bundle{}, err
	}
	first := set[0]
	b := Bundle{Label: first.Label}
	if b.Share, err = combine(set, "share", func(s Sheet) slip39.Share { return s.share }); err != nil {
		return Bundle{}, err
	}
	if first.HasMask() {
		if b.Mask, err = combine(set, "mask", func(s Sheet) slip39.Share { return *s.mask }); err != nil {
			b.Wipe()
			return Bundle{}, err
		}
	}
	return b, nil
}

// oneSet checks each sheet, and that all are different ones of one set, enough of them. They come back by number.
func oneSet(sheets []Sheet) ([]Sheet, error) {
	if len(sheets) == 0 {
		return nil, errors.New("restore from sheets: there are none")
	}
	var set []Sheet
	for i, s := range sheets {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("restore from sheets: the one given as number %d: %w", i+1, err)
		}
		// Sheets of two epochs or keys: what they give together would be nobody's share.
		if diff := differences(sheets[0].setFacts(), s.setFacts()); diff != "" {
			return nil, fmt.Errorf("restore from sheets: the ones given as number 1 and number %d do not belong together: they differ in %s", i+1, diff)
		}
		at := slices.IndexFunc(set, func(o Sheet) bool { return o.Number == s.Number })
		if at < 0 {
			set = append(set, s)
			continue
		}
		if !set[at].share.Equal(s.share) || s.HasMask() && !set[at].mask.Equal(*s.mask) {
			return nil, fmt.Errorf("restore from sheets: two sheets bear the number %d and have different words: one of them is false", s.Number)
		}
	}
	slices.SortFunc(set, func(a, b Sheet) int { return a.Number - b.Number })
	if len(set) < set[0].Needed {
		return nil, &TooFew{Have: numbersOf(set), Needed: set[0].Needed, Sheets: set[0].Sheets}
	}
	return set, nil
}

func numbersOf(set []Sheet) (n []int) {
	for _, s := range set {
		n = append(n, s.Number)
	}
	return n
}

// combine restores one secret from the first sheets, then again with each sheet beyond these in the place of one.
func combine(set []Sheet, what string, of func(Sheet) slip39.Share) (secret.Bytes, error) {
	need := set[0].Needed
	some := make([]slip39.Share, need)
	for i := range some {
		some[i] = of(set[i])
	}
	value, err := slip39.Combine(some, nil)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("restore from sheets: %s from %s: %w", what, listed(numbersOf(set[:need])), err)
	}
	for _, s := range set[need:] {
		some[need-1] = of(s)
		again, err := slip39.Combine(some, nil)
		same := err == nil && again.Equal(value)
		again.Wipe()
		if !same {
			value.Wipe()
			return secret.Bytes{}, fmt.Errorf("restore from sheets: %s: sheet %d does not agree with the others: leave it out, and find out where it comes from", what, s.Number)
		}
	}
	if err := set[0].scalar(value); err != nil {
		value.Wipe()
		return secret.Bytes{}, fmt.Errorf("restore from sheets: %s: what the sheets give %w", what, err)
	}
	return value, nil
}

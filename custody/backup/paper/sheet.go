package paper

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/slip39"
	"github.com/ostraka/ostraka/crypto/transcript"
)

const (
	// Words is how many words each secret has on a sheet.
	Words = 33

	// MaxSheets is the largest set.
	MaxSheets = slip39.MaxShares

	secretSize = 32
	maxSet     = 1<<14 - 1 // a set's number has 14 bits: the last bit of SLIP-0039's 15 tells the secrets apart
	codeSize   = 4
)

// A Sheet is one of a set: what is printed on one page. Its secrets do not print.
type Sheet struct {
	Label
	Set    uint16 // number of the set, 14 random bits: a second printing has another
	Needed int    // k
	Sheets int    // m
	Number int    // of this sheet, 1 to m

	share slip39.Share
	mask  *slip39.Share // nil where the vault has no SOS plan
}

// kinds of secret, as the last bit of SLIP-0039's identifier: a mask's words typed for a share's are refused.
const (
	kindShare = 0
	kindMask  = 1
)

// Cut makes a set of sheets, of which any `needed` give back the share and the mask (spec/paper 3). mask is empty where the vault has no
// SOS plan. It restores from the sheets before it returns them. r is read for randomness only.
func Cut(l Label, share, mask secret.Bytes, needed, sheets int, r io.Reader) ([]Sheet, error) {
	if err := checkCut(l, share, mask, needed, sheets); err != nil {
		return nil, fmt.Errorf("cut sheets: %w", err)
	}
	var draw [2]byte
	if _, err := io.ReadFull(r, draw[:]); err != nil {
		return nil, fmt.Errorf("cut sheets: read randomness: %w", err)
	}
	set := (uint16(draw[0])<<8 | uint16(draw[1])) & maxSet
	of := func(s secret.Bytes, kind uint16) ([]slip39.Share, error) {
		id := set<<1 | kind
		all, err := slip39.Split(s.Expose(), 1, []slip39.Group{{Threshold: needed, Count: sheets}}, slip39.Options{Identifier: &id}, r)
		if err != nil {
			return nil, fmt.Errorf("cut sheets: %w", err)
		}
		return all[0], nil
	}
	shares, err := of(share, kindShare)
	if err != nil {
		return nil, err
	}
	var masks []slip39.Share
	if mask.Len() > 0 {
		if masks, err = of(mask, kindMask); err != nil {
			return nil, err
		}
	}
	all := make([]Sheet, sheets)
	for i := range all {
		all[i] = Sheet{Label: l, Set: set, Needed: needed, Sheets: sheets, Number: i + 1, share: shares[i]}
		if masks != nil {
			all[i].mask = &masks[i]
		}
	}
	if err := restores(all, share, mask); err != nil {
		return nil, err
	}
	return all, nil
}

func checkCut(l Label, share, mask secret.Bytes, needed, sheets int) error {
	if err := l.check(); err != nil {
		return err
	}
	switch {
	case sheets < 1 || sheets > MaxSheets:
		return fmt.Errorf("%d sheets: 1 to %d are possible", sheets, MaxSheets)
	case needed < 1 || needed > sheets:
		return fmt.Errorf("%d sheets needed of %d", needed, sheets)
	case needed == 1 && sheets > 1:
		return fmt.Errorf("1 sheet needed of %d: make one, and copy it", sheets)
	}
	if err := l.scalar(share); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	if mask.Len() == 0 {
		return nil
	}
	if err := l.scalar(mask); err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	return nil
}

// scalar accepts 32 bytes that are one of the suite's scalars. Zero is one: it is no likelier than others.
func (l Label) scalar(s secret.Bytes) error {
	g, err := groupOf(l.Suite)
	if err != nil {
		return err
	}
	v, err := g.DecodeScalar(s.Expose())
	if err != nil {
		return errors.New("is not a scalar of the suite, in 32 bytes") // the decoder's words could carry the value
	}
	v.Wipe()
	return nil
}

// restores tries the set: a backup that has not been restored does not exist. Every sheet takes part once with the sheets after it.
func restores(all []Sheet, share, mask secret.Bytes) error {
	for i := range all {
		var some []Sheet
		for j := range all[0].Needed {
			some = append(some, all[(i+j)%len(all)])
		}
		b, err := Restore(some)
		if err != nil {
			return fmt.Errorf("cut sheets: try them: %w", err)
		}
		same := b.Share.Equal(share) && b.Mask.Equal(mask)
		b.Wipe()
		if !same {
			return fmt.Errorf("cut sheets: %d of them from sheet %d on give another secret: do not use them, this machine computes wrongly", len(some), i+1)
		}
	}
	return nil
}

// HasMask says whether the sheet holds a mask besides the share.
func (s Sheet) HasMask() bool { return s.mask != nil }

// ExposeShare are the 33 words of the share: a secret.
func (s Sheet) ExposeShare() []string { return s.share.ExposeWords() }

// ExposeMask are the 33 words of the mask, none if the sheet has none: a secret.
func (s Sheet) ExposeMask() []string {
	if s.mask == nil {
		return nil
	}
	return s.mask.ExposeWords()
}

// Wipe overwrites both secrets.
func (s Sheet) Wipe() {
	s.share.Wipe()
	if s.mask != nil {
		s.mask.Wipe()
	}
}

// String is what may be shown of a sheet anywhere.
func (s Sheet) String() string {
	return fmt.Sprintf("sheet %d of %d, of vault %s, operator %s, suite %s, epoch %d (set %d)", s.Number, s.Sheets, s.Vault, s.Operator, s.Suite, s.Epoch, s.Set)
}

// Code finds typing errors in the label: it covers every fact and the sheet's place in its set, and nothing secret (spec/paper 2.3).
func (s Sheet) Code() string {
	h := transcript.New(transcript.PaperCode).Bytes(s.Label.bytes()).Uint(uint64(s.Set)).
		Uint(uint64(s.Needed)).Uint(uint64(s.Sheets)).Uint(uint64(s.Number))
	if s.HasMask() {
		h.Uint(1)
	}
	sum := h.Sum256()
	code := hex.EncodeToString(sum[:codeSize])
	return code[:4] + "-" + code[4:]
}

// setFacts are those that all sheets of a set have in common.
func (s Sheet) setFacts() []Fact {
	mask := "no"
	if s.HasMask() {
		mask = "yes"
	}
	return append(s.Facts(), Fact{"sheets", strconv.Itoa(s.Sheets)}, Fact{"sheets needed", strconv.Itoa(s.Needed)},
		Fact{"mask", mask}, Fact{"set", strconv.Itoa(int(s.Set))})
}

// Check says whether the sheet is whole: the label complete, the words' checksums right and the words of the place that the label
// names. No secret comes back.
func (s Sheet) Check() error {
	if err := s.check(); err != nil {
		return fmt.Errorf("sheet: %w", err)
	}
	if s.Sheets < 1 || s.Sheets > MaxSheets || s.Needed < 1 || s.Needed > s.Sheets || s.Number < 1 || s.Number > s.Sheets {
		return fmt.Errorf("sheet: it says that it is number %d of %d, of which %d are needed: that is impossible", s.Number, s.Sheets, s.Needed)
	}
	if err := s.fits(s.share, kindShare); err != nil {
		return fmt.Errorf("sheet %d: words of the share: %w", s.Number, err)
	}
	if s.mask == nil {
		return nil
	}
	if err := s.fits(*s.mask, kindMask); err != nil {
		return fmt.Errorf("sheet %d: words of the mask: %w", s.Number, err)
	}
	return nil
}

// fits holds one secret's words to the sheet.
func (s Sheet) fits(w slip39.Share, kind uint16) error {
	switch {
	case w.Size() != secretSize || !w.Extendable || w.Exponent != 0 || w.Groups != 1:
		return errors.New("they are of SLIP-0039, and not of a sheet of this program")
	case w.Identifier&1 != kind && w.Identifier>>1 == s.Set:
		return errors.New("share and mask are exchanged")
	case w.Identifier&1 != kind || w.Identifier>>1 != s.Set:
		return fmt.Errorf("they are of set %d, and the sheet of set %d", w.Identifier>>1, s.Set)
	case w.MemberThreshold != s.Needed:
		return fmt.Errorf("they say that %d sheets are needed, and the sheet says %d", w.MemberThreshold, s.Needed)
	case w.Member+1 != s.Number:
		return fmt.Errorf("they are of sheet %d, and stand on sheet %d", w.Member+1, s.Number)
	}
	return nil
}

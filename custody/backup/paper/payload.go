package paper

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/slip39"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Prefix begins what a QR code says: what it is, and the version of the rest.
const Prefix = "OSTRAKA-SHEET-1:"

// Fields of a payload and of a label within it (spec/paper 4).
const (
	fieldLabel transcript.Tag = iota + 1
	fieldSheets
	fieldShare
	fieldMask
	fieldSum
)

const (
	fieldCircle transcript.Tag = iota + 1
	fieldVault
	fieldOperator
	fieldKey
	fieldSuite
	fieldEpoch
	fieldRecord
	fieldParty
	fieldCreated
)

const (
	sumSize    = 8
	wordsSize  = 2 * Words
	maxLabel   = 1 << 10
	maxPayload = 1 << 10 // characters; the longest label makes 861 with the prefix
)

// bytes is the one encoding of a label.
func (l Label) bytes() []byte {
	var e transcript.Encoder
	e.String(fieldCircle, l.Circle).String(fieldVault, l.Vault).String(fieldOperator, l.Operator).Bytes(fieldKey, l.Key[:]).String(fieldSuite, l.Suite)
	e.Uint(fieldEpoch, l.Epoch).Bytes(fieldRecord, l.Record[:]).Uint(fieldParty, uint64(l.Party)).Uint(fieldCreated, uint64(l.Created.Unix()))
	return e.Sum()
}

func decodeLabel(b []byte) (l Label, err error) {
	d := transcript.NewDecoder(b)
	l.Circle, l.Vault, l.Operator = d.String(fieldCircle, maxCircle), d.String(fieldVault, maxName), d.String(fieldOperator, maxName)
	copy(l.Key[:], d.Fixed(fieldKey, 32))
	l.Suite, l.Epoch = d.String(fieldSuite, maxSuite), d.Uint(fieldEpoch, 1<<64-1)
	copy(l.Record[:], d.Fixed(fieldRecord, 32))
	l.Party = share.Index(d.Uint(fieldParty, share.MaxIndex))
	l.Created = time.Unix(int64(d.Uint(fieldCreated, maxSeconds)), 0).UTC()
	return l, d.Done()
}

// alphabet is RFC 4648's: capitals and digits are what QR codes hold most densely.
var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// ExposePayload is the whole sheet as its QR code says it: a secret. It has at most 900 characters, of those that QR codes hold
// densely, so that one code is enough.
func (s Sheet) ExposePayload() string {
	var e transcript.Encoder
	e.Bytes(fieldLabel, s.Label.bytes()).Uint(fieldSheets, uint64(s.Sheets)).Bytes(fieldShare, indices(s.share))
	if s.mask == nil {
		e.Bytes(fieldMask, nil)
	} else {
		e.Bytes(fieldMask, indices(*s.mask))
	}
	sum := sumOf(e.Sum())
	return Prefix + alphabet.EncodeToString(e.Bytes(fieldSum, sum).Sum())
}

func sumOf(body []byte) []byte {
	sum := transcript.New(transcript.PaperSum).Bytes(body).Sum256()
	return sum[:sumSize]
}

func indices(w slip39.Share) (b []byte) {
	for _, i := range w.ExposeIndices() {
		b = binary.BigEndian.AppendUint16(b, i)
	}
	return b
}

// Scan reads a sheet from what its QR code says, and checks it. Space around it is taken off.
func Scan(payload string) (Sheet, error) {
	s, err := scan(strings.TrimSpace(payload))
	if err != nil {
		return Sheet{}, fmt.Errorf("read a sheet's QR code: %w", err)
	}
	return s, nil
}

func scan(payload string) (s Sheet, err error) {
	text, ok := strings.CutPrefix(payload, Prefix)
	switch {
	case !ok && strings.HasPrefix(payload, "OSTRAKA-SHEET-"):
		return s, errors.New("it is of another version: use the program that printed it, or a newer one")
	case !ok:
		return s, fmt.Errorf("it does not begin with %s: it is another code", Prefix)
	case len(text) > maxPayload:
		return s, fmt.Errorf("it has %d characters, and a sheet at most %d", len(text), maxPayload)
	}
	raw, err := alphabet.DecodeString(text)
	// Another text of the same bytes (line ends, a last letter with other bits) is no sheet's.
	if err != nil || alphabet.EncodeToString(raw) != text {
		return s, errors.New("it is damaged: not base 32")
	}
	d := transcript.NewDecoder(raw)
	label := d.Bytes(fieldLabel, maxLabel)
	s.Sheets = int(d.Uint(fieldSheets, MaxSheets))
	words, mask := d.Fixed(fieldShare, wordsSize), d.Bytes(fieldMask, wordsSize)
	body := len(raw) - 6 - sumSize
	sum := d.Fixed(fieldSum, sumSize)
	if err := d.Done(); err != nil {
		return s, fmt.Errorf("it is damaged: %w", err)
	}
	if !bytes.Equal(sum, sumOf(raw[:body])) {
		return s, errors.New("it is damaged: its checksum does not hold")
	}
	if s.Label, err = decodeLabel(label); err != nil {
		return s, fmt.Errorf("label: %w", err)
	}
	if s.share, err = decodeIndices(words); err != nil {
		return s, fmt.Errorf("words of the share: %w", err)
	}
	if len(mask) > 0 {
		m, err := decodeIndices(mask)
		if err != nil {
			return s, fmt.Errorf("words of the mask: %w", err)
		}
		s.mask = &m
	}
	s.place()
	return s, s.Check()
}

func decodeIndices(b []byte) (slip39.Share, error) {
	if len(b) != wordsSize {
		return slip39.Share{}, fmt.Errorf("%d bytes, not %d", len(b), wordsSize)
	}
	words := make([]uint16, Words)
	for i := range words {
		words[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return slip39.FromIndices(words)
}

// place takes from the share's words what they say of the sheet's place.
func (s *Sheet) place() {
	s.Set, s.Needed, s.Number = s.share.Identifier>>1, s.share.MemberThreshold, s.share.Member+1
}

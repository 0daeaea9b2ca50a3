package slip39

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	// MinSecret and MaxSecret bound a secret, in bytes; it has an even number of them.
	//
	// DEVIATION: SLIP-0039 names no upper bound. We take secrets of up to 64 bytes: none that we know is longer, and what people type is bounded.
	MinSecret = 16
	MaxSecret = 64

	// MaxShares is the most groups, and the most members of a group.
	MaxShares = 16

	headWords = 4
	minWords  = headWords + (MinSecret*8+wordBits-1)/wordBits + checkWords // 20
	maxWords  = headWords + (MaxSecret*8+wordBits-1)/wordBits + checkWords // 59

	maxIdentifier = 1<<15 - 1
	maxExponent   = 15
)

// A Share is one row of words. All but its value is public: it tells which shares belong together, and how many are needed.
type Share struct {
	Identifier      uint16 // 15 bits, of the whole set of shares
	Extendable      bool   // more sets of one secret and passphrase are compatible: the identifier does not enter the cipher
	Exponent        int    // e, 0 to 15: PBKDF2 is done 10000·2ᵉ times
	Group           int    // 0 to 15
	GroupThreshold  int    // groups needed, 1 to 16
	Groups          int    // groups in all, 1 to 16
	Member          int    // 0 to 15, within its group
	MemberThreshold int    // members of its group needed, 1 to 16

	value secret.Bytes
}

// String tells the public facts, counting from 1.
func (s Share) String() string {
	return fmt.Sprintf("share %d of group %d (needed: %d of this group, %d of %d groups; set %d)",
		s.Member+1, s.Group+1, s.MemberThreshold, s.GroupThreshold, s.Groups, s.Identifier)
}

// Size is the length of the secret, in bytes.
func (s Share) Size() int { return s.value.Len() }

// Equal compares facts, and values in constant time.
func (s Share) Equal(o Share) bool {
	same := s.value.Equal(o.value)
	s.value, o.value = secret.Bytes{}, secret.Bytes{}
	return same && s.facts() == o.facts()
}

// Wipe overwrites the value.
func (s Share) Wipe() { s.value.Wipe() }

type facts struct {
	id                                            uint16
	extendable                                    bool
	exponent, group, of, groups, member, memberOf int
}

func (s Share) facts() facts {
	return facts{s.Identifier, s.Extendable, s.Exponent, s.Group, s.GroupThreshold, s.Groups, s.Member, s.MemberThreshold}
}

// Parse reads a share's words, separated by space of any kind, and checks all that can be checked of one share alone. It
// refuses up to three wrong words always, more of them with probability 1 − 2⁻³⁰. An error names the word, counted from 1.
func Parse(text string) (Share, error) {
	words, err := lookup(text)
	if err != nil {
		return Share{}, err
	}
	return FromIndices(words)
}

// FromIndices is Parse of words that are given by their places in the list, from 0.
func FromIndices(words []uint16) (Share, error) {
	if len(words) < minWords || len(words) > maxWords {
		return Share{}, fmt.Errorf("%d words: a share has %d to %d", len(words), minWords, maxWords)
	}
	for i, w := range words {
		if w > wordMask {
			return Share{}, fmt.Errorf("word %d is number %d of a list of %d", i+1, w, wordMask+1)
		}
	}
	extendable := words[1]>>4&1 == 1
	if remainder(extendable, words) != 1 {
		return Share{}, badChecksum(extendable, words)
	}
	s := Share{
		Identifier: words[0]<<5 | words[1]>>5, Extendable: extendable, Exponent: int(words[1] & 15),
		Group: int(words[2] >> 6), GroupThreshold: int(words[2]>>2&15) + 1,
		Groups: int(words[2]&3<<2|words[3]>>8) + 1, Member: int(words[3] >> 4 & 15), MemberThreshold: int(words[3]&15) + 1,
	}
	if s.GroupThreshold > s.Groups {
		return Share{}, fmt.Errorf("%d groups are needed and there are %d: no right program made such a share", s.GroupThreshold, s.Groups)
	}
	if s.Group >= s.Groups {
		return Share{}, fmt.Errorf("this is of group %d and there are %d: no right program made such a share", s.Group+1, s.Groups)
	}
	value, err := unpack(words[headWords : len(words)-checkWords])
	if err != nil {
		return Share{}, err
	}
	s.value = secret.New(value)
	return s, nil
}

func badChecksum(extendable bool, words []uint16) error {
	if at := suspect(extendable, words); at > 0 {
		return fmt.Errorf("the checksum does not hold: word %d seems to be another than on the sheet", at)
	}
	return errors.New("the checksum does not hold: at least two words are others than on the sheet, or stand in another order")
}

// unpack reads a value of an even number of bytes, filled up with zero bits on the left (spec/slip39 1.3).
func unpack(words []uint16) ([]byte, error) {
	fill := len(words) * wordBits % 16
	if fill > 8 {
		return nil, fmt.Errorf("%d words: no secret has a share of this length; are some missing?", headWords+len(words)+checkWords)
	}
	if words[0]>>(wordBits-fill) != 0 {
		return nil, errors.New("word 5 begins with bits that must be zero: no right program made such a share")
	}
	value := make([]byte, 0, (len(words)*wordBits-fill)/8)
	acc, bits := uint32(0), -fill
	for _, w := range words {
		acc, bits = acc<<wordBits|uint32(w), bits+wordBits
		for ; bits >= 8; bits -= 8 {
			value = append(value, byte(acc>>(bits-8)))
		}
	}
	return value, nil
}

// pack is unpack's opposite.
func pack(words []uint16, value []byte) []uint16 {
	count := (len(value)*8 + wordBits - 1) / wordBits
	acc, bits := uint32(0), count*wordBits-len(value)*8
	for _, b := range value {
		acc, bits = acc<<8|uint32(b), bits+8
		for ; bits >= wordBits; bits -= wordBits {
			words = append(words, uint16(acc>>(bits-wordBits))&wordMask)
		}
	}
	return words
}

// ExposeIndices are the words' places in the list, from 0: a secret.
func (s Share) ExposeIndices() []uint16 {
	head := s.Identifier<<5 | uint16(s.Exponent)
	if s.Extendable {
		head |= 1 << 4
	}
	gt, g := uint16(s.GroupThreshold-1), uint16(s.Groups-1)
	words := make([]uint16, 0, maxWords)
	words = append(words, s.Identifier>>5, head&wordMask,
		uint16(s.Group)<<6|gt<<2|g>>2, g&3<<8|uint16(s.Member)<<4|uint16(s.MemberThreshold-1))
	return seal(s.Extendable, pack(words, s.value.Expose()))
}

// ExposeWords are the words to write down: a secret.
func (s Share) ExposeWords() []string {
	indices := s.ExposeIndices()
	words := make([]string, len(indices))
	for i, at := range indices {
		words[i] = list[at]
	}
	return words
}

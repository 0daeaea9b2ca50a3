package slip39

// RS1024: a Reed–Solomon code over GF(1024) whose three check words find any three wrong words
// (spec/slip39 1.4). It is linear, so that its time depends on lengths alone.

const (
	checkWords = 3
	wordBits   = 10
	wordMask   = 1<<wordBits - 1
)

var generator = [wordBits]uint32{
	0xe0e040, 0x1c1c080, 0x3838100, 0x7070200, 0xe0e0009,
	0x1c0c2412, 0x38086c24, 0x3090fc48, 0x21b1f890, 0x3f3f120,
}

// absorb multiplies the remainder by x and adds a word.
func absorb(sum uint32, word uint16) uint32 {
	top := sum >> (2 * wordBits)
	sum = sum&(1<<(2*wordBits)-1)<<wordBits ^ uint32(word)
	for i, g := range generator {
		sum ^= -(top >> i & 1) & g
	}
	return sum
}

// customisation keeps shares of the two kinds apart, and apart from other codes.
func customisation(extendable bool) string {
	if extendable {
		return "shamir_extendable"
	}
	return "shamir"
}

// remainder is 1 for words whose last three are their checksum.
func remainder(extendable bool, words []uint16) uint32 {
	sum := uint32(1)
	for _, c := range []byte(customisation(extendable)) {
		sum = absorb(sum, uint16(c))
	}
	for _, w := range words {
		sum = absorb(sum, w)
	}
	return sum
}

// seal appends the checksum.
func seal(extendable bool, words []uint16) []uint16 {
	sum := remainder(extendable, append(words, 0, 0, 0)) ^ 1
	for i := checkWords - 1; i >= 0; i-- {
		words = append(words, uint16(sum>>(wordBits*i)&wordMask))
	}
	return words
}

// suspect is the only word, counted from 1, by whose change alone the checksum would hold: where one word is wrong, or two
// are, it is right or 0, since two rows with right checksums differ in four words at least. What the word should be it does not
// say: the standard warns of that, for a guess that happens to fit is another secret.
func suspect(extendable bool, words []uint16) int {
	wrong := remainder(extendable, words) ^ 1
	var change [wordBits]uint32 // what bit b of the word at hand adds to the remainder
	for b := range change {
		change[b] = 1 << b
	}
	for at := len(words) - 1; at >= 0; at-- {
		for d, sum := 1, uint32(0); d <= wordMask; d++ { // all changes of a word, in the order of Gray's code
			bit := 0
			for d>>bit&1 == 0 {
				bit++
			}
			if sum ^= change[bit]; sum == wrong {
				return at + 1
			}
		}
		for b := range change {
			change[b] = absorb(change[b], 0)
		}
	}
	return 0
}

package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// The label and the types of items as package transcript has them. The engine imports
// nothing of ours; a test holds the two encodings equal.
const echoLabel = "ostraka/1/engine/echo"

const (
	tagRoot  = 1
	tagLabel = 2
	tagBytes = 3
	tagUint  = 4

	headerSize = 6 // uint16 tag ‖ uint32 length
)

// A shout is one broadcast as the transcript sees it.
type shout struct {
	from PartyID
	kind Kind
	body []byte
}

// next is T_r = SHA-256(tree of label, T_{r-1}, r, and for each broadcast of round r in
// order of parties and then of kinds: sender, kind, body). spec/engine 3.
func (t Transcript) next(round uint8, shouts []shout) Transcript {
	size := headerSize + len(echoLabel) + headerSize + len(t) + headerSize + 8
	for _, s := range shouts {
		size += headerSize + len(s.from) + headerSize + 8 + headerSize + len(s.body)
	}
	h := sha256.New()
	header(h, tagRoot, size)
	item(h, tagLabel, []byte(echoLabel))
	item(h, tagBytes, t[:])
	number(h, uint64(round))
	for _, s := range shouts {
		item(h, tagBytes, s.from[:])
		number(h, uint64(s.kind))
		item(h, tagBytes, s.body)
	}
	return Transcript(h.Sum(nil))
}

// Next is T_r of T_{r-1} and all broadcasts of round r, in the order of parties and then of kinds. Sessions
// keep theirs; this is for who judges a signed message from outside: its echo says which
// broadcasts its sender had seen.
func (t Transcript) Next(round uint8, broadcasts []Msg) Transcript {
	shouts := make([]shout, len(broadcasts))
	for i, m := range broadcasts {
		shouts[i] = shout{m.From, m.Kind, m.Body}
	}
	return t.next(round, shouts)
}

func header(h hash.Hash, tag uint16, size int) {
	var b [headerSize]byte
	binary.BigEndian.PutUint16(b[:], tag)
	binary.BigEndian.PutUint32(b[2:], uint32(size))
	h.Write(b[:])
}

func item(h hash.Hash, tag uint16, b []byte) {
	header(h, tag, len(b))
	h.Write(b)
}

func number(h hash.Hash, v uint64) {
	item(h, tagUint, binary.BigEndian.AppendUint64(nil, v))
}

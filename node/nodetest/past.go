package nodetest

import (
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// An Allow is an operator's ALLOW as notes of the past carry it (spec/node 10).
type Allow struct {
	Decision  statement.Statement
	Signature []byte
}

// Allows encodes them, written anew from the spec.
func Allows(all []Allow) []byte {
	var e transcript.Encoder
	return e.List(1, len(all), func(i int, e *transcript.Encoder) {
		e.Bytes(1, all[i].Decision.Bytes()).Bytes(2, all[i].Signature)
	}).Sum()
}

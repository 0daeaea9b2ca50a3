// Package ceremony composes the protocols: it is the only room that knows more than one
// of them. Keygen runs key generation and pair set-up in the same rounds and ends in the
// epoch's PREP; Sign and Test run DKLs23 over a record's shares (spec/ceremonies). Presign makes its first rounds before
// there is a message, Online signs with what comes out (spec/presign).
//
// The host gives seats, rows and coins, and carries the effects out.
package ceremony

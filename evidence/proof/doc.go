// Package proof verifies a vault's signed statements of control (spec/statements 2, kind `proof`), for whoever has nothing of ours but
// the statement, the signature, and the address's key or the vault's extended public key.
//
// What holds is this: whoever rules the address said, in the name of the entity, the text, as of the block if one is named. Nothing shows
// that the entity is the one meant, that no one else rules the address too, or what lay on it: whoever reads it compares the address with
// what the chain held at the block.
//
// Bytes in, meaning out: time and keys are arguments.
package proof

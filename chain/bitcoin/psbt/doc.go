// Package psbt reads and writes Bitcoin's transactions and BIP 174's packets (version 0) as bytes: lengths, order and repetition. What
// the fields mean, and which of them may stand in an intent, is chain/bitcoin's.
//
// Reading is strict: each length in its shortest form, no key twice in one map, nothing after the end. So what is read and written
// again is the same bytes, and memory stays within a small multiple of the input.
package psbt

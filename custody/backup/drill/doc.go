// Package drill is the proof that a backup opens, without anything of it leaving (spec/backups 8; protocols.md 5.4).
//
// A guardian decrypts what an epoch encrypted to them, an operator restores its own bundle apart; each then proves by Schnorr's protocol, made
// non-interactive, that they know the discrete logarithm of a public point: the guardian's value of U(x), the operator's share and mask. The proof is over a
// fresh checkpoint of a log that another operator's node cosigned, so it is not older than that, and over key, epoch and party, so it serves nowhere
// else. Nobody signs a drill: it counts by its proof, whoever carries it.
//
// What it does not show: where the secret was read from. A guardian has it from the set alone, which was checked. An operator's running node knows its
// share too: that it came from the backup is the operator's word (Declared), and the proof that it knows it is Proved.
package drill

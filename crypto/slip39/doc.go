// Package slip39 is SLIP-0039, Shamir's secret sharing for mnemonic codes: a secret as groups of shares, each share a
// row of words with a checksum that one can write down, type in again, and check alone. The choices that the standard
// leaves open, and ours, stand in spec/slip39.
//
// Arithmetic on shares is in constant time, without tables. Words are not: a word is found in the list by comparing, and
// whoever types words has shown them to more than a clock. The caller wipes what Split was given and what Combine
// returns; strings of words, and the passphrase within PBKDF2, cannot be wiped (SECURITY.md).
//
// A passphrase is not checked: a wrong one gives another secret and no error. The standard wants it so; whoever needs to
// know compares the secret with something public.
package slip39

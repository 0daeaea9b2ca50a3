// Package paper makes and reads the sheets on which an operator keeps its own share of a key, and the mask that the SOS plan
// gave it, for the day when every machine is gone (level 3 of spec/paper; protocols.md 5.2, 5.3).
//
// A set is k-of-m sheets of one key in one epoch. Each sheet has its label (whose share of which key this is), the words of both
// secrets (SLIP-0039) under the same number, and all of it once more for a reader of QR codes. A sheet can be checked
// alone, without any secret coming back: Check. Restore takes at least k sheets and refuses what does not belong together, naming
// what differs.
//
// What no sheet can prove is that its label is true: sheets are the operator's own, not publicly verifiable, and whoever prints may
// print anything. Who restores compares the share with the public share of the epoch record whose hash stands on the sheet; the
// operator's drill is the evidence that others get. A sheet of an old epoch stays readable for ever (protocols.md 6.6).
//
// Sheets carry no passphrase: one that is forgotten loses the share, and nothing tells a wrong one. Keep sheets of one set in different places instead.
package paper

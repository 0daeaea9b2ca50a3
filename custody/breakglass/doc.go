// Package breakglass puts a root key together again from what operators and guardians keep outside their nodes (spec/breakglass). It is for the
// day when the software itself is dead: no node runs, no reshare and no SOS can. Custody ends with it, for one holder then has the key.
//
// Nothing else of this program does that, and nothing else may: no package that a node or the ordinary command links imports this one
// (internal/arch holds it). Whoever holds t shares, or r masks and k guardians' values, could do the same sums by hand; what this room adds is that every
// piece is held to its public point before it counts, that pieces of two epochs are never mixed, and that it is said aloud: two witnesses of two
// organisations sign beforehand, and the key itself proves afterwards that it was rebuilt.
//
// The caller must destroy: the pieces it hands in, the Assembly, and the Root (Wipe each).
package breakglass

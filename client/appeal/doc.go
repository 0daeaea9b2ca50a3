// Package appeal is a guardian's side of an SOS, offline (spec/guardian 4, 5; protocols.md 6.2 step 2): it verifies a file that says what the guardian is asked
// for, from itself alone, refuses by what the vault's plan says and by the guardian's own clock, and makes the one message that deals the guardian's value
// to the new committee. Clock, entropy and when the file was seen first are arguments.
//
// What the file cannot show, the guardian knows another way: which charter is the vault's (Pinned). Whoever is to be deceived by a charter that
// nobody in force ever signed would deal to a committee of r dishonest operators' choice.
//
// What the caller must destroy: the guardian's key. The value is wiped here.
package appeal

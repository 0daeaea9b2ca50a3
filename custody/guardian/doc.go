// Package guardian is a guardian's own key, kept offline, and the card that shows its public half (spec/guardian).
//
// A guardian is a person outside the operators, whose help brings a lost vault back in SOS. Their key lies on paper, a stick or a
// security token, never on a server. All of it comes of one seed of 32 bytes: an Ed25519 key that signs (as an SSH key, so that signet
// checks it as it does everybody's), and an X25519 key to which each epoch encrypts the guardian's value (spec/pve).
//
// The card is what the guardian sends to who writes the charter: both public keys, a proof that the guardian holds the X25519 key, and
// the Ed25519 key's signature over all of it. So nobody can hand in another's encryption key as their own, nor pair one guardian's
// signing key with a key that they hold themselves.
//
// What the caller must destroy: a Key, with Wipe, once it has done its work.
package guardian

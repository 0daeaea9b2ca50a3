// Package malice derives what a corrupt party may send from a description of a protocol's
// messages, and says what each such attempt must come to (spec/pair, spec/dkls-sign and
// spec/keygen hold the layouts).
//
// A protocol's tests describe each kind of message once, as a Message: fields that cover
// every byte, each with its type and with the result that a well-formed but wrong value
// must have. Mutations follow from the type, so that a field without mutations cannot be
// forgotten; Message.Check fails when bytes belong to no field or to two. What does not
// decode must always end in blame of its sender.
//
// The package is for tests, and pure: it imports no testing.
package malice

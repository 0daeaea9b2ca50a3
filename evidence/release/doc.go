// Package release reads and writes what maintainers sign of a version of the software: a statement of kind release that
// lists every file with its hash, in a signed note (golang.org/x/mod/sumdb/note, Ed25519). Who holds the note and the
// maintainers' keys can say of a program's hash which release it is, and who signed that; of any other, that it is unknown
// (spec/release 1, 2).
//
// A release says nothing that depends on when or where it was made: whoever builds the same source with the same toolchain
// writes the same text, and a second maintainer signs what their own machine made.
package release

// Package places judges what clouds and third parties signed of the places where shares lie (spec/attest): files of evidence, given as bytes,
// against a charter, and against keys, certificates and names that whoever judges trusts. It says of each file whether it holds, which fields of
// its place it bears out and as of when, and of what does not count, why.
//
// Whoever hands a file in says nothing of what is believed. It is one implementation for everybody who counts evidence: `control map`, `verify`,
// `watch` and a published folder.
package places

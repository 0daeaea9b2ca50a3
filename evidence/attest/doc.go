// Package attest reads evidence of where a node runs: the identity documents that AWS, Google Cloud and Azure sign for an instance. It verifies
// them offline, against certificates and keys that are pinned or given, and says what they claim and how far that may be believed
// (spec/attest).
//
// A document says that an instance exists in an account and a region. That it is the instance of a certain node is said only by a document
// that carries the node's own text (Subject): such a claim is Attested, every other is Declared, whatever was signed. Neither shows that the
// node's process runs on the instance: somebody who rules both can fetch a document here and run the node there. What shows that is hardware
// that attests what it runs (evidence/attest/hardware).
//
// Bytes in, claims out: time, roots and keys are arguments.
package attest

// Package verdict puts a verifier's report into a sentence that a person without training understands in ten seconds, and says in what
// two reports of the same logs differ. The page of a disclosure and the verifier in the visitor's browser use the same, so that both say it
// in the same words. It is small and pure: it is part of what browsers load.
package verdict

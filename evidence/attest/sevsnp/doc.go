// Package sevsnp verifies the evidence of an AMD SEV-SNP guest (spec/attest 10): a report that the processor's secure processor signed, and the
// certificates up to AMD's root.
//
// It reads AMD's fixed form itself: "SEV Secure Nested Paging Firmware ABI Specification" (56860), table ATTESTATION_REPORT, and "Versioned Chip
// Endorsement Key (VCEK) Certificate and KDS Interface Specification" (57230). Tests hold it to github.com/google/go-sev-guest, which fetches
// what it lacks from the network and does not build for the browser's verifier.
package sevsnp

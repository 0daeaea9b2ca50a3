// Package tpm holds the evidence that a TPM 2.0 gives of the machine that it sits in: its form (spec/attest 8), how it is verified, and the
// challenge that shows an attestation key to lie in the TPM of an endorsement key (spec/attest 12). Bytes in, bytes out; the room that asks a TPM
// for it is node/quote/tpm.
//
// It reads the few structures that evidence may have itself, and draws from the entropy that it is given. Tests hold it to
// github.com/google/go-tpm, whose decoder of all structures works by reflection, and whose challenges draw from the system.
package tpm

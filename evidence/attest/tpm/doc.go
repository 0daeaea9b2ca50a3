// Package tpm holds the evidence that a TPM 2.0 gives of the machine that it sits in: its form (spec/attest 8). Bytes in, bytes out; the room
// that asks a TPM for it is node/quote/tpm.
package tpm

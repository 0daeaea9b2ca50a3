// Package tpm is the key provider that keeps the wrapping key in a TPM 2.0: it comes out on this machine alone, after this boot chain alone, and
// if so chosen for who knows a PIN (spec/tpm 5).
package tpm

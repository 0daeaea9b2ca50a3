// Package nitro verifies the evidence of an AWS Nitro enclave (spec/attest 13): the attestation document that the Nitro security module signs, a
// COSE_Sign1 over a map in CBOR, and the certificates up to AWS's root.
//
// It reads the one form that the module writes itself: "Verifying the root of trust", AWS Nitro Enclaves user guide. Tests hold it to
// github.com/veraison/go-cose and github.com/fxamacker/cbor, which would add a megabyte to the browser's verifier.
package nitro

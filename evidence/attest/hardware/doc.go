// Package hardware judges what a node's hardware says of it: a TPM 2.0, an AMD SEV-SNP or Intel TDX guest, an AWS Nitro enclave (spec/attest 9).
// It binds evidence to a node's identity key and a peer's nonce, and says in one text what runs there (Report.Measurement), which a charter lists.
//
// Bytes in, reports out: time, roots and collateral are arguments, and nothing is fetched. Each kind has its room beside this one.
package hardware

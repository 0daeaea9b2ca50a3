// Package tpm asks the machine's TPM 2.0 for evidence of it (spec/attest 8): a quote over the PCRs and over what the asker gave, the keys and the
// certificate of the TPM, and the answer to a challenge that joins them. Others judge it (evidence/attest).
package tpm

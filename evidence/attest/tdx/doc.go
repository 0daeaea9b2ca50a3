// Package tdx verifies the evidence of an Intel TDX guest (spec/attest 11): a quote, which Intel's quoting enclave signed, the certificates up to
// Intel's root, and Intel's word on the state of the platform's firmware (its TCB): TCB info, the identity of the quoting enclave, and lists of
// withdrawn certificates.
//
// It reads the fixed forms itself: "Intel TDX DCAP Quoting Library API", appendix A (quotes of versions 4 and 5), "Intel SGX PCK Certificate and CRL
// Profile", and the answers of Intel's Provisioning Certification Service, version 4. Tests hold it to github.com/google/go-tdx-guest, whose
// default is to fetch collateral from the network and which does not build for the browser's verifier.
package tdx

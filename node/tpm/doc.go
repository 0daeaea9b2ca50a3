// Package tpm opens a TPM 2.0 and speaks with it: one user at a time, with limits on time, and errors that say what an operator can do. What
// is sealed, quoted or counted with it is the affair of other rooms (node/seal/tpm, node/quote/tpm, node/fence); spec/tpm is the page.
//
// Secrets that pass between this process and the TPM pass under a session whose key is a salt that only the TPM can decrypt (to the storage
// root key), so that who listens on the bus between them reads nothing, and who changes what passes is found (TPM 2.0 Library, part 1, 19 and
// 21). Who stands in the bus from the first day and plays the TPM could give a key of its own: whoever stored that key's name once, as rooms
// do, is not deceived later.
package tpm

// Package seal encrypts what must not lie open on a disk: shares, pair states, identity
// keys (spec/sealing.md).
//
// Envelope: a random data key (32 bytes) seals rows with XChaCha20-Poly1305; a KEK, the
// provider, wraps the data key. Providers are small, so that passphrase, age, TPM,
// PKCS#11 and transit engines stand side by side, and All requires several together.
// The key file holds the wrapped data key; changing the provider or its passphrase
// rewrites that file only.
//
// Every row is sealed under its label, so that a row of another key, epoch, operator
// or name does not open: rows cannot be swapped, and old ones cannot come back as new.
// Sealing does not show that a whole folder was set back (protocols.md 1.5 step 8 does).
package seal

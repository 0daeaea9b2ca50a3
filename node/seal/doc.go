// Package seal encrypts what must not lie open on a disk: shares, pair states, identity
// keys (spec/sealing.md).
//
// Envelope: a random data key (32 bytes) seals rows with XChaCha20-Poly1305; a KEK, the
// key provider, wraps the data key. Providers are small, so that passphrase, age, TPM,
// PKCS#11 and transit engines stand side by side. The key file holds the wrapped data key
// in slots, any one of which opens it; a slot has one provider, or several of which All
// are required. Changing slots rewrites that file only.
//
// Every row is sealed under its label, so that a row of another key, epoch, operator
// or name does not open: rows cannot be swapped, and old ones cannot come back as new.
// Sealing does not show that a whole folder was set back (protocols.md 1.5 step 8 does).
package seal

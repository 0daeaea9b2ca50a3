// Package passphrase is the provider whose key is argon2id of a passphrase
// (golang.org/x/crypto/argon2, RFC 9106). Cost and salt are stored beside each wrapped
// key, so that the cost can rise later.
package passphrase

//go:build !cgo

package main

import (
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
)

// none stands where the program was built without C: it loads no token's library, and says so.
type none struct{}

func newToken() pkcs11.Token { return none{} }

func (none) Open(string, string, string, secret.Bytes, bool) (string, error) {
	return "", &pkcs11.Error{Code: pkcs11.NoC}
}

func (none) Wrap([]byte, []byte) ([]byte, error) { return nil, &pkcs11.Error{Code: pkcs11.NoC} }

func (none) Unwrap([]byte, []byte) ([]byte, error) { return nil, &pkcs11.Error{Code: pkcs11.NoC} }

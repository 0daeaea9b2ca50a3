//go:build !embed_wasm

package wasm

// Verifier is ErrAbsent: this build carries none.
func Verifier() (Program, error) { return Program{}, ErrAbsent }

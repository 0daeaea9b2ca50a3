//go:build embed_wasm

package wasm

import _ "embed"

//go:embed dist/verify.wasm.gz
var packed []byte

//go:embed dist/wasm_exec.js
var runtime []byte

// Verifier is the program that this build carries.
func Verifier() (Program, error) { return Program{packed, runtime}, nil }

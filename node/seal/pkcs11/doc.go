// Package pkcs11 is the provider whose key lies in a PKCS#11 token and never leaves it (spec/sealing.md 7).
//
// A token's library is C, loaded into the process that uses it, and the node links none. So a helper, the program ostraka-hsm, loads
// it: the node starts it, speaks with it over a pair of pipes while a data key is wrapped or unwrapped, and ends it. What passes is
// the PIN, the data key, and nothing of the node's else. This package is both ends of that conversation; the helper adds the token.
package pkcs11

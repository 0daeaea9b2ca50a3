// Package dkls signs with threshold ECDSA over secp256k1 in three rounds (protocols.md
// 2.5, spec/dkls-sign).
package dkls

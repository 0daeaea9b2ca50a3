//go:build !nightly

package dkls_test

const normalSeeds = 50

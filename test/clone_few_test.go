//go:build !nightly

package test

const copies = 50 // intents while both copies run

//go:build nightly

package test

const copies = 500 // intents while both copies run

//go:build nightly

package test

import (
	"testing"

	"github.com/ostraka/ostraka/internal/components/bitcoind"
)

// The stories of Bitcoin on a fork of Bitcoin Core, whose rules of what to relay are stricter than those of btcd.
func TestBitcoinStoriesOnBitcoind(t *testing.T) { bitcoinStories(t, bitcoind.Start(t)) }

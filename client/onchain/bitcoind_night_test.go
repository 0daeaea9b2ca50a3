//go:build nightly

package onchain_test

import (
	"testing"

	"github.com/ostraka/ostraka/internal/components/bitcoind"
)

// What is read from btcd is read from a fork of Bitcoin Core, too, whose refusals are others.
func TestBitcoinOnBitcoind(t *testing.T) {
	t.Run("gathers", func(t *testing.T) { gathersBitcoin(t, bitcoind.Start(t)) })
	t.Run("refuses", func(t *testing.T) { refusesBitcoin(t, bitcoind.Start(t), bitcoind.Start(t)) })
	t.Run("keeps", func(t *testing.T) { keepsBitcoin(t, bitcoind.Start(t)) })
}

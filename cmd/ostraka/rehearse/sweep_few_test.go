//go:build !nightly

package rehearse

// What TestSweptInAnEmergency sweeps.
const (
	sweepTokens = 6  // of which three fail
	sweepCoins  = 20 // of Bitcoin, of both kinds
	sweepMints  = 4  // of Solana
)

//go:build nightly

package rehearse

// What TestSweptInAnEmergency sweeps: as many as the plan of a large treasury must bear.
const (
	sweepTokens = 50  // of which three fail
	sweepCoins  = 200 // of Bitcoin, of both kinds
	sweepMints  = 20  // of Solana
)

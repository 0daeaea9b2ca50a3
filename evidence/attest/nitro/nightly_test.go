//go:build nightly

package nitro

// At night every byte is turned, for the libraries too.
func init() { flipStep, oracleStep = 1, 1 }

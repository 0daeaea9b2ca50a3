package client

import "fmt"

// KeptBack refuses a new payment of an address while another of its intents ended without a signature, may be signed all the same, and has a nonce that the chain used since for what no node shows: an operator
// that kept the signature back had that payment made, and whoever proposes it anew pays twice. next is the first nonce that the chain has not used.
func KeptBack(all []*Case, address, chain string, next uint64) error {
	shown := map[uint64]bool{}
	for _, c := range all {
		if c.Tx != nil && c.Signed != nil && c.Intent.Address == address && c.Intent.Chain == chain {
			shown[c.Tx.Facts().Nonce] = true
		}
	}
	for _, c := range all {
		if c.Tx == nil || !c.possiblySigned() || c.Intent.Address != address || c.Intent.Chain != chain {
			continue
		}
		if n := c.Tx.Facts().Nonce; n < next && !shown[n] {
			return &RefusedError{fmt.Sprintf("intent %s ended, and may be signed all the same: the chain has used its nonce %d of %s, and no node shows for what. See on the chain what it was: if it is what that intent pays, who proposes it anew pays twice; if you mean another payment, give --nonce (%d is the next)",
				c.ID().Short(), n, address, next)}
		}
	}
	return nil
}

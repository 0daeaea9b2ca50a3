package policy

import (
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/custody/charter"
)

// Recovery is the leaf of a vault's Taproot addresses; nil: they have none.
func Recovery(v charter.Vault) *bitcoin.Recovery {
	if v.Recovery == nil {
		return nil
	}
	return &bitcoin.Recovery{Key: v.Recovery.Key, Blocks: v.Recovery.Blocks}
}

// Tree is the Merkle root of a vault's addresses of a suite; nil: they have no script.
func Tree(v charter.Vault, suite string) *[32]byte {
	r := Recovery(v)
	if r == nil || suite != charter.SuiteBIP340 {
		return nil
	}
	root := r.Root()
	return &root
}

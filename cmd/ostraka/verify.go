package main

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// verify recovers the sender with go-ethereum's own code, which shares nothing with the code
// that signed.
func (s *story) verify(context.Context) error {
	signed := s.signed.Signed
	var tx types.Transaction
	if err := tx.UnmarshalBinary(signed.Raw); err != nil {
		return unverified("do not use this signature", "go-ethereum does not read the signed transaction: %w", err)
	}
	sender, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx)
	if err != nil {
		return unverified("do not use this signature", "go-ethereum does not accept the signature: %w", err)
	}
	if sender != common.Address(s.address.Address) || tx.ChainId().Uint64() != s.number {
		return unverified("do not use this signature", "go-ethereum recovers the sender %s on chain %v, not %s on %d", sender, tx.ChainId(), s.address.Address, s.number)
	}
	s.doc.Tx = demoTransaction{
		Raw: fmt.Sprintf("0x%x", signed.Raw), Hash: signed.Hash.String(), ChainID: s.number, Nonce: tx.Nonce(), To: tx.To().Hex(), Value: tx.Value().String(),
	}
	s.doc.Signature = signatureDocument{fmt.Sprintf("0x%x", signed.R), fmt.Sprintf("0x%x", signed.S), signed.RecID}
	s.doc.Sender, s.doc.Verified = sender.Hex(), true
	s.step("verified", "go-ethereum recovers the sender from the signed transaction: it is the vault's address.")
	s.tell("     hash %s", signed.Hash)
	return nil
}

// receipt waits until the transaction that the nodes broadcast stands in a block.
func (s *story) receipt(ctx context.Context) error {
	if s.chain == nil {
		return nil
	}
	r, err := s.await(ctx, s.signed.Signed.Hash)
	if err != nil {
		return err
	}
	d := &receiptDocument{Hash: r.Hash.String(), Block: r.Block, BlockHash: r.BlockHash.String(), GasUsed: r.GasUsed}
	if !r.Success {
		return fmt.Errorf("transaction %s was reverted in block %d", r.Hash, r.Block)
	}
	d.Status = 1
	s.doc.Receipt = d
	s.step("receipt", "The nodes broadcast it; it is mined in block %d, status 1.", r.Block)
	return nil
}

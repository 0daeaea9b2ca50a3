package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/custody/charter"
)

// verify recovers the sender with go-ethereum's own code, which shares nothing with the code
// that signed.
func (s *story) verify(context.Context) error {
	if s.signed.Proof != nil {
		return s.verifyProof()
	}
	signed := s.signed.Signed
	var tx types.Transaction
	if err := tx.UnmarshalBinary(signed.Raw); err != nil {
		return unverified("do not use this signature", "go-ethereum does not read the signed transaction: %w", err)
	}
	sender, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx)
	if err != nil {
		return unverified("do not use this signature", "go-ethereum does not accept the signature: %w", err)
	}
	if sender.Hex() != s.address.Address || tx.ChainId().Uint64() != s.number {
		return unverified("do not use this signature", "go-ethereum recovers the sender %s on chain %v, not %s on %d", sender, tx.ChainId(), s.address.Address, s.number)
	}
	s.doc.Tx = &demoTransaction{
		Raw: fmt.Sprintf("0x%x", signed.Raw), Hash: signed.Hash, ChainID: s.number, Nonce: tx.Nonce(), To: tx.To().Hex(), Value: tx.Value().String(),
	}
	s.doc.Signature = signatureDocument{fmt.Sprintf("0x%x", signed.Tx.R), fmt.Sprintf("0x%x", signed.Tx.S), signed.Tx.RecID}
	s.doc.Sender, s.doc.Verified = sender.Hex(), true
	s.step("verified", "go-ethereum recovers the sender from the signed transaction: it is the vault's address.")
	s.tell("     hash %s", signed.Hash)
	return nil
}

// verifyProof asks verifiers that share nothing with the code that signed: the standard library for Ed25519, and BIP 340 on
// another library's arithmetic, under the key that the address itself names.
func (s *story) verifyProof() error {
	p, sig := s.signed.Proof, s.signed.Signed.Raw
	by, key, good := "the standard library's crypto/ed25519", base58.Decode(s.address.Address), false
	switch p.Suite {
	case charter.SuiteEd25519:
		text, err := solana.ProofMessage(key, p.Statement.Bytes())
		if good = err == nil && ed25519.Verify(key, text, sig); good {
			s.doc.Signature = signatureDocument{R: fmt.Sprintf("0x%x", sig[:32]), S: fmt.Sprintf("0x%x", sig[32:])}
		}
	case charter.SuiteBIP340:
		by = "a BIP 340 verifier on decred's arithmetic"
		_, program, err := bech32.DecodeNoLimit(s.address.Address)
		if err != nil {
			return unverified("do not use this address", "the address is not bech32: %w", err)
		}
		key, err = bech32.ConvertBits(program[1:], 5, 8, false)
		if err != nil {
			return unverified("do not use this address", "the address holds no key: %w", err)
		}
		digest := append(bitcoin.Script{0x51, 0x20}, key...).ProofDigest(p.Statement.Bytes())
		if good = len(sig) == 66 && independent.VerifySchnorr(key, digest[:], sig[2:]) == nil; good { // BIP 322: a witness of one signature
			s.doc.Signature = signatureDocument{R: fmt.Sprintf("0x%x", sig[2:34]), S: fmt.Sprintf("0x%x", sig[34:])}
		}
	}
	if !good {
		return unverified("do not use this signature", "%s does not accept the signature under the key of address %s", by, s.address.Address)
	}
	s.doc.Proof = proofOf(s.signed)
	s.doc.Sender, s.doc.Verified = s.address.Address, true
	s.step("verified", "%s accepts the signature under the key that the address names.", strings.ToUpper(by[:1])+by[1:])
	s.tell("     signature %s", chain.FormatProof(p.Chain, sig))
	return nil
}

// receipt waits until the transaction that the nodes broadcast stands in a block.
func (s *story) receipt(ctx context.Context) error {
	if s.chain == nil {
		return nil
	}
	r, err := s.await(ctx, s.signed.Signed.Tx.Hash)
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

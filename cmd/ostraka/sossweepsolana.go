package main

import (
	"context"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
)

// A lampTransfer is a line on Solana: all of a token of one address, or its SOL.
type lampTransfer struct {
	*sweepLine
	s      *sweep
	sender client.Sender
	haul   client.SolanaHaul
	to     solana.Key
}

// onSolana lists what becomes of what the vault's addresses hold on Solana: tokens, which take their accounts with them, then SOL. The nodes read the accounts; no endpoint is asked from here.
func (s *sweep) onSolana(ctx context.Context, a *app, chain string) (lines []*sweepLine, err error) {
	dest, err := s.destination(chain)
	if err != nil {
		return nil, err
	}
	to, err := solana.ParseKey(dest.Address)
	if err != nil {
		return nil, err
	}
	senders, err := s.senders(chain, solana.Suite)
	if err != nil {
		return nil, err
	}
	for _, from := range senders {
		address, _, err := s.v.Address(from.Root, chain, from.Path())
		if err != nil {
			return nil, err
		}
		hauls, err := s.circle.SolanaSweep(ctx, from, to)
		if err != nil { // one address that fails keeps no other back
			lines = append(lines, &sweepLine{Chain: chain, From: address, To: dest.Name, Outcome: outSkipped, Problem: err.Error()})
			continue
		}
		for _, h := range hauls {
			if s.wants(h.Asset.Name) {
				lines = append(lines, s.lampLine(a, from, address, dest, to, h))
			}
		}
	}
	return lines, nil
}

func (s *sweep) lampLine(a *app, from client.Sender, address string, dest charter.Destination, to solana.Key, h client.SolanaHaul) *sweepLine {
	l := &sweepLine{Chain: from.Chain, From: address, Asset: h.Asset.Name, To: dest.Name, Outcome: outPlanned}
	t := &lampTransfer{l, s, from, h, to}
	t.tell(h)
	if l.move = func(ctx context.Context) error { return t.move(ctx, a) }; h.Why != "" {
		if l.Outcome, l.Problem = outSkipped, h.Why; !h.Worth {
			l.Outcome = outLeft
		}
	}
	return l
}

// tell says how much is moved.
func (t *lampTransfer) tell(h client.SolanaHaul) {
	t.Amount = evm.FormatUnits(new(big.Int).SetUint64(h.Amount), uint8(t.haul.Asset.Decimals))
	t.Fee = evm.FormatUnits(new(big.Int).SetUint64(h.Fee), solDecimals)
}

// move has all of it signed, as it lies there now, and waits until it is confirmed: the next transfer of the address is made of what is left. What a run before began is followed.
func (t *lampTransfer) move(ctx context.Context, a *app) error {
	if old := client.SweptSolana(t.s.cases, t.From, t.Chain, t.haul.Mint, t.to); old != nil && !(old.Reverted() && t.s.retry) {
		return t.s.follow(ctx, a, t.sweepLine, old.ID(), "confirmed")
	}
	e := client.Errand{Sender: t.sender, Memo: "rescue: sweep to " + t.To, Life: emergencyLife(t.sender)}
	st, h, err := t.s.circle.PrepareSolanaHaul(ctx, e, t.haul.Mint, t.to)
	if err != nil {
		return err
	}
	t.tell(h)
	return t.s.propose(ctx, a, t.sweepLine, st, "confirmed")
}

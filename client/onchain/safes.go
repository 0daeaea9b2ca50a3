package onchain

import (
	"context"
	"errors"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc"
)

// safe reads a Safe with a delay. That nothing such is there is an answer; that the endpoint does not answer is none.
func (r *reader) safe(ctx context.Context, s verify.Safe) (f verify.SafeFacts, err error) {
	f = verify.SafeFacts{Vault: s.Vault, Safe: s.Safe}
	t := delayed.Terms{Delay: evm.Delay{ChainID: r.chainID}, Cooldown: s.Cooldown, Expiration: s.Expiration}
	for _, a := range []struct {
		text string
		to   *evm.Address
	}{{s.Safe, &t.Safe}, {s.Module, &t.Module}, {s.Key, &t.Key}} {
		if *a.to, err = evm.ParseAddress(a.text); err != nil {
			return f, err
		}
	}
	state, err := r.c.DelayedAt(ctx, t.Delay, r.head.Height)
	var away *rpc.EndpointError
	switch {
	case errors.As(err, &away), ctx.Err() != nil:
		return f, err
	case err != nil:
		f.Unlike = []string{err.Error()}
		return f, nil
	}
	f.Unlike, f.Waiting = state.Unlike(t, state.Owners), len(state.Waiting(r.head.Time)) // whose the one owner is, the logs say
	if len(state.Owners) == 1 {
		f.Owner = state.Owners[0].String()
	}
	return f, nil
}

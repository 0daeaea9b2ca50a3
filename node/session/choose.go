package session

import (
	"context"
	"slices"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
)

// maxSets bounds how many signer sets are looked at.
const maxSets = 64

// Choose picks t signers of those who could sign with a key: the lowest, and if their sessions failed too often without a culprit,
// the next in order that we are in (protocols.md 2.5: rotate, to find the liar). What failed is known to those who took part
// alone: others wait for them. It gives ErrTooManyFailures if no set is left, and fewer than t parties if there are not more.
func (h *Host) Choose(ctx context.Context, now time.Time, key [32]byte, from []mpc.Party, t int) ([]mpc.Party, error) {
	if len(from) <= t {
		from = slices.Clone(from)
		return from, h.failing(ctx, now, &mpc.Setup{KeyID: key, Parties: from})
	}
	at := make([]int, t)
	for i := range at {
		at[i] = i
	}
	failed := error(nil)
	for range maxSets {
		set := make([]mpc.Party, t)
		for i, j := range at {
			set[i] = from[j]
		}
		if failed == nil || includes(set, h.cfg.Self) {
			err := h.failing(ctx, now, &mpc.Setup{KeyID: key, Parties: set})
			if err == nil {
				return set, nil
			}
			failed = err
		}
		if !next(at, len(from)) {
			break
		}
	}
	return nil, failed
}

func includes(set []mpc.Party, id engine.PartyID) bool {
	return slices.ContainsFunc(set, func(p mpc.Party) bool { return p.ID == id })
}

// next goes to the next choice of len(at) out of n, in lexicographic order.
func next(at []int, n int) bool {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] == n-len(at)+i {
			continue
		}
		at[i]++
		for j := i + 1; j < len(at); j++ {
			at[j] = at[j-1] + 1
		}
		return true
	}
	return false
}

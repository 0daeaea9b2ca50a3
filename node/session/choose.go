package session

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
)

// maxSets bounds how many signer sets are looked at.
const maxSets = 64

// Choose picks t signers of those who could sign with a key: the lowest, as long as no session of theirs failed without a culprit; then,
// of the sets that we are in, one of which the fewest failed within a month (protocols.md 2.5: rotate, to find the liar). What failed is
// known to those who took part alone: others wait for them. Who is not of the lowest set is tried first, since the liar is. It gives
// ErrTooManyFailures if no set is left, and fewer than t parties if there are not more.
func (h *Host) Choose(ctx context.Context, now time.Time, key [32]byte, from []mpc.Party, t int) ([]mpc.Party, error) {
	lowest := slices.Clone(from[:min(t, len(from))])
	n, err := h.failures(ctx, now, key, lowest)
	if err == nil && n == 0 || len(from) <= t {
		return lowest, h.failing(ctx, now, &mpc.Setup{KeyID: key, Parties: lowest})
	}
	if err != nil || !includes(lowest, h.cfg.Self) {
		return nil, cmp.Or(err, ErrTooManyFailures)
	}
	order := turned(from, t, h.cfg.Self)
	at := make([]int, t) // of order; the first is we
	for i := range at {
		at[i] = i
	}
	var best []mpc.Party
	for least, tried := 0, 0; tried < maxSets && at[0] == 0 && (best == nil || least > 0); tried++ {
		set := make([]mpc.Party, t)
		for i, j := range at {
			set[i] = order[j]
		}
		slices.SortFunc(set, func(a, b mpc.Party) int { return cmp.Compare(a.Index, b.Index) })
		switch n, err := h.failures(ctx, now, key, set); {
		case err != nil:
			return nil, err
		case best != nil && n >= least:
		case h.failing(ctx, now, &mpc.Setup{KeyID: key, Parties: set}) == nil:
			best, least = set, n
		}
		if !next(at, len(order)) {
			break
		}
	}
	if best == nil {
		return nil, ErrTooManyFailures
	}
	return best, nil
}

// turned puts us first, then those who are not among the t lowest.
func turned(from []mpc.Party, t int, self engine.PartyID) []mpc.Party {
	order := slices.Concat(from[t:], from[:t])
	i := slices.IndexFunc(order, func(p mpc.Party) bool { return p.ID == self })
	return slices.Concat(order[i:i+1], order[:i], order[i+1:])
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

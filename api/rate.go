package api

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Requests for cosignatures from one address: a log asks once in some seconds; many logs may share an address, or a proxy before this node.
const (
	rateBurst    = 40
	ratePer      = 100 * time.Millisecond // one more after each
	maxAddresses = 4096
)

// rate bounds how often one address is served, in memory alone: so often at once, and then once in a while. It is a tally of when each has used up what
// it took.
type rate struct {
	burst time.Duration
	per   time.Duration

	mu   sync.Mutex
	free map[[32]byte]time.Time // by hash of the address: from then on, all is forgotten
}

func newRate(burst int, per time.Duration) *rate {
	return &rate{burst: time.Duration(burst) * per, per: per, free: map[[32]byte]time.Time{}}
}

// take says whether an address may be served once more.
func (r *rate) take(now time.Time, address string) bool {
	key := sha256.Sum256([]byte(address))
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.free[key]
	if from.Before(now) {
		from = now
	}
	from = from.Add(r.per)
	if from.Sub(now) > r.burst {
		return false
	}
	prune(r.free, maxAddresses, func(t time.Time) bool { return t.Before(now) })
	r.free[key] = from
	return true
}

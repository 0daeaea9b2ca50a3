package onchain

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
)

// Kept is what was read of chains of Bitcoin, so that who asks again reads the blocks alone that came since. It is in memory, and serves for the same addresses and assets; what does not follow
// what was kept is read anew. A nil one keeps nothing.
type Kept struct {
	mu  sync.Mutex
	all []keptOf // one of each chain
}

type keptOf struct {
	what keptFor
	read *readSoFar
}

// keptFor is what it depends on.
type keptFor struct {
	chain     string
	addresses []string
	assets    []verify.Asset
	since     time.Time
	from      uint64
	named     bool // from was asked for
}

func keptAs(q verify.Enquiry, o Options) keptFor {
	k := keptFor{chain: q.Chain, addresses: q.Addresses, assets: q.Assets, since: q.Since}
	if o.From != nil {
		k.from, k.named = *o.From, true
	}
	return k
}

// take takes out what was kept, whatever becomes of it: a chain that is read half is not gone on from. Balances as of an older block need all blocks.
func (k *Kept) take(q verify.Enquiry, o Options) *readSoFar {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.all, func(x keptOf) bool { return x.what.chain == q.Chain })
	if i < 0 {
		return nil
	}
	x := k.all[i]
	k.all = slices.Delete(k.all, i, i+1)
	if o.At != nil || !reflect.DeepEqual(x.what, keptAs(q, o)) {
		return nil
	}
	return x.read
}

func (k *Kept) keep(q verify.Enquiry, o Options, read *readSoFar) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(slices.DeleteFunc(k.all, func(x keptOf) bool { return x.what.chain == q.Chain }), keptOf{keptAs(q, o), read})
}

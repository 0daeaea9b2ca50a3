package nodetest

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/wallet"
)

// Ready is a circle of all hosts with a t-of-n vault and one address. The first world of its kind makes them; those that come after it start
// on copies of its disks, as after a restart, and draw other randomness: making a key is most of what a test costs.
func Ready(w *World, threshold int) (statement.ID, wallet.Address) {
	w.T.Helper()
	kind, plain := w.kind(threshold)
	if !plain {
		return Make(w, threshold)
	}
	mould.Lock()
	c, known := mould.of[kind]
	if !known {
		c = &cast{}
		mould.of[kind] = c
	}
	mould.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.disks != nil {
		return w.take(c)
	}
	id, addr := Make(w, threshold)
	c.vault, c.addr, c.now, c.vaults = id, addr, w.Now, slices.Clone(w.Vaults)
	for _, h := range w.Hosts {
		c.disks = append(c.disks, w.Rows(h, ""))
	}
	return id, addr
}

// Make is Ready for a test that looks at how it comes about.
func Make(w *World, threshold int) (statement.ID, wallet.Address) {
	w.T.Helper()
	w.Found()
	id := w.Vault(threshold)
	return id, w.Account(id)
}

// A kind is what two worlds have in common that come to be ready in the same way.
type kind struct {
	hosts, threshold int
	suite, tier      string
}

// kind is a world's, if nothing happened in it and nothing in it is out of the ordinary.
func (w *World) kind(threshold int) (k kind, plain bool) {
	plain = w.Change == nil && w.Fate == nil && w.Pass == nil && w.Route == nil && w.Send == nil && len(w.Vaults) == 0 && len(w.Queue) == 0
	for _, h := range w.Hosts {
		plain = plain && h.Up && h.Life == 1 && h.Commits <= 1 && h.Skew == 0 && h.Mode == "" && h.Binary == [32]byte{} && !h.Hostile && !h.Rand.Keep
	}
	return kind{len(w.Hosts), threshold, w.Suite, w.Tier}, plain
}

// A cast is what worlds of one kind are made from.
type cast struct {
	mu     sync.Mutex
	disks  [][]store.Item
	now    time.Time
	vaults []charter.Blueprint
	vault  statement.ID
	addr   wallet.Address
}

var mould = struct {
	sync.Mutex
	of map[kind]*cast
}{of: map[kind]*cast{}}

// take starts the world's hosts on copies of a cast's disks.
func (w *World) take(c *cast) (statement.ID, wallet.Address) {
	w.T.Helper()
	w.Now, w.Vaults, w.Watch, w.Rand = c.now, slices.Clone(c.vaults), newWatch(w), NewEntropy("people, ready")
	for i, h := range w.Hosts {
		w.Crash(h)
		h.Disk, h.back, h.Rand = memory.NewDisk(), time.Time{}, NewEntropy(h.Own.Name+", ready")
		copyDisk(w.T, h.Disk, c.disks[i])
		box, err := seal.NewBox(secret.New(bytes.Clone(h.DEK)), h.Rand)
		if err != nil {
			w.T.Fatal(err)
		}
		h.Box = box
	}
	for _, h := range w.Hosts {
		w.Start(h)
	}
	w.Greet()
	return c.vault, c.addr
}

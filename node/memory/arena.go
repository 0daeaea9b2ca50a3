package memory

import (
	"fmt"
	"slices"
	"sync"

	"github.com/ostraka/ostraka/crypto/secret"
)

// grain is what pieces of an arena are rounded up to: a line of the processor's cache, so that two secrets never share one.
const grain = 64

// An Arena gives out room for secrets. Its methods may be called at the same time.
type Arena struct {
	mu      sync.Mutex // guards what follows
	room    []byte     // all of it; nil: closed, or there is none
	free    []extent   // ascending, never adjoining
	used    int
	spilled uint64 // secrets for which there was no room

	whole []byte // with the guards on both sides
	lock  error  // why it is not locked
}

type extent struct{ at, size int }

// New makes an arena of at most size bytes, as many as may be locked. If none may be, it is as large as was asked for and not locked: Locked says why.
func New(size int) (*Arena, error) {
	a := &Arena{}
	var err error
	if a.whole, a.room, a.lock, err = reserve(size); err != nil {
		return nil, fmt.Errorf("reserve %d bytes of memory for secrets: %w", size, err)
	}
	a.free = []extent{{0, len(a.room)}}
	return a, nil
}

// Hold gives room for a secret of n bytes, all zero; its Wipe gives it back. Where there is none left, the secret lies on Go's heap, and is counted.
func (a *Arena) Hold(n int) secret.Bytes {
	size := max(grain, (n+grain-1)/grain*grain)
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.free, func(e extent) bool { return e.size >= size })
	if i < 0 {
		a.spilled++
		return secret.New(make([]byte, n))
	}
	at := a.free[i].at
	if a.free[i].at, a.free[i].size = at+size, a.free[i].size-size; a.free[i].size == 0 {
		a.free = slices.Delete(a.free, i, i+1)
	}
	a.used += size
	return secret.NewIn(a.room[at:at+n:at+n], func() { a.release(extent{at, size}) })
}

// release takes a wiped piece back, and joins it with its neighbours.
func (a *Arena) release(e extent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.room == nil {
		return
	}
	a.used -= e.size
	i, _ := slices.BinarySearchFunc(a.free, e, func(x, y extent) int { return x.at - y.at })
	a.free = slices.Insert(a.free, i, e)
	if i+1 < len(a.free) && e.at+e.size == a.free[i+1].at {
		a.free[i].size += a.free[i+1].size
		a.free = slices.Delete(a.free, i+1, i+2)
	}
	if i > 0 && a.free[i-1].at+a.free[i-1].size == e.at {
		a.free[i-1].size += a.free[i].size
		a.free = slices.Delete(a.free, i, i+1)
	}
}

// A Report says how an arena stands.
type Report struct {
	Size    int    // bytes
	Used    int    // bytes
	Spilled uint64 // secrets that lay on Go's heap for want of room
	Lock    error  // why it is not locked; nil: it is
}

// Report says how it stands.
func (a *Arena) Report() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Report{Size: len(a.room), Used: a.used, Spilled: a.spilled, Lock: a.lock}
}

// Close overwrites all, and gives it back to the system if nothing lies in it any more: what somebody holds still reads as zero.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.room == nil {
		return nil
	}
	secret.Wipe(a.room)
	whole := a.whole
	a.room, a.whole, a.free = nil, nil, nil
	if a.used > 0 {
		return nil
	}
	return giveBack(whole)
}

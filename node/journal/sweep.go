package journal

import (
	"context"
	"fmt"
	"sync"

	"github.com/ostraka/ostraka/node/store"
)

// sweepRows is how many rows a step of a Sweep reads, and so at most erases.
const sweepRows = 50

// A Sweep erases the rows of a kind that no longer matter, a page at each step, and begins anew
// when it has seen all: however many rows there are, a step costs the same.
type Sweep struct {
	Prefix string

	mu    sync.Mutex
	after string
}

// Step looks at the next page. old names what is to be erased with a row, at most two keys;
// nothing for a row that stays. A row that was written again meanwhile stays.
func (s *Sweep) Step(ctx context.Context, j *Journal, old func(store.Item) []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, err := j.store.Range(ctx, s.Prefix, s.after, sweepRows)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", s.Prefix, err)
	}
	var e Entry
	for _, it := range items {
		if gone := old(it); len(gone) > 0 {
			e.If = append(e.If, store.Unchanged(it))
			e.Delete = append(e.Delete, gone...)
		}
	}
	if len(e.Delete) > 0 {
		if err := j.Write(ctx, e); err != nil {
			return fmt.Errorf("sweep %s: %w", s.Prefix, err)
		}
	}
	if s.after = ""; len(items) == sweepRows {
		s.after = items[len(items)-1].Key
	}
	return nil
}

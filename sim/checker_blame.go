package sim

import "fmt"

// Blame is I6: whom an honest node accuses is corrupt.
type Blame struct {
	Accused func(e Event) []int
}

func (Blame) Name() string     { return "I6 blame soundness" }
func (Blame) End(*World) error { return nil }
func (c Blame) See(w *World, e Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	for _, id := range c.Accused(e) {
		if w.Honest(id) {
			return fmt.Errorf("accuses the honest node %d", id)
		}
	}
	return nil
}

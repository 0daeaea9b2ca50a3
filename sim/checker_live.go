package sim

import "fmt"

// Live is I12: in liveness mode all that was asked for has come about in the end.
type Live struct {
	Open func() int // operations without an outcome
}

func (Live) Name() string            { return "I12 liveness" }
func (Live) See(*World, Event) error { return nil }
func (c Live) End(w *World) error {
	if n := c.Open(); w.Mode == Liveness && n > 0 {
		return fmt.Errorf("%d operations have no outcome after %v", n, w.now)
	}
	return nil
}

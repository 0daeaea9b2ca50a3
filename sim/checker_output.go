package sim

// Output is I1: every output that leaves an honest node is good.
type Output struct {
	Bad func(e Event) error // nil for events that are no outputs, or good ones
}

func (Output) Name() string     { return "I1 output soundness" }
func (Output) End(*World) error { return nil }
func (c Output) See(w *World, e Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	return c.Bad(e)
}

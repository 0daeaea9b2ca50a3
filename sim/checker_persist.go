package sim

import "fmt"

// Persist is I2: what a message of an honest node depends on is durable before the
// message leaves.
type Persist struct {
	Needs func(e Event) []string // keys that an event of kind Sent depends on
}

func (Persist) Name() string     { return "I2 durable before sent" }
func (Persist) End(*World) error { return nil }
func (c Persist) See(w *World, e Event) error {
	if e.What != Sent || !w.Honest(e.Node) {
		return nil
	}
	for _, key := range c.Needs(e) {
		if !w.Disk(e.Node).Has(key) {
			return fmt.Errorf("sent to node %d before %q was durable", e.Peer, key)
		}
	}
	return nil
}

package sim

import "fmt"

// Terminal is I7: what an honest node has burned it never uses again, whatever crashes.
type Terminal struct {
	Burns func(e Event) (key string, ok bool)
	Uses  func(e Event) (key string, ok bool)
	ashes map[string]bool
}

func (*Terminal) Name() string     { return "I7 terminal abort" }
func (*Terminal) End(*World) error { return nil }
func (c *Terminal) See(w *World, e Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	if key, ok := c.Uses(e); ok && c.ashes[key] {
		return fmt.Errorf("uses %q, which it had burned", key)
	}
	if key, ok := c.Burns(e); ok {
		if c.ashes == nil {
			c.ashes = map[string]bool{}
		}
		c.ashes[key] = true
	}
	return nil
}

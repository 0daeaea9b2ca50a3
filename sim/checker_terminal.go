package sim

import "fmt"

// Terminal is I7 and the end of sessions: what an honest node has burned it never uses
// again, whatever crashes.
type Terminal struct {
	Title string
	Burns func(e Event) (key string, ok bool)
	Uses  func(e Event) (key string, ok bool)
	ashes map[at]bool
}

func (c *Terminal) Name() string   { return c.Title }
func (*Terminal) End(*World) error { return nil }
func (c *Terminal) See(w *World, e Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	if key, ok := c.Uses(e); ok && c.ashes[at{e.Node, key}] {
		return fmt.Errorf("uses %q, which it had burned", key)
	}
	if key, ok := c.Burns(e); ok {
		if c.ashes == nil {
			c.ashes = map[at]bool{}
		}
		c.ashes[at{e.Node, key}] = true
	}
	return nil
}

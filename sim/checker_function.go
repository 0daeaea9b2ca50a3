package sim

import "fmt"

// A Function is I3 and I10: what may be used once has one use at each node, over all its
// incarnations. A nonce has one message; an intent has one meaning.
type Function struct {
	Title string
	Of    func(e Event) (key, value string, ok bool)
	seen  map[at]string
}

func (c *Function) Name() string   { return c.Title }
func (*Function) End(*World) error { return nil }
func (c *Function) See(w *World, e Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	key, value, ok := c.Of(e)
	if !ok {
		return nil
	}
	if old, twice := c.seen[at{e.Node, key}]; twice && old != value {
		return fmt.Errorf("%x stands for %x and for %x", key, old, value)
	}
	if c.seen == nil {
		c.seen = map[at]string{}
	}
	c.seen[at{e.Node, key}] = value
	return nil
}

package sim

import (
	"fmt"
	"strings"
)

// Append is I8: records under a prefix are written once, and never changed or deleted.
type Append struct {
	Prefix string
	seen   map[at]string
}

func (*Append) Name() string     { return "I8 append-only log" }
func (*Append) End(*World) error { return nil }
func (c *Append) See(w *World, e Event) error {
	if e.What != Committed || !w.Honest(e.Node) {
		return nil
	}
	for _, key := range e.Batch.Delete {
		if strings.HasPrefix(key, c.Prefix) {
			return fmt.Errorf("deletes %q", key)
		}
	}
	for _, p := range e.Batch.Put {
		if !strings.HasPrefix(p.Key, c.Prefix) {
			continue
		}
		here := at{e.Node, p.Key}
		if old, twice := c.seen[here]; twice && old != string(p.Value) {
			return fmt.Errorf("changes %q", p.Key)
		}
		if c.seen == nil {
			c.seen = map[at]string{}
		}
		c.seen[here] = string(p.Value)
	}
	return nil
}

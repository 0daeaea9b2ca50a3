package sim

import "fmt"

// Limit is I9: what an honest node lets pass in a window stays within the limit.
type Limit struct {
	Max   int64
	Of    func(e Event) (window string, amount int64, ok bool)
	spent map[at]int64
}

func (*Limit) Name() string     { return "I9 ledger" }
func (*Limit) End(*World) error { return nil }
func (c *Limit) See(w *World, e Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	window, amount, ok := c.Of(e)
	if !ok {
		return nil
	}
	if c.spent == nil {
		c.spent = map[at]int64{}
	}
	here := at{e.Node, window}
	if c.spent[here] += amount; c.spent[here] > c.Max {
		return fmt.Errorf("lets %d pass in window %q, %d is the limit", c.spent[here], window, c.Max)
	}
	return nil
}

package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

func (p Plan) checkSpans() error {
	for _, s := range []struct {
		what string
		is   time.Duration
	}{{"window", p.Window}, {"lock-up", p.LockUp}, {"drill-every", p.DrillEvery}, {"heartbeat", p.Heartbeat}} {
		if s.is < time.Second || s.is > 4*MaxSpan+6*24*time.Hour {
			return fmt.Errorf("%s: %s, 1s to 366 days is allowed", s.what, s.is)
		}
	}
	if (p.Chain == "") != (p.Blocks == 0) {
		return errors.New("chain: a chain and a number of blocks stand together or not at all")
	}
	return nil
}

// checkSuccessors: somebody must be able to follow, and not alone.
func (p Plan) checkSuccessors() error {
	if p.Least < 2 {
		return fmt.Errorf("least: the new committee's threshold may be %d, 2 at least is allowed", p.Least)
	}
	fresh := 0
	for i, name := range p.Successors {
		if i > 0 && name <= p.Successors[i-1] {
			return errors.New("successors: not in ascending order")
		}
		if _, ok := p.Anyone(name); !ok {
			return fmt.Errorf("successors: %s is no operator of the circle", name)
		}
		if _, ok := p.Operator(name); !ok {
			fresh++
		}
	}
	if p.Live+fresh < p.Least {
		return fmt.Errorf("successors: %d live operators and %d others are fewer than the %d that must sign at least", p.Live, fresh, p.Least)
	}
	return nil
}

func (p Plan) checkLists() error {
	for what, n := range map[string]int{"destinations": len(p.Destinations), "caps": len(p.Caps), "calls": len(p.Calls), "tranches": len(p.Tranches)} {
		if n > MaxListed {
			return fmt.Errorf("%s: %d are listed, at most %d are allowed", what, n, MaxListed)
		}
	}
	names := map[string]bool{}
	for _, d := range p.Destinations {
		if err := statement.CheckChain(d.Chain); err != nil {
			return fmt.Errorf("destination %s: chain %w", d.Name, err)
		}
		if d.Address == "" || names[d.Name] || d.Vault == p.Name {
			return fmt.Errorf("destination %s: it stands twice, has no address, or is the vault itself", d.Name)
		}
		names[d.Name] = true
	}
	for _, c := range p.Caps {
		if c.Most < 0 || names["cap "+c.Asset] {
			return fmt.Errorf("cap on %s: it stands twice or is negative", c.Asset)
		}
		names["cap "+c.Asset] = true
	}
	for _, c := range p.Calls {
		if c.Times < 1 || c.To == "" || names["call "+c.Name] {
			return fmt.Errorf("call %s: it stands twice, goes nowhere, or may never be made", c.Name)
		}
		names["call "+c.Name] = true
	}
	for _, t := range p.Tranches {
		if t.Most < 0 || t.Every < time.Second || t.Every > MaxSpan || t.Count < 1 || t.Count > statement.MaxTranches || names["tranche "+t.Asset] {
			return fmt.Errorf("tranche of %s: it stands twice, or its numbers are impossible", t.Asset)
		}
		names["tranche "+t.Asset] = true
	}
	return nil
}

// Same says whether two addresses are one, as their chain compares them: those of eip155 in any mixture of letters.
func Same(chain, a, b string) bool {
	if len(chain) > 7 && chain[:7] == "eip155:" {
		return len(a) == 42 && len(b) == 42 && equalFold(a, b)
	}
	return a == b
}

// equalFold compares ASCII letters in any case, and nothing else: no Unicode folding of look-alikes.
func equalFold(a, b string) bool {
	return slices.EqualFunc([]byte(a), []byte(b), func(x, y byte) bool { return lower(x) == lower(y) })
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Rescues says whether an address is one of the plan's, on its own chain.
func (p Plan) Rescues(chain, address string) bool {
	return slices.ContainsFunc(p.Destinations, func(d Destination) bool { return d.Chain == chain && Same(chain, d.Address, address) })
}

// Cap is the most that may move of an asset; false: no cap.
func (p Plan) Cap(asset string) (int64, bool) {
	for _, c := range p.Caps {
		if c.Asset == asset {
			return c.Most, true
		}
	}
	return 0, false
}

// Called finds the protective call that these bytes are: same chain, same contract, same bytes.
func (p Plan) Called(chain, to string, data []byte) (Call, bool) {
	for _, c := range p.Calls {
		if c.Chain == chain && Same(chain, c.To, to) && slices.Equal(c.Data, data) {
			return c, true
		}
	}
	return Call{}, false
}

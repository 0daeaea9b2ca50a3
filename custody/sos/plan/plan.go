package plan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Triggers: why a vault may be rescued (spec/sos 2.1).
const (
	Silence        = "silence"         // no heartbeat of the subject for so long, as seen by every other node
	Refusal        = "refusal"         // it lives, and does not sign for so long after a challenge
	Compromise     = "compromise"      // it is hostile or coerced
	Legal          = "legal"           // insolvency, exit: a document says so
	BelowThreshold = "below-threshold" // several are lost at once
)

// Floors and bounds (spec/sos 1.4). A REAL plan that could run through in an hour would be a way to steal, whatever it is called.
const (
	MinRealDelay = 12 * time.Hour
	MinDelay     = time.Second // of a DRILL
	MaxSpan      = 90 * 24 * time.Hour
	MaxListed    = 256 // destinations, caps, calls and tranches, each
)

// A Plan is everything that SOS needs to know of one vault, as one version of the charter has it. It never changes: a request names
// the charter, and keeps its plan until it ends (S7).
type Plan struct {
	Charter statement.ID
	Vault   statement.ID
	Name    string // of the vault
	Drill   bool

	Threshold int        // t: operators needed to sign
	Live      int        // r: live operators needed in SOS, 1 ≤ r < t
	Quorum    int        // k: guardians needed in SOS, 2 ≤ k < m
	Operators []Operator // the committee, n of them, ascending by name
	Others    []Operator // the circle's operators outside the committee: they cosign its logs; ascending
	Guardians []Guardian // m of them, ascending by name

	Starters      int       // guardians needed for a declaration, k or more
	Organisations int       // that these must be of, at least
	Triggers      []Trigger // those that the plan serves, ascending by name
	Witnesses     int       // w′: of Others, how many must know of no veto when a node gives its part
	Heartbeat     time.Duration

	Window     time.Duration // how long ACTIVE lasts at most
	LockUp     time.Duration
	DrillEvery time.Duration // a drill that is older is overdue
	Successors []string      // operators that may sit in the new committee, ascending
	Least      int           // the lowest threshold t′ that it may have

	Chain        string // CAIP-2; its height must grow by Blocks besides; empty: none
	Blocks       uint64
	Destinations []Destination // rescue addresses
	Caps         []Cap
	Calls        []Call
	Tranches     []Tranche
}

// An Operator is one of the circle, and all that reaches its node or any copy of its share.
type Operator struct {
	Name     string
	Identity []byte       // its node's Ed25519 key
	Officers []signet.Key // of its own persons, who sign its support
	Reach
}

// A Guardian is a person with an offline key.
type Guardian struct {
	Name         string
	Person       string
	Organisation string
	Key          signet.Key // signs; zero while there is no card
	Reach                   // Person, Organisation, and the accounts that the person can reach
}

// A Reach is the domains that someone is of or can reach. Each list is ascending.
type Reach struct {
	People        []string
	Organisations []string
	Accounts      []string // at cloud providers, `provider/account`
}

// A Trigger is a reason that the plan serves.
type Trigger struct {
	Name  string
	After time.Duration // silence, refusal: how long it must have lasted; else 0
	Delay time.Duration // D: from the declaration to ACTIVE
}

// A Destination is a rescue address.
type Destination struct {
	Name, Chain, Address string
	Vault                string // of this circle, whose address it is; empty: none of ours
}

// A Cap is the most that all sweeps of one SOS move of an asset, in policy units, fees included.
type Cap struct {
	Asset string
	Most  int64
}

// A Call is a protective call: exactly these bytes to exactly this contract, at most so many times, without value.
type Call struct {
	Name, Chain, To string
	Data            []byte
	Times           int
}

// A Tranche bounds what leaves after the lock-up: at most so much in each period, and after the last one there is no bound.
type Tranche struct {
	Asset string
	Most  int64
	Every time.Duration
	Count int
}

// Operator finds one of the committee.
func (p Plan) Operator(name string) (Operator, bool) { return operator(p.Operators, name) }

// Anyone finds any operator of the circle.
func (p Plan) Anyone(name string) (Operator, bool) {
	if o, ok := operator(p.Operators, name); ok {
		return o, true
	}
	return operator(p.Others, name)
}

func operator(all []Operator, name string) (Operator, bool) {
	i := slices.IndexFunc(all, func(o Operator) bool { return o.Name == name })
	if i < 0 {
		return Operator{}, false
	}
	return all[i], true
}

// Guardian finds a guardian.
func (p Plan) Guardian(name string) (Guardian, bool) {
	i := slices.IndexFunc(p.Guardians, func(g Guardian) bool { return g.Name == name })
	if i < 0 {
		return Guardian{}, false
	}
	return p.Guardians[i], true
}

// Cancels says whether a subject ends a request for a trigger by a proof of life and a live test signature: one that may be coerced, or is
// wound up, does not.
func Cancels(trigger string) bool { return trigger != Compromise && trigger != Legal }

// Trigger finds a trigger that the plan serves.
func (p Plan) Trigger(name string) (Trigger, bool) {
	i := slices.IndexFunc(p.Triggers, func(t Trigger) bool { return t.Name == name })
	if i < 0 {
		return Trigger{}, false
	}
	return p.Triggers[i], true
}

// Validate checks the plan as a whole: what it lacks makes SOS NOT READY.
func (p Plan) Validate() error {
	for _, check := range []func() error{p.checkNumbers, p.checkOperators, p.checkGuardians, p.checkTriggers, p.checkSpans, p.checkSuccessors, p.checkLists} {
		if err := check(); err != nil {
			return fmt.Errorf("SOS plan of vault %s: %w", p.Name, err)
		}
	}
	return nil
}

func (p Plan) checkNumbers() error {
	n, m := len(p.Operators), len(p.Guardians)
	switch {
	case n < 2 || n > statement.MaxOperators:
		return fmt.Errorf("operators: %d are in the committee, 2 to %d are allowed", n, statement.MaxOperators)
	case p.Threshold < 2 || p.Threshold > n:
		return fmt.Errorf("threshold: %d of %d", p.Threshold, n)
	case p.Live < 1 || p.Live >= p.Threshold:
		// r = t would make guardians pointless, r = 0 would let them act alone.
		return fmt.Errorf("operators: r is %d, 1 to %d are allowed: fewer than the %d that sign", p.Live, p.Threshold-1, p.Threshold)
	case m > statement.MaxGuardians:
		return fmt.Errorf("guardians: %d are listed, at most %d are allowed", m, statement.MaxGuardians)
	case p.Quorum < 2 || p.Quorum >= m:
		return fmt.Errorf("guardians: k is %d of %d, at least 2 and fewer than all are allowed", p.Quorum, m)
	case p.Starters < p.Quorum || p.Starters > m:
		return fmt.Errorf("starters: %d, %d to %d are allowed", p.Starters, p.Quorum, m)
	case p.Organisations < 1 || p.Organisations > p.Starters:
		return fmt.Errorf("organisations: %d, 1 to %d, the starters, are allowed", p.Organisations, p.Starters)
	case p.Witnesses < 0 || p.Witnesses > len(p.Others):
		return fmt.Errorf("witnesses: %d, and the circle has %d operators outside the committee", p.Witnesses, len(p.Others))
	}
	return nil
}

func (p Plan) checkOperators() error {
	seen := map[string]string{}
	for _, all := range [][]Operator{p.Operators, p.Others} {
		if !slices.IsSortedFunc(all, func(a, b Operator) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }) {
			return errors.New("operators: not in ascending order")
		}
		for _, o := range all {
			// S8: one organisation under two names would hold two shares.
			for _, id := range []string{"name " + o.Name, "identity " + string(o.Identity)} {
				if other, ok := seen[id]; ok {
					return fmt.Errorf("operator %s: the same as operator %s", o.Name, other)
				}
				seen[id] = o.Name
			}
		}
	}
	return nil
}

func (p Plan) checkGuardians() error {
	seen := map[string]string{}
	for i, g := range p.Guardians {
		if i > 0 && g.Name <= p.Guardians[i-1].Name {
			return errors.New("guardians: not in ascending order")
		}
		if g.Key.String() == "" {
			return fmt.Errorf("guardian %s: there is no card; the guardian makes one with \"ostraka guardian init\"", g.Name)
		}
		// S8: one person, or one key, would count twice.
		for _, id := range []string{"person " + g.Person, "key " + g.Key.String()} {
			if other, ok := seen[id]; ok {
				return fmt.Errorf("guardian %s: the same person or key as guardian %s", g.Name, other)
			}
			seen[id] = g.Name
		}
	}
	return nil
}

func (p Plan) checkTriggers() error {
	if len(p.Triggers) == 0 {
		return errors.New("triggers: none is served")
	}
	least := MinRealDelay
	if p.Drill {
		least = MinDelay
	}
	for i, t := range p.Triggers {
		lasts := t.Name == Silence || t.Name == Refusal
		switch {
		case !slices.Contains(statement.SOSTriggers, t.Name):
			return fmt.Errorf("trigger %q: there is no such trigger", t.Name)
		case i > 0 && t.Name <= p.Triggers[i-1].Name:
			return errors.New("triggers: not in ascending order")
		case t.Delay < least || t.Delay > MaxSpan: // S1: zero, negative, overflow, another unit
			return fmt.Errorf("trigger %s: delay: %s, %s to %s is allowed", t.Name, t.Delay, least, MaxSpan)
		case lasts && (t.After < least || t.After > MaxSpan):
			return fmt.Errorf("trigger %s: after: %s, %s to %s is allowed", t.Name, t.After, least, MaxSpan)
		case !lasts && t.After != 0:
			return fmt.Errorf("trigger %s: after: it does not last", t.Name)
		}
	}
	return nil
}

package charter

import (
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Rescue is a vault's SOS plan (spec/charter 9): who brings it back when fewer than t of its operators can sign, on what occasion, how
// long everybody sees it coming, and where its assets may go. One without triggers is of a charter from before there were plans: it says
// r and k and nothing else, and is never ready.
type Rescue struct {
	Operators, Guardians int           // r live operators and k guardians, together
	Triggers             []Trigger     // on which it begins, ascending by name
	Starters             int           // guardians that declare it; k at least
	Organisations        int           // of which they are, at least
	Window               time.Duration // that ACTIVE lasts
	LockUp               time.Duration // after which assets are released, in tranches
	DrillEvery           time.Duration // a guardian's drill that is older is overdue
	Successors           []string      // operators of the circle that may sit in the new committee beside those who are left, ascending
	Least                int           // t′: the lowest threshold that the new committee may have
	Chain                string        // its height must advance during the delay too; empty: none
	Blocks               int           // by so many
	Destinations         []Destination // rescue addresses, ascending by name
	Caps                 []Cap         // on what all sweeps of one rescue move, ascending by asset; an asset that is not there has none
	Calls                []Call        // protective calls, ascending by name
	Tranches             []Tranche     // release after the lock-up, ascending by asset
}

// A Trigger is an occasion on which a rescue may be declared.
type Trigger struct {
	Name  string
	After time.Duration // silence and refusal: how long it lasted; of others 0
	Delay time.Duration // between declaration and ACTIVE
}

// Triggers.
const (
	TriggerBelow      = "below-threshold" // fewer than t operators are left, whoever is at fault
	TriggerCompromise = "compromise"      // an operator is in others' hands, or coerced
	TriggerLegal      = "legal"           // insolvency, exit: with a document
	TriggerRefusal    = "refusal"         // an operator is alive and signs nothing
	TriggerSilence    = "silence"         // an operator shows no sign of life
)

// A Destination is a rescue address. Sweeps go nowhere else.
type Destination struct {
	Name           string
	Chain, Address string
	Vault          string // of this charter, whose address it is; empty: elsewhere
}

// A Cap bounds what all sweeps of one rescue move of an asset.
type Cap struct {
	Asset string
	Most  int64 // policy units
}

// A Call is a call of a contract that protects: it revokes, pauses, unstakes or cancels. Exactly these bytes are signed.
type Call struct {
	Name      string
	Chain, To string
	Data      []byte // calldata, 4 to statement.MaxCallData bytes
	Times     int    // at most, in one rescue
}

// A Tranche is what may leave after the lock-up: in each period so much, over so many periods; afterwards everything.
type Tranche struct {
	Asset string
	Most  int64 // policy units in each period
	Every time.Duration
	Count int
}

// SOSTerms are a vault's plan and its guardians, all of whom have cards.
type SOSTerms struct {
	Rescue
	Keepers []Guard  // the circle's guardians, ascending by name
	Hash    [32]byte // names both: plan and cards (spec/charter 8.9). It stands in every epoch that is made under them
}

// sosOf are a vault's, nil where it has none that counts.
func (c Charter) sosOf(b Blueprint) *SOSTerms {
	if b.Rescue == nil || !b.Rescue.Planned() {
		return nil
	}
	sub := b.Rescue.add(nil)
	for _, g := range c.Document.Guardians {
		if g.Card.IsZero() {
			return nil
		}
		sub = sub.AddBlock("guardian", g.Name, statement.Block{}.Add("card", g.Card.String()))
	}
	lines, err := sub.Lines()
	if err != nil { // no field of a charter that was read holds a line feed
		return nil
	}
	return &SOSTerms{*b.Rescue, c.Document.Guardians, transcript.New(transcript.CharterSOS).Bytes([]byte(lines)).Sum256()}
}

// MaxEncryptions bounds threshold times guardians of a vault with a plan.
const MaxEncryptions = 48

// Planned says whether there is a plan, or only r and k from before there were any.
func (r Rescue) Planned() bool { return len(r.Triggers) > 0 }

// Trigger finds a trigger by name; ok is false where the plan does not serve it.
func (r Rescue) Trigger(name string) (t Trigger, ok bool) {
	i := slices.IndexFunc(r.Triggers, func(t Trigger) bool { return t.Name == name })
	if i < 0 {
		return t, false
	}
	return r.Triggers[i], true
}

// LongestDelay is that of all triggers.
func (r Rescue) LongestDelay() (longest time.Duration) {
	for _, t := range r.Triggers {
		longest = max(longest, t.Delay)
	}
	return longest
}

// PlanDelay is how long a change of an SOS plan waits at least: twice the longest delay of any trigger of the plans of this charter. So
// whatever was declared under the plan in force has run its course, or was vetoed, before another counts.
func (d Document) PlanDelay() (wait time.Duration) {
	for _, v := range d.Vaults {
		if v.Rescue != nil {
			wait = max(wait, 2*v.Rescue.LongestDelay())
		}
	}
	return wait
}

// Starting is how many guardians must declare a rescue on a trigger: one more where an operator is accused (spec/charter 9.4).
func (r Rescue) Starting(trigger string, guardians int) int {
	if trigger == TriggerCompromise {
		return max(r.Starters, min(r.Guardians+1, guardians))
	}
	return r.Starters
}

// Bound says whether a guardian shares a person or an organisation with an operator: then it does not count in a rescue from that operator.
func (d Document) Bound(g Guard, operator string) bool {
	o, ok := d.Station(operator)
	if !ok {
		return false
	}
	if g.Organisation == o.Name {
		return true
	}
	for _, p := range o.Places {
		if g.Organisation == p.Organisation || slices.Contains(p.Access, g.Person) {
			return true
		}
		for _, who := range p.Access {
			if h, ok := d.Human(who); ok && h.Organisation == g.Organisation {
				return true
			}
		}
	}
	h, ok := d.Human(g.Person)
	return ok && h.Organisation == o.Name
}

const day = 24 * time.Hour

// defaults of a plan's times, which a file may leave out. The statement always says them.
var (
	defaultTriggers = map[string]Trigger{
		TriggerBelow:      {Delay: 3 * day},
		TriggerCompromise: {Delay: day},
		TriggerLegal:      {Delay: 7 * day},
		TriggerRefusal:    {After: 7 * day, Delay: 3 * day},
		TriggerSilence:    {After: 7 * day, Delay: 3 * day},
	}
	defaultPlan = Rescue{Organisations: 3, Window: 3 * day, LockUp: 14 * day, DrillEvery: 90 * day, Least: 2}
)

// A span is what a time of a plan may be.
type span struct{ least, most time.Duration }

// Bounds of a plan's times. A drill's may be a second, and its guardians' drills a minute apart; the upper bounds are the same.
var (
	afterSpan   = span{day, maxDelay}
	delaySpans  = map[string]span{TriggerBelow: {day, maxDelay}, TriggerCompromise: {12 * time.Hour, maxDelay}, TriggerLegal: {3 * day, maxDelay}, TriggerRefusal: {day, maxDelay}, TriggerSilence: {day, maxDelay}}
	windowSpan  = span{day, 14 * day}
	lockUpSpan  = span{day, 90 * day}
	drillSpan   = span{day, statement.MaxRefresh * time.Second}
	trancheSpan = span{time.Hour, maxDelay}
)

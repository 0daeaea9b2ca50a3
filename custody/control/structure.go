package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Kind is a kind of domain: what one hand can hold, or what can fail as one.
type Kind uint8

// The kinds.
const (
	Organisation Kind = iota // legal entity
	Person                   // somebody with access
	Account                  // at a cloud provider; begins with the provider's name
	Provider                 // of machines
	Region                   // of a provider
	Jurisdiction             // ISO 3166-1 alpha-2, lower case
	Hardware                 // vendor of the machine's processor or of the module that seals

	Kinds = iota
)

var kindNames = [Kinds]string{"organisation", "person", "account", "provider", "region", "jurisdiction", "hardware"}

func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// KindOf finds a kind by its name.
func KindOf(name string) (Kind, bool) {
	i := slices.Index(kindNames[:], name)
	return Kind(max(i, 0)), i >= 0
}

// A Class says how a claim about a place is known.
type Class uint8

// Classes, from the weakest.
const (
	Declared Class = iota // the operator's own word
	Attested              // signed by hardware, a provider or another independent third party
	Proved                // checked by mathematics
)

func (c Class) String() string {
	return [...]string{"declared", "attested", "proved"}[min(c, Proved)]
}

// A Level says what a copy is for.
type Level uint8

// Levels, as in the backup plan.
const (
	Replica Level = iota // online: signs
	Export               // a sealed copy in another domain
	Paper                // words or pages that an operator keeps
)

func (l Level) String() string { return [...]string{"replica", "export", "paper"}[min(l, Paper)] }

// A Copy is one place where a key share lies. Any single domain of Reach reaches the share; the copy is gone when all domains of one kind
// are. A kind without domains neither reaches it nor loses it: paper in a safe has no cloud account.
type Copy struct {
	Name     string
	Level    Level
	Reach    [Kinds][]string
	Staff    []string // organisations whose people reach it: so do they, and it does not go with them
	Evidence [Kinds]Class
}

// A Share is one operator's share, in all its copies.
type Share struct {
	Operator    string
	Independent bool   // a provider: an operator independent of the customer
	Copies      []Copy // one Replica at least
}

// A Guardian holds a key that helps in SOS. It lies in one domain of each kind, or in none.
type Guardian struct {
	Name  string
	Reach [Kinds]string
}

// SOS is what brings guardians into play: Live operators and Quorum of the guardians, after the delay.
type SOS struct {
	Live   int // r
	Quorum int // k
}

// A Spender may propose or approve within policy.
type Spender struct {
	Person, Organisation string
}

// Spending is who moves money within policy: one initiator, and Quorum approvers.
type Spending struct {
	Initiators, Approvers []Spender
	Quorum                int
	InitiatorApproves     bool // an initiator may count among the approvers
}

// A Structure is everything that reaches a vault.
type Structure struct {
	Vault     string
	Threshold int     // t
	Shares    []Share // n
	Guardians []Guardian
	SOS       *SOS // nil: there is no plan
	Spending  Spending
}

// Bounds of a Structure.
const (
	MaxShares    = 16
	MaxGuardians = 32
	MaxPeople    = 64
	MaxCopies    = 8  // of one share
	MaxReach     = 16 // domains of one kind that reach one copy
)

// Validate holds a Structure to its bounds. All other functions expect one that it accepts.
func (s Structure) Validate() error {
	n := len(s.Shares)
	switch {
	case n < 1 || n > MaxShares:
		return fmt.Errorf("control: %d key shares; 1 to %d are allowed", n, MaxShares)
	case s.Threshold < 1 || s.Threshold > n:
		return fmt.Errorf("control: threshold %d of %d key shares", s.Threshold, n)
	case len(s.Guardians) > MaxGuardians:
		return fmt.Errorf("control: %d guardians; at most %d are allowed", len(s.Guardians), MaxGuardians)
	}
	if p := s.SOS; p != nil && (p.Live < 1 || p.Live >= s.Threshold || p.Quorum < 1 || p.Quorum > len(s.Guardians)) {
		return fmt.Errorf("control: SOS takes %d live operators and %d guardians; it must be 1 to %d of the operators, 1 to %d of the guardians", p.Live, p.Quorum, s.Threshold-1, len(s.Guardians))
	}
	names := map[string]bool{}
	for _, share := range s.Shares {
		if err := share.validate(); err != nil {
			return fmt.Errorf("control: operator %s: %w", share.Operator, err)
		}
		if names[share.Operator] {
			return fmt.Errorf("control: operator %s stands twice", share.Operator)
		}
		names[share.Operator] = true
	}
	for i, g := range s.Guardians {
		if slices.ContainsFunc(s.Guardians[:i], func(o Guardian) bool { return o.Name == g.Name }) {
			return fmt.Errorf("control: guardian %s stands twice", g.Name)
		}
	}
	return s.Spending.validate()
}

func (s Share) validate() error {
	if n := len(s.Copies); n < 1 || n > MaxCopies {
		return fmt.Errorf("%d copies; 1 to %d are allowed", n, MaxCopies)
	}
	if !slices.ContainsFunc(s.Copies, func(c Copy) bool { return c.Level == Replica }) {
		return errors.New("no copy is a replica: nothing could sign")
	}
	for _, c := range s.Copies {
		if len(c.Staff) > MaxReach || slices.Contains(c.Staff, "") {
			return fmt.Errorf("copy %s: staff of %d organisations; at most %d are allowed, each with a name", c.Name, len(c.Staff), MaxReach)
		}
		for k, reach := range c.Reach {
			if len(reach) > MaxReach {
				return fmt.Errorf("copy %s: %d domains of kind %v; at most %d are allowed", c.Name, len(reach), Kind(k), MaxReach)
			}
			if slices.Contains(reach, "") {
				return fmt.Errorf("copy %s: a domain of kind %v has no name", c.Name, Kind(k))
			}
		}
	}
	return nil
}

func (s Spending) validate() error {
	for what, people := range map[string][]Spender{"initiators": s.Initiators, "approvers": s.Approvers} {
		if len(people) > MaxPeople {
			return fmt.Errorf("control: %d %s; at most %d are allowed", len(people), what, MaxPeople)
		}
	}
	if s.Quorum < 0 || s.Quorum > len(s.Approvers) {
		return fmt.Errorf("control: a quorum of %d among %d approvers", s.Quorum, len(s.Approvers))
	}
	return nil
}

// reachedBy lists the domains of a kind each of which reaches the copy.
func (c Copy) reachedBy(k Kind) []string {
	if k != Organisation {
		return c.Reach[k]
	}
	return append(slices.Clip(c.Reach[k]), c.Staff...)
}

// domains lists all of one kind, ascending.
func (s Structure) domains(k Kind) []string {
	var all []string
	for _, share := range s.Shares {
		for _, c := range share.Copies {
			all = append(all, c.reachedBy(k)...)
		}
	}
	for _, g := range s.Guardians {
		if g.Reach[k] != "" {
			all = append(all, g.Reach[k])
		}
	}
	slices.SortFunc(all, strings.Compare)
	return slices.Compact(all)
}

// Unattested is a domain in which all copies may lie whose claim of a kind is weaker than what is believed.
const Unattested = "(unattested)"

// Believed is the structure as it is known for sure: a copy whose claim is weaker than this class is reached by every domain of the kind, and by
// one more, the same for all such copies, as if those who declare lay together, or with anybody. Only the numbers of who steals make sense of it.
// What reaches nothing and nobody (paper has no account) stays so; so do organisations: they are who signs the roster.
func (s Structure) Believed(least Class) Structure {
	var all [Kinds][]string
	for k := range all {
		all[k] = append(s.known(Kind(k), least), Unattested)
	}
	s.Shares = slices.Clone(s.Shares)
	for i, share := range s.Shares {
		copies := slices.Clone(share.Copies)
		for j := range copies {
			for k := range copies[j].Reach {
				if Kind(k) != Organisation && len(copies[j].Reach[k]) > 0 && copies[j].Evidence[k] < least {
					copies[j].Reach[k] = all[k]
				}
			}
		}
		s.Shares[i].Copies = copies
	}
	return s
}

// known are the domains of a kind that claims of this class or a stronger one name, ascending, each once.
func (s Structure) known(k Kind, least Class) (names []string) {
	for _, share := range s.Shares {
		for _, c := range share.Copies {
			if c.Evidence[k] >= least {
				names = append(names, c.Reach[k]...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Hold notes how a claim about an operator's copy is known. A weaker class than that known already changes nothing.
func (s *Structure) Hold(copyName string, k Kind, c Class) {
	for i := range s.Shares {
		for j := range s.Shares[i].Copies {
			if x := &s.Shares[i].Copies[j]; x.Name == copyName && len(x.Reach[k]) > 0 {
				x.Evidence[k] = max(x.Evidence[k], c)
			}
		}
	}
}

// Held counts the claims of a kind that are of this class or a stronger one, of all that the copies make.
func (s Structure) Held(k Kind, least Class) (held, all int) {
	for _, share := range s.Shares {
		for _, c := range share.Copies {
			if len(c.Reach[k]) > 0 {
				all++
				if c.Evidence[k] >= least {
					held++
				}
			}
		}
	}
	return held, all
}

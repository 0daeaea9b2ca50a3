package control

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Spend is how few people, and how few organisations with all their people, can move money within policy. It is nobody's way to the key.
type Spend struct {
	Persons, Organisations Number
}

// Spend measures who spends within policy.
func (s Structure) Spend() Spend {
	return Spend{Persons: s.Spending.persons(), Organisations: s.Spending.organisations()}
}

// persons: an initiator and the quorum of approvers; one person fewer where an initiator's own approval counts.
func (s Spending) persons() Number {
	return s.fewest(func(p Spender) string { return p.Person })
}

// organisations: that of an initiator, then those with the most approvers. Nobody belongs to two.
func (s Spending) organisations() Number {
	return s.fewest(func(p Spender) string { return p.Organisation })
}

// fewest finds the fewest groups of people that hold an initiator and the quorum.
func (s Spending) fewest(group func(Spender) string) Number {
	best := []string(nil)
	for _, i := range s.Initiators {
		size := map[string]int{}
		for _, a := range s.Approvers {
			if a.Person != i.Person || s.InitiatorApproves {
				size[group(a)]++
			}
		}
		team := []string{group(i)}
		others := slices.SortedFunc(maps.Keys(size), func(a, b string) int {
			return cmp.Or(cmp.Compare(size[b], size[a]), strings.Compare(a, b))
		})
		need := s.Quorum - size[team[0]]
		for _, g := range others {
			if need > 0 && g != team[0] {
				team = append(team, g)
				need -= size[g]
			}
		}
		if need <= 0 && (best == nil || len(team) < len(best)) {
			best = team
		}
	}
	return one(best)
}

func one(c []string) Number {
	if c == nil {
		return Number{}
	}
	slices.Sort(c)
	return Number{Size: len(c), Coalitions: []Coalition{c}, More: true}
}

package control

import "slices"

// A Domain is one of a kind.
type Domain struct {
	Kind Kind
	Name string
}

// An Outlook is what is left of a vault.
type Outlook struct {
	Signs     []string // operators of whom a replica is left, in the order of the Structure
	Restores  []string // those of whom only other copies are left
	Gone      []string // those of whom nothing is left
	Guardians []string // that are left
	CanSign   bool
	CanSOS    bool // with a plan, fewer than t shares that sign, r of them or more, and k guardians
	Lost      bool // nothing brings the key back
}

// WhatIf says what is left if domains are lost. A copy is gone when all of its domains of some kind are.
func (s Structure) WhatIf(lost ...Domain) (out Outlook) {
	for _, share := range s.Shares {
		var signs, restores bool
		for _, c := range share.Copies {
			if !c.gone(lost) {
				signs = signs || c.Level == Replica
				restores = true
			}
		}
		switch {
		case signs:
			out.Signs = append(out.Signs, share.Operator)
		case restores:
			out.Restores = append(out.Restores, share.Operator)
		default:
			out.Gone = append(out.Gone, share.Operator)
		}
	}
	for _, g := range s.Guardians {
		if !slices.ContainsFunc(lost, func(d Domain) bool { return g.Reach[d.Kind] == d.Name }) {
			out.Guardians = append(out.Guardians, g.Name)
		}
	}
	left := len(out.Signs) + len(out.Restores)
	serves := func(operators int) bool {
		return s.SOS != nil && operators >= s.SOS.Live && len(out.Guardians) >= s.SOS.Quorum
	}
	out.CanSign = len(out.Signs) >= s.Threshold
	out.CanSOS = !out.CanSign && serves(len(out.Signs))
	out.Lost = left < s.Threshold && !serves(left)
	return out
}

func (c Copy) gone(lost []Domain) bool {
	for k, reach := range c.Reach {
		left := slices.ContainsFunc(reach, func(name string) bool { return !slices.Contains(lost, Domain{Kind(k), name}) })
		if len(reach) > 0 && !left {
			return true
		}
	}
	return false
}

// Has says whether a domain reaches anything of the vault.
func (s Structure) Has(d Domain) bool {
	return slices.Contains(s.domains(d.Kind), d.Name)
}

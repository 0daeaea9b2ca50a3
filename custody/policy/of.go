package policy

import (
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
)

// Of reads a charter's rules.
func Of(d charter.Document) (*Policy, error) {
	if err := checkAddresses(d); err != nil {
		return nil, err
	}
	if _, err := BookOf(d); err != nil {
		return nil, err
	}
	p, err := Read([]byte(d.Policy), VocabularyOf(d))
	if err != nil {
		return nil, err
	}
	p.assets = map[string]charter.Asset{}
	for _, a := range d.Assets {
		p.assets[a.Name] = a
	}
	return p, nil
}

// VocabularyOf is what a charter declares.
func VocabularyOf(d charter.Document) (v Vocabulary) {
	v.Labels = d.Labels()
	for _, x := range d.Vaults {
		v.Vaults = append(v.Vaults, x.Name)
		v.Chains = append(v.Chains, x.Chains...)
	}
	for _, x := range d.People {
		v.People = append(v.People, x.Name)
	}
	for _, x := range d.Groups {
		v.Groups = append(v.Groups, x.Name)
	}
	for _, x := range d.Assets {
		v.Assets = append(v.Assets, x.Name)
	}
	slices.Sort(v.Chains)
	v.Chains = slices.Compact(v.Chains)
	return v
}

// Count counts people who approved: of each group, in all, and of how many organisations. Nobody counts twice, and strangers not at all.
func Count(d charter.Document, people []string) (r Room) {
	r.Approvals = map[string]int{}
	organisations := map[string]bool{}
	for _, h := range d.People {
		if slices.Contains(people, h.Name) {
			r.Approvers++
			organisations[h.Organisation] = true
		}
	}
	for _, g := range d.Groups {
		r.Approvals[g.Name] = 0
		for _, who := range g.People {
			if slices.Contains(people, who) {
				r.Approvals[g.Name]++
			}
		}
	}
	r.Organisations = len(organisations)
	return r
}

// Could is what the counts for a vault's intent could become: everybody who may approve it but its initiator.
func Could(d charter.Document, v charter.Blueprint, initiator string) Room {
	var people []string
	for _, h := range d.Members(v.Approvers) {
		if h.Name != initiator {
			people = append(people, h.Name)
		}
	}
	return Count(d, people)
}

// GroupsOf are a person's.
func GroupsOf(d charter.Document, person string) (groups []string) {
	for _, g := range d.Groups {
		if slices.Contains(g.People, person) {
			groups = append(groups, g.Name)
		}
	}
	return groups
}

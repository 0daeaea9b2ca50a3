package policy

import (
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
)

// Of reads a charter's rules.
func Of(d charter.Document) (*Policy, error) { return Read([]byte(d.Policy), VocabularyOf(d)) }

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

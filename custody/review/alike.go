package review

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
)

// An AlikeError says that one kind of domain has two names that people would take for one: control numbers would count it twice.
type AlikeError struct {
	Kind          control.Kind
	First, Second string // the names
	At, And       string // where they stand
}

func (e *AlikeError) Error() string {
	return fmt.Sprintf("%v %q (%s) and %v %q (%s) differ in nothing but letter case, spaces, hyphens, underscores and dots, and would count as two. If they are one, write it alike in both places; if they are two, tell them apart by a letter or digit",
		e.Kind, e.First, e.At, e.Kind, e.Second, e.And)
}

// names collects the names of domains, by kind and by what people read of them.
type names struct {
	seen map[string][2]string // name and where
	err  error
}

// see notes a name that stands somewhere; within is the provider whose own it is.
func (n *names) see(kind control.Kind, within, name, at string) {
	if name == "" || n.err != nil {
		return
	}
	key := fmt.Sprintf("%d\x00%s\x00%s", kind, folded(within), folded(name))
	before, ok := n.seen[key]
	if !ok {
		n.seen[key] = [2]string{name, at}
		return
	}
	if before[0] != name {
		n.err = &AlikeError{kind, before[0], name, before[1], at}
	}
}

// checkNames refuses domains that two names stand for: whoever holds "aws" and "AWS" would count as two providers, and a rule that asks for two be kept by one.
func checkNames(d charter.Document) error {
	n := names{seen: map[string][2]string{}}
	for _, o := range d.Operators {
		n.see(control.Organisation, "", o.Name, "operator "+o.Name)
		for _, p := range o.Places {
			at := fmt.Sprintf("operator %s, place %s", o.Name, p.Name)
			n.see(control.Organisation, "", p.Organisation, at)
			n.see(control.Provider, "", p.Provider, at)
			n.see(control.Account, p.Provider, p.Account, at)
			n.see(control.Region, p.Provider, p.Region, at)
			n.see(control.Jurisdiction, "", p.Jurisdiction, at)
			n.see(control.Hardware, "", p.Hardware, at)
		}
	}
	for _, h := range d.People {
		n.see(control.Organisation, "", h.Organisation, "person "+h.Name)
		n.see(control.Person, "", h.Name, "person "+h.Name)
	}
	for _, g := range d.Guardians {
		n.see(control.Organisation, "", g.Organisation, "guardian "+g.Name)
		n.see(control.Person, "", g.Person, "guardian "+g.Name)
		n.see(control.Jurisdiction, "", g.Jurisdiction, "guardian "+g.Name)
	}
	return n.err
}

// folded is a name without what people overlook: letter case, wide letters, spaces, dashes, underscores and dots.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Pc) {
			return -1
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, norm.NFKC.String(name))
}

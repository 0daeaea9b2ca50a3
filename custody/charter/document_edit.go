package charter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/form"
)

// Errors of an edit.
var (
	ErrThere    = errors.New("it is there already")
	ErrNotThere = errors.New("it is not there")
	ErrHolds    = errors.New("it is named elsewhere")
	ErrLayout   = errors.New("the file is laid out in a way that this edit does not keep")
)

// An Edited is a charter's file before and after an edit: what it said, what it says, and the file.
type Edited struct {
	Was, Is Document
	File    []byte
}

// AddPayee adds a payee to a charter's file, and keeps the rest of it byte for byte.
func AddPayee(file, rules []byte, p Payee) (Edited, error) {
	return edit(file, rules, func(d *Document, file []byte) ([]byte, error) {
		if slices.ContainsFunc(d.Payees, func(x Payee) bool { return x.Name == p.Name }) {
			return nil, fmt.Errorf("payee %s: %w", p.Name, ErrThere)
		}
		p.Labels = sorted(p.Labels)
		d.Payees = append(slices.Clone(d.Payees), p)
		return within(file, "payees", p.Name, p.fields(), "assets", "guardians", "groups", "people")
	})
}

// RemovePayee takes a payee out of a charter's file.
func RemovePayee(file, rules []byte, name string) (Edited, error) {
	return edit(file, rules, func(d *Document, file []byte) ([]byte, error) {
		i := slices.IndexFunc(d.Payees, func(x Payee) bool { return x.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("payee %s: %w", name, ErrNotThere)
		}
		d.Payees = slices.Delete(slices.Clone(d.Payees), i, i+1)
		return form.Remove(file, MaxDocument, []string{"payees"}, name)
	})
}

// AddPerson adds a person to a charter's file, and to groups that stand in it.
func AddPerson(file, rules []byte, h Human, groups []string) (Edited, error) {
	return edit(file, rules, func(d *Document, file []byte) ([]byte, error) {
		if d.knows(h.Name) {
			return nil, fmt.Errorf("person %s: %w", h.Name, ErrThere)
		}
		h.Keys = sortedKeys(h.Keys)
		d.People, d.Groups = append(slices.Clone(d.People), h), slices.Clone(d.Groups)
		file, err := within(file, "people", h.Name, h.fields())
		for _, g := range slices.Compact(sorted(groups)) {
			i := slices.IndexFunc(d.Groups, func(x Group) bool { return x.Name == g })
			if i < 0 {
				return nil, fmt.Errorf("group %s: %w", g, ErrNotThere)
			}
			d.Groups[i].People = sorted(append(slices.Clone(d.Groups[i].People), h.Name))
			if err == nil {
				file, err = form.Add(file, MaxDocument, []string{"groups", g, "people"}, h.Name, []string{scalar(h.Name)})
			}
		}
		return file, err
	})
}

// RemovePerson takes a person out of a charter's file, and out of the groups. Who has access to a place stays: only who can say that they lost it takes them out there.
func RemovePerson(file, rules []byte, name string) (Edited, error) {
	return edit(file, rules, func(d *Document, file []byte) ([]byte, error) {
		if !d.knows(name) {
			return nil, fmt.Errorf("person %s: %w", name, ErrNotThere)
		}
		if at := d.reaches(name); len(at) > 0 {
			return nil, fmt.Errorf("person %s: %w: access of %s", name, ErrHolds, strings.Join(at, " and "))
		}
		d.People = slices.DeleteFunc(slices.Clone(d.People), func(h Human) bool { return h.Name == name })
		d.Groups = slices.Clone(d.Groups)
		file, err := form.Remove(file, MaxDocument, []string{"people"}, name)
		for i, g := range d.Groups {
			if err != nil || !slices.Contains(g.People, name) {
				continue
			}
			d.Groups[i].People = slices.DeleteFunc(slices.Clone(g.People), func(who string) bool { return who == name })
			file, err = form.Remove(file, MaxDocument, []string{"groups", g.Name, "people"}, name)
		}
		return file, err
	})
}

// reaches lists the places to which somebody has access.
func (d Document) reaches(person string) (at []string) {
	for _, o := range d.Operators {
		for _, p := range o.Places {
			if slices.Contains(p.Access, person) {
				at = append(at, fmt.Sprintf("operator %s, place %s", o.Name, p.Name))
			}
		}
	}
	return at
}

// within adds to a list of the file, or makes the list after those that may stand before it.
func within(file []byte, list, name string, fields []string, after ...string) ([]byte, error) {
	out, err := form.Add(file, MaxDocument, []string{list}, name, fields)
	if !errors.Is(err, form.ErrMissing) {
		return out, err
	}
	lines := []string{list + ":"}
	for _, l := range item(fields) {
		lines = append(lines, "  "+l)
	}
	return form.Append(file, MaxDocument, after, lines)
}

// edit reads a file, changes what it says and its text, and holds the text to what it should say: a mistake in laying out never goes unseen.
func edit(file, rules []byte, change func(*Document, []byte) ([]byte, error)) (Edited, error) {
	was, err := ReadDocument(file, rules)
	if err != nil {
		return Edited{}, err
	}
	want := was
	out, err := change(&want, file)
	if err != nil {
		return Edited{}, err
	}
	want = want.sorted()
	if err := want.checkForm(); err != nil {
		return Edited{}, err
	}
	is, err := ReadDocument(out, rules)
	if err == nil && !SameDocument(want, is) {
		err = fmt.Errorf("it would differ in %s", strings.Join(Differences(want, is), ", "))
	}
	if err != nil {
		return Edited{}, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	return Edited{was, is, out}, nil
}

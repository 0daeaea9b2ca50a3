package charter

import (
	"fmt"
	"slices"
	"strings"
)

// A Lack is something that a vault does without, and what to do about it. A charter without it is valid: whoever reads it is told.
type Lack struct{ What, Do string }

// Unplanned says why nobody brings a vault back whose operators are gone: it has no SOS plan, or one that counts for nothing. ok: it has one.
func (d Document) Unplanned(b Blueprint) (l Lack, ok bool) {
	const amend = "`ostraka charter show --write FOLDER`, %s (docs/charter.md), then `ostraka charter amend FOLDER`"
	var cardless []string
	for _, g := range d.Guardians {
		if g.Card.IsZero() {
			cardless = append(cardless, g.Name)
		}
	}
	switch {
	case b.Rescue == nil:
		l.What = fmt.Sprintf("it has no SOS plan: once fewer than %d of its operators can sign, nobody brings back what it holds", b.Threshold)
		l.Do = fmt.Sprintf(amend, "add guardians and a `rescue` to the vault")
	case !b.Rescue.Planned():
		l.What = "its SOS plan names no trigger: no emergency can be declared"
		l.Do = fmt.Sprintf(amend, "add `triggers` to its `rescue`")
	case len(cardless) > 0:
		l.What = "its SOS plan counts for nothing, for the charter has no card of " + strings.Join(cardless, ", ")
		l.Do = "each runs `ostraka guardian init FILE` and sends the card; " + fmt.Sprintf(amend, "add the cards")
	default:
		return l, true
	}
	return l, false
}

// Unbacked lists the operators of a committee for whom no place for a backup is listed, in the committee's order: who loses their replica has lost their share.
func (d Document) Unbacked(committee []string) (names []string) {
	for _, name := range committee {
		i := slices.IndexFunc(d.Operators, func(o Station) bool { return o.Name == name })
		if i < 0 || !slices.ContainsFunc(d.Operators[i].Places, func(p Place) bool { return p.Level != Replica }) {
			names = append(names, name)
		}
	}
	return names
}

// PlaceWanted says what those lack for whom no place for a backup is listed.
func PlaceWanted(operators []string) Lack {
	return Lack{
		fmt.Sprintf("the charter lists no place for a backup of %s: whoever loses their machine loses their share", strings.Join(operators, ", ")),
		"`ostraka charter show --write FOLDER`, add a place of level export or paper to each of them, `ostraka charter amend FOLDER`; then each runs `ostraka backup cut`. While an emergency holds a vault no charter is signed: amend it after CLOSED",
	}
}

// Renewed lists the vaults of which nodes make new shares by themselves once the charter that follows is in force: their SOS plan, or a guardian's card,
// is another one. It is said before anybody signs: what was cut of the older shares is void then.
func (d Document) Renewed(to Document) (vaults []string) {
	hash := func(d Document, b Blueprint) (h [32]byte) {
		if t := (Charter{Document: d}).sosOf(b); t != nil {
			h = t.Hash
		}
		return h
	}
	for _, was := range d.Vaults {
		if is, ok := to.Vault(was.Name); ok && hash(d, was) != hash(to, is) {
			vaults = append(vaults, was.Name)
		}
	}
	return vaults
}

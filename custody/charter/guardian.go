package charter

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/guardian"
)

func (d Document) checkGuardians() error {
	if n := len(d.Guardians); n > MaxGuardians {
		return fmt.Errorf("guardians: %d are listed, at most %d are allowed", n, MaxGuardians)
	}
	if err := ascending(d.Guardians, func(g Guard) string { return g.Name }); err != nil {
		return fmt.Errorf("guardians: %w", err)
	}
	holder := map[string]string{}
	for _, g := range d.Guardians {
		if err := labels(g.Name, g.Person, g.Organisation); err != nil {
			return fmt.Errorf("guardian %s: %w", g.Name, err)
		}
		if other, ok := holder[g.Person]; ok {
			return fmt.Errorf("guardian %s: person %s is guardian %s already", g.Name, g.Person, other)
		}
		holder[g.Person] = g.Name
		if g.Jurisdiction != "" && !country(g.Jurisdiction) {
			return fmt.Errorf("guardian %s: jurisdiction: %q is not two lower-case letters (ISO 3166-1)", g.Name, g.Jurisdiction)
		}
	}
	return d.checkCards()
}

// checkCards: one key under two names would count as two guardians, or let one person be guardian and approver, or guardian and operator.
func (d Document) checkCards() error {
	owner := map[string]string{}
	for _, o := range d.Operators {
		owner["signing key "+hex.EncodeToString(o.Identity)] = "operator " + o.Name
	}
	for _, h := range d.People {
		for _, k := range h.Keys {
			owner["signing key "+k.String()] = "person " + h.Name
		}
	}
	for _, g := range d.Guardians {
		if g.Card.IsZero() {
			continue
		}
		line, err := g.Card.Key()
		if err != nil {
			return fmt.Errorf("guardian %s: card: %w", g.Name, err)
		}
		for _, key := range [][2]string{{"signing key", hex.EncodeToString(g.Card.Signing())}, {"signing key", line.String()}, {"encryption key", g.Card.Encryption().String()}} {
			text := key[0] + " " + key[1]
			if other, ok := owner[text]; ok {
				return fmt.Errorf("guardian %s: card: its %s is that of %s: each makes a key of their own with `ostraka guardian init`", g.Name, key[0], other)
			}
			owner[text] = "guardian " + g.Name
		}
	}
	return nil
}

// Guardian finds a guardian by name.
func (d Document) Guardian(name string) (Guard, bool) {
	i := slices.IndexFunc(d.Guardians, func(g Guard) bool { return g.Name == name })
	if i < 0 {
		return Guard{}, false
	}
	return d.Guardians[i], true
}

// readCard reads a card that may be left out.
func readCard(text string) (guardian.Card, error) {
	if text == "" {
		return guardian.Card{}, nil
	}
	return guardian.ParseCard(text)
}

// cardText tells a card from every other: its keys, and the end of its checksum, which covers the proof.
func cardText(c guardian.Card) string {
	if c.IsZero() {
		return ""
	}
	k, err := c.Key()
	if err != nil {
		return err.Error()
	}
	text := c.String()
	return fmt.Sprintf("%s (encryption key %v, ends %q)", k.Fingerprint(), c.Encryption(), text[len(text)-8:])
}

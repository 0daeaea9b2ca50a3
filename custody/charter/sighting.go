package charter

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Sighting is what somebody independent saw of where a node runs, such as an auditor (spec/attest 6). Fields of the place that are empty
// were not seen. It raises what it says from declared to attested, for whoever trusts the witness.
type Sighting struct {
	Witness   string
	Entity    string // legal entity that the witness speaks for
	Operator  string
	Identity  ed25519.PublicKey
	Place     Place      // name, and what was seen; no level, no organisation
	Saw       string     // what was looked at, and how
	Documents [][32]byte // SHA-256 of each
	Created   time.Time
	Expires   time.Time
}

// MaxSighting is how long one counts at most.
const MaxSighting = statement.MaxSighting * time.Second

// Statement writes the sighting.
func (x Sighting) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := x.check(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.Add("witness", x.Witness).Add("witness-entity", x.Entity).Add("operator", x.Operator).AddHex("identity", x.Identity).Add("place", x.Place.Name)
	b = b.Add("provider", x.Place.Provider).Add("account", x.Place.Account).Add("region", x.Place.Region)
	b = b.Add("jurisdiction", x.Place.Jurisdiction).Add("hardware", x.Place.Hardware).AddList("access", x.Place.Access).Add("saw", x.Saw)
	for _, d := range x.Documents {
		b = b.AddHex("document", d[:])
	}
	return statement.Build(statement.Sighting, b.AddTime("created", x.Created).AddTime("expires", x.Expires), salt)
}

// SightingOf gives a sighting statement its meaning.
func SightingOf(s statement.Statement) (Sighting, error) {
	if err := s.Require(statement.Sighting); err != nil {
		return Sighting{}, err
	}
	f := s.Fields()
	x := Sighting{
		Witness: f.Get("witness"), Entity: f.Get("witness-entity"), Operator: f.Get("operator"), Identity: f.Hex("identity"),
		Place: Place{
			Name: f.Get("place"), Provider: f.Get("provider"), Account: f.Get("account"), Region: f.Get("region"), Jurisdiction: f.Get("jurisdiction"),
			Hardware: f.Get("hardware"), Access: f.All("access"),
		},
		Saw: f.Get("saw"), Created: f.Time("created"), Expires: f.Time("expires"),
	}
	for _, text := range f.All("document") {
		d, err := hex.DecodeString(text)
		if err != nil || len(d) != 32 {
			return x, fmt.Errorf("sighting: document %.70q is no SHA-256", text)
		}
		x.Documents = append(x.Documents, [32]byte(d))
	}
	return x, x.check()
}

func (x Sighting) check() error {
	switch p := x.Place; {
	case !x.Expires.After(x.Created) || x.Expires.Sub(x.Created) > MaxSighting:
		return fmt.Errorf("sighting of %s/%s: expires must be after created, by 400 days at most", x.Operator, p.Name)
	case !slices.IsSorted(p.Access) || len(slices.Compact(slices.Clone(p.Access))) < len(p.Access):
		return fmt.Errorf("sighting of %s/%s: access is not in ascending order", x.Operator, p.Name)
	case p.Provider == "" && (p.Account != "" || p.Region != ""):
		return fmt.Errorf("sighting of %s/%s: account and region are a provider's: name it", x.Operator, p.Name)
	case p.Provider+p.Jurisdiction+p.Hardware == "" && len(p.Access) == 0:
		return fmt.Errorf("sighting of %s/%s: it says nothing of the place", x.Operator, p.Name)
	}
	return nil
}

// ErrOwnWord says that a witness is not independent of whom it speaks for.
var ErrOwnWord = errors.New("the operator's own people said it: it stays declared")

// VerifySighting checks that a key of the witness signed it (witnesses are those whom the reader trusts, by name), that it counts at this time, that the charter has such an operator and
// place, and that the witness is independent of it: neither the key nor the legal entity is the operator's, nor that of somebody who reaches
// the place.
func VerifySighting(s statement.Statement, armored []byte, witnesses map[string][]signet.Key, d Document, now time.Time) (Sighting, error) {
	x, err := SightingOf(s)
	if err != nil {
		return x, err
	}
	what := fmt.Sprintf("sighting of %s/%s by %s", x.Operator, x.Place.Name, x.Witness)
	by, err := signet.Verify(armored, signet.Makes(statement.Sighting), s.Bytes(), witnesses[x.Witness])
	if err != nil {
		return x, fmt.Errorf("%s: %w", what, err)
	}
	o, ok := d.Station(x.Operator)
	i := slices.IndexFunc(o.Places, func(p Place) bool { return p.Name == x.Place.Name })
	switch {
	case !ok || i < 0 || !slices.Equal(o.Identity, x.Identity):
		return x, fmt.Errorf("%s: the charter has no such operator, node and place", what)
	case now.Before(x.Created.Add(-skew)):
		return x, fmt.Errorf("%s: it was made at %s, here it is %s: compare the clocks", what, statement.FormatTime(x.Created), statement.FormatTime(now))
	case !now.Before(x.Expires):
		return x, fmt.Errorf("%s: it counted until %s: have it looked at again", what, statement.FormatTime(x.Expires))
	}
	if err := x.Independent(d, by.Key); err != nil {
		return x, fmt.Errorf("%s: %w", what, err)
	}
	return x, nil
}

// Independent says whether this key's word counts beside the operator's own, as far as a charter shows.
func (x Sighting) Independent(d Document, key signet.Key) error {
	o, ok := d.Station(x.Operator)
	i := slices.IndexFunc(o.Places, func(p Place) bool { return p.Name == x.Place.Name })
	if !ok || i < 0 || d.ownWord(o, o.Places[i], key, x) {
		return ErrOwnWord
	}
	return nil
}

// skew is how far a witness's clock may be before ours.
const skew = 5 * time.Minute

// ownWord says whether the operator, or somebody who reaches the place, speaks here.
func (d Document) ownWord(o Station, p Place, key signet.Key, x Sighting) bool {
	if strings.EqualFold(o.Entity, x.Entity) || strings.EqualFold(o.Name, x.Witness) {
		return true
	}
	return slices.ContainsFunc(d.People, func(h Human) bool {
		near := h.Organisation == o.Name || h.Organisation == p.Organisation || slices.Contains(p.Access, h.Name)
		return near && (h.Name == x.Witness || slices.ContainsFunc(h.Keys, key.Equal))
	})
}

// Compare compares what was seen with what the charter says of the place, of the fields that no cloud's document speaks of: jurisdiction, hardware,
// access. What was not seen stands in neither list. Names are compared without regard to letter case.
func (x Sighting) Compare(p Place) (agree, differ []string) {
	for _, f := range []struct{ name, saw, says string }{
		{"jurisdiction", x.Place.Jurisdiction, p.Jurisdiction}, {"hardware", x.Place.Hardware, p.Hardware},
		{"access", strings.Join(x.Place.Access, ", "), strings.Join(p.Access, ", ")},
	} {
		switch {
		case f.saw == "":
		case strings.EqualFold(f.saw, f.says):
			agree = append(agree, f.name)
		default:
			differ = append(differ, f.name)
		}
	}
	return agree, differ
}

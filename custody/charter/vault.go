package charter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Tiers and suites of a vault.
const (
	TierCold = "cold"
	TierWarm = "warm"
	TierHot  = "hot"

	SuiteBIP340  = "bip340-secp256k1" // Bitcoin Taproot
	SuiteECDSA   = "ecdsa-secp256k1"  // Ethereum and chains like it, Bitcoin P2WPKH
	SuiteEd25519 = "ed25519"          // Solana and others
)

// A Person is somebody with a role in a vault. Their name is who they are: keys are
// counted once per person.
type Person struct {
	Name         string // label
	Organisation string
	Keys         []signet.Key // ascending
}

// A Vault is a set of root keys with one committee and one threshold. Its statement says what its keys are; on what terms they sign, the
// charter in force says.
type Vault struct {
	ID        statement.ID // of its statement; zero in a draft
	Roster    statement.ID // in force when it was made: its officers sign it
	Charter   statement.ID // in force when it was made, which lists it
	Name      string       // label
	Suites    []string     // one root key each, 1 to 3, ascending
	Threshold int          // t: operators needed to sign; 2 ≤ t ≤ n
	Committee []string     // operators' names, 2 to 16, ascending
	Recovery  *Recovery    // of its Taproot addresses; nil: they have no script
	Created   time.Time
	Terms     // Charter.Terms fills them in; without them nobody may do anything
}

// Terms say who may do what with a vault.
type Terms struct {
	Under             statement.ID  // the charter that says so
	Tier              string        // TierCold, TierWarm or TierHot
	Initiators        []Person      // ascending by name
	Approvers         []Person      // ascending by name
	Quorum            int           // approvers needed, each counted once
	Organisations     int           // different ones that they must be of, at least
	InitiatorApproves bool          // whether who proposed may count among the approvers
	UserVerification  bool          // whether an approval counts only if its device checked who touched it
	Chains            []string      // CAIP-2 ids, ascending
	Expiry            time.Duration // an intent's life unless it says otherwise; whole seconds, 1 minute to 7 days
	RefreshEvery      time.Duration // after that the nodes make new shares by themselves; 0: never
	Publish           bool
	Witnesses         int
	HoldRelease       time.Duration
	SOS               *SOSTerms // nil: there is no plan, or one from before guardians had cards
}

// Statement writes the vault, its lists in ascending order, and checks it.
func (v Vault) Statement(salt statement.Salt) (statement.Statement, error) {
	v = v.sorted()
	if err := v.Validate(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.AddID("roster", v.Roster).AddID("charter", v.Charter).Add("name", v.Name).AddList("suite", v.Suites)
	b = v.Recovery.add(b.AddUint("threshold", uint64(v.Threshold)).AddList("member", v.Committee))
	return statement.Build(statement.Vault, b.AddTime("created", v.Created), salt)
}

// VaultOf gives a vault statement its meaning and checks it.
func VaultOf(s statement.Statement) (Vault, error) {
	if err := s.Require(statement.Vault); err != nil {
		return Vault{}, err
	}
	f := s.Fields()
	v := Vault{
		ID: s.ID(), Roster: f.ID("roster"), Charter: f.ID("charter"), Name: f.Get("name"), Suites: f.All("suite"),
		Threshold: int(f.Uint("threshold")), Committee: f.All("member"), Created: f.Time("created"),
	}
	var err error
	if v.Recovery, err = readRecovery(f); err != nil {
		return v, fmt.Errorf("vault %s: %w", v.Name, err)
	}
	return v, v.Validate()
}

// Validate checks what the statement's form cannot. CheckRoster and CheckCharter do the rest.
func (v Vault) Validate() error {
	if err := v.validate(); err != nil {
		return fmt.Errorf("vault %s: %w", v.Name, err)
	}
	return nil
}

func (v Vault) validate() error {
	n := len(v.Committee)
	switch {
	case n < 2 || n > statement.MaxOperators:
		return fmt.Errorf("committee: %d operators are listed, 2 to %d are allowed", n, statement.MaxOperators)
	case v.Threshold < 2 || v.Threshold > n:
		// t = 1 would let one operator own the key.
		return fmt.Errorf("threshold: %d is asked of %d operators; it must be 2 to %d", v.Threshold, n, n)
	}
	if err := ascending(v.Committee, same); err != nil {
		return fmt.Errorf("committee: %w", err)
	}
	if err := ascending(v.Suites, same); err != nil {
		return fmt.Errorf("suites: %w", err)
	}
	return v.Recovery.check(v.Suites, nil)
}

// Draft is the statement of a vault that the charter lists, not made yet.
func (c Charter) Draft(name string, r Roster, now time.Time) (Vault, error) {
	b, ok := c.Vault(name)
	if !ok {
		var names []string
		for _, v := range c.Vaults {
			names = append(names, v.Name)
		}
		return Vault{}, fmt.Errorf("vault %s is not in %s, which lists %s", name, c.Title(), strings.Join(names, ", "))
	}
	v := Vault{Roster: r.ID, Charter: c.ID, Name: b.Name, Suites: b.Suites, Threshold: b.Threshold, Committee: b.Committee, Recovery: b.Recovery, Created: now.UTC().Truncate(time.Second)}
	return v, v.CheckRoster(r)
}

// CheckRoster checks the vault against the roster that it stands under.
func (v Vault) CheckRoster(r Roster) error {
	if v.Roster != r.ID {
		return fmt.Errorf("vault %s: roster: it stands under %s, this is %s", v.Name, v.Roster.Short(), r.ID.Short())
	}
	for _, name := range v.Committee {
		if _, ok := r.Operator(name); !ok {
			return fmt.Errorf("vault %s: committee: %s is no operator of circle %q", v.Name, name, r.Circle)
		}
	}
	return nil
}

// CheckCharter checks the vault against the charter that it names: it must be as that has it.
func (v Vault) CheckCharter(c Charter) error {
	b, listed := c.Vault(v.Name)
	switch {
	case v.Charter != c.ID:
		return fmt.Errorf("vault %s: charter: it stands under %s, this is %s", v.Name, v.Charter.Short(), c.ID.Short())
	case !listed:
		return fmt.Errorf("vault %s is not in %s", v.Name, c.Title())
	case !slices.Equal(v.Suites, b.Suites):
		return fmt.Errorf("vault %s: suites: it has %v, the charter %v", v.Name, v.Suites, b.Suites)
	case !sameRecovery(v.Recovery, b.Recovery):
		return fmt.Errorf("vault %s: recovery: it has %s, the charter %s", v.Name, orNone(v.Recovery), orNone(b.Recovery))
	case v.Threshold != b.Threshold:
		return fmt.Errorf("vault %s: threshold: it has %d, the charter %d", v.Name, v.Threshold, b.Threshold)
	case !slices.Equal(v.Committee, b.Committee):
		return fmt.Errorf("vault %s: committee: it has %v, the charter %v", v.Name, v.Committee, b.Committee)
	}
	return nil
}

// Lists says whether the charter has a vault as it stands in a statement that may be of another version.
func (c Charter) Lists(v Vault) bool {
	v.Charter = c.ID
	return v.CheckCharter(c) == nil
}

// Terms gives a vault the terms of a charter at a time: those of the vault of its name. Keys that have expired or were revoked, and groups
// that have expired, count for nothing. A vault that the charter does not list gets nobody.
func (c Charter) Terms(v Vault, now time.Time, revoked func(signet.Key) bool) Vault {
	c.Document = c.Document.At(now, revoked)
	return c.TermsNow(v)
}

// TermsNow is Terms of a charter whose document is as it counts now (Document.At).
func (c Charter) TermsNow(v Vault) Vault {
	v.Terms = Terms{Under: c.ID}
	b, ok := c.Vault(v.Name)
	if !ok {
		return v
	}
	v.Tier, v.Quorum, v.Organisations, v.Chains, v.Expiry, v.RefreshEvery = b.Tier, b.Quorum, b.Organisations, b.Chains, b.Expiry, b.RefreshEvery
	v.Publish, v.Witnesses, v.HoldRelease = b.Publish, b.Witnesses, b.HoldRelease
	v.InitiatorApproves, v.UserVerification = b.InitiatorApproves, b.UserVerification
	v.Initiators, v.Approvers = c.persons(b.Initiators), c.persons(b.Approvers)
	v.SOS = c.sosOf(b)
	return v
}

// At is the document as it counts at a time: without the keys that have expired or were revoked, the people who have none, the groups and
// payees that have expired. It may be one that Validate refuses.
func (d Document) At(now time.Time, revoked func(signet.Key) bool) Document {
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	people, gone := []Human{}, map[string]bool{}
	for _, h := range d.People {
		h.Keys = slices.DeleteFunc(slices.Clone(h.Keys), revoked)
		if gone[h.Name] = over(h.Expires) || len(h.Keys) == 0; !gone[h.Name] {
			people = append(people, h)
		}
	}
	groups := []Group{}
	for _, g := range d.Groups {
		g.People = slices.DeleteFunc(slices.Clone(g.People), func(name string) bool { return gone[name] || over(g.Expires) })
		groups = append(groups, g)
	}
	d.People, d.Groups = people, groups
	d.Payees = slices.DeleteFunc(slices.Clone(d.Payees), func(p Payee) bool { return over(p.Expires) })
	return d
}

// NextEnd is when the first of what the document lists expires after a time; zero if nothing does.
func (d Document) NextEnd(now time.Time) (first time.Time) {
	sooner := func(t time.Time) {
		if t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, h := range d.People {
		sooner(h.Expires)
	}
	for _, g := range d.Groups {
		sooner(g.Expires)
	}
	for _, p := range d.Payees {
		sooner(p.Expires)
	}
	return first
}

func (d Document) persons(groups []string) (out []Person) {
	for _, h := range d.Members(groups) {
		out = append(out, Person{h.Name, h.Organisation, h.Keys})
	}
	return out
}

// SameAs names the first field in which two vaults differ apart
// from their time; "" says that they are the same. The salt is not part of a Vault.
func (v Vault) SameAs(o Vault) (difference string) {
	v, o = v.sorted(), o.sorted()
	for _, f := range []struct {
		name string
		same bool
	}{
		{"roster", v.Roster == o.Roster},
		{"charter", v.Charter == o.Charter},
		{"name", v.Name == o.Name},
		{"suites", slices.Equal(v.Suites, o.Suites)},
		{"recovery", sameRecovery(v.Recovery, o.Recovery)},
		{"threshold", v.Threshold == o.Threshold},
		{"committee", slices.Equal(v.Committee, o.Committee)},
	} {
		if !f.same {
			return f.name
		}
	}
	return ""
}

// Initiator finds an initiator by name.
func (v Vault) Initiator(name string) (Person, bool) { return find(v.Initiators, name) }

// Approver finds an approver by name.
func (v Vault) Approver(name string) (Person, bool) { return find(v.Approvers, name) }

func find(people []Person, name string) (Person, bool) {
	i := slices.IndexFunc(people, func(p Person) bool { return p.Name == name })
	if i < 0 {
		return Person{}, false
	}
	return people[i], true
}

// ErrNoPerson is returned when a key belongs to nobody of a list.
var ErrNoPerson = errors.New("key belongs to nobody in the vault")

// Who says whose key it is, among initiators and approvers.
func (v Vault) Who(k signet.Key) (string, error) {
	for _, p := range slices.Concat(v.Initiators, v.Approvers) {
		if slices.ContainsFunc(p.Keys, k.Equal) {
			return p.Name, nil
		}
	}
	return "", fmt.Errorf("vault %s: %w: %s", v.Name, ErrNoPerson, k.Fingerprint())
}

func (v Vault) sorted() Vault {
	v.Committee = slices.Sorted(slices.Values(v.Committee))
	v.Suites = slices.Sorted(slices.Values(v.Suites))
	return v
}

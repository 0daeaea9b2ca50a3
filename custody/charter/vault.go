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
	Name string       // label
	Keys []signet.Key // 1 to 8, ascending
}

// A Vault is a set of root keys with one committee, one threshold, one tier.
type Vault struct {
	ID                statement.ID  // of its statement; zero in a draft
	Charter           statement.ID  // the roster, or later charter, that it stands under
	Name              string        // label
	Tier              string        // TierCold, TierWarm or TierHot
	Suites            []string      // one root key each, 1 to 3, ascending
	Threshold         int           // t: operators needed to sign; 2 ≤ t ≤ n
	Committee         []string      // operators' names, 2 to 16, ascending
	Initiators        []Person      // 1 to 64, ascending by name
	Approvers         []Person      // 1 to 64, ascending by name
	Quorum            int           // approvers needed, each counted once
	InitiatorApproves bool          // whether who proposed may count among the approvers
	Chains            []string      // CAIP-2 ids, 1 to 64, ascending
	Expiry            time.Duration // an intent's life unless it says otherwise; whole seconds, 1 minute to 7 days
	RefreshEvery      time.Duration // after that the nodes make new shares by themselves; 0: never; whole seconds, 1 hour to 366 days
	Created           time.Time
}

// Statement writes the vault, its lists in ascending order, and checks it.
func (v Vault) Statement(salt statement.Salt) (statement.Statement, error) {
	v = v.sorted()
	if err := v.Validate(); err != nil {
		return statement.Statement{}, err
	}
	s, err := v.build(salt)
	if err == nil {
		err = checkWhole(s)
	}
	if err != nil {
		return statement.Statement{}, err
	}
	return s, nil
}

func (v Vault) build(salt statement.Salt) (statement.Statement, error) {
	approves := "no"
	if v.InitiatorApproves {
		approves = "yes"
	}
	var b statement.Block
	b = b.AddID("charter", v.Charter).Add("name", v.Name).Add("tier", v.Tier).AddList("suite", v.Suites)
	b = b.AddUint("threshold", uint64(v.Threshold)).AddList("member", v.Committee)
	b = addPeople(b, "initiator", "initiator-key", v.Initiators)
	b = addPeople(b, "approver", "approver-key", v.Approvers)
	b = b.AddUint("quorum", uint64(v.Quorum)).Add("initiator-approves", approves)
	b = b.AddList("chain", v.Chains).AddUint("expiry", uint64(v.Expiry/time.Second))
	if v.RefreshEvery != 0 {
		b = b.AddUint("refresh-every", uint64(v.RefreshEvery/time.Second))
	}
	return statement.Build(statement.Vault, b.AddTime("created", v.Created), salt)
}

func addPeople(b statement.Block, name, key string, people []Person) statement.Block {
	for _, p := range people {
		b = b.AddBlock(name, p.Name, statement.Block{}.AddList(key, keyLines(p.Keys)))
	}
	return b
}

// VaultOf gives a vault statement its meaning and checks it.
func VaultOf(s statement.Statement) (Vault, error) {
	if err := s.Require(statement.Vault); err != nil {
		return Vault{}, err
	}
	if err := checkWhole(s); err != nil {
		return Vault{}, err
	}
	f := s.Fields()
	v := Vault{
		ID: s.ID(), Charter: f.ID("charter"), Name: f.Get("name"), Tier: f.Get("tier"), Suites: f.All("suite"),
		Threshold: int(f.Uint("threshold")), Committee: f.All("member"),
		Quorum: int(f.Uint("quorum")), InitiatorApproves: f.Get("initiator-approves") == "yes",
		Chains: f.All("chain"), Expiry: time.Duration(f.Uint("expiry")) * time.Second,
		RefreshEvery: time.Duration(f.Uint("refresh-every")) * time.Second, Created: f.Time("created"),
	}
	var err error
	if v.Initiators, err = readPeople(f, "initiator", "initiator-key"); err != nil {
		return Vault{}, err
	}
	if v.Approvers, err = readPeople(f, "approver", "approver-key"); err != nil {
		return Vault{}, err
	}
	return v, v.Validate()
}

func readPeople(b statement.Block, name, key string) ([]Person, error) {
	var out []Person
	for _, f := range b.Each(name) {
		keys, err := readKeys(f.Block, key)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", name, f.Value, err)
		}
		out = append(out, Person{Name: f.Value, Keys: keys})
	}
	return out, nil
}

// Validate checks what the statement's form cannot. CheckCharter does the rest.
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
	case v.Quorum < 1 || v.Quorum > len(v.Approvers):
		return fmt.Errorf("quorum: %d is asked of %d approvers", v.Quorum, len(v.Approvers))
	case v.Expiry < time.Minute || v.Expiry > statement.MaxExpiry*time.Second || v.Expiry%time.Second != 0:
		return fmt.Errorf("expiry: %s is not whole seconds from 1 minute to 7 days", v.Expiry)
	case v.RefreshEvery != 0 && (v.RefreshEvery < statement.MinRefresh*time.Second || v.RefreshEvery > statement.MaxRefresh*time.Second || v.RefreshEvery%time.Second != 0):
		return fmt.Errorf("refresh-every: %s is not whole seconds from 1 hour to 366 days", v.RefreshEvery)
	}
	if err := ascending(v.Committee, same); err != nil {
		return fmt.Errorf("committee: %w", err)
	}
	if err := ascending(v.Suites, same); err != nil {
		return fmt.Errorf("suites: %w", err)
	}
	if err := ascending(v.Chains, same); err != nil {
		return fmt.Errorf("chains: %w", err)
	}
	if err := checkPeople(v.Initiators); err != nil {
		return fmt.Errorf("initiators: %w", err)
	}
	if err := checkPeople(v.Approvers); err != nil {
		return fmt.Errorf("approvers: %w", err)
	}
	if err := v.checkOneNamePerKey(); err != nil {
		return err
	}
	return v.checkReachable()
}

func checkPeople(people []Person) error {
	if n := len(people); n < 1 || n > statement.MaxPeople {
		return fmt.Errorf("%d people are listed, 1 to %d are allowed", n, statement.MaxPeople)
	}
	if err := ascending(people, func(p Person) string { return p.Name }); err != nil {
		return err
	}
	for _, p := range people {
		if err := checkKeys(p.Keys); err != nil {
			return fmt.Errorf("%s: keys: %w", p.Name, err)
		}
	}
	return nil
}

// checkOneNamePerKey: a person with two names would be counted twice, or approve what
// they themselves proposed.
func (v Vault) checkOneNamePerKey() error {
	owner := map[string]string{}
	for _, p := range slices.Concat(v.Initiators, v.Approvers) {
		for _, k := range p.Keys {
			if other, ok := owner[k.String()]; ok && other != p.Name {
				return fmt.Errorf("people: key %s belongs to both %s and %s", k.Fingerprint(), other, p.Name)
			}
			owner[k.String()] = p.Name
		}
	}
	return nil
}

// checkReachable refuses a quorum that no intent of some initiator could ever meet.
func (v Vault) checkReachable() error {
	if v.InitiatorApproves {
		return nil
	}
	for _, p := range v.Initiators {
		if _, ok := v.Approver(p.Name); ok && v.Quorum > len(v.Approvers)-1 {
			return fmt.Errorf("quorum: %d cannot be met when %s proposes: %d other approvers are listed", v.Quorum, p.Name, len(v.Approvers)-1)
		}
	}
	return nil
}

// CheckCharter checks the vault against the roster that it stands under.
func (v Vault) CheckCharter(r Roster) error {
	if v.Charter != r.ID {
		return fmt.Errorf("vault %s: charter: it stands under %s, the circle's is %s", v.Name, v.Charter.Short(), r.ID.Short())
	}
	for _, name := range v.Committee {
		if _, ok := r.Operator(name); !ok {
			return fmt.Errorf("vault %s: committee: %s is no operator of circle %q", v.Name, name, r.Circle)
		}
	}
	return nil
}

// SameAs names the first field, as the file calls it, in which two vaults differ apart
// from their time; "" says that they are the same. The salt is not part of a Vault.
func (v Vault) SameAs(o Vault) (difference string) {
	v, o = v.sorted(), o.sorted()
	for _, f := range []struct {
		name string
		same bool
	}{
		{"charter", v.Charter == o.Charter},
		{"name", v.Name == o.Name},
		{"tier", v.Tier == o.Tier},
		{"suites", slices.Equal(v.Suites, o.Suites)},
		{"threshold", v.Threshold == o.Threshold},
		{"committee", slices.Equal(v.Committee, o.Committee)},
		{"initiators", slices.EqualFunc(v.Initiators, o.Initiators, Person.equal)},
		{"approvers", slices.EqualFunc(v.Approvers, o.Approvers, Person.equal)},
		{"quorum", v.Quorum == o.Quorum},
		{"initiator-approves", v.InitiatorApproves == o.InitiatorApproves},
		{"chains", slices.Equal(v.Chains, o.Chains)},
		{"expiry", v.Expiry == o.Expiry},
		{"refresh-every", v.RefreshEvery == o.RefreshEvery},
	} {
		if !f.same {
			return f.name
		}
	}
	return ""
}

func (p Person) equal(o Person) bool {
	return p.Name == o.Name && slices.EqualFunc(p.Keys, o.Keys, signet.Key.Equal)
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
	v.Chains = slices.Sorted(slices.Values(v.Chains))
	v.Initiators = sortedPeople(v.Initiators)
	v.Approvers = sortedPeople(v.Approvers)
	return v
}

func sortedPeople(people []Person) []Person {
	out := slices.Clone(people)
	slices.SortFunc(out, func(a, b Person) int { return strings.Compare(a.Name, b.Name) })
	for i := range out {
		out[i].Keys = sortedKeys(out[i].Keys)
	}
	return out
}

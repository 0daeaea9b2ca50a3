package charter

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Document is a charter as people write it: who belongs to the circle, where every share lies, who may do what, and the rules that none
// of its vaults may break (spec/charter).
type Document struct {
	Circle    string
	Drill     bool          // for rehearsals: delays may be seconds
	Operators []Station     // 2 to 16, ascending by name
	People    []Human       // 1 to 64, ascending
	Groups    []Group       // of people, ascending
	Guardians []Guard       // ascending
	Assets    []Asset       // ascending
	Payees    []Payee       // ascending
	Vaults    []Blueprint   // 1 to 64, ascending
	EVM       EVM           // what vaults may call and sign on EVM chains beside transfers
	Demands   []Demand      // of operators whose nodes must attest what they run on, ascending
	Policy    string        // Cedar
	Control   []ControlRule // beyond the defaults
	Providers int           // operators that must be independent, in each vault; at least 1
	Delay     time.Duration // before what is looser takes effect
	ListDelay time.Duration // before a payee is added
	Heartbeat time.Duration // how often each node says that it lives
	Offset    time.Duration // from UTC, of policy's hours
}

// A Station is an operator and where its share lies.
type Station struct {
	Name        string
	Entity      string            // legal entity
	Identity    ed25519.PublicKey // the node's, as in the roster
	Independent bool              // a provider: independent of the customer
	Places      []Place           // one replica at least, ascending by name
}

// A Place is where a copy of a share lies, and who has access to it. Paper has no provider, account, region and hardware.
type Place struct {
	Name         string
	Level        Level
	Organisation string // where it is not the operator's own
	Provider     string // of the machine
	Account      string // at the provider
	Region       string // of the provider
	Jurisdiction string // ISO 3166-1 alpha-2, lower case
	Hardware     string // vendor
	Access       []string
}

// A Human is somebody of the circle.
type Human struct {
	Name         string
	Organisation string // an operator's name, or another label
	Keys         []signet.Key
	Expires      time.Time // of the keys; zero: never
}

// A Group is people who approve or propose together.
type Group struct {
	Name    string
	People  []string  // ascending
	Expires time.Time // from then on it counts as empty; zero: never
}

// A Guard is a guardian: a person whose offline key helps in SOS, and where that key lies.
type Guard struct {
	Name                 string
	Person, Organisation string
	Jurisdiction         string
	Card                 guardian.Card // its public keys; the zero Card: none yet
}

// An Asset is what policy counts in: Unit of its smallest units make one policy unit.
type Asset struct {
	Name      string
	Chain     string // CAIP-2
	Contract  string // empty: the chain's own
	Decimals  int    // of people's unit, 0 to 36
	Unit      int    // policy unit: 10^Unit of the smallest, 0 to Decimals
	Allowance string // of an ERC-20 token: the largest allowance that is no unlimited one, in the smallest unit, decimal; empty: none
	Standard  string // ERC721 or ERC1155 of a collection; else empty
}

// A Payee is a destination that the circle knows.
type Payee struct {
	Name    string
	Chain   string
	Address string
	Labels  []string  // ascending
	Expires time.Time // from then on it is no payee; zero: never
}

// A Blueprint is a vault as the charter has it.
type Blueprint struct {
	Name                  string
	Tier                  string
	Suites                []string
	Threshold             int
	Committee             []string
	Initiators, Approvers []string // groups, ascending
	Quorum                int
	Organisations         int  // that they must be of, at least
	InitiatorApproves     bool // whether who proposed may count among the approvers
	UserVerification      bool // whether an approval counts only if its device checked who touched it
	Chains                []string
	Expiry                time.Duration // an intent's life unless it says otherwise
	RefreshEvery          time.Duration // after that the nodes make new shares by themselves; 0: never
	Publish               bool          // everybody is shown what is asked, approved, decided and signed
	Witnesses             int           // other operators that must have cosigned the log with a decision before its node signs; 0: none
	HoldRelease           time.Duration // that fewer than t operators must have run a release before t may sign with it; 0: none
	Recovery              *Recovery     // nil: its Taproot addresses have no script
	Delayed               []Delayed     // ascending by chain; of a chain that is not listed, nothing but the vault moves what is there
	Rescue                *Rescue       // nil: nothing but t operators ever signs
}

// A Level says what a copy of a share is for.
type Level string

// Levels.
const (
	Replica Level = "replica" // online: it signs
	Export  Level = "export"  // a sealed copy in another domain
	Paper   Level = "paper"   // words or pages that an operator keeps
)

// A ControlRule bounds a control number from below.
type ControlRule struct {
	Number string // "steal", "halt", "lose", "spend"
	Kind   string // of domain: "organisation", …
	Least  int
}

// Labels lists all labels of payees, ascending.
func (d Document) Labels() (all []string) {
	for _, p := range d.Payees {
		all = append(all, p.Labels...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Validate checks what the form cannot: that names are labels, known where they are used, and stand once; not the control rules.
func (d Document) Validate() error {
	if err := statement.CheckText(d.Circle, 64); err != nil || d.Circle == "" {
		return fmt.Errorf("charter: circle: %q is not 1 to 64 bytes of text", d.Circle)
	}
	for _, check := range []func() error{d.checkOperators, d.checkPeople, d.checkGuardians, d.checkAssets, d.checkVaults, d.checkEVM, d.checkDemands, d.checkControl, d.checkTimes} {
		if err := check(); err != nil {
			return fmt.Errorf("charter: %w", err)
		}
	}
	return nil
}

func (d Document) checkOperators() error {
	if n := len(d.Operators); n < 2 || n > statement.MaxOperators {
		return fmt.Errorf("operators: %d are listed, 2 to %d are allowed", n, statement.MaxOperators)
	}
	if err := ascending(d.Operators, func(o Station) string { return o.Name }); err != nil {
		return fmt.Errorf("operators: %w", err)
	}
	for _, o := range d.Operators {
		err := o.check()
		if err == nil {
			err = o.checkPlaces(d)
		}
		if err != nil {
			return fmt.Errorf("operator %s: %w", o.Name, err)
		}
	}
	return d.checkOneOwner()
}

// checkOneOwner: one organisation under two names would hold two shares.
func (d Document) checkOneOwner() error {
	seen := map[string]string{}
	for _, o := range d.Operators {
		for _, t := range []string{"identity " + string(o.Identity), "entity " + strings.ToLower(o.Entity)} {
			if other, ok := seen[t]; ok {
				field, _, _ := strings.Cut(t, " ")
				return fmt.Errorf("operator %s: %s: the same as that of operator %s", o.Name, field, other)
			}
			seen[t] = o.Name
		}
	}
	return nil
}

func (o Station) check() error {
	if err := statement.CheckLabel(o.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := statement.CheckText(o.Entity, 128); err != nil {
		return fmt.Errorf("entity: %w", err)
	}
	if err := signet.CheckIdentity(o.Identity); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

func (o Station) checkPlaces(d Document) error {
	if n := len(o.Places); n < 1 || n > statement.MaxPlaces {
		return fmt.Errorf("places: %d are listed, 1 to %d are allowed", n, statement.MaxPlaces)
	}
	if err := ascending(o.Places, func(p Place) string { return p.Name }); err != nil {
		return fmt.Errorf("places: %w", err)
	}
	for _, p := range o.Places {
		if err := statement.CheckLabel(p.Name); err != nil {
			return fmt.Errorf("place %w", err)
		}
		if !slices.Contains([]Level{Replica, Export, Paper}, p.Level) {
			return fmt.Errorf("place %s: level: %q is not replica, export or paper", p.Name, p.Level)
		}
		if err := p.checkDomains(); err != nil {
			return fmt.Errorf("place %s: %w", p.Name, err)
		}
		if err := ascending(p.Access, same); err != nil {
			return fmt.Errorf("place %s: access: %w", p.Name, err)
		}
		for _, who := range p.Access {
			if !d.knows(who) {
				return fmt.Errorf("place %s: access: %s is not among the people", p.Name, who)
			}
		}
	}
	return nil
}

// checkDomains wants every domain of a machine named: one that nobody names could be everybody's.
func (p Place) checkDomains() error {
	for _, x := range []struct{ field, value string }{{"provider", p.Provider}, {"account", p.Account}, {"region", p.Region}, {"hardware", p.Hardware}} {
		if x.value == "" && p.Level != Paper {
			return fmt.Errorf("%s: is missing; where there is no cloud, name the operator's own", x.field)
		}
		if x.value == "" {
			continue
		}
		if err := statement.CheckText(x.value, 128); err != nil {
			return fmt.Errorf("%s: %w", x.field, err)
		}
	}
	if p.Organisation != "" {
		if err := statement.CheckLabel(p.Organisation); err != nil {
			return fmt.Errorf("organisation: %w", err)
		}
	}
	if p.Provider == "" && p.Account+p.Region != "" {
		return errors.New("provider: is missing beside an account or region")
	}
	if !country(p.Jurisdiction) {
		return fmt.Errorf("jurisdiction: %q is not two lower-case letters (ISO 3166-1)", p.Jurisdiction)
	}
	if len(p.Access) == 0 {
		return errors.New("access: nobody is listed: name every person who can reach it")
	}
	if len(p.Access) > statement.MaxAccess {
		return fmt.Errorf("access: %d people are listed, at most %d are allowed", len(p.Access), statement.MaxAccess)
	}
	return nil
}

func country(s string) bool {
	return len(s) == 2 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

func (d Document) knows(person string) bool {
	return slices.ContainsFunc(d.People, func(h Human) bool { return h.Name == person })
}

func (d Document) checkPeople() error {
	if n := len(d.People); n < 1 || n > statement.MaxPeople {
		return fmt.Errorf("people: %d are listed, 1 to %d are allowed", n, statement.MaxPeople)
	}
	if err := ascending(d.People, func(h Human) string { return h.Name }); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	owner := map[string]string{}
	for _, h := range d.People {
		if err := labels(h.Name, h.Organisation); err != nil {
			return fmt.Errorf("person %s: %w", h.Name, err)
		}
		if err := checkKeys(h.Keys); err != nil {
			return fmt.Errorf("person %s: keys: %w", h.Name, err)
		}
		for _, k := range h.Keys {
			// One person under two names would be counted twice.
			if other, ok := owner[k.String()]; ok {
				return fmt.Errorf("person %s: key %s is %s's too", h.Name, k.Fingerprint(), other)
			}
			owner[k.String()] = h.Name
		}
	}
	if n := len(d.Groups); n > statement.MaxGroups {
		return fmt.Errorf("groups: %d are listed, at most %d are allowed", n, statement.MaxGroups)
	}
	if err := ascending(d.Groups, func(g Group) string { return g.Name }); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	for _, g := range d.Groups {
		if err := labels(g.Name); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
		if len(g.People) == 0 {
			return fmt.Errorf("group %s: it is empty", g.Name)
		}
		if g.Expires.Nanosecond() != 0 {
			return fmt.Errorf("group %s: expires: %s is not whole seconds", g.Name, g.Expires)
		}
		if err := ascending(g.People, same); err != nil {
			return fmt.Errorf("group %s: people: %w", g.Name, err)
		}
		for _, who := range g.People {
			if !d.knows(who) {
				return fmt.Errorf("group %s: %s is not among the people", g.Name, who)
			}
		}
	}
	return nil
}

func labels(names ...string) error {
	for _, name := range names {
		if err := statement.CheckLabel(name); err != nil {
			return err
		}
	}
	return nil
}

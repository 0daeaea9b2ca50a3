package charter

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// An Operator is an organisation that runs a node.
type Operator struct {
	Name     string            // label, unique in the circle
	Entity   string            // legal entity
	Identity ed25519.PublicKey // the node's identity key
	Address  string            // host:port of the node's link
	Officers []signet.Key      // 1 to 8, ascending; any of them signs for the operator
}

// A Roster lists a circle's operators: one version of its charter.
type Roster struct {
	ID        statement.ID // of its statement; zero in a draft
	Circle    string
	Version   uint64
	Previous  statement.ID // of the version before; zero in version 0 alone
	Created   time.Time
	Operators []Operator // 2 to 16, ascending by name
}

// Statement writes the roster, its lists in ascending order, and checks it.
func (r Roster) Statement(salt statement.Salt) (statement.Statement, error) {
	r = r.sorted()
	if err := r.Validate(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.Add("circle", r.Circle).AddUint("version", r.Version).AddID("previous", r.Previous).AddTime("created", r.Created)
	for _, o := range r.Operators {
		var sub statement.Block
		sub = sub.Add("entity", o.Entity).AddHex("identity", o.Identity).Add("address", o.Address)
		b = b.AddBlock("operator", o.Name, sub.AddList("officer", keyLines(o.Officers)))
	}
	return statement.Build(statement.Roster, b, salt)
}

// RosterOf gives a roster statement its meaning and checks it.
func RosterOf(s statement.Statement) (Roster, error) {
	if err := s.Require(statement.Roster); err != nil {
		return Roster{}, err
	}
	f := s.Fields()
	r := Roster{ID: s.ID(), Circle: f.Get("circle"), Version: f.Uint("version"), Previous: f.ID("previous"), Created: f.Time("created")}
	for _, o := range f.Each("operator") {
		officers, err := readKeys(o.Block, "officer")
		if err != nil {
			return Roster{}, fmt.Errorf("operator %s: %w", o.Value, err)
		}
		r.Operators = append(r.Operators, Operator{
			Name:     o.Value,
			Entity:   o.Block.Get("entity"),
			Identity: o.Block.Hex("identity"),
			Address:  o.Block.Get("address"),
			Officers: officers,
		})
	}
	return r, r.Validate()
}

// Validate checks what the statement's form cannot: that lists ascend, that operators
// share no name, identity key, address or officer's key, and that each key may be used.
func (r Roster) Validate() error {
	if n := len(r.Operators); n < 2 || n > statement.MaxOperators {
		return fmt.Errorf("roster: operators: %d are listed, 2 to %d are allowed", n, statement.MaxOperators)
	}
	// Without the id of the version before, one roster could follow two.
	if (r.Version == 0) != r.Previous.IsZero() {
		return fmt.Errorf("roster: previous: version %d names %s; version 0 alone names none", r.Version, r.Previous.Short())
	}
	names := func(o Operator) string { return o.Name }
	if err := ascending(r.Operators, names); err != nil {
		return fmt.Errorf("roster: operators: %w", err)
	}
	seen := map[string]string{}
	for _, o := range r.Operators {
		if err := o.validate(); err != nil {
			return fmt.Errorf("roster: operator %s: %w", o.Name, err)
		}
		// One organisation under two names would hold two shares.
		taken := []string{"identity " + string(o.Identity), "address " + o.Address, "entity " + strings.ToLower(o.Entity)}
		for _, k := range o.Officers {
			taken = append(taken, "officer "+k.String())
		}
		for _, t := range taken {
			if other, ok := seen[t]; ok {
				field, _, _ := strings.Cut(t, " ")
				return fmt.Errorf("roster: operator %s: %s: the same as that of operator %s", o.Name, field, other)
			}
			seen[t] = o.Name
		}
	}
	return nil
}

// Validate checks one operator's own fields, as a roster would.
func (o Operator) Validate() error {
	if err := statement.CheckLabel(o.Name); err != nil {
		return fmt.Errorf("operator: name: %w", err)
	}
	if err := statement.CheckText(o.Entity, 256); err != nil || o.Entity == "" {
		return fmt.Errorf("operator %s: entity: %q is not 1 to 256 bytes of text", o.Name, o.Entity)
	}
	if err := o.validate(); err != nil {
		return fmt.Errorf("operator %s: %w", o.Name, err)
	}
	return nil
}

func (o Operator) validate() error {
	if err := signet.CheckIdentity(o.Identity); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := checkAddress(o.Address); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if err := checkKeys(o.Officers); err != nil {
		return fmt.Errorf("officer: %w", err)
	}
	return nil
}

// Operator finds an operator by name.
func (r Roster) Operator(name string) (Operator, bool) {
	i := slices.IndexFunc(r.Operators, func(o Operator) bool { return o.Name == name })
	if i < 0 {
		return Operator{}, false
	}
	return r.Operators[i], true
}

// Names lists the operators in ascending order.
func (r Roster) Names() []string {
	var out []string
	for _, o := range r.Operators {
		out = append(out, o.Name)
	}
	return out
}

func (r Roster) sorted() Roster {
	r.Operators = slices.Clone(r.Operators)
	slices.SortFunc(r.Operators, func(a, b Operator) int { return strings.Compare(a.Name, b.Name) })
	for i := range r.Operators {
		r.Operators[i].Officers = sortedKeys(r.Operators[i].Officers)
	}
	return r
}

// checkAddress accepts host:port: a lower-case DNS name, an IPv4 address or an IPv6
// address in brackets, and a port from 1 to 65535.
func checkAddress(a string) error {
	i := strings.LastIndexByte(a, ':')
	if i < 0 {
		return fmt.Errorf("%q has no port", a)
	}
	host, port := a[:i], a[i+1:]
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 || strconv.FormatUint(p, 10) != port {
		return fmt.Errorf("%q has no port from 1 to 65535", a)
	}
	v6, open := strings.CutPrefix(host, "[")
	if !open {
		return checkHost(host)
	}
	v6, closed := strings.CutSuffix(v6, "]")
	if !closed || len(v6) < 2 || len(v6) > 39 || strings.Count(v6, ":") < 2 || strings.Trim(v6, "0123456789abcdef:") != "" {
		return fmt.Errorf("%q has no IPv6 address in lower case between its brackets", a)
	}
	return nil
}

func checkHost(host string) error {
	if len(host) > 253 {
		return fmt.Errorf("host name has %d bytes, at most 253 are allowed", len(host))
	}
	for _, part := range strings.Split(host, ".") {
		if part == "" || len(part) > 63 || part[0] == '-' || part[len(part)-1] == '-' {
			return fmt.Errorf("%q is no host name", host)
		}
		for i := range len(part) {
			if c := part[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return fmt.Errorf("host name %q holds %q: write it in lower-case ASCII", host, c)
			}
		}
	}
	return nil
}

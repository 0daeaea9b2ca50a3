package charter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Charter is one version of a circle's constitution: the document, and its place in the chain.
type Charter struct {
	ID       statement.ID // of its statement; zero in a draft
	Version  uint64
	Previous statement.ID // of the version before; zero in version 0 alone
	Roster   statement.ID // whose operators all consent
	Created  time.Time
	Document
}

// Statement writes the charter and checks it.
func (c Charter) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := c.Validate(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.Add("circle", c.Circle).AddUint("version", c.Version).AddID("previous", c.Previous).AddID("roster", c.Roster).AddTime("created", c.Created)
	b = b.Add("drill", yesNo(c.Drill))
	for _, add := range []func(statement.Block) statement.Block{c.addOperators, c.addPeople, c.addAssets, c.addVaults, c.addEVM, c.addDemands, c.addRules} {
		b = add(b)
	}
	s, err := statement.Build(statement.Charter, b, salt)
	if err == nil {
		err = checkWhole(s)
	}
	if err != nil {
		return statement.Statement{}, err
	}
	return s, nil
}

func (d Document) addOperators(b statement.Block) statement.Block {
	for _, o := range d.Operators {
		var sub statement.Block
		sub = sub.Add("entity", o.Entity).AddHex("identity", o.Identity).Add("independent", yesNo(o.Independent))
		for _, p := range o.Places {
			var at statement.Block
			at = at.Add("level", string(p.Level)).Add("organisation", p.Organisation).Add("provider", p.Provider).Add("account", p.Account)
			at = at.Add("region", p.Region).Add("jurisdiction", p.Jurisdiction).Add("hardware", p.Hardware).AddList("access", p.Access)
			sub = sub.AddBlock("place", p.Name, at)
		}
		b = b.AddBlock("operator", o.Name, sub)
	}
	return b
}

func (d Document) addPeople(b statement.Block) statement.Block {
	for _, h := range d.People {
		var sub statement.Block
		sub = sub.Add("person-organisation", h.Organisation).AddList("key", keyLines(h.Keys))
		b = b.AddBlock("person", h.Name, addEnd(sub, "keys-expire", h.Expires))
	}
	for _, g := range d.Groups {
		b = b.AddBlock("group", g.Name, addEnd(statement.Block{}.AddList("member", g.People), "group-expires", g.Expires))
	}
	for _, g := range d.Guardians {
		var sub statement.Block
		sub = sub.Add("guardian-person", g.Person).Add("guardian-organisation", g.Organisation).Add("guardian-jurisdiction", g.Jurisdiction).Add("card", g.Card.String())
		b = b.AddBlock("guardian", g.Name, sub)
	}
	return b
}

// addEnd leaves out a time that never comes.
func addEnd(b statement.Block, name string, t time.Time) statement.Block {
	if t.IsZero() {
		return b
	}
	return b.AddTime(name, t)
}

func (d Document) addAssets(b statement.Block) statement.Block {
	for _, a := range d.Assets {
		var sub statement.Block
		sub = sub.Add("asset-chain", a.Chain).Add("contract", a.Contract).AddUint("decimals", uint64(a.Decimals)).AddUint("unit", uint64(a.Unit))
		sub = sub.Add("allowance", a.Allowance).Add("standard", a.Standard)
		b = b.AddBlock("asset", a.Name, sub)
	}
	for _, p := range d.Payees {
		var sub statement.Block
		sub = sub.Add("payee-chain", p.Chain).Add("address", p.Address).AddList("label", p.Labels)
		b = b.AddBlock("payee", p.Name, addEnd(sub, "payee-expires", p.Expires))
	}
	return b
}

func (d Document) addVaults(b statement.Block) statement.Block {
	for _, v := range d.Vaults {
		var sub statement.Block
		sub = sub.Add("tier", v.Tier).AddList("suite", v.Suites).AddUint("threshold", uint64(v.Threshold)).AddList("committee", v.Committee)
		sub = sub.AddList("initiators", v.Initiators).AddList("approvers", v.Approvers).AddUint("quorum", uint64(v.Quorum)).AddUint("organisations", uint64(v.Organisations))
		sub = sub.Add("initiator-approves", yesNo(v.InitiatorApproves)).Add("user-verification", yesNo(v.UserVerification))
		sub = sub.AddList("chain", v.Chains).AddUint("expiry", seconds64(v.Expiry))
		if v.RefreshEvery != 0 {
			sub = sub.AddUint("refresh-every", seconds64(v.RefreshEvery))
		}
		if v.Publish {
			sub = sub.Add("publish", "yes")
		}
		if v.Witnesses != 0 {
			sub = sub.AddUint("witnesses", uint64(v.Witnesses))
		}
		if v.HoldRelease != 0 {
			sub = sub.AddUint("hold-release", seconds64(v.HoldRelease))
		}
		sub = addDelayed(v.Recovery.add(sub), v.Delayed)
		if v.Rescue != nil {
			sub = v.Rescue.add(sub)
		}
		b = b.AddBlock("vault", v.Name, sub)
	}
	return b
}

func (d Document) addRules(b statement.Block) statement.Block {
	for _, line := range policyLines(d.Policy) {
		b = b.Add("policy", line)
	}
	for _, r := range d.Control {
		b = b.AddBlock("control", r.Number, statement.Block{}.Add("control-kind", r.Kind).AddUint("control-least", uint64(r.Least)))
	}
	b = b.AddUint("independent-providers", uint64(d.Providers)).AddUint("delay", seconds64(d.Delay)).AddUint("list-delay", seconds64(d.ListDelay))
	return b.AddUint("heartbeat", seconds64(d.Heartbeat)).Add("offset", offsetText(d.Offset))
}

func seconds64(d time.Duration) uint64 { return uint64(d / time.Second) }

func offsetText(d time.Duration) string {
	return time.Time{}.In(time.FixedZone("", int(d/time.Second))).Format("-07:00")
}

// policyLines are the rules' lines as statements hold them: after a "|", so that an empty line and one that begins with spaces keep
// their form.
func policyLines(rules string) (lines []string) {
	for line := range strings.Lines(rules) {
		lines = append(lines, "|"+strings.TrimSuffix(line, "\n"))
	}
	return lines
}

func policyText(lines []string) (string, error) {
	var b strings.Builder
	for i, line := range lines {
		text, ok := strings.CutPrefix(line, "|")
		if !ok {
			return "", fmt.Errorf("policy: line %d does not begin with \"|\"", i+1)
		}
		b.WriteString(text + "\n")
	}
	return b.String(), nil
}

// Plain is rules as a statement can hold them: spaces for tabs that begin a line, none at its end, and a line feed after each.
func Plain(rules string) string {
	var b strings.Builder
	for line := range strings.Lines(rules) {
		line = strings.TrimRight(line, "\r\n\t ")
		text := strings.TrimLeft(line, "\t ")
		b.WriteString(strings.ReplaceAll(line[:len(line)-len(text)], "\t", "    ") + text + "\n")
	}
	return b.String()
}

// Of gives a charter statement its meaning and checks it.
func Of(s statement.Statement) (Charter, error) {
	if err := s.Require(statement.Charter); err != nil {
		return Charter{}, err
	}
	if err := checkWhole(s); err != nil {
		return Charter{}, err
	}
	f := s.Fields()
	c := Charter{ID: s.ID(), Version: f.Uint("version"), Previous: f.ID("previous"), Roster: f.ID("roster"), Created: f.Time("created")}
	c.Circle, c.Drill = f.Get("circle"), f.Get("drill") == "yes"
	rules, err := policyText(f.All("policy"))
	if err != nil {
		return Charter{}, fmt.Errorf("charter: %w", err)
	}
	c.Policy = rules
	for _, read := range []func(statement.Block) error{c.readOperators, c.readPeople, c.readAssets, c.readVaults, c.readEVM, c.readDemands, c.readRules} {
		if err := read(f); err != nil {
			return Charter{}, fmt.Errorf("charter: %w", err)
		}
	}
	return c, c.Validate()
}

func (d *Document) readOperators(f statement.Block) error {
	for _, o := range f.Each("operator") {
		s := Station{Name: o.Value, Entity: o.Block.Get("entity"), Identity: o.Block.Hex("identity"), Independent: o.Block.Get("independent") == "yes"}
		for _, p := range o.Block.Each("place") {
			b := p.Block
			s.Places = append(s.Places, Place{
				Name: p.Value, Level: Level(b.Get("level")), Organisation: b.Get("organisation"), Provider: b.Get("provider"), Account: b.Get("account"),
				Region: b.Get("region"), Jurisdiction: b.Get("jurisdiction"), Hardware: b.Get("hardware"), Access: b.All("access"),
			})
		}
		d.Operators = append(d.Operators, s)
	}
	return nil
}

func (d *Document) readPeople(f statement.Block) error {
	for _, p := range f.Each("person") {
		keys, err := readKeys(p.Block, "key")
		if err != nil {
			return fmt.Errorf("person %s: %w", p.Value, err)
		}
		d.People = append(d.People, Human{p.Value, p.Block.Get("person-organisation"), keys, p.Block.Time("keys-expire")})
	}
	for _, g := range f.Each("group") {
		d.Groups = append(d.Groups, Group{g.Value, g.Block.All("member"), g.Block.Time("group-expires")})
	}
	for _, g := range f.Each("guardian") {
		card, err := readCard(g.Block.Get("card"))
		if err != nil {
			return fmt.Errorf("guardian %s: card: %w", g.Value, err)
		}
		d.Guardians = append(d.Guardians, Guard{g.Value, g.Block.Get("guardian-person"), g.Block.Get("guardian-organisation"), g.Block.Get("guardian-jurisdiction"), card})
	}
	return nil
}

func (d *Document) readAssets(f statement.Block) error {
	for _, a := range f.Each("asset") {
		d.Assets = append(d.Assets, Asset{a.Value, a.Block.Get("asset-chain"), a.Block.Get("contract"), int(a.Block.Uint("decimals")), int(a.Block.Uint("unit")), a.Block.Get("allowance"), a.Block.Get("standard")})
	}
	for _, p := range f.Each("payee") {
		d.Payees = append(d.Payees, Payee{p.Value, p.Block.Get("payee-chain"), p.Block.Get("address"), p.Block.All("label"), p.Block.Time("payee-expires")})
	}
	return nil
}

func (d *Document) readVaults(f statement.Block) error {
	for _, x := range f.Each("vault") {
		b := x.Block
		v := Blueprint{
			Name: x.Value, Tier: b.Get("tier"), Suites: b.All("suite"), Threshold: int(b.Uint("threshold")), Committee: b.All("committee"),
			Initiators: b.All("initiators"), Approvers: b.All("approvers"), Quorum: int(b.Uint("quorum")), Organisations: int(b.Uint("organisations")),
			InitiatorApproves: b.Get("initiator-approves") == "yes", UserVerification: b.Get("user-verification") == "yes",
			Chains: b.All("chain"), Expiry: time.Duration(b.Uint("expiry")) * time.Second, RefreshEvery: time.Duration(b.Uint("refresh-every")) * time.Second,
			Publish: b.Get("publish") == "yes", Witnesses: int(b.Uint("witnesses")), HoldRelease: time.Duration(b.Uint("hold-release")) * time.Second,
		}
		var err error
		if v.Recovery, err = readRecovery(b); err != nil {
			return fmt.Errorf("vault %s: %w", v.Name, err)
		}
		v.Delayed = delayedOf(b)
		rescue, err := readRescue(b)
		if err != nil {
			return fmt.Errorf("vault %s: rescue: %w", v.Name, err)
		}
		v.Rescue = rescue
		d.Vaults = append(d.Vaults, v)
	}
	return nil
}

func (d *Document) readRules(f statement.Block) error {
	for _, r := range f.Each("control") {
		d.Control = append(d.Control, ControlRule{r.Value, r.Block.Get("control-kind"), int(r.Block.Uint("control-least"))})
	}
	d.Providers = int(f.Uint("independent-providers"))
	d.Delay = time.Duration(f.Uint("delay")) * time.Second
	d.ListDelay = time.Duration(f.Uint("list-delay")) * time.Second
	d.Heartbeat = time.Duration(f.Uint("heartbeat")) * time.Second
	t, err := time.Parse("-07:00", f.Get("offset"))
	if err != nil {
		return fmt.Errorf("offset: %q is not hours and minutes from UTC", f.Get("offset"))
	}
	_, seconds := t.Zone()
	if d.Offset = time.Duration(seconds) * time.Second; offsetText(d.Offset) != f.Get("offset") {
		return fmt.Errorf("offset: %q is not in its one form", f.Get("offset"))
	}
	return nil
}

// Validate checks what the statement's form cannot.
func (c Charter) Validate() error {
	// Without the id of the version before, one charter could follow two.
	if (c.Version == 0) != c.Previous.IsZero() {
		return fmt.Errorf("charter: previous: version %d names %s; version 0 alone names none", c.Version, c.Previous.Short())
	}
	if c.Roster.IsZero() {
		return errors.New("charter: roster: is missing")
	}
	if c.Policy != Plain(c.Policy) {
		return errors.New("charter: policy: a line begins with a tab, or ends with a space: a statement cannot hold that")
	}
	return c.Document.Validate()
}

// Acceptors are all operators of the roster that the charter names: each must consent by an officer, and its node enacts it.
func (c Charter) Acceptors(r Roster) ([]Acceptor, error) {
	if r.ID != c.Roster {
		return nil, fmt.Errorf("charter version %d: roster: it names %s, this is %s", c.Version, c.Roster.Short(), r.ID.Short())
	}
	if r.Circle != c.Circle {
		return nil, fmt.Errorf("charter version %d: circle: %q is not the roster's, %q", c.Version, c.Circle, r.Circle)
	}
	for _, o := range c.Operators {
		is, in := r.Operator(o.Name)
		switch {
		case in && !is.Identity.Equal(o.Identity):
			return nil, fmt.Errorf("charter version %d: operator %s: identity: is not the roster's, %x", c.Version, o.Name, []byte(is.Identity))
		case in && is.Entity != o.Entity:
			return nil, fmt.Errorf("charter version %d: operator %s: entity: is not the roster's, %q", c.Version, o.Name, is.Entity)
		case !in && operatorWith(r, o.Identity) != "":
			return nil, fmt.Errorf("charter version %d: operator %s: identity: is that of %s in the roster", c.Version, o.Name, operatorWith(r, o.Identity))
		}
	}
	if err := c.apart(r); err != nil {
		return nil, fmt.Errorf("charter version %d: %w", c.Version, err)
	}
	return r.Acceptors(), nil
}

// apart: who signs for an operator, or as its node, is no guardian by the same key: one hand would bring both halves of a rescue.
func (c Charter) apart(r Roster) error {
	for _, g := range c.Guardians {
		if g.Card.IsZero() {
			continue
		}
		key, err := g.Card.Key()
		if err != nil {
			return fmt.Errorf("guardian %s: card: %w", g.Name, err)
		}
		for _, o := range r.Operators {
			if slices.ContainsFunc(o.Officers, key.Equal) || slices.Equal(o.Identity, g.Card.Signing()) {
				return fmt.Errorf("guardian %s: card: its signing key is one of operator %s in the roster", g.Name, o.Name)
			}
		}
	}
	return nil
}

func operatorWith(r Roster, identity []byte) string {
	i := slices.IndexFunc(r.Operators, func(o Operator) bool { return slices.Equal(o.Identity, identity) })
	if i < 0 {
		return ""
	}
	return r.Operators[i].Name
}

// Vault finds a vault of the charter by name.
func (d Document) Vault(name string) (Blueprint, bool) {
	i := slices.IndexFunc(d.Vaults, func(v Blueprint) bool { return v.Name == name })
	if i < 0 {
		return Blueprint{}, false
	}
	return d.Vaults[i], true
}

// Human finds a person by name.
func (d Document) Human(name string) (Human, bool) {
	i := slices.IndexFunc(d.People, func(h Human) bool { return h.Name == name })
	if i < 0 {
		return Human{}, false
	}
	return d.People[i], true
}

// Owner finds the person with a key.
func (d Document) Owner(k signet.Key) (Human, bool) {
	i := slices.IndexFunc(d.People, func(h Human) bool { return slices.ContainsFunc(h.Keys, k.Equal) })
	if i < 0 {
		return Human{}, false
	}
	return d.People[i], true
}

// Title names a version for people.
func (c Charter) Title() string {
	return "version " + strconv.FormatUint(c.Version, 10) + " of the charter (" + c.ID.Short() + ")"
}

// SameDocument says whether two documents say the same.
func SameDocument(a, b Document) bool {
	text := func(d Document) string {
		s, err := Charter{Document: d, Roster: statement.ID{1}, Created: time.Unix(0, 0)}.Statement(statement.Salt{})
		if err != nil {
			return err.Error()
		}
		return s.Text()
	}
	return text(a) == text(b)
}

// Differences lists in words what differs between two documents.
func Differences(a, b Document) (all []string) {
	any := func(string) bool { return true }
	for _, c := range a.Diff(b, Removals{any, any}) {
		all = append(all, c.What)
	}
	if a.Policy != b.Policy {
		all = append(all, "policy")
	}
	return all
}

// KeyOf finds one of a person's keys: by its line or the beginning of its fingerprint, or, if nothing is given, the only one.
func KeyOf(d Document, person, key string) (signet.Key, error) {
	h, ok := d.Human(person)
	if !ok {
		return signet.Key{}, fmt.Errorf("%s is not among the charter's people", person)
	}
	var fit []signet.Key
	for _, k := range h.Keys {
		if key == "" || k.String() == key || len(key) >= 12 && strings.HasPrefix(k.Fingerprint(), key) {
			fit = append(fit, k)
		}
	}
	if len(fit) != 1 {
		return signet.Key{}, fmt.Errorf("person %s has %d keys that fit %q, of %v: name one by its fingerprint", person, len(fit), key, fingerprints(h.Keys))
	}
	return fit[0], nil
}

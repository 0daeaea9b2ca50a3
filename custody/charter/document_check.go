package charter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// Bounds of a Document.
const (
	MaxGuardians = statement.MaxGuardians
	MaxAssets    = statement.MaxAssets
	MaxPayees    = statement.MaxPayees
	MaxVaults    = statement.MaxVaults
	maxDecimals  = 36
	minDelay     = time.Hour // but for drills
	maxDelay     = statement.MaxDelay * time.Second
)

func (d Document) checkAssets() error {
	if n := len(d.Assets); n > MaxAssets {
		return fmt.Errorf("assets: %d are listed, at most %d are allowed", n, MaxAssets)
	}
	if err := ascending(d.Assets, func(a Asset) string { return a.Name }); err != nil {
		return fmt.Errorf("assets: %w", err)
	}
	seen := map[string]string{}
	for _, a := range d.Assets {
		if err := labels(a.Name); err != nil {
			return fmt.Errorf("asset %s: %w", a.Name, err)
		}
		if err := statement.CheckChain(a.Chain); err != nil {
			return fmt.Errorf("asset %s: chain: %w", a.Name, err)
		}
		if a.Decimals > maxDecimals || a.Unit > a.Decimals {
			return fmt.Errorf("asset %s: %d decimals and a unit of 10^%d; 0 to %d and 0 to the decimals are allowed", a.Name, a.Decimals, a.Unit, maxDecimals)
		}
		if err := checkStandard(a); err != nil {
			return fmt.Errorf("asset %s: %w", a.Name, err)
		}
		// Two names of one token would have two limits.
		key := a.Chain + " " + strings.ToLower(a.Contract)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("asset %s: it is %s by another name", a.Name, other)
		}
		seen[key] = a.Name
	}
	return d.checkPayees()
}

func (d Document) checkPayees() error {
	if n := len(d.Payees); n > MaxPayees {
		return fmt.Errorf("payees: %d are listed, at most %d are allowed", n, MaxPayees)
	}
	if err := ascending(d.Payees, func(p Payee) string { return p.Name }); err != nil {
		return fmt.Errorf("payees: %w", err)
	}
	seen := map[string]string{}
	for _, p := range d.Payees {
		if err := labels(append([]string{p.Name}, p.Labels...)...); err != nil {
			return fmt.Errorf("payee %s: %w", p.Name, err)
		}
		if err := statement.CheckChain(p.Chain); err != nil {
			return fmt.Errorf("payee %s: chain: %w", p.Name, err)
		}
		if err := statement.CheckText(p.Address, 128); err != nil || p.Address == "" {
			return fmt.Errorf("payee %s: address: %q is not 1 to 128 bytes of text", p.Name, p.Address)
		}
		if err := ascending(p.Labels, same); err != nil {
			return fmt.Errorf("payee %s: labels: %w", p.Name, err)
		}
		if n := len(p.Labels); n > statement.MaxLabels {
			return fmt.Errorf("payee %s: labels: %d are listed, at most %d are allowed", p.Name, n, statement.MaxLabels)
		}
		key := p.Chain + " " + strings.ToLower(p.Address)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("payee %s: its address is %s's too", p.Name, other)
		}
		seen[key] = p.Name
	}
	return nil
}

func (d Document) checkVaults() error {
	if n := len(d.Vaults); n < 1 || n > MaxVaults {
		return fmt.Errorf("vaults: %d are listed, 1 to %d are allowed", n, MaxVaults)
	}
	if err := ascending(d.Vaults, func(v Blueprint) string { return v.Name }); err != nil {
		return fmt.Errorf("vaults: %w", err)
	}
	for _, v := range d.Vaults {
		if err := v.check(d); err != nil {
			return fmt.Errorf("vault %s: %w", v.Name, err)
		}
	}
	return nil
}

func (v Blueprint) check(d Document) error {
	if err := labels(v.Name); err != nil {
		return err
	}
	n := len(v.Committee)
	switch {
	case !slices.Contains([]string{TierCold, TierWarm, TierHot}, v.Tier):
		return fmt.Errorf("tier: %q is not cold, warm or hot", v.Tier)
	case n < 2:
		return fmt.Errorf("committee: %d operators are listed, 2 to %d are allowed", n, statement.MaxOperators)
	case v.Threshold < 2 || v.Threshold > n:
		return fmt.Errorf("threshold: %d is asked of %d operators; it must be 2 to %d", v.Threshold, n, n)
	}
	for what, list := range map[string][]string{"suites": v.Suites, "committee": v.Committee, "initiators": v.Initiators, "approvers": v.Approvers, "chains": v.Chains} {
		if len(list) == 0 {
			return fmt.Errorf("%s: none is listed", what)
		}
		if err := ascending(list, same); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	for _, s := range v.Suites {
		if !slices.Contains([]string{SuiteBIP340, SuiteECDSA, SuiteEd25519}, s) {
			return fmt.Errorf("suites: %q is unknown", s)
		}
	}
	for _, c := range v.Chains {
		if err := statement.CheckChain(c); err != nil {
			return fmt.Errorf("chains: %w", err)
		}
	}
	if err := v.Recovery.check(v.Suites, v.Chains); err != nil {
		return err
	}
	if err := v.checkDelayed(); err != nil {
		return err
	}
	for _, name := range v.Committee {
		if _, ok := d.Station(name); !ok {
			return fmt.Errorf("committee: %s is no operator of the circle", name)
		}
	}
	for _, g := range slices.Concat(v.Initiators, v.Approvers) {
		if !slices.ContainsFunc(d.Groups, func(x Group) bool { return x.Name == g }) {
			return fmt.Errorf("group %s is not in the charter", g)
		}
	}
	if err := v.checkQuorum(d); err != nil {
		return err
	}
	if v.Expiry < time.Minute || v.Expiry > statement.MaxExpiry*time.Second || v.Expiry%time.Second != 0 {
		return fmt.Errorf("expiry: %s is not whole seconds from 1 minute to 7 days", v.Expiry)
	}
	if v.Witnesses < 0 || v.Witnesses >= len(v.Committee) {
		return fmt.Errorf("witnesses: %d of the %d other operators of the committee cannot cosign", v.Witnesses, len(v.Committee)-1)
	}
	if h := v.HoldRelease; h != 0 && (h < statement.MinHold*time.Second || h > statement.MaxHold*time.Second || h%time.Second != 0) {
		return fmt.Errorf("hold-release: %s is not whole seconds from 1 minute to 90 days", h)
	}
	if e := v.RefreshEvery; e != 0 && (e < statement.MinRefresh*time.Second || e > statement.MaxRefresh*time.Second || e%time.Second != 0) {
		return fmt.Errorf("refresh-every: %s is not whole seconds from 1 hour to 366 days", e)
	}
	return v.checkRescue(d)
}

// checkQuorum refuses one that no intent of some initiator could ever meet.
func (v Blueprint) checkQuorum(d Document) error {
	approvers := d.Members(v.Approvers)
	if v.Quorum < 1 || v.Quorum > len(approvers) {
		return fmt.Errorf("quorum: %d is asked of %d approvers", v.Quorum, len(approvers))
	}
	for _, who := range d.Members(v.Initiators) {
		others, organisations := 0, map[string]bool{}
		for _, h := range approvers {
			if h.Name != who.Name || v.InitiatorApproves {
				others++
				organisations[h.Organisation] = true
			}
		}
		switch {
		case v.Quorum > others:
			return fmt.Errorf("quorum: %d cannot be met when %s proposes: %d other approvers are listed", v.Quorum, who.Name, others)
		case v.Organisations < 1 || v.Organisations > v.Quorum || v.Organisations > len(organisations):
			return fmt.Errorf("organisations: %d are asked of a quorum of %d when %s proposes: the approvers are of %d", v.Organisations, v.Quorum, who.Name, len(organisations))
		}
	}
	return nil
}

func (d Document) checkControl() error {
	if n := len(d.Control); n > statement.MaxControl {
		return fmt.Errorf("control: %d rules are listed, at most %d are allowed", n, statement.MaxControl)
	}
	for _, r := range d.Control {
		if !slices.Contains([]string{"halt", "lose", "spend", "steal"}, r.Number) {
			return fmt.Errorf("control: number: %q is not halt, lose, spend or steal", r.Number)
		}
		if r.Least < 1 || r.Least > statement.MaxPeople {
			return fmt.Errorf("control: %s: least: %d is not 1 to %d", r.Number, r.Least, statement.MaxPeople)
		}
	}
	return nil
}

func (d Document) checkTimes() error {
	for what, t := range map[string]time.Duration{"delay": d.Delay, "list-delay": d.ListDelay} {
		if t < minDelay && !d.Drill || t < 0 || t > maxDelay || t%time.Second != 0 {
			return fmt.Errorf("%s: %s is not whole seconds from 1 hour to 90 days; only a drill's may be shorter", what, t)
		}
	}
	if d.Heartbeat < time.Minute || d.Heartbeat > 24*time.Hour || d.Heartbeat%time.Second != 0 {
		return fmt.Errorf("heartbeat: %s is not whole seconds from 1 minute to 1 day", d.Heartbeat)
	}
	if d.Offset < -12*time.Hour || d.Offset > 14*time.Hour || d.Offset%time.Minute != 0 {
		return fmt.Errorf("offset: %s is not whole minutes from -12 to 14 hours", d.Offset)
	}
	return nil
}

// Station finds an operator by name.
func (d Document) Station(name string) (Station, bool) {
	i := slices.IndexFunc(d.Operators, func(o Station) bool { return o.Name == name })
	if i < 0 {
		return Station{}, false
	}
	return d.Operators[i], true
}

// Members are the people of groups, each once, ascending.
func (d Document) Members(groups []string) (out []Human) {
	for _, h := range d.People {
		if slices.ContainsFunc(d.Groups, func(g Group) bool { return slices.Contains(groups, g.Name) && slices.Contains(g.People, h.Name) }) {
			out = append(out, h)
		}
	}
	return out
}

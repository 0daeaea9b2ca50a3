package policy

import (
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go"
)

// Facts are what a node found out by itself about a transaction, and who approved it.
type Facts struct {
	Vault, Tier, Purpose string
	Chain                string
	Initiator            string
	Groups               []string       // of the initiator
	Approvals            map[string]int // people of each group who approved; all groups of the vocabulary
	Approvers            int            // different people
	Organisations        int            // of those people
	Hour, Minute         int            // at the charter's own offset from UTC
	Weekday              int            // 1 is Monday, 7 Sunday
	Effects              []Effect       // all that the transaction does; one at least
}

// An Effect is one thing that a transaction does.
type Effect struct {
	Operation   Operation
	Asset       string // empty: none
	Amount      int64  // in the asset's policy unit, rounded up; 0 or more
	Total       Totals
	Destination string   // as the chain writes it; empty: none
	Labels      []string // that the charter lists the destination under
}

// Totals are what a vault gave out of one asset in the time before now, in its policy unit: signed, in flight and of unknown outcome, and
// this transaction with its fee.
type Totals struct {
	Hour, Day, Week, Month int64
}

// Validate says why facts are not such as rules may be asked about.
func (f Facts) Validate(v Vocabulary) error {
	in := func(what, name string, names []string) error {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s %q is not declared", what, name)
		}
		return nil
	}
	for _, err := range []error{
		in("vault", f.Vault, v.Vaults), in("tier", f.Tier, tiers), in("purpose", f.Purpose, purposes), in("chain", f.Chain, v.Chains), in("initiator", f.Initiator, v.People),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case len(f.Effects) == 0:
		return fmt.Errorf("the transaction has no effect")
	case f.Hour < 0 || f.Hour > 23 || f.Minute < 0 || f.Minute > 59 || f.Weekday < 1 || f.Weekday > 7:
		return fmt.Errorf("%d:%02d on day %d is no time of a week", f.Hour, f.Minute, f.Weekday)
	case f.Approvers < 0 || f.Organisations < 0 || f.Organisations > f.Approvers:
		return fmt.Errorf("%d approvers of %d organisations", f.Approvers, f.Organisations)
	case len(f.Approvals) != len(v.Groups):
		return fmt.Errorf("approvals of %d groups, %d are declared", len(f.Approvals), len(v.Groups))
	}
	for _, g := range f.Groups {
		if err := in("group", g, v.Groups); err != nil {
			return err
		}
	}
	for g, n := range f.Approvals {
		if err := in("group", g, v.Groups); err != nil {
			return err
		}
		if n < 0 || n > f.Approvers {
			return fmt.Errorf("%d approvals of group %s by %d approvers", n, g, f.Approvers)
		}
	}
	for i, e := range f.Effects {
		if err := e.validate(v); err != nil {
			return fmt.Errorf("effect %d: %w", i+1, err)
		}
	}
	return nil
}

func (e Effect) validate(v Vocabulary) error {
	if !slices.Contains(operations, e.Operation) {
		return fmt.Errorf("operation %q is unknown", e.Operation)
	}
	if e.Asset != "" && !slices.Contains(v.Assets, e.Asset) {
		return fmt.Errorf("asset %q is not declared", e.Asset)
	}
	for _, label := range e.Labels {
		if !slices.Contains(v.Labels, label) {
			return fmt.Errorf("label %q is not declared", label)
		}
	}
	t := e.Total
	if e.Amount < 0 || t.Hour < e.Amount || t.Day < t.Hour || t.Week < t.Day || t.Month < t.Week {
		return fmt.Errorf("totals %+v of amount %d: each holds the one before", t, e.Amount)
	}
	return nil
}

func name(kind cedar.EntityType, id, none string) cedar.EntityUID {
	if id == "" {
		id = none
	}
	return cedar.NewEntityUID(kind, cedar.String(id))
}

// request is one effect as Cedar is asked about it: all facts of factsType.
func (f Facts) request(e Effect) cedar.Request {
	var labels []cedar.Value
	for _, l := range e.Labels {
		labels = append(labels, name("Label", l, None))
	}
	approvals := cedar.RecordMap{}
	for g, n := range f.Approvals {
		approvals[cedar.String(g)] = cedar.Long(n)
	}
	return cedar.Request{
		Principal: name("Person", f.Initiator, None),
		Action:    name("Action", string(e.Operation), None),
		Resource:  name("Vault", f.Vault, None),
		Context: cedar.NewRecord(cedar.RecordMap{
			"purpose": name("Purpose", f.Purpose, None), "tier": name("Tier", f.Tier, None), "chain": name("Chain", f.Chain, None), "asset": name("Asset", e.Asset, None),
			"amount": cedar.Long(e.Amount),
			"total": cedar.NewRecord(cedar.RecordMap{
				"hour": cedar.Long(e.Total.Hour), "day": cedar.Long(e.Total.Day), "week": cedar.Long(e.Total.Week), "month": cedar.Long(e.Total.Month),
			}),
			"destination": cedar.String(e.Destination), "labels": cedar.NewSet(labels...),
			"approvals": cedar.NewRecord(approvals), "approvers": cedar.Long(f.Approvers), "organisations": cedar.Long(f.Organisations),
			"hour": cedar.Long(f.Hour), "minute": cedar.Long(f.Minute), "weekday": cedar.Long(f.Weekday),
		}),
	}
}

// entities are the initiator's groups, and the group of operations.
func (f Facts) entities() cedar.EntityMap {
	var groups []cedar.EntityUID
	for _, g := range f.Groups {
		groups = append(groups, name("Group", g, None))
	}
	out := cedar.EntityMap{}
	who := name("Person", f.Initiator, None)
	out[who] = cedar.Entity{UID: who, Parents: cedar.NewEntityUIDSet(groups...)}
	for _, o := range []Operation{Transfer, Token} {
		act := name("Action", string(o), None)
		out[act] = cedar.Entity{UID: act, Parents: cedar.NewEntityUIDSet(name("Action", Move, None))}
	}
	return out
}

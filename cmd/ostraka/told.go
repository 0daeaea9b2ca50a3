package main

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/statement"
)

// shownOf is what a look shows, as notices say it. err is why the look shows nothing but which nodes failed.
func shownOf(context string, l client.Look, err error, now time.Time) notify.Shown {
	out := notify.Shown{Circle: context, Whole: err == nil, Vaults: map[string]string{}}
	for _, name := range l.Held {
		out.Nodes = append(out.Nodes, notify.Node{Name: name})
	}
	for _, f := range l.Failures {
		out.Nodes = append(out.Nodes, failingNode(f))
	}
	slices.SortFunc(out.Nodes, func(a, b notify.Node) int { return compare(a.Name, b.Name) })
	for _, d := range l.Apart {
		out.Apart = append(out.Apart, notify.Apart{What: d.What, Groups: d.Groups, Shown: list(d.Shown)})
	}
	if err != nil {
		return out
	}
	if x, ok := l.Rules.History.Newest(); ok {
		out.Circle = x.Circle
	}
	for _, v := range l.Vaults {
		out.Vaults[v.ID.String()] = v.Name
	}
	for _, c := range l.Cases {
		out.Intents = append(out.Intents, intentShown(c, l.Cases, now))
	}
	rulesShown(&out, l.Rules)
	for _, r := range l.Rescues {
		out.Rescues = append(out.Rescues, rescueShown(r))
	}
	return out
}

// rescueShown is a vault's SOS as each node says it.
func rescueShown(r client.Rescue) notify.Rescue {
	out := notify.Rescue{Vault: r.Name, VaultID: r.Vault.String(), Drill: r.Drill, Missing: map[string][]notify.Lack{}}
	for _, v := range r.Views {
		out.Missing[v.Node] = []notify.Lack{}
		for _, n := range v.Needs {
			out.Missing[v.Node] = append(out.Missing[v.Node], notify.Lack{What: n.What, Do: n.Do, Late: n.Drill})
		}
		if len(v.Needs) == 0 { // an older node, or one whose plan cannot be read
			for _, what := range v.Missing {
				out.Missing[v.Node] = append(out.Missing[v.Node], notify.Lack{What: what})
			}
		}
	}
	for _, q := range r.Requests {
		x := notify.RescueRequest{ID: q.ID.String(), Trigger: q.Trigger, Reason: q.Reason, Role: q.Role, By: q.By, Subjects: list(q.Subjects), Says: map[string]string{}}
		for _, v := range q.Views {
			x.Says[v.Node] = v.State
		}
		out.Requests = append(out.Requests, x)
	}
	return out
}

func failingNode(f client.Failure) notify.Node {
	n := notify.Node{Name: f.Node, Kind: notify.NodeFailing, Reason: f.Reason()}
	if client.Down(f.Err) || client.Classify(f.Err) == client.NotReady {
		n.Kind = notify.NodeSilent
	}
	return n
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func rulesShown(out *notify.Shown, r client.Rules) {
	for i, x := range r.History {
		out.Enacted = append(out.Enacted, notify.Version{ID: x.ID.String(), Version: x.Version, Changes: []notify.Change{}})
		if i > 0 && len(r.History)-i <= recent {
			out.Enacted[i].Changes = changesBetween(r.History[i-1].Document, x.Document)
		}
	}
	inForce, ok := r.History.Newest()
	for _, p := range r.Pending {
		one := notify.Pending{
			Version: notify.Version{ID: p.ID.String(), Version: p.Version, Changes: []notify.Change{}},
			Signed:  list(p.Signed), Missing: list(p.Missing), Vetoed: []string{}, Due: p.Due,
		}
		if ok {
			one.Changes = changesBetween(inForce.Document, p.Document)
		}
		for _, v := range p.Vetoes {
			one.Vetoed = append(one.Vetoed, v.Operator)
		}
		out.Pending = append(out.Pending, one)
	}
	for _, f := range r.Frozen {
		id := f.Vault.String()
		out.Freezes = append(out.Freezes, notify.Freeze{Vault: out.Vaults[id], VaultID: id, Operator: f.Operator, Expires: f.Expires, Reason: f.Reason, Nodes: list(f.Nodes)})
	}
	for _, line := range names(r.Revoked) {
		v := r.Revoked[line]
		out.Revoked = append(out.Revoked, notify.Revoked{Person: v.Person, Key: v.Key.Fingerprint(), Reason: v.Reason})
	}
}

// recent is how many versions of the charter are compared with the one before: more do not come into force between two looks.
const recent = 32

// changesBetween never fails: what cannot be compared is said to be looser.
func changesBetween(was, is charter.Document) []notify.Change {
	out := []notify.Change{}
	all, err := review.Diff(was, is)
	if err != nil {
		return append(out, notify.Change{What: "it cannot be compared with the one before: " + err.Error(), Looser: true})
	}
	for _, c := range all {
		out = append(out, notify.Change{What: c.What, Was: c.Was, Is: c.Is, Looser: c.Looser})
	}
	return out
}

// intentShown is one intent: what it does as this program decodes it, and what it waits for as this program counts.
func intentShown(c *client.Case, all []*client.Case, now time.Time) notify.Intent {
	it, t := c.Intent, c.Tally()
	out := notify.Intent{Expires: it.Expires, Decided: c.Decided(), Says: map[string]string{}, IntentData: notify.IntentData{
		ID: c.ID().String(), Vault: c.Vault.Name, VaultID: c.Vault.ID.String(), Chain: it.Chain, Address: it.Address, Initiator: it.Initiator, Memo: it.Memo,
		Created: statement.FormatTime(it.Created), ExpiresText: statement.FormatTime(it.Expires), Unclear: c.Unclear, State: c.State(), Reason: c.Why(),
		Approvals: notify.Approvals{Approved: list(t.Approved), Rejected: list(t.Rejected), Missing: t.Need, Awaited: list(t.Awaited), Rules: []notify.Need{}},
	}}
	switch {
	case c.Tx != nil:
		transferShown(&out.IntentData, c)
	case c.Payload != nil:
		payloadShown(&out.IntentData, c)
	case c.Proof != nil:
		out.Operation, out.Destination = string(policy.Proof), c.Proof.Address
	}
	if c.Signed != nil {
		out.Hash = c.Signed.Hash
	}
	for _, v := range c.Views {
		out.Says[v.Node] = v.State
		if v.Over && c.State() == client.Ended {
			out.Says[v.Node] = client.Ended
		}
	}
	for _, a := range c.Named {
		out.Alarms = append(out.Alarms, notify.Alarm{Operator: a.Operator, Text: a.Text})
	}
	if c.Signed == nil && !c.Closed() && now.Before(it.Expires) {
		out.Waits = t.Need > 0
		if r, err := c.Review(all, now); err == nil && r.Undecided == nil && r.Ruling.Verdict == policy.Wait {
			for _, n := range r.Ruling.Missing {
				out.Approvals.Rules = append(out.Approvals.Rules, notify.Need{Of: n.Of, Count: n.Count})
				out.Waits = true
			}
		}
	}
	return out
}

func transferShown(d *notify.IntentData, c *client.Case) {
	f, doc := c.Tx.Facts(), c.Charter().Document
	d.Operation, d.Asset, d.Amount, d.Destination = string(f.Operation), f.Asset, f.Amount.String(), f.Destination.String()
	if asset, ok := assetOf(doc, f.Asset); ok {
		d.Units = evm.FormatUnits(f.Amount, uint8(asset.Decimals)) + " " + asset.Name
	}
	if payee, ok := payeeAt(doc, c.Intent.Chain, d.Destination); ok {
		d.Payee = payee.Name
	}
}

// payloadShown tells of what is no transaction on an EVM chain by its effects: of several payments their sum.
func payloadShown(d *notify.IntentData, c *client.Case) {
	if p, ok := c.Payload.(*payload.EVM); ok {
		d.Operation = string(p.Operation())
		return
	}
	doc, sum := c.Charter().Document, new(big.Int)
	var to []string
	for _, e := range c.Payload.Effects() {
		if e.Operation == effect.Transfer {
			sum.Add(sum, e.Amount)
			to = append(to, e.Destination)
		}
	}
	d.Operation, d.Amount, d.Destination = string(effect.Transfer), sum.String(), strings.Join(to, ", ")
	if asset, ok := doc.AssetOn(c.Intent.Chain, "", policy.SameAddressOn(c.Intent.Chain)); ok {
		d.Asset, d.Units = asset.Name, evm.FormatUnits(sum, uint8(asset.Decimals))+" "+asset.Name
	}
	if len(to) != 1 {
		return
	}
	if payee, ok := payeeAt(doc, c.Intent.Chain, to[0]); ok {
		d.Payee = payee.Name
	}
}

// unseen says that a look shows nothing for a reason at this end: the nodes are not to blame for a key that does not sign.
func unseen(l client.Look, err error) bool {
	var nodes *client.NodesError
	var d *client.Difference
	switch {
	case err == nil || errors.As(err, &d):
		return false
	case !errors.As(err, &nodes):
		return true
	}
	return !slices.ContainsFunc(l.Failures, func(f client.Failure) bool {
		return !errors.Is(f.Err, client.ErrNoKey) && !errors.As(f.Err, new(*client.UnsignedError))
	})
}

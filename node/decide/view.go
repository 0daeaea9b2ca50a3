package decide

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
)

// View is what people see of an intent at this node.
type View struct {
	Statement statement.Statement
	Intent    intent.Intent
	Proposal  []byte // the initiator's signature
	State     intent.State
	Changed   time.Time
	Votes     []Ballot
	Decisions []Decision // ascending by operator; two of one that said ALLOW and DENY, the first that came before the other
	Undecided []string
	Missing   string   // which approvals are missing
	Waits     string   // why this node has not decided, beyond approvals
	LastErr   string   // how the last session ended
	Awaited   []string // operators that signing waits for
	Raw       []byte
	Hash      string
	Height    uint64
	Reverted  bool
	Possibly  bool
	Over      bool // its epoch is over here, and it has not been signed
	Alarm     string
}

// A Ballot is a person's answer.
type Ballot struct {
	Person string
	Verb   signet.Verb
	Armor  []byte
}

// A Decision is a node's signed decision.
type Decision struct {
	intent.Decision
	Statement statement.Statement
	Signature []byte
}

// Show gives one intent.
func (d *Desk) Show(id statement.ID) (View, error) {
	f, err := d.file(id)
	if err != nil {
		return View{}, err
	}
	return d.show(f), nil
}

// List gives all intents, the oldest first.
func (d *Desk) List() (out []View) {
	for _, f := range d.all() {
		out = append(out, d.show(f))
	}
	return out
}

func (d *Desk) show(f *file) View {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.life
	v := View{
		Statement: f.stmt, Intent: l.Intent(), Proposal: f.proposal, State: l.State(), Changed: l.Changed(),
		Undecided: l.Undecided(), Missing: joined(d.tally(f).Missing(), f.lacks), Waits: f.waits, LastErr: f.lastErr,
		Raw: f.raw, Hash: l.Hash(), Reverted: l.Reverted(), Possibly: l.PossiblySigned(), Alarm: d.alarm(f),
	}
	v.Height, _ = l.Block()
	for _, b := range f.votes {
		v.Votes = append(v.Votes, Ballot{b.vote.Person, b.vote.Verb, b.armored})
	}
	for _, name := range slices.Sorted(maps.Keys(f.decisions)) {
		for _, r := range []ruling{f.decisions[name], f.others[name]} {
			if r.sig != nil {
				v.Decisions = append(v.Decisions, Decision{r.decision, r.stmt, r.sig})
			}
		}
	}
	v.Over = l.Hash() == "" && d.outlived(f)
	v.Awaited = d.awaited(f)
	return v
}

// tally counts the votes that count now: keys may have been revoked, or have expired, since.
func (d *Desk) tally(f *file) intent.Tally {
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return f.life.Tally()
	}
	return intent.Count(f.stmt.ID(), f.life.Intent().Initiator, v.Vault, f.life.Votes())
}

// joined are the texts that say something.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), "; ")
}

// awaited names the operators without whom signing cannot begin: those not decided, and
// those whose link is down.
func (d *Desk) awaited(f *file) (names []string) {
	switch f.life.State() {
	case intent.Proposed, intent.Approving, intent.Allowed, intent.Signing:
	default:
		return nil
	}
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return nil
	}
	unfit, err := d.cfg.Unfit(context.Background(), v.Current.Record.KeyID, protocol.PairKey(v.Current.Record))
	if all, _, werr := d.willing(context.Background(), time.Time{}, v, f); err != nil || werr != nil || len(all) >= v.Vault.Threshold {
		return nil
	}
	for _, p := range v.Parties {
		down := p.ID != d.cfg.Self && !d.reachable(v, p.ID)
		if down || unfit[p.ID] || f.life.State() == intent.Allowed && f.life.Verdict(v.Names[p.ID]) != intent.Allow {
			names = append(names, v.Names[p.ID])
		}
	}
	return names
}

// Sent is a signed transaction that has not reached its end.
type Sent struct {
	ID      statement.ID
	Vault   statement.ID
	Chain   string
	Payload payload.Payload
	Raw     []byte
	Hash    string
	State   intent.State
	Block   string // that holds it, as its chain names it; empty: none
	Allowed bool   // by this node, which so read of the chain what it hangs on
}

// OnTheWay lists the signed transactions that are to be followed on their chains.
func (d *Desk) OnTheWay() (out []Sent) {
	for _, f := range d.moving() {
		f.mu.Lock()
		switch f.life.State() {
		case intent.Signed, intent.Broadcast, intent.Seen, intent.Confirmed, intent.Reorged, intent.Dropped:
			if travels(f.payload) && f.raw != nil {
				out = append(out, d.sent(f))
			}
		}
		f.mu.Unlock()
	}
	return out
}

// GivenUp lists the signed transactions that were called replaced, or lapsed, after a time: whoever follows them anew looks for them still.
func (d *Desk) GivenUp(after time.Time) (out []Sent) {
	for _, f := range d.all() {
		f.mu.Lock()
		if (f.life.State() == intent.Replaced || f.life.Lapsed()) && f.life.Changed().After(after) && travels(f.payload) && f.raw != nil {
			out = append(out, d.sent(f))
		}
		f.mu.Unlock()
	}
	return out
}

// sent is a file's transaction on its chain. The caller holds the file's lock.
func (d *Desk) sent(f *file) Sent {
	_, block := f.life.Block()
	return Sent{f.stmt.ID(), f.life.Intent().Vault, f.life.Intent().Chain, f.payload, f.raw, f.life.Hash(), f.life.State(), block, f.life.Verdict(d.cfg.Operator) == intent.Allow}
}

package decide

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/ledger"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/statement"
)

// outflows are what one vault's intents give out, by nonce and intent: signed, possibly signed, or allowed by this node or by operators enough and
// not over, or over while operators enough, or this node and another, allowed it. Of those with one nonce the chain takes one: they count as
// what the largest of them gives out, of each asset.
type outflows map[string]map[statement.ID]outflow

type outflow struct {
	effects []effect.Effect
	digest  [32]byte // of what is signed: one transaction, whatever intents ask for it
	signed  bool     // its signature is known
	final   bool     // it is on its chain for good
	open    bool
	at      time.Time // zero: nothing is given out
}

// slot is payload.Slot. What uses nothing of the kind has a slot of its own.
func (f *file) slot() string {
	if slot := payload.Slot(f.payload); slot != "" {
		return slot
	}
	return "intent:" + f.stmt.ID().String()
}

// slotKey is what a slot's debit stands under in a ledger.
func slotKey(slot string) statement.ID { return sha256.Sum256([]byte(slot)) }

// outflow is what a file's transaction gives out, as far as this node can tell; ok is false if that is nothing.
func (d *Desk) outflow(f *file) (at string, o outflow, ok bool) {
	if f.payload == nil || f.life.Intent().Purpose == intent.PurposeProof {
		return "", o, false
	}
	l := f.life
	o = outflow{effects: f.payload.Effects(), digest: digestOf(f.payload), signed: l.Hash() != "", final: l.State() == intent.Final}
	at = f.slot()
	switch ours := l.Verdict(d.cfg.Operator) == intent.Allow; {
	case o.signed:
		o.at = l.Closed()
	case (ours || l.Suffices()) && !over(l):
		o.open, o.at = true, l.Intent().Created
	case ours && l.Allowing() > 1, l.Suffices(), l.PossiblySigned():
		// It ended here, and others that allowed it may sign it without us until its time is over: one of them may keep the signature back.
		// Only what its initiator took back ends for all.
		if o.at = l.Closed(); l.State() != intent.Cancelled {
			o.at = l.Intent().Expires.Add(intent.Skew)
		}
	}
	return at, o, !f.gone && !o.at.IsZero()
}

// digestOf is one name of all that is to be signed.
func digestOf(p payload.Payload) [32]byte {
	h := sha256.New()
	for _, u := range p.Uses() {
		h.Write(u.Message)
	}
	return [32]byte(h.Sum(nil))
}

// debit brings a vault's ledger up to date with a file. The ledger has no rows of its own: the lives, which are durable with the decisions,
// say all of it. The caller holds the file's lock and the desk's.
func (d *Desk) debit(f *file) {
	d.moves++
	id, vault := f.stmt.ID(), f.life.Intent().Vault
	at, o, ok := d.outflow(f)
	if d.flows[vault] == nil {
		d.flows[vault] = outflows{}
	}
	here := d.flows[vault]
	switch {
	case ok && here[at] == nil:
		here[at] = map[statement.ID]outflow{id: o}
	case ok:
		here[at][id] = o
	default:
		if delete(here[at], id); len(here[at]) == 0 {
			delete(here, at)
		}
	}
	x, inForce := d.cfg.Charter()
	if l := d.rules.ledgers[vault]; inForce && l != nil && d.rules.charter == x.ID {
		d.count(x.Document, l, vault, at)
	}
}

// count puts a nonce's debit into its vault's ledger, or takes it out.
func (d *Desk) count(doc charter.Document, l *ledger.Ledger, vault statement.ID, at string) {
	l.Release(slotKey(at))
	debit, any := debitOf(doc, at, d.flows[vault][at])
	if !any {
		return
	}
	if err := l.Put(debit); err != nil {
		d.cfg.Log.Error("an outflow is not counted", "of", at, "error", err) // nothing stands there, and its lines are in order: it cannot be
	}
}

// debitOf is the debit of all that have one nonce. Once one of them is final, the others are nothing.
func debitOf(doc charter.Document, at string, all map[statement.ID]outflow) (out ledger.Debit, any bool) {
	most := map[string]int64{}
	for _, o := range live(all) {
		for _, line := range review.Lines(doc, o.effects) {
			most[line.Asset] = max(most[line.Asset], line.Amount)
		}
		out.Open = out.Open || o.open
		if o.at.After(out.At) {
			out.At = o.at
		}
		any = true
	}
	for asset, amount := range most {
		out.Lines = append(out.Lines, ledger.Line{Asset: asset, Amount: amount})
	}
	slices.SortFunc(out.Lines, func(a, b ledger.Line) int { return strings.Compare(a.Asset, b.Asset) })
	out.Intent = slotKey(at)
	return out, any
}

// live are the transactions of one nonce that the chain may take: the final one, or all, each once. A transaction that several intents ask for was
// signed when the first of them was: nobody makes it younger by asking again.
func live(all map[statement.ID]outflow) map[[32]byte]outflow {
	out := map[[32]byte]outflow{}
	final := slices.ContainsFunc(slices.Collect(maps.Values(all)), func(o outflow) bool { return o.final })
	for _, o := range all {
		if old, known := out[o.digest]; o.final == final && (!known || o.before(old)) {
			out[o.digest] = o
		}
	}
	return out
}

// before says which of two intents' word on one transaction counts: of one that is signed, else of one that may yet be, else the later one.
func (o outflow) before(p outflow) bool {
	switch {
	case o.signed != p.signed:
		return o.signed
	case o.signed:
		return o.at.Before(p.at)
	case o.open != p.open:
		return o.open
	}
	return o.at.After(p.at)
}

// beside is what else has the nonce of a file's transaction may give out, and under which key its debit stands.
func (d *Desk) beside(doc charter.Document, f *file) (key statement.ID, most map[string]int64) {
	if f.payload == nil {
		return f.stmt.ID(), nil
	}
	at := f.slot()
	d.mu.Lock()
	defer d.mu.Unlock()
	debit, _ := debitOf(doc, at, d.flows[f.life.Intent().Vault][at])
	most = map[string]int64{}
	for _, line := range debit.Lines {
		most[line.Asset] = line.Amount
	}
	return slotKey(at), most
}

// forgetFlows lets go of what counts in no window any more. The caller holds the desk's lock.
func (d *Desk) forgetFlows(now time.Time) {
	for vault, here := range d.flows {
		for at, all := range here {
			for id, o := range all {
				if !o.open && now.Sub(o.at) >= ledger.Longest {
					delete(all, id)
				}
			}
			if len(all) == 0 {
				delete(here, at)
			}
		}
		if l := d.rules.ledgers[vault]; l != nil {
			l.Prune(now)
		}
	}
}

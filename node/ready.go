package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// kindReady keeps whether a vault was ready for SOS when it was last looked at: ready/<vault>: 0 or 1 (spec/store). A change is told once, not at every start.
const kindReady = "ready"

// readyEvery is how often readiness is looked at. What costs something is done once in an epoch.
const readyEvery = 10 * time.Second

// lookAgain is when what did not verify is looked at again: it costs as much as what did.
const lookAgain = 10 * time.Minute

// guarding is what was verified of epochs since this process began.
type guarding struct {
	sync.Mutex
	checked map[epoch.Hash]guarded
}

type guarded struct {
	set, mask error
	at        time.Time
}

// A Readiness is whether SOS of a vault would come to anything, as this node knows (spec/sos 3.1).
type Readiness struct {
	State   sos.State
	Missing []sos.Missing
}

// Ready says how a vault stands, by what CheckReady verified last.
func (n *Node) Ready(ctx context.Context, now time.Time, vault statement.ID) (Readiness, error) {
	d, err := n.Rescue.Docket(ctx, vault)
	if err != nil {
		return Readiness{State: sos.NotReady}, err
	}
	b, err := n.sosBasis(vault, nil)
	if err != nil {
		return Readiness{State: sos.NotReady}, err
	}
	p, err := n.sosPlan(b)
	if err != nil {
		return Readiness{State: sos.NotReady}, err
	}
	missing := sos.Ready(p, n.shelf(vault, p), now)
	return Readiness{d.StateOf(missing), missing}, nil
}

// shelf is what this node knows of a vault's backups.
func (n *Node) shelf(vault statement.ID, p plan.Plan) sos.Shelf {
	s := sos.Shelf{Keys: n.sosKeys(vault), Bundles: map[string][]act.Key{}, Holders: map[[32]byte][]string{}}
	var views []ceremony.View
	for _, v := range n.Keeper.Vault(vault) {
		if v.Current != nil {
			views = append(views, v)
			s.Holders[v.KeyID] = v.Vault.Committee
		}
	}
	n.guarding.Lock()
	for _, v := range views {
		k := act.Key{Key: v.KeyID, Epoch: v.Current.Record.Hash()}
		g, ok := n.guarding.checked[k.Epoch]
		if ok && g.set == nil && planned(v) {
			s.Guardians = append(s.Guardians, k)
		}
		if ok && g.mask == nil {
			s.Masked = append(s.Masked, k)
		}
	}
	n.guarding.Unlock()
	for _, e := range n.Backups.Entries() {
		for _, k := range e.Keys {
			if k.Mask && k.Vault == vault {
				s.Bundles[e.Operator] = append(s.Bundles[e.Operator], act.Key{Key: k.KeyID, Epoch: k.Record})
			}
		}
	}
	all := n.Backups.Drills()
	s.Drilled, s.Restored = drilled(all, views, drill.Guardian), drilled(all, views, drill.Operator)
	s.Unshown = n.unshown(p)
	return s
}

// unshown are a plan's operators and successors without evidence that counts here.
func (n *Node) unshown(p plan.Plan) (names []string) {
	if n.Vet == nil {
		return nil
	}
	all := slices.Clone(p.Successors)
	for _, o := range p.Operators {
		all = append(all, o.Name)
	}
	slices.Sort(all)
	for _, name := range slices.Compact(all) {
		if id, ok := n.partyOf(name); ok && id != n.self && n.Vet.Fit(id) != nil {
			names = append(names, name)
		}
	}
	return names
}

// planned says whether an epoch was made under the plan in force.
func planned(v ceremony.View) bool {
	g := ceremony.PlanOf(v.Vault.Terms, v.Current.Record.Threshold)
	return g != nil && v.Current.Record.Guardians == g.Hash()
}

// drilled says when each person last showed that they can open what they have of every key: of the key that was shown longest ago. A drill counts for as long as the
// person has the same card or identity: a later epoch was encrypted to the same key, and verified.
func drilled(all []backup.Drilled, views []ceremony.View, role string) map[string]time.Time {
	out := map[string]time.Time{}
	for i, v := range views {
		parties := guardianParties(v.Vault.SOS)
		if role == drill.Operator {
			parties = v.Names
		}
		of := map[string]time.Time{}
		for _, d := range all {
			if d.Key == v.KeyID && d.Role == role && parties[d.Party] == d.By {
				of[d.By] = d.At
			}
		}
		for name, at := range of {
			if old, ok := out[name]; i == 0 || ok && at.Before(old) {
				out[name] = at
			}
		}
		for name := range out {
			if _, ok := of[name]; !ok {
				delete(out, name)
			}
		}
	}
	return out
}

// CheckReady looks at every vault with an SOS plan: it verifies what is new, and tells the log and the operator when a vault turns NOT READY, or back.
func (n *Node) CheckReady(ctx context.Context, now time.Time) (err error) {
	if n.Charters == nil || n.Halted() != nil {
		return nil
	}
	for _, vault := range n.sosVaults() {
		n.checkGuards(ctx, now, vault)
		err = errors.Join(err, n.tellReady(ctx, now, vault))
	}
	return err
}

// checkGuards verifies what guardians have of a vault's epochs in force, once in a process.
func (n *Node) checkGuards(ctx context.Context, now time.Time, vault statement.ID) {
	for _, v := range n.Keeper.Vault(vault) {
		if v.Current == nil {
			continue
		}
		eh := v.Current.Record.Hash()
		n.guarding.Lock()
		was, ok := n.guarding.checked[eh]
		n.guarding.Unlock()
		if late := now.Sub(was.at); ok && (was.set == nil && was.mask == nil || late >= 0 && late < lookAgain) {
			continue
		}
		g := guarded{at: now}
		if g.set, g.mask = n.Keeper.CheckGuards(ctx, v.Current.Record); g.set != nil && !ok {
			n.cfg.Log.Warn("what the guardians of an epoch have does not verify", "vault", v.Title(), "error", g.set)
		} else if g.mask != nil && !ok {
			n.cfg.Log.Warn("this node's mask does not open", "vault", v.Title(), "error", g.mask)
		}
		n.guarding.Lock()
		if n.guarding.checked == nil {
			n.guarding.checked = map[epoch.Hash]guarded{}
		}
		n.guarding.checked[eh] = g
		n.guarding.Unlock()
	}
}

// tellReady keeps whether a vault is ready, with an alarm in the log when that changes.
func (n *Node) tellReady(ctx context.Context, now time.Time, vault statement.ID) error {
	r, err := n.Ready(ctx, now, vault)
	if err != nil {
		return err
	}
	is := []byte{0}
	if len(r.Missing) == 0 {
		is[0] = 1
	}
	key := store.Key(kindReady, store.ID(vault[:]))
	was, err := n.Journal.Store().Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read whether vault %s was ready: %w", vault.Short(), err)
	}
	if bytes.Equal(was.Value, is) {
		return nil
	}
	name := n.Keeper.Vault(vault)[0].Vault.Name
	text := fmt.Sprintf("vault %s is ready for SOS", name)
	if len(r.Missing) > 0 {
		text = fmt.Sprintf("vault %s is NOT READY for SOS: %s", name, r.Missing[0].What)
		if more := len(r.Missing) - 1; more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
	}
	err = n.Journal.Write(ctx, journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: key, Value: is}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, vault, []byte(text))},
	})
	if err != nil {
		return fmt.Errorf("tell the log: %s: %w", text, err)
	}
	if len(r.Missing) == 0 {
		n.cfg.Log.Info("SOS", "vault", name, "state", r.State.String())
		return nil
	}
	whats := []string{}
	for _, m := range r.Missing {
		whats = append(whats, m.What)
	}
	n.cfg.Log.Error("SOS", "vault", name, "state", r.State.String(), "missing", slices.Clip(whats))
	return nil
}

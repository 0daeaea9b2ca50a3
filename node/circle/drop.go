package circle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Dropped is what Drop let go of, and what it cannot undo.
type Dropped struct {
	Operator    charter.Operator // who had joined; zero if nobody had
	Invitations int              // unused ones for that name, withdrawn
	Signed      []statement.ID   // rosters that wait, list the operator, and bear our officer's signature
}

// Drop lets go of an operator that joined here, or that invited us, and withdraws the invitations for its name.
// Until a roster is in force nobody is bound to a guest; a signature over a roster that lists it stays.
func (c *Circle) Drop(ctx context.Context, now time.Time, name string) (out Dropped, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, drafted := c.draft[name]
	if len(c.chain) == 0 && drafted {
		if id, signed := c.signedFirst(); signed {
			return out, fmt.Errorf("this node's officer signed roster %s, and a node signs one version 0: that roster needs %s, or the circle is begun anew with new nodes", id.Short(), name)
		}
	}
	invitations, err := c.invitationsOf(ctx, name, o)
	if err != nil {
		return out, err
	}
	if !drafted && len(invitations) == 0 {
		joined := "nobody"
		if len(c.draft) > 0 {
			joined = strings.Join(slices.Sorted(maps.Keys(c.draft)), ", ")
		}
		return out, fmt.Errorf("nobody joined as operator %q, and no invitation for it waits; joined and not in the roster: %s", name, joined)
	}
	for _, it := range invitations {
		if readInvited(it.Value).used == nil {
			out.Invitations++
		}
		// One by one: there may be more than a batch holds.
		e := journal.Entry{Batch: store.Batch{If: []store.Cond{store.Unchanged(it)}, Delete: []string{it.Key}}}
		if err := c.cfg.Journal.Write(ctx, e); err != nil {
			return out, err
		}
	}
	if drafted {
		out.Operator, out.Signed = o, c.bound(o)
		err = c.dropDraft(ctx, now, o)
	}
	return out, err
}

// signedFirst finds the version 0 that our officer signed.
func (c *Circle) signedFirst() (statement.ID, bool) {
	for _, a := range c.proposals(0) {
		if _, signed := a.Signatures[c.cfg.Own.Name]; signed {
			return a.Statement.ID(), true
		}
	}
	return statement.ID{}, false
}

// invitationsOf are the rows of invitations for a name, and of those that an operator used.
func (c *Circle) invitationsOf(ctx context.Context, name string, o charter.Operator) (rows []store.Item, err error) {
	err = c.each(ctx, kindInvite, func(it store.Item) error {
		i := readInvited(it.Value)
		if i.used == nil && i.name == name || i.used != nil && o.Identity.Equal(i.used) {
			rows = append(rows, it)
		}
		return nil
	})
	return rows, err
}

// bound are the rosters of the version to be that list an operator and that our officer signed.
func (c *Circle) bound(o charter.Operator) (ids []statement.ID) {
	for _, a := range c.proposals(uint64(len(c.chain))) {
		_, signed := a.Signatures[c.cfg.Own.Name]
		r, err := charter.RosterOf(a.Statement)
		if listed, ok := r.Operator(o.Name); err == nil && signed && ok && listed.Identity.Equal(o.Identity) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (c *Circle) dropDraft(ctx context.Context, now time.Time, o charter.Operator) error {
	e := journal.Entry{
		Batch:  store.Batch{Delete: []string{store.Key(kindDraft, store.Name(o.Name))}},
		Leaves: []tlog.Filed{tlog.Notes(tlog.KindDrop, now, [32]byte{}, sha256.Sum256(encodeOperator(o)))},
	}
	free := len(c.chain) == 0 && len(c.draft) == 1 // bound to no circle any more
	if free && !c.genesis.IsZero() {
		e.Delete = append(e.Delete, keyGenesis)
	}
	if err := c.dropFirst(ctx, o); err != nil {
		return err
	}
	if err := c.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	delete(c.draft, o.Name)
	delete(c.welcomed, o.Name)
	if free {
		c.genesis = statement.ID{}
	}
	c.cfg.Log.Info("an operator that joined was dropped", "operator", o.Name)
	c.cfg.OnPeers(c.pins())
	c.cfg.Forget(o)
	return nil
}

// dropFirst erases what waits of version 0 and lists an operator that was let go: our officer would be
// offered it instead of one without it.
func (c *Circle) dropFirst(ctx context.Context, o charter.Operator) error {
	if len(c.chain) > 0 {
		return nil
	}
	for _, a := range c.proposals(0) {
		r, err := charter.RosterOf(a.Statement)
		if err != nil {
			return err
		}
		if listed, ok := r.Operator(o.Name); !ok || !listed.Identity.Equal(o.Identity) {
			continue
		}
		e := journal.Entry{Batch: store.Batch{Delete: []string{store.Key(kindRoster, store.ID(r.ID[:]))}}}
		if err := c.cfg.Journal.Write(ctx, e); err != nil {
			return err
		}
		delete(c.rosters, r.ID)
	}
	return nil
}

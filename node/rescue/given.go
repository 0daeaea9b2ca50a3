package rescue

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/guard"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// maxGiven contributions of one guardian to one activation are kept: two show that it made more than one.
const maxGiven = 2

// givenKey is where a guardian's n-th contribution to an activation is kept.
func givenKey(activation statement.ID, guardian engine.PartyID, n int) string {
	key := store.Key(kindGiven, store.ID(activation[:]), store.ID(guardian[:]))
	if n > 0 {
		key += "/" + string(store.Number(uint64(n)))
	}
	return key
}

// Of is an activation as the protocol knows it, by the plan's identities.
func Of(c sos.Case, a act.Activation) (*guard.Activation, error) {
	out := &guard.Activation{ID: a.ID, Threshold: a.Threshold}
	for _, m := range a.Members {
		o, ok := c.Plan().Anyone(m.Operator)
		if !ok {
			return nil, fmt.Errorf("member %s is no operator of the circle", m.Operator)
		}
		key, err := pve.ParseKey(m.Encryption[:])
		if err != nil {
			return nil, fmt.Errorf("member %s: encryption: %w", m.Operator, err)
		}
		out.Members = append(out.Members, guard.NewMember{Party: mpc.Party{ID: mpc.IDOf(o.Identity), Index: share.Index(m.Index), Identity: o.Identity}, Key: key})
	}
	slices.SortFunc(out.Members, func(a, b guard.NewMember) int { return int(a.Index) - int(b.Index) })
	return out, nil
}

// find looks for an activation that the docket took.
func (d *Desk) find(ctx context.Context, id statement.ID) (c sos.Case, a act.Activation, err error) {
	for vault := range d.words {
		k, err := d.docket(ctx, vault)
		if err != nil {
			continue
		}
		for _, c := range k.Cases() {
			for _, a := range d.activations(c) {
				if a.ID == id && c.Activated(id) {
					return c, a, nil
				}
			}
		}
	}
	return c, a, fmt.Errorf("activation %s: %w", id.Short(), sos.ErrUnknown)
}

// gathers says whether contributions to an activation serve anything here: not once its key has new shares, or none can come any more. Where the request is over here, all
// may have given their parts elsewhere, and need this node to finish.
func (d *Desk) gathers(now time.Time, c sos.Case, a act.Activation) error {
	switch {
	case slices.ContainsFunc(c.Reshared(), func(r act.Key) bool { return r.Key == a.Key.Key }), c.Beyond(now, d.cfg.Operator):
		return outbox.ErrOld
	case c.State() == sos.Active, c.State() == sos.LockUp, c.State().Ended():
		return nil
	}
	return fmt.Errorf("%w: activation %s: request %s is %s here", outbox.ErrLater, a.ID.Short(), c.ID().Short(), c.State()) // this node was set back
}

// DEVIATION: protocols.md 6.2 step 2 voids a guardian with two different messages for the whole request; here for that activation, and no more once a part was given to it: a part cannot
// be taken back, and one guardian would else stall what all the others gave to.
//
// takeContribution keeps what a guardian contributes. A second that differs voids the guardian for this activation where no part was given yet: values of two polynomials
// would serve whoever chose between them (protocols.md 6.2 step 2). It is kept as well: where parts were given, on whichever of the two, the reshare is finished with the one
// that its session names.
func (d *Desk) takeContribution(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if len(n.Fields[0]) != 32 {
		return fmt.Errorf("activation: has %d bytes, not 32", len(n.Fields[0]))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c, a, err := d.find(ctx, statement.ID(n.Fields[0]))
	if err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	if err := d.gathers(now, c, a); err != nil {
		return err
	}
	to, err := Of(c, a)
	if err != nil {
		return err
	}
	guardian, err := d.cfg.Contribution(ctx, a.Key, to, n.Fields[1])
	if err != nil {
		return fmt.Errorf("a contribution to activation %s: %w", a.ID.Short(), err)
	}
	if err := counts(c, guardian); err != nil {
		return err
	}
	had, value := d.given[a.ID][guardian], n.Fields[1]
	if len(had) >= maxGiven || slices.ContainsFunc(had, func(old []byte) bool { return bytes.Equal(old, value) }) {
		return outbox.ErrOld
	}
	e := journal.Entry{Leaves: []tlog.Filed{tlog.Notes(tlog.KindContribution, now, c.Plan().Vault, sha256.Sum256(n.Fields[1])).On(a.ID)}}
	e.Put = append(e.Put, store.Entry{Key: givenKey(a.ID, guardian, len(had)), Value: value})
	if err := write(e); err != nil {
		return err
	}
	d.hold(a.ID, guardian, value)
	d.ticked = time.Time{}
	return nil
}

// counts: a guardian who shares a domain with a subject, or who vetoed, contributes to nothing.
func counts(c sos.Case, id engine.PartyID) error {
	for _, g := range c.Plan().Guardians {
		if partyOf(g) != id {
			continue
		}
		if why := c.Plan().Bound(g.Reach, c.Request().Subjects); why != "" {
			return fmt.Errorf("guardian %s %s: their contribution does not count", g.Name, why)
		}
		return nil
	}
	return fmt.Errorf("guardian %v is none of the plan", id)
}

// partyOf names a guardian of a plan in protocols; zero if there is no card.
func partyOf(g plan.Guardian) (id engine.PartyID) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(g.Key.String()))
	if err != nil {
		return id
	}
	if k, ok := key.(ssh.CryptoPublicKey); ok {
		if pub, ok := k.CryptoPublicKey().(ed25519.PublicKey); ok {
			return guard.IDOf(pub)
		}
	}
	return id
}

func (d *Desk) hold(activation statement.ID, guardian engine.PartyID, value []byte) {
	if d.given[activation] == nil {
		d.given[activation] = map[engine.PartyID][][]byte{}
	}
	d.given[activation][guardian] = append(d.given[activation][guardian], value)
}

// holding are the guardians with whom a part may be given: they made one contribution to the activation, and did not veto. Ascending.
func (d *Desk) holding(c sos.Case, activation statement.ID) (ids []engine.PartyID) {
	for _, id := range slices.SortedFunc(maps.Keys(d.given[activation]), func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) }) {
		if len(d.given[activation][id]) == 1 && !slices.ContainsFunc(c.Plan().Guardians, func(g plan.Guardian) bool { return partyOf(g) == id && slices.Contains(c.Vetoes(), g.Name) }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// readGiven reads back what guardians contributed.
func (d *Desk) readGiven(ctx context.Context) error {
	return d.each(ctx, kindGiven, func(name string, value []byte) error {
		activation, guardian, _ := strings.Cut(name, "/")
		guardian, _, _ = strings.Cut(guardian, "/") // the first of a guardian comes first
		a, err := statement.ParseID(activation)
		if err != nil {
			return err
		}
		g, err := hex.DecodeString(guardian)
		if err != nil || len(g) != 16 || len(value) == 0 {
			return errors.New("it is no guardian's contribution")
		}
		d.hold(a, engine.PartyID(g), bytes.Clone(value))
		return nil
	})
}

// A Part is what a guarded reshare of one key needs of this node (protocols.md 6.2 step 3).
type Part struct {
	Vault        statement.ID
	Key          act.Key
	Activation   *guard.Activation
	Contributors []string
	Gives        bool // this node contributes, and has released its part
	LockUp       time.Duration
	Quorum       int                         // k
	From         map[engine.PartyID][][]byte // contributions, by guardian
	All          bool                        // all contributors gave, as far as this node knows
	request      statement.ID
	attempt      int
}

// better puts a part in the place of another of its key, if it is more likely to be finished: all must carry the same activation out. One for which all gave goes first,
// then a later attempt.
func better(parts []Part, p Part) []Part {
	i := slices.IndexFunc(parts, func(o Part) bool { return o.Key.Key == p.Key.Key })
	switch {
	case i < 0:
		return append(parts, p)
	case p.All && !parts[i].All || p.All == parts[i].All && p.attempt > parts[i].attempt:
		parts[i] = p
	}
	return parts
}

// Parts are the guarded reshares that may run now, one for each key.
func (d *Desk) Parts(ctx context.Context) (parts []Part) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for vault := range d.words {
		k, err := d.docket(ctx, vault)
		if err != nil {
			continue
		}
		for _, c := range k.Cases() {
			for _, a := range d.activations(c) {
				if p, ok := d.part(k, c, a); ok {
					parts = better(parts, p)
				}
			}
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { // of one key, the last attempt stands last
		return cmp.Or(bytes.Compare(a.Key.Key[:], b.Key.Key[:]), a.attempt-b.attempt, bytes.Compare(a.Activation.ID[:], b.Activation.ID[:]))
	})
	return parts
}

// Part finds one that may run.
func (d *Desk) Part(ctx context.Context, activation [32]byte) (Part, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, a, err := d.find(ctx, activation)
	if err != nil {
		return Part{}, err
	}
	k, err := d.docket(ctx, c.Plan().Vault)
	if err != nil {
		return Part{}, err
	}
	if err := k.MayRun(sos.Guarded, a.ID); err != nil {
		return Part{}, err
	}
	p, ok := d.part(k, c, a)
	if !ok {
		return p, fmt.Errorf("activation %s: fewer than %d guardians' contributions are here, or it is over", a.ID.Short(), c.Plan().Quorum)
	}
	return p, nil
}

func (d *Desk) part(k sos.Docket, c sos.Case, a act.Activation) (p Part, ok bool) {
	over := slices.ContainsFunc(c.Reshared(), func(r act.Key) bool { return r.Key == a.Key.Key })
	if over || !c.Activated(a.ID) || k.MayRun(sos.Guarded, a.ID) != nil {
		return p, false
	}
	p = Part{
		Vault: c.Plan().Vault, Key: a.Key, Contributors: a.Contributors, Gives: slices.Contains(a.Contributors, d.cfg.Operator), LockUp: c.Plan().LockUp,
		Quorum: c.Plan().Quorum, From: d.given[a.ID], All: c.AllGave(a.ID), request: c.ID(), attempt: a.Attempt,
	}
	p.From = maps.Clone(p.From) // whoever made two or vetoed since the parts were given stops nothing: parts cannot be taken back
	var err error
	p.Activation, err = Of(c, a)
	return p, err == nil && len(p.From) >= p.Quorum
}

// OwnKey opens our key of a part's ceremony. The caller wipes it. It takes no lock: other rooms call it under theirs.
func (d *Desk) OwnKey(ctx context.Context, p Part) (*pve.PrivateKey, error) {
	return d.openKey(ctx, keyKey(p.Vault, p.request, p.Key.Key, p.attempt), p.Key)
}

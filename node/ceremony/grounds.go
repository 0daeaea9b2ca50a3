package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// What an epoch rests on that an emergency made goes to the whole circle, and stays for good (spec/node 12.24): who was away meanwhile, who joins years later and who is lost itself
// can follow it, and officers' statements that follow from it, without the docket of then.

// A Proof is what an activation rests on: the request and the activation, as they were signed.
type Proof struct {
	Request, By []byte // its statement, and its maker's signature
	Activation  []byte
	Signatures  map[string][]byte // by contributor
}

// grounds are what a record rests on that an emergency made.
type grounds struct {
	note     outbox.Note
	chain    *epoch.Chain // of two: the epoch before, and the one that was made
	sanction Sanction
}

// maxGrounds bounds what a node keeps of one key: each is one emergency.
const maxGrounds = 64

// before is the parent of a record that an emergency made, as it was in force here or as its grounds show it.
func (w *root) before(r *epoch.Record) *epoch.Record {
	if parent := w.past[r.Prev]; parent != nil {
		return parent
	}
	if g := w.grounds[r.Hash()]; g != nil {
		return g.chain.Links()[0].Record
	}
	return nil
}

// rescued lists the records that emergencies made of a key's, the oldest first.
func (w *root) rescued() []*epoch.Record {
	all := map[epoch.Hash]*epoch.Record{}
	for eh, r := range w.past {
		if r.Rescued() {
			all[eh] = r
		}
	}
	for eh, g := range w.grounds {
		all[eh] = g.chain.Last().Record
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *epoch.Record) int {
		x, y := a.Hash(), b.Hash()
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), bytes.Compare(x[:], y[:]))
	})
}

// rescue is what a succession wants to know of such a record.
func (w *root) rescue(r *epoch.Record) (x charter.Emergency, ok bool) {
	before := w.before(r)
	if before == nil {
		return x, false
	}
	return charter.Emergency{Activation: r.Rescue.Activation, Threshold: before.Threshold, Before: w.committee(before), To: r.Threshold, Members: w.committee(r)}, true
}

// succeed lets a vault's succession know of the committees that emergencies made: what officers sign next follows them.
func (k *Keeper) succeed(w *root) {
	s := k.plans[w.ID]
	for _, r := range w.rescued() {
		if x, ok := w.rescue(r); ok && s != nil {
			s.Rescued(x)
		}
	}
}

// RescuesOf lists the committees that emergencies made of a vault's, the oldest first.
func (k *Keeper) RescuesOf(vault statement.ID) (all []charter.Emergency) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.rootsOf(vault) {
		for _, r := range w.rescued() {
			if x, ok := w.rescue(r); ok {
				all = append(all, x)
			}
		}
	}
	return all
}

// RescuedBy shows each epoch of a vault's keys that an emergency made, the oldest first: a chain of the final certificate before it and its own.
func (k *Keeper) RescuedBy(vault statement.ID) (chains [][]byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.rootsOf(vault) {
		if !w.published() {
			continue
		}
		for _, r := range w.rescued() {
			c, err := k.leading(w, r)
			if err != nil {
				return nil, err
			}
			if c != nil {
				chains = append(chains, c.Encode())
			}
		}
	}
	return chains, nil
}

// leading is the chain of two that leads to a record which an emergency made; nil if this node does not know the one before.
func (k *Keeper) leading(w *root, r *epoch.Record) (*epoch.Chain, error) {
	if g := w.grounds[r.Hash()]; g != nil {
		return g.chain, nil
	}
	if w.past[r.Prev] == nil {
		return nil, nil
	}
	return k.link(w, w.past[r.Prev], r)
}

// link is the chain from a record to its child, both of which were in force here.
func (k *Keeper) link(w *root, from, to *epoch.Record) (*epoch.Chain, error) {
	cert := func(r *epoch.Record) (*epoch.FinalCert, error) {
		eh := r.Hash()
		it, err := k.cfg.Journal.Store().Get(context.Background(), store.Key(kindLink, store.ID(w.keyID[:]), store.Number(r.Epoch), store.ID(eh[:])))
		if err != nil {
			return nil, fmt.Errorf("read the certificate of record %v: %w", r.Hash(), err)
		}
		return epoch.DecodeFinalCert(it.Value)
	}
	f, err := cert(from)
	if err != nil {
		return nil, err
	}
	next, err := cert(to)
	if err != nil {
		return nil, err
	}
	c, err := epoch.NewChain(f, epoch.Enrolment{KeyID: w.keyID, Public: from.Public, Anchor: from.Hash()})
	if err != nil {
		return nil, err
	}
	return c.Extend(next)
}

// Grounds are the notes of what epochs rest on that emergencies made: for who came to the circle since, and for who forgot.
func (k *Keeper) Grounds() (notes []outbox.Note) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		for _, r := range w.rescued() {
			if g := w.grounds[r.Hash()]; g != nil {
				notes = append(notes, g.note)
			}
		}
	}
	return notes
}

func groundsKey(w *root, eh epoch.Hash) string {
	return store.Key(kindRescued, store.ID(w.ID[:]), store.Name(w.suite), store.ID(eh[:]))
}

func keeping(w *root, g *grounds) (e journal.Entry) {
	e.Put = append(e.Put, store.Entry{Key: groundsKey(w, g.chain.Last().Record.Hash()), Value: g.note.Encode()})
	return e
}

// ground keeps what the epoch in force rests on, if an emergency made it, and tells the whole circle: the docket forgets what was said of a request in time.
func (k *Keeper) ground(ctx context.Context, now time.Time, w *root) error {
	if !w.published() {
		return nil
	}
	for _, r := range w.past {
		eh := r.Hash()
		if !r.Rescued() || w.grounds[eh] != nil || w.past[r.Prev] == nil {
			continue
		}
		s, ok := k.cfg.Sanctioned(r.Rescue.Activation)
		if !ok || s.Proof.Activation == nil {
			continue // a peer's note brings it
		}
		c, err := k.link(w, w.past[r.Prev], r)
		if err != nil {
			return err
		}
		p := s.Proof
		g := &grounds{outbox.Note{Kind: NoteRescued, Fields: [][]byte{c.Encode(), p.Request, p.By, p.Activation, encodeSignatures(p.Signatures)}}, c, s}
		if size := len(g.note.Encode()); size > outbox.MaxNote {
			return fmt.Errorf("what record %v rests on has %d bytes, at most %d are sent", eh, size, outbox.MaxNote)
		}
		if err := k.cfg.Post(ctx, now, keeping(w, g), g.note); err != nil {
			return err
		}
		w.grounds[eh] = g
	}
	return nil
}

// takeRescued takes what an epoch rests on that an emergency made. Nobody can invent it: the certificate before it is of a committee that is sanctioned here, and its own bears the words of as
// many of that committee, and of the guardians that they had agreed on, as the plan asks for; the activation that it names is of the plan that all operators had signed.
func (k *Keeper) takeRescued(now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	first, err := epoch.FirstLink(n.Fields[0])
	if err != nil {
		return err
	}
	r := first.Record
	if err := k.ownerDamaged(r.KeyID); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	w, _ := k.find(r.KeyID)
	switch {
	case w == nil:
		return fmt.Errorf("%w: key %x is no vault's here", outbox.ErrLater, r.KeyID[:6])
	case w.suite != r.Suite:
		return fmt.Errorf("an epoch of vault %s that an emergency made: its suite is %s, the vault's is %s", w.title(), r.Suite, w.suite)
	case w.published() && (w.keyID != r.KeyID || !w.book.Current().Record.Public.Equal(r.Public)):
		return fmt.Errorf("an epoch of vault %s that an emergency made: it is of another key than this node knows", w.title())
	}
	g, err := k.readGrounds(w, n)
	if err != nil {
		return fmt.Errorf("an epoch of vault %s that an emergency made: %w", w.title(), err)
	}
	eh := g.chain.Last().Record.Hash()
	switch {
	case w.grounds[eh] != nil:
		return outbox.ErrOld
	case len(w.grounds) >= maxGrounds:
		return fmt.Errorf("%w: vault %s: %d epochs that emergencies made are known here", outbox.ErrLater, w.title(), maxGrounds)
	}
	if err := k.checkGrounds(w, g); err != nil {
		return fmt.Errorf("record %v of vault %s: %w", eh, w.title(), err)
	}
	if err := write(keeping(w, g)); err != nil {
		return err
	}
	w.grounds[eh] = g
	k.succeed(w)
	return nil
}

// readGrounds reads a note and verifies its chain. The activation is read, and not held to anything yet.
func (k *Keeper) readGrounds(w *root, n outbox.Note) (*grounds, error) {
	first, err := epoch.FirstLink(n.Fields[0])
	if err != nil {
		return nil, err
	}
	r := first.Record
	c, err := epoch.OpenChain(n.Fields[0], epoch.Enrolment{KeyID: r.KeyID, Public: r.Public, Anchor: r.Hash()})
	if err != nil {
		return nil, err
	}
	if len(c.Links()) != 2 || !c.Last().Record.Rescued() {
		return nil, errors.New("chain: it is no pair of an epoch and one that an emergency made of it")
	}
	s, err := statement.ParseKind(n.Fields[3], statement.SOSActivation)
	if err != nil {
		return nil, err
	}
	a, err := act.ActivationOf(s)
	if err != nil {
		return nil, err
	}
	return &grounds{n, c, Sanction{Key: a.Key.Key, Epoch: a.Epoch, Threshold: a.Threshold, Members: a.Names()}}, nil
}

// checkGrounds holds the epoch before to what officers signed, both to operators' nodes, and the activation to the vault's plan and to the record that names it.
func (k *Keeper) checkGrounds(w *root, g *grounds) error {
	before, r := g.chain.Links()[0].Record, g.chain.Last().Record
	for _, x := range []*epoch.Record{before, r} {
		for _, m := range x.Members {
			if o, ok := w.roster.Operator(w.names[m.ID]); !ok || !bytes.Equal(o.Identity, m.Identity) {
				return fmt.Errorf("member %v is no operator's node", m.ID)
			}
		}
	}
	if _, ok := k.plans[w.ID].HeldBy(before.Threshold, w.committee(before)); !ok {
		return fmt.Errorf("%w: no statement of the officers is known here for %d of %v, who held the key before", outbox.ErrLater, before.Threshold, w.committee(before))
	}
	request, err := statement.ParseKind(g.note.Fields[1], statement.SOSRequest)
	if err != nil {
		return err
	}
	activation, err := statement.ParseKind(g.note.Fields[3], statement.SOSActivation)
	if err != nil {
		return err
	}
	sigs, err := decodeSignatures(g.note.Fields[4], 1)
	if err != nil {
		return err
	}
	a, err := k.judge(w, before, request, g.note.Fields[2], activation, sigs)
	if err != nil {
		return err
	}
	switch {
	case [32]byte(a.ID) != r.Rescue.Activation:
		return errors.New("activation: it is not the one that the record names")
	case a.Key.Key != r.KeyID || a.Epoch != [32]byte(before.Hash()):
		return errors.New("activation: it is of another key or epoch")
	case a.Threshold != r.Threshold || len(a.Members) != len(r.Members):
		return errors.New("activation: it has another committee or threshold than the record")
	}
	for _, m := range a.Members {
		if have, ok := r.Member(m.Party); !ok || uint16(have.Index) != m.Index || w.names[m.Party] != m.Operator {
			return fmt.Errorf("activation: member %s has another seat in the record, or none", m.Operator)
		}
	}
	return nil
}

// judge holds an activation to the plan of the charter that its request names, for who held the key then. Officers are those of some version of the roster: the one of
// that day is not said.
func (k *Keeper) judge(w *root, before *epoch.Record, request statement.Statement, by []byte, activation statement.Statement, sigs map[string][]byte) (a act.Activation, err error) {
	parties := map[string][16]byte{}
	for _, o := range w.roster.Operators {
		parties[o.Name] = mpc.IDOf(o.Identity)
	}
	err = fmt.Errorf("%w: no roster is known here", outbox.ErrLater)
	for _, r := range slices.Backward(k.rosters) {
		reach, ok := k.rosters.Reach(r.ID)
		if !ok {
			continue
		}
		p, failed := k.cfg.Plan(request.Fields().ID("charter"), reach, w.heldBy(before))
		if failed == nil {
			a, failed = sos.Grounds(p, request, by, activation, sigs, parties)
		}
		if failed == nil {
			return a, nil
		}
		err = failed
	}
	return a, err
}

// loadGrounds reads back what was checked when it came.
func (k *Keeper) loadGrounds(ctx context.Context, w *root) error {
	clear(w.grounds)
	return k.each(ctx, store.Prefix(kindRescued, store.ID(w.ID[:]), store.Name(w.suite)), func(_ string, value []byte) error {
		n, err := outbox.Decode(value)
		if err == nil && (n.Kind != NoteRescued || len(n.Fields) != fieldCount[NoteRescued]) {
			err = errors.New("row rescued holds another note")
		}
		if err != nil {
			return err
		}
		g, err := k.readGrounds(w, n)
		if err == nil {
			w.grounds[g.chain.Last().Record.Hash()] = g
		}
		return err
	})
}

package breakglass

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

// A Key is what is public of one key in one epoch: what pieces are held to.
type Key struct {
	Record *epoch.Record
	plan   *guard.Plan // nil: the epoch has no guardians, or nobody brought what is encrypted to them
	set    *guard.Set
	names  map[engine.PartyID]string // of operators and guardians, by the charter
}

// OpenKey (spec/breakglass 1) reads the public side of an epoch: its final certificate and, where it has guardians and they are known, their plan and the backup
// set. All of it is verified, and every member must be an operator of the charter: who made up a record of their own would be told whose share fits it.
func OpenKey(doc charter.Document, cert, plan, set []byte) (*Key, error) {
	f, err := epoch.DecodeFinalCert(cert)
	if err != nil {
		return nil, err
	}
	k := &Key{Record: f.Record, names: map[engine.PartyID]string{}}
	for _, o := range doc.Operators {
		k.names[session.IDOf(o.Identity)] = o.Name
	}
	for _, m := range f.Record.Members {
		if k.names[m.ID] == "" {
			return nil, fmt.Errorf("key %x, epoch %d: member %v is no operator of this charter: it is of another circle, or the charter of another time", f.Record.KeyID[:6], f.Record.Epoch, m.ID)
		}
	}
	if len(plan) == 0 && len(set) == 0 || f.Record.Guardians == [32]byte{} {
		return k, nil
	}
	p, err := guard.DecodePlan(plan)
	if err != nil {
		return nil, err
	}
	if k.set, err = f.Record.CheckBackups(p, set); err != nil {
		return nil, err
	}
	k.plan = p
	for _, g := range doc.Guardians {
		if !g.Card.IsZero() {
			k.names[g.Card.Party()] = g.Name
		}
	}
	return k, nil
}

// Guarded says whether guardians' values can be used: the record has them, and the set is here.
func (k *Key) Guarded() bool { return k.plan != nil }

// name is a party as people call it.
func (k *Key) name(id engine.PartyID) string {
	if n := k.names[id]; n != "" {
		return n
	}
	return id.String()
}

// At is the member that holds the share with an index: sheets of paper name no other thing.
func (k *Key) At(i share.Index) (engine.PartyID, bool) {
	for _, m := range k.Record.Members {
		if m.Index == i {
			return m.ID, true
		}
	}
	return engine.PartyID{}, false
}

// ErrNoGuardians says that guardians' values cannot be used.
var ErrNoGuardians = errors.New("what is encrypted to the guardians of this epoch is not here: give the file of public facts, or an export, that holds it")

// Value opens a guardian's value with its own key, and holds it to its point. The caller wipes it. Rows that a dealer spoiled are told of beside it.
func (k *Key) Value(own guardian.Key) (id engine.PartyID, value group.Scalar, spoiled []guard.SpoiledError, err error) {
	if !k.Guarded() {
		return id, nil, nil, ErrNoGuardians
	}
	card, err := own.Card()
	if err != nil {
		return id, nil, nil, err
	}
	id = card.Party()
	if at, ok := k.plan.At(id); !ok || k.plan.Guardians[at-1].Key != pve.Key(card.Encryption()) {
		return id, nil, nil, &ForeignError{"guardian " + k.name(id), fmt.Sprintf("is none of the %d guardians of epoch %d", len(k.plan.Guardians), k.Record.Epoch)}
	}
	terms, err := k.Record.Terms(k.plan)
	if err != nil {
		return id, nil, nil, err
	}
	dk, err := own.Decryption()
	if err != nil {
		return id, nil, nil, err
	}
	defer dk.Wipe()
	value, spoiled, err = k.set.Open(terms, id, dk)
	return id, value, spoiled, err
}

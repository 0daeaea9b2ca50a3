package ceremony

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/store"
)

// A key whose rows make no sense is left alone: nothing is read, written, joined or answered for it, and every other key of the node goes on.

// StepDamaged is the step of a root whose rows in this node's store cannot be read.
const StepDamaged = "damaged"

// A DamagedError refuses everything about a key whose rows cannot be read.
type DamagedError struct {
	Title string
	Err   error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("vault %s: this node cannot read what it keeps of the key, and takes no part in anything of it: %v; restore the data folder from a copy (docs/operator), or have the others reshare the vault without this operator",
		e.Title, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// fatal says whether an error while rows are read is not about these rows: the store is closed, full or in doubt.
func fatal(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	for _, e := range []error{store.ErrClosed, store.ErrFull, store.ErrUnknown, store.ErrConflict} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// quarantine sets a root aside whose rows cannot be read. Its rows stay as they are.
func (k *Keeper) quarantine(ctx context.Context, w *root, cause error) error {
	id := rootID{w.ID, w.suite}
	w.damage = &DamagedError{w.title(), cause}
	k.damaged[id] = w
	if err := k.remember(ctx); err != nil {
		return err
	}
	delete(k.roots, id)
	k.order = nil
	maps.DeleteFunc(k.keys, func(_ [32]byte, of *root) bool { return of == w })
	k.cfg.Log.Error("a vault is set aside", "error", w.damage)
	return nil
}

// remember notes the records of which the store knows, by the names of its rows: the books of a root that is set aside tell no more
// what our key signed, nor whose pairs there are.
func (k *Keeper) remember(ctx context.Context) error {
	for kind, place := range map[string]int{kindEpoch: 1, kindGone: 1, kindFinal: 1, kindLink: 2} {
		err := k.each(ctx, store.Prefix(kind), func(name string, value []byte) error {
			if kind == kindEpoch {
				secret.Wipe(value) // sealed, and not wanted
			}
			parts := strings.Split(name, "/")
			if len(parts) <= place {
				return nil
			}
			eh, err := hex.DecodeString(parts[place])
			if err != nil || len(eh) != 32 {
				return nil
			}
			k.known[epoch.Hash(eh)] = true
			for _, w := range k.damaged {
				for id := range w.names {
					if kind == kindEpoch && parts[len(parts)-1] == string(store.Name(protocol.RowPair(id))) {
						k.pairs[engine.Token{Key: [32]byte(eh), Peer: id}] = true
					}
				}
			}
			return nil
		})
		if errors.Is(err, store.ErrCorrupt) && !fatal(ctx, err) {
			k.blind = true // what lies behind it is not seen
			continue
		}
		if err != nil {
			return fmt.Errorf("read which records are known: %w", err)
		}
	}
	return nil
}

// rowsBook knows the records that the store's rows name.
func (k *Keeper) rowsBook() *epoch.Book {
	gone := map[epoch.Hash]epoch.Departure{}
	for eh := range k.known {
		gone[eh] = epoch.Erased
	}
	b, _, err := epoch.Restore(epoch.Kept{Gone: gone})
	if err != nil {
		return epoch.NewBook() // nothing in it can be refused
	}
	return b
}

// damagedOf is why a vault's keys are left alone, or nil.
func (k *Keeper) damagedOf(id rootID) error {
	if w := k.damaged[id]; w != nil {
		return w.damage
	}
	return nil
}

// damagedIn is why a key of a vault is left alone, or nil.
func (k *Keeper) damagedIn(vault statement.ID) error {
	for id, w := range k.damaged {
		if id.vault == vault {
			return w.damage
		}
	}
	return nil
}

// ownerDamaged finds the damaged root that a key id may belong to.
func (k *Keeper) ownerDamaged(key [32]byte) error {
	if w, _ := k.owner(key); w != nil {
		return w.damage
	}
	return nil
}

// damagedPairs are the pairs of which the store has rows, if any root was set aside: its books tell them no more.
func (k *Keeper) damagedPairs() []engine.Token {
	if len(k.damaged) == 0 {
		return nil
	}
	return slices.Collect(maps.Keys(k.pairs))
}

// reload reads a root back while the node runs.
func (k *Keeper) reload(ctx context.Context, now time.Time, w *root) error {
	err := k.load(ctx, now, w)
	k.name(w)
	if err == nil || fatal(ctx, err) {
		return err
	}
	return errors.Join(err, k.quarantine(ctx, w, err))
}

package kill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// witnessed is what the nodes showed while the case ran: none may take it back.
type witnessed struct {
	heads map[string][]tlog.Head  // of each operator's log, as it grew
	vault *v1.Vault               // once its key was shown
	epoch map[string]*v1.Root     // in force at each operator's node
	raw   map[statement.ID][]byte // signed transactions
}

// look asks every node that answers, and compares with what was shown before.
func (s *story) look(ctx context.Context) error {
	for _, o := range s.circle.Operators {
		status, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		if err != nil {
			continue // it is being killed or started
		}
		if len(status.Msg.Burned) > 0 {
			return fmt.Errorf("%s burned a pair: %v", o.Name, status.Msg.Burned)
		}
		if err := s.seen.head(o.Name, status.Msg); err != nil {
			return err
		}
		vaults, err := o.Client().Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
		if err != nil {
			continue
		}
		for _, v := range vaults.Msg.Vaults {
			if err := s.seen.key(o.Name, v); err != nil {
				return err
			}
		}
		for _, id := range s.intents {
			res, err := o.Client().Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
			if err != nil {
				continue // it does not know it yet
			}
			if err := s.seen.signature(o.Name, id, res.Msg.Intent, s.address.Address); err != nil {
				return fmt.Errorf("intent %s: %w", id.Short(), err)
			}
		}
	}
	return nil
}

func (w *witnessed) head(operator string, status *v1.StatusResponse) error {
	h := tlog.Head{Size: int64(status.LogSize), Root: tlog.Hash(status.LogRoot)}
	old := w.heads[operator]
	if len(old) > 0 {
		last := old[len(old)-1]
		if h.Size < last.Size || h.Size == last.Size && h != last {
			return fmt.Errorf("%s: its log had the head %v, then %v", operator, last, h)
		}
		if h == last {
			return nil
		}
	}
	w.heads[operator] = append(old, h)
	return nil
}

func (w *witnessed) key(operator string, v *v1.Vault) error {
	switch {
	case len(key(v)) == 0:
		return nil
	case w.vault == nil:
		w.vault = v
	case !sameVault(w.vault, v):
		return fmt.Errorf("%s publishes the key %x, another was published before: %x", operator, key(v), key(w.vault))
	}
	return w.moved(operator, v.Roots[0])
}

// moved wants that no node goes back to an earlier epoch, or to another record of the same.
func (w *witnessed) moved(operator string, now *v1.Root) error {
	old := w.epoch[operator]
	w.epoch[operator] = now
	if old != nil && (now.EpochNumber < old.EpochNumber || now.EpochNumber == old.EpochNumber && !bytes.Equal(now.Epoch, old.Epoch)) {
		return fmt.Errorf("%s stood in epoch %d, record %x, and now in epoch %d, record %x", operator, old.EpochNumber, old.Epoch, now.EpochNumber, now.Epoch)
	}
	return nil
}

// signature wants one signature per intent, ever, by the address, found by go-ethereum.
func (w *witnessed) signature(operator string, id statement.ID, it *v1.Intent, from string) error {
	if it.Alarm != "" {
		return fmt.Errorf("%s raises an alarm: %s", operator, it.Alarm)
	}
	if len(it.Raw) == 0 {
		return nil
	}
	if old := w.raw[id]; old != nil {
		if !bytes.Equal(old, it.Raw) {
			return fmt.Errorf("%s shows another signature: %x, not %x", operator, it.Raw, old)
		}
		return nil
	}
	signed, err := evm.ParseSigned(it.Raw)
	if err != nil {
		return fmt.Errorf("%s: %w", operator, err)
	}
	if signed.From.String() != from {
		return fmt.Errorf("%s shows a signature of %s, not of %s", operator, signed.From, from)
	}
	w.raw[id] = it.Raw
	return nil
}

// settled wants, when the story is told, that all nodes show the same.
func (s *story) settled(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	if s.seen.vault == nil || !bytes.Equal(key(s.seen.vault), s.root.PublicKey()) {
		return fmt.Errorf("the published key is not that of the final certificate: %v", s.seen.vault)
	}
	var first *v1.Vault
	for _, o := range s.circle.Operators {
		vaults, err := o.Client().Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
		if err != nil {
			return err
		}
		if len(vaults.Msg.Vaults) != 1 || !sameVault(vaults.Msg.Vaults[0], s.seen.vault) {
			return fmt.Errorf("%s does not show the one vault", o.Name)
		}
		if first == nil {
			first = vaults.Msg.Vaults[0]
		}
		if !sameEpochs(vaults.Msg.Vaults[0], first) || !s.heldSo(first.Roots[0], raised) {
			return fmt.Errorf("%s holds the key otherwise: %v", o.Name, vaults.Msg.Vaults[0])
		}
	}
	given, _, err := s.alice.Addresses(ctx, s.vault, s.root, s.account)
	if err != nil {
		return err
	}
	if len(given) == 0 || given[0].Address != s.address.Address || len(given[0].Nodes) != len(s.circle.Operators) {
		return fmt.Errorf("the nodes show the addresses %v, and gave out %s", given, s.address.Address)
	}
	if len(s.seen.raw) == 0 {
		return errors.New("nothing is signed")
	}
	return nil
}

// reckon reads the stores of the stopped nodes: every log holds together and goes on from each
// head that was shown; all hold the same three signatures over one key statement, and for each
// intent no signature but the one that was shown.
func (s *story) reckon(ctx context.Context) error {
	for _, o := range s.circle.Operators {
		st, err := bolt.Open(filepath.Join(o.Dir, "store"), bolt.Options{})
		if err == nil {
			err = errors.Join(s.reckonOne(ctx, o.Name, tagged.Unchecked(st)), st.Close())
		}
		if err != nil {
			return fmt.Errorf("the store of %s: %w", o.Name, err)
		}
	}
	return nil
}

func (s *story) reckonOne(ctx context.Context, operator string, st store.Store) error {
	j, err := journal.Open(ctx, st)
	if err != nil {
		return err
	}
	if _, err := j.Verify(ctx); err != nil {
		return err
	}
	if err := s.grown(ctx, operator, st); err != nil {
		return err
	}
	if err := s.chosen(ctx, st); err != nil {
		return err
	}
	if err := s.erased(ctx, st); err != nil {
		return err
	}
	rows, err := st.Range(ctx, store.Prefix("raw"), "", store.MaxLimit)
	if err != nil {
		return err
	}
	for _, row := range rows {
		id, err := statement.ParseID(row.Key[len(store.Prefix("raw")):])
		if err != nil {
			return err
		}
		if !bytes.Equal(row.Value, s.seen.raw[id]) {
			return fmt.Errorf("intent %s: it keeps a signature that it did not show", id.Short())
		}
	}
	return nil
}

// grown wants every head that was shown to be one that the log once had.
func (s *story) grown(ctx context.Context, operator string, st store.Store) error {
	j, err := journal.Open(ctx, st)
	if err != nil {
		return err
	}
	heads := s.seen.heads[operator]
	if len(heads) < 2 || heads[len(heads)-1].Size <= heads[0].Size {
		return fmt.Errorf("the log did not grow: %v", heads)
	}
	for _, h := range heads {
		if got, err := j.HeadAt(ctx, h.Size); err != nil || got != h {
			return fmt.Errorf("the log once had the head %v, and is no longer one that grew from it: %v, %w", h, got, err)
		}
	}
	return nil
}

// chosen wants the signatures of all operators over one key statement, that of the key shown.
func (s *story) chosen(ctx context.Context, st store.Store) error {
	rows, err := st.Range(ctx, store.Prefix("choice", store.ID(s.vault.ID[:])), "", store.MaxLimit)
	if err != nil {
		return err
	}
	if len(rows) != len(s.circle.Operators) {
		return fmt.Errorf("%d operators signed a key, not %d", len(rows), len(s.circle.Operators))
	}
	for _, row := range rows {
		const signature = 64 // bytes
		if len(row.Value) < signature || !bytes.Equal(row.Value[signature:], rows[0].Value[signature:]) {
			return errors.New("the operators signed different keys")
		}
	}
	stmt, err := statement.ParseKind(rows[0].Value[64:], statement.Key)
	if err != nil {
		return err
	}
	choice, err := charter.KeyChoiceOf(stmt)
	if err != nil {
		return err
	}
	if !bytes.Equal(choice.PublicKey, s.root.PublicKey()) {
		return fmt.Errorf("they signed the key %x, and show %x", choice.PublicKey, s.root.PublicKey())
	}
	return nil
}

// erased wants that the secrets of one record are left, the one in force: of nothing that was given up, or that new shares
// replaced.
func (s *story) erased(ctx context.Context, st store.Store) error {
	eh := s.root.Record.Hash()
	rows, err := st.Range(ctx, store.Prefix("epoch", store.ID(s.root.Record.KeyID[:])), "", store.MaxLimit)
	if err != nil {
		return err
	}
	own, kept := store.Prefix("epoch", store.ID(s.root.Record.KeyID[:]), store.ID(eh[:])), 0
	for _, row := range rows {
		name := row.Key[strings.LastIndexByte(row.Key, '/')+1:]
		switch secret := name == "share" || strings.HasPrefix(name, "pair"); {
		case secret && strings.HasPrefix(row.Key, own):
			kept++
		case secret:
			return fmt.Errorf("the secret row %s is left of a record that is not in force", row.Key)
		}
	}
	if want := 1 + len(s.circle.Operators) - 1; kept != want {
		return fmt.Errorf("%d secret rows of the record in force, want %d", kept, want)
	}
	return nil
}

func newWitnessed() witnessed {
	return witnessed{heads: map[string][]tlog.Head{}, epoch: map[string]*v1.Root{}, raw: map[statement.ID][]byte{}}
}

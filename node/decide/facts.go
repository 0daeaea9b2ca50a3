package decide

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/node/ceremony"
)

// Address derives the address of a vault at a path, as the chain writes it.
func Address(v ceremony.View, path hd.Path) (evm.Address, error) {
	if v.Current == nil {
		return evm.Address{}, ceremony.ErrNoKey
	}
	child, _, err := protocol.Child(v.Current.Record, path)
	if err != nil {
		return evm.Address{}, err
	}
	return evm.AddressOf(child.Bytes())
}

// decode makes this node's own facts of an intent: nothing of them comes from the intent's
// own words. It keeps the decoded transaction in the file.
func (f *file) decode(v ceremony.View) intent.Facts {
	it := f.life.Intent()
	out := intent.Facts{
		Charter: v.Vault.Charter, Key: v.Current.Record.KeyID, Epoch: v.Current.Record.Hash(), Chain: it.Chain,
	}
	from, err := Address(v, it.Path[:])
	if err != nil {
		out.Unclear = fmt.Sprintf("the sender's address: %v", err)
		return out
	}
	out.Address, f.from = from.String(), from
	tx, err := evm.Decode(it.Transaction)
	if err != nil {
		out.Unclear = err.Error()
		return out
	}
	facts := tx.Facts()
	out.Chain = "eip155:" + strconv.FormatUint(facts.ChainID, 10)
	for _, l := range facts.Lines() {
		out.Decoded = append(out.Decoded, intent.Fact{Name: l.Name, Value: l.Value})
	}
	f.tx = tx
	return out
}

// rule makes this node's ruling on a file, and asks the chain where the statement's own
// rules hold. Wait with a reason in f.waits means: not yet.
func (d *Desk) rule(ctx context.Context, now time.Time, f *file) (intent.Ruling, intent.Facts, error) {
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return intent.Ruling{}, intent.Facts{}, err
	}
	facts := f.decode(v)
	r := intent.Decide(f.stmt, v.Vault, f.life.Votes(), facts, now)
	f.waits = ""
	if r.Verdict == intent.Deny || f.tx == nil {
		return r, facts, nil
	}
	if by, ok := d.rival(f, false); ok && by.signed {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleNonce, by.taken()
		return r, facts, nil
	}
	checked, why, err := d.cfg.Check(ctx, f.from, f.tx.Facts())
	switch {
	case err != nil:
		// Trouble with our endpoint decides nothing: we wait for it.
		f.waits = err.Error()
		r.Verdict, r.Rule, r.Reason = intent.Wait, RuleState, err.Error()
	case checked && why != "":
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleState, why
	}
	if r.Verdict == intent.Deny || f.waits != "" {
		return r, facts, nil
	}
	if by, ok := d.rival(f, r.Verdict == intent.Allow); ok {
		f.waits = by.taken()
		r.Verdict, r.Rule, r.Reason = intent.Wait, RuleNonce, f.waits
	}
	return r, facts, nil
}

// mayDecide says whether our verdict is still open.
func (d *Desk) mayDecide(f *file) bool {
	switch f.life.State() {
	case intent.Proposed, intent.Approving, intent.Allowed:
		return f.life.Verdict(d.cfg.Operator) == intent.Wait
	}
	return false
}

var errNotDecoded = errors.New("this node has not decoded the transaction")

// PublicKey derives the public key of a vault at a path, compressed.
func PublicKey(v ceremony.View, path hd.Path) ([]byte, error) {
	if v.Current == nil {
		return nil, ceremony.ErrNoKey
	}
	child, _, err := protocol.Child(v.Current.Record, path)
	if err != nil {
		return nil, err
	}
	return child.Bytes(), nil
}

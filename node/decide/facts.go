package decide

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/node/ceremony"
)

// Key derives the key of a root at a path.
func Key(v ceremony.View, path hd.Path) (group.Point, error) {
	if v.Current == nil {
		return nil, ceremony.ErrNoKey
	}
	child, _, err := protocol.Child(v.Current.Record, path)
	return child, err
}

// decode makes this node's own facts of an intent: nothing of them comes from the intent's
// own words. It keeps the payload in the file.
func (d *Desk) decode(f *file, v ceremony.View) intent.Facts {
	it := f.life.Intent()
	inForce, _ := d.cfg.Charter()
	out := intent.Facts{
		Charter: inForce.ID, Key: v.Current.Record.KeyID, Epoch: v.Current.Record.Hash(), Chain: it.Chain,
	}
	if d.serves(it) {
		out.Epoch = it.Epoch
	}
	// Key, path and bytes of an intent never change: once is enough.
	if f.read == nil || f.read.key != v.Current.Record.KeyID {
		c, err := d.context(it, v)
		x := read(f.stmt, it, v, c)
		if err != nil { // it may be known soon: nothing is kept of this
			out.Address, out.Unclear = x.address, err.Error()
			return out
		}
		f.read = x
	}
	if f.payload = f.read.payload; f.read.unclear != "" {
		out.Address, out.Unclear = f.read.address, f.read.unclear
		return out
	}
	out.Address, out.Chain, out.Decoded = f.read.address, f.read.chain, f.read.lines
	if err := d.together(f.payload, v); err != nil {
		out.Decoded, out.Unclear = nil, err.Error()
	}
	return out
}

// chapter is the book of the charter that an intent names, which says what its bytes mean.
func (d *Desk) chapter(under statement.ID) (*policy.Book, error) {
	d.mu.Lock()
	book := d.chapters[under]
	d.mu.Unlock()
	if book != nil {
		return book, nil
	}
	book, err := d.cfg.Book(under)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chapters[under] = book
	return book, nil
}

// decoded is what a node makes of an intent under one key.
type decoded struct {
	key     [32]byte        // keyID
	payload payload.Payload // nil if it is not understood
	address string          // of the sender
	unclear string          // why it is not understood
	chain   string
	lines   []intent.Fact
}

func read(s statement.Statement, it intent.Intent, v ceremony.View, c payload.Context) *decoded {
	out := &decoded{key: v.Current.Record.KeyID}
	key, err := Key(v, it.Path[:])
	if err == nil {
		out.address, err = chain.Address(v.Suite, it.Chain, key, policy.Tree(v.Vault, v.Suite))
	}
	if err != nil {
		out.unclear = fmt.Sprintf("the sender's address: %v", err)
		return out
	}
	it.Address = out.address // this node's own: what the intent says is compared with it
	if out.payload, err = payloadOf(s, it, v, key, c); err != nil {
		out.payload, out.unclear = nil, err.Error()
		return out
	}
	out.chain, out.lines = out.payload.Chain(), payload.Facts(out.payload)
	return out
}

// rule makes this node's ruling on a file, and asks the policy and the chain where the statement's own
// rules hold. The caller holds the vault's book. Wait with a reason in f.waits means: not yet.
func (d *Desk) rule(ctx context.Context, now time.Time, f *file) (intent.Ruling, intent.Facts, emergency, error) {
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return intent.Ruling{}, intent.Facts{}, emergency{}, err
	}
	facts := d.decode(f, v)
	e := d.emergency(ctx, f, v)
	r := e.underPlan(intent.Decide(f.stmt, e.asks(d, v.Vault, f.life.Intent().Initiator), f.life.Votes(), facts, now))
	f.waits, f.lacks, f.again = "", "", time.Time{}
	if why := d.unasked(f, v, e); why != "" && (r.Verdict != intent.Deny || r.Rule == intent.RuleRejected) {
		r.Verdict, r.Rule, r.Reason = intent.Deny, intent.RulePerson, why
	}
	if r.Rule == intent.RuleEpoch && d.outlived(f) {
		r.Reason = errOldEpoch.Error()
	}
	if v.Bare != "" && r.Verdict != intent.Deny {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleShare, v.Bare
		return r, facts, e, nil
	}
	if r.Verdict != intent.Deny && e.sos != nil {
		r = d.judge(ctx, now, f, v, &e, r)
	}
	if r.Verdict != intent.Deny && f.waits == "" && !e.rules() {
		r = d.apply(now, f, v, r)
	}
	if r.Verdict == intent.Deny || f.waits != "" {
		return r, facts, e, nil
	}
	if why, later := d.misnamed(f); why != "" {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleNonce, why
		if later {
			r.Verdict, f.waits = intent.Wait, why
		}
		return r, facts, e, nil
	}
	// Nothing is the rival of a proof: it has no nonce.
	by, replaces, ok := d.rival(f, e.rules(), false)
	if ok && by.signed {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleNonce, by.taken()
		return r, facts, e, nil
	}
	checked, why, err := d.state(ctx, f, replaces, e.rules())
	switch {
	case err != nil:
		// Trouble with our endpoint decides nothing: we wait for it.
		f.waits = err.Error()
		r.Verdict, r.Rule, r.Reason = intent.Wait, RuleState, err.Error()
	case checked && why != "":
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleState, why
	}
	if r.Verdict == intent.Deny || f.waits != "" {
		return r, facts, e, nil
	}
	if by, _, ok := d.rival(f, e.rules(), r.Verdict == intent.Allow); ok {
		f.waits = by.taken()
		r.Verdict, r.Rule, r.Reason = intent.Wait, RuleNonce, f.waits
	}
	return r, facts, e, nil
}

// state compares what is to be signed with the chain, as this node's own endpoint sees it.
func (d *Desk) state(ctx context.Context, f *file, replaces, plan bool) (checked bool, why string, err error) {
	p, vault := f.payload, f.life.Intent().Vault
	if travels(p) {
		q := Question{Payload: p, Replacing: replaces, Own: func(id string) bool { return d.Made(vault, id) }}
		if plan { // what the chain takes of all that an officer asks for at once is counted once (spec/sos 5.4)
			q.Before = d.before(f)
		}
		return d.cfg.Check(ctx, q)
	}
	if p, ok := p.(*proof); ok && p.AsOf != nil {
		if !chain.ReadsBlocks(p.Chain()) {
			return true, fmt.Sprintf("no node of this release reads blocks of chain %s, so nobody would have checked height %d: ask for the proof without a height", p.Chain(), p.AsOf.Height), nil
		}
		return d.cfg.CheckBlock(ctx, p.Chain(), *p.AsOf)
	}
	return false, "", nil
}

// mayDecide says whether our verdict is still open, and ours to give: a node that holds no share of the key has none.
func (d *Desk) mayDecide(f *file) bool {
	if !slices.Contains(f.life.Undecided(), d.cfg.Operator) {
		return false
	}
	switch f.life.State() {
	case intent.Proposed, intent.Approving, intent.Allowed:
		return f.life.Verdict(d.cfg.Operator) == intent.Wait
	}
	return false
}

// A Question is what a node asks its own endpoints of a transaction before it allows it.
type Question struct {
	Payload   payload.Payload
	Replacing bool                 // it takes the place of another that waits on its chain
	Own       func(id string) bool // whether a transaction, as its chain names it, is one that this node knows to be signed by the same vault
	Before    []payload.Payload    // in an emergency on Solana: others of the address that may land before it, the oldest first, at most MaxBefore
}

// Made says whether a transaction, as its chain names it, is one that this node knows a vault's signature of. Another vault is a stranger, who may replace what waits.
func (d *Desk) Made(vault statement.ID, id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[made{vault, id}]
}

// made is a transaction that a vault signed, as its chain writes it.
type made struct {
	vault statement.ID
	name  string
}

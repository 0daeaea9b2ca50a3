package decide

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

// RuleSOS is the plan of a request: in ACTIVE and LOCK-UP it stands in the place of quorum and policy, and is kept beside them afterwards
// (spec/sos 5).
const RuleSOS = "sos"

// emergencyEvery is how often what SOS holds is looked at again.
const emergencyEvery = time.Second

// SOS is what the room that keeps dockets says of what leaves a vault (node/rescue).
type SOS interface {
	Binds(ctx context.Context, vault statement.ID, o sos.Outflow) bool
	Rules(ctx context.Context, vault statement.ID, o sos.Outflow) (request statement.ID, subjects []string)
	Judge(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow) error
	Spend(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow, write func(journal.Entry) error) error
	MaySign(ctx context.Context, vault statement.ID, o sos.Outflow) error
	Settle(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow, write func(journal.Entry) error) error
}

// An emergency is what SOS has to do with an intent.
type emergency struct {
	sos      SOS // nil: nothing
	outflow  sos.Outflow
	request  statement.ID // whose plan rules instead of the ordinary rules; zero: none
	subjects []string
}

// rules says that the plan is the rule.
func (e emergency) rules() bool { return !e.request.IsZero() }

// emergency asks whether SOS has a say about an intent.
func (d *Desk) emergency(ctx context.Context, f *file, v ceremony.View) (e emergency) {
	if d.cfg.SOS == nil {
		return e
	}
	desk, it := d.cfg.SOS(), f.life.Intent()
	if desk == nil {
		return e
	}
	o := sos.Outflow{Intent: f.stmt.ID(), Vault: v.Vault.Name, Key: it.Key, Transaction: it.Purpose == intent.PurposeTransaction, Chain: it.Chain}
	if !desk.Binds(ctx, it.Vault, o) {
		return e
	}
	e = emergency{sos: desk, outflow: o}
	e.request, e.subjects = desk.Rules(ctx, it.Vault, o)
	return e
}

// officers lets an operator's officers be initiators in its name: the owner's company may be what is gone. Whether one counts, unasked says.
func (d *Desk) officers(v charter.Vault, name string) charter.Vault {
	if _, known := v.Initiator(name); known || v.SOS == nil || !slices.Contains(v.Committee, name) {
		return v
	}
	if r, ok := d.cfg.Roster(v.Roster); ok {
		if o, ok := r.Operator(name); ok {
			v.Initiators = append(slices.Clone(v.Initiators), charter.Person{Name: name, Organisation: name, Keys: o.Officers})
		}
	}
	return v
}

// asks gives a vault those who may propose: officers do while a plan rules, and never those of an operator that it is about.
func (e emergency) asks(d *Desk, v charter.Vault, name string) charter.Vault {
	if !e.rules() || slices.Contains(e.subjects, name) {
		return v
	}
	return d.officers(v, name)
}

// mayPropose refuses an officer's proposal while no plan rules here. It may soon: this node may be behind the others.
func (d *Desk) mayPropose(ctx context.Context, f *file, v ceremony.View) error {
	name := f.life.Intent().Initiator
	if _, ok := v.Vault.Initiator(name); ok {
		return nil
	}
	if _, ok := d.emergency(ctx, f, v).asks(d, v.Vault, name).Initiator(name); ok {
		return nil
	}
	return fmt.Errorf("%w: %s is no initiator of vault %s: an operator's officers propose while a plan of SOS is the rule and not about them, and at no other time", outbox.ErrLater, name, v.Vault.Name)
}

// underPlan puts the plan in the place of the people's answers: their rejections, too, count for nothing.
func (e emergency) underPlan(r intent.Ruling) intent.Ruling {
	if !e.rules() || r.Verdict == intent.Deny && r.Rule != intent.RuleRejected {
		return r
	}
	return intent.Ruling{Verdict: intent.Allow, Rule: RuleSOS, Reason: byPlan(e.request)}
}

// judge asks the dockets. Where the plan rules, what it does not allow is denied; everything else that is held may be free again.
func (d *Desk) judge(ctx context.Context, now time.Time, f *file, v ceremony.View, e *emergency, r intent.Ruling) intent.Ruling {
	x, ok := d.cfg.Charter()
	if !ok {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleSOS, errNoCharter.Error()
		return r
	}
	err := d.fill(ctx, x.Document, v.Vault, f, e)
	if err == nil {
		err = e.sos.Judge(ctx, now, f.life.Intent().Vault, e.outflow)
	}
	if err == nil {
		return r
	}
	later := errors.Is(err, sos.ErrHeld) || errors.Is(err, sos.ErrRolled) || errors.Is(err, sos.ErrLate) || errors.Is(err, errEndpoint)
	if e.rules() && !later {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RuleSOS, err.Error()
		return r
	}
	f.waits, f.again = err.Error(), now.Add(emergencyEvery)
	r.Verdict, r.Rule, r.Reason = intent.Wait, RuleSOS, f.waits
	return r
}

var errEndpoint = errors.New("this node's own endpoint does not say what a fee usually is")

// fill decodes what leaves.
func (d *Desk) fill(ctx context.Context, doc charter.Document, v charter.Vault, f *file, e *emergency) error {
	p := f.payload
	if lends(p) {
		return errMessage
	}
	if !travels(p) {
		return nil // a proof; and what is not decoded was denied before
	}
	flows, err := sosFlows(doc, v, p)
	if err != nil {
		return fmt.Errorf("%w: %w", sos.ErrPlan, err)
	}
	e.outflow.Flows, e.outflow.Slot = flows, slotKey(f.slot())
	if !e.rules() {
		return nil // tranches bound amounts, and not fees
	}
	usual, err := d.cfg.Usual(ctx, p)
	if err != nil {
		return fmt.Errorf("%w: %w", errEndpoint, err)
	}
	if usual == nil {
		return fmt.Errorf("%w: what a fee usually is on chain %s is not known here: this node has no endpoint of it, or the transaction would fail", sos.ErrPlan, e.outflow.Chain)
	}
	return e.fees(doc, p, usual)
}

// fees compares fees exactly: policy units are rounded up, and a fee that is burnt may hide in one unit (S12).
func (e *emergency) fees(doc charter.Document, p payload.Payload, usual *big.Int) error {
	own, ok := doc.AssetOn(e.outflow.Chain, "", policy.SameAddressOn(e.outflow.Chain))
	if !ok {
		return fmt.Errorf("%w: the own asset of chain %s is not in the charter", sos.ErrPlan, e.outflow.Chain)
	}
	most := new(big.Int).Mul(usual, big.NewInt(sos.FeeTimes))
	moved, fee, moves := nativeOf(p)
	switch {
	case fee.Cmp(most) > 0:
		return fmt.Errorf("%w: a fee of %s %s; usual is %s, and at most %d times that is allowed", sos.ErrPlan, fee, unitOf(p), usual, sos.FeeTimes)
	case moves && moved.Cmp(fee) < 0:
		return fmt.Errorf("%w: it moves %s %s, less than its fee of %s", sos.ErrPlan, moved, unitOf(p), fee)
	}
	units, err := own.Units(usual)
	if err != nil {
		return fmt.Errorf("%w: usual fee: %w", sos.ErrPlan, err)
	}
	e.outflow.Usual = units
	return nil
}

var errMessage = fmt.Errorf("%w: only transactions leave a vault in SOS, and no message that another may use", sos.ErrHeld)

var errNoMove = errors.New("it is neither a transfer nor a call that the plan names")

// nativeOf are what a transaction moves of its chain's own asset, and its fee; moves is false where it moves none of that.
func nativeOf(p payload.Payload) (moved, fee *big.Int, moves bool) {
	moved, fee = new(big.Int), new(big.Int)
	for _, e := range p.Effects() {
		switch e.Operation {
		case effect.Fee:
			fee.Add(fee, e.Amount)
		case effect.Transfer:
			moved.Add(moved, e.Amount)
			moves = true
		}
	}
	return moved, fee, moves
}

// unitOf is the smallest unit of a payload's chain.
func unitOf(p payload.Payload) string {
	switch namespace, _, _ := strings.Cut(p.Chain(), ":"); namespace {
	case "bip122":
		return "satoshis"
	case "solana":
		return "lamports"
	}
	return "wei"
}

// sosFlows are what a transaction does, as SOS counts it: transfers, and calls that the plan names, whatever a charter's book says of them besides.
func sosFlows(doc charter.Document, v charter.Vault, p payload.Payload) (out []sos.Flow, err error) {
	t, ok := payload.OnEVM(p)
	if !ok {
		return movedFlows(doc, p)
	}
	f := t.Facts()
	effects := f.Effects()
	switch _, transfers := t.Transfer(); {
	case f.Kind > evm.Legacy:
		return nil, errNoMove
	case called(v, f):
		out = append(out, sos.Flow{What: sos.Call, To: f.Destination.String(), Data: f.Calldata})
		effects = effects[1:]
	case !transfers:
		return nil, errNoMove
	}
	flows, err := policy.FlowsOf(doc, effects)
	if err != nil {
		return nil, err
	}
	for _, x := range flows {
		y := sos.Flow{Asset: x.Asset, Amount: x.Amount, To: x.Destination}
		switch {
		case x.Operation == policy.Fee:
			y.What = sos.Fee
		case f.Destination == t.Sender(): // back to the key's own address
			y.What = sos.Remainder
		default:
			y.What = sos.Transfer
		}
		out = append(out, y)
	}
	return out, nil
}

// movedFlows are what a transaction does that is transfers alone; of another, with errNoMove, its transfers and fee. What comes back to its own account is no effect of it.
func movedFlows(doc charter.Document, p payload.Payload) (out []sos.Flow, err error) {
	flows, err := policy.FlowsOf(doc, p.Effects())
	if err != nil {
		return nil, err
	}
	for _, x := range flows {
		y := sos.Flow{What: sos.Transfer, Asset: x.Asset, Amount: x.Amount, To: x.Destination}
		switch x.Operation {
		case policy.Fee:
			y.What = sos.Fee
		case policy.Transfer, policy.Token:
		default:
			err = errNoMove
			continue
		}
		out = append(out, y)
	}
	return out, err
}

// leftFlows are what left with a transaction that is counted and not judged: of one that does more than move, what it moves. ok is false where that cannot be told.
func leftFlows(doc charter.Document, v charter.Vault, p payload.Payload) (out []sos.Flow, ok bool) {
	out, err := sosFlows(doc, v, p)
	return out, err == nil || errors.Is(err, errNoMove) && len(out) > 0
}

// called says that a transaction is a call that the plan of a vault names, without value.
func called(v charter.Vault, f evm.Facts) bool {
	named := policy.Named(v)
	return named != nil && len(f.Calldata) > 0 && f.Amount.Sign() == 0 && named(f.ChainID, f.Destination, f.Calldata)
}

// counted makes the writer of a decision one that counts what an ALLOW lets out, in the same transaction.
func (e emergency) counted(ctx context.Context, now time.Time, vault statement.ID, verdict intent.Verdict, write writer) writer {
	if e.sos == nil || verdict != intent.Allow {
		return write
	}
	return func(entry journal.Entry) error {
		return e.sos.Spend(ctx, now, vault, e.outflow, func(more journal.Entry) error {
			entry.Add(more)
			return write(entry)
		})
	}
}

// tookPlace makes the writer of a signed transaction's last state one that settles its nonce in the dockets, in the same transaction: what else was counted there is free again.
// It takes place as this node's own endpoint says, and so deep that the chain keeps it.
func (d *Desk) tookPlace(ctx context.Context, now time.Time, f *file, ev intent.Event, write writer) writer {
	if _, final := ev.(intent.BecameFinal); !travels(f.payload) || !final || d.cfg.SOS == nil {
		return write
	}
	desk, it := d.cfg.SOS(), f.life.Intent()
	x, known := d.cfg.Charter()
	if desk == nil || !known {
		return write
	}
	v, err := d.vaultOf(it)
	if err != nil {
		return write
	}
	flows, ok := leftFlows(x.Document, v.Vault, f.payload)
	if !ok { // it moves what the charter does not know: nothing counted it
		return write
	}
	o := sos.Outflow{Intent: f.stmt.ID(), Key: it.Key, Transaction: true, Chain: it.Chain, Flows: flows, Slot: slotKey(f.slot())}
	return func(entry journal.Entry) error {
		return desk.Settle(ctx, now, it.Vault, o, func(more journal.Entry) error {
			entry.Add(more)
			return write(entry)
		})
	}
}

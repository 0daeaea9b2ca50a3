package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
	node "github.com/ostraka/ostraka/node/backup"
)

// DrillRequest gathers what a drill is made over, without a token: the records and sets in force, names, and a fresh checkpoint that was cosigned. by is the operator
// that drills, empty for guardians; vaults are names, none for all.
func (c *Circle) DrillRequest(ctx context.Context, by string, vaults []string) (drill.Request, []Failure, error) {
	chain, failed, err := c.Chain(ctx)
	if err != nil {
		return drill.Request{}, failed, err
	}
	r := drill.Request{Circle: chain.Newest().Circle}
	for _, o := range chain.Newest().Operators {
		r.Names = append(r.Names, drill.Named{Party: session.IDOf(o.Identity), Name: o.Name})
	}
	if r.Checkpoint, err = c.drillCheckpoint(ctx, chain, by); err != nil {
		return r, failed, err
	}
	seats, more, err := c.Rescues(ctx)
	if err != nil {
		return r, failed, err
	}
	failed = append(failed, more...)
	for _, v := range seats {
		for _, s := range v.Seats {
			if _, known := r.Name(s.Party); !known {
				r.Names = append(r.Names, drill.Named{Party: s.Party, Name: s.Name})
			}
		}
	}
	b, more, err := c.Backups(ctx, false)
	if err != nil {
		return r, failed, err
	}
	for _, k := range b.Keys {
		if len(vaults) > 0 && !slices.Contains(vaults, k.Name) {
			continue
		}
		if k.SetError != nil {
			return r, failed, &VerifyError{"", fmt.Errorf("vault %s: what its guardians have: %w", k.Name, k.SetError)}
		}
		a := drill.Asked{Vault: k.Vault, Name: k.Name, Record: k.Record.Encode()}
		if k.Plan != nil {
			a.Plan, a.Set = k.Plan.Encode(), k.Set
		}
		r.Keys = append(r.Keys, a)
	}
	if len(r.Keys) == 0 {
		return r, failed, fmt.Errorf("vaults %q with a key: %w", vaults, ErrUnknown)
	}
	return r, append(failed, more...), nil
}

// drillCheckpoint is the one of those that nodes show which was cosigned last by somebody who counts.
func (c *Circle) drillCheckpoint(ctx context.Context, chain charter.Chain, by string) ([]byte, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (*v1.BackupsResponse, error) {
		res, err := m.Backups(ctx, connect.NewRequest(&v1.BackupsRequest{}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	})
	good, err := answers.Need("ask for a checkpoint", 2) // a log, and whoever cosigns it
	if err != nil {
		return nil, err
	}
	var best drill.Seen
	var out []byte
	var why error
	logs := logsOf(chain, good)
	for _, a := range good {
		d := drill.Drill{Role: drill.Guardian, Checkpoint: a.Value.Checkpoint}
		if by != "" {
			d.Role, d.By = drill.Operator, by
		}
		seen, err := d.Seen(logs)
		if err != nil {
			why = err
		} else if seen.At.After(best.At) {
			best, out = seen, a.Value.Checkpoint
		}
	}
	if out == nil {
		return nil, &EarlyError{fmt.Sprintf("no node shows a checkpoint that another operator's node cosigned: %v", why)}
	}
	return out, nil
}

// logsOf are the keys of logs that nodes show of themselves, each signed by its identity in the roster.
func logsOf(chain charter.Chain, good Answers[*v1.BackupsResponse]) (logs []tlog.Keys) {
	for _, a := range good {
		k, s, sig, err := tlog.DecodeKeys(a.Value.LogKeys)
		if err != nil {
			continue
		}
		if o, ok := chain.Newest().Operator(k.Operator); ok && o.Identity.Equal(ed25519.PublicKey(k.Identity)) && signet.VerifyNode(o.Identity, s, sig) == nil {
			logs = append(logs, k)
		}
	}
	return logs
}

// A Spoiled is a dealer whose rows to a guardian do not all open: that is no accident.
type Spoiled struct {
	Vault, Suite, Dealer string
	Rows                 []int
}

// A drilling is one key of a request, read.
type drilling struct {
	drill.Asked
	record *epoch.Record
	plan   *guard.Plan // nil: nobody guards it
	set    *guard.Set
	terms  guard.Terms
}

// readAsked holds a key of a request to itself: with check, every encryption is verified, unopened.
func readAsked(a drill.Asked, check bool) (k drilling, err error) {
	k.Asked = a
	if k.record, err = epoch.Decode(a.Record); err != nil {
		return k, fmt.Errorf("vault %s: %w", a.Name, err)
	}
	if len(a.Plan) == 0 {
		if k.record.Guardians != [32]byte{} {
			err = fmt.Errorf("vault %s: its epoch has guardians, and the request has nothing of theirs", a.Name)
		}
		return k, err
	}
	if k.plan, err = guard.DecodePlan(a.Plan); err == nil {
		k.set, k.terms, err = k.record.OpenBackups(k.plan, a.Set)
	}
	if err == nil && check {
		err = k.set.Verify(k.terms)
	}
	if err != nil {
		err = fmt.Errorf("vault %s: %w", a.Name, err)
	}
	return k, err
}

func salted(random io.Reader) (salt statement.Salt, err error) {
	if _, err = io.ReadFull(random, salt[:]); err != nil {
		err = fmt.Errorf("draw a salt: %w", err)
	}
	return salt, err
}

// DrillGuardian proves, for every key of a request that this guardian guards, that they can open what they have (spec/backups 8.1). It needs no network, and what it gives reveals
// nothing. Each key's set is verified before it is opened, so that a row which does not open speaks against its dealer.
func DrillGuardian(r drill.Request, key guardian.Key, now time.Time, random io.Reader) (out []statement.Statement, spoiled []Spoiled, err error) {
	card, err := key.Card()
	if err != nil {
		return nil, nil, err
	}
	dk, err := key.Decryption()
	if err != nil {
		return nil, nil, err
	}
	defer dk.Wipe()
	party := engine.PartyID(card.Party())
	name, known := r.Name(party)
	for _, a := range r.Keys {
		k, err := readAsked(a, false)
		if err != nil {
			return nil, nil, err
		}
		if k.plan == nil {
			continue
		}
		at, ours := k.plan.At(party)
		if !ours {
			continue
		}
		if !known {
			return nil, nil, errors.New("the request does not say what this guardian is called: ask for a new one")
		}
		if err := k.set.Verify(k.terms); err != nil {
			return nil, nil, fmt.Errorf("vault %s: %w", a.Name, err)
		}
		y, bad, err := k.set.Open(k.terms, party, dk)
		if err != nil {
			return nil, nil, fmt.Errorf("vault %s: %w", a.Name, err)
		}
		d := drill.Drill{Role: drill.Guardian, By: name, Party: party, Created: now}
		for _, x := range bad {
			dealer, ok := r.Name(x.Dealer)
			if !ok {
				dealer = fmt.Sprintf("%x", x.Dealer[:6])
			}
			d.Spoiled = append(d.Spoiled, dealer)
			spoiled = append(spoiled, Spoiled{a.Name, k.record.Suite, dealer, x.Rows})
		}
		slices.Sort(d.Spoiled)
		s, err := k.prove(r, d, y, k.set.ValuePoint(at), nil, random)
		y.Wipe()
		if err != nil {
			return nil, nil, err
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, nil, fmt.Errorf("this key guards no key of the request: its card is of guardian %x", party[:6])
	}
	return out, spoiled, nil
}

// prove fills in what the request says of a key.
func (k drilling) prove(r drill.Request, d drill.Drill, s group.Scalar, public group.Point, mask group.Scalar, random io.Reader) (st statement.Statement, err error) {
	salt, err := salted(random)
	if err != nil {
		return st, err
	}
	d.Vault, d.Key, d.Epoch, d.Checkpoint = k.Vault, k.record.KeyID, k.record.Hash(), r.Checkpoint
	d, err = d.Draft(salt).Prove(s, public, random)
	if err == nil && mask != nil {
		m, _ := k.record.Member(engine.PartyID(d.Party))
		d, err = d.ProveMask(mask, k.set.MaskPoint(m.Index), random)
	}
	if err != nil {
		return st, err
	}
	return d.Statement()
}

// DrillExport does the same for an operator's own export, of every key of it that the request has (spec/backups 8.6).
func DrillExport(r drill.Request, o *node.Opened, now time.Time, random io.Reader) (out []statement.Statement, err error) {
	for _, k := range o.Keys {
		s, found, err := drillShare(r, k.KeyID, k.Secret, k.Hidden, session.IDOf(o.Header.Identity), drill.Drill{
			Role: drill.Operator, By: o.Header.Operator, Level: charter.Export, Backup: backup.Hash(o.Signed), Created: now,
		}, k.Record.Hash(), random)
		if err != nil {
			return nil, err
		}
		if found {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the export has no key of the request")
	}
	return out, nil
}

// DrillPaper does it for a set of sheets.
func DrillPaper(r drill.Request, b paper.Bundle, now time.Time, random io.Reader) (statement.Statement, error) {
	g, err := epoch.GroupOf(b.Suite)
	if err != nil {
		return statement.Statement{}, err
	}
	read := func(what string, raw []byte) (group.Scalar, error) {
		s, err := g.DecodeScalar(raw)
		if err != nil {
			return nil, fmt.Errorf("the sheets' %s is no canonical scalar", what) // the decoder's words could carry it
		}
		return s, nil
	}
	s, err := read("share", b.Share.Expose())
	if err != nil {
		return statement.Statement{}, err
	}
	defer s.Wipe()
	var m group.Scalar
	if b.Mask.Len() > 0 {
		if m, err = read("mask", b.Mask.Expose()); err != nil {
			return statement.Statement{}, err
		}
		defer m.Wipe()
	}
	i := slices.IndexFunc(r.Names, func(n drill.Named) bool { return n.Name == b.Operator })
	if i < 0 {
		return statement.Statement{}, fmt.Errorf("the sheets are of operator %s, whom the request does not name", b.Operator)
	}
	st, found, err := drillShare(r, b.Key, s, m, r.Names[i].Party, drill.Drill{Role: drill.Operator, By: b.Operator, Level: charter.Paper, Created: now}, b.Record, random)
	if err == nil && !found {
		err = fmt.Errorf("the sheets are of vault %s, key %x, which is not in the request", b.Vault, b.Key[:6])
	}
	return st, err
}

// drillShare proves one share, and its mask where the epoch has guardians.
func drillShare(r drill.Request, key [32]byte, s, mask group.Scalar, party engine.PartyID, d drill.Drill, eh epoch.Hash, random io.Reader) (st statement.Statement, found bool, err error) {
	for _, a := range r.Keys {
		k, err := readAsked(a, false)
		if err != nil {
			return st, false, err
		}
		if k.record.KeyID != key {
			continue
		}
		m, ok := k.record.Member(party)
		switch {
		case k.record.Hash() != eh:
			return st, false, fmt.Errorf("vault %s: the backup is of another epoch than number %d, which is in force: it is void", a.Name, k.record.Epoch)
		case !ok:
			return st, false, fmt.Errorf("vault %s: %s holds no share of its epoch in force", a.Name, d.By)
		case k.plan != nil && mask == nil:
			return st, false, fmt.Errorf("vault %s: the backup has no mask inside, and SOS counts on it: cut a new one", a.Name)
		case k.plan == nil:
			mask = nil
		}
		d.Party = party
		st, err = k.prove(r, d, s, m.Public, mask, random)
		return st, true, err
	}
	return st, false, nil
}

// SendDrills hands drills to every node. It needs no key: they count by their proofs.
func (c *Circle) SendDrills(ctx context.Context, all []statement.Statement) (taken []string, failed []Failure, err error) {
	for _, s := range all {
		answers := c.Submit(ctx, &v1.SubmitRequest{What: &v1.SubmitRequest_Signed{Signed: &v1.Signed{Statement: s.Bytes()}}})
		good, err := answers.Need("hand in the drill "+s.ID().Short(), 1)
		if err != nil {
			return nil, failed, err
		}
		for _, a := range good {
			if !slices.Contains(taken, a.Node) {
				taken = append(taken, a.Node)
			}
		}
		failed = append(failed, answers.Failures()...)
	}
	slices.SortFunc(taken, strings.Compare)
	return taken, failed, nil
}

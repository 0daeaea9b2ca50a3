package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client/appeal"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
)

// shownPlea is what one node shows of a request: rosters and charters that hold, and what is still to be held to them.
type shownPlea struct {
	rosters  []carry.Signed
	charters []charter.Enacted
	vault    []byte // statement; nil: it does not show it
	said     []carry.Signed
	keys     []carry.AppealKey // of the request's, empty where the node does not know the epoch
}

// Appeal gathers what a guardian without a network needs to judge a request and to contribute to it, and reads it as they will. It takes a token: the charter and the
// vault are shown to their people alone. A node that shows what does not hold is named, and its word left out: it must not keep a rescue from beginning.
func (c *Circle) Appeal(ctx context.Context, q RescueRequest) (carry.Appeal, appeal.Asked, []Failure, error) {
	answers := AskFor(ctx, c, maxSetTime, func(ctx context.Context, m *Member) (shownPlea, error) {
		p, err := m.plea(ctx, q.Request)
		var own *connect.Error
		if err != nil && !errors.As(err, &own) {
			err = &VerifyError{m.Name, err}
		}
		return p, err
	})
	good := answers.Good()
	if len(good) == 0 {
		return carry.Appeal{}, appeal.Asked{}, nil, &NodesError{"read request " + q.ID.Short(), 1, answers.Failures()}
	}
	f, read, err := gatherPlea(q, good)
	return f, read, answers.Failures(), err
}

func (m *Member) plea(ctx context.Context, q act.Request) (p shownPlea, err error) {
	roster, err := m.Roster(ctx, connect.NewRequest(&v1.RosterRequest{}))
	if err != nil {
		return p, err
	}
	chain, err := readRosters(roster.Msg)
	if err != nil {
		return p, err
	}
	for _, r := range append(slices.Clone(roster.Msg.Earlier), &v1.Roster{Statement: roster.Msg.Statement, Acceptances: roster.Msg.Acceptances}) {
		s := carry.Signed{Statement: r.Statement}
		for _, a := range r.Acceptances {
			s.Signatures = append(s.Signatures, a.Signature)
		}
		p.rosters = append(p.rosters, s)
	}
	rules, err := m.Charter(ctx, connect.NewRequest(&v1.CharterRequest{}))
	if err != nil {
		return p, err
	}
	read, err := readRules(m.Name, chain, rules.Msg)
	if err != nil {
		return p, err
	}
	p.charters = read.Enacted
	vaults, err := m.Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	if err != nil {
		return p, err
	}
	for _, v := range vaults.Msg.Vaults {
		if s, err := statement.ParseKind(v.Statement, statement.Vault); err == nil && s.ID() == q.Vault {
			p.vault = v.Statement
		}
	}
	if err := m.pleaKeys(ctx, q, &p); err != nil {
		return p, err
	}
	said, err := m.SOSSaid(ctx, connect.NewRequest(&v1.SOSSaidRequest{Vault: q.Vault[:]}))
	if err != nil {
		return p, err
	}
	for _, s := range said.Msg.Said {
		p.said = append(p.said, carry.Signed{Statement: s.Statement, Signatures: s.Signatures})
	}
	return p, nil
}

// pleaKeys takes each key in the epoch that the request names.
func (m *Member) pleaKeys(ctx context.Context, q act.Request, p *shownPlea) error {
	for _, k := range q.Keys {
		res, err := m.BackupSet(ctx, connect.NewRequest(&v1.BackupSetRequest{Key: k.Key[:]}))
		if connect.CodeOf(err) == connect.CodeNotFound { // it is outside the committee
			p.keys = append(p.keys, carry.AppealKey{})
			continue
		}
		if err != nil {
			return err
		}
		x := carry.AppealKey{Certificate: res.Msg.Certificate, Plan: res.Msg.Plan, Set: res.Msg.Set}
		if !heldTo(k, x) {
			x = carry.AppealKey{}
		}
		p.keys = append(p.keys, x)
	}
	return nil
}

// heldTo says whether a node shows a key in an epoch, and what its guardians have of it.
func heldTo(k act.Key, x carry.AppealKey) bool {
	cert, err := epoch.DecodeFinalCert(x.Certificate)
	if err != nil || cert.Record.KeyID != k.Key || [32]byte(cert.Record.Hash()) != k.Epoch {
		return false
	}
	plan, err := guard.DecodePlan(x.Plan)
	if err == nil {
		_, _, err = cert.Record.OpenBackups(plan, x.Set)
	}
	return err == nil
}

// gatherPlea takes of each thing the most that a node shows, and of what was said all that holds.
func gatherPlea(q RescueRequest, good Answers[shownPlea]) (f carry.Appeal, read appeal.Asked, err error) {
	var charters []charter.Enacted
	f.Keys = make([]carry.AppealKey, len(q.Keys))
	for _, a := range good {
		x := a.Value
		if len(x.rosters) > len(f.Rosters) {
			f.Rosters = x.rosters
		}
		if len(x.charters) > len(charters) {
			charters = x.charters
		}
		if x.vault != nil {
			f.Vault = x.vault
		}
		for i, k := range x.keys {
			if len(k.Certificate) > 0 {
				f.Keys[i] = k
			}
		}
	}
	if f.Vault == nil {
		return f, read, &RefusedError{"no node shows you the vault: an officer of one of its operators makes the file, or one of its people"}
	}
	for i, k := range f.Keys {
		if len(k.Certificate) == 0 {
			return f, read, &EarlyError{fmt.Sprintf("no node shows key %x in the epoch that the request names, with what its guardians have", q.Keys[i].Key[:6])}
		}
	}
	for _, e := range charters {
		f.Charters = append(f.Charters, e.Bytes())
		if e.Statement.ID() == q.Charter {
			break
		}
	}
	said := together(good)
	for _, sig := range said[q.ID].Signatures { // as each node has it
		f.Request = carry.Signed{Statement: q.Statement.Bytes(), Signatures: [][]byte{sig}}
		if read, err = appeal.Read(f); err == nil {
			f.Said = hear(&read, said)
			return f, read, nil
		}
	}
	if err == nil {
		err = errors.New("no node shows who signed the request")
	}
	return f, read, &VerifyError{FromFile, err}
}

// together are the statements, each with the signatures that any node shows: of each node so many, that none crowds out what another shows.
func together(good Answers[shownPlea]) map[statement.ID]carry.Signed {
	all := map[statement.ID]carry.Signed{}
	for _, a := range good {
		shown := map[statement.ID]int{}
		for _, x := range a.Value.said {
			s, err := statement.Parse(x.Statement)
			if err != nil {
				continue
			}
			one := all[s.ID()]
			one.Statement = x.Statement
			for _, sig := range x.Signatures {
				if shown[s.ID()]++; shown[s.ID()] > maxSaidSignatures {
					break
				}
				if !slices.ContainsFunc(one.Signatures, func(o []byte) bool { return bytes.Equal(o, sig) }) {
					one.Signatures = append(one.Signatures, sig)
				}
			}
			all[s.ID()] = one
		}
	}
	return all
}

// maxSaidSignatures bounds how many of one statement are tried of what a node shows.
const maxSaidSignatures = 32

// hear has the reader take what a guardian needs: of each key the last activation with the seats of its members, of each node the last step into CONTEST and into ACTIVE, and the last that is not ahead of
// this clock, of each guardian a veto, of each subject what proves that it lives. What does not hold is left out. A statement that one person or node signs is tried with each signature that is
// shown.
func hear(read *appeal.Asked, said map[statement.ID]carry.Signed) (taken []carry.Signed) {
	var all []statement.Statement
	for _, x := range said {
		if s, err := statement.Parse(x.Statement); err == nil && wanted(s) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, lastFirst)
	had := map[string]bool{}
	for _, s := range all {
		f, tries := s.Fields(), [][][]byte{said[s.ID()].Signatures}
		if s.Kind() != statement.SOSActivation {
			tries = nil
			for _, sig := range said[s.ID()].Signatures {
				tries = append(tries, [][]byte{sig})
			}
			if len(tries) == 0 {
				tries = [][][]byte{nil} // it proves itself
			}
		}
		whose := fmt.Sprint(s.Kind(), f.Get("operator"), f.Get("by"), f.Get("key"))
		if s.Kind() == statement.SOSStep {
			whose += f.Get("state")
		}
		if s.Kind() == statement.SOSStep && s.Fields().Time("created").After(time.Now().Add(act.Skew)) { // it takes the place of no other: readers leave it out
			whose += " ahead"
		}
		if s.Kind() == statement.SOSSeat { // which of them counts, the activation says
			whose = s.ID().String()
		}
		for _, sigs := range tries {
			if x := (carry.Signed{Statement: s.Bytes(), Signatures: sigs}); !had[whose] && read.Hear(x) == nil {
				taken, had[whose] = append(taken, x), true
			}
		}
	}
	return slices.DeleteFunc(taken, func(x carry.Signed) bool { return idle(*read, x) })
}

// idle says that a statement is the seat of no activation.
func idle(read appeal.Asked, x carry.Signed) bool {
	s, err := statement.ParseKind(x.Statement, statement.SOSSeat)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(read.Keys, func(k appeal.Key) bool {
		return k.Activation != nil && k.Key.Key == s.Fields().ID("key") && uint64(k.Activation.Attempt) == s.Fields().Uint("attempt") &&
			slices.ContainsFunc(k.Activation.Members, func(m act.Member) bool {
				return m.Operator == s.Fields().Get("operator") && m.Encryption == [32]byte(s.Fields().Hex("encryption"))
			})
	})
}

func wanted(s statement.Statement) bool {
	switch s.Kind() {
	case statement.SOSSeat, statement.SOSActivation, statement.SOSVeto, statement.SOSAlive, statement.SOSSigned:
		return true
	case statement.SOSStep:
		return slices.Contains([]string{sos.Contest.String(), sos.Active.String()}, s.Fields().Get("state"))
	}
	return false
}

// lastFirst puts seats first, higher attempts before lower ones, later words before earlier, and what is left in one order for all.
func lastFirst(a, b statement.Statement) int {
	attempt := func(s statement.Statement) uint64 {
		switch s.Kind() {
		case statement.SOSSeat:
			return statement.MaxSOSAttempt + 1
		case statement.SOSActivation:
			return s.Fields().Uint("attempt")
		}
		return 0
	}
	return cmp.Or(cmp.Compare(attempt(b), attempt(a)), b.Fields().Time("created").Compare(a.Fields().Time("created")), bytes.Compare(a.Bytes(), b.Bytes()))
}

// Contribute hands a guardian's contribution to every node, part by part. The nodes check it; whoever carries it is nobody.
func (c *Circle) Contribute(ctx context.Context, x carry.Contribution) (parts []Answers[Taken]) {
	for _, p := range x.Parts {
		req := &v1.SubmitRequest{What: &v1.SubmitRequest_Contribution{Contribution: &v1.Contribution{Activation: p.Activation[:], Contribution: p.Contribution}}}
		parts = append(parts, c.Submit(ctx, req))
	}
	return parts
}

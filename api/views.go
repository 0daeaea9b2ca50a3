package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/wallet"
)

// views turns what the node knows into messages.
type views struct{ d *node.Daemon }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return statement.FormatTime(t)
}

func (v *views) names(ids []engine.PartyID) (out []string) {
	for _, id := range ids {
		out = append(out, v.d.Name(id))
	}
	return out
}

// vault shows a vault statement and, once all accepted it, its keys.
func (v *views) vault(a charter.Accepted) (*pb.Vault, error) {
	spec, err := charter.VaultOf(a.Statement)
	if err != nil {
		return nil, err
	}
	out := &pb.Vault{
		Id: idBytes(spec.ID), Name: spec.Name, Tier: v.d.Charters.Terms(spec).Tier,
		Threshold: uint32(spec.Threshold), Parties: uint32(len(spec.Committee)), State: "accepting", Statement: a.Statement.Bytes(),
	}
	for _, x := range v.d.Circle.Reshares(spec.ID) {
		out.Reshares = append(out.Reshares, x.Bytes())
	}
	rescued, err := v.d.Keeper.RescuedBy(spec.ID)
	if err != nil {
		return nil, err
	}
	out.Rescued = rescued
	roots := v.d.Keeper.Vault(spec.ID)
	if len(roots) > 0 {
		spec = roots[0].Vault
		out.Threshold, out.Parties = uint32(spec.Threshold), uint32(len(spec.Committee))
	}
	for _, name := range spec.Committee {
		_, accepted := a.Signatures[name]
		out.Members = append(out.Members, &pb.Member{Operator: name, Accepted: accepted || len(roots) > 0})
		if !accepted && len(roots) == 0 {
			out.Waiting = append(out.Waiting, name)
		}
	}
	for i, x := range roots {
		r, err := v.root(x)
		if err != nil {
			return nil, err
		}
		out.Roots = append(out.Roots, r)
		if i == 0 || out.State == ceremony.StepReady {
			out.State, out.Waiting, out.LastError = r.State, r.Waiting, r.LastError
		}
	}
	return out, nil
}

func (v *views) root(x ceremony.View) (*pb.Root, error) {
	out := &pb.Root{Suite: x.Suite, State: x.Step, Waiting: x.Waiting, LastError: v.d.Readable(x.LastErr)}
	for _, p := range x.Parties {
		out.Holders = append(out.Holders, &pb.Holder{
			Operator: x.Names[p.ID], Index: uint32(p.Index), Identity: p.Identity, Proved: stamp(x.Proofs[p.ID]),
		})
	}
	if x.Current == nil {
		return out, nil
	}
	out.Moved, out.Due, out.Overdue = stamp(x.Change.Moved), stamp(x.Change.Due), x.Change.Overdue
	out.LeftEpoch, out.LeftAt = x.Left.Epoch, stamp(x.Left.At)
	out.Change, out.ChangeWaiting = x.Change.Step, x.Change.Waiting
	r := x.Current.Record
	eh := r.Hash()
	out.PublicKey, out.Key, out.Epoch, out.EpochNumber = r.Public.Bytes(), r.KeyID[:], eh[:], r.Epoch
	out.FinalCertificate, out.Threshold = x.Current.Encode(), uint32(r.Threshold)
	if p, ok := r.Public.(*secp256k1.Point); ok {
		root, err := hd.Root(p, r.ChainCode)
		if err != nil {
			return nil, err
		}
		out.Xpub = root.XPub(hd.Mainnet)
	}
	return out, nil
}

// vaults shows what somebody may see; all of them also those that this node knows no key of.
func (v *views) vaults(may func(charter.Vault) bool, all bool) (*pb.VaultsResponse, error) {
	out := &pb.VaultsResponse{}
	for _, a := range v.d.Circle.Vaults() {
		spec, err := charter.VaultOf(a.Statement)
		if err != nil {
			return nil, err
		}
		roots := v.d.Keeper.Vault(spec.ID)
		if spec = v.d.Charters.Terms(spec); len(roots) > 0 {
			spec = roots[0].Vault // whoever holds it now
		}
		if !may(spec) || !all && len(roots) > 0 && roots[0].Outside {
			continue
		}
		one, err := v.vault(a)
		if err != nil {
			return nil, err
		}
		out.Vaults = append(out.Vaults, one)
	}
	slices.SortFunc(out.Vaults, func(a, b *pb.Vault) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) })
	return out, nil
}

func acceptances(a charter.Accepted) (out []*pb.Signed) {
	for _, name := range sortedKeys(a.Signatures) {
		out = append(out, &pb.Signed{Signature: a.Signatures[name]})
	}
	return out
}

// charter shows all versions that were in force, and what stands beside them.
func (v *views) charter() *pb.CharterResponse {
	out := &pb.CharterResponse{}
	for _, e := range v.d.Charters.Versions() {
		out.Versions = append(out.Versions, e.Bytes())
	}
	for _, x := range v.d.Charters.Pending() {
		p := &pb.PendingCharter{
			Statement: x.Accepted.Statement.Bytes(), Acceptances: acceptances(x.Accepted), Missing: x.Missing, Since: stamp(x.Since), Due: stamp(x.Due), Awaited: x.Awaited,
		}
		for _, s := range x.Vetoes {
			p.Vetoes = append(p.Vetoes, &pb.Signed{Statement: s.Statement.Bytes(), Signature: s.Signature})
		}
		out.Pending = append(out.Pending, p)
	}
	for _, s := range v.d.Charters.Revoked() {
		out.Revocations = append(out.Revocations, &pb.Signed{Statement: s.Statement.Bytes(), Signature: s.Signature})
	}
	seen := map[statement.ID]bool{}
	for _, r := range v.d.Keeper.Roots() {
		if seen[r.Vault.ID] {
			continue
		}
		seen[r.Vault.ID] = true
		for _, f := range v.d.Charters.Freezes(r.Vault.ID, time.Now()) {
			out.Frozen = append(out.Frozen, &pb.Frozen{Vault: idBytes(r.Vault.ID), Freeze: idBytes(f.ID), Operator: f.Operator, Expires: stamp(f.Expires), Reason: f.Reason})
		}
	}
	return out
}

func (v *views) intent(x decide.View) *pb.Intent {
	id := x.Statement.ID()
	out := &pb.Intent{
		Id: idBytes(id), Vault: idBytes(x.Intent.Vault), Statement: x.Statement.Bytes(), ProposalSignature: x.Proposal,
		State: x.State.String(), Changed: stamp(x.Changed), Undecided: x.Undecided, Missing: x.Missing, Waits: x.Waits,
		LastError: x.LastErr, Awaited: x.Awaited, Raw: x.Raw, Hash: x.Hash, Height: x.Height, Reverted: x.Reverted,
		Alarm: x.Alarm, PossiblySigned: x.Possibly, Over: x.Over,
	}
	for _, b := range x.Votes {
		out.Votes = append(out.Votes, &pb.Ballot{Person: b.Person, Verb: string(b.Verb), Signature: b.Armor})
	}
	for _, d := range x.Decisions {
		one := &pb.Decision{
			Operator: d.Operator, Verdict: string(d.Verdict), Rule: d.Rule, Reason: d.Reason,
			Statement: d.Statement.Bytes(), Signature: d.Signature,
		}
		for _, f := range d.Facts {
			one.Facts = append(one.Facts, &pb.Fact{Name: f.Name, Value: f.Value})
		}
		out.Decisions = append(out.Decisions, one)
	}
	return out
}

func (v *views) intents(vault []byte, may func(statement.ID) bool) *pb.IntentsResponse {
	out := &pb.IntentsResponse{}
	for _, x := range v.d.Desk.List() {
		if may(x.Intent.Vault) && (len(vault) == 0 || slices.Equal(vault, idBytes(x.Intent.Vault))) {
			out.Intents = append(out.Intents, v.intent(x))
		}
	}
	return out
}

func (v *views) session(s session.Status) *pb.Session {
	out := &pb.Session{
		Setup: s.Setup[:], Protocol: s.Protocol, Title: s.Title, Parties: v.names(s.Parties), Opener: v.d.Name(s.Opener),
		Round: uint32(s.Round), Waiting: v.names(s.Waiting), Started: stamp(s.Started), Deadline: stamp(s.Deadline), Ended: stamp(s.Ended),
	}
	if s.Session != (engine.SessionID{}) {
		out.Id = s.Session[:]
	}
	if s.Err != nil {
		out.Error = v.d.Explain(s.Err)
	}
	var f *engine.Fault
	if errors.As(s.Err, &f) {
		out.Class, out.Accused = f.Class.String(), v.names(f.Accused)
	}
	return out
}

func (v *views) sessions(may func(key [32]byte) bool) *pb.SessionsResponse {
	out := &pb.SessionsResponse{}
	for _, s := range v.d.Sessions.Sessions() {
		if may(s.Key) {
			out.Sessions = append(out.Sessions, v.session(s))
		}
	}
	return out
}

func counts(m map[string]int) map[string]uint32 {
	out := map[string]uint32{}
	for k, n := range m {
		out[k] = uint32(n)
	}
	return out
}

func address(a wallet.Address) *pb.Address {
	return &pb.Address{Path: a.Path.String(), Address: a.Address, PublicKey: a.PublicKey, Suite: a.Suite, Chain: a.Chain}
}

func idBytes(id statement.ID) []byte { return id[:] }

func idOf(b []byte, what string) (statement.ID, error) {
	if len(b) != len(statement.ID{}) {
		return statement.ID{}, fail(errors.New(what + " is not 32 bytes"))
	}
	return statement.ID(b), nil
}

// proven waits until every share of a vault's key of one suite proved itself within a day, and asks for proofs
// where one did not.
func (v *views) proven(ctx context.Context, id statement.ID, suite string) ([]string, error) {
	const patience = 10 * time.Second
	asked := false
	for end := time.Now().Add(patience); ; {
		view, ok := v.d.Keeper.Root(id, suite)
		if !ok || view.Current == nil {
			return nil, ceremony.ErrNoKey
		}
		stale := view.Stale(time.Now())
		if len(stale) == 0 || time.Now().After(end) {
			return stale, nil
		}
		if !asked {
			if err := v.d.Keeper.ProveAll(ctx, time.Now(), id, suite); err != nil {
				return nil, err
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return stale, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

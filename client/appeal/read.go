package appeal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

// Asked is what a guardian is asked for, verified from the file alone.
type Asked struct {
	Plan    plan.Plan
	Vault   charter.Vault   // with the committee and threshold of the epoch that ends
	History charter.History // up to the charter that the request names
	Request act.Request
	Keys    []Key      // all of the request, ascending
	Seats   []act.Seat // of those who may hold the new shares
	Steps   []act.Step // about the request
	Vetoes  []act.Veto
	Alive   []act.Alive    // subjects' proofs of life
	Tests   []act.Signed   // what the vault signed with a subject since
	members []epoch.Member // of all keys: one committee
}

// A Key is one of the request's, in the epoch that ends.
type Key struct {
	act.Key
	Record     *epoch.Record
	Guards     *guard.Plan
	Set        *guard.Set
	Terms      guard.Terms
	Activation *act.Activation   // nil: the contributors have not signed one
	Committee  *guard.Activation // what it says in the protocol
}

// Charter is the one that the request names.
func (a Asked) Charter() charter.Charter {
	c, _ := a.History.Newest()
	return c
}

// Read verifies all that a file says (spec/guardian 4.2).
func Read(f carry.Appeal) (a Asked, err error) {
	rosters, err := readRosters(f.Rosters)
	if err != nil {
		return a, err
	}
	if a.History, err = readCharters(f.Charters, rosters); err != nil {
		return a, err
	}
	request, err := statement.ParseKind(f.Request.Statement, statement.SOSRequest)
	if err == nil {
		a.Request, err = act.RequestOf(request)
	}
	if err != nil {
		return a, fmt.Errorf("request: %w", err)
	}
	if a.Charter().ID != a.Request.Charter {
		return a, fmt.Errorf("charter: the last one in the file is %s, and the request is under %s", a.Charter().ID.Short(), a.Request.Charter.Short())
	}
	if err := a.readVault(f.Vault); err != nil {
		return a, err
	}
	if err := a.readKeys(f.Keys); err != nil {
		return a, err
	}
	if err := a.readPlan(rosters, request, f.Request.Signatures); err != nil {
		return a, err
	}
	if err := a.checkGuards(); err != nil {
		return a, err
	}
	return a, a.hearAll(f.Said)
}

// hearAll takes what was said in any order: activations last, for they are held to what their members announced.
func (a *Asked) hearAll(said []carry.Signed) error {
	for _, activations := range []bool{false, true} {
		for i, x := range said {
			s, err := statement.Parse(x.Statement)
			if err == nil && (s.Kind() == statement.SOSActivation) != activations {
				continue
			}
			if err == nil {
				err = a.Hear(x)
			}
			if err != nil {
				return fmt.Errorf("statement %d about the request: %w", i+1, err)
			}
		}
	}
	return nil
}

func readRosters(all []carry.Signed) (chain charter.Chain, err error) {
	if len(all) == 0 {
		return nil, errors.New("roster: there is none")
	}
	for i, x := range all {
		s, err := statement.ParseKind(x.Statement, statement.Roster)
		var r charter.Roster
		var need charter.Acceptance
		if err == nil {
			r, err = charter.RosterOf(s)
		}
		if err == nil {
			need, err = chain.Acceptance(r)
		}
		accepted := charter.Accepted{Statement: s}
		for _, sig := range x.Signatures {
			if err == nil {
				accepted, _, err = accepted.Add(need.All(), sig)
			}
		}
		if err == nil {
			chain, err = chain.Next(accepted)
		}
		if err != nil {
			return nil, fmt.Errorf("roster, version %d: %w", i, err)
		}
	}
	return chain, nil
}

func readCharters(all [][]byte, rosters charter.Chain) (h charter.History, err error) {
	if len(all) == 0 {
		return nil, errors.New("charter: there is none")
	}
	for i, raw := range all {
		e, err := charter.DecodeEnacted(raw)
		if err == nil {
			h, err = h.Next(e, rosters)
		}
		if err != nil {
			return nil, fmt.Errorf("charter, version %d: %w", i, err)
		}
	}
	return h, nil
}

// readVault takes the name of the vault from its statement, whose id the request names.
func (a *Asked) readVault(raw []byte) error {
	s, err := statement.ParseKind(raw, statement.Vault)
	if err == nil {
		a.Vault, err = charter.VaultOf(s)
	}
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if a.Vault.ID != a.Request.Vault {
		return fmt.Errorf("vault: the file has %s, and the request is of vault %s", a.Vault.ID.Short(), a.Request.Vault.Short())
	}
	return nil
}

// maxAttempts bounds how many key generations of one vault are looked for.
const maxAttempts = 4096

// owns says whether a key id is that of one of a vault's key generations, numbered from 1.
func owns(vault statement.ID, r *epoch.Record) bool {
	for attempt := uint64(1); attempt <= maxAttempts; attempt++ {
		if epoch.KeyID(vault, r.Suite, attempt) == r.KeyID {
			return true
		}
	}
	return false
}

// readKeys holds each key to its final certificate, which all its members signed, and what guardians have to the record in it.
func (a *Asked) readKeys(all []carry.AppealKey) error {
	if len(all) != len(a.Request.Keys) {
		return fmt.Errorf("keys: the file has %d, and the request names %d", len(all), len(a.Request.Keys))
	}
	for i, x := range all {
		want := a.Request.Keys[i]
		k, err := readKey(a.Request.Vault, want, x)
		if err != nil {
			return fmt.Errorf("key %x: %w", want.Key[:6], err)
		}
		// A second committee beside the first would hide who is asked to give what.
		if i > 0 && !sameCommittee(a.Keys[0].Record, k.Record) {
			return fmt.Errorf("key %x: its epoch is another committee's than that of key %x", want.Key[:6], a.Keys[0].Key.Key[:6])
		}
		a.Keys = append(a.Keys, k)
	}
	a.members = a.Keys[0].Record.Members
	return nil
}

func readKey(vault statement.ID, want act.Key, x carry.AppealKey) (k Key, err error) {
	k.Key = want
	cert, err := epoch.DecodeFinalCert(x.Certificate)
	if err != nil {
		return k, err
	}
	k.Record = cert.Record
	switch {
	case k.Record.KeyID != want.Key || [32]byte(k.Record.Hash()) != want.Epoch:
		return k, fmt.Errorf("the certificate is of key %x in epoch %v; the request names epoch %x", k.Record.KeyID[:6], k.Record.Hash(), want.Epoch[:6])
	case !owns(vault, k.Record):
		return k, errors.New("it is of another vault")
	}
	if k.Guards, err = guard.DecodePlan(x.Plan); err != nil {
		return k, err
	}
	// The FinalCert's members checked every encryption in their PREP; one honest member is enough (spec/guard 3.1).
	k.Set, k.Terms, err = k.Record.OpenBackups(k.Guards, x.Set)
	return k, err
}

func sameCommittee(a, b *epoch.Record) bool {
	return a.Threshold == b.Threshold && len(a.Members) == len(b.Members) && !slices.ContainsFunc(a.Members, func(x epoch.Member) bool { // their indices may differ: each key has its own
		return !slices.ContainsFunc(b.Members, func(y epoch.Member) bool { return x.Party.Identity.Equal(y.Party.Identity) })
	})
}

// readPlan reads the plan for the committee that the records show, by the newest roster under which the request holds. One that dropped an operator of the committee
// since cannot be read; then that of the charter counts.
func (a *Asked) readPlan(rosters charter.Chain, request statement.Statement, sigs [][]byte) error {
	a.Vault.Threshold, a.Vault.Committee = a.Keys[0].Record.Threshold, nil
	for _, m := range a.members {
		o, ok := rosters.Identity(m.Identity)
		if !ok {
			return fmt.Errorf("member %v of the epoch is no operator of the circle", m.ID)
		}
		a.Vault.Committee = append(a.Vault.Committee, o.Name)
	}
	slices.Sort(a.Vault.Committee)
	then, _ := rosters.Reach(a.Charter().Roster)
	var first error
	for _, r := range []charter.Roster{rosters.Newest(), then} {
		p, err := plan.Of(a.Charter(), r, a.Vault)
		if err == nil {
			err = p.Validate()
		}
		if err == nil {
			a.Request, err = act.VerifyRequest(request, sigs[0], p)
		}
		if err == nil {
			a.Plan = p
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// checkGuards holds the epochs to the charter: every operator of the old epoch agreed to these guardians, successors and rescue addresses, and to no others.
func (a *Asked) checkGuards() error {
	s := a.Charter().TermsNow(a.Vault).SOS
	for _, k := range a.Keys {
		if s == nil || k.Guards.Terms != s.Hash || k.Guards.Operators != a.Plan.Live || k.Guards.Quorum != a.Plan.Quorum {
			return fmt.Errorf("key %x: its epoch was made under another SOS plan than the charter's", k.Key.Key[:6])
		}
	}
	return nil
}

// Hear takes what somebody said about the request, or leaves all as it was. The seats of an activation come before it.
func (a *Asked) Hear(x carry.Signed) error {
	s, err := statement.Parse(x.Statement)
	if err != nil {
		return err
	}
	if proves := s.Kind() == statement.SOSAlive || s.Kind() == statement.SOSSigned; proves {
		return a.hearLife(s, x.Signatures)
	}
	if len(x.Signatures) == 0 {
		return fmt.Errorf("%s %s: nobody signed it", s.Kind(), s.ID().Short())
	}
	switch s.Kind() {
	case statement.SOSActivation:
		return a.activate(s, x.Signatures)
	case statement.SOSSeat:
		v, err := act.VerifySeat(s, x.Signatures[0], a.Plan)
		if err == nil {
			err = v.Head.Of(a.Request)
		}
		if err == nil {
			a.Seats = append(a.Seats, v)
		}
		return err
	case statement.SOSStep:
		v, err := act.VerifyStep(s, x.Signatures[0], a.Plan)
		if err == nil {
			err = v.Head.Of(a.Request)
		}
		if err == nil {
			a.Steps = append(a.Steps, v)
		}
		return err
	case statement.SOSVeto:
		v, err := act.VerifyVeto(s, x.Signatures[0], a.Plan)
		if err == nil {
			err = v.Head.Of(a.Request)
		}
		if err == nil {
			a.Vetoes = append(a.Vetoes, v)
		}
		return err
	}
	return fmt.Errorf("statements of kind %q have no place in an appeal", s.Kind())
}

// hearLife takes what proves itself by the records in the file, whoever put it there. Nobody signs it.
func (a *Asked) hearLife(s statement.Statement, sigs [][]byte) error {
	if len(sigs) > 0 {
		return fmt.Errorf("%s %s: nobody signs it, and %d signatures stand beside it", s.Kind(), s.ID().Short(), len(sigs))
	}
	if s.Kind() == statement.SOSAlive {
		v, err := act.AliveOf(s)
		if err == nil {
			err = act.CheckAlive(v, a.Request, a.point)
		}
		if err == nil {
			a.Alive = append(a.Alive, v)
		}
		return err
	}
	v, err := act.SignedOf(s)
	if err == nil {
		err = act.CheckSigned(v, a.Request, func(k act.Key, digest [32]byte, sig []byte) error {
			i := slices.IndexFunc(a.Keys, func(x Key) bool { return x.Key == k })
			return chain.CheckDigest(a.Keys[i].Record.Suite, a.Keys[i].Record.Public, digest, sig) // the request's keys are the file's
		})
	}
	if err == nil {
		a.Tests = append(a.Tests, v)
	}
	return err
}

// point is an operator's party and public share in the epoch that ends.
func (a *Asked) point(k act.Key, operator string) (party [16]byte, public group.Point, err error) {
	o, ok := a.Plan.Anyone(operator)
	for _, x := range a.Keys {
		for _, m := range x.Record.Members {
			if ok && x.Key == k && slices.Equal(m.Identity, o.Identity) {
				return m.ID, m.Public, nil
			}
		}
	}
	return party, nil, fmt.Errorf("%s holds no share of key %x", operator, k.Key[:6])
}

// activate takes an activation that the nodes of all its contributors signed, and gives it the form that the protocol knows.
func (a *Asked) activate(s statement.Statement, sigs [][]byte) error {
	v, err := act.ActivationOf(s)
	if err != nil {
		return err
	}
	if v, err = act.VerifyActivation(s, byContributor(v, s, sigs, a.Plan), a.Plan); err != nil {
		return err
	}
	if err := v.Head.Of(a.Request); err != nil {
		return err
	}
	i := slices.IndexFunc(a.Keys, func(k Key) bool { return k.Key == v.Key })
	switch {
	case i < 0:
		return fmt.Errorf("activation: key %x in epoch %x is none of the request's", v.Key.Key[:6], v.Epoch[:6])
	case a.Keys[i].Activation != nil: // a guardian answers one of them
		return fmt.Errorf("activation: key %x has two in this file", v.Key.Key[:6])
	}
	c, err := a.committee(a.Keys[i].Record, v)
	if err == nil {
		err = v.Seated(a.Seats)
	}
	if err != nil {
		return fmt.Errorf("activation %s: %w", v.ID.Short(), err)
	}
	a.Keys[i].Activation, a.Keys[i].Committee = &v, c
	return nil
}

// byContributor finds each contributor's signature: they come in no order.
func byContributor(v act.Activation, s statement.Statement, sigs [][]byte, p plan.Plan) map[string][]byte {
	out := map[string][]byte{}
	for _, name := range v.Contributors {
		o, known := p.Anyone(name)
		for _, sig := range sigs {
			if known && signet.VerifyNode(o.Identity, s, sig) == nil {
				out[name] = sig
			}
		}
	}
	return out
}

// committee is the new one, by index. Its parties are those of the plan's operators, whatever the activation calls them: another's party would be dealt a share under an
// operator's name.
func (a *Asked) committee(r *epoch.Record, v act.Activation) (*guard.Activation, error) {
	out := &guard.Activation{ID: v.ID, Threshold: v.Threshold}
	for _, m := range v.Members {
		o, ok := a.Plan.Anyone(m.Operator)
		if !ok {
			return nil, fmt.Errorf("member %s: no operator of the circle", m.Operator)
		}
		id := session.IDOf(o.Identity)
		for _, old := range r.Members {
			if slices.Equal(old.Identity, o.Identity) {
				id = old.ID
			}
		}
		if id != m.Party {
			return nil, fmt.Errorf("member %s: party: not the operator's", m.Operator)
		}
		key, err := pve.ParseKey(m.Encryption[:])
		if err != nil {
			return nil, fmt.Errorf("member %s: encryption: %w", m.Operator, err)
		}
		out.Members = append(out.Members, guard.NewMember{Party: session.Party{ID: id, Index: share.Index(m.Index), Identity: o.Identity}, Key: key})
	}
	slices.SortFunc(out.Members, func(x, y guard.NewMember) int { return int(x.Index) - int(y.Index) })
	if err := r.CheckSeats(out.Parties()); err != nil {
		return nil, err
	}
	return out, session.CheckRoster(out.Parties(), out.Threshold)
}

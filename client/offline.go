package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// raw is what one node shows of an intent, as it came.
type raw struct {
	roster  *v1.RosterResponse
	charter *v1.CharterResponse
	vault   *v1.Vault
	intent  *v1.Intent
}

// Carry gathers what an approver without a network needs to judge an intent: of each thing the most that a node shows. vaults are those that
// Vaults returned. What it returns is for ReadCarried to verify.
func (c *Circle) Carry(ctx context.Context, vaults []Vault, id statement.ID) (carry.Case, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (raw, error) { return m.raw(ctx, vaults, id) })
	good, err := answers.Need("read intent "+id.Short(), 1)
	if err != nil {
		return carry.Case{}, err
	}
	most := good[0].Value
	for _, a := range good[1:] {
		x := a.Value
		if len(x.roster.Earlier) > len(most.roster.Earlier) {
			most.roster = x.roster
		}
		if len(x.charter.Versions) > len(most.charter.Versions) {
			most.charter = x.charter
		}
		if certified(x.vault) > certified(most.vault) || certified(x.vault) == certified(most.vault) && len(x.vault.Reshares) > len(most.vault.Reshares) {
			most.vault = x.vault
		}
	}
	out := carry.Case{Charters: most.charter.Versions, Vault: most.vault.Statement, Reshares: most.vault.Reshares, Rescued: most.vault.Rescued}
	for _, r := range append(slices.Clone(most.roster.Earlier), &v1.Roster{Statement: most.roster.Statement, Acceptances: most.roster.Acceptances}) {
		s := carry.Signed{Statement: r.Statement}
		for _, a := range r.Acceptances {
			s.Signatures = append(s.Signatures, a.Signature)
		}
		out.Rosters = append(out.Rosters, s)
	}
	for _, r := range most.vault.Roots {
		out.Roots = append(out.Roots, carry.Root{Suite: r.Suite, Certificate: r.FinalCertificate})
	}
	for _, a := range good {
		merge(&out, a.Value)
	}
	return out, nil
}

func certified(v *v1.Vault) (n int) {
	for _, r := range v.Roots {
		if len(r.FinalCertificate) > 0 {
			n++
		}
	}
	return n
}

// merge adds what a node shows beside the others: signatures that they lack.
func merge(out *carry.Case, x raw) {
	out.Intent = carry.Signed{Statement: x.intent.Statement, Signatures: [][]byte{x.intent.ProposalSignature}}
	for _, r := range x.charter.Revocations {
		if !slices.ContainsFunc(out.Revocations, func(s carry.Signed) bool { return slices.Equal(s.Statement, r.Statement) }) {
			out.Revocations = append(out.Revocations, carry.Signed{Statement: r.Statement, Signatures: [][]byte{r.Signature}})
		}
	}
	for _, b := range x.intent.Votes {
		if !slices.ContainsFunc(out.Votes, func(v carry.Vote) bool { return v.Person == b.Person && v.Verb == b.Verb }) {
			out.Votes = append(out.Votes, carry.Vote{Person: b.Person, Verb: b.Verb, Signature: b.Signature})
		}
	}
	for _, d := range x.intent.Decisions {
		if !slices.ContainsFunc(out.Decisions, func(s carry.Signed) bool { return slices.Equal(s.Statement, d.Statement) }) {
			out.Decisions = append(out.Decisions, carry.Signed{Statement: d.Statement, Signatures: [][]byte{d.Signature}})
		}
	}
	if len(out.Raw) == 0 {
		out.Raw = x.intent.Raw
	}
}

// raw reads all of one node, and verifies its intent.
func (m *Member) raw(ctx context.Context, vaults []Vault, id statement.ID) (r raw, err error) {
	roster, err := m.Roster(ctx, connect.NewRequest(&v1.RosterRequest{}))
	if err != nil {
		return r, err
	}
	rules, err := m.Charter(ctx, connect.NewRequest(&v1.CharterRequest{}))
	if err != nil {
		return r, err
	}
	one, err := m.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
	if err != nil {
		return r, err
	}
	if one.Msg.Intent == nil {
		return r, &VerifyError{m.Name, errors.New("it answers without the intent")}
	}
	c, err := ReadCase(m.Name, vaults, one.Msg.Intent)
	if err == nil && c.ID() != id {
		err = &VerifyError{m.Name, errors.New("it answers with another intent")}
	}
	if err != nil {
		return r, err
	}
	list, err := m.Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	if err != nil {
		return r, err
	}
	i := slices.IndexFunc(list.Msg.Vaults, func(v *v1.Vault) bool { return slices.Equal(v.Id, c.Vault.ID[:]) })
	if i < 0 {
		return r, &VerifyError{m.Name, fmt.Errorf("it shows an intent of vault %s, and not the vault", c.Vault.ID.Short())}
	}
	return raw{roster.Msg, rules.Msg, list.Msg.Vaults[i], one.Msg.Intent}, nil
}

// A Trust is what somebody without a network believes already: the identities of nodes, or else the id of a version of the roster.
type Trust struct {
	Identities []ed25519.PublicKey
	Roster     statement.ID // zero: none
}

// FromFile stands where the name of a node stands that shows something.
const FromFile = "(the file)"

// leastTrusted is how many pinned nodes must have enacted the charter: as approving with a network compares the copies of two.
const leastTrusted = 2

// check wants the pinned nodes to have signed what an intent stands under. Their identities in a roster prove nothing: who writes it lists whom
// it likes. A node's signature under a charter, which names its roster, does.
func (t Trust) check(chain charter.Chain, of ...charter.Charter) error {
	if t.Roster != (statement.ID{}) {
		if _, ok := chain.Version(t.Roster); !ok {
			return fmt.Errorf("roster %s is no version of its circle's roster: it is of another circle, or forged", t.Roster.Short())
		}
		return nil
	}
	if len(t.Identities) == 0 {
		return errors.New("no node's identity is known here, and no roster's id: there is nothing to believe it by")
	}
	for _, x := range of {
		r, _ := chain.Version(x.Roster) // all its operators' nodes have enacted x
		n := 0
		for _, id := range t.Identities {
			if operatorOf(r, id) != "" {
				n++
			}
		}
		if need := min(leastTrusted, len(t.Identities)); n < need {
			return fmt.Errorf("version %d of its charter is signed by %d of the nodes whose identities are known here, %d are needed: it is of another circle, or forged", x.Version, n, need)
		}
	}
	return nil
}

// ReadCarried verifies a file's case from the file and what is believed already alone. What nodes said without a signature is not in it.
func ReadCarried(x carry.Case, t Trust) (*Case, error) {
	c, err := readCarried(x, t)
	if err != nil {
		return nil, &VerifyError{FromFile, err}
	}
	return MergeCases([]*Case{c})
}

func readCarried(x carry.Case, t Trust) (*Case, error) {
	if len(x.Rosters) == 0 {
		return nil, errors.New("it holds no roster")
	}
	var all []*v1.Roster
	for _, r := range x.Rosters {
		m := &v1.Roster{Statement: r.Statement}
		for _, s := range r.Signatures {
			m.Acceptances = append(m.Acceptances, &v1.Signed{Signature: s})
		}
		all = append(all, m)
	}
	last := all[len(all)-1]
	chain, err := readRosters(&v1.RosterResponse{Statement: last.Statement, Acceptances: last.Acceptances, Earlier: all[:len(all)-1]})
	if err != nil {
		return nil, err
	}
	shown := &v1.CharterResponse{Versions: x.Charters}
	for _, r := range x.Revocations {
		shown.Revocations = append(shown.Revocations, &v1.Signed{Statement: r.Statement, Signature: r.Signatures[0]})
	}
	rules, err := readRules(FromFile, chain, shown)
	if err != nil {
		return nil, fmt.Errorf("charter: %w", err)
	}
	m, err := carriedVault(x)
	if err != nil {
		return nil, err
	}
	v, err := readVault(chain, &rules, m)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	c, err := readCase(FromFile, []Vault{v}, carriedIntent(x))
	if err != nil {
		return nil, fmt.Errorf("intent: %w", err)
	}
	newest, _ := rules.History.Newest()
	return c, t.check(chain, newest, c.Charter())
}

func carriedVault(x carry.Case) (*v1.Vault, error) {
	s, err := statement.ParseKind(x.Vault, statement.Vault)
	if err != nil {
		return nil, err
	}
	id := s.ID()
	m := &v1.Vault{Id: id[:], Statement: x.Vault, Reshares: x.Reshares, Rescued: x.Rescued, State: Ready}
	for _, r := range x.Roots {
		root := &v1.Root{Suite: r.Suite, State: "not shown"}
		if len(r.Certificate) > 0 {
			f, err := epoch.DecodeFinalCert(r.Certificate)
			if err != nil {
				return nil, fmt.Errorf("key of suite %.32q: %w", r.Suite, err)
			}
			eh := f.Record.Hash()
			root.State, root.PublicKey, root.Key, root.Epoch, root.FinalCertificate = Ready, f.Record.Public.Bytes(), f.Record.KeyID[:], eh[:], r.Certificate
		}
		m.Roots = append(m.Roots, root)
	}
	if len(m.Roots) == 0 || certified(m) < len(m.Roots) {
		m.State = "not shown"
	}
	return m, nil
}

func carriedIntent(x carry.Case) *v1.Intent {
	m := &v1.Intent{Statement: x.Intent.Statement, ProposalSignature: x.Intent.Signatures[0], Raw: x.Raw, State: "proposed"}
	if s, err := statement.Parse(x.Intent.Statement); err == nil {
		id := s.ID()
		m.Id = id[:]
	}
	for _, v := range x.Votes {
		m.State = "approving"
		m.Votes = append(m.Votes, &v1.Ballot{Person: v.Person, Verb: v.Verb, Signature: v.Signature})
	}
	for _, d := range x.Decisions {
		m.Decisions = append(m.Decisions, &v1.Decision{Statement: d.Statement, Signature: d.Signatures[0]})
	}
	if len(x.Raw) > 0 {
		m.State = "signed"
	}
	return m
}

package ceremony

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/reshare"
	"github.com/ostraka/ostraka/mpc/session"
)

// A Change is the payload of the Setup of a refresh or a reshare: what all must have decided alike. The Setup itself
// names the parent by its hash, the new threshold, and the parties' seats.
type Change struct {
	Attempt uint64           // of the new epoch's records: a later attempt is higher
	Dealers []engine.PartyID // S, in the order of their seats; none in a refresh, where all deal
	Members []engine.PartyID // N, likewise; none in a refresh
	Guards  *Guards          // who guards the new epoch; nil: nobody
}

const (
	fieldAttempt transcript.Tag = iota + 1
	fieldDealers
	fieldMembers
	fieldGuards // only where there are guardians
)

// Encode is the canonical form.
func (c *Change) Encode() []byte {
	var e transcript.Encoder
	e.Uint(fieldAttempt, c.Attempt)
	for _, l := range []struct {
		tag transcript.Tag
		ids []engine.PartyID
	}{{fieldDealers, c.Dealers}, {fieldMembers, c.Members}} {
		e.List(l.tag, len(l.ids), func(i int, e *transcript.Encoder) { e.Bytes(1, l.ids[i][:]) })
	}
	if c.Guards != nil {
		e.Bytes(fieldGuards, c.Guards.Encode())
	}
	return e.Sum()
}

// DecodeChange reads the canonical form.
func DecodeChange(b []byte) (*Change, error) {
	d, c := transcript.NewDecoder(b), &Change{}
	c.Attempt = d.Uint(fieldAttempt, 1<<62)
	for _, l := range []struct {
		tag transcript.Tag
		ids *[]engine.PartyID
	}{{fieldDealers, &c.Dealers}, {fieldMembers, &c.Members}} {
		d.List(l.tag, 0, session.MaxParties, func(_ int, d *transcript.Decoder) {
			var id engine.PartyID
			copy(id[:], d.Fixed(1, len(id)))
			*l.ids = append(*l.ids, id)
		})
	}
	var err error
	if d.More() {
		c.Guards, err = decodeGuards(d.Bytes(fieldGuards, session.MaxPayload))
		if err == nil && c.Guards == nil {
			err = errors.New("guardians are named, and there are none")
		}
	}
	if err := cmp.Or(d.Done(), err); err != nil {
		return nil, fmt.Errorf("decode change: %w", err)
	}
	return c, nil
}

// Refresh gives the members of a record new shares, and what pairs share anew (protocols.md 1.3, then 1.5
// step 1). The caller has checked that the record is current, and keeps k. plan is our own copy of who guards the new epoch, nil for nobody.
func Refresh(s Seat, k *Keys, plan *guard.Plan) (engine.Stage[Prepared], error) {
	c, err := DecodeChange(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	if err := CheckSigners(s, k.Record); err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	if err := c.Guards.match(plan); err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	if s.Setup.Protocol != ProtocolRefresh || len(s.Setup.Parties) != len(k.Record.Members) || len(c.Dealers)+len(c.Members) > 0 {
		return nil, fmt.Errorf("refresh: setup of protocol %q with %d of %d members is none", s.Setup.Protocol, len(s.Setup.Parties), len(k.Record.Members))
	}
	self, _ := s.Setup.Party(s.Self)
	shares := reshare.Start(reshare.Params{
		Session: s.Session, Group: k.Record.Public.Group(), Parties: s.Setup.Parties, Threshold: k.Record.Threshold,
		Public: k.Record.Public, ChainCode: k.Record.ChainCode, Publics: k.Record.Publics(),
		Self: self, Secret: k.Share, Sign: s.Sign, Rand: s.Rand,
	})
	change := epoch.Change{Parent: k.Record, Dealers: s.Setup.IDs()}
	return alongside(s, s.Setup.Parties, c.Guards, shares, (*reshare.Output).Wipe, next(s, change, s.Setup.Parties, c.Attempt)), nil
}

// Reshare gives a record's key to another committee, or another threshold (protocols.md 1.2, then 1.5 step 1). parent is
// our own copy of what is current, or what a chain proved; k are our secrets of it, nil if we do not deal. lower says that
// our operator agreed to a threshold below the parent's. plan is as in Refresh.
func Reshare(s Seat, parent *epoch.Record, k *Keys, lower bool, plan *guard.Plan) (engine.Stage[Prepared], error) {
	c, err := DecodeChange(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("reshare: %w", err)
	}
	if err := c.Guards.match(plan); err != nil {
		return nil, fmt.Errorf("reshare: %w", err)
	}
	p, members, err := reshareParams(s, parent, c)
	if err != nil {
		return nil, fmt.Errorf("reshare: %w", err)
	}
	change := epoch.Change{Parent: parent, Dealers: c.Dealers, LowerThreshold: lower}
	if err := change.Allows(s.Setup.Threshold, members); err != nil {
		return nil, fmt.Errorf("reshare: %w", err)
	}
	if slices.Contains(c.Dealers, s.Self) {
		if k == nil || k.Record.Hash() != parent.Hash() {
			return nil, errors.New("reshare: we deal, and have no share of the parent")
		}
		if p.Secret, err = oldOf(parent).Contribution(c.Dealers, s.Self, k.Share); err != nil {
			return nil, fmt.Errorf("reshare: %w", err)
		}
	}
	shares := engine.Stage[reshare.Output](reshare.Start(p))
	if p.Secret != nil {
		shares = &lent[reshare.Output]{shares, p.Secret.Wipe}
	}
	return alongside(s, members, c.Guards, shares, (*reshare.Output).Wipe, next(s, change, members, c.Attempt)), nil
}

// reshareParams holds a Setup to our own copy of the parent: never the opener's (protocols.md 0.2).
func reshareParams(s Seat, parent *epoch.Record, c *Change) (p reshare.Params, members []session.Party, err error) {
	setup := s.Setup
	if setup.Protocol != ProtocolReshare || setup.KeyID != parent.KeyID || setup.Suite != parent.Suite || setup.Epoch != parent.Hash() {
		return p, nil, fmt.Errorf("setup of protocol %q is for another key, suite or epoch than record %v", setup.Protocol, parent.Hash())
	}
	old := oldOf(parent)
	if err := old.CheckSeats(setup.Parties); err != nil {
		return p, nil, err
	}
	for _, q := range setup.Parties {
		if slices.Contains(c.Members, q.ID) {
			members = append(members, q)
		}
	}
	self, ok := setup.Party(s.Self)
	if !ok || len(members) != len(c.Members) {
		return p, nil, errors.New("we are not in the setup, or a new member stands twice or is not")
	}
	for _, q := range setup.Parties {
		deals := slices.Contains(c.Dealers, q.ID)
		if !deals && !slices.Contains(c.Members, q.ID) {
			return p, nil, fmt.Errorf("party %v neither deals nor receives", q.ID)
		}
		// Under another's key, whoever holds that could deal wrongly in a dealer's name.
		if m, ok := parent.Member(q.ID); deals && ok && !m.Identity.Equal(q.Identity) {
			return p, nil, fmt.Errorf("dealer %v has another identity key than in record %v", q.ID, parent.Hash())
		}
	}
	if err := session.CheckRoster(members, setup.Threshold); err != nil {
		return p, nil, fmt.Errorf("new members: %w", err)
	}
	if err := parent.CheckSeats(members); err != nil {
		return p, nil, err
	}
	dealers, err := old.Dealers(c.Dealers)
	if err != nil {
		return p, nil, err
	}
	return reshare.Params{
		Session: s.Session, Group: parent.Public.Group(), Parties: setup.Parties, Dealers: dealers, Receivers: c.Members,
		Threshold: setup.Threshold, Public: parent.Public, ChainCode: parent.ChainCode, Self: self, Sign: s.Sign, Rand: s.Rand,
	}, members, nil
}

func oldOf(r *epoch.Record) reshare.Old {
	old := reshare.Old{Group: r.Public.Group(), Public: r.Public, Threshold: r.Threshold}
	for _, m := range r.Members {
		old.Members = append(old.Members, reshare.Member{Party: m.Party, Public: m.Public})
	}
	return old
}

// next ends a change: the record of the next epoch, its rows, and PREP or OLDOK.
func next(s Seat, c epoch.Change, seats []session.Party, attempt uint64) func(*reshare.Output, made) (engine.Outcome[Prepared], error) {
	return func(out *reshare.Output, m made) (engine.Outcome[Prepared], error) {
		var members []epoch.Member
		for _, p := range seats {
			members = append(members, epoch.Member{Party: p, Public: out.Publics[p.ID]})
		}
		r := c.Parent.Child(attempt, s.Setup.Threshold, members)
		return m.keep(s, r, out.Echo, out.Share, func(r *epoch.Record, kept []engine.Record) (engine.Outcome[epoch.Cert], error) {
			return epoch.PrepareChild(r, c, s.Self, kept, s.Sign)
		})
	}
}

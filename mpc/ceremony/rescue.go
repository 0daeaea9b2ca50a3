package ceremony

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/reshare"
	"github.com/ostraka/ostraka/mpc/session"
)

// A Quorum is the payload of the Setup of a guarded reshare (protocols.md 6.2 step 3, spec/ceremonies 5.1): which guardians' messages count, and what the new record
// says of the SOS. Every contributor's Join signs it.
type Quorum struct {
	Attempt      uint64
	Contributors []engine.PartyID // exactly r, by the old record's indices
	Members      []engine.PartyID // of the new committee, by index
	Guardians    [][32]byte       // hashes of exactly k contributions, by guardian's id (Γ)
	Rescue       epoch.Rescue
	Guards       *Guards // who guards the new epoch; nil: nobody
}

const (
	fieldQuorumAttempt transcript.Tag = iota + 1
	fieldQuorumContributors
	fieldQuorumMembers
	fieldQuorumGuardians
	fieldQuorumActivation
	fieldQuorumUntil
	fieldQuorumTerms
	fieldQuorumGuards // only where there are guardians
)

// Encode is the canonical form.
func (q *Quorum) Encode() []byte {
	var e transcript.Encoder
	e.Uint(fieldQuorumAttempt, q.Attempt)
	e.List(fieldQuorumContributors, len(q.Contributors), func(i int, e *transcript.Encoder) { e.Bytes(1, q.Contributors[i][:]) })
	e.List(fieldQuorumMembers, len(q.Members), func(i int, e *transcript.Encoder) { e.Bytes(1, q.Members[i][:]) })
	e.List(fieldQuorumGuardians, len(q.Guardians), func(i int, e *transcript.Encoder) { e.Bytes(1, q.Guardians[i][:]) })
	e.Bytes(fieldQuorumActivation, q.Rescue.Activation[:]).Uint(fieldQuorumUntil, q.Rescue.Until).Bytes(fieldQuorumTerms, q.Rescue.Terms[:])
	if q.Guards != nil {
		e.Bytes(fieldQuorumGuards, q.Guards.Encode())
	}
	return e.Sum()
}

// DecodeQuorum reads the canonical form.
func DecodeQuorum(b []byte) (*Quorum, error) {
	d, q := transcript.NewDecoder(b), &Quorum{}
	q.Attempt = d.Uint(fieldQuorumAttempt, 1<<62)
	id := func(to *[]engine.PartyID) func(int, *transcript.Decoder) {
		return func(_ int, d *transcript.Decoder) {
			var id engine.PartyID
			copy(id[:], d.Fixed(1, len(id)))
			*to = append(*to, id)
		}
	}
	d.List(fieldQuorumContributors, 1, session.MaxParties, id(&q.Contributors))
	d.List(fieldQuorumMembers, 2, session.MaxParties, id(&q.Members))
	d.List(fieldQuorumGuardians, guard.MinQuorum, guard.MaxGuardians, func(_ int, d *transcript.Decoder) {
		var h [32]byte
		copy(h[:], d.Fixed(1, 32))
		q.Guardians = append(q.Guardians, h)
	})
	copy(q.Rescue.Activation[:], d.Fixed(fieldQuorumActivation, 32))
	q.Rescue.Until = d.Uint(fieldQuorumUntil, 1<<40)
	copy(q.Rescue.Terms[:], d.Fixed(fieldQuorumTerms, 32))
	var err error
	if d.More() {
		q.Guards, err = decodeGuards(d.Bytes(fieldQuorumGuards, session.MaxPayload))
		if err == nil && q.Guards == nil {
			err = errors.New("guardians are named, and there are none")
		}
	}
	if err := cmp.Or(d.Done(), err); err != nil {
		return nil, fmt.Errorf("decode quorum: %w", err)
	}
	return q, nil
}

// HashContribution names an encoded contribution in a Quorum.
func HashContribution(encoded []byte) [32]byte {
	return transcript.New(transcript.RescueMessage).Bytes(encoded).Sum256()
}

// An Emergency is what a party of a guarded reshare holds. The caller has held request, activation and what Rescue says to the vault's plan.
type Emergency struct {
	Parent     *epoch.Record
	Plan       *guard.Plan // the parent's
	Set        *guard.Set  // the parent's, verified
	Activation *guard.Activation
	Rescue     epoch.Rescue
	From       [][]byte        // encoded contributions of the k lowest guardians whose messages hold
	Mask       group.Scalar    // ours, if we contribute; else nil. The caller's
	Key        *pve.PrivateKey // of this ceremony, if we are a new member; else nil. The caller's
	Next       *guard.Plan     // our own copy of who guards the new epoch, nil for nobody
}

// Rescue is a guarded reshare (protocols.md 6.2, spec/ceremonies 5): contributors deal their masks, guardians dealt before, and the lost share never exists.
func Rescue(s Seat, x *Emergency) (engine.Stage[Prepared], error) {
	q, err := DecodeQuorum(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("rescue: %w", err)
	}
	if err := q.Guards.match(x.Next); err != nil {
		return nil, fmt.Errorf("rescue: %w", err)
	}
	members, err := x.checkSetup(s, q)
	if err != nil {
		return nil, fmt.Errorf("rescue: %w", err)
	}
	from, err := x.contributions(q)
	if err != nil {
		return nil, fmt.Errorf("rescue: %w", err)
	}
	change := epoch.Change{Parent: x.Parent, Dealers: q.Contributors, Rescue: epoch.NewGrounds(x.Plan, x.Activation, from)}
	if err := change.Allows(s.Setup.Threshold, members); err != nil {
		return nil, fmt.Errorf("rescue: %w", err)
	}
	p, err := x.params(s, q, from)
	if err != nil {
		return nil, fmt.Errorf("rescue: %w", err)
	}
	shares := engine.Stage[reshare.Output](reshare.Start(p))
	shares = &lent[reshare.Output]{shares, func() { forget(p.Absent) }}
	return alongside(s, members, q.Guards, shares, (*reshare.Output).Wipe, rescued(s, change, q, members)), nil
}

// checkSetup holds a Setup to our own copy of the parent and of the activation (spec/ceremonies 5.2).
func (x *Emergency) checkSetup(s Seat, q *Quorum) (members []session.Party, err error) {
	setup, a := s.Setup, x.Activation
	if setup.Protocol != ProtocolRescue || setup.KeyID != x.Parent.KeyID || setup.Suite != x.Parent.Suite || setup.Epoch != x.Parent.Hash() {
		return nil, fmt.Errorf("setup of protocol %q is for another key, suite or epoch than record %v", setup.Protocol, x.Parent.Hash())
	}
	if q.Rescue != x.Rescue || q.Rescue.Activation != a.ID {
		return nil, errors.New("the setup is of another activation, or of another lock-up, than ours")
	}
	if x.Plan == nil {
		return nil, errors.New("no plan of the old epoch's guardians")
	}
	if q.Rescue.Terms != x.Plan.Terms {
		return nil, errors.New("the setup's rescue addresses are of another plan than the one that the old epoch was made under")
	}
	// A newcomer has the set from somebody: every old member's PREP was for this one.
	if x.Set == nil || guard.HashSet(x.Set.Encode(x.Plan)) != x.Parent.Backups {
		return nil, errors.New("the backup set is not the old epoch's")
	}
	if setup.Threshold != a.Threshold || len(q.Members) != len(a.Members) {
		return nil, fmt.Errorf("threshold %d and %d members; the activation has %d and %d", setup.Threshold, len(q.Members), a.Threshold, len(a.Members))
	}
	for i, m := range a.Members {
		p, in := setup.Party(m.ID)
		if !in || q.Members[i] != m.ID || p.Index != m.Index || !p.Identity.Equal(m.Identity) {
			return nil, fmt.Errorf("new member %v is not as the activation has it", m.ID)
		}
		members = append(members, p)
	}
	for i, id := range q.Contributors {
		old, in := x.Parent.Member(id)
		p, party := setup.Party(id)
		if !in || !party || p.Index != old.Index || !p.Identity.Equal(old.Identity) {
			return nil, fmt.Errorf("contributor %v is no member of the old epoch, or not with its seat", id)
		}
		if before, _ := x.Parent.Member(q.Contributors[max(i-1, 0)]); i > 0 && before.Index >= old.Index {
			return nil, fmt.Errorf("contributor %v is not the next by index", id)
		}
	}
	for _, p := range setup.Parties {
		if !slices.Contains(q.Contributors, p.ID) && !slices.Contains(q.Members, p.ID) {
			return nil, fmt.Errorf("party %v neither contributes nor receives", p.ID)
		}
	}
	return members, x.Parent.CheckSeats(members)
}

// contributions are those of the quorum, by guardian's id: each is checked again, and is the one whose hash the contributors signed.
func (x *Emergency) contributions(q *Quorum) (from []*guard.Contribution, err error) {
	t, err := x.Parent.Terms(x.Plan)
	if err != nil {
		return nil, err
	}
	if len(x.From) != len(q.Guardians) {
		return nil, fmt.Errorf("%d guardians' messages, the quorum has %d", len(x.From), len(q.Guardians))
	}
	for i, raw := range x.From {
		if HashContribution(raw) != q.Guardians[i] {
			return nil, fmt.Errorf("guardians' message %d is not the one in the quorum", i)
		}
		c, err := guard.DecodeContribution(t.Group, x.Activation, raw)
		if err == nil {
			err = c.Check(t, x.Set, x.Activation)
		}
		if err != nil {
			return nil, err
		}
		from = append(from, c)
	}
	return from, nil
}

// params (spec/guard 8.1) weighs masks over exactly the contributors, and guardians' values over exactly the quorum: together they give the key.
func (x *Emergency) params(s Seat, q *Quorum, from []*guard.Contribution) (reshare.Params, error) {
	self, ok := s.Setup.Party(s.Self)
	if !ok {
		return reshare.Params{}, errors.New("we are not in the setup")
	}
	p := reshare.Params{
		Session: s.Session, Group: x.Parent.Public.Group(), Parties: s.Setup.Parties, Receivers: q.Members, Threshold: s.Setup.Threshold,
		Public: x.Parent.Public, ChainCode: x.Parent.ChainCode, Self: self, Sign: s.Sign, Rand: s.Rand,
	}
	if slices.Contains(q.Contributors, s.Self) {
		if x.Mask == nil {
			return p, errors.New("we contribute, and have no mask of the old epoch")
		}
		p.Secret = x.Mask
	}
	if err := x.weigh(&p, q, from); err != nil {
		return p, err
	}
	if !slices.Contains(q.Members, s.Self) {
		return p, nil
	}
	t, err := x.Parent.Terms(x.Plan)
	if err != nil {
		return p, err
	}
	for i, c := range from {
		if x.Key == nil {
			return p, errors.New("we are a new member, and have no key of this ceremony")
		}
		if p.Absent[i].Value, err = c.Open(t, x.Activation, s.Self, x.Key); err != nil {
			forget(p.Absent)
			return p, err
		}
	}
	return p, nil
}

// forget wipes what guardians dealt to us.
func forget(from []reshare.Absent) {
	for _, a := range from {
		if a.Value != nil {
			a.Value.Wipe()
		}
	}
}

func (x *Emergency) weigh(p *reshare.Params, q *Quorum, from []*guard.Contribution) error {
	var at, where []share.Index
	for _, id := range q.Contributors {
		m, _ := x.Parent.Member(id)
		at = append(at, m.Index)
	}
	for _, c := range from {
		g, _ := x.Plan.At(c.Guardian())
		where = append(where, g)
	}
	masks, err := share.LagrangeAll(p.Group, at)
	if err != nil {
		return err
	}
	values, err := share.LagrangeAll(p.Group, where)
	if err != nil {
		return err
	}
	for i, id := range q.Contributors {
		p.Dealers = append(p.Dealers, reshare.Dealer{ID: id, Constant: x.Set.MaskPoint(at[i]), Weight: masks[i]})
	}
	for i, c := range from {
		p.Absent = append(p.Absent, reshare.Absent{Commit: c.Commit, Weight: values[i]})
	}
	return nil
}

// rescued ends a guarded reshare: the record of the next epoch, under lock-up.
func rescued(s Seat, c epoch.Change, q *Quorum, seats []session.Party) func(*reshare.Output, made) (engine.Outcome[Prepared], error) {
	return func(out *reshare.Output, m made) (engine.Outcome[Prepared], error) {
		var members []epoch.Member
		for _, p := range seats {
			members = append(members, epoch.Member{Party: p, Public: out.Publics[p.ID]})
		}
		r := c.Parent.Child(q.Attempt, s.Setup.Threshold, members)
		rescue := q.Rescue
		r.Rescue = &rescue
		return m.keep(s, r, out.Echo, out.Share, func(r *epoch.Record, kept []engine.Record) (engine.Outcome[epoch.Cert], error) {
			return epoch.PrepareChild(r, c, s.Self, kept, s.Sign)
		})
	}
}

package guard

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// A Set (spec/guard 2.6) is an epoch's second sharing as everybody may see it: the backup set, whose hash the record holds. Whoever has the record, the
// plan and the set can check, without any secret, that r operators and k guardians could bring the key back.
type Set struct {
	Session engine.SessionID
	Deals   []Deal // by dealer's index
}

// A Deal is what one dealer made.
type Deal struct {
	Dealer engine.PartyID
	Masks  share.Commitment // Mᵢ: exactly r points
	Values share.Commitment // Uᵢ: exactly k points
	Proofs [][]byte         // uᵢ(x) to each guardian, in the plan's order (crypto/pve)
}

// Terms are the public facts that a set is held to, out of the checker's own record.
type Terms struct {
	Group     group.Group
	KeyID     [32]byte
	Partial   [32]byte // peh
	Threshold int      // t: so many dealers
	Members   []Member // by index
	Plan      *Plan
}

// A Member is one of the record's.
type Member struct {
	session.Party
	Public group.Point // X′ⱼ
}

const (
	fieldSession transcript.Tag = iota + 1
	fieldPlan
	fieldDeals
)

const (
	fieldDealer transcript.Tag = iota + 1
	fieldMasks
	fieldValues
	fieldProofs
)

// Encode is the canonical form under a plan.
func (s *Set) Encode(p *Plan) []byte {
	var e transcript.Encoder
	h := p.Hash()
	e.Bytes(fieldSession, s.Session[:]).Bytes(fieldPlan, h[:])
	e.List(fieldDeals, len(s.Deals), func(i int, e *transcript.Encoder) {
		d := s.Deals[i]
		e.Bytes(fieldDealer, d.Dealer[:])
		d.Masks.Put(e, fieldMasks)
		d.Values.Put(e, fieldValues)
		e.List(fieldProofs, len(d.Proofs), func(i int, e *transcript.Encoder) { e.Bytes(1, d.Proofs[i]) })
	})
	return e.Sum()
}

// HashSet is the backup-set hash of the epoch's record, over the encoded set.
func HashSet(encoded []byte) [32]byte {
	return transcript.New(transcript.GuardSet).Bytes(encoded).Sum256()
}

// DecodeSet reads the canonical form: exactly t deals, of exactly r and k points (threshold raise), with m proofs each. It checks no proof.
func DecodeSet(t Terms, b []byte) (*Set, error) {
	d, s := transcript.NewDecoder(b), &Set{}
	copy(s.Session[:], d.Fixed(fieldSession, len(s.Session)))
	if h := t.Plan.Hash(); string(d.Fixed(fieldPlan, len(h))) != string(h[:]) {
		d.Fail(fieldPlan, errors.New("is another plan than the epoch's"))
	}
	m := len(t.Plan.Guardians)
	d.List(fieldDeals, t.Threshold, t.Threshold, func(_ int, d *transcript.Decoder) {
		var deal Deal
		copy(deal.Dealer[:], d.Fixed(fieldDealer, len(deal.Dealer)))
		deal.Masks = share.Take(d, fieldMasks, t.Group, t.Plan.Operators)
		deal.Values = share.Take(d, fieldValues, t.Group, t.Plan.Quorum)
		d.List(fieldProofs, m, m, func(_ int, d *transcript.Decoder) {
			deal.Proofs = append(deal.Proofs, slices.Clone(d.Bytes(1, pve.MaxSize)))
		})
		s.Deals = append(s.Deals, deal)
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode backup set: %w", err)
	}
	return s, nil
}

// Verify is spec/guard 3.1, but for the hashes. It checks all that can be seen of a set: who dealt, that every deal is of its dealer's share, and every encryption to every guardian.
// It costs about 13 ms for each dealer and guardian.
func (s *Set) Verify(t Terms) error {
	if err := t.Plan.Check(t.Threshold); err != nil {
		return fmt.Errorf("backup set: %w", err)
	}
	ids := make([]engine.PartyID, len(s.Deals))
	for i, d := range s.Deals {
		ids[i] = d.Dealer
	}
	weights, err := t.weights(ids)
	if err != nil {
		return fmt.Errorf("backup set: %w", err)
	}
	for i, d := range s.Deals {
		if err := t.checkDeal(s.Session, d, weights[i]); err != nil {
			return fmt.Errorf("backup set: dealer %v: %w", d.Dealer, err)
		}
	}
	if err := s.checkSums(t); err != nil {
		return fmt.Errorf("backup set: %w", err)
	}
	return nil
}

// weights are λᵢ over the dealers, who must be t members in ascending order of their indices.
func (t Terms) weights(dealers []engine.PartyID) ([]group.Scalar, error) {
	if len(dealers) != t.Threshold {
		return nil, fmt.Errorf("%d dealers, the threshold is %d", len(dealers), t.Threshold)
	}
	at := make([]share.Index, len(dealers))
	for i, id := range dealers {
		m, ok := t.member(id)
		if !ok || i > 0 && m.Index <= at[i-1] {
			return nil, fmt.Errorf("dealer %v is no member of the epoch, or not the next by index", id)
		}
		at[i] = m.Index
	}
	return share.LagrangeAll(t.Group, at)
}

func (t Terms) member(id engine.PartyID) (Member, bool) {
	i := slices.IndexFunc(t.Members, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return t.Members[i], true
}

// checkDeal makes the checks on one dealer that need no secret (protocols.md 6.1, 5.2).
func (t Terms) checkDeal(id engine.SessionID, d Deal, weight group.Scalar) error {
	// Threshold raise and cut.
	if len(d.Masks) != t.Plan.Operators || len(d.Values) != t.Plan.Quorum || len(d.Proofs) != len(t.Plan.Guardians) {
		return fmt.Errorf("%d and %d points and %d encryptions; exactly %d, %d and %d are allowed", len(d.Masks), len(d.Values), len(d.Proofs), t.Plan.Operators, t.Plan.Quorum, len(t.Plan.Guardians))
	}
	m, _ := t.member(d.Dealer)
	// M_{i,0} + U_{i,0} = λᵢ·Xᵢ: what is shared is the dealer's part of this key.
	if !d.Masks[0].Add(d.Values[0]).Equal(m.Public.MulVarTime(weight)) {
		return errors.New("masks and guardians' values do not add up to the dealer's share of the key")
	}
	for i, g := range t.Plan.Guardians {
		if err := pve.Verify(t.context(id, d, i), d.Proofs[i]); err != nil {
			return fmt.Errorf("encryption to guardian %v: %w", g.ID, err)
		}
	}
	return nil
}

// context is what the encryption of a dealer's value to the plan's i-th guardian is bound to.
func (t Terms) context(id engine.SessionID, d Deal, i int) pve.Context {
	g, at := t.Plan.Guardians[i], share.Index(i+1)
	return pve.Context{
		Group: t.Group, KeyID: t.KeyID, PartialEpoch: t.Partial, Session: id, Kind: pve.GuardianValue,
		Dealer: d.Dealer, Recipient: g.ID, At: at, K: t.Plan.Quorum, Point: d.Values.Eval(at), Key: g.Key,
	}
}

// checkSums (spec/guard 2.5) refuses sums that are zero: a point of a contribution would have no encoding, or the key would be had with less than the plan says.
// No honest dealer lets it come to that but by a chance of 1 in 2^250; dealers of whom none is honest could.
func (s *Set) checkSums(t Terms) error {
	masks, values := s.sum(func(d Deal) share.Commitment { return d.Masks }), s.sum(func(d Deal) share.Commitment { return d.Values })
	switch {
	case masks[0].IsIdentity() || values[0].IsIdentity(): // guardians alone, or r operators alone, would have the key
		return errors.New("one side's part of the key is zero: the other side alone would have it")
	case masks[len(masks)-1].IsIdentity() || values[len(values)-1].IsIdentity(): // threshold cut
		return errors.New("the sum of the last points is zero: fewer than the plan says would do")
	}
	for _, m := range t.Members {
		if s.MaskPoint(m.Index).IsIdentity() {
			return fmt.Errorf("the mask of member %v is zero", m.ID)
		}
	}
	for i, g := range t.Plan.Guardians {
		if s.ValuePoint(share.Index(i + 1)).IsIdentity() {
			return fmt.Errorf("the value of guardian %v is zero", g.ID)
		}
	}
	return nil
}

// MaskPoint is M(x) = Σ Mᵢ(x): the point of the mask of the member at x.
func (s *Set) MaskPoint(x share.Index) group.Point {
	return s.sum(func(d Deal) share.Commitment { return d.Masks }).Eval(x)
}

// ValuePoint is U(x) = Σ Uᵢ(x): the point of the value of the guardian at x.
func (s *Set) ValuePoint(x share.Index) group.Point {
	return s.sum(func(d Deal) share.Commitment { return d.Values }).Eval(x)
}

func (s *Set) sum(of func(Deal) share.Commitment) share.Commitment {
	total := of(s.Deals[0])
	for _, d := range s.Deals[1:] {
		total = total.Add(of(d))
	}
	return total
}

// A SpoiledError says that a dealer spoiled rows of its encryption to a guardian. The guardian's value could be had all the same.
type SpoiledError struct {
	Dealer engine.PartyID
	Rows   []int
}

func (e *SpoiledError) Error() string {
	return fmt.Sprintf("dealer %v spoiled %d rows of its encryption: that is no accident, and this is evidence of it", e.Dealer, len(e.Rows))
}

// Open is spec/guard 3.2: a guardian's value, y = Σ uᵢ(x), out of its encryptions; it has been held to the set. Rows that a dealer spoiled
// are reported as *SpoiledError beside a value that is good.
func (s *Set) Open(t Terms, guardian engine.PartyID, key *pve.PrivateKey) (group.Scalar, []SpoiledError, error) {
	at, ok := t.Plan.At(guardian)
	if !ok {
		return nil, nil, fmt.Errorf("open guardian's value: %v is no guardian of this epoch", guardian)
	}
	if key.Public() != t.Plan.Guardians[at-1].Key {
		return nil, nil, errors.New("open guardian's value: this key file is another than the one that the epoch was made for")
	}
	y := t.Group.Scalar(0)
	var spoiled []SpoiledError
	for _, d := range s.Deals {
		v, rows, err := pve.Decrypt(t.context(s.Session, d, int(at)-1), d.Proofs[at-1], key)
		if err != nil {
			y.Wipe()
			return nil, spoiled, fmt.Errorf("open guardian's value: dealer %v: %w", d.Dealer, err)
		}
		if len(rows) > 0 {
			spoiled = append(spoiled, SpoiledError{d.Dealer, rows})
		}
		next := y.Add(v)
		y.Wipe()
		v.Wipe()
		y = next
	}
	if !t.Group.BaseMul(y).Equal(s.ValuePoint(at)) {
		y.Wipe()
		return nil, spoiled, errors.New("open guardian's value: what was encrypted is not what the set says: this is a defect of the program")
	}
	return y, spoiled, nil
}

package epoch

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

// A Rescue (spec/epochs 1) is what an SOS leaves in the record of the epoch that it made, and in all that follow: every member enforces it (protocols.md 6.3).
type Rescue struct {
	Activation [32]byte // id of the activation that made this epoch; zero in the epochs after it
	Until      uint64   // the lock-up's end, Unix seconds
	Terms      [32]byte // hash of the plan that names the rescue addresses
}

const (
	fieldRescueActivation transcript.Tag = iota + 1
	fieldRescueUntil
	fieldRescueTerms
)

func (r *Rescue) encode() []byte {
	var e transcript.Encoder
	return e.Bytes(fieldRescueActivation, r.Activation[:]).Uint(fieldRescueUntil, r.Until).Bytes(fieldRescueTerms, r.Terms[:]).Sum()
}

func decodeRescue(d *transcript.Decoder) *Rescue {
	in, r := transcript.NewDecoder(d.Bytes(fieldRescue, 256)), &Rescue{}
	copy(r.Activation[:], in.Fixed(fieldRescueActivation, 32))
	r.Until = in.Uint(fieldRescueUntil, 1<<40)
	copy(r.Terms[:], in.Fixed(fieldRescueTerms, 32))
	if err := in.Done(); err != nil && d.Err() == nil {
		d.Fail(fieldRescue, err)
	}
	return r
}

// inherited is what the next epoch has of it.
func (r *Rescue) inherited() *Rescue {
	if r == nil {
		return nil
	}
	return &Rescue{Until: r.Until, Terms: r.Terms}
}

func (r *Rescue) equal(o *Rescue) bool {
	return (r == nil) == (o == nil) && (r == nil || *r == *o)
}

// Rescued says whether a guarded reshare made this epoch.
func (r *Record) Rescued() bool { return r.Rescue != nil && r.Rescue.Activation != [32]byte{} }

// Grounds (spec/epochs 2.5) stand in the certificate of an epoch that an SOS made, in place of the old quorum: r old members, who agree as always, and k guardians.
// That the activation itself follows the vault's plan (its delay, its successors, no veto) is not seen here: custody/sos.
type Grounds struct {
	Activation [32]byte
	Plan       *guard.Plan       // of the parent
	Guardians  []*guard.Approval // exactly k, by guardian's id
	threshold  int               // t′: the points of an approval
}

// NewGrounds are of contributions that were checked, by guardian's id.
func NewGrounds(p *guard.Plan, a *guard.Activation, from []*guard.Contribution) *Grounds {
	g := &Grounds{Activation: a.ID, Plan: p, threshold: a.Threshold}
	for _, c := range from {
		g.Guardians = append(g.Guardians, c.Approval())
	}
	return g
}

const (
	fieldGroundsActivation transcript.Tag = iota + 1
	fieldGroundsPlan
	fieldGroundsCurve
	fieldGroundsThreshold
	fieldGroundsGuardians
)

func (g *Grounds) encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldGroundsActivation, g.Activation[:]).Bytes(fieldGroundsPlan, g.Plan.Encode())
	e.String(fieldGroundsCurve, g.Guardians[0].Commit[0].Group().Name()).Uint(fieldGroundsThreshold, uint64(g.threshold))
	e.List(fieldGroundsGuardians, len(g.Guardians), func(i int, e *transcript.Encoder) { g.Guardians[i].Put(e) })
	return e.Sum()
}

// curves are where keys live, by name: a certificate is read without its record.
var curves = map[string]group.Group{secp256k1.Group{}.Name(): secp256k1.Group{}, edwards25519.Group{}.Name(): edwards25519.Group{}}

func decodeGrounds(d *transcript.Decoder) *Grounds {
	in, g := transcript.NewDecoder(d.Bytes(fieldCertRescue, MaxFinalCert)), &Grounds{}
	copy(g.Activation[:], in.Fixed(fieldGroundsActivation, 32))
	plan := in.Bytes(fieldGroundsPlan, MaxFinalCert)
	name := in.String(fieldGroundsCurve, 32)
	g.threshold = int(in.Uint(fieldGroundsThreshold, session.MaxParties))
	err := in.Err()
	if err == nil && g.threshold < 2 { // an approval without points would name no curve
		err = fmt.Errorf("threshold %d, 2 is the least", g.threshold)
	}
	if err == nil {
		g.Plan, err = guard.DecodePlan(plan)
	}
	curve, known := curves[name]
	if err == nil && !known {
		err = fmt.Errorf("curve %q is not known here", name)
	}
	if err == nil {
		in.List(fieldGroundsGuardians, guard.MinQuorum, guard.MaxGuardians, func(_ int, d *transcript.Decoder) {
			g.Guardians = append(g.Guardians, guard.TakeApproval(d, curve, g.threshold))
		})
		err = in.Done()
	}
	if err != nil && d.Err() == nil {
		d.Fail(fieldCertRescue, err)
	}
	return g
}

// allows says whether a guarded reshare of the parent may have so many contributors, and whether k guardians agreed to it and to this committee.
func (g *Grounds) allows(parent *Record, contributors, threshold int, members []session.Party) error {
	t, err := parent.Terms(g.Plan)
	if err == nil {
		err = g.Plan.Check(parent.Threshold)
	}
	if err != nil {
		return fmt.Errorf("rescue: %w", err)
	}
	switch {
	case threshold != g.threshold:
		return fmt.Errorf("rescue: its guardians dealt for a threshold of %d, not of %d", g.threshold, threshold)
	case contributors != g.Plan.Operators:
		return fmt.Errorf("rescue: %d contributors; exactly %d must be", contributors, g.Plan.Operators)
	case len(g.Guardians) != g.Plan.Quorum:
		return fmt.Errorf("rescue: %d guardians; exactly %d must be", len(g.Guardians), g.Plan.Quorum)
	}
	var last []byte
	for _, x := range g.Guardians {
		id := guard.IDOf(x.Signer)
		if last != nil && bytes.Compare(id[:], last) <= 0 { // nobody counts twice, and one certificate has one form
			return fmt.Errorf("rescue: guardian %v stands twice, or out of order", id)
		}
		last = id[:]
		if err := x.Check(t, g.Activation, threshold, members); err != nil {
			return fmt.Errorf("rescue: %w", err)
		}
	}
	return nil
}

// check says whether they hold for a record, with so many old members who agree.
func (g *Grounds) check(r, parent *Record, agree int) error {
	if err := g.fits(r); err != nil {
		return err
	}
	if agree < g.Plan.Operators {
		return fmt.Errorf("%d of %d old members agree, %d must in an SOS", agree, len(parent.Members), g.Plan.Operators)
	}
	return g.allows(parent, g.Plan.Operators, r.Threshold, r.Parties())
}

// fits says whether these are the grounds of a record, as far as can be seen without its parent; nil are those of a record that no SOS made.
func (g *Grounds) fits(r *Record) error {
	switch {
	case !r.Rescued() && g != nil:
		return errors.New("it has grounds for an SOS, and its record is of none")
	case !r.Rescued():
		return nil
	case g == nil || g.Plan == nil || g.Activation != r.Rescue.Activation:
		return errors.New("the grounds of its SOS are missing, or are another's")
	// Every operator's PREP of the old epoch was for this plan: r operators and k guardians cannot choose other addresses (protocols.md 6.4).
	case g.Plan.Terms != r.Rescue.Terms:
		return errors.New("its rescue addresses are of another plan than the one that the old epoch was made under")
	}
	return nil
}

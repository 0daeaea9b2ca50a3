package charter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Bounds of freezes: so long at most; of those that one operator made within FreezeWindow, so many alone.
const (
	MaxFreeze    = statement.MaxFreeze * time.Second
	FreezeWindow = 30 * 24 * time.Hour
	AloneFreezes = 2
)

// A Freeze keeps a vault from signing for a while. Any operator of its committee makes one at once.
type Freeze struct {
	ID       statement.ID // of its statement; zero in a draft
	Charter  statement.ID // in force when it was made
	Vault    statement.ID
	Operator string
	Reason   string // may be empty
	Created  time.Time
	Expires  time.Time // at most MaxFreeze after Created
}

// Statement writes the freeze and checks it.
func (f Freeze) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := f.validate(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.AddID("charter", f.Charter).AddID("vault", f.Vault).Add("operator", f.Operator).Add("reason", f.Reason)
	return statement.Build(statement.Freeze, b.AddTime("created", f.Created).AddTime("expires", f.Expires), salt)
}

// FreezeOf gives a freeze statement its meaning and checks it.
func FreezeOf(s statement.Statement) (Freeze, error) {
	if err := s.Require(statement.Freeze); err != nil {
		return Freeze{}, err
	}
	f := s.Fields()
	out := Freeze{
		ID: s.ID(), Charter: f.ID("charter"), Vault: f.ID("vault"), Operator: f.Get("operator"), Reason: f.Get("reason"),
		Created: f.Time("created"), Expires: f.Time("expires"),
	}
	return out, out.validate()
}

func (f Freeze) validate() error {
	if life := f.Expires.Sub(f.Created); life <= 0 || life > MaxFreeze {
		return fmt.Errorf("freeze: expires: %s is not within 72 hours after created, %s", statement.FormatTime(f.Expires), statement.FormatTime(f.Created))
	}
	return nil
}

// A SignedFreeze is a freeze and who signed it: its own operator, and others whose officers agree.
type SignedFreeze struct {
	Freeze
	Signed []string // operators
}

// Counts says whether a freeze is one that its operator may make alone, or that a second operator signed. others are the freezes of its
// vault that are known; of the operator's own within 30 days before it, only so many count without a second.
func (f SignedFreeze) Counts(others []SignedFreeze) bool {
	if !slices.Contains(f.Signed, f.Operator) {
		return false
	}
	before := 0
	for _, o := range others {
		earlier := o.Created.Before(f.Created) || o.Created.Equal(f.Created) && bytes.Compare(o.ID[:], f.ID[:]) < 0
		if o.ID != f.ID && o.Vault == f.Vault && o.Operator == f.Operator && earlier && f.Created.Sub(o.Created) < FreezeWindow {
			before++
		}
	}
	return before < AloneFreezes || len(f.Signed) > 1
}

// Frozen lists the freezes that hold a vault at a time: those that count, have not expired, and that ended does not name.
func Frozen(vault statement.ID, all []SignedFreeze, ended func(statement.ID) bool, now time.Time) (out []SignedFreeze) {
	for _, f := range all {
		if f.Vault == vault && now.Before(f.Expires) && !ended(f.ID) && f.Counts(all) {
			out = append(out, f)
		}
	}
	return out
}

// An Unfreeze ends freezes before their time. All operators of the vault's committee sign it.
type Unfreeze struct {
	ID      statement.ID
	Charter statement.ID // in force when it was made
	Vault   statement.ID
	Freezes []statement.ID // ascending
	Created time.Time
}

// Statement writes it, its list in ascending order.
func (u Unfreeze) Statement(salt statement.Salt) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("charter", u.Charter).AddID("vault", u.Vault)
	for _, id := range slices.SortedFunc(slices.Values(u.Freezes), byID) {
		b = b.AddID("freeze", id)
	}
	return statement.Build(statement.Unfreeze, b.AddTime("created", u.Created), salt)
}

// UnfreezeOf gives an unfreeze statement its meaning and checks it.
func UnfreezeOf(s statement.Statement) (Unfreeze, error) {
	if err := s.Require(statement.Unfreeze); err != nil {
		return Unfreeze{}, err
	}
	f := s.Fields()
	u := Unfreeze{ID: s.ID(), Charter: f.ID("charter"), Vault: f.ID("vault"), Created: f.Time("created")}
	for _, line := range f.All("freeze") {
		id, err := statement.ParseID(line)
		if err != nil {
			return u, fmt.Errorf("unfreeze: freeze: %w", err)
		}
		u.Freezes = append(u.Freezes, id)
	}
	return u, ascending(u.Freezes, statement.ID.String)
}

func byID(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) }

// A Veto takes an operator's consent to a version of the charter back, as long as its node has not enacted it.
type Veto struct {
	Charter  statement.ID // that it does not want
	Operator string
	Reason   string // may be empty
	Created  time.Time
}

// Statement writes the veto.
func (v Veto) Statement(salt statement.Salt) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("charter", v.Charter).Add("operator", v.Operator).Add("reason", v.Reason)
	return statement.Build(statement.Veto, b.AddTime("created", v.Created), salt)
}

// VerifyVeto checks that an officer of the operator that it names signed it; r is the roster that the charter names.
func VerifyVeto(s statement.Statement, armored []byte, c Charter, r Roster) (Veto, error) {
	if err := s.Require(statement.Veto); err != nil {
		return Veto{}, err
	}
	f := s.Fields()
	v := Veto{f.ID("charter"), f.Get("operator"), f.Get("reason"), f.Time("created")}
	o, ok := r.Operator(v.Operator)
	switch {
	case v.Charter != c.ID:
		return v, fmt.Errorf("veto: charter: it names %s, not %s", v.Charter.Short(), c.ID.Short())
	case !ok || c.Roster != r.ID:
		return v, fmt.Errorf("veto: operator %s is not of the roster that the charter names", v.Operator)
	}
	if _, err := signet.Verify(armored, signet.Makes(statement.Veto), s.Bytes(), o.Officers); err != nil {
		return v, fmt.Errorf("veto by operator %s: %w", v.Operator, err)
	}
	return v, nil
}

// A Revocation ends a person's key at once and for ever. The person makes it, with any of their keys, or an officer of the operator that is
// their organisation.
type Revocation struct {
	Charter statement.ID // a version that lists the key
	Person  string
	Key     signet.Key
	Reason  string // may be empty
	Created time.Time
}

// Statement writes the revocation.
func (r Revocation) Statement(salt statement.Salt) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("charter", r.Charter).Add("person", r.Person).Add("key", r.Key.String()).Add("reason", r.Reason)
	return statement.Build(statement.Revoke, b.AddTime("created", r.Created), salt)
}

// RevocationOf gives a revoke statement its meaning.
func RevocationOf(s statement.Statement) (Revocation, error) {
	if err := s.Require(statement.Revoke); err != nil {
		return Revocation{}, err
	}
	f := s.Fields()
	keys, err := readKeys(f, "key")
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke: %w", err)
	}
	return Revocation{f.ID("charter"), f.Get("person"), keys[0], f.Get("reason"), f.Time("created")}, nil
}

// VerifyRevocation checks that the charter lists the key as that person's, and that who may signed; r is the roster in force.
func VerifyRevocation(s statement.Statement, armored []byte, c Charter, r Roster) (Revocation, error) {
	v, err := RevocationOf(s)
	if err != nil {
		return v, err
	}
	h, ok := c.Human(v.Person)
	if v.Charter != c.ID || !ok || !slices.ContainsFunc(h.Keys, v.Key.Equal) {
		return v, fmt.Errorf("revoke: key %s is not %s's in %s", v.Key.Fingerprint(), v.Person, c.Title())
	}
	may := slices.Clone(h.Keys)
	if o, ok := r.Operator(h.Organisation); ok {
		may = append(may, o.Officers...)
	}
	if _, err := signet.Verify(armored, signet.Makes(statement.Revoke), s.Bytes(), may); err != nil {
		return v, fmt.Errorf("revoke key of %s: %w; %s's own keys may sign it, and the officers of operator %s", v.Person, err, v.Person, h.Organisation)
	}
	return v, nil
}

// Words name freezes for people.
func Words(freezes []SignedFreeze) string {
	var all []string
	for _, f := range freezes {
		text := fmt.Sprintf("%s until %s", f.Operator, statement.FormatTime(f.Expires))
		if f.Reason != "" {
			text += " (" + f.Reason + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

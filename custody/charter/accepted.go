package charter

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// An Acceptor is an operator whose consent a statement needs.
type Acceptor struct {
	Operator string
	Officers []signet.Key
}

// Acceptors lists all operators of the roster, whose consent a roster needs.
func (r Roster) Acceptors() []Acceptor {
	var out []Acceptor
	for _, o := range r.Operators {
		out = append(out, Acceptor{o.Name, o.Officers})
	}
	return out
}

// AcceptorsOf lists the operators of a vault's committee, whose consent the vault needs.
func (r Roster) AcceptorsOf(v Vault) ([]Acceptor, error) {
	var out []Acceptor
	for _, name := range v.Committee {
		o, ok := r.Operator(name)
		if !ok {
			return nil, fmt.Errorf("vault %s: committee: %s is no operator of circle %q", v.Name, name, r.Circle)
		}
		out = append(out, Acceptor{o.Name, o.Officers})
	}
	return out, nil
}

// Accepted is a roster or vault statement with the officers' signatures over its bytes,
// one per operator. Values never change; Add makes a new one.
type Accepted struct {
	Statement  statement.Statement
	Signatures map[string][]byte // operator → armored SSHSIG, in signet's one form
}

// MaxWhole bounds a vault statement, in bytes: with the signatures of all operators it is one note, as who came to the circle later
// gets it. A reshare has a few kilobytes.
const MaxWhole = 240 << 10

func checkWhole(s statement.Statement) error {
	if n := len(s.Bytes()); n > MaxWhole {
		return fmt.Errorf("%s statement: has %d bytes, at most %d are allowed: list fewer people, or fewer or shorter keys", s.Kind(), n, MaxWhole)
	}
	return nil
}

// Errors of Accepted.
var (
	ErrAlreadyAccepted = errors.New("operator has accepted before")
	ErrNotAccepted     = errors.New("statement is not accepted by every operator")
)

// Add checks an officer's signature and returns the statement with it. Which operator
// signed follows from the key.
func (a Accepted) Add(by []Acceptor, armored []byte) (next Accepted, operator string, err error) {
	sig, err := signet.Parse(armored)
	if err != nil {
		return a, "", fmt.Errorf("accept %s: %w", a.name(), err)
	}
	for _, who := range by {
		if !slices.ContainsFunc(who.Officers, sig.Key().Equal) {
			continue
		}
		if err := a.verify(who, sig); err != nil {
			return a, who.Operator, err
		}
		if _, ok := a.Signatures[who.Operator]; ok {
			return a, who.Operator, fmt.Errorf("accept %s: operator %s: %w", a.name(), who.Operator, ErrAlreadyAccepted)
		}
		next := Accepted{a.Statement, maps.Clone(a.Signatures)}
		if next.Signatures == nil {
			next.Signatures = map[string][]byte{}
		}
		next.Signatures[who.Operator] = sig.Armored()
		return next, who.Operator, nil
	}
	return a, "", fmt.Errorf("accept %s: %w: %s is no officer of an operator concerned", a.name(), signet.ErrStranger, sig.Key().Fingerprint())
}

func (a Accepted) verify(who Acceptor, sig signet.Signature) error {
	verb := signet.Makes(a.Statement.Kind())
	if _, err := sig.Verify(verb, []byte(a.Statement.Text()), who.Officers); err != nil {
		return fmt.Errorf("accept %s: operator %s: %w", a.name(), who.Operator, err)
	}
	return nil
}

func (a Accepted) name() string {
	return string(a.Statement.Kind()) + " " + a.Statement.ID().Short()
}

// Missing lists the operators that have not signed, in the order of by.
func (a Accepted) Missing(by []Acceptor) []string {
	var out []string
	for _, who := range by {
		if _, ok := a.Signatures[who.Operator]; !ok {
			out = append(out, who.Operator)
		}
	}
	return out
}

// Verify checks every signature anew, and that one officer of every operator of by has
// signed and nobody else. Errors wrap ErrNotAccepted or signet's.
func (a Accepted) Verify(by []Acceptor) error {
	if k := a.Statement.Kind(); k != statement.Roster && k != statement.Vault && k != statement.Charter && k != statement.Unfreeze {
		return fmt.Errorf("statement of kind %q is not accepted by officers", k)
	}
	if missing := a.Missing(by); len(missing) > 0 {
		return fmt.Errorf("%s: %w: missing %v", a.name(), ErrNotAccepted, missing)
	}
	if len(a.Signatures) != len(by) {
		return fmt.Errorf("%s: %d operators have signed, %d are concerned", a.name(), len(a.Signatures), len(by))
	}
	for _, who := range by {
		sig, err := signet.Parse(a.Signatures[who.Operator])
		if err != nil {
			return fmt.Errorf("accept %s: operator %s: %w", a.name(), who.Operator, err)
		}
		if err := a.verify(who, sig); err != nil {
			return err
		}
	}
	return nil
}

// Fields of an encoded Accepted.
const (
	tagStatement transcript.Tag = iota + 1
	tagSignatures
	tagOperator
	tagArmored
)

// Bytes is the one encoding: tlv of the statement's bytes and the signatures in
// ascending order of operators.
func (a Accepted) Bytes() []byte {
	names := slices.Sorted(maps.Keys(a.Signatures))
	var e transcript.Encoder
	e.String(tagStatement, a.Statement.Text())
	e.List(tagSignatures, len(names), func(i int, e *transcript.Encoder) {
		e.String(tagOperator, names[i]).Bytes(tagArmored, a.Signatures[names[i]])
	})
	return e.Sum()
}

// DecodeAccepted reads what Bytes wrote. It checks the form; Verify checks the rest.
func DecodeAccepted(b []byte) (Accepted, error) {
	d := transcript.NewDecoder(b)
	a := Accepted{Signatures: map[string][]byte{}}
	raw := d.Bytes(tagStatement, statement.MaxBytes)
	last := ""
	d.List(tagSignatures, 0, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		name, armored := d.String(tagOperator, 64), d.Bytes(tagArmored, signet.MaxArmored)
		if d.Err() != nil {
			return
		}
		if err := statement.CheckLabel(name); err != nil {
			d.Fail(tagOperator, err)
		}
		if name <= last {
			d.Fail(tagOperator, errors.New("operators are not in ascending order"))
		}
		if sig, err := signet.Parse(armored); err != nil {
			d.Fail(tagArmored, err)
		} else if !slices.Equal(sig.Armored(), armored) {
			d.Fail(tagArmored, errors.New("signature is not in its one form"))
		}
		last = name
		a.Signatures[name] = slices.Clone(armored)
	})
	if err := d.Done(); err != nil {
		return Accepted{}, fmt.Errorf("decode accepted statement: %w", err)
	}
	s, err := statement.Parse(raw)
	if err != nil {
		return Accepted{}, fmt.Errorf("decode accepted statement: %w", err)
	}
	a.Statement = s
	return a, nil
}

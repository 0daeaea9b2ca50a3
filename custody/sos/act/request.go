package act

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// Times of what people say.
const (
	Gather = 7 * 24 * time.Hour // how long a request may wait for support (S6)
	Skew   = 5 * time.Minute    // how far in the future something may have been made
)

// A Request asks the live operators and the guardians to act for operators that are lost. By itself it moves nothing.
type Request struct {
	ID        statement.ID // of its statement; zero in a draft
	Drill     bool
	Charter   statement.ID // in force when it is made: its plan holds
	Vault     statement.ID
	Trigger   string
	Subjects  []string // operators that are lost, ascending
	Reason    string
	Document  statement.ID // SHA-256 of the evidence; zero: none
	Challenge statement.ID // that failed; refusal alone
	Number    int          // declarations on the vault in the 90 days before
	Previous  statement.ID // the last of them; zero: none
	Keys      []Key        // of the vault, ascending, each in the epoch in force
	Role, By  string       // who makes it
	Created   time.Time
	Expires   time.Time // from then on it starts nothing; at most Gather after Created
}

// Head is what everything about the request begins with.
func (r Request) Head() Head { return Head{r.Drill, r.Charter, r.Vault, r.ID} }

// Statement writes the request.
func (r Request) Statement(salt statement.Salt) (statement.Statement, error) {
	b := modeBlock(r.Drill).AddID("charter", r.Charter).AddID("vault", r.Vault).Add("trigger", r.Trigger).AddList("subject", r.Subjects)
	b = b.Add("reason", r.Reason).AddID("document", r.Document).AddID("challenge", r.Challenge)
	b = b.AddUint("number", uint64(r.Number)).AddID("previous", r.Previous)
	for _, k := range r.Keys {
		b = addKey(b, k, nil)
	}
	b = b.Add("role", r.Role).Add("by", r.By).AddTime("created", r.Created).AddTime("expires", r.Expires)
	return build(statement.SOSRequest, b, salt, r.check())
}

// RequestOf gives a request's statement its meaning.
func RequestOf(s statement.Statement) (Request, error) {
	return read(s, statement.SOSRequest, func(f statement.Block) Request {
		r := Request{
			ID: s.ID(), Drill: f.Get("mode") == modeDrill, Charter: f.ID("charter"), Vault: f.ID("vault"), Trigger: f.Get("trigger"), Subjects: values(f, "subject"),
			Reason: f.Get("reason"), Document: f.ID("document"), Challenge: f.ID("challenge"), Number: int(f.Uint("number")), Previous: f.ID("previous"),
			Role: f.Get("role"), By: f.Get("by"), Created: f.Time("created"), Expires: f.Time("expires"),
		}
		for _, k := range f.Each("key") {
			r.Keys = append(r.Keys, keyOf(k))
		}
		return r
	}, Request.check)
}

func (r Request) check() error {
	life := r.Expires.Sub(r.Created)
	switch {
	case r.Trigger == plan.Legal && r.Document.IsZero():
		return errors.New("document: trigger legal needs the hash of the document that says so")
	case (r.Trigger == plan.Refusal) == r.Challenge.IsZero():
		return errors.New("challenge: it stands for trigger refusal, and for no other")
	case (r.Number == 0) != r.Previous.IsZero():
		return errors.New("previous: it stands where there was a declaration in the 90 days before, and only there")
	case r.Role == Operator && slices.Contains(r.Subjects, r.By):
		return fmt.Errorf("by: %s is a subject", r.By)
	case life <= 0 || life > Gather:
		return fmt.Errorf("expires: %s is not within 7 days after created", statement.FormatTime(r.Expires))
	}
	if err := ascending("subject", r.Subjects); err != nil {
		return err
	}
	return ascendingKeys(r.Keys)
}

// VerifyRequest checks that who makes it signed it.
func VerifyRequest(s statement.Statement, armored []byte, p plan.Plan) (Request, error) {
	r, err := RequestOf(s)
	if err != nil {
		return r, err
	}
	return r, verify(s, armored, p, r.Role, r.By)
}

// A Support is a guardian's or an operator's own person's yes. An operator's is its consent: its node gives its part only after it.
type Support struct {
	ID statement.ID
	Head
	Role, By string
	Contacts []string // out-of-band contacts with a subject that a guardian tried, and what came of them
	Created  time.Time
}

// Statement writes the support.
func (v Support) Statement(salt statement.Salt) (statement.Statement, error) {
	b := v.block().Add("role", v.Role).Add("by", v.By).AddList("contact", v.Contacts).AddTime("created", v.Created)
	return build(statement.SOSSupport, b, salt, v.check())
}

// SupportOf gives a support's statement its meaning.
func SupportOf(s statement.Statement) (Support, error) {
	return read(s, statement.SOSSupport, func(f statement.Block) Support {
		return Support{s.ID(), headOf(f), f.Get("role"), f.Get("by"), values(f, "contact"), f.Time("created")}
	}, Support.check)
}

func (v Support) check() error {
	if v.Role == Operator && len(v.Contacts) > 0 {
		return errors.New("contact: a guardian says whom they tried to reach, an operator does not")
	}
	return nil
}

// VerifySupport checks that the guardian, or one of the operator's officers, signed it.
func VerifySupport(s statement.Statement, armored []byte, p plan.Plan) (Support, error) {
	v, err := SupportOf(s)
	if err != nil {
		return v, err
	}
	return v, verify(s, armored, p, v.Role, v.By)
}

// A Veto is a guardian's no, with a reason.
type Veto struct {
	ID statement.ID
	Head
	By      string // guardian
	Reason  string
	Created time.Time
}

// Statement writes the veto.
func (v Veto) Statement(salt statement.Salt) (statement.Statement, error) {
	return build(statement.SOSVeto, v.block().Add("by", v.By).Add("reason", v.Reason).AddTime("created", v.Created), salt, nil)
}

// VetoOf gives a veto's statement its meaning.
func VetoOf(s statement.Statement) (Veto, error) {
	return read(s, statement.SOSVeto, func(f statement.Block) Veto {
		return Veto{s.ID(), headOf(f), f.Get("by"), f.Get("reason"), f.Time("created")}
	}, func(Veto) error { return nil })
}

// VerifyVeto checks that the guardian signed it.
func VerifyVeto(s statement.Statement, armored []byte, p plan.Plan) (Veto, error) {
	v, err := VetoOf(s)
	if err != nil {
		return v, err
	}
	return v, verify(s, armored, p, Guardian, v.By)
}

// A Challenge calls on an operator that lives to sign. Refusal counts from when a node first had it.
type Challenge struct {
	ID       statement.ID
	Drill    bool
	Charter  statement.ID // in force
	Vault    statement.ID
	Operator string // that is to sign
	Reason   string // may be empty
	Role, By string
	Created  time.Time
}

// Statement writes the challenge.
func (c Challenge) Statement(salt statement.Salt) (statement.Statement, error) {
	b := modeBlock(c.Drill).AddID("charter", c.Charter).AddID("vault", c.Vault).Add("operator", c.Operator).Add("reason", c.Reason)
	return build(statement.SOSChallenge, b.Add("role", c.Role).Add("by", c.By).AddTime("created", c.Created), salt, c.check())
}

// ChallengeOf gives a challenge's statement its meaning.
func ChallengeOf(s statement.Statement) (Challenge, error) {
	return read(s, statement.SOSChallenge, func(f statement.Block) Challenge {
		return Challenge{s.ID(), f.Get("mode") == modeDrill, f.ID("charter"), f.ID("vault"), f.Get("operator"), f.Get("reason"), f.Get("role"), f.Get("by"), f.Time("created")}
	}, Challenge.check)
}

func (c Challenge) check() error {
	if c.Role == Operator && c.By == c.Operator {
		return fmt.Errorf("by: %s calls on itself", c.By)
	}
	return nil
}

// VerifyChallenge checks that who makes it signed it.
func VerifyChallenge(s statement.Statement, armored []byte, p plan.Plan) (Challenge, error) {
	c, err := ChallengeOf(s)
	if err != nil {
		return c, err
	}
	return c, verify(s, armored, p, c.Role, c.By)
}

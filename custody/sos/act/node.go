package act

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// A Step is a node's own word that it took a step: so every step of every live node stands in every live node's log.
type Step struct {
	ID statement.ID
	Head
	Operator  string // whose node
	State     string // that it is in now
	Why       string
	Credited  time.Duration // on its own clock, whole seconds
	FirstSeen time.Time     // when it had the declaration
	Created   time.Time
}

// Statement writes the step. The node signs it.
func (p Step) Statement(salt statement.Salt) (statement.Statement, error) {
	b := p.block().Add("operator", p.Operator).Add("state", p.State).Add("why", p.Why).AddUint("credited", seconds(p.Credited))
	return build(statement.SOSStep, b.AddTime("first-seen", p.FirstSeen).AddTime("created", p.Created), salt, nil)
}

// StepOf gives a step's statement its meaning.
func StepOf(s statement.Statement) (Step, error) {
	return read(s, statement.SOSStep, func(f statement.Block) Step {
		return Step{s.ID(), headOf(f), f.Get("operator"), f.Get("state"), f.Get("why"), time.Duration(f.Uint("credited")) * time.Second, f.Time("first-seen"), f.Time("created")}
	}, func(Step) error { return nil })
}

// VerifyStep checks that the node of the operator that it names signed it.
func VerifyStep(s statement.Statement, sig []byte, p plan.Plan) (Step, error) {
	v, err := StepOf(s)
	if err != nil {
		return v, err
	}
	return v, verifyNode(s, sig, p, v.Operator)
}

// seconds are whole ones, rounded down: nobody claims more than was credited.
func seconds(d time.Duration) uint64 { return uint64(max(d, 0) / time.Second) }

// A NoVeto is a node's answer to another that is about to give its part: it knows of no veto. It names the head of the asker's log that
// it knows, so that a node that was rolled back finds out (S2).
type NoVeto struct {
	ID statement.ID
	Head
	Operator string // who answers
	Asker    string
	Nonce    [32]byte // the asker's own
	Origin   string   // of the asker's log
	Log      tlog.Head
	Created  time.Time
}

// Statement writes the no-veto. The node signs it.
func (v NoVeto) Statement(salt statement.Salt) (statement.Statement, error) {
	b := v.block().Add("operator", v.Operator).Add("asker", v.Asker).AddHex("nonce", v.Nonce[:])
	b = b.Add("origin", v.Origin).AddUint("size", uint64(v.Log.Size)).AddHex("root", v.Log.Root[:])
	return build(statement.SOSNoVeto, b.AddTime("created", v.Created), salt, v.check())
}

// NoVetoOf gives a no-veto's statement its meaning.
func NoVetoOf(s statement.Statement) (NoVeto, error) {
	return read(s, statement.SOSNoVeto, func(f statement.Block) NoVeto {
		v := NoVeto{
			ID: s.ID(), Head: headOf(f), Operator: f.Get("operator"), Asker: f.Get("asker"), Nonce: f.ID("nonce"),
			Origin: f.Get("origin"), Log: tlog.Head{Size: int64(f.Uint("size"))}, Created: f.Time("created"),
		}
		copy(v.Log.Root[:], f.Hex("root"))
		return v
	}, NoVeto.check)
}

func (v NoVeto) check() error {
	if v.Operator == v.Asker {
		return fmt.Errorf("asker: %s answers itself", v.Asker)
	}
	return nil
}

// VerifyNoVeto checks that the node that answers signed it.
func VerifyNoVeto(s statement.Statement, sig []byte, p plan.Plan) (NoVeto, error) {
	v, err := NoVetoOf(s)
	if err != nil {
		return v, err
	}
	return v, verifyNode(s, sig, p, v.Operator)
}

// A Member is one of the new committee.
type Member struct {
	Operator   string
	Party      [16]byte
	Index      uint16   // share index: one that nobody ever had, but for a member that continues
	Encryption [32]byte // X25519, for this ceremony alone
}

// An Activation names who gives their part for one key, and to whom. Each contributor's node signs the same bytes.
type Activation struct {
	ID statement.ID
	Head
	Key
	Attempt      int
	Contributors []string // operators, ascending: exactly r
	Threshold    int      // t′
	Members      []Member // ascending by operator
	Created      time.Time
}

// Statement writes the activation.
func (a Activation) Statement(salt statement.Salt) (statement.Statement, error) {
	b := a.block().AddHex("key", a.Key.Key[:]).AddHex("epoch", a.Epoch[:]).AddUint("attempt", uint64(a.Attempt))
	b = b.AddList("contributor", a.Contributors).AddUint("threshold", uint64(a.Threshold))
	for _, m := range a.Members {
		var sub statement.Block
		b = b.AddBlock("member", m.Operator, sub.AddHex("party", m.Party[:]).AddUint("index", uint64(m.Index)).AddHex("encryption", m.Encryption[:]))
	}
	return build(statement.SOSActivation, b.AddTime("created", a.Created), salt, a.check())
}

// ActivationOf gives an activation's statement its meaning.
func ActivationOf(s statement.Statement) (Activation, error) {
	return read(s, statement.SOSActivation, func(f statement.Block) Activation {
		a := Activation{
			ID: s.ID(), Head: headOf(f), Key: Key{f.ID("key"), f.ID("epoch")}, Attempt: int(f.Uint("attempt")),
			Contributors: values(f, "contributor"), Threshold: int(f.Uint("threshold")), Created: f.Time("created"),
		}
		for _, m := range f.Each("member") {
			out := Member{Operator: m.Value, Index: uint16(m.Block.Uint("index")), Encryption: m.Block.ID("encryption")}
			copy(out.Party[:], m.Block.Hex("party"))
			a.Members = append(a.Members, out)
		}
		return a
	}, Activation.check)
}

func (a Activation) check() error {
	if err := ascending("contributor", a.Contributors); err != nil {
		return err
	}
	if 2*a.Threshold <= len(a.Members) || a.Threshold > len(a.Members) {
		return fmt.Errorf("threshold: %d of %d members; more than half and at most all are allowed", a.Threshold, len(a.Members))
	}
	for i, m := range a.Members {
		for _, o := range a.Members[:i] {
			// One party with two places, or one key that opens two members' values, would hold two shares.
			if o.Operator >= m.Operator || o.Party == m.Party || o.Index == m.Index || o.Encryption == m.Encryption {
				return fmt.Errorf("member %s: not in ascending order, or its party, index or encryption key is %s's", m.Operator, o.Operator)
			}
		}
	}
	return nil
}

// Names are the new committee.
func (a Activation) Names() (names []string) {
	for _, m := range a.Members {
		names = append(names, m.Operator)
	}
	return names
}

// VerifyActivation checks the signatures of all contributors' nodes, by operator.
func VerifyActivation(s statement.Statement, sigs map[string][]byte, p plan.Plan) (Activation, error) {
	a, err := ActivationOf(s)
	if err != nil {
		return a, err
	}
	for _, name := range a.Contributors {
		if err := verifyNode(s, sigs[name], p, name); err != nil {
			return a, fmt.Errorf("contributor %s: %w", name, err)
		}
	}
	return a, nil
}

// A Released is a node's own word that it gives its part: from then on vetoes are late. It is durable before anything leaves.
type Released struct {
	ID statement.ID
	Head
	Operator   string
	Activation statement.ID
	Key        [32]byte
	Attempt    int
	NoVetos    []statement.ID // relied on, ascending
	Credited   time.Duration
	FirstSeen  time.Time
	Created    time.Time
}

// Statement writes it. The node signs it.
func (v Released) Statement(salt statement.Salt) (statement.Statement, error) {
	b := v.block().Add("operator", v.Operator).AddID("activation", v.Activation).AddHex("key", v.Key[:]).AddUint("attempt", uint64(v.Attempt))
	for _, id := range v.NoVetos {
		b = b.AddID("no-veto", id)
	}
	b = b.AddUint("credited", seconds(v.Credited)).AddTime("first-seen", v.FirstSeen).AddTime("created", v.Created)
	return build(statement.SOSReleased, b, salt, v.check())
}

// ReleasedOf gives its statement its meaning.
func ReleasedOf(s statement.Statement) (Released, error) {
	return read(s, statement.SOSReleased, func(f statement.Block) Released {
		v := Released{
			ID: s.ID(), Head: headOf(f), Operator: f.Get("operator"), Activation: f.ID("activation"), Key: f.ID("key"), Attempt: int(f.Uint("attempt")),
			Credited: time.Duration(f.Uint("credited")) * time.Second, FirstSeen: f.Time("first-seen"), Created: f.Time("created"),
		}
		for _, line := range f.All("no-veto") {
			var id statement.ID
			b, _ := hex.DecodeString(line) // its form is checked
			copy(id[:], b)
			v.NoVetos = append(v.NoVetos, id)
		}
		return v
	}, Released.check)
}

func (v Released) check() error {
	if !slices.IsSortedFunc(v.NoVetos, func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) }) {
		return errors.New("no-veto: not in ascending order")
	}
	return nil
}

// VerifyReleased checks that the node of the operator that it names signed it.
func VerifyReleased(s statement.Statement, sig []byte, p plan.Plan) (Released, error) {
	v, err := ReleasedOf(s)
	if err != nil {
		return v, err
	}
	return v, verifyNode(s, sig, p, v.Operator)
}

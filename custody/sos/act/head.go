package act

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// Modes, as statements write them. They differ in what is signed: nothing that was said in a drill serves in earnest.
const (
	modeDrill = "drill"
	modeReal  = "real"
)

// Roles, as what somebody signs.
const (
	Guardian = "guardian"
	Operator = "operator" // its own person: one of its officers
)

// A Head begins whatever is about a request.
type Head struct {
	Drill   bool
	Charter statement.ID // that the request names
	Vault   statement.ID
	Request statement.ID
}

func (h Head) block() statement.Block {
	return modeBlock(h.Drill).AddID("charter", h.Charter).AddID("vault", h.Vault).AddID("request", h.Request)
}

func modeBlock(d bool) statement.Block {
	if d {
		return statement.Block{}.Add("mode", modeDrill)
	}
	return statement.Block{}.Add("mode", modeReal)
}

func headOf(f statement.Block) Head {
	return Head{f.Get("mode") == modeDrill, f.ID("charter"), f.ID("vault"), f.ID("request")}
}

// Of says why something is not about a request, nil if it is (S3: said for another vault, epoch, mode or request, it counts for nothing).
func (h Head) Of(r Request) error {
	if h != r.Head() {
		return fmt.Errorf("it is about request %s of vault %s under charter %s (%s), not %s", h.Request.Short(), h.Vault.Short(), h.Charter.Short(), modeName(h.Drill), r.ID.Short())
	}
	return nil
}

func modeName(d bool) string {
	if d {
		return "DRILL"
	}
	return "REAL"
}

// A Key is one of a vault's keys, and an epoch of it.
type Key struct {
	Key   [32]byte // keyID
	Epoch [32]byte // hash of the epoch record
}

func addKey(b statement.Block, k Key, more statement.Block) statement.Block {
	var sub statement.Block
	return b.AddBlock("key", hex.EncodeToString(k.Key[:]), append(sub.AddHex("epoch", k.Epoch[:]), more...))
}

func keyOf(f statement.Field) (k Key) {
	b, _ := hex.DecodeString(f.Value)
	copy(k.Key[:], b)
	k.Epoch = f.Block.ID("epoch")
	return k
}

func ascendingKeys(keys []Key) error {
	for i := 1; i < len(keys); i++ {
		if bytes.Compare(keys[i-1].Key[:], keys[i].Key[:]) >= 0 {
			return errors.New("key: not in ascending order")
		}
	}
	return nil
}

func ascending(what string, names []string) error {
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			return fmt.Errorf("%s: not in ascending order", what)
		}
	}
	return nil
}

// keysOf are those by which somebody signs in a role.
func keysOf(p plan.Plan, role, by string) ([]signet.Key, error) {
	switch role {
	case Guardian:
		if g, ok := p.Guardian(by); ok && !g.Key.IsZero() {
			return []signet.Key{g.Key}, nil
		}
		return nil, fmt.Errorf("by: %s is no guardian of vault %s with a card: %w", by, p.Name, signet.ErrStranger)
	case Operator:
		if o, ok := p.Operator(by); ok {
			return o.Officers, nil
		}
	}
	return nil, fmt.Errorf("by: %s is no %s of vault %s: %w", by, role, p.Name, signet.ErrStranger)
}

// verify checks a person's signature over their own statement.
func verify(s statement.Statement, armored []byte, p plan.Plan, role, by string) error {
	keys, err := keysOf(p, role, by)
	if err == nil {
		_, err = signet.Verify(armored, signet.Makes(s.Kind()), s.Bytes(), keys)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", s.Kind(), s.ID().Short(), err)
	}
	return nil
}

// verifyNode checks a node's signature; others' nodes count too, not only the committee's.
func verifyNode(s statement.Statement, sig []byte, p plan.Plan, name string) error {
	o, ok := p.Anyone(name)
	if !ok {
		return fmt.Errorf("%s %s: operator %s is not of the circle", s.Kind(), s.ID().Short(), name)
	}
	return signet.VerifyNode(o.Identity, s, sig)
}

// everyone are the officers of these operators: each must have signed, in the same order. It checks one signature per operator.
func everyone(s statement.Statement, armored map[string][]byte, p plan.Plan, names []string) error {
	for _, name := range names {
		o, ok := p.Anyone(name)
		if !ok {
			return fmt.Errorf("%s %s: operator %s is not of the circle", s.Kind(), s.ID().Short(), name)
		}
		if _, err := signet.Verify(armored[name], signet.Makes(s.Kind()), s.Bytes(), o.Officers); err != nil {
			return fmt.Errorf("%s %s: operator %s has not signed it: %w", s.Kind(), s.ID().Short(), name, err)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%s %s: no operator is to sign it", s.Kind(), s.ID().Short())
	}
	return nil
}

func build(k statement.Kind, b statement.Block, salt statement.Salt, check error) (statement.Statement, error) {
	if check != nil {
		return statement.Statement{}, fmt.Errorf("%s: %w", k, check)
	}
	return statement.Build(k, b, salt)
}

// read gives a statement of a kind its meaning.
func read[T any](s statement.Statement, k statement.Kind, of func(statement.Block) T, check func(T) error) (T, error) {
	var none T
	if err := s.Require(k); err != nil {
		return none, err
	}
	out := of(s.Fields())
	if err := check(out); err != nil {
		return none, fmt.Errorf("%s %s: %w", k, s.ID().Short(), err)
	}
	return out, nil
}

func values(f statement.Block, name string) []string { return slices.Clip(f.All(name)) }

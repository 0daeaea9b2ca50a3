package act

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Seat is a node's word that it may be of a new committee: it has made a key for this ceremony alone, to which guardians deal (protocols.md 6.2 step 1).
type Seat struct {
	ID statement.ID
	Head
	Operator string
	Key
	Attempt    int
	Encryption [32]byte // X25519
	Possession [64]byte // of its private key
	Created    time.Time
}

// Statement writes it. The node signs it.
func (v Seat) Statement(salt statement.Salt) (statement.Statement, error) {
	b := v.block().Add("operator", v.Operator).AddHex("key", v.Key.Key[:]).AddHex("epoch", v.Epoch[:]).AddUint("attempt", uint64(v.Attempt))
	return build(statement.SOSSeat, b.AddHex("encryption", v.Encryption[:]).AddHex("possession", v.Possession[:]).AddTime("created", v.Created), salt, nil)
}

// SeatOf gives its statement its meaning, and checks that whoever made it has the private key.
func SeatOf(s statement.Statement) (Seat, error) {
	return read(s, statement.SOSSeat, func(f statement.Block) Seat {
		v := Seat{
			ID: s.ID(), Head: headOf(f), Operator: f.Get("operator"), Key: Key{f.ID("key"), f.ID("epoch")}, Attempt: int(f.Uint("attempt")),
			Encryption: f.ID("encryption"), Created: f.Time("created"),
		}
		copy(v.Possession[:], f.Hex("possession"))
		return v
	}, Seat.check)
}

func (v Seat) check() error {
	key, err := pve.ParseKey(v.Encryption[:])
	if err == nil {
		err = pve.CheckPossession(key, v.context(), v.Possession[:])
	}
	if err != nil {
		return fmt.Errorf("encryption: %w", err)
	}
	return nil
}

// context binds a proof of possession to all else that the statement says: nobody registers another's key as theirs.
func (v Seat) context() []byte {
	h := transcript.New(transcript.SOSSeat).Bytes([]byte(modeName(v.Drill))).Bytes(v.Charter[:]).Bytes(v.Vault[:]).Bytes(v.Request[:])
	h.Bytes([]byte(v.Operator)).Bytes(v.Key.Key[:]).Bytes(v.Epoch[:]).Uint(uint64(v.Attempt)).Uint(uint64(v.Created.Unix()))
	sum := sha256.Sum256(h.Tree())
	return sum[:]
}

// Prove fills in the key and its proof.
func (v Seat) Prove(key *pve.PrivateKey, r io.Reader) (Seat, error) {
	v.Encryption = key.Public()
	proof, err := key.ProvePossession(v.context(), r)
	if err == nil {
		copy(v.Possession[:], proof)
	}
	return v, err
}

// VerifySeat checks that the node of the operator that it names signed it.
func VerifySeat(s statement.Statement, sig []byte, p plan.Plan) (Seat, error) {
	v, err := SeatOf(s)
	if err != nil {
		return v, err
	}
	return v, verifyNode(s, sig, p, v.Operator)
}

// Seated holds the members of an activation to what their own nodes announced for its key and attempt. A key that no node of its member announced may be anybody's:
// whoever wrote the activation would read what guardians deal to others.
func (a Activation) Seated(seats []Seat) error {
	for _, m := range a.Members {
		announced := func(v Seat) bool {
			return v.Operator == m.Operator && v.Head == a.Head && v.Key == a.Key && v.Attempt == a.Attempt && v.Encryption == m.Encryption
		}
		if !slices.ContainsFunc(seats, announced) {
			return fmt.Errorf("member %s: encryption: its own node did not announce this key for attempt %d", m.Operator, a.Attempt)
		}
	}
	return nil
}

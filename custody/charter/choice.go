package charter

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A KeyChoice names the one key of a suite that a vault publishes (spec/epoch): every node of the
// committee signs the same bytes with its identity key.
type KeyChoice struct {
	Charter     statement.ID
	Vault       statement.ID
	Key         [32]byte // keyID
	Attempt     uint64   // number of the key generation
	Suite       string
	PublicKey   []byte   // the suite's point: 33 bytes on secp256k1, 32 on Ed25519
	Epoch       [32]byte // eh, hash of the epoch record
	Certificate [32]byte // SHA-256 of the final certificate
}

// Statement writes the choice. It has no time and its salt follows from its content, so
// that every node builds the same bytes by itself; the certificate's hash, which no
// outsider can guess, makes the id hide the rest.
func (c KeyChoice) Statement() (statement.Statement, error) {
	salt := transcript.New(transcript.KeyChoiceSalt).
		Bytes(c.Vault[:]).Bytes(c.Key[:]).Bytes(c.Epoch[:]).Bytes(c.Certificate[:]).Sum256()
	var b statement.Block
	b = b.AddID("charter", c.Charter).AddID("vault", c.Vault).AddHex("key", c.Key[:])
	b = b.AddUint("attempt", c.Attempt).Add("suite", c.Suite).AddHex("public-key", c.PublicKey)
	b = b.AddHex("epoch", c.Epoch[:]).AddHex("certificate", c.Certificate[:])
	return statement.Build(statement.Key, b, salt)
}

// KeyChoiceOf gives a key statement its meaning. A salt that does not follow from the
// content is refused: two statements could make one choice.
func KeyChoiceOf(s statement.Statement) (KeyChoice, error) {
	if err := s.Require(statement.Key); err != nil {
		return KeyChoice{}, err
	}
	f := s.Fields()
	c := KeyChoice{
		Charter: f.ID("charter"), Vault: f.ID("vault"), Key: f.ID("key"),
		Attempt: f.Uint("attempt"), Suite: f.Get("suite"), PublicKey: f.Hex("public-key"),
		Epoch: f.ID("epoch"), Certificate: f.ID("certificate"),
	}
	if want := pointSize(c.Suite); len(c.PublicKey) != want {
		return KeyChoice{}, fmt.Errorf("key statement %s: public-key has %d bytes, %s has %d", s.ID().Short(), len(c.PublicKey), c.Suite, want)
	}
	again, err := c.Statement()
	if err != nil {
		return KeyChoice{}, err
	}
	if again.ID() != s.ID() {
		return KeyChoice{}, fmt.Errorf("key statement %s: its salt does not follow from its content", s.ID().Short())
	}
	return c, nil
}

func pointSize(suite string) int {
	if suite == SuiteEd25519 {
		return 32
	}
	return 33
}

// VerifyKeyChoice checks that the choice is for this vault and that the node of every
// operator of its committee signed it. sigs holds 64 bytes per operator.
func VerifyKeyChoice(s statement.Statement, v Vault, r Roster, sigs map[string][]byte) error {
	c, err := KeyChoiceOf(s)
	if err != nil {
		return err
	}
	if c.Vault != v.ID || c.Charter != v.Charter || !slices.Contains(v.Suites, c.Suite) {
		return fmt.Errorf("key statement %s: vault, charter or suite is not that of vault %s", s.ID().Short(), v.Name)
	}
	for _, name := range v.Committee {
		o, ok := r.Operator(name)
		if !ok {
			return fmt.Errorf("key statement %s: %s is no operator of circle %q", s.ID().Short(), name, r.Circle)
		}
		if err := signet.VerifyNode(o.Identity, s, sigs[name]); err != nil {
			return fmt.Errorf("operator %s: %w", name, err)
		}
	}
	return nil
}

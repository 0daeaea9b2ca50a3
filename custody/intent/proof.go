package intent

import (
	"fmt"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Proof is a statement that a vault's key signs: that its holders control an address, and say this. It is
// made for outsiders, who check it with the chain's own tools.
type Proof struct {
	Vault   statement.ID
	Key     [32]byte // keyID
	Suite   string
	Path    [3]uint32
	Address string
	Chain   string // CAIP-2
	Text    string
	Intent  statement.ID // that asked for it
	Created time.Time
	Expires time.Time
}

// ProofOf is the proof that an intent of PurposeProof asks for. s is the intent's statement.
func ProofOf(s statement.Statement, suite string) (Proof, error) {
	it, err := Of(s)
	if err != nil {
		return Proof{}, err
	}
	if it.Purpose != PurposeProof {
		return Proof{}, fmt.Errorf("intent %s: its purpose is %s, not %s", s.ID().Short(), it.Purpose, PurposeProof)
	}
	return Proof{
		Vault: it.Vault, Key: it.Key, Suite: suite, Path: it.Path, Address: it.Address, Chain: it.Chain, Text: it.Text,
		Intent: s.ID(), Created: it.Created, Expires: it.Expires,
	}, nil
}

// Statement writes the proof. Its salt follows from the intent, so that every node builds the same bytes by itself.
func (p Proof) Statement() (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("vault", p.Vault).AddHex("key", p.Key[:]).Add("suite", p.Suite).Add("path", statement.FormatPath(p.Path[:]...))
	b = b.Add("address", p.Address).Add("chain", p.Chain).Add("text", p.Text).AddID("intent", p.Intent)
	b = b.AddTime("created", p.Created).AddTime("expires", p.Expires)
	return statement.Build(statement.Proof, b, transcript.New(transcript.ProofSalt).Bytes(p.Intent[:]).Sum256())
}

// Facts are what everybody who decodes the proof finds, in this order.
func (p Proof) Facts() []Fact {
	return []Fact{{"operation", "proof"}, {"address", p.Address}, {"text", p.Text}}
}

// ReadProof gives a proof's statement its meaning.
func ReadProof(s statement.Statement) (Proof, error) {
	if err := s.Require(statement.Proof); err != nil {
		return Proof{}, err
	}
	f := s.Fields()
	levels, err := statement.ParsePath(f.Get("path"))
	if err != nil || len(levels) != 3 {
		return Proof{}, fmt.Errorf("proof %s: path %q has not three levels", s.ID().Short(), f.Get("path"))
	}
	p := Proof{
		Vault: f.ID("vault"), Key: f.ID("key"), Suite: f.Get("suite"), Path: [3]uint32(levels), Address: f.Get("address"),
		Chain: f.Get("chain"), Text: f.Get("text"), Intent: f.ID("intent"), Created: f.Time("created"), Expires: f.Time("expires"),
	}
	again, err := p.Statement()
	if err != nil {
		return Proof{}, err
	}
	if again.ID() != s.ID() {
		return Proof{}, fmt.Errorf("proof %s: its salt does not follow from its intent", s.ID().Short())
	}
	return p, nil
}

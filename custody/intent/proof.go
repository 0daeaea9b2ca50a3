package intent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Claim is what a proof says, in the words of who asked for it.
type Claim struct {
	Entity string // legal entity in whose name it is said
	AsOf   *Block // that it speaks of; nil: of none
	Text   string
}

// A Block is one of a chain's.
type Block struct {
	Height uint64
	Hash   [32]byte // as the chain writes it
}

// add writes a claim's fields; an empty one has none.
func (c Claim) add(b statement.Block) statement.Block {
	b = b.Add("entity", c.Entity)
	if c.AsOf != nil {
		b = b.AddUint("height", c.AsOf.Height).AddHex("block", c.AsOf.Hash[:])
	}
	return b.Add("text", c.Text)
}

func readClaim(f statement.Block) (Claim, error) {
	c := Claim{Entity: f.Get("entity"), Text: f.Get("text")}
	height, hash := f.Get("height") != "", f.Get("block") != ""
	if height != hash {
		// A height without a hash could be read as one of any fork.
		return Claim{}, errors.New("a height and the hash of the block at it stand together or not at all")
	}
	if height {
		c.AsOf = &Block{f.Uint("height"), f.ID("block")}
	}
	return c, nil
}

// A Proof is a statement that a vault's key signs: that its holders control an address, and say this. It is
// made for outsiders, who check it with the chain's own tools.
type Proof struct {
	Vault   statement.ID
	Key     [32]byte // keyID
	Suite   string
	Path    [3]uint32
	Address string
	Chain   string // CAIP-2
	Claim
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
		Vault: it.Vault, Key: it.Key, Suite: suite, Path: it.Path, Address: it.Address, Chain: it.Chain, Claim: it.Claim,
		Intent: s.ID(), Created: it.Created, Expires: it.Expires,
	}, nil
}

// Statement writes the proof. Its salt follows from the intent, so that every node builds the same bytes by itself.
func (p Proof) Statement() (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("vault", p.Vault).AddHex("key", p.Key[:]).Add("suite", p.Suite).Add("path", statement.FormatPath(p.Path[:]...))
	b = p.add(b.Add("address", p.Address).Add("chain", p.Chain)).AddID("intent", p.Intent)
	b = b.AddTime("created", p.Created).AddTime("expires", p.Expires)
	return statement.Build(statement.Proof, b, transcript.New(transcript.ProofSalt).Bytes(p.Intent[:]).Sum256())
}

// Facts are what everybody who decodes the proof finds, in this order.
func (p Proof) Facts() []Fact {
	out := []Fact{{"operation", "proof"}, {"address", p.Address}, {"entity", p.Entity}}
	if p.AsOf != nil {
		out = append(out, Fact{"height", strconv.FormatUint(p.AsOf.Height, 10)}, Fact{"block", hex.EncodeToString(p.AsOf.Hash[:])})
	}
	return append(out, Fact{"text", p.Text})
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
	claim, err := readClaim(f)
	if err != nil {
		return Proof{}, fmt.Errorf("proof %s: %w", s.ID().Short(), err)
	}
	p := Proof{
		Vault: f.ID("vault"), Key: f.ID("key"), Suite: f.Get("suite"), Path: [3]uint32(levels), Address: f.Get("address"),
		Chain: f.Get("chain"), Claim: claim, Intent: f.ID("intent"), Created: f.Time("created"), Expires: f.Time("expires"),
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

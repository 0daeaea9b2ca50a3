package proof

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/chain"
	btc "github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Signed is a proof as it is handed over. Nothing of it is verified.
type Signed struct {
	Statement []byte // exactly as it was signed, with its last line feed
	Signature []byte // as the chain's tools read it (chain.ProofSignature)
	Key       []byte // of the address: secp256k1 compressed, 33 bytes, before Taproot's tweak; Ed25519, 32 bytes
	Leaf      string // the leaf of the address's scripts, as descriptors write it (spec/chain-bitcoin 8); empty: it has none
}

// Errors about time. Both come beside the proof, which holds but for its time.
var (
	ErrExpired = errors.New("the proof has expired")
	ErrEarly   = errors.New("the proof was made later than the time that it is judged at")
)

// Verify says what a proof by its address's own key says. The address in the statement is the key's, and the signature is the key's
// over the statement's bytes. That the key is a vault's is the statement's word alone: see VerifyUnder.
func Verify(p Signed, at time.Time) (intent.Proof, error) {
	out, err := read(p.Statement)
	if err != nil {
		return intent.Proof{}, err
	}
	key, err := groupOf(out.Suite).DecodePoint(p.Key)
	if err != nil {
		return intent.Proof{}, fmt.Errorf("proof: public key: %w", err)
	}
	return verify(out, p, key, at)
}

// VerifyUnder is Verify for the key at the statement's path below a root, which the caller knows to be the vault's. p.Key may be
// absent; if it is there, it is that key.
func VerifyUnder(p Signed, root group.Point, chainCode [32]byte, at time.Time) (intent.Proof, error) {
	out, err := read(p.Statement)
	if err != nil {
		return intent.Proof{}, err
	}
	if root.Group() != groupOf(out.Suite) {
		return intent.Proof{}, fmt.Errorf("proof: it is by a key of suite %s, and the root is of another curve", out.Suite)
	}
	key, _, err := hd.Derive(root, chainCode, out.Path[:])
	if err != nil {
		return intent.Proof{}, fmt.Errorf("proof: key at %s: %w", statement.FormatPath(out.Path[:]...), err)
	}
	return verify(out, p, key, at)
}

// VerifyXPub is VerifyUnder for an extended public key of a vault's root, or of the account that the statement's path goes through.
func VerifyXPub(p Signed, xpub string, at time.Time) (intent.Proof, error) {
	out, err := read(p.Statement)
	if err != nil {
		return intent.Proof{}, err
	}
	k, _, err := hd.ParseXPub(xpub)
	if err != nil {
		return intent.Proof{}, fmt.Errorf("proof: %w", err)
	}
	rest := out.Path[:]
	switch {
	case groupOf(out.Suite) != group.Group(secp256k1.Group{}):
		return intent.Proof{}, fmt.Errorf("proof: it is by a key of suite %s, which has no extended public key in this form", out.Suite)
	case k.Depth == 0:
	case k.Depth == 2 && k.Step == out.Path[1]:
		rest = rest[2:]
	default:
		return intent.Proof{}, fmt.Errorf("proof: the extended public key (depth %d, step %d) is neither of a root nor of the account in %s", k.Depth, k.Step, statement.FormatPath(out.Path[:]...))
	}
	child, _, err := k.Derive(rest)
	if err != nil {
		return intent.Proof{}, fmt.Errorf("proof: key at %s: %w", statement.FormatPath(out.Path[:]...), err)
	}
	return verify(out, p, child.Point, at)
}

func read(text []byte) (intent.Proof, error) {
	s, err := statement.ParseKind(text, statement.Proof)
	if err != nil {
		return intent.Proof{}, err
	}
	return intent.ReadProof(s)
}

func groupOf(suite string) group.Group {
	if suite == charter.SuiteEd25519 {
		return edwards25519.Group{}
	}
	return secp256k1.Group{}
}

func verify(out intent.Proof, p Signed, key group.Point, at time.Time) (intent.Proof, error) {
	if len(p.Key) > 0 && string(key.Bytes()) != string(p.Key) {
		return intent.Proof{}, fmt.Errorf("proof: it comes with key %x, and the key at %s is %x", p.Key, statement.FormatPath(out.Path[:]...), key.Bytes())
	}
	if key.IsIdentity() { // anybody signs for it
		return intent.Proof{}, errors.New("proof: the key is the group's identity, which is nobody's")
	}
	var tree *[32]byte
	if p.Leaf != "" {
		r, err := btc.ParseRecovery(p.Leaf)
		if err != nil {
			return intent.Proof{}, fmt.Errorf("proof: recovery: %w", err)
		}
		root := r.Root()
		tree = &root
	}
	address, err := chain.Address(out.Suite, out.Chain, key, tree)
	switch {
	case err != nil:
		return intent.Proof{}, fmt.Errorf("proof: %w", err)
	case address != out.Address:
		return intent.Proof{}, fmt.Errorf("proof: it says address %s, and the key's is %s", out.Address, address)
	}
	if err := chain.CheckProof(out.Suite, out.Chain, key, tree, p.Statement, p.Signature); err != nil {
		return intent.Proof{}, err
	}
	switch {
	case !at.Before(out.Expires):
		return out, fmt.Errorf("%w at %s", ErrExpired, statement.FormatTime(out.Expires))
	case out.Created.Sub(at) > intent.Skew:
		return out, fmt.Errorf("%w: %s", ErrEarly, statement.FormatTime(out.Created))
	}
	return out, nil
}

// MaxDocument bounds a document that Parse reads, in bytes.
const MaxDocument = 1 << 20

// Parse reads a proof from what `ostraka tx show --json` prints, or from its `proof` alone.
func Parse(document []byte) (Signed, error) {
	type object struct {
		Statement, Signature string
		Key                  string `json:"public_key"`
		Leaf                 string `json:"recovery"`
	}
	var d struct {
		object
		Proof *object
	}
	if len(document) > MaxDocument {
		return Signed{}, fmt.Errorf("proof: the document has %d bytes, more than %d", len(document), MaxDocument)
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return Signed{}, fmt.Errorf("proof: document: %w", err)
	}
	o := d.object
	if d.Proof != nil {
		o = *d.Proof
	}
	if o.Statement == "" || o.Signature == "" {
		return Signed{}, errors.New("proof: the document holds no statement with a signature: it may not be signed yet")
	}
	p := Signed{Statement: []byte(o.Statement), Leaf: o.Leaf}
	about, err := read(p.Statement)
	if err != nil {
		return Signed{}, err
	}
	if p.Signature, err = chain.ParseProof(about.Chain, o.Signature); err != nil {
		return Signed{}, err
	}
	if p.Key, err = hex.DecodeString(o.Key); err != nil {
		return Signed{}, fmt.Errorf("proof: public_key: %w", err)
	}
	return p, nil
}

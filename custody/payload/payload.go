package payload

import (
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
)

// A Payload is what is to be signed, understood in full: a transaction, or a message that goes on no chain by itself. It does not change.
type Payload interface {
	Chain() string            // CAIP-2: where it is valid
	Lines() []effect.Line     // what it does, for people: at most 64, which determine its bytes
	Effects() []effect.Effect // what it does to what the vault holds
	Spends() []string         // names of what its chain gives once of what it uses
	Uses() []effect.Use       // the signatures that it needs, in order
	Travels() bool            // it goes on its chain by itself
	// Assemble puts all signatures in, in the order of Uses, and verifies each with other code than what makes signatures.
	Assemble([]effect.Signature) (*Signed, error)
	// ParseSigned reads what somebody published, and finds that it is this payload with valid signatures, in its one form.
	ParseSigned(raw []byte) (*Signed, error)
}

// Signed is what was signed, verified.
type Signed struct {
	Raw  []byte   // what is published
	Name string   // a transaction's id as its chain writes it; of a message its digest
	ID   [32]byte // by which logs file it: the bytes that Name writes
}

// A Context is in what an intent is read.
type Context struct {
	Book  *policy.Book  // of the charter that the intent names
	Vault charter.Vault // on that charter's terms
	// Root is the vault's key of a suite, whose signatures may stand beside those of the intent's own key.
	Root func(suite string) (Root, error)
}

// A Root is a key of the vault, and the chain code with which its children are derived.
type Root struct {
	Public    group.Point
	ChainCode [32]byte
}

// Read reads what an intent asks to be signed with a key of suite; the intent's purpose is no proof. That its chain is the intent's, the caller compares.
func Read(it intent.Intent, suite string, c Context) (p Payload, err error) {
	switch namespace, _, _ := strings.Cut(it.Chain, ":"); namespace {
	case "eip155":
		p, err = readEVM(it, c)
	case "bip122":
		p, err = readBitcoin(it, suite, c)
	case "solana":
		p, err = DecodeSolana(it)
	default:
		return nil, fmt.Errorf("transactions of chain %s are not signed by this release, and proofs are", it.Chain)
	}
	if err == nil && p.Travels() == (it.Purpose == intent.PurposeMessage) {
		what := "a message, which goes on no chain by itself"
		if p.Travels() {
			what = "a transaction"
		}
		return nil, fmt.Errorf("it is %s, and the intent's purpose is %s", what, it.Purpose)
	}
	return p, err
}

// Telling says whether a fact belongs in a list's one line: what leaves the vault on Bitcoin and on Solana, where a transaction does several things.
func Telling(name, value string) bool {
	switch {
	case strings.HasPrefix(name, "output"):
		return !strings.Contains(value, " change to ")
	case strings.HasPrefix(name, "instruction-"):
		return !strings.HasPrefix(value, "ask for ") && !strings.HasSuffix(value, " for each compute unit") && !strings.HasPrefix(value, "advance nonce account ")
	}
	return false
}

// Facts are a payload's lines as intents and decisions state them.
func Facts(p Payload) (out []intent.Fact) {
	for _, l := range p.Lines() {
		out = append(out, intent.Fact(l))
	}
	return out
}

package intent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Purposes of a signature: one can never serve as another.
const (
	PurposeTransaction = "transaction"
	PurposeMessage     = "message" // that goes on no chain by itself: typed data, or an authorization
	PurposeProof       = "proof"   // that the vault controls an address
)

// Limits of an intent's time.
const (
	MaxLife = statement.MaxExpiry * time.Second // from created to expires
	Skew    = 5 * time.Minute                   // how far in the future created may lie
)

// An Intent asks for a signature over one exact transaction or message, or over the proof that follows from it.
type Intent struct {
	Charter     statement.ID
	Vault       statement.ID
	Key         [32]byte  // keyID
	Epoch       [32]byte  // eh, hash of the key's current epoch record
	Path        [3]uint32 // department, account, index; none hardened
	Address     string    // the sender, as the chain writes it
	Chain       string    // CAIP-2
	Purpose     string
	Transaction []byte       // PurposeTransaction: the full unsigned transaction; PurposeMessage: the message; 1 to 120,000 bytes
	Claim                    // PurposeProof: what the proof says
	Facts       []Fact       // what the initiator's program decoded, in written form (Written)
	Memo        string       // may be empty
	Replaces    statement.ID // zero: none
	Initiator   string       // label of the person who proposes
	Created     time.Time
	Expires     time.Time
}

// Statement writes the intent. The salt makes two intents with one content differ.
func (it Intent) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := it.check(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.AddID("charter", it.Charter).AddID("vault", it.Vault)
	b = b.AddHex("key", it.Key[:]).AddHex("epoch", it.Epoch[:])
	b = b.Add("path", statement.FormatPath(it.Path[:]...)).Add("address", it.Address).Add("chain", it.Chain)
	b = b.Add("purpose", it.Purpose).Add("transaction", hex.EncodeToString(it.Transaction))
	b, err := addFacts(it.add(b), it.Facts)
	if err != nil {
		return statement.Statement{}, fmt.Errorf("intent: %w", err)
	}
	b = b.Add("memo", it.Memo).AddID("replaces", it.Replaces).Add("initiator", it.Initiator)
	return statement.Build(statement.Intent, b.AddTime("created", it.Created).AddTime("expires", it.Expires), salt)
}

// Of gives an intent statement its meaning.
func Of(s statement.Statement) (Intent, error) {
	if err := s.Require(statement.Intent); err != nil {
		return Intent{}, err
	}
	f := s.Fields()
	levels, err := statement.ParsePath(f.Get("path"))
	if err != nil || len(levels) != 3 {
		return Intent{}, fmt.Errorf("intent %s: path %q has not three levels", s.ID().Short(), f.Get("path"))
	}
	facts, err := readFacts(f)
	if err != nil {
		return Intent{}, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	claim, err := readClaim(f)
	if err != nil {
		return Intent{}, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	it := Intent{
		Charter: f.ID("charter"), Vault: f.ID("vault"), Key: f.ID("key"), Epoch: f.ID("epoch"),
		Path: [3]uint32(levels), Address: f.Get("address"), Chain: f.Get("chain"), Purpose: f.Get("purpose"),
		Transaction: f.Hex("transaction"), Claim: claim, Facts: facts, Memo: f.Get("memo"), Replaces: f.ID("replaces"),
		Initiator: f.Get("initiator"), Created: f.Time("created"), Expires: f.Time("expires"),
	}
	return it, it.check()
}

// check holds what the statement's form cannot: the payload is that of the purpose, and the times fit.
func (it Intent) check() error {
	transaction := len(it.Transaction) > 0
	switch {
	case it.Purpose == PurposeTransaction && (!transaction || it.Claim != Claim{}):
		return errors.New("intent: purpose transaction: a transaction, and no entity, height or text expected")
	case it.Purpose == PurposeMessage && (!transaction || it.Claim != Claim{}):
		return errors.New("intent: purpose message: a message in the place of the transaction, and no entity, height or text expected")
	case it.Purpose == PurposeProof && (transaction || it.Entity == "" || it.Text == ""):
		return errors.New("intent: purpose proof: an entity and a text, and no transaction expected")
	}
	return it.checkTimes()
}

func (it Intent) checkTimes() error {
	switch life := it.Expires.Sub(it.Created); {
	case life <= 0:
		return fmt.Errorf("intent: expires: %s is not after created", statement.FormatTime(it.Expires))
	case life > MaxLife:
		// Approvals collected now and used weeks later (Drift, 2026).
		return fmt.Errorf("intent: expires: %s is more than 7 days after created", statement.FormatTime(it.Expires))
	}
	return nil
}

// Errors about proposals and votes, wrapped in what was found.
var (
	ErrNoInitiator = errors.New("proposer is no initiator of the vault")
	ErrOtherVault  = errors.New("intent is for another vault")
	ErrExpired     = errors.New("intent has expired")
	ErrFuture      = errors.New("intent lies in the future: compare the clocks")
	ErrStranger    = errors.New("signed by nobody whom the vault lists as approver")
	ErrOtherBytes  = errors.New("signature does not cover this intent's bytes")
	ErrOtherUse    = errors.New("signature is for another use")
	ErrMalformed   = errors.New("signature is malformed")
	ErrOwnProposal = errors.New("who proposes may not approve in this vault")
	ErrDuplicate   = errors.New("this person's answer is already counted")
)

// CheckTime says whether the intent is alive at now: ErrExpired from Expires on,
// ErrFuture when it was made more than Skew from now.
func (it Intent) CheckTime(now time.Time) error {
	switch {
	case !now.Before(it.Expires):
		return fmt.Errorf("%w at %s", ErrExpired, statement.FormatTime(it.Expires))
	case it.Created.Sub(now) > Skew:
		return fmt.Errorf("%w: it was made at %s, here it is %s", ErrFuture, statement.FormatTime(it.Created), statement.FormatTime(now))
	}
	return nil
}

// checkVault refuses an intent for another vault than v, or under another charter than gives v its terms.
func (it Intent) checkVault(v charter.Vault) error {
	if it.Vault != v.ID || it.Charter != v.Under {
		return fmt.Errorf("%w: it names vault %s under charter %s", ErrOtherVault, it.Vault.Short(), it.Charter.Short())
	}
	return nil
}

// VerifyProposal checks that the person whom the intent names as its initiator is one
// of the vault's and signed its bytes ("intent@ostraka/v1").
func VerifyProposal(s statement.Statement, armored []byte, v charter.Vault, now time.Time) (Intent, error) {
	it, err := Of(s)
	if err != nil {
		return Intent{}, err
	}
	if err := it.checkVault(v); err != nil {
		return Intent{}, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	if err := it.CheckTime(now); err != nil {
		return Intent{}, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	if err := verifyInitiator(s, armored, it.Initiator, v); err != nil {
		return Intent{}, err
	}
	return it, nil
}

// verifyInitiator checks that the named initiator made this statement their own.
func verifyInitiator(s statement.Statement, armored []byte, name string, v charter.Vault) error {
	what := string(s.Kind()) + " " + s.ID().Short()
	p, ok := v.Initiator(name)
	if !ok {
		return fmt.Errorf("%s: %w: %s", what, ErrNoInitiator, name)
	}
	_, err := signet.Verify(armored, signet.Makes(s.Kind()), s.Bytes(), p.Keys)
	if errors.Is(err, signet.ErrStranger) {
		return fmt.Errorf("%s: %w: the key is not %s's: %w", what, ErrNoInitiator, name, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, translate(err))
	}
	return nil
}

// translate puts an error of signet into this room's words.
func translate(err error) error {
	for _, t := range []struct{ from, to error }{
		{signet.ErrMalformed, ErrMalformed},
		{signet.ErrNamespace, ErrOtherUse},
		{signet.ErrStranger, ErrStranger},
		{signet.ErrBytes, ErrOtherBytes},
	} {
		if errors.Is(err, t.from) {
			return fmt.Errorf("%w: %w", t.to, err)
		}
	}
	return err
}

package guard

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// An Activation (spec/guard 7.1) is what a guarded reshare is about, out of the statement that its contributors signed (protocols.md 6.2 step 1). Who makes one
// has held that statement to the vault's SOS plan.
type Activation struct {
	ID        [32]byte    // H(Activation): id of the statement
	Threshold int         // t′
	Members   []NewMember // of the new committee, by index
}

// A NewMember has a key that was made for this ceremony alone.
type NewMember struct {
	session.Party
	Key pve.Key
}

// Parties are the new committee's seats.
func (a *Activation) Parties() (parties []session.Party) {
	for _, m := range a.Members {
		parties = append(parties, m.Party)
	}
	return parties
}

func (a *Activation) check() error {
	var keys []pve.Key
	for _, m := range a.Members {
		keys = append(keys, m.Key)
	}
	if err := session.CheckRoster(a.Parties(), a.Threshold); err != nil {
		return fmt.Errorf("activation: %w", err)
	}
	if err := pve.CheckDistinct(keys); err != nil {
		return fmt.Errorf("activation: encryption keys: %w", err)
	}
	return nil
}

// A Contribution is a guardian's one message: it deals its value to the new committee, says that it knows of no veto, and reveals nothing. Anybody
// can check it. Made from the value of the old epoch, under the old epoch's terms.
type Contribution struct {
	Activation [32]byte
	Commit     share.Commitment // B_g: exactly t′ points, the first U(x_g): not weighted
	Proofs     [][]byte         // g_g(x′ⱼ) to each new member, by index (crypto/pve)
	Signer     ed25519.PublicKey
	Signature  []byte
}

// IDOf names a guardian by its signing key (spec/guardian 1.5).
func IDOf(signing ed25519.PublicKey) (id engine.PartyID) {
	h := transcript.New(transcript.GuardianParty).Bytes(signing).Sum256()
	copy(id[:], h[:])
	return id
}

// Guardian says whose it is.
func (c *Contribution) Guardian() engine.PartyID { return IDOf(c.Signer) }

// tree is what the guardian signs (spec/guard 7.2). The epoch that ends, t′ and the new committee stand in it besides the activation: a certificate
// can show them, so that no certificate of another key, epoch or committee holds with the approvals of this one. Encryptions stand in it by their hash,
// so that a certificate can show the signature without them.
func (x *Approval) tree(t Terms, activation [32]byte, threshold int, members []session.Party) *transcript.Hash {
	h := transcript.New(transcript.GuardContribution).Bytes(activation[:]).Bytes(t.KeyID[:]).Bytes(t.Partial[:]).Uint(uint64(threshold)).Uint(uint64(len(members)))
	for _, m := range members {
		h.Bytes(m.ID[:]).Uint(uint64(m.Index)).Bytes(m.Identity)
	}
	return h.Points(x.Commit...).Bytes(x.Proofs[:])
}

// An Approval (spec/guard 7.5) is a contribution without its encryptions: that the guardian agreed to the activation.
type Approval struct {
	Commit    share.Commitment
	Proofs    [32]byte // hash of the encryptions
	Signer    ed25519.PublicKey
	Signature []byte
}

// Approval is the short form.
func (c *Contribution) Approval() *Approval {
	return &Approval{c.Commit, transcript.New(transcript.GuardEncryptions).List(c.Proofs...).Sum256(), c.Signer, c.Signature}
}

// Check says whether a guardian of the epoch with these terms agreed to this activation, and to this new committee and threshold.
func (x *Approval) Check(t Terms, activation [32]byte, threshold int, members []session.Party) error {
	id := IDOf(x.Signer)
	if _, ok := t.Plan.At(id); !ok {
		return fmt.Errorf("contribution of %v: it is no guardian of this epoch", id)
	}
	if !session.Verify(x.Signer, x.tree(t, activation, threshold, members), x.Signature) {
		return fmt.Errorf("contribution of guardian %v: its signature does not hold for this activation, epoch and committee", id)
	}
	return nil
}

// Contribute makes a guardian's message (protocols.md 6.2 step 2, spec/guard 7.2). y is its value of the epoch, out of Set.Open; coins are hedged with it and
// with the activation, so that no two activations see one polynomial.
func Contribute(t Terms, a *Activation, y group.Scalar, signer ed25519.PublicKey, sign session.Signer, rand io.Reader) (*Contribution, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	if _, ok := t.Plan.At(IDOf(signer)); !ok {
		return nil, errors.New("contribute: this is no guardian of this epoch")
	}
	own := y.Bytes()
	coins, err := session.Coins(rand, own, engine.SessionID(a.ID), t.Partial[:])
	clear(own)
	if err != nil {
		return nil, fmt.Errorf("contribute: %w", err)
	}
	defer session.WipeCoins(coins)
	f, err := share.Sample(t.Group, a.Threshold, y, coins)
	if err != nil {
		return nil, fmt.Errorf("contribute: %w", err)
	}
	defer f.Wipe()
	c := &Contribution{Activation: a.ID, Commit: f.Commit(), Signer: bytes.Clone(signer)}
	for i, m := range a.Members {
		v := f.Eval(m.Index)
		proof, err := pve.Encrypt(t.contribution(a, c, i), v, coins)
		v.Wipe()
		if err != nil {
			return nil, fmt.Errorf("contribute: encrypt to %v: %w", m.ID, err)
		}
		c.Proofs = append(c.Proofs, proof)
	}
	c.Signature = sign(c.Approval().tree(t, a.ID, a.Threshold, a.Parties()))
	return c, nil
}

// contribution is the context of the encryption to the i-th new member.
func (t Terms) contribution(a *Activation, c *Contribution, i int) pve.Context {
	m := a.Members[i]
	return pve.Context{
		Group: t.Group, KeyID: t.KeyID, PartialEpoch: t.Partial, Session: a.ID, Kind: pve.Contribution,
		Dealer: c.Guardian(), Recipient: m.ID, At: m.Index, K: a.Threshold, Point: c.Commit.Eval(m.Index), Key: m.Key,
	}
}

// Check holds a contribution to the epoch's set and to the activation (spec/guard 7.4). Who made one that fails is to blame; it is left out.
func (c *Contribution) Check(t Terms, s *Set, a *Activation) error {
	if err := a.check(); err != nil {
		return err
	}
	if c.Activation != a.ID {
		return errors.New("contribution: it is for another activation")
	}
	if err := c.Approval().Check(t, a.ID, a.Threshold, a.Parties()); err != nil {
		return err
	}
	at, _ := t.Plan.At(c.Guardian())
	switch {
	case len(c.Commit) != a.Threshold || len(c.Proofs) != len(a.Members): // threshold raise and cut
		return fmt.Errorf("contribution of guardian %v: %d points and %d encryptions; exactly %d and %d are allowed", c.Guardian(), len(c.Commit), len(c.Proofs), a.Threshold, len(a.Members))
	case !c.Commit[0].Equal(s.ValuePoint(at)):
		return fmt.Errorf("contribution of guardian %v: it deals something else than its value of this epoch", c.Guardian())
	}
	for i, m := range a.Members {
		if err := pve.Verify(t.contribution(a, c, i), c.Proofs[i]); err != nil {
			return fmt.Errorf("contribution of guardian %v: encryption to %v: %w", c.Guardian(), m.ID, err)
		}
	}
	return nil
}

// Open is what a contribution that was checked gives to a new member: g_g(x′).
func (c *Contribution) Open(t Terms, a *Activation, self engine.PartyID, key *pve.PrivateKey) (group.Scalar, error) {
	for i, m := range a.Members {
		if m.ID != self {
			continue
		}
		v, _, err := pve.Decrypt(t.contribution(a, c, i), c.Proofs[i], key)
		if err != nil {
			return nil, fmt.Errorf("open the contribution of guardian %v: %w", c.Guardian(), err)
		}
		return v, nil
	}
	return nil, fmt.Errorf("open the contribution of guardian %v: we are no member of the new committee", c.Guardian())
}

const (
	fieldActivation transcript.Tag = iota + 1
	fieldCommit
	fieldContributed
	fieldSigner
	fieldSignature
)

// MaxContribution bounds an encoded contribution, in bytes.
const MaxContribution = 64 + session.MaxParties*(pve.MaxSize+64)

// Encode is the canonical form.
func (c *Contribution) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldActivation, c.Activation[:])
	c.Commit.Put(&e, fieldCommit)
	e.List(fieldContributed, len(c.Proofs), func(i int, e *transcript.Encoder) { e.Bytes(1, c.Proofs[i]) })
	return e.Bytes(fieldSigner, c.Signer).Bytes(fieldSignature, c.Signature).Sum()
}

// DecodeContribution reads the canonical form: exactly t′ points, none 0, and n′ encryptions. Check says whether it holds.
func DecodeContribution(g group.Group, a *Activation, b []byte) (*Contribution, error) {
	d, c := transcript.NewDecoder(b), &Contribution{}
	copy(c.Activation[:], d.Fixed(fieldActivation, 32))
	c.Commit = share.Take(d, fieldCommit, g, a.Threshold)
	d.List(fieldContributed, len(a.Members), len(a.Members), func(_ int, d *transcript.Decoder) {
		c.Proofs = append(c.Proofs, bytes.Clone(d.Bytes(1, pve.MaxSize)))
	})
	c.Signer, c.Signature = bytes.Clone(d.Fixed(fieldSigner, ed25519.PublicKeySize)), bytes.Clone(d.Fixed(fieldSignature, ed25519.SignatureSize))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode contribution: %w", err)
	}
	return c, nil
}

// Put appends an approval as one tlv list item's fields.
func (x *Approval) Put(e *transcript.Encoder) {
	x.Commit.Put(e, fieldCommit)
	e.Bytes(fieldContributed, x.Proofs[:]).Bytes(fieldSigner, x.Signer).Bytes(fieldSignature, x.Signature)
}

// TakeApproval reads what Put wrote, of exactly t′ points. After an error, which the decoder keeps, what it returns is of no use.
func TakeApproval(d *transcript.Decoder, g group.Group, threshold int) *Approval {
	x := &Approval{Commit: share.Take(d, fieldCommit, g, threshold)}
	copy(x.Proofs[:], d.Fixed(fieldContributed, 32))
	x.Signer, x.Signature = bytes.Clone(d.Fixed(fieldSigner, ed25519.PublicKeySize)), bytes.Clone(d.Fixed(fieldSignature, ed25519.SignatureSize))
	return x
}

package epoch

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// PREP says: the record and my secrets of it are durable here, read back and checked.
func prepTree(eh Hash) *transcript.Hash {
	return transcript.New(transcript.EpochPrep).Bytes(eh[:])
}

// SignPrep makes a member's PREP, 64 bytes.
func SignPrep(eh Hash, sign session.Signer) []byte { return sign(prepTree(eh)) }

// CheckPrep verifies a member's PREP.
func CheckPrep(r *Record, from engine.PartyID, sig []byte) error {
	m, ok := r.Member(from)
	if !ok {
		return fmt.Errorf("prep: %v is not a member of the record", from)
	}
	if !session.Verify(m.Identity, prepTree(r.Hash()), sig) {
		return fmt.Errorf("prep: signature of %v over record %v fails", from, r.Hash())
	}
	return nil
}

// OLDOK says, of a member of the parent that has no seat in the record: it is a child of
// what is current here, and I agree to it.
func oldOKTree(eh Hash) *transcript.Hash {
	return transcript.New(transcript.EpochOldOK).Bytes(eh[:])
}

// SignOldOK makes a leaving member's OLDOK, 64 bytes.
func SignOldOK(eh Hash, sign session.Signer) []byte { return sign(oldOKTree(eh)) }

// CheckOldOK verifies the OLDOK of a member of the parent, under the identity key that it
// has there.
func CheckOldOK(parent *Record, eh Hash, from engine.PartyID, sig []byte) error {
	m, ok := parent.Member(from)
	if !ok {
		return fmt.Errorf("old-ok: %v is not a member of the parent", from)
	}
	if !session.Verify(m.Identity, oldOKTree(eh), sig) {
		return fmt.Errorf("old-ok: signature of %v over record %v fails", from, eh)
	}
	return nil
}

// An OldOK is one leaving member's agreement.
type OldOK struct {
	From      engine.PartyID
	Signature []byte
}

// A Cert is PREP from all members and, after epoch 0, agreement of an old quorum: anybody
// can check it against the record and its parent. It moves nobody; it permits the test
// signature and FINAL.
type Cert struct {
	Record Hash
	Preps  [][]byte // 64 bytes each, in the order of the record's members
	Olds   []OldOK  // in the order of the parent's members; who stays agrees by its PREP
	Rescue *Grounds // of a record that an SOS made: instead of the old quorum
}

const (
	fieldCertRecord transcript.Tag = iota + 1
	fieldCertPreps
	fieldCertOlds // only if there are any, or grounds follow
	fieldCertRescue
)

const (
	fieldOldFrom transcript.Tag = iota + 1
	fieldOldSignature
)

// Encode is the canonical form.
func (c *Cert) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldCertRecord, c.Record[:])
	e.List(fieldCertPreps, len(c.Preps), func(i int, e *transcript.Encoder) { e.Bytes(1, c.Preps[i]) })
	if len(c.Olds) > 0 || c.Rescue != nil {
		e.List(fieldCertOlds, len(c.Olds), func(i int, e *transcript.Encoder) {
			e.Bytes(fieldOldFrom, c.Olds[i].From[:]).Bytes(fieldOldSignature, c.Olds[i].Signature)
		})
	}
	if c.Rescue != nil {
		e.Bytes(fieldCertRescue, c.Rescue.encode())
	}
	return e.Sum()
}

// DecodeCert reads the canonical form. Check says whether it holds.
func DecodeCert(b []byte) (*Cert, error) {
	d, c := transcript.NewDecoder(b), &Cert{}
	copy(c.Record[:], d.Fixed(fieldCertRecord, 32))
	d.List(fieldCertPreps, 2, session.MaxParties, func(_ int, d *transcript.Decoder) {
		c.Preps = append(c.Preps, bytes.Clone(d.Fixed(1, ed25519.SignatureSize)))
	})
	if d.More() {
		d.List(fieldCertOlds, 0, session.MaxParties, func(_ int, d *transcript.Decoder) {
			var o OldOK
			copy(o.From[:], d.Fixed(fieldOldFrom, len(o.From)))
			o.Signature = bytes.Clone(d.Fixed(fieldOldSignature, ed25519.SignatureSize))
			c.Olds = append(c.Olds, o)
		})
		if d.More() {
			c.Rescue = decodeGrounds(d)
		} else if len(c.Olds) == 0 {
			d.Fail(fieldCertOlds, errors.New("is empty: then it is left out"))
		}
	}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode certificate: %w", err)
	}
	return c, nil
}

// Hash is H(Cert).
//
// DEVIATION: it covers the record, not the signatures: a member could sign PREP twice, in
// two forms, and honest members who hold different ones could never put their FINALs
// together.
func (c *Cert) Hash() [32]byte {
	return transcript.New(transcript.EpochCert).Bytes(c.Record[:]).Sum256()
}

// Check verifies the certificate against its record and the record's parent, which is nil in
// epoch 0. The parent is our own copy, or one that a chain proved.
func (c *Cert) Check(r, parent *Record) error {
	if err := c.checkPreps(r); err != nil {
		return err
	}
	if err := c.checkOlds(r, parent); err != nil {
		return fmt.Errorf("certificate of record %v: %w", c.Record, err)
	}
	return nil
}

// checkPreps verifies PREP of every member.
func (c *Cert) checkPreps(r *Record) error {
	if c.Record != r.Hash() || len(c.Preps) != len(r.Members) {
		return fmt.Errorf("certificate: is not for record %v with %d members", r.Hash(), len(r.Members))
	}
	for i, m := range r.Members {
		if err := CheckPrep(r, m.ID, c.Preps[i]); err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	return nil
}

// checkOlds verifies that the old committee agreed: protocols.md 1.5 step 2, 1.2.
func (c *Cert) checkOlds(r, parent *Record) error {
	switch {
	case r.Epoch == 0 && (parent != nil || len(c.Olds) > 0 || c.Rescue != nil):
		return errors.New("epoch 0 has no parent that could agree")
	case r.Epoch == 0:
		return nil
	case parent == nil:
		return errors.New("its parent is missing")
	}
	if err := parent.CheckChild(r); err != nil {
		return err
	}
	leaving := parent.leaving(r)
	agree := len(parent.Members) - len(leaving)
	for _, o := range c.Olds {
		// In the parent's order: so nobody counts twice, and one certificate has one form.
		i := slices.IndexFunc(leaving, func(m Member) bool { return m.ID == o.From })
		if i < 0 {
			return fmt.Errorf("old-ok of %v: it is no leaving member, stands twice, or out of order", o.From)
		}
		if err := CheckOldOK(parent, c.Record, o.From, o.Signature); err != nil {
			return err
		}
		leaving = leaving[i+1:]
		agree++
	}
	if r.Rescued() {
		return c.Rescue.check(r, parent, agree)
	}
	if err := c.Rescue.fits(r); err != nil {
		return err
	}
	if need := parent.quorum(r); agree < need {
		return fmt.Errorf("%d of %d old members agree, %d must", agree, len(parent.Members), need)
	}
	return nil
}

// A Final says: certificate, share and test result are durable here, and this proves that
// I hold my share.
type Final struct {
	Record    Hash
	From      engine.PartyID
	Cert      [32]byte // H(Cert)
	Proof     []byte   // Schnorr proof of sᵢ against Xᵢ, bound to the three fields above
	Signature []byte
}

const (
	fieldFinalRecord transcript.Tag = iota + 1
	fieldFinalFrom
	fieldFinalCert
	fieldFinalProof
	fieldFinalSignature
)

func (f *Final) context() []byte {
	return transcript.New(transcript.EpochFinalProof).Bytes(f.Record[:]).Bytes(f.From[:]).Bytes(f.Cert[:]).Tree()
}

func (f *Final) tree() *transcript.Hash {
	return transcript.New(transcript.EpochFinal).Bytes(f.Record[:]).Bytes(f.From[:]).Bytes(f.Cert[:]).Bytes(f.Proof)
}

// MakeFinal proves and signs. s is the share as read back from storage. The caller keeps
// the result durably before it sends it: two different FINALs of one party for one record
// would stand against it.
func MakeFinal(r *Record, c *Cert, self engine.PartyID, s group.Scalar, rand io.Reader, sign session.Signer) (*Final, error) {
	m, ok := r.Member(self)
	if !ok {
		return nil, errors.New("final: we are not a member of the record")
	}
	if !r.Public.Group().BaseMul(s).Equal(m.Public) {
		return nil, fmt.Errorf("final: the share does not match our public share in record %v", r.Hash())
	}
	f := &Final{Record: r.Hash(), From: self, Cert: c.Hash()}
	proof, err := share.Prove(transcript.EpochFinalProof, f.context(), s, m.Public, rand)
	if err != nil {
		return nil, fmt.Errorf("final: prove our share: %w", err)
	}
	f.Proof = proof.Bytes()
	f.Signature = sign(f.tree())
	return f, nil
}

// Encode is the canonical form.
func (f *Final) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldFinalRecord, f.Record[:]).Bytes(fieldFinalFrom, f.From[:]).Bytes(fieldFinalCert, f.Cert[:])
	return e.Bytes(fieldFinalProof, f.Proof).Bytes(fieldFinalSignature, f.Signature).Sum()
}

// DecodeFinal reads the canonical form. Check says whether it holds.
func DecodeFinal(b []byte) (*Final, error) {
	d, f := transcript.NewDecoder(b), &Final{}
	copy(f.Record[:], d.Fixed(fieldFinalRecord, 32))
	copy(f.From[:], d.Fixed(fieldFinalFrom, len(f.From)))
	copy(f.Cert[:], d.Fixed(fieldFinalCert, 32))
	f.Proof = bytes.Clone(d.Bytes(fieldFinalProof, 128))
	f.Signature = bytes.Clone(d.Fixed(fieldFinalSignature, ed25519.SignatureSize))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode final: %w", err)
	}
	return f, nil
}

// Check verifies signature and proof against the record and its certificate.
func (f *Final) Check(r *Record, cert [32]byte) error {
	m, ok := r.Member(f.From)
	switch {
	case !ok:
		return fmt.Errorf("final: %v is not a member of the record", f.From)
	case f.Record != r.Hash() || f.Cert != cert:
		return fmt.Errorf("final of %v: is not for record %v and its certificate", f.From, r.Hash())
	case !session.Verify(m.Identity, f.tree(), f.Signature):
		return fmt.Errorf("final of %v: signature fails", f.From)
	}
	proof, err := share.DecodeProof(r.Public.Group(), f.Proof)
	if err == nil {
		err = proof.Verify(transcript.EpochFinalProof, f.context(), m.Public)
	}
	if err != nil {
		return fmt.Errorf("final of %v: %w", f.From, err)
	}
	return nil
}

// A FinalCert is FINAL from all members: it alone moves its holders to the record. Its
// members prove together that they hold the key, so it needs no parent to be believed by who
// knows the key; that the old committees agreed is what a Chain shows.
type FinalCert struct {
	Record *Record
	Cert   *Cert
	Finals []*Final // in the order of the record's members
}

const (
	fieldAllRecord transcript.Tag = iota + 1
	fieldAllCert
	fieldAllFinals
)

// MaxFinalCert bounds the encoded form, in bytes.
const MaxFinalCert = 64 << 10

// Encode is the canonical form.
func (f *FinalCert) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldAllRecord, f.Record.Encode()).Bytes(fieldAllCert, f.Cert.Encode())
	return e.List(fieldAllFinals, len(f.Finals), func(i int, e *transcript.Encoder) { e.Bytes(1, f.Finals[i].Encode()) }).Sum()
}

// Sum names the certificate in Joins and key choices.
//
// DEVIATION: it covers the record, not the FINALs, for the same reason as Cert.Hash: that
// all members said FINAL of this record is one fact, whichever bytes show it.
func (f *FinalCert) Sum() [32]byte {
	eh := f.Record.Hash()
	return transcript.New(transcript.EpochFinalCert).Bytes(eh[:]).Sum256()
}

// DecodeFinalCert reads the canonical form and verifies all in it but OLDOKs, which need the
// parent: Cert.Check, Chain. Whether the key is one that the caller enrolled is the caller's check.
func DecodeFinalCert(b []byte) (*FinalCert, error) {
	f, err := parseFinalCert(b)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return nil, fmt.Errorf("decode final certificate: %w", err)
	}
	return f, nil
}

// ReadKept reads a final certificate that the caller's own store holds, where nothing is kept before it was verified. It costs a fiftieth of
// DecodeFinalCert. What is read is not relied on before Verify has said that it still holds: somebody may have written to the disk.
func ReadKept(b []byte) (*FinalCert, error) {
	f, err := readFinalCert(b, decodeForm)
	if err != nil {
		return nil, fmt.Errorf("read final certificate: %w", err)
	}
	return f, nil
}

// Verify checks all that DecodeFinalCert does.
func (f *FinalCert) Verify() error {
	err := f.Record.Validate()
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return fmt.Errorf("verify final certificate: %w", err)
	}
	return nil
}

// parseFinalCert reads the canonical form: no signature is verified yet.
func parseFinalCert(b []byte) (*FinalCert, error) { return readFinalCert(b, Decode) }

func readFinalCert(b []byte, decode func([]byte) (*Record, error)) (*FinalCert, error) {
	if len(b) > MaxFinalCert {
		return nil, fmt.Errorf("has %d bytes, at most %d are allowed", len(b), MaxFinalCert)
	}
	d, f := transcript.NewDecoder(b), &FinalCert{}
	record, cert := d.Bytes(fieldAllRecord, MaxFinalCert), d.Bytes(fieldAllCert, MaxFinalCert)
	d.List(fieldAllFinals, 2, session.MaxParties, func(_ int, d *transcript.Decoder) {
		raw := d.Bytes(1, 1024)
		if d.Err() != nil {
			return
		}
		final, err := DecodeFinal(raw)
		if err != nil {
			d.Fail(1, err)
			return
		}
		f.Finals = append(f.Finals, final)
	})
	err := d.Done()
	if err == nil {
		f.Record, err = decode(record)
	}
	if err == nil {
		f.Cert, err = DecodeCert(cert)
	}
	return f, err
}

func (f *FinalCert) check() error {
	if err := f.Cert.checkPreps(f.Record); err != nil {
		return err
	}
	if f.Record.Epoch == 0 && (len(f.Cert.Olds) > 0 || f.Cert.Rescue != nil) {
		return errors.New("epoch 0 has no parent that could agree")
	}
	if err := f.Cert.Rescue.fits(f.Record); err != nil {
		return err
	}
	if len(f.Finals) != len(f.Record.Members) {
		return fmt.Errorf("%d FINALs for %d members", len(f.Finals), len(f.Record.Members))
	}
	hash := f.Cert.Hash()
	for i, m := range f.Record.Members {
		if f.Finals[i].From != m.ID {
			return fmt.Errorf("FINAL %d is of %v, not of %v", i, f.Finals[i].From, m.ID)
		}
		if err := f.Finals[i].Check(f.Record, hash); err != nil {
			return err
		}
	}
	return nil
}

// TestDigest is what the test session of a pending record signs: it means nothing on any
// chain, and depends on the session, so nobody chooses it.
func TestDigest(r *Record, sid engine.SessionID) [32]byte {
	eh := r.Hash()
	return transcript.New(transcript.EpochTestDigest).Bytes(r.KeyID[:]).Bytes(eh[:]).Bytes(sid[:]).Sum256()
}

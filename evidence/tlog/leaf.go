package tlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Kinds of leaves, and what their id and body are (spec/log 1).
const (
	KindStatement    = "statement"    // a statement that everybody may see was; body: its bytes, and the signatures that came with it
	KindPrivate      = "private"      // a statement that is shown only if its vault's charter says so; body: as of statement
	KindSignature    = "signature"    // a further signature over a statement; body: the signature
	KindVote         = "vote"         // a person approved or rejected an intent; body: the signature
	KindDecision     = "decision"     // this node decided; body: the statement, and the node's signature
	KindHeard        = "heard"        // another node's decision; body: as decision
	KindWord         = "word"         // a node's signature over a charter, which it is about; body: the signature, 64 bytes
	KindJoined       = "joined"       // an operator joined here by an invitation; id: SHA-256 of its entry
	KindInForce      = "in-force"     // a roster or charter came into force; id: the statement's
	KindSession      = "session"      // this node joined a session; id: hash of the setup
	KindFault        = "fault"        // a session ended without its result; id: the hash of its setup, or of the fault
	KindBurn         = "burn"         // a pair was burned
	KindRecord       = "record"       // an epoch record was prepared; body: the record. It and what follows are about the record's hash
	KindCert         = "cert"         // … certified; body: the certificate
	KindTested       = "tested"       // … tried by a test signature; id: the record's hash
	KindFinal        = "final"        // a member said FINAL; body: the FINAL
	KindFinalCert    = "final-cert"   // an epoch is in force; body: the final certificate
	KindDrop         = "drop"         // a pending record, or an operator that joined, was given up
	KindErase        = "erase"        // a higher record is in force: the secrets of this one are gone; id: the record's hash
	KindWanted       = "wanted"       // the operator asked for new shares; id: the key
	KindPart         = "part"         // one of the signatures that a transaction needs came out; body: it, and its recovery id
	KindSigned       = "signed"       // a signature came out; id: the transaction's on its chain, or the proof statement's; body: the signed transaction, or the proof's signature
	KindChain        = "chain"        // a transaction's life on its chain went on; id: the intent
	KindTaken        = "taken"        // a chain took a transaction for good, of a nonce that an emergency's docket counts; id: the intent
	KindHeartbeat    = "heartbeat"    // a node's sign of life, with proofs of its shares; body: the statement, and the node's signature
	KindAlive        = "alive"        // a share proved itself on demand; id: the note
	KindAddress      = "address"      // an address was given out; body: see spec/log 1
	KindContribution = "contribution" // what a guardian contributes in an emergency (spec/guard 7); id: SHA-256 of it. It is about the activation
	KindAlarm        = "alarm"        // body: what is wrong, in words, or the evidence
	KindLife         = "life"         // a process began its work on this store; id: the instance
	KindTagged       = "tagged"       // from here on every row of this node's store carries its tag; id: SHA-256 of the row instance
	KindFence        = "fence"        // this node was restored or cloned: it signs nothing; body: why
	KindConfirmed    = "confirmed"    // its operator made sure that no other copy runs; id: the instance
	KindVetted       = "vetted"       // what this node found of another's hardware; body: the record (evidence/vetted)
	KindMet          = "met"          // on which of these a session rests; body: see evidence/vetted. It is about the session's setup

	KindPresignature = "presignature" // a presignature was taken: it serves this once; id: its own
)

// A Leaf is one entry of the log.
type Leaf struct {
	Kind  string    // 1 to 32 bytes
	Time  time.Time // whole seconds, UTC, of the node's own clock; 1970 to 2⁴⁰ s later
	Vault [32]byte  // vault statement's id, or zero
	ID    [32]byte  // of the statement, or the hash of what the kind names
	About [32]byte  // id of the statement, key or record that it is about, or zero

	// First says that it has the form of the first release (spec/log 13): without About and body, and of kinds that meant something else.
	First bool
}

const (
	fieldKind transcript.Tag = iota + 1
	fieldTime
	fieldVault
	fieldID
	fieldAbout
)

// Encode is the canonical form, the bytes that the log hashes.
func (l Leaf) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldKind, l.Kind).Uint(fieldTime, uint64(l.Time.Unix()))
	if e.Bytes(fieldVault, l.Vault[:]).Bytes(fieldID, l.ID[:]); l.First {
		return e.Sum()
	}
	return e.Bytes(fieldAbout, l.About[:]).Sum()
}

// Decode reads the canonical form.
func Decode(b []byte) (Leaf, error) {
	d, l := transcript.NewDecoder(b), Leaf{}
	if l.Kind = d.String(fieldKind, 32); l.Kind == "" {
		d.Fail(fieldKind, errors.New("a leaf has a kind"))
	}
	l.Time = time.Unix(int64(d.Uint(fieldTime, 1<<40)), 0).UTC()
	copy(l.Vault[:], d.Fixed(fieldVault, 32))
	copy(l.ID[:], d.Fixed(fieldID, 32))
	if l.First = d.Err() == nil && !d.More(); !l.First {
		copy(l.About[:], d.Fixed(fieldAbout, 32))
	}
	if err := d.Done(); err != nil {
		return Leaf{}, fmt.Errorf("decode log leaf: %w", err)
	}
	return l, nil
}

// A Body is what a leaf stands for. The tree does not hold it: whoever keeps a log may show or
// withhold it, and the leaf's id says whether what is shown is it.
type Body struct {
	Content    []byte   // the statement; at most MaxContent bytes; empty: there is no body
	Signatures [][]byte // over it, detached; at most MaxSignatures
}

// Bounds of a body.
const (
	MaxContent    = 512 << 10 // bytes
	MaxSignatures = 16
	MaxSignature  = 8192 // bytes
)

const (
	fieldContent transcript.Tag = iota + 1
	fieldSignatures
	fieldSignature transcript.Tag = 1
)

// Encode is the canonical form; nothing of a body without content.
func (b Body) Encode() []byte {
	if len(b.Content) == 0 {
		return nil
	}
	var e transcript.Encoder
	return e.Bytes(fieldContent, b.Content).List(fieldSignatures, len(b.Signatures), func(i int, e *transcript.Encoder) {
		e.Bytes(fieldSignature, b.Signatures[i])
	}).Sum()
}

// Size is the length of its encoding, in bytes, or a little more.
func (b Body) Size() int {
	n := 32 + len(b.Content)
	for _, s := range b.Signatures {
		n += 16 + len(s)
	}
	return n
}

// DecodeBody reads the canonical form.
func DecodeBody(raw []byte) (Body, error) {
	if len(raw) == 0 {
		return Body{}, nil
	}
	d, b := transcript.NewDecoder(raw), Body{}
	if b.Content = d.Bytes(fieldContent, MaxContent); len(b.Content) == 0 {
		d.Fail(fieldContent, errors.New("a body has content"))
	}
	d.List(fieldSignatures, 0, MaxSignatures, func(_ int, d *transcript.Decoder) {
		b.Signatures = append(b.Signatures, d.Bytes(fieldSignature, MaxSignature))
	})
	if err := d.Done(); err != nil {
		return Body{}, fmt.Errorf("decode the body of a log leaf: %w", err)
	}
	return b, nil
}

// Fits says whether a body is what the leaf stands for. Of a signed transaction the id is its
// chain's, which this room does not know: there the reader looks (Named).
func (l Leaf) Fits(b Body) bool {
	return !Named(l.Kind) && l.ID == sha256.Sum256(b.Content)
}

// Named says that a leaf of this kind has an id that others gave to what its body holds.
func Named(kind string) bool { return kind == KindSigned }

// A Filed is a leaf with its body, as a node's log keeps it.
type Filed struct {
	Leaf
	Body
}

// Says files content under its SHA-256.
func Says(kind string, now time.Time, vault [32]byte, content []byte, signatures ...[]byte) Filed {
	return Filed{Leaf{Kind: kind, Time: now, Vault: vault, ID: sha256.Sum256(content)}, Body{content, signatures}}
}

// Notes files what has no body.
func Notes(kind string, now time.Time, vault, id [32]byte) Filed {
	return Filed{Leaf: Leaf{Kind: kind, Time: now, Vault: vault, ID: id}}
}

// On says what it is about.
func (f Filed) On(about [32]byte) Filed {
	f.About = about
	return f
}

package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Kind is the first field of a TPM's evidence: other hardware has other kinds.
const Kind = "tpm2"

// Bounds of what evidence carries, in bytes and items. Peers send it, so that each is checked before anything is read.
const (
	MaxCertificate = 8 << 10
	MaxChain       = 8 // certificates between the endorsement key's and a root
	MaxPublic      = 1 << 10
	MaxQuote       = 1 << 10
	MaxSignature   = 1 << 10
	MaxPCR         = 23 // highest index of a PCR
	MaxEventLog    = 256 << 10

	// MaxEvidence bounds the encoded form.
	MaxEvidence = (MaxChain+1)*(MaxCertificate+8) + 2*MaxPublic + MaxQuote + MaxSignature + 64*(MaxPCR+1) + MaxEventLog + 128

	// MaxChallenge bounds an encoded challenge.
	MaxChallenge  = 2 << 10
	maxCredential = 256
	maxSecret     = 1 << 10
)

// SecretSize is the length of what a challenge hides, and of its answer, in bytes.
const SecretSize = 32

// Fields of evidence (spec/attest 8.1) and of a challenge (8.3).
const (
	fieldKind transcript.Tag = iota + 1
	fieldEKCertificate
	fieldChain
	fieldEK
	fieldAK
	fieldQuote
	fieldSignature
	fieldPCRs
	fieldEventLog
)

const (
	itemCertificate transcript.Tag = 1
	itemIndex       transcript.Tag = 1
	itemValue       transcript.Tag = 2

	fieldCredential transcript.Tag = 1
	fieldSecret     transcript.Tag = 2
)

// A PCR is a platform configuration register of the SHA-256 bank.
type PCR struct {
	Index uint8 // 0 to 23
	Value [32]byte
}

// Evidence is what a node shows of its machine. Nothing in it is verified: who decodes it knows its form and no more.
type Evidence struct {
	EKCertificate []byte   // DER; empty: the TPM holds none
	Chain         [][]byte // DER; further certificates, towards a root
	EK            []byte   // TPM2B_PUBLIC: endorsement key
	AK            []byte   // TPM2B_PUBLIC: attestation key, which signed the quote
	Quote         []byte   // TPMS_ATTEST
	Signature     []byte   // TPMT_SIGNATURE by AK over Quote
	PCRs          []PCR    // of the quote's selection, ascending
	EventLog      []byte   // as the firmware keeps it (TCG PC Client); empty: not readable
}

// Encode is the canonical form.
func (e *Evidence) Encode() []byte {
	var out transcript.Encoder
	out.String(fieldKind, Kind).Bytes(fieldEKCertificate, e.EKCertificate)
	out.List(fieldChain, len(e.Chain), func(i int, out *transcript.Encoder) { out.Bytes(itemCertificate, e.Chain[i]) })
	out.Bytes(fieldEK, e.EK).Bytes(fieldAK, e.AK).Bytes(fieldQuote, e.Quote).Bytes(fieldSignature, e.Signature)
	out.List(fieldPCRs, len(e.PCRs), func(i int, out *transcript.Encoder) {
		out.Uint(itemIndex, uint64(e.PCRs[i].Index)).Bytes(itemValue, e.PCRs[i].Value[:])
	})
	return out.Bytes(fieldEventLog, e.EventLog).Sum()
}

// Decode reads evidence. Its fields alias b.
func Decode(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidence {
		return nil, fmt.Errorf("decode a TPM's evidence: %d bytes, at most %d are allowed", len(b), MaxEvidence)
	}
	d := transcript.NewDecoder(b)
	if kind := d.String(fieldKind, 32); d.Err() == nil && kind != Kind {
		return nil, fmt.Errorf("decode a TPM's evidence: its kind is %q, not %q", kind, Kind)
	}
	var e Evidence
	e.EKCertificate = d.Bytes(fieldEKCertificate, MaxCertificate)
	d.List(fieldChain, 0, MaxChain, func(_ int, d *transcript.Decoder) {
		e.Chain = append(e.Chain, filled(d, itemCertificate, MaxCertificate))
	})
	e.EK = sized(d, fieldEK)
	e.AK = sized(d, fieldAK)
	e.Quote = filled(d, fieldQuote, MaxQuote)
	e.Signature = filled(d, fieldSignature, MaxSignature)
	d.List(fieldPCRs, 1, MaxPCR+1, func(i int, d *transcript.Decoder) {
		p := PCR{Index: uint8(d.Uint(itemIndex, MaxPCR))}
		copy(p.Value[:], d.Fixed(itemValue, len(p.Value)))
		// One order and no index twice: two values of one register would let a reader take the one that pleases.
		if i > 0 && d.Err() == nil && p.Index <= e.PCRs[i-1].Index {
			d.Fail(itemIndex, fmt.Errorf("PCR %d stands behind PCR %d", p.Index, e.PCRs[i-1].Index))
		}
		e.PCRs = append(e.PCRs, p)
	})
	e.EventLog = d.Bytes(fieldEventLog, MaxEventLog)
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode a TPM's evidence: %w", err)
	}
	return &e, nil
}

var errEmpty = errors.New("is empty")

func filled(d *transcript.Decoder, tag transcript.Tag, max int) []byte {
	v := d.Bytes(tag, max)
	if d.Err() == nil && len(v) == 0 {
		d.Fail(tag, errEmpty)
	}
	return v
}

// sized takes a TPM2B: two bytes that say how many follow, and those.
func sized(d *transcript.Decoder, tag transcript.Tag) []byte {
	v := d.Bytes(tag, MaxPublic)
	if d.Err() == nil && (len(v) <= 2 || int(binary.BigEndian.Uint16(v)) != len(v)-2) {
		d.Fail(tag, fmt.Errorf("%d bytes are no TPM2B", len(v)))
	}
	return v
}

// A Challenge is what TPM2_MakeCredential gives for an endorsement key and an attestation key's name: a secret of SecretSize bytes which only
// the TPM that holds both can answer with.
type Challenge struct {
	Credential []byte // contents of TPM2B_ID_OBJECT
	Secret     []byte // contents of TPM2B_ENCRYPTED_SECRET
}

// Encode is the canonical form.
func (c *Challenge) Encode() []byte {
	var out transcript.Encoder
	return out.Bytes(fieldCredential, c.Credential).Bytes(fieldSecret, c.Secret).Sum()
}

// DecodeChallenge reads a challenge. Its fields alias b.
func DecodeChallenge(b []byte) (*Challenge, error) {
	if len(b) > MaxChallenge {
		return nil, fmt.Errorf("decode a challenge to a TPM: %d bytes, at most %d are allowed", len(b), MaxChallenge)
	}
	d := transcript.NewDecoder(b)
	c := &Challenge{filled(d, fieldCredential, maxCredential), filled(d, fieldSecret, maxSecret)}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode a challenge to a TPM: %w", err)
	}
	return c, nil
}

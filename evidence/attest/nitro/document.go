package nitro

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Kind is the first field of an enclave's evidence.
const Kind = "nitro"

// Bounds, in bytes and items.
const (
	MaxDocument = 16 << 10
	MaxEvidence = MaxDocument + 64

	maxPCRs        = 32
	maxCertificate = 1024
	maxBundle      = 8
	maxText        = 256
	maxGiven       = 1024 // user_data, nonce, public_key

	sizeOfPCR       = 48
	sizeOfSignature = 96
)

// Fields of evidence (spec/attest 13.1).
const (
	fieldKind transcript.Tag = iota + 1
	fieldDocument
)

// Evidence is what a node in an enclave shows. Nothing in it is verified.
type Evidence struct {
	Document []byte // COSE_Sign1, as the security module gave it
}

// Encode is the canonical form.
func (e *Evidence) Encode() []byte {
	var out transcript.Encoder
	return out.String(fieldKind, Kind).Bytes(fieldDocument, e.Document).Sum()
}

// Decode reads evidence. Its fields alias b.
func Decode(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidence {
		return nil, fmt.Errorf("decode an enclave's evidence: %d bytes, at most %d are allowed", len(b), MaxEvidence)
	}
	d := transcript.NewDecoder(b)
	if kind := d.String(fieldKind, 32); d.Err() == nil && kind != Kind {
		return nil, fmt.Errorf("decode an enclave's evidence: its kind is %q, not %q", kind, Kind)
	}
	e := &Evidence{d.Bytes(fieldDocument, MaxDocument)}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode an enclave's evidence: %w", err)
	}
	return e, nil
}

// A Document is what the security module signed.
type Document struct {
	Module       string // id of the enclave
	Digest       string
	Milliseconds uint64 // since 1970, by the module's clock
	PCRs         map[uint8][sizeOfPCR]byte
	Certificate  []byte   // of the key that signed, DER
	Bundle       [][]byte // certificates from the root down, DER
	PublicKey    []byte   // given by the enclave; nil: nothing
	UserData     []byte
	Nonce        []byte

	payload, signature []byte
}

// protected is the header that says ECDSA on P-384 with SHA-384: {1: -35}.
var protected = []byte{0xa1, 0x01, 0x38, 0x22}

// Read reads a document's form. Nothing of it is verified.
func Read(raw []byte) (*Document, error) {
	d, err := readDocument(raw)
	if err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	return d, nil
}

func readDocument(raw []byte) (*Document, error) {
	r := &reader{b: raw}
	if n := r.count(kindList, 4); r.err == nil && n != 4 {
		return nil, fmt.Errorf("has %d parts, not 4", n)
	}
	// The algorithm is ours to choose, not the document's.
	if head := r.bytes(16); r.err == nil && !bytes.Equal(head, protected) {
		return nil, fmt.Errorf("protected header %x is not %x (ES384)", head, protected)
	}
	if n := r.count(kindMap, 16); r.err == nil && n != 0 {
		return nil, fmt.Errorf("%d unprotected headers stand in it, which nothing signs", n)
	}
	payload := r.bytes(MaxDocument)
	signature := r.bytes(sizeOfSignature)
	if err := r.done(); err != nil {
		return nil, err
	}
	if len(signature) != sizeOfSignature {
		return nil, fmt.Errorf("signature has %d bytes, not %d", len(signature), sizeOfSignature)
	}
	d := &Document{payload: payload, signature: signature}
	return d, d.readPayload()
}

// fields are those of a document; each stands in it once.
var fields = []string{"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"}

func (d *Document) readPayload() error {
	r := &reader{b: d.payload}
	seen := map[string]bool{}
	for range r.count(kindMap, len(fields)) {
		name := r.text(maxText)
		if r.err != nil {
			return r.err
		}
		if seen[name] {
			return fmt.Errorf("field %.64q stands twice", name)
		}
		seen[name] = true
		if d.readField(r, name); r.err != nil {
			return fmt.Errorf("field %.64q: %w", name, r.err)
		}
	}
	if err := r.done(); err != nil {
		return err
	}
	for _, name := range fields {
		if !seen[name] && name != "public_key" && name != "user_data" && name != "nonce" {
			return fmt.Errorf("field %q is missing", name)
		}
	}
	return nil
}

func (d *Document) readField(r *reader, name string) {
	switch name {
	case "module_id":
		d.Module = r.text(maxText)
	case "digest":
		d.Digest = r.text(maxText)
	case "timestamp":
		d.Milliseconds = r.head(kindNumber)
	case "pcrs":
		d.readPCRs(r)
	case "certificate":
		d.Certificate = r.bytes(maxCertificate)
	case "cabundle":
		for range r.count(kindList, maxBundle) {
			d.Bundle = append(d.Bundle, r.bytes(maxCertificate))
		}
	case "public_key":
		d.PublicKey = r.optional(maxGiven)
	case "user_data":
		d.UserData = r.optional(maxGiven)
	case "nonce":
		d.Nonce = r.optional(maxGiven)
	default:
		r.fail(errors.New("is not known"))
	}
}

func (d *Document) readPCRs(r *reader) {
	d.PCRs = map[uint8][sizeOfPCR]byte{}
	for range r.count(kindMap, maxPCRs) {
		i := r.head(kindNumber)
		value := r.bytes(sizeOfPCR)
		_, twice := d.PCRs[uint8(min(i, 255))]
		switch {
		case r.err != nil:
			return
		case i >= maxPCRs || twice:
			r.fail(fmt.Errorf("PCR %d is out of range or stands twice", i))
		case len(value) != sizeOfPCR:
			r.fail(fmt.Errorf("PCR %d has %d bytes, not %d", i, len(value), sizeOfPCR))
		default:
			d.PCRs[uint8(i)] = [sizeOfPCR]byte(value)
		}
	}
}

// signed is what the signature is over (RFC 9052, 4.4).
func (d *Document) signed() []byte {
	b := append([]byte{kindList<<5 | 4, kindText<<5 | 10}, "Signature1"...)
	b = appendBytes(b, protected)
	b = appendBytes(b, nil)
	return appendBytes(b, d.payload)
}

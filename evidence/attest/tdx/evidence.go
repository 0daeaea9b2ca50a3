package tdx

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Kind is the first field of a guest's evidence.
const Kind = "tdx"

// Bounds of what evidence carries, in bytes. Peers send it, so that each is checked before anything is read.
const (
	MaxQuote       = 16 << 10
	MaxTCBInfo     = 32 << 10
	MaxIdentity    = 8 << 10
	MaxCertificate = 4 << 10
	MaxList        = 16 << 10
	MaxEvidence    = 64 << 10 // of all together

	signatureSize = 64 // r and s, big-endian
)

// Fields of evidence (spec/attest 11.1).
const (
	fieldKind transcript.Tag = iota + 1
	fieldQuote
	fieldTCBInfo
	fieldTCBInfoSignature
	fieldIdentity
	fieldIdentitySignature
	fieldSigner
	fieldRootList
	fieldPCKList
)

// Evidence is what a node in a guest shows. Nothing in it is verified: who decodes it knows its form and no more.
type Evidence struct {
	Quote []byte // of version 4 or 5, without what pads it
	Collateral
}

// Collateral is what Intel says of a platform's state. It is signed and dated: who carries it does not matter.
type Collateral struct {
	TCBInfo  Signed
	Identity Signed // of the quoting enclave
	Signer   []byte // certificate of the key that signed both, DER
	RootList []byte // what Intel's root has withdrawn, DER
	PCKList  []byte // what the authority above the platform's certificate has withdrawn, DER
}

// Signed is JSON as Intel signed it, and the signature.
type Signed struct{ Body, Signature []byte }

// Encode is the canonical form.
func (e *Evidence) Encode() []byte {
	var out transcript.Encoder
	out.String(fieldKind, Kind).Bytes(fieldQuote, e.Quote)
	out.Bytes(fieldTCBInfo, e.TCBInfo.Body).Bytes(fieldTCBInfoSignature, e.TCBInfo.Signature)
	out.Bytes(fieldIdentity, e.Identity.Body).Bytes(fieldIdentitySignature, e.Identity.Signature)
	return out.Bytes(fieldSigner, e.Signer).Bytes(fieldRootList, e.RootList).Bytes(fieldPCKList, e.PCKList).Sum()
}

// Decode reads evidence. Its fields alias b.
func Decode(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidence {
		return nil, fmt.Errorf("decode a TDX guest's evidence: %d bytes, at most %d are allowed", len(b), MaxEvidence)
	}
	d := transcript.NewDecoder(b)
	if kind := d.String(fieldKind, 32); d.Err() == nil && kind != Kind {
		return nil, fmt.Errorf("decode a TDX guest's evidence: its kind is %q, not %q", kind, Kind)
	}
	e := &Evidence{Quote: d.Bytes(fieldQuote, MaxQuote)}
	e.TCBInfo = Signed{d.Bytes(fieldTCBInfo, MaxTCBInfo), d.Bytes(fieldTCBInfoSignature, signatureSize)}
	e.Identity = Signed{d.Bytes(fieldIdentity, MaxIdentity), d.Bytes(fieldIdentitySignature, signatureSize)}
	e.Signer, e.RootList, e.PCKList = d.Bytes(fieldSigner, MaxCertificate), d.Bytes(fieldRootList, MaxList), d.Bytes(fieldPCKList, MaxList)
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode a TDX guest's evidence: %w", err)
	}
	return e, nil
}

// Names of what Intel's service answers with.
const (
	TCBInfoName  = "tcbInfo"
	IdentityName = "enclaveIdentity"
)

// ReadAnswer takes what was signed, and the signature, out of what Intel's service answers. Nothing of it is verified.
func ReadAnswer(name string, answer []byte) (Signed, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(answer, &parts); err != nil {
		return Signed{}, fmt.Errorf("read Intel's answer: %w", err)
	}
	var text string
	if err := json.Unmarshal(parts["signature"], &text); err != nil {
		return Signed{}, fmt.Errorf("read Intel's answer: signature: %w", err)
	}
	signature, err := hex.DecodeString(text)
	if err != nil || len(signature) != signatureSize {
		return Signed{}, fmt.Errorf("read Intel's answer: signature %.16q is not %d bytes in hexadecimal", text, signatureSize)
	}
	if len(parts[name]) == 0 {
		return Signed{}, fmt.Errorf("read Intel's answer: it has no %s", name)
	}
	return Signed{parts[name], signature}, nil
}

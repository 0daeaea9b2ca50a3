package hardware

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/attest/nitro"
	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
	"github.com/ostraka/ostraka/evidence/attest/tdx"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
)

// A Kind of hardware is the first field of its evidence.
type Kind string

// Kinds.
const (
	TPM   Kind = tpm.Kind
	SNP   Kind = sevsnp.Kind
	TDX   Kind = tdx.Kind
	Nitro Kind = nitro.Kind
)

var kinds = []Kind{TPM, SNP, TDX, Nitro}

// MaxEvidence bounds evidence of any kind, in bytes: peers send it.
const MaxEvidence = 64 << 10

const fieldKind transcript.Tag = 1

// KindOf reads of which kind evidence is. Nothing else of it is read.
func KindOf(evidence []byte) (Kind, error) {
	if len(evidence) > MaxEvidence {
		return "", fmt.Errorf("evidence of hardware: %d bytes, at most %d are allowed", len(evidence), MaxEvidence)
	}
	d := transcript.NewDecoder(evidence)
	kind := Kind(d.String(fieldKind, 32))
	if err := d.Err(); err != nil {
		return "", fmt.Errorf("evidence of hardware: %w", err)
	}
	if !slices.Contains(kinds, kind) {
		return "", fmt.Errorf("evidence of hardware: kind %q is not known; known are %q", kind, kinds)
	}
	return kind, nil
}

// Binding is what hardware is asked to sign: which node, and which peer's nonce. A TPM takes it as qualifying data and an enclave as user_data;
// a guest puts 32 zeros behind it (REPORT_DATA, REPORTDATA).
//
// Without the identity, a node could show the evidence of another's machine; without the nonce, its own of last year.
func Binding(identity ed25519.PublicKey, nonce [32]byte) [32]byte {
	return transcript.New(transcript.EvidenceHardware).Bytes(identity).Bytes(nonce[:]).Sum256()
}

// Want is what evidence is judged by.
type Want struct {
	Binding    [32]byte
	Now        time.Time // a peer's clock; for a record, when it was made
	Roots      Roots
	Activated  *tpm.Activated // of a TPM: the keys that answered the reader's own challenge; nil: it asked nothing
	Collateral Collateral
	Floor      Floor
}

// Collateral is what the reader holds beside roots: of it, what is of the line or the platform that evidence is of. It counts besides what the evidence carries, and can refuse more and never
// less: whoever judges the evidence again without it finds nothing that this reader should have refused. What of it does not hold itself, such as a stale list, is the reader's
// trouble: an attest.UnknownError.
type Collateral struct {
	SNP [][]byte          // AMD's lists of withdrawn certificates, DER
	TDX []*tdx.Collateral // Intel's words on platforms
}

// A Floor is what the reader asks for besides what is always refused.
type Floor struct {
	SNP sevsnp.TCB // the least of each part; zero: any
	TDX []string   // statuses that are borne besides UpToDate, such as SWHardeningNeeded
}

// A Report is what genuine evidence says, once nothing in it was refused.
type Report struct {
	Kind        Kind
	Measurement string    // of what runs there: the one text that a charter lists
	Device      string    // which piece of hardware it is; two nodes with the same are on one machine. Empty: it does not say
	Facts       []Fact    // on security, in a fixed order
	AsOf        time.Time // when it was signed, as its signer says; else Want.Now
	Expires     time.Time // when what it rests on ceases to hold; zero: never
	Shown       bool      // all that this kind can show was shown to this reader
	Notes       []string  // what whoever relies on it has to know
}

// A Fact is one line of a report.
type Fact struct{ Name, Value string }

// String is the report's canonical text: one line each.
func (r Report) String() string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, value) }
	line("kind", string(r.Kind))
	line("measurement", r.Measurement)
	line("device", r.Device)
	for _, f := range r.Facts {
		line(f.Name, f.Value)
	}
	line("as of", r.AsOf.UTC().Format(time.RFC3339))
	if !r.Expires.IsZero() {
		line("expires", r.Expires.UTC().Format(time.RFC3339))
	}
	for _, n := range r.Notes {
		line("note", n)
	}
	return b.String()
}

// Verify judges evidence of any kind. Every refusal names the field; one for want of a root is an attest.UnknownError: it was not judged.
func Verify(evidence []byte, want Want) (Report, error) {
	kind, err := KindOf(evidence)
	if err != nil {
		return Report{}, err
	}
	r, err := judge(kind, evidence, want)
	if err != nil {
		return Report{}, fmt.Errorf("evidence of hardware (%s): %w", kind, err)
	}
	if r.Kind = kind; r.AsOf.IsZero() {
		r.AsOf = want.Now
	}
	return r, nil
}

// Arguments that a caller left out.
var (
	errNoTime    = errors.New("no time was given to judge by")
	errNoBinding = errors.New("no binding was given: evidence made for nobody would do")
)

func judge(kind Kind, evidence []byte, want Want) (Report, error) {
	// x509 takes the zero time for now, and would read the machine's clock.
	if want.Now.IsZero() {
		return Report{}, errNoTime
	}
	// A guest's report that names nobody has zeros there.
	if want.Binding == [32]byte{} {
		return Report{}, errNoBinding
	}
	switch kind {
	case TPM:
		return verifyTPM(evidence, want)
	case SNP:
		return verifySNP(evidence, want)
	case TDX:
		return verifyTDX(evidence, want)
	}
	return verifyNitro(evidence, want) // KindOf knows no other
}

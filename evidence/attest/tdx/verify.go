package tdx

import (
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/pki"
)

// Trust is what a reader believes, and the time by which to judge.
type Trust struct {
	Roots []*x509.Certificate // Intel's
	Now   time.Time
}

// Genuine is a quote that Intel's keys vouch for, on a platform whose state is not yet judged.
type Genuine struct {
	*Quote
	Platform *Platform
	Expires  time.Time // of the certificates and lists
	path     []*x509.Certificate
}

// Authenticate verifies who signed: certificates to a root, the quoting enclave, the quote. The state of the platform (Evaluate) and what the
// quote says (Judge) are not judged by it.
func (e *Evidence) Authenticate(t Trust) (*Genuine, error) {
	q, err := Read(e.Quote)
	if err != nil {
		return nil, err
	}
	pck, issuer, err := q.certificates()
	if err != nil {
		return nil, err
	}
	path, err := pki.Path("platform's certificate", pck, []*x509.Certificate{issuer}, t.Roots, t.Now)
	if err != nil {
		return nil, err
	}
	if len(path) != 3 || pck.Subject.CommonName != "Intel SGX PCK Certificate" {
		return nil, fmt.Errorf("platform's certificate: it is %.64q, not an Intel SGX PCK Certificate two below a root", pck.Subject.CommonName)
	}
	if name := path[1].Subject.CommonName; name != "Intel SGX PCK Platform CA" && name != "Intel SGX PCK Processor CA" {
		return nil, fmt.Errorf("platform's certificate: its issuer is %.64q, no authority for platforms", name)
	}
	g := &Genuine{Quote: q, Expires: pki.Expires(path), path: path}
	if g.Platform, err = readPlatform(pck); err != nil {
		return nil, err
	}
	return g, q.authentic(pck)
}

// Bits of a guest's attributes. Others are reserved.
const (
	attributesDebug   = 0xff // the whole group TUD: a guest with any of these is open to its host
	attributesLASS    = 1 << 27
	attributesNoVE    = 1 << 28 // SEPT_VE_DISABLE
	attributesMigrate = 1 << 29
	attributesPKS     = 1 << 30
	attributesKL      = 1 << 31
	attributesPerf    = 1 << 63
	attributesBorne   = attributesLASS | attributesNoVE | attributesPKS | attributesKL | attributesPerf
)

// Judge decides on what a genuine quote says, on a platform that was evaluated: that it is of our guest, which nobody else looks into. Statuses
// besides UpToDate are borne as the reader lists them.
func (g *Genuine) Judge(e *Evaluation, binding [32]byte, borne []string) error {
	var data [64]byte
	copy(data[:], binding[:])
	switch {
	// Another node's quote, or one for another nonce.
	case g.Data != data:
		return errors.New("quote: REPORTDATA is not of this node and this nonce")
	// The host reads and writes the memory of such a guest.
	case g.Attributes&attributesDebug != 0:
		return fmt.Errorf("quote: attributes %#x allow debugging: the host can read the guest's memory", g.Attributes)
	case g.Attributes&attributesMigrate != 0:
		return fmt.Errorf("quote: attributes %#x allow migration, which can take the guest's memory elsewhere", g.Attributes)
	// A service's guest that is bound, such as one for migration, takes the memory of this one where it likes.
	case g.Service != [48]byte{}:
		return fmt.Errorf("quote: MRSERVICETD %x: a service's guest is bound to this one", g.Service)
	case g.Attributes&^attributesBorne != 0:
		return fmt.Errorf("quote: attributes %#x have bits that are not known", g.Attributes)
	}
	if err := Statuses(borne); err != nil {
		return err
	}
	for _, v := range e.Verdicts {
		if v.Status != UpToDate && !slices.Contains(borne, v.Status) {
			return fmt.Errorf("TCB: Intel says of the %s: %s (%s; %q)", v.Part, v.Status, v.Date.UTC().Format(time.DateOnly), v.Advisories)
		}
	}
	return nil
}

// Text is what a charter lists of a guest: what it started from, and the SHA-384 of the four registers of what was measured since.
func (g *Genuine) Text() string {
	var all []byte
	for _, r := range g.RTMR {
		all = append(all, r[:]...)
	}
	return fmt.Sprintf("%s:%x:%x", Kind, g.MRTD, sha512.Sum384(all))
}

// Exceptions says whether the host can cause exceptions in the guest: SEPT_VE_DISABLE is not set.
func (g *Genuine) Exceptions() bool { return g.Attributes&attributesNoVE == 0 }

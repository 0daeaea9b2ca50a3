package sevsnp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/pki"
)

// Trust is what a reader believes, and the time by which to judge.
type Trust struct {
	Roots     []*x509.Certificate // AMD's (ARK)
	Withdrawn [][]byte            // the reader's own lists, DER, of any lines: they count besides the one that the evidence carries, if any
	Now       time.Time
}

// Genuine is a report that AMD's keys vouch for.
type Genuine struct {
	*Report
	Product                              string // "Milan", "Genoa", "Turin", as AMD names the line
	Cloud                                string // to whom a VLEK was given
	Current, Reported, Committed, Launch TCB
	Expires                              time.Time // of the certificates and the list
	Looked                               bool      // a list of what AMD has withdrawn was looked into
	Held                                 bool      // and it was the reader's own
}

// Names of a signer's extensions (57230, below 1.3.6.1.4.1.3704.1).
var (
	amd           = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}
	oidBootloader = below(3, 1)
	oidTEE        = below(3, 2)
	oidSNP        = below(3, 3)
	oidMicrocode  = below(3, 8)
	oidFMC        = below(3, 9)
	oidChip       = below(4)
	oidCloud      = below(5)
)

func below(arcs ...int) asn1.ObjectIdentifier { return append(slices.Clone(amd), arcs...) }

// Authenticate verifies who signed: certificates to a root, the report by the signer, and that the signer's certificate is of this chip in this
// state. What the report says is not judged by it (Judge).
func (e *Evidence) Authenticate(t Trust) (*Genuine, error) {
	r, err := Read(e.Report)
	if err != nil {
		return nil, err
	}
	signer, err := pki.Certificate("signer's certificate", e.Signer)
	if err != nil {
		return nil, err
	}
	issuer, err := pki.Certificate("issuer's certificate", e.Issuer)
	if err != nil {
		return nil, err
	}
	if err := signed(e.Report, r, signer); err != nil {
		return nil, err
	}
	path, err := pki.Path("signer's certificate", signer, []*x509.Certificate{issuer}, t.Roots, t.Now)
	if err != nil {
		return nil, err
	}
	g := &Genuine{Report: r, Expires: pki.Expires(path)}
	// The path must be AMD's: a root that signs for other purposes too would let any of its certificates sign reports.
	if len(path) != 3 || !bytes.Equal(path[1].Raw, issuer.Raw) {
		return nil, errors.New("signer's certificate: the issuer's certificate does not stand between it and a root")
	}
	if g.Product, err = line(signer, issuer, path[2], r.Signer); err != nil {
		return nil, err
	}
	if err := g.withdrawn(e, t, issuer, path[2]); err != nil {
		return nil, err
	}
	return g, g.ofChip(signer)
}

// line is AMD's name of the processors, which stands in the issuer's name, and holds all names together.
func line(signer, issuer, root *x509.Certificate, kind Signer) (string, error) {
	before := "SEV-"
	if kind == VLEK {
		before = "SEV-VLEK-"
	}
	name, ok := strings.CutPrefix(issuer.Subject.CommonName, before)
	if !ok || strings.Contains(name, "-") {
		return "", fmt.Errorf("issuer's certificate: its name is %.64q, not %s and a line of processors", issuer.Subject.CommonName, before)
	}
	if root.Subject.CommonName != "ARK-"+name {
		return "", fmt.Errorf("issuer's certificate: %.64q is below the root of another line, %.64q", issuer.Subject.CommonName, root.Subject.CommonName)
	}
	if want := "SEV-" + strings.ToUpper(kind.String()); signer.Subject.CommonName != want {
		return "", fmt.Errorf("signer's certificate: its name is %.64q, not %s as the report says", signer.Subject.CommonName, want)
	}
	return name, nil
}

// withdrawn looks into the list that the evidence carries, and into the reader's own. Who shows evidence chooses what it carries, nothing or an older list that still holds: only the
// reader's own says what was withdrawn of late. One of those that does not hold is the reader's trouble, and says nothing of the evidence.
func (g *Genuine) withdrawn(e *Evidence, t Trust, issuer, root *x509.Certificate) error {
	look := func(field string, der []byte) error {
		l, err := pki.Withdrawn(field, der, root, t.Now)
		if err != nil {
			return err
		}
		if l.Has(issuer) {
			return errWithdrawn
		}
		g.Looked, g.Expires = true, pki.Sooner(g.Expires, l.Until)
		return nil
	}
	if len(e.Withdrawn) > 0 {
		if err := look("list of withdrawn certificates", e.Withdrawn); err != nil {
			return err
		}
	}
	for _, der := range t.Withdrawn {
		l, err := x509.ParseRevocationList(der)
		if err == nil && !bytes.Equal(l.RawIssuer, root.RawSubject) {
			continue // of another line
		}
		switch err := look("list of withdrawn certificates", der); {
		case errors.Is(err, errWithdrawn):
			return err
		case err != nil:
			return pki.Unjudged("this reader's own", err)
		}
		g.Held = true
	}
	return nil
}

var errWithdrawn = errors.New("issuer's certificate: AMD has withdrawn it")

func signed(raw []byte, r *Report, signer *x509.Certificate) error {
	key, ok := signer.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return errors.New("signer's certificate: its key is not on P-384")
	}
	if sum := sha512.Sum384(raw[:atSignature]); !ecdsa.Verify(key, sum[:], r.r, r.s) {
		return errors.New("report: the signature is not the signer's")
	}
	return nil
}

// ofChip checks that the certificate is for this chip, with the firmware that the report says: AMD derives another key for each, so that one
// that leaked with old firmware does not speak for new.
func (g *Genuine) ofChip(signer *x509.Certificate) error {
	turin := g.Product == "Turin"
	if g.Version >= versionProcessor && (g.Family == familyTurin) != turin {
		return fmt.Errorf("report: it is of a processor of family %#x, the certificate of line %s", g.Family, g.Product)
	}
	var err error
	for _, x := range []struct {
		name string
		from [8]byte
		to   *TCB
	}{{"current", g.current, &g.Current}, {"reported", g.reported, &g.Reported}, {"committed", g.committed, &g.Committed}, {"launch", g.launch, &g.Launch}} {
		if *x.to, err = tcb(x.name, x.from, turin); err != nil {
			return err
		}
	}
	certified, err := certifiedTCB(signer, turin)
	if err != nil {
		return err
	}
	if certified != g.Reported {
		return fmt.Errorf("signer's certificate: it is for TCB %s, the report says %s", certified, g.Reported)
	}
	chip, has := pki.Extension(signer, oidChip)
	cloud, given := pki.Extension(signer, oidCloud)
	switch {
	case g.Signer == VLEK && (has || !given):
		return errors.New("signer's certificate: a VLEK's is of a cloud and of no chip")
	case g.Signer == VLEK:
		return ia5("cloud", cloud, &g.Cloud)
	case !has || given:
		return errors.New("signer's certificate: a VCEK's is of a chip and of no cloud")
	}
	return g.sameChip(chip, turin)
}

// sameChip compares the chip that the certificate names. The key service puts the id there bare, without DER's frame; Turin's has 8 bytes.
func (g *Genuine) sameChip(chip []byte, turin bool) error {
	size := len(g.ChipID)
	if turin {
		size = 8
	}
	var framed []byte
	if len(chip) != size && pki.Whole(chip, &framed) == nil {
		chip = framed
	}
	var whole [64]byte
	if len(chip) != size || len(chip) != copy(whole[:], chip) || whole != g.ChipID {
		return fmt.Errorf("signer's certificate: it is of chip %.128x, the report of %x", chip, g.ChipID)
	}
	return nil
}

func certifiedTCB(signer *x509.Certificate, turin bool) (TCB, error) {
	var t TCB
	parts := map[*uint8]asn1.ObjectIdentifier{&t.Bootloader: oidBootloader, &t.TEE: oidTEE, &t.SNP: oidSNP, &t.Microcode: oidMicrocode}
	if turin {
		parts[&t.FMC] = oidFMC
	}
	for to, name := range parts {
		value, ok := pki.Extension(signer, name)
		var n int
		if !ok || pki.Whole(value, &n) != nil || n < 0 || n > 255 {
			return TCB{}, fmt.Errorf("signer's certificate: extension %v is no number from 0 to 255", name)
		}
		*to = uint8(n)
	}
	for i := 4; i <= 7; i++ {
		if value, ok := pki.Extension(signer, below(3, i)); ok && !bytes.Equal(value, []byte{2, 1, 0}) {
			return TCB{}, fmt.Errorf("signer's certificate: extension %v is reserved and not zero", below(3, i))
		}
	}
	return t, nil
}

func ia5(field string, der []byte, to *string) error {
	var v asn1.RawValue
	if pki.Whole(der, &v) != nil || v.Tag != asn1.TagIA5String || v.Class != asn1.ClassUniversal || len(v.Bytes) == 0 || len(v.Bytes) > 64 {
		return fmt.Errorf("signer's certificate: %s is no text of 1 to 64 letters", field)
	}
	if slices.ContainsFunc(v.Bytes, func(b byte) bool { return b < 0x21 || b > 0x7e }) {
		return fmt.Errorf("signer's certificate: %s %q has other than printable letters", field, v.Bytes)
	}
	*to = string(v.Bytes)
	return nil
}

// Judge decides on what a genuine report says: that it is of our guest, which nobody else looks into.
func (g *Genuine) Judge(binding [32]byte, floor TCB) error {
	var data [64]byte
	copy(data[:], binding[:])
	switch {
	// Another node's report, or one for another nonce.
	case g.Data != data:
		return errors.New("report: REPORT_DATA is not of this node and this nonce")
	// The host may ask the processor for reports too, with what it likes in REPORT_DATA; software below the guest's kernel as well.
	case g.VMPL != 0:
		return fmt.Errorf("report: it was asked for at VMPL %d, not 0", g.VMPL)
	case g.Policy&policyAlways == 0 || g.Policy&^policyKnown != 0:
		return fmt.Errorf("report: policy %#x has a form that is not known", g.Policy)
	// The host reads and writes the memory of such a guest.
	case g.Policy&policyDebug != 0:
		return errors.New("report: policy allows debugging: the host can read the guest's memory")
	// A migration agent exports the guest's memory to where it likes.
	case g.Policy&policyMigration != 0:
		return errors.New("report: policy allows a migration agent, which can take the guest's memory elsewhere")
	case g.Agent != none:
		return errors.New("report: it is bound to a migration agent")
	}
	// The host may set firmware back as far as what is committed.
	for _, x := range []struct {
		name string
		TCB
	}{{"reported", g.Reported}, {"committed", g.Committed}, {"current", g.Current}} {
		if !x.Least(floor) {
			return fmt.Errorf("report: %s TCB %s is below what is asked for, %s", x.name, x.TCB, floor)
		}
	}
	return nil
}

var none = func() (ones [32]byte) {
	for i := range ones {
		ones[i] = 0xff
	}
	return ones
}()

// Text is what a charter lists of a guest.
func (g *Genuine) Text() string { return fmt.Sprintf("%s:%x", Kind, g.Measurement) }

// Guards names what the policy demands of the host, in a fixed order.
func (g *Genuine) Guards() string {
	var all []string
	for _, x := range []struct {
		bit  uint64
		name string
	}{{policySMT, "smt-allowed"}, {policyOneSocket, "one-socket"}, {policyCXL, "cxl-allowed"}, {policyAES256, "aes-256"}, {policyNoRAPL, "rapl-off"},
		{policyHidden, "ciphertext-hidden"}, {policyNoSwap, "swap-off"}} {
		if g.Policy&x.bit != 0 {
			all = append(all, x.name)
		}
	}
	return strings.Join(all, " ")
}

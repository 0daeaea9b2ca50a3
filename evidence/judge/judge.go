// Package judge says whether evidence of hardware meets what a charter demands of an operator: it is genuine (evidence/attest/hardware), bound to
// whom it is shown for, and of something that may run there. A node judges what a peer shows it; whoever reads a log judges it again.
package judge

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/vetted"
)

// Asked is what evidence is judged by.
type Asked struct {
	vetted.Subject
	Demand charter.Demand
	Now    time.Time // a peer's clock; for a record, when it was made

	// Pinned are the roots that the program carries. Given are certificates that the reader has besides: they count where the charter lists them, and so
	// do those that the evidence carries itself.
	Pinned hardware.Roots
	Given  []*x509.Certificate

	// Held is what the asker has besides of what makers withdrew, and of their word on platforms.
	Held hardware.Collateral

	// Activated are the keys that the asker's own challenge showed to lie in one TPM; nil: it made none, or is an outsider.
	Activated *tpm.Activated
}

// Evidence judges what a node shows. The record lacks its charter's id. An error says which part is not as it should be; of one for want of a root or of
// collateral, an attest.UnknownError, nothing was judged.
func Evidence(evidence []byte, a Asked) (vetted.Record, error) {
	r := vetted.Record{Subject: a.Subject, Operator: a.Demand.Operator, At: a.Now.UTC().Truncate(time.Second), Demand: a.Demand.Hash(), Evidence: evidence}
	kind, err := hardware.KindOf(evidence)
	if err != nil {
		return r, err
	}
	h, ok := a.Demand.Of(string(kind))
	if !ok {
		return r, fmt.Errorf("kind: it is evidence of %s, and the charter takes %s of %s", kind, kinds(a.Demand), a.Demand.Operator)
	}
	want := hardware.Want{Binding: hardware.Binding(a.Identity, a.Challenge()), Now: a.Now, Roots: a.roots(kind, h, evidence), Activated: a.Activated, Collateral: a.Held}
	if want.Floor, err = ParseFloor(h.Kind, h.Floor); err != nil {
		return r, fmt.Errorf("the charter's floor: %w", err)
	}
	report, err := hardware.Verify(evidence, want)
	if err != nil {
		return r, err
	}
	r.Kind, r.Measurement, r.Device, r.Shown = string(kind), report.Measurement, report.Device, report.Shown
	if report.Shown { // else the asker has more to ask
		r.Notes = strings.Join(report.Notes, "; ")
	}
	if r.Name = h.Named(report.Measurement); r.Name == "" {
		return r, fmt.Errorf("measurement: it runs %s, which is none that the charter allows of %s (%s)", report.Measurement, a.Demand.Operator, names(h))
	}
	return r, nil
}

// roots are what the program carries, and of all other certificates those that the charter lists.
func (a Asked) roots(kind hardware.Kind, h charter.Hardware, evidence []byte) hardware.Roots {
	out := a.Pinned
	pool := map[hardware.Kind]*[]*x509.Certificate{hardware.TPM: &out.TPM, hardware.SNP: &out.SNP, hardware.TDX: &out.TDX, hardware.Nitro: &out.Nitro}[kind]
	*pool = slices.Clone(*pool)
	out.Between = slices.Concat(out.Between, a.Given)
	for _, c := range slices.Concat(a.Given, carried(kind, evidence)) {
		sum := sha256.Sum256(c.Raw)
		if slices.ContainsFunc(h.Roots, func(r []byte) bool { return slices.Equal(r, sum[:]) }) {
			*pool = append(*pool, c)
		}
	}
	return out
}

// carried are the certificates that evidence brings along. The charter's list says which of them are believed.
func carried(kind hardware.Kind, evidence []byte) (out []*x509.Certificate) {
	if kind != hardware.TPM {
		return nil
	}
	e, err := tpm.Decode(evidence)
	if err != nil {
		return nil // Verify says what is wrong with it
	}
	for _, der := range e.Chain {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, c)
		}
	}
	return out
}

func kinds(x charter.Demand) string {
	var all []string
	for _, h := range x.Hardware {
		all = append(all, h.Kind)
	}
	return strings.Join(all, ", ")
}

func names(h charter.Hardware) string {
	var all []string
	for _, m := range h.Measurements {
		all = append(all, m.Name)
	}
	return strings.Join(all, ", ")
}

// Again judges a record's evidence anew, as of when its asker did, by the demand that it was found under: what a log shows is no word of anybody's
// then. That a TPM's keys lie in one TPM its asker alone saw (Shown).
func Again(r vetted.Record, x charter.Demand, pinned hardware.Roots, given []*x509.Certificate) error {
	if r.Why != "" {
		return errors.New("it tells of a refusal: there is no evidence in it")
	}
	found, err := Evidence(r.Evidence, Asked{Subject: r.Subject, Demand: x, Now: r.At, Pinned: pinned, Given: given})
	switch {
	case err != nil:
		return err
	case found.Operator != r.Operator || found.Kind != r.Kind || found.Name != r.Name || found.Measurement != r.Measurement || found.Device != r.Device || found.Demand != r.Demand:
		return fmt.Errorf("the evidence is of %s (%s) on %s, and the record says %s (%s) on %s", found.Name, found.Measurement, found.Device, r.Name, r.Measurement, r.Device)
	}
	return nil
}

// borne are the statuses of a platform that Intel knows besides UpToDate and Revoked.
var borne = []string{"ConfigurationAndSWHardeningNeeded", "ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", "SWHardeningNeeded"}

// ParseFloor reads the lowest firmware that a charter takes: of sev-snp each part's number, "fmc=0 bootloader=4 tee=0 snp=22 microcode=213"; of tdx the
// statuses of a platform that are borne besides UpToDate, ascending, with commas. Other kinds have none.
func ParseFloor(kind, text string) (f hardware.Floor, err error) {
	switch {
	case text == "":
		return f, nil
	case kind == charter.KindTDX:
		f.TDX = strings.Split(text, ",")
		for i, s := range f.TDX {
			if !slices.Contains(borne, s) || i > 0 && f.TDX[i-1] >= s {
				return f, fmt.Errorf("%.80q is not a list of %s, ascending, with commas", text, strings.Join(borne, ", "))
			}
		}
		return f, nil
	case kind != charter.KindSEVSNP:
		return f, fmt.Errorf("%s has none: leave it out", kind)
	}
	var t sevsnp.TCB
	n, err := fmt.Sscanf(text, "fmc=%d bootloader=%d tee=%d snp=%d microcode=%d", &t.FMC, &t.Bootloader, &t.TEE, &t.SNP, &t.Microcode)
	if err != nil || n != 5 || t.String() != text {
		return f, fmt.Errorf("%.80q is not of the form %q", text, sevsnp.TCB{})
	}
	f.SNP = t
	return f, nil
}

// Binding is what the hardware of a node signs for somebody who asks it.
func Binding(s vetted.Subject) [32]byte { return hardware.Binding(s.Identity, s.Challenge()) }

// CheckDemand says what of a demand this program could not judge.
func CheckDemand(x charter.Demand) error {
	for _, h := range x.Hardware {
		if _, err := ParseFloor(h.Kind, h.Floor); err != nil {
			return fmt.Errorf("attest: operator %s: %s: floor: %w", x.Operator, h.Kind, err)
		}
	}
	return nil
}

// Own is what a node's own machine shows.
type Own struct {
	Kind, Measurement, Device, Text string
	Root                            string // SHA-256 of the maker's certificate, where a charter has to list it
}

// rootOf is the hash of the root by which a TPM's evidence holds; of other kinds this program has the roots.
func rootOf(kind hardware.Kind, evidence []byte, want hardware.Want) string {
	if kind != charter.KindTPM {
		return ""
	}
	for _, c := range want.Roots.TPM {
		alone := want
		alone.Roots.TPM = []*x509.Certificate{c}
		if _, err := hardware.Verify(evidence, alone); err == nil && bytes.Equal(c.RawIssuer, c.RawSubject) {
			return fmt.Sprintf("%x", sha256.Sum256(c.Raw))
		}
	}
	return ""
}

// OwnEvidence reads a node's own evidence, made for nobody: what a charter would list of it. The roots that it carries itself are believed here: who
// reads is who made it.
func OwnEvidence(evidence []byte, identity ed25519.PublicKey, now time.Time, pinned hardware.Roots, given []*x509.Certificate) (Own, error) {
	kind, err := hardware.KindOf(evidence)
	if err != nil {
		return Own{}, err
	}
	given = slices.Concat(given, carried(kind, evidence))
	for _, pool := range []*[]*x509.Certificate{&pinned.TPM, &pinned.SNP, &pinned.TDX, &pinned.Nitro} {
		*pool = slices.Concat(*pool, given)
	}
	pinned.Between = slices.Concat(pinned.Between, given)
	want := hardware.Want{Binding: Binding(vetted.Subject{Identity: identity}), Now: now, Roots: pinned, Floor: hardware.Floor{TDX: borne}}
	r, err := hardware.Verify(evidence, want)
	if err != nil {
		return Own{}, err
	}
	return Own{string(kind), r.Measurement, r.Device, r.String(), rootOf(kind, evidence, want)}, nil
}

package sevsnp

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"testing"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	pb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/verify"
)

// nowhere refuses to fetch: the library has what it needs.
type nowhere struct{ t *testing.T }

func (n nowhere) Get(url string) ([]byte, error) {
	n.t.Errorf("the library fetches %s", url)
	return nil, nil
}

// theirs is what go-sev-guest says of evidence of the genuine chain.
func theirs(t *testing.T, e *Evidence) error {
	r, err := abi.ReportToProto(e.Report)
	if err != nil {
		return err
	}
	return verify.SnpAttestation(
		&pb.Attestation{Report: r, CertificateChain: &pb.CertificateChain{VcekCert: e.Signer}},
		&verify.Options{Now: sampled, DisableCertFetching: true, Getter: nowhere{t}},
	)
}

// oracleStep is how many bytes are passed over between those that are turned for both.
var oracleStep = 11

// go-sev-guest takes and refuses what we take and refuse, byte by byte, and reads the same.
func TestAgainstTheLibrary(t *testing.T) {
	e, root := sample(t)
	trust := Trust{Roots: []*x509.Certificate{root}, Now: sampled}
	g, err := e.Authenticate(trust)
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs(t, e); err != nil {
		t.Fatal(err)
	}
	r, err := abi.ReportToProto(e.Report)
	if err != nil {
		t.Fatal(err)
	}
	if r.Policy != g.Policy || r.Vmpl != g.VMPL || r.GuestSvn != g.GuestSVN || r.PlatformInfo != g.PlatformInfo || !bytes.Equal(r.Measurement, g.Measurement[:]) ||
		!bytes.Equal(r.ReportData, g.Data[:]) || !bytes.Equal(r.ChipId, g.ChipID[:]) || !bytes.Equal(r.ReportIdMa, g.Agent[:]) || !bytes.Equal(r.HostData, g.HostData[:]) {
		t.Errorf("%+v is read as %+v", r, g.Report)
	}
	for name, x := range map[string]struct {
		raw uint64
		tcb TCB
	}{"reported": {r.ReportedTcb, g.Reported}, "committed": {r.CommittedTcb, g.Committed}, "current": {r.CurrentTcb, g.Current}, "launch": {r.LaunchTcb, g.Launch}} {
		p := kds.DecomposeTCBVersion(kds.TCBVersion(x.raw))
		if x.tcb != (TCB{Bootloader: p.BlSpl, TEE: p.TeeSpl, SNP: p.SnpSpl, Microcode: p.UcodeSpl}) {
			t.Errorf("%s TCB %+v is read as %+v", name, p, x.tcb)
		}
	}
	flips(e.Report, oracleStep, func(i int) bool {
		_, ours := e.Authenticate(trust)
		if their := theirs(t, e); (ours == nil) != (their == nil) {
			t.Errorf("report with a byte turned at %#x: ours %v, theirs %v", i, ours, their)
		}
		return false
	})
}

// The library's reader of policies knows the bits that we know.
func TestPolicyAgainstTheLibrary(t *testing.T) {
	for bit := range 64 {
		policy := uint64(policyAlways) | 1<<bit
		_, err := abi.ParseSnpPolicy(policy)
		if known := policy&^policyKnown == 0; known != (err == nil) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], policyAlways|policyDebug|policyMigration)
	if p, err := abi.ParseSnpPolicy(binary.LittleEndian.Uint64(b[:])); err != nil || !p.Debug || !p.MigrateMA {
		t.Errorf("%+v, %v", p, err)
	}
}

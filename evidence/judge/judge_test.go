package judge_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/node/nodetest"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func key(name string) ed25519.PublicKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}

// shown is evidence of a TPM of software, and what it is judged by.
func shown(t *testing.T) (evidence []byte, a judge.Asked, maker *nodetest.Maker) {
	t.Helper()
	maker = nodetest.NewMaker(t, "a maker", noon)
	x := maker.TPM(t, "bolt", "release 1")
	a = judge.Asked{
		Subject: vetted.Subject{Identity: key("bolt"), Life: vetted.Life{Counter: 1}, Asker: key("acme"), Nonce: [32]byte{1}},
		Demand:  maker.Allows("bolt", time.Hour, x.Measurement()), Now: noon,
	}
	evidence, err := x.Evidence(context.Background(), judge.Binding(a.Subject))
	if err != nil {
		t.Fatal(err)
	}
	return evidence, a, maker
}

// Certificates count where the charter lists them, whoever brought them along; without one that does, nothing is judged.
func TestRoots(t *testing.T) {
	evidence, a, maker := shown(t)
	r, err := judge.Evidence(evidence, a)
	if err != nil || r.Name != "r1" || r.Shown || r.Device == "" || judge.Again(r, a.Demand, hardware.Roots{}, nil) != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	bare, err := tpm.Decode(evidence)
	if err != nil {
		t.Fatal(err)
	}
	bare.Chain = nil
	var unknown *attest.UnknownError
	if _, err := judge.Evidence(bare.Encode(), a); !errors.As(err, &unknown) {
		t.Errorf("without its root: %v", err)
	}
	given := a
	given.Given = []*x509.Certificate{maker.Root}
	if _, err := judge.Evidence(bare.Encode(), given); err != nil {
		t.Errorf("with its root in the reader's file: %v", err)
	}
	for _, x := range []judge.Asked{a, given} {
		x.Demand.Hardware = []charter.Hardware{x.Demand.Hardware[0]}
		x.Demand.Hardware[0].Roots = nil
		if _, err := judge.Evidence(evidence, x); !errors.As(err, &unknown) {
			t.Errorf("with a root that the charter does not list: %v", err)
		}
	}
	pinned := a
	pinned.Demand.Hardware = []charter.Hardware{a.Demand.Hardware[0]}
	pinned.Demand.Hardware[0].Roots = nil
	pinned.Pinned.TPM = []*x509.Certificate{maker.Root}
	if _, err := judge.Evidence(evidence, pinned); err != nil {
		t.Errorf("with a root that the program carries: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	evidence, good, _ := shown(t)
	for name, c := range map[string]struct {
		change func(a *judge.Asked)
		want   string
	}{
		"another node":        {func(a *judge.Asked) { a.Identity = key("cora") }, "qualifying data"},
		"another nonce":       {func(a *judge.Asked) { a.Nonce[0]++ }, "qualifying data"},
		"another asker":       {func(a *judge.Asked) { a.Asker = key("cora") }, "qualifying data"},
		"another life":        {func(a *judge.Asked) { a.Life.Instance[0]++ }, "qualifying data"},
		"a kind that is not":  {func(a *judge.Asked) { a.Demand.Hardware[0].Kind = charter.KindTDX }, "kind: it is evidence of tpm2, and the charter takes tdx of bolt"},
		"another measurement": {func(a *judge.Asked) { a.Demand.Hardware[0].Measurements[0].Value += "0" }, "none that the charter allows of bolt (r1)"},
		"a floor of a TPM":    {func(a *judge.Asked) { a.Demand.Hardware[0].Floor = "1" }, "tpm2 has none"},
		"before its maker":    {func(a *judge.Asked) { a.Now = noon.AddDate(-2, 0, 0) }, "certificate"},
		"other keys answered": {func(a *judge.Asked) { a.Activated = &tpm.Activated{} }, "another pair of keys"},
	} {
		a := good
		h := a.Demand.Hardware[0]
		h.Measurements = append([]charter.Measurement{}, h.Measurements...)
		a.Demand.Hardware = []charter.Hardware{h}
		c.change(&a)
		if _, err := judge.Evidence(evidence, a); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	r, err := judge.Evidence(evidence, good)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*vetted.Record){
		"device": func(r *vetted.Record) { r.Device = "another" }, "name": func(r *vetted.Record) { r.Name = "r2" },
		"measurement": func(r *vetted.Record) { r.Measurement = "x" }, "demand": func(r *vetted.Record) { r.Demand[0]++ }, "a refusal": func(r *vetted.Record) { r.Why = "no" },
	} {
		x := r
		change(&x)
		if err := judge.Again(x, good.Demand, hardware.Roots{}, nil); err == nil {
			t.Errorf("a record that says another %s holds", name)
		}
	}
}

func TestFloors(t *testing.T) {
	for _, c := range []struct {
		kind, text string
		ok         bool
	}{
		{"sev-snp", "", true}, {"sev-snp", "fmc=0 bootloader=4 tee=0 snp=22 microcode=213", true}, {"sev-snp", "bootloader=4", false},
		{"sev-snp", "fmc=0 bootloader=04 tee=0 snp=22 microcode=213", false}, {"sev-snp", "fmc=0 bootloader=256 tee=0 snp=22 microcode=213", false},
		{"tdx", "SWHardeningNeeded", true}, {"tdx", "ConfigurationNeeded,SWHardeningNeeded", true}, {"tdx", "SWHardeningNeeded,ConfigurationNeeded", false},
		{"tdx", "Revoked", false}, {"tdx", "OutOfDate,OutOfDate", false}, {"nitro", "1", false}, {"tpm2", "1", false},
	} {
		if _, err := judge.ParseFloor(c.kind, c.text); (err == nil) != c.ok {
			t.Errorf("%s %q: %v", c.kind, c.text, err)
		}
		x := charter.Demand{Operator: "bolt", Hardware: []charter.Hardware{{Kind: c.kind, Floor: c.text}}}
		if err := judge.CheckDemand(x); (err == nil) != c.ok {
			t.Errorf("a charter with %s %q: %v", c.kind, c.text, err)
		}
	}
}

// What its own operator is shown is what others find.
func TestOwn(t *testing.T) {
	maker := nodetest.NewMaker(t, "a maker", noon)
	x := maker.TPM(t, "bolt", "release 1")
	evidence, err := x.Evidence(context.Background(), judge.Binding(vetted.Subject{Identity: key("bolt")}))
	if err != nil {
		t.Fatal(err)
	}
	own, err := judge.OwnEvidence(evidence, key("bolt"), noon, hardware.Roots{}, nil)
	if err != nil || own.Kind != "tpm2" || own.Measurement != x.Measurement() || hardware.CheckMeasurement(own.Measurement) != nil {
		t.Errorf("%+v, %v", own, err)
	}
	if want := fmt.Sprintf("%x", maker.Fingerprint()); own.Root != want {
		t.Errorf("its root is %q, a charter lists %s", own.Root, want)
	}
	if _, err := judge.OwnEvidence([]byte("junk"), key("bolt"), noon, hardware.Roots{}, nil); err == nil {
		t.Error("junk is shown")
	}
}

package vet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/internal/components/swtpm"
	quote "github.com/ostraka/ostraka/node/quote/tpm"
	"github.com/ostraka/ostraka/node/tpm"
	"github.com/ostraka/ostraka/node/vet"
)

// quoter is a TPM as a maker of evidence.
type quoter struct{ *quote.Quoter }

func (q quoter) Answer(ctx context.Context, challenge []byte) ([]byte, error) {
	secret, err := q.Quoter.Answer(ctx, challenge)
	return secret[:], err
}

// A real TPM 2.0, of software (swtpm), whose maker the charter lists: it is challenged once, its quotes count, and what it booted since is refused.
func TestARealTPM(t *testing.T) {
	s, roots := swtpm.StartCertified(t)
	device, err := tpm.New(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	pcrs, err := tpm.ParseSelection("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := attest.ReadAuthorities(roots)
	if err != nil || len(all.Issuers) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	x := newCircle(t)
	acme, bolt := x.all[0], x.all[1]
	x.now = time.Now() // swtpm's certificates hold from now on
	for _, n := range x.all {
		n.given = append(all.Roots, all.Issuers...)
		n.real = nil
		if n == bolt {
			n.real = quoter{quote.New(device, pcrs)}
		}
		n.start()
	}
	x.run(0)
	own, err := bolt.Self()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(all.Roots[0].Raw)
	demand := charter.Demand{Operator: "bolt", Fresh: fresh, Hardware: []charter.Hardware{{Kind: charter.KindTPM, Roots: [][]byte{sum[:]}, Measurements: []charter.Measurement{{Name: "r1", Value: own.Measurement}}}}}
	x.demands("bolt", demand)
	x.run(10 * time.Second)
	if err := acme.Fit(bolt.id); err != nil {
		t.Fatal(err)
	}
	if r := acme.leaves(); len(r) == 0 || !r[len(r)-1].Shown || r[len(r)-1].Device != own.Device {
		t.Errorf("its log tells %+v", r)
	}
	// Whoever it showed something may challenge it once, with whatever that is: it says why it does not open, and goes on.
	for name, body := range hostileChallenges() {
		x.now = x.now.Add(6 * time.Second)
		nonce, heard := bytes.Repeat([]byte{0xcc}, 32), ""
		x.pass = func(f frame) []frame {
			if f.kind == vet.FrameEnrolled && f.from == bolt {
				d := transcript.NewDecoder(f.body)
				_, opened, why := d.Fixed(1, 32), d.Bytes(2, 64), d.String(3, 512)
				if heard = why; len(opened) > 0 {
					t.Errorf("%s: it opens %x", name, opened)
				}
			}
			return nil
		}
		var e transcript.Encoder
		if err := bolt.Take(context.Background(), x.now, x.all[2].id, vet.FrameAsk, x.question(x.all[2], bolt, 0xcc)); err != nil {
			t.Fatal(err)
		}
		if err := bolt.Take(context.Background(), x.now, x.all[2].id, vet.FrameEnrol, e.Bytes(1, nonce).Bytes(2, body).Sum()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if x.run(0); heard == "" {
			t.Errorf("%s: it does not say why it opens nothing", name)
		}
	}
	x.pass = nil
	s.Extend(t, 4, strings.Repeat("ab", 32))
	x.run(fresh*2/3 + time.Second)
	if err := acme.Fit(bolt.id); err == nil || !strings.Contains(err.Error(), "which is none that the charter allows") {
		t.Errorf("after another program was booted: %v", err)
	}
	// Its root, taken out of the charter, vouches for nothing any more.
	demand.Hardware[0].Roots = nil
	x.demands("bolt", demand)
	x.run(10 * time.Second)
	if err := acme.Fit(bolt.id); err == nil || !strings.Contains(err.Error(), "cannot judge what it shows") {
		t.Errorf("without its root: %v", err)
	}
}

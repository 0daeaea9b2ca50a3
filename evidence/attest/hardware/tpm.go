package hardware

import (
	"fmt"

	"github.com/ostraka/ostraka/evidence/attest/tpm"
)

func verifyTPM(evidence []byte, want Want) (Report, error) {
	e, err := tpm.Decode(evidence)
	if err != nil {
		return Report{}, err
	}
	g, err := e.Verify(tpm.Trust{Roots: want.Roots.TPM, Between: want.Roots.Between, Activated: want.Activated, Now: want.Now}, want.Binding)
	if err != nil {
		return Report{}, err
	}
	return reportTPM(g), nil
}

func reportTPM(g *tpm.Genuine) Report {
	r := Report{
		Measurement: g.Text(), Device: fmt.Sprintf("%s:%x", TPM, g.Device), Expires: g.Expires, Shown: g.Shown,
		Facts: []Fact{
			{"maker", g.Maker}, {"model", g.Model}, {"revision", g.Revision}, {"firmware", fmt.Sprintf("%#x", g.Firmware)},
			{"clock", fmt.Sprintf("%d resets=%d restarts=%d safe=%v", g.Clock.Clock, g.Clock.Resets, g.Clock.Restarts, g.Clock.Safe)},
		},
	}
	for _, p := range g.PCRs {
		r.Facts = append(r.Facts, Fact{fmt.Sprintf("pcr %d", p.Index), fmt.Sprintf("%x", p.Value)})
	}
	if !g.Shown {
		r.Notes = append(r.Notes, "that the key which signed lies in this TPM, only the peer saw who challenged it: to others it is that peer's word")
	}
	return r
}

package hardware

import (
	"fmt"

	"github.com/ostraka/ostraka/evidence/attest/nitro"
)

func verifyNitro(evidence []byte, want Want) (Report, error) {
	e, err := nitro.Decode(evidence)
	if err != nil {
		return Report{}, err
	}
	g, err := e.Authenticate(nitro.Trust{Roots: want.Roots.Nitro, Now: want.Now})
	if err != nil {
		return Report{}, err
	}
	if err := g.Judge(want.Binding); err != nil {
		return Report{}, err
	}
	return reportNitro(g), nil
}

func reportNitro(g *nitro.Genuine) Report {
	r := Report{
		Measurement: g.Text(), Device: string(Nitro) + ":" + g.Instance(), AsOf: g.At, Expires: g.Expires, Shown: true,
		Facts: []Fact{{"enclave", g.Module}, {"region", g.Region}, {"debug", "off"}},
	}
	for i := range uint8(32) {
		if value, ok := g.PCRs[i]; ok && value != [48]byte{} {
			r.Facts = append(r.Facts, Fact{fmt.Sprintf("pcr %d", i), fmt.Sprintf("%x", value)})
		}
	}
	return r
}

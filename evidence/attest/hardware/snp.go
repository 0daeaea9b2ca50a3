package hardware

import (
	"fmt"

	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
)

func verifySNP(evidence []byte, want Want) (Report, error) {
	e, err := sevsnp.Decode(evidence)
	if err != nil {
		return Report{}, err
	}
	g, err := e.Authenticate(sevsnp.Trust{Roots: want.Roots.SNP, Withdrawn: want.Collateral.SNP, Now: want.Now})
	if err != nil {
		return Report{}, err
	}
	if err := g.Judge(want.Binding, want.Floor.SNP); err != nil {
		return Report{}, err
	}
	return reportSNP(g), nil
}

func reportSNP(g *sevsnp.Genuine) Report {
	signer := g.Signer.String()
	if g.Cloud != "" {
		signer += " of " + g.Cloud
	}
	r := Report{
		Measurement: g.Text(), Device: fmt.Sprintf("%s:%x", SNP, g.ChipID), Expires: g.Expires, Shown: true,
		Facts: []Fact{
			{"processor", g.Product}, {"signer", signer}, {"report version", fmt.Sprint(g.Version)}, {"vmpl", fmt.Sprint(g.VMPL)}, {"debug", "off"},
			{"migration agent", "none"}, {"policy", fmt.Sprintf("%#x", g.Policy)}, {"policy demands", g.Guards()}, {"guest svn", fmt.Sprint(g.GuestSVN)},
			{"tcb reported", g.Reported.String()}, {"tcb committed", g.Committed.String()}, {"tcb current", g.Current.String()}, {"tcb at launch", g.Launch.String()},
			{"platform", fmt.Sprintf("%#x", g.PlatformInfo)}, {"host data", fmt.Sprintf("%x", g.HostData)}, {"id key", fmt.Sprintf("%x", g.IDKey)},
			{"author key", fmt.Sprintf("%x", g.AuthorKey)},
		},
	}
	if g.ChipID == [64]byte{} {
		r.Device = "" // the host masked it
	}
	switch {
	case !g.Looked:
		r.Notes = append(r.Notes, "nobody looked whether AMD has withdrawn the certificates: no list of withdrawn ones was given")
	case !g.Held:
		r.Notes = append(r.Notes, "whether AMD has withdrawn the certificates says a list that came with the evidence, perhaps an older one: the reader held none")
	}
	return r
}

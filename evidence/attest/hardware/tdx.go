package hardware

import (
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/pki"
	"github.com/ostraka/ostraka/evidence/attest/tdx"
)

func verifyTDX(evidence []byte, want Want) (Report, error) {
	e, err := tdx.Decode(evidence)
	if err != nil {
		return Report{}, err
	}
	trust := tdx.Trust{Roots: want.Roots.TDX, Now: want.Now}
	g, err := e.Authenticate(trust)
	if err != nil {
		return Report{}, err
	}
	v, err := g.Evaluate(&e.Collateral, trust)
	if err != nil {
		return Report{}, err
	}
	held, err := g.Held(want.Collateral.TDX, trust)
	if err != nil {
		return Report{}, err
	}
	// By each of them: the evidence's own word may be an older one, and its bearer chose it.
	for _, one := range append(held, v) {
		if err := g.Judge(one, want.Binding, want.Floor.TDX); err != nil {
			return Report{}, err
		}
		one.Expires = pki.Sooner(one.Expires, v.Expires)
	}
	if len(held) > 0 {
		v = held[0]
	}
	r := reportTDX(g, v)
	if len(held) == 0 {
		r.Notes = append(r.Notes, "Intel's word on the platform came with the evidence, perhaps an older one that still holds: the reader held none")
	}
	return r, nil
}

func reportTDX(g *tdx.Genuine, v *tdx.Evaluation) Report {
	r := Report{Measurement: g.Text(), Device: fmt.Sprintf("%s:%x", TDX, g.Platform.ID), Expires: v.Expires, Shown: true}
	add := func(name, format string, values ...any) {
		r.Facts = append(r.Facts, Fact{name, fmt.Sprintf(format, values...)})
	}
	for _, one := range v.Verdicts {
		add("tcb of "+one.Part, "%s %s %s", one.Status, one.Date.UTC().Format(time.DateOnly), strings.Join(one.Advisories, " "))
	}
	add("tcb evaluation", "%d", v.Number)
	add("debug", "off")
	add("migration", "off")
	add("attributes", "%#x", g.Attributes)
	add("xfam", "%x", g.XFAM)
	add("tee tcb svn", "%x", g.TCB)
	if g.TCBNow != [16]byte{} {
		add("tee tcb svn now", "%x", g.TCBNow)
	}
	add("module", "%x", g.Module)
	add("platform", "%x", g.Platform.Family)
	add("mrtd", "%x", g.MRTD)
	for i, x := range g.RTMR {
		add(fmt.Sprintf("rtmr %d", i), "%x", x)
	}
	add("config id", "%x", g.ConfigID)
	add("owner", "%x", g.Owner)
	add("owner config", "%x", g.OwnerConfig)
	if g.Exceptions() {
		r.Notes = append(r.Notes, "the host can cause exceptions in the guest (SEPT_VE_DISABLE is off): the guest's kernel must defend itself")
	}
	return r
}

package review

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
)

func TestNotesOnAttestation(t *testing.T) {
	demand := func(operator, kind string) charter.Demand {
		return charter.Demand{Operator: operator, Fresh: charter.DefaultFresh, Hardware: []charter.Hardware{{Kind: kind, Measurements: []charter.Measurement{{Name: "r1", Value: kind}}}}}
	}
	base := read(t, start(t), nil)
	vendor := base.Operators[0].Places[0].Hardware
	for name, c := range map[string]struct {
		change func(d *charter.Document)
		want   string
		not    string
	}{
		"nothing is demanded": {func(*charter.Document) {}, "", "attest"},
		"of one of three, who all sign": {func(d *charter.Document) {
			d.Demands = []charter.Demand{demand("acme", charter.KindTPM)}
		}, "", "attest"},
		"of one of three, where two sign": {func(d *charter.Document) {
			d.Vaults[0].Threshold, d.Vaults[0].Rescue = 2, nil
			d.Demands = []charter.Demand{demand("acme", charter.KindTPM)}
		}, "attest: bolt, cora need show nothing, and 2 of them sign alone", ""},
		"another maker's machine": {func(d *charter.Document) {
			d.Operators[0].Places[0].Hardware = "Supermicro, Intel"
			d.Demands = []charter.Demand{demand("acme", charter.KindSEVSNP)}
		}, "attest: operator acme must show sev-snp, and its place main has hardware of Supermicro, Intel", ""},
		"PCRs of no boot": {func(d *charter.Document) {
			x := demand("acme", charter.KindTPM)
			x.Hardware[0].Measurements[0].Value = "tpm2:11,16:" + strings.Repeat("01", 32)
			d.Demands = []charter.Demand{x}
		}, "attest: measurement r1 of operator acme lists none of the PCRs 0 to 7", ""},
		"PCRs of a boot": {func(d *charter.Document) {
			x := demand("acme", charter.KindTPM)
			x.Hardware[0].Measurements[0].Value = "tpm2:7,11:" + strings.Repeat("01", 32)
			d.Demands = []charter.Demand{x}
		}, "", "PCRs 0 to 7"},
		"the maker's machine": {func(d *charter.Document) {
			d.Operators[0].Places[0].Hardware = "AMD EPYC"
			d.Demands = []charter.Demand{demand("acme", charter.KindSEVSNP)}
		}, "", "must show"},
	} {
		d := read(t, start(t), nil)
		c.change(&d)
		v, err := one(d, d.Vaults[0])
		d.Operators[0].Places[0].Hardware = vendor
		if text := fmt.Sprint(v.Notes); err != nil || !strings.Contains(text, c.want) || c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("%s: %s, %v; want %q", name, text, err, c.want)
		}
	}
}

package charter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var attestPart = regexp.MustCompile(`MEASURED ([a-z0-9-]+) (..)`).ReplaceAllStringFunc(`
attest:
  - operator: bolt
    hardware:
      - kind: tpm2
        measurements:
          - name: r2
            value: "MEASURED tpm2 02"
          - name: r1
            value: "MEASURED tpm2 01"
        roots: ["0101010101010101010101010101010101010101010101010101010101010101", "0001010101010101010101010101010101010101010101010101010101010101"]
      - kind: sev-snp
        floor: "snp 8"
        measurements: [{name: r1, value: "MEASURED sev-snp 03"}]
  - operator: acme
    fresh: 3600
    hardware: [{kind: tdx, measurements: [{name: r1, value: "MEASURED tdx 04"}]}]
`, func(text string) string {
	words := strings.Fields(text)
	return measured(words[1], words[2])
})

// measured is a measurement of a kind, of two digits again and again.
func measured(kind, digits string) string {
	text := kind
	if kind == KindTPM {
		text += ":0,4,7"
	}
	for _, n := range forms[kind] {
		text += ":" + strings.Repeat(digits, n/2)
	}
	return text
}

func demanding(t testing.TB, part string) (Document, error) {
	return ReadDocument([]byte(strings.Replace(started(t), "\ncontrol:", part+"\ncontrol:", 1)), []byte(StartPolicy))
}

func TestDemandsOfAFile(t *testing.T) {
	d, err := demanding(t, attestPart)
	if err != nil {
		t.Fatal(err)
	}
	x, ok := d.Demand("bolt")
	if !ok || x.Fresh != DefaultFresh || len(x.Hardware) != 2 || x.Hardware[0].Kind != KindSEVSNP || x.Hardware[0].Floor != "snp 8" {
		t.Fatalf("bolt: %+v", x)
	}
	tpm, ok := x.Of(KindTPM)
	if !ok || tpm.Named(measured(KindTPM, "01")) != "r1" || tpm.Named(measured(KindTPM, "02")) != "r2" || tpm.Named(measured(KindTPM, "03")) != "" || tpm.Roots[0][0] != 0 || tpm.Roots[1][0] != 1 {
		t.Errorf("tpm2: %+v", tpm)
	}
	if y, ok := d.Demand("acme"); !ok || y.Fresh != time.Hour || y.Hash() == x.Hash() {
		t.Errorf("acme: %+v", y)
	}
	if _, ok := d.Demand("cora"); ok {
		t.Error("cora must show nothing, and is said to")
	}
	if _, ok := x.Of(KindNitro); ok {
		t.Error("a kind that nobody allowed")
	}
	rereads(t, d)
	if strings.Contains(must(demanding(t, ""))(t).File(), "attest") {
		t.Error("a charter that demands nothing speaks of it")
	}
}

func TestDemandsRefused(t *testing.T) {
	digits := strings.Repeat("01", 32)
	for name, c := range map[string]struct{ from, to, want string }{
		"a stranger":                {"operator: acme", "operator: dana", "attest: operator dana: it is no operator"},
		"an operator twice":         {"operator: acme", "operator: bolt", "attest: bolt stands twice"},
		"fresh for minutes":         {"fresh: 3600", "fresh: 3599", "fresh: 59m59s is not whole seconds from 1 hour"},
		"fresh for months":          {"fresh: 3600", "fresh: 2592001", "fresh: 720h0m1s is not"},
		"no hardware":               {`hardware: [{kind: tdx, measurements: [{name: r1, value: "` + measured(KindTDX, "04") + `"}]}]`, "hardware: []", "hardware: none is listed"},
		"unknown hardware":          {"kind: tdx", "kind: sgx", "kind: \"sgx\" is not nitro, sev-snp, tdx or tpm2"},
		"a kind twice":              {"kind: sev-snp", "kind: tpm2", "tpm2 stands twice"},
		"no measurement":            {`[{name: r1, value: "` + measured(KindTDX, "04") + `"}]`, "[]", "measurements: 0 are listed"},
		"many measurements":         {`[{name: r1, value: "` + measured(KindTDX, "04") + `"}]`, "[" + strings.Repeat(`{name: r1, value: "x"}, `, 17) + "]", "measurements: 17 are listed"},
		"a measurement's name":      {"name: r2", "name: R2", "measurement R2"},
		"a name twice":              {"name: r2", "name: r1", "r1 stands twice"},
		"a value twice":             {measured(KindTPM, "02"), measured(KindTPM, "01"), "measurement r2: it is r1 by another name"},
		"no value":                  {measured(KindTPM, "02"), "", `measurement r2: value: "" is none of tpm2`},
		"another kind's value":      {measured(KindTPM, "02"), measured(KindSEVSNP, "02"), "is none of tpm2"},
		"a value of capitals":       {measured(KindTDX, "04"), measured(KindTDX, "0A"), "is none of tdx"},
		"half a value":              {measured(KindTDX, "04"), measured(KindTDX, "04")[:100], "is none of tdx"},
		"PCRs in disorder":          {"tpm2:0,4,7:", "tpm2:0,7,4:", "is none of tpm2"},
		"a PCR that no TPM has":     {"tpm2:0,4,7:", "tpm2:0,4,24:", "is none of tpm2"},
		"a PCR in two forms":        {"tpm2:0,4,7:", "tpm2:0,04,7:", "is none of tpm2"},
		"PCRs that anybody resets":  {"tpm2:0,4,7:", "tpm2:16,23:", "can be reset by any program"},
		"one that anybody resets":   {"tpm2:0,4,7:", "tpm2:23:", "can be reset by any program"},
		"no PCR":                    {"tpm2:0,4,7:", "tpm2::", "is none of tpm2"},
		"a short root":              {`"` + digits, `"` + digits[:62], "is not SHA-256 of a certificate"},
		"a root in capitals":        {`"` + digits, `"` + strings.Repeat("0A", 32), "is not SHA-256 of a certificate"},
		"a root twice":              {"0001", "0101", "roots: " + digits + " stands twice"},
		"many roots":                {`"` + digits + `"`, `"` + digits + `"` + strings.Repeat(`, "`+digits+`"`, 8), "roots: 10 are listed"},
		"a field that nobody knows": {"fresh: 3600", "fresh: 3600\n    debug: true", "unknown field"},
	} {
		part := strings.Replace(attestPart, c.from, c.to, 1)
		if part == attestPart {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := demanding(t, part); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What may run becomes less at once, and more only after the delay; what can halt a node is said.
func TestDemandsChange(t *testing.T) {
	base, err := demanding(t, attestPart)
	if err != nil {
		t.Fatal(err)
	}
	any := func(string) bool { return true }
	tpm := func(d *Document) *Hardware { return &d.Demands[1].Hardware[1] }
	for name, c := range map[string]struct {
		change             func(d *Document)
		want               string
		looser, back, halt bool
	}{
		"a demand goes":    {func(d *Document) { d.Demands = d.Demands[1:] }, "attest acme: removed fresh for 1h0m0s, tdx (measurement r1 tdx:0404", true, false, false},
		"fresh for longer": {func(d *Document) { d.Demands[0].Fresh = 2 * time.Hour }, "attest acme: fresh: 1h0m0s → 2h0m0s", true, false, false},
		"a measurement comes": {func(d *Document) {
			tpm(d).Measurements = append(tpm(d).Measurements, Measurement{"r3", measured(KindTPM, "05")})
		}, "attest bolt: tpm2: measurement r3: added tpm2:0,4,7:05", true, false, false},
		"a measurement moves":  {func(d *Document) { tpm(d).Measurements[0].Value = measured(KindTPM, "06") }, "attest bolt: tpm2: measurement r1: tpm2:0,4,7:01", true, true, false},
		"a measurement goes":   {func(d *Document) { tpm(d).Measurements = tpm(d).Measurements[1:] }, "stricter: attest bolt: tpm2: measurement r1: removed tpm2:0,4,7:01", false, true, true},
		"a kind goes":          {func(d *Document) { d.Demands[1].Hardware = d.Demands[1].Hardware[1:] }, "stricter: attest bolt: sev-snp: removed", false, true, true},
		"a root goes":          {func(d *Document) { tpm(d).Roots = tpm(d).Roots[1:] }, "stricter: attest bolt: tpm2: root: removed 0001", false, true, true},
		"a floor goes":         {func(d *Document) { d.Demands[1].Hardware[0].Floor = "" }, "looser: attest bolt: sev-snp: floor: removed", true, false, false},
		"a floor moves":        {func(d *Document) { d.Demands[1].Hardware[0].Floor = "snp 9" }, "looser: attest bolt: sev-snp: floor", true, true, false},
		"a status is borne":    {func(d *Document) { d.Demands[0].Hardware[0].Floor = "OutOfDate" }, "looser: attest acme: tdx: floor: added OutOfDate", true, false, false},
		"all is demanded anew": {func(d *Document) { d.Demands = nil }, "attest bolt: removed", true, false, false},
	} {
		is := base
		is.Demands = nil
		for _, x := range base.Demands {
			x.Hardware = slices.Clone(x.Hardware)
			for i := range x.Hardware {
				x.Hardware[i].Measurements = slices.Clone(x.Hardware[i].Measurements)
			}
			is.Demands = append(is.Demands, x)
		}
		c.change(&is)
		there, back := base.Diff(is, Removals{any, any}), is.Diff(base, Removals{any, any})
		if !strings.Contains(fmt.Sprint(there), c.want) || there[0].Looser != c.looser || back[0].Looser != c.back || there[0].Halts != c.halt {
			t.Errorf("%s: %v; back: %v", name, there, back)
		}
		if wait := Wait(base, there); (wait == base.Delay) != c.looser {
			t.Errorf("%s: it waits for %s", name, wait)
		}
		if halts := strings.Contains(there[0].String(), "hold no session"); halts != c.halt {
			t.Errorf("%s: that nodes may halt is told: %v", name, halts)
		}
		if c.looser && !c.back && !back[0].Halts && name != "fresh for longer" {
			t.Errorf("%s, back: that nodes may halt is not told", name)
		}
	}
}

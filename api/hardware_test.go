package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/node"
)

// An operator learns from doctor what a charter lists of its machine, or why that cannot be told and what to fetch; without such hardware it reads nothing.
func TestCheckHardware(t *testing.T) {
	lacks := errors.New("there is no root to judge it by")
	tpm, amd := node.Settings{TPM: &node.TPM{}}, node.Settings{Attest: &node.AttestSettings{Kind: "sev-snp"}}
	for name, c := range map[string]struct {
		own         judge.Own
		err         error
		settings    node.Settings
		state, says string
	}{
		"a TPM with a root":       {judge.Own{Measurement: "tpm2:0:aa", Device: "d1", Root: "c0ffee"}, nil, tpm, "ok", "shows tpm2:0:aa on d1, root c0ffee"},
		"a TPM without":           {judge.Own{}, lacks, tpm, "warn", "cannot be judged here: there is no root to judge it by; next: put its maker's root and the CA between"},
		"a kind with a root here": {judge.Own{Measurement: "sev-snp:aa", Device: "d2"}, nil, amd, "ok", "shows sev-snp:aa on d2: what a charter"},
		"of that kind, broken":    {judge.Own{}, lacks, amd, "warn", "cannot be judged here"},
		"no hardware":             {judge.Own{}, lacks, node.Settings{Attest: &node.AttestSettings{Roots: "makers.pem"}}, "", ""},
	} {
		var state, text string
		checkHardware(c.own, c.err, c.settings, func(name, s, what, next string) { state, text = s, what+"; next: "+next })
		if state != c.state || !strings.Contains(text, c.says) {
			t.Errorf("%s: %q %q, want %q %q", name, state, text, c.state, c.says)
		}
	}
}

package api

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/node/vet"
)

// Evidence that counts is never shown as better than it is: what this node did not look at stands beside it, and what its operator can do.
func TestDoctorSaysWhatWasNotLookedAt(t *testing.T) {
	for name, c := range map[string]struct {
		kind, notes  string
		holds        bool
		status, text string
	}{
		"all was looked at":        {charter.KindSEVSNP, "", true, "ok", "until"},
		"no list":                  {charter.KindSEVSNP, "nobody looked", false, "warn", "; nobody looked"},
		"no word of our own":       {charter.KindTDX, "Intel's word came with the evidence", false, "warn", "; Intel's word came"},
		"none of this line":        {charter.KindSEVSNP, "nobody looked", true, "ok", "; nobody looked"},
		"something else, of a TPM": {charter.KindTPM, "a note", false, "ok", "; a note"},
	} {
		s := vet.Status{Operator: "bolt", Demanded: true, Record: &vetted.Record{Kind: c.kind, Name: "r1", Device: "x", Notes: c.notes}}
		checkAttestOf(s, c.holds, func(row, status, text, fix string) {
			if row != "attest bolt" || status != c.status || !strings.Contains(text, c.text) || (status == "warn") != strings.Contains(fix, "(attest, lists)") {
				t.Errorf("%s: %s %s %q %q", name, row, status, text, fix)
			}
		})
	}
}

package main

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
)

// Every line has a cell for each of the header, whatever stands in them, and none begins as a formula does.
func TestReportCells(t *testing.T) {
	for memo, want := range map[string]string{
		`rent`: `rent`, `=HYPERLINK("http://x","y")`: `'=HYPERLINK("http://x","y")`, "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1",
		"a,b": "a,b", `say "x"`: `say "x"`, "a\nb": "a\nb", "": "", "'x": "'x", "ünd =1": "ünd =1",
	} {
		var b bytes.Buffer
		if err := writeReport(&b, []paymentDocument{{Memo: memo, Initiator: memo, Labels: []string{"a", "b"}, Block: 7}}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(b.String(), "\r\n") || strings.Count(b.String(), "\r\n") < 2 {
			t.Errorf("lines do not end as RFC 4180 has it: %q", b.String())
		}
		all, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(all) != 2 || len(all[0]) != len(all[1]) {
			t.Fatalf("%q: %v, %v", memo, all, err)
		}
		for i, name := range all[0] {
			got := all[1][i]
			if (name == "memo" || name == "initiator") && got != want || name == "labels" && got != "a b" || name == "block" && got != "7" {
				t.Errorf("%q: %s is %q", memo, name, got)
			}
		}
	}
}

func TestReportOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := writeReport(&b, nil); err != nil || b.String() != strings.Join(reportHeader, ",")+"\r\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-01 2026-11-30":                     "2026-11-01T00:00:00Z 2026-12-01T00:00:00Z",
		"2026-11-01T10:00:00Z 2026-11-01T11:00:00Z": "2026-11-01T10:00:00Z 2026-11-01T11:00:00Z",
		"2026-11-01 2026-11-01":                     "2026-11-01T00:00:00Z 2026-11-02T00:00:00Z",
		"2026-11-02 2026-11-01":                     "",
		"2026-11-31 2026-12-01":                     "",
		"2026-11-01 tomorrow":                       "",
	} {
		from, to, _ := strings.Cut(text, " ")
		a, b, err := span{from, to, "to"}.times()
		if (err != nil) != (want == "") || err == nil && timeOrNone(a)+" "+timeOrNone(b) != want {
			t.Errorf("%s: %s %s, %v", text, a, b, err)
		}
	}
}

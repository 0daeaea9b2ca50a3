package notify

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// rescue adds what nodes say of a vault's SOS: what each lacks ("": nothing, "-": it does not show it), and the state of a request at each.
func rescue(lacks, states []string) func(*Shown) {
	return func(s *Shown) {
		r := Rescue{Vault: "treasury", VaultID: "v1", Missing: map[string][]Lack{}}
		for i, what := range lacks {
			switch what {
			case "-":
			case "":
				r.Missing[s.Nodes[i].Name] = []Lack{}
			default:
				r.Missing[s.Nodes[i].Name] = []Lack{{What: what, Do: "do it\x1b", Late: strings.HasPrefix(what, "drill")}}
			}
		}
		if states != nil {
			q := RescueRequest{ID: "r1", Trigger: "silence", Subjects: []string{"cora"}, Reason: "gone", Says: map[string]string{}}
			for i, state := range states {
				if state != "-" {
					q.Says[s.Nodes[i].Name] = state
				}
			}
			r.Requests = append(r.Requests, q)
		}
		s.Rescues = append(s.Rescues, r)
	}
}

func TestRescues(t *testing.T) {
	known, now := NewKnown(), t0
	ready := []string{"", "", ""}
	for _, step := range []struct {
		name  string
		shown Shown
		want  []string
	}{
		{"first, all well", circle(rescue(ready, nil)), nil},
		{"one alone says not", circle(rescue([]string{"no mask", "", ""}, nil)), nil},
		{"two say not", circle(rescue([]string{"no mask", "no mask", ""}, nil)), []string{SOSNotReady}},
		{"still", circle(rescue([]string{"no mask", "no mask", ""}, nil)), nil},
		{"one that does not count takes nothing back", circle(rescue([]string{"no mask", "", ""}, nil), away("bolt", NodeFailing)), nil},
		{"a drill besides", circle(rescue([]string{"drill of gail", "drill of gail", "no mask"}, nil)), []string{SOSDrill}},
		{"the same", circle(rescue([]string{"drill of gail", "drill of gail", "no mask"}, nil)), nil},
		{"another's", circle(rescue([]string{"drill of gene", "drill of gene", "no mask"}, nil)), []string{SOSDrill}},
		{"well again", circle(rescue(ready, nil)), []string{SOSReady}},
		{"one node shows a declaration", circle(rescue(ready, []string{"declared", "-", "-"})), []string{SOSStep}},
		{"the others too", circle(rescue(ready, []string{"declared", "declared", "contest"})), []string{SOSStep}},
		{"from one that does not count", circle(rescue(ready, []string{"contest", "contest", "active"}), away("cora", NodeFailing)), nil},
		{"active", circle(rescue(ready, []string{"contest", "active", "active"})), []string{SOSStep}},
		{"vetoed", circle(rescue(ready, []string{"vetoed", "vetoed", "vetoed"})), []string{SOSStep}},
		{"no node shows it", circle(rescue(ready, nil)), nil},
	} {
		now = now.Add(time.Minute)
		var out []Event
		known, out = Derive(known, step.shown, now, time.Hour)
		var got []string
		for _, e := range out {
			if strings.HasPrefix(e.Type, "sos.") {
				got = append(got, e.Type)
				if e.Vault != "treasury" || strings.Contains(e.Title(), "\x1b") || !strings.Contains(e.Title(), "treasury") {
					t.Errorf("%s: %q of vault %q", step.name, e.Title(), e.Vault)
				}
			}
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, not %v", step.name, got, step.want)
		}
	}
	if len(known.SOS["v1"].Steps) != 0 {
		t.Error("what no node shows is kept for ever")
	}
	_, out := Derive(NewKnown(), circle(rescue([]string{"no mask", "no mask", "no mask"}, []string{"contest", "vetoed", "-"})), t0, time.Hour)
	if len(out) != 2 || out[0].Type != SOSNotReady || out[1].Type != SOSStep {
		t.Errorf("at the first look: %v", out)
	}
}

package verdict

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
)

// A Difference is one way in which two reports differ, with all that differs so.
type Difference struct {
	Title string   `json:"title"`
	Items []string `json:"items"`
}

// Differences says in words where a report that somebody published differs from one's own of the same files. What follows from when each
// was made, and from where it read the logs, is no difference. Paths are the logs' within the bundle.
func Differences(published, own *verify.Report, paths []string) (out []Difference) {
	theirs, mine := timeless(published, paths), timeless(own, paths)
	add := func(title string, items []string) {
		if len(items) > 0 {
			out = append(out, Difference{title, items})
		}
	}
	add("Your browser found, and the publisher does not say", lacks(mine.Claims, theirs.Claims, true))
	add("The publisher says, and your browser did not find", lacks(theirs.Claims, mine.Claims, true))
	add("The publisher claims, and your browser does not", lacks(theirs.Claims, mine.Claims, false))
	add("Your browser finds true, and the publisher leaves out", lacks(mine.Claims, theirs.Claims, false))
	add("Both reports differ in", parts(theirs, mine))
	return out
}

// lacks are the claims of one list that another lacks: those that do not hold, or those that do.
func lacks(all, other []verify.Claim, failed bool) (out []string) {
	for _, c := range all {
		switch {
		case (c.Failed != "") != failed || slices.Contains(other, c):
		case failed:
			out = append(out, Failure(c))
		default:
			out = append(out, sentence(c.Subject+": "+c.Claim))
		}
	}
	return out
}

// timeless is a report without what depends on when and where it was made.
func timeless(r *verify.Report, paths []string) verify.Report {
	out := *r
	out.Time, out.Attention, out.Lagging, out.Signatures = time.Time{}, nil, nil, 0
	out.Operators = slices.Clone(r.Operators)
	for i := range out.Operators {
		o := &out.Operators[i]
		o.Silent = false
		o.Release = "" // each knows the releases that it knows
		o.Places = slices.Clone(o.Places)
		for j := range o.Places {
			o.Places[j].Class, o.Places[j].Attested = "", nil // and holds the keys that it holds
		}
	}
	out.Vaults = slices.Clone(r.Vaults)
	for i := range out.Vaults {
		v := &out.Vaults[i]
		v.Control = slices.Clone(v.Control)
		for j := range v.Control {
			v.Control[j].Attested = nil
		}
		v.Coverage = slices.Clone(v.Coverage)
		for j := range v.Coverage { // a browser checks as many encryptions as it can
			c := &v.Coverage[j]
			c.Class, c.Unchecked, c.Masks = "", "", nil
		}
	}
	out.Logs = slices.Clone(r.Logs)
	for i := range out.Logs {
		out.Logs[i].Source = within(out.Logs[i].Source, paths)
		out.Logs[i].Root = [32]byte{} // RootText says it
		out.Logs[i].Copies = nil
	}
	out.Claims = slices.DeleteFunc(slices.Clone(r.Claims), ofEvidence)
	for i := range out.Claims {
		c := &out.Claims[i]
		c.Subject, c.Failed = within(c.Subject, paths), within(c.Failed, paths)
		if c.Class == verify.Declared && strings.HasPrefix(c.Claim, "it runs ") {
			c.Basis = "" // names a release, if one is known
		}
	}
	return out
}

// ofEvidence says whether a claim that holds rests on evidence of places, which only those judge who hold keys for it, or on second sharings, of which a browser
// checks as many as it can. One that does not hold is told
// by whoever finds it.
func ofEvidence(c verify.Claim) bool {
	return c.Failed == "" && (strings.HasPrefix(c.Subject, verify.PlaceSubject) || strings.HasPrefix(c.Claim, verify.AsAttested) || strings.HasPrefix(c.Claim, verify.SecondSharing))
}

// Evidence says how the page must mark what a publisher's report says of places, "" if one's own says the same of them.
func Evidence(published, own *verify.Report) string {
	of := func(r *verify.Report) (out []any) {
		for _, o := range r.Operators {
			for _, p := range o.Places {
				out = append(out, p.Class, p.Attested)
			}
		}
		for _, v := range r.Vaults {
			for _, f := range v.Control {
				out = append(out, f.Attested)
			}
		}
		return out
	}
	if same(of(published), of(own)) {
		return ""
	}
	return "what is attested is the publisher's word: your browser holds no keys for it"
}

// within cuts what stands before a log's path in the bundle: "https://example.org/logs/acme/keys" is "logs/acme/keys".
func within(s string, paths []string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		for _, p := range paths {
			if at := strings.Index(w+"/", "/"+p+"/"); at >= 0 {
				words[i] = w[at+1:]
			}
		}
	}
	return strings.Join(words, " ")
}

// parts compares the rest of the report, part by part.
func parts(theirs, mine verify.Report) (out []string) {
	for _, p := range []struct {
		name string
		a, b any
	}{
		{"which circle it is", [2]any{theirs.Circle, theirs.CircleID}, [2]any{mine.Circle, mine.CircleID}},
		{"whether it is a drill", theirs.Drill, mine.Drill},
		{"the operators, and where their shares lie", theirs.Operators, mine.Operators},
		{"the charter and its history", theirs.Charter, mine.Charter},
		{"the vaults, and what they signed", theirs.Vaults, mine.Vaults},
		{"the logs and who cosigned them", theirs.Logs, mine.Logs},
		{"the alarms", theirs.Alarms, mine.Alarms},
		{"how much is in the logs", [2]int{theirs.Entries, theirs.Withheld}, [2]int{mine.Entries, mine.Withheld}},
	} {
		if !same(p.a, p.b) {
			out = append(out, p.name)
		}
	}
	return out
}

// same compares as JSON has it: an empty list is no list.
func same(a, b any) bool {
	return reflect.DeepEqual(plain(a), plain(b))
}

func plain(x any) any {
	raw, err := json.Marshal(x)
	if err != nil {
		return err
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	return pruned(out)
}

func pruned(x any) any {
	switch x := x.(type) {
	case []any:
		if len(x) == 0 {
			return nil
		}
		for i := range x {
			x[i] = pruned(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = pruned(x[k])
		}
	}
	return x
}

// Sources are the paths of a bundle's logs, for Differences.
func Sources(b verify.Bundle) (paths []string) {
	for _, l := range b.Logs {
		paths = append(paths, l.Path)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return paths
}

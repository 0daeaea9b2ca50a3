package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

const patience = 5 * time.Minute

// circle is what three honest nodes show of nothing; change may alter it.
func circle(change ...func(*Shown)) Shown {
	s := Shown{Circle: "test", Whole: true, Nodes: []Node{{Name: "acme"}, {Name: "bolt"}, {Name: "cora"}}, Vaults: map[string]string{"v1": "treasury"}}
	for _, f := range change {
		f(&s)
	}
	return s
}

// shows adds an intent that waits, in the state that each node says ("-": it does not show it).
func shows(id, states string, change ...func(*Intent)) func(*Shown) {
	return func(s *Shown) {
		i := Intent{
			IntentData: IntentData{ID: id, Vault: "treasury", VaultID: "v1", Approvals: Approvals{Approved: []string{}, Rejected: []string{}, Awaited: []string{"bob"}, Rules: []Need{}, Missing: 1}},
			Expires:    t0.Add(24 * time.Hour), Waits: true, Says: map[string]string{},
		}
		for n, state := range strings.Fields(states) {
			if state != "-" {
				i.Says[s.Nodes[n].Name] = state
			}
		}
		for _, f := range change {
			f(&i)
		}
		s.Intents = append(s.Intents, i)
	}
}

func signed(i *Intent)   { i.Hash, i.Decided, i.Waits = "0xabc", t0.Add(time.Minute), false }
func complete(i *Intent) { i.Waits = false }

// away marks a node as not counting.
func away(name, kind string) func(*Shown) {
	return func(s *Shown) {
		for n := range s.Nodes {
			if s.Nodes[n].Name == name {
				s.Nodes[n].Kind, s.Nodes[n].Reason = kind, "because\nof that"
			}
		}
	}
}

func enacted(versions ...uint64) func(*Shown) {
	return func(s *Shown) {
		for _, v := range versions {
			s.Enacted = append(s.Enacted, Version{ID: fmt.Sprintf("c%d", v), Version: v})
		}
	}
}

func waits(id string, version uint64, signed, missing, vetoed, due string) func(*Shown) {
	return func(s *Shown) {
		p := Pending{Version: Version{ID: id, Version: version}, Signed: strings.Fields(signed), Missing: strings.Fields(missing), Vetoed: strings.Fields(vetoed), Due: map[string]time.Time{}}
		for n, at := range strings.Fields(due) {
			p.Due[s.Nodes[n].Name] = time.Time{}
			if at == "due" {
				p.Due[s.Nodes[n].Name] = t0.Add(time.Hour)
			}
		}
		s.Pending = append(s.Pending, p)
	}
}

func frozen(by, nodes string) func(*Shown) {
	return func(s *Shown) {
		s.Freezes = append(s.Freezes, Freeze{Vault: "treasury", VaultID: "v1", Operator: by, Expires: "2026-10-04T12:00:00Z", Nodes: strings.Fields(nodes)})
	}
}

func differ(what string) func(*Shown) {
	return func(s *Shown) {
		s.Apart = append(s.Apart, Apart{What: what, Groups: [][]string{{"acme"}, {"bolt"}}, Shown: []string{"1", "2"}})
	}
}

func blind(s *Shown) { s.Whole = false }

func alarm(operator, text string) func(*Intent) {
	return func(i *Intent) { i.Alarms = append(i.Alarms, Alarm{operator, text}) }
}

func revokes(who string) func(*Shown) {
	return func(s *Shown) { s.Revoked = append(s.Revoked, Revoked{Person: who, Key: "SHA256:x"}) }
}

// Each row is a story: what the nodes show at one look after the other, a minute apart, and what is told at each.
func TestDerive(t *testing.T) {
	type look struct {
		shown Shown
		want  string
	}
	nothing := look{circle(), ""}
	for name, story := range map[string][]look{
		"an intent lives": {nothing,
			{circle(shows("i1", "proposed proposed proposed")), "intent.waiting/i1"},
			{circle(shows("i1", "approving approving approving")), ""},
			{circle(shows("i1", "allowed allowed allowed", complete)), ""},
			{circle(shows("i1", "signed signed signed", signed)), "intent.signed/i1"},
			{circle(shows("i1", "final final final", signed)), ""}},
		"it is denied":                     {nothing, {circle(shows("i1", "denied denied denied")), "intent.denied/i1"}},
		"it expires":                       {nothing, {circle(shows("i1", "expired expired approving")), "intent.expired/i1"}},
		"its session fails":                {nothing, {circle(shows("i1", "failed failed failed", complete)), "intent.failed/i1"}},
		"it is cancelled":                  {nothing, {circle(shows("i1", "cancelled cancelled cancelled")), "intent.closed/i1"}},
		"its epoch ends":                   {nothing, {circle(shows("i1", "ended ended approving")), "intent.closed/i1"}},
		"its time is over here":            {nothing, {circle(shows("i1", "approving approving approving", func(i *Intent) { i.Expires = t0 })), ""}},
		"the chain reverts it":             {nothing, {circle(shows("i1", "seen seen seen", signed)), "intent.signed/i1"}, {circle(shows("i1", "failed failed seen", signed)), "intent.failed/i1"}},
		"another takes its nonce":          {nothing, {circle(shows("i1", "replaced replaced seen", signed)), "intent.signed/i1 intent.closed/i1"}},
		"signed, whatever states say":      {nothing, {circle(shows("i1", "denied denied denied", signed)), "intent.signed/i1"}},
		"denied, and signed later":         {nothing, {circle(shows("i1", "denied denied denied")), "intent.denied/i1"}, {circle(shows("i1", "denied denied denied", signed)), "intent.signed/i1"}},
		"one node alone shows it":          {nothing, {circle(shows("i1", "proposed - -")), "intent.waiting/i1"}},
		"an alarm":                         {nothing, {circle(shows("i1", "allowed allowed allowed", complete, alarm("acme", "x"))), "intent.alarm/i1/acme/2d711642b726b044"}, {circle(shows("i1", "allowed allowed allowed", complete, alarm("acme", "x"))), ""}},
		"a version waits":                  {nothing, {circle(enacted(0), waits("p", 1, "acme", "bolt cora", "", "- - -")), "charter.in-force/c0 charter.pending/p/signatures"}, {circle(enacted(0), waits("p", 1, "acme bolt cora", "", "", "due due -")), "charter.pending/p/delay"}, {circle(enacted(0, 1)), "charter.in-force/c1"}},
		"a version is vetoed":              {nothing, {circle(waits("p", 0, "acme", "bolt", "", "-")), "charter.pending/p/signatures"}, {circle(waits("p", 0, "acme", "bolt", "cora", "-")), "charter.vetoed/p"}, {circle(waits("p", 0, "acme", "bolt", "cora", "-")), ""}},
		"two versions since":               {{circle(enacted(0)), ""}, {circle(enacted(0, 1, 2)), "charter.in-force/c1 charter.in-force/c2"}, {circle(enacted(0, 1)), ""}, {circle(enacted(0, 1, 2)), ""}},
		"a freeze, and its end":            {nothing, {circle(frozen("cora", "acme bolt cora")), "vault.frozen/v1/cora 2026-10-04T12:00:00Z"}, {circle(frozen("cora", "acme bolt")), ""}, {circle(), "vault.unfrozen/v1/cora 2026-10-04T12:00:00Z"}, nothing},
		"a second freeze":                  {{circle(frozen("cora", "acme bolt")), "vault.frozen/v1/cora 2026-10-04T12:00:00Z"}, {circle(frozen("cora", "acme bolt"), frozen("acme", "acme bolt")), "vault.frozen/v1/acme 2026-10-04T12:00:00Z"}, {circle(), "vault.unfrozen/v1/acme 2026-10-04T12:00:00Z/cora 2026-10-04T12:00:00Z"}},
		"a key is revoked":                 {nothing, {circle(revokes("bob")), "key.revoked/bob SHA256:x"}, {circle(revokes("bob")), ""}},
		"nodes differ, come and go":        {nothing, {circle(differ("x")), "nodes.differ/x/2026-10-01T12:01:00Z"}, {circle(differ("x"), blind), ""}, {circle(), ""}, {circle(differ("x")), ""}},
		"what cannot be read ends nothing": {{circle(frozen("cora", "acme bolt")), "vault.frozen/v1/cora 2026-10-04T12:00:00Z"}, {circle(blind), ""}},
	} {
		known := NewKnown()
		for n, l := range story {
			var got []Event
			known, got = Derive(known, l.shown, t0.Add(time.Duration(n)*time.Minute), patience)
			if k := keys(got); k != l.want {
				t.Errorf("%s, look %d: told %q, want %q", name, n, k, l.want)
			}
		}
	}
}

func keys(events []Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Key)
	}
	return strings.Join(out, " ")
}

// The first look takes what is over as known, and tells what is open; it waits for more than half of the nodes.
func TestFirstLook(t *testing.T) {
	full := circle(shows("open", "approving approving approving"), shows("done", "final final final", signed), shows("no", "denied denied denied", alarm("acme", "old")),
		shows("odd", "allowed allowed allowed", complete, alarm("acme", "x")),
		enacted(0, 1), waits("p", 2, "acme", "bolt", "", "-"), waits("q", 2, "acme", "bolt", "cora", "-"), frozen("cora", "acme bolt cora"), revokes("bob"))
	known, got := Derive(NewKnown(), full, t0, patience)
	if k := keys(got); k != "intent.waiting/open intent.alarm/odd/acme/2d711642b726b044 charter.pending/p/signatures vault.frozen/v1/cora 2026-10-04T12:00:00Z" {
		t.Errorf("told %q", k)
	}
	if _, got = Derive(known, full, t0.Add(time.Hour), patience); len(got) > 0 {
		t.Errorf("told again: %q", keys(got))
	}
	few := full
	few.Nodes = []Node{{Name: "acme"}, {Name: "bolt", Kind: NodeSilent}, {Name: "cora", Kind: NodeSilent}, {Name: "dora"}}
	if known, got = Derive(NewKnown(), few, t0, patience); len(got) > 0 || !known.Since.IsZero() {
		t.Errorf("half of the nodes: told %q, since %v", keys(got), known.Since)
	}
	// What was over before the first look and is shown only now is history; what ended since is not.
	known, _ = Derive(NewKnown(), circle(), t0, patience)
	late := circle(
		shows("old", "final final final", signed, func(i *Intent) { i.Decided = t0.Add(-time.Minute) }),
		shows("expired", "expired expired expired", func(i *Intent) { i.Expires = t0.Add(-time.Hour) }),
		shows("since", "final final final", signed),
		shows("ran out", "expired expired expired", func(i *Intent) { i.Expires = t0.Add(time.Minute) }))
	if _, got = Derive(known, late, t0.Add(time.Hour), patience); keys(got) != "intent.signed/since intent.expired/ran out" {
		t.Errorf("shown late: told %q", keys(got))
	}
}

// One node that lies makes nothing told that is not so, and keeps nothing back that two others show.
func TestOneLiar(t *testing.T) {
	known, _ := Derive(NewKnown(), circle(enacted(0)), t0, patience)
	for name, c := range map[string]struct {
		shown Shown
		want  string
	}{
		"denied, says one":               {circle(shows("i1", "denied allowed signing", complete)), ""},
		"denied, says the only one":      {circle(shows("i1", "denied - -", complete)), ""},
		"denied, says one of two":        {circle(shows("i1", "denied allowed -", complete)), ""},
		"signed, says one":               {circle(shows("i1", "signed allowed allowed", complete)), ""},
		"signed, say all and none shows": {circle(shows("i1", "signed signed signed", complete)), ""},
		"failed, says one":               {circle(shows("i1", "failed seen seen", signed)), "intent.signed/i1"},
		"replaced, says the only one":    {circle(shows("i1", "replaced - -", signed)), "intent.signed/i1"},
		"one hides that it is denied":    {circle(shows("i1", "denied approving denied")), "intent.denied/i1"},
		"one calls it denied":            {circle(shows("i1", "denied approving approving")), "intent.waiting/i1"},
		"one does not show it":           {circle(shows("i1", "- denied denied")), "intent.denied/i1"},
		"frozen, says one":               {circle(frozen("acme", "acme")), ""},
		"one hides a freeze":             {circle(frozen("acme", "bolt cora")), "vault.frozen/v1/acme 2026-10-04T12:00:00Z"},
		"who does not count says denied": {circle(away("acme", NodeFailing), away("bolt", NodeFailing), shows("i1", "denied denied allowed", complete)), ""},
		"who does not count says frozen": {circle(away("acme", NodeFailing), frozen("acme", "acme bolt")), ""},
		"a draft that nobody signed":     {circle(enacted(0), waits("p", 1, "", "acme bolt cora", "", "-")), ""},
		"due, says one":                  {circle(enacted(0), waits("p", 1, "acme bolt cora", "", "", "due - -")), "charter.pending/p/signatures"},
		"due, and officers are missing":  {circle(enacted(0), waits("p", 1, "acme bolt", "cora", "", "due due due")), "charter.pending/p/signatures"},
		"a version that is over":         {circle(enacted(0), waits("p", 0, "acme", "bolt", "", "-")), ""},
		"fewer versions than were known": {circle(), ""},
	} {
		if _, got := Derive(known, c.shown, t0.Add(time.Minute), patience); keys(got) != c.want {
			t.Errorf("%s: told %q, want %q", name, keys(got), c.want)
		}
	}
	// A freeze ends when most say so.
	known, _ = Derive(known, circle(frozen("acme", "acme bolt cora")), t0, patience)
	for nodes, want := range map[string]string{"acme bolt": "", "acme": "vault.unfrozen/v1/acme 2026-10-04T12:00:00Z"} {
		if _, got := Derive(known, circle(frozen("acme", nodes)), t0, patience); keys(got) != want {
			t.Errorf("%s still show the freeze: told %q, want %q", nodes, keys(got), want)
		}
	}
}

// Who floods fills their own room: what others show is still told.
func TestFloods(t *testing.T) {
	known, _ := Derive(NewKnown(), circle(), t0, patience)
	var noise []func(*Intent)
	for n := range 100 {
		noise = append(noise, alarm("acme", fmt.Sprint(n)))
	}
	noise = append(noise, alarm("bolt", "signed two decisions"), alarm("", "the key was revoked"))
	flood := circle(shows("i1", "allowed allowed allowed", append(noise, complete)...))
	for n := range 100 {
		waits(fmt.Sprint("p", n), 0, "acme", "bolt cora", "", "-")(&flood)
	}
	waits("true", 0, "bolt", "acme cora", "", "-")(&flood)
	known, got := Derive(known, flood, t0, patience)
	if n := len(got); n != maxAlarms+2+maxPending+1 || !strings.Contains(keys(got), "/true/") || !strings.Contains(keys(got), "/i1/bolt/") || !strings.Contains(keys(got), "/i1//") {
		t.Errorf("%d told: %s", n, keys(got))
	}
	if len(known.Pending) != maxPending+1 {
		t.Errorf("%d versions are kept", len(known.Pending))
	}
	if known, _ = Derive(known, circle(enacted(0)), t0, patience); len(known.Pending) > 0 {
		t.Errorf("%d versions are kept that cannot come any more", len(known.Pending))
	}
	// A list of changes hides nothing that is looser, and what is long is cut.
	v := Version{}
	for n := range 500 {
		v.Changes = append(v.Changes, Change{What: fmt.Sprint(n), Was: strings.Repeat("é", 1000), Looser: n == 400})
	}
	if s := v.short(); len(s.Changes) != maxChanges || s.More != 460 || s.Changes[0].What != "400" || s.Changes[1].What != "0" || len(s.Changes[0].Was) > maxText+len(ellipsis) || len(v.Changes) != 500 {
		t.Errorf("%d changes and %d more, the first is %+v", len(s.Changes), s.More, s.Changes[0])
	}
	if got := cut("a\n\x1b[2Jb"); got != "a  [2Jb" {
		t.Errorf("a node's words: %q", got)
	}
}

// A node is told of after some time, more than once only if it gets worse, and when it is back.
func TestNodes(t *testing.T) {
	silent, failing := circle(away("bolt", NodeSilent), blind), circle(away("bolt", NodeFailing))
	known := NewKnown()
	for n, l := range []struct {
		after time.Duration
		shown Shown
		want  string
	}{
		{0, silent, ""}, {patience - time.Second, silent, ""}, {patience, silent, "node.silent/bolt/1790856000"}, {patience * 2, silent, ""},
		{patience * 3, failing, "node.failing/bolt/1790856000"}, {patience * 4, silent, ""}, {patience * 5, circle(), "node.back/bolt/1790856000"},
		{patience * 6, silent, ""}, {patience*7 - time.Second, circle(), ""}, {patience * 8, silent, ""},
	} {
		var got []Event
		known, got = Derive(known, l.shown, t0.Add(l.after), patience)
		if keys(got) != l.want {
			t.Errorf("look %d: told %q, want %q", n, keys(got), l.want)
		}
		for _, e := range got {
			if d := e.Data.(nodeData); d.Since != "2026-10-01T12:00:00Z" || strings.Contains(d.Reason, "\n") {
				t.Errorf("look %d: %+v", n, d)
			}
		}
	}
}

// Derive alters nothing that it is given: who cannot write the next state down begins from the last.
func TestDeriveIsPure(t *testing.T) {
	known, _ := Derive(NewKnown(), circle(shows("i1", "approving approving approving"), enacted(0), waits("p", 1, "acme", "bolt", "", "-"), frozen("cora", "acme bolt"), away("cora", NodeSilent)), t0, 0)
	before, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	next := circle(shows("i1", "signed signed signed", signed, alarm("", "x")), enacted(0, 1), revokes("bob"), differ("x"), frozen("acme", "acme bolt"))
	_, first := Derive(known, next, t0, 0)
	_, second := Derive(known, next, t0, 0)
	after, err := json.Marshal(known)
	if err != nil || string(before) != string(after) || keys(first) != keys(second) || len(first) < 6 {
		t.Errorf("%v: told %q, then %q; known %s, then %s", err, keys(first), keys(second), before, after)
	}
	// No body has a null, and each event has a title.
	for _, e := range first {
		raw, err := json.Marshal(e.Data)
		if err != nil || strings.Contains(string(raw), "null") || e.Title() == e.Type+" " {
			t.Errorf("%s (%q): %s, %v", e.Key, e.Title(), raw, err)
		}
	}
}

package main

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/node/rescue"
)

// An id of which the node has no request was not answered: that is no success.
func TestUnheard(t *testing.T) {
	if err := unheard([]string{"12345678"}, nil); err == nil || explain(err).Code != codeError || !strings.Contains(err.Error(), "12345678") || explain(err).Next == "" {
		t.Errorf("an unknown id: %v", err)
	}
	if err := unheard([]string{"12345678"}, []aliveRequest{{Request: "1234567890"}}); err != nil {
		t.Errorf("a known id: %v", err)
	}
	if err := unheard(nil, nil); err != nil {
		t.Errorf("no id: %v", err)
	}
}

// What a plan or a charter lists none of is said in words, with what to do.
func TestNothingListed(t *testing.T) {
	_, none := namedCall(client.Vault{Vault: charter.Vault{Name: "treasury", Terms: charter.Terms{SOS: &charter.SOSTerms{}}}}, "pause")
	_, other := namedCall(client.Vault{Vault: charter.Vault{Name: "treasury", Terms: charter.Terms{SOS: &charter.SOSTerms{Rescue: charter.Rescue{Calls: []charter.Call{{Name: "halt"}}}}}}}, "pause")
	place := unlisted(connect.NewWireError(connect.CodeFailedPrecondition, errors.New(`the charter lists no place "x" of level export for operator acme: it lists []; a place`)))
	for _, c := range []struct {
		err  error
		want string
	}{{none, "names no protective call"}, {other, "it names: halt"}, {place, "it lists none; a place"}} {
		if p := explain(c.err); p.Code != codeRefused || !strings.Contains(p.Error(), c.want) || p.Next == "" {
			t.Errorf("%q: %+v", c.want, p)
		}
	}
}

// A vault without a plan is told from one that there is not, by whoever may read vaults; to others both are said.
func TestUnplanned(t *testing.T) {
	_, err := client.FindRescue([]client.Rescue{{Name: "cellar"}}, "treasury")
	treasury := []client.Vault{{Vault: charter.Vault{Name: "treasury"}}}
	for _, c := range []struct {
		name   string
		vaults []client.Vault
		code   int
		want   string
	}{
		{"treasury", treasury, codeRefused, "vault treasury has no SOS plan: its charter names no `rescue`"},
		{"cold", []client.Vault{{Vault: charter.Vault{Name: "cold", Terms: charter.Terms{SOS: &charter.SOSTerms{}}}}}, codeNotReady, "vault cold has an SOS plan, and no node that answered shows it yet"},
		{"nix", treasury, codeError, `no vault is called "nix"; there are: treasury`},
		{"treasury", nil, codeError, `vault "treasury" with an SOS plan: no node that answered knows it; there are: cellar`},
	} {
		p := explain(unplanned(err, c.name, c.vaults))
		if p.Code != c.code || p.Error() != c.want || p.Next == "" {
			t.Errorf("%s of %d vaults: %+v", c.name, len(c.vaults), p)
		}
	}
}

// The plan of a charter is shown without a node; what is missing of a command is said before a key is opened.
func TestSOSCommands(t *testing.T) {
	code, out, errs := try("sos", "plan", charterWith(t))
	want(t, "plan", code, codeDone, out+errs, "Vault treasury: 3 of 3 operators sign; in SOS 2 operators and 3 of", "guarded reshare", "The steal number of persons is",
		"silence          7 days        72 h", "consents       2 operators", "vetoes         ", "window         72 h", "lock-up        14 days", "Rescue addresses", "Protective calls", "Tranches")
	code, out, errs = try("sos", "plan", charterWith(t), "--json")
	want(t, "as JSON", code, codeDone, out+errs, `"threshold": 3`, `"live": 2`, `"quorum": 3`, `"after": "guarded reshare"`, `"invalid": ""`,
		`"trigger": "silence"`, `"after": 604800`, `"delay": 259200`, `"cancels": true`, `"consents": 2`, `"vetoes": `, `"window": 259200`, `"lock_up": 1209600`, `"destinations": [`, `"caps": [`, `"calls": [`, `"tranches": [`)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sos", "declare", "--vault", "v"}, "give --trigger and --subject and --reason\n"},
		{[]string{"sos", "declare", "--vault", "v", "--trigger", "silence", "--reason", "r"}, "give --subject\n"},
		{[]string{"sos", "declare", "--vault", "v", "--trigger", "x", "--subject", "a", "--reason", "r"}, "it is one of"},
		{[]string{"sos", "declare", "--vault", "v", "--trigger", "silence", "--subject", "a", "--reason", "r"}, "--as NAME"},
		{[]string{"sos", "support", "12345678"}, "--as NAME"},
		{[]string{"sos", "veto", "12345678", "--as", "g"}, "--reason TEXT"},
		{[]string{"sos", "challenge"}, "give --vault and --operator"},
		{[]string{"sos", "alive", "--carry", "x", "--out", "y"}, "it stands alone"},
		{[]string{"sos", "alive", "12345678", "--carry", "x"}, "it stands alone"},
		{[]string{"sos", "alive", "--request", "x"}, "give --out FILE as well"},
	} {
		code, out, errs := try(c.args...)
		want(t, c.args[1], code, codeUsage, out+errs, c.want)
	}
}

// What people do next is said of each request by the node that is furthest, and of one that is over nothing; a contribution that comes when it is over is told so.
func TestWhatIsNext(t *testing.T) {
	at := func(states ...string) client.RescueRequest {
		q := client.RescueRequest{Request: act.Request{Subjects: []string{"cora"}}}
		for i, s := range states {
			q.Views = append(q.Views, client.RequestView{Node: string(rune('a' + i)), State: s})
		}
		return q
	}
	r := client.Rescue{Name: "treasury"}
	for _, c := range []struct {
		q          client.RescueRequest
		want, late string
	}{
		{at("armed", "armed"), "call cora first; who is for it runs `ostraka sos support ", ""},
		{at("armed", "declared"), "wait: the delay begins", ""},
		{at("contest", "declared"), "`ostraka sos veto ", ""},
		{at("contest", "active"), "an operator runs `ostraka sos activate treasury`, then `ostraka sos appeal ", ""},
		{at("lock-up", "active"), "`ostraka sos close treasury ", ""},
		{at("expired", "active"), "an operator runs `ostraka sos activate", "a"},
		{at("expired", "vetoed", "closed"), "", "a, b, c"},
	} {
		if got := sosNext(r, c.q); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: next: %q", c.q.Views, got)
		}
		r.Requests = []client.RescueRequest{c.q}
		if got := strings.Join(lateFor([]client.Rescue{r}, c.q.ID.String()), ", "); got != c.late {
			t.Errorf("%+v: over at %q, want %q", c.q.Views, got, c.late)
		}
	}
}

// In ACTIVE the next step goes by what is there: who has not signed, how many guardians contributed, whether there are new shares. Nobody is sent to activate again.
func TestWhatIsNextInActive(t *testing.T) {
	key := [32]byte{1}
	r := client.Rescue{Name: "treasury"}
	for name, c := range map[string]struct {
		edit  func(*client.RequestView)
		shows string
		next  string
		waits bool
	}{
		"nothing":  {func(v *client.RequestView) { v.Activations = nil }, "", "an operator runs `ostraka sos activate treasury`", true},
		"unsigned": {func(v *client.RequestView) { v.Activations[0].Signed, v.Activations[0].Whole = []string{"acme"}, false }, "signed by acme, and awaits bolt", "awaits the node of bolt", true},
		"signed":   {func(v *client.RequestView) {}, "for acme, bolt, dora: signed by acme, bolt; contributions 2 of 3: guardian-1, guardian-2", "contributions 2 of 3: `ostraka sos appeal ", true},
		"answered": {func(v *client.RequestView) { v.Activations[0].Given = []string{"g1", "g2", "g3"} }, "contributions 3 of 3", "wait: the contributors' nodes ask for vetoes", false},
		"new":      {func(v *client.RequestView) { v.Reshared = [][32]byte{key} }, "key 010000000000 has new shares", "there are new shares: treasurers run `ostraka sos sweep treasury`", false},
	} {
		q := client.RescueRequest{Request: act.Request{Keys: []act.Key{{Key: key}}}}
		for _, node := range []string{"acme", "bolt"} {
			v := client.RequestView{Node: node, State: "active", Quorum: 3, Activations: []client.Activated{{
				ID: [32]byte{2}, Key: key, Contributors: []string{"acme", "bolt"}, Members: []string{"acme", "bolt", "dora"}, Signed: []string{"acme", "bolt"}, Whole: true, Given: []string{"guardian-1", "guardian-2"},
			}}}
			if c.edit(&v); node == "bolt" && name == "signed" {
				v.Activations[0].Signed, v.Activations[0].Whole, v.Activations[0].Given = nil, false, []string{"guardian-1"} // it is behind
			}
			q.Views = append(q.Views, v)
		}
		q.Views[1].Mute = []client.Mute{{Guardian: "guardian-2", Why: "no --contact"}}
		var shown strings.Builder
		if printRequest(&shown, r, q); strings.Count(shown.String(), "guardian-2 does not count: no --contact") != 1 {
			t.Errorf("%s: who does not count is not shown once: %s", name, &shown)
		}
		shown.Reset()
		printRequest(&shown, r, q)
		if got := nextStep(r, q); !strings.Contains(got.text, c.next) || got.waits != c.waits || !strings.Contains(shown.String(), c.shows) {
			t.Errorf("%s: %+v\n%s", name, got, &shown)
		}
	}
}

// What nodes would take and not count, or never declare, is refused before it is signed; so is a name that is not the key file's.
func TestRefusedBeforeItIsSigned(t *testing.T) {
	r := client.Rescue{Name: "treasury", Triggers: []string{"legal", "silence"}, Guardians: []string{"g1", "g2"}, Operators: []string{"acme"}, Seats: []client.Seat{{Name: "g1", Party: [16]byte{1}}, {Name: "g2", Party: [16]byte{2}}}}
	p := pen{role: act.Guardian, as: "g1", party: [16]byte{2}}
	for want, err := range map[string]error{"give --contact": p.reached("silence", nil), "it has: legal, silence": served(r, "compromise")} {
		if e := explain(err); err == nil || e.Code != codeUsage || !strings.Contains(e.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := p.known(r); err == nil || explain(err).Code != codeRefused || !strings.Contains(err.Error(), "the key file is g2's") {
		t.Errorf("another guardian's name: %v", err)
	}
	p.as = "g2"
	officer := pen{role: act.Operator, as: "acme"}
	if err := errors.Join(p.known(r), officer.known(r), officer.reached("silence", nil), p.reached("legal", nil), p.reached("silence", []string{"x"}), served(r, "legal"), served(client.Rescue{}, "legal")); err != nil {
		t.Error(err)
	}
}

// In an emergency its requests come first, nobody is told to have a lost operator do something, nodes that say the same stand together, and the exit code says whether it waits for people.
func TestStatusInAnEmergency(t *testing.T) {
	view := func(node string) client.RescueView {
		return client.RescueView{Node: node, State: "not ready", Missing: []string{"no backup of cora", "a drill of g2"}, Needs: []client.Need{
			{What: "no backup of cora", Do: "have cora run \"ostraka backup cut\""}, {What: "a drill of g2", Do: "have g2 run \"ostraka backup drill\""},
		}}
	}
	q := client.RescueRequest{Request: act.Request{Subjects: []string{"cora"}}}
	r := client.Rescue{Name: "treasury", Views: []client.RescueView{view("acme"), view("bolt")}}
	if err := sosAlarm([]client.Rescue{r}, nil, time.Now()); err == nil || explain(err).Code != codeNotReady || !strings.Contains(err.Error(), "NOT READY at acme") {
		t.Errorf("without an emergency: %v", err)
	}
	for state, code := range map[string]int{"armed": codeNotReady, "contest": codeDone, "active": codeNotReady} {
		q.Views = []client.RequestView{{Node: "acme", State: state}}
		r.Requests = []client.RescueRequest{q}
		var shown strings.Builder
		printRescue(&shown, r)
		if out := shown.String(); strings.Contains(out, "have cora") || strings.Count(out, "have g2 run") != 1 || !strings.Contains(out, "acme, bolt NOT READY") || strings.Index(out, "request ") > strings.Index(out, "NOT READY") {
			t.Errorf("%s: %s", state, out)
		}
		err := sosAlarm([]client.Rescue{r}, nil, time.Now())
		if got := err == nil; got != (code == codeDone) || err != nil && (explain(err).Code != code || !strings.Contains(err.Error(), "waits for people")) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// A veto that comes late is told what it still does; who closes too early, from when on they can.
func TestLateAndEarly(t *testing.T) {
	view := client.RequestView{Node: "acme", State: "active", Remaining: 90*time.Second + 244469848, Activations: []client.Activated{{ID: [32]byte{2}}}}
	q := client.RescueRequest{Views: []client.RequestView{view}}
	if text := lateVeto(q); text != "" {
		t.Errorf("in time: %s", text)
	}
	q.Views[0].Activations[0].Gave = []string{"acme"}
	if text := lateVeto(q); !strings.Contains(text, "Parts were given already") {
		t.Errorf("parts were given: %s", text)
	}
	q.Views[0].Reshared = [][32]byte{{1}}
	if text := lateVeto(q); !strings.Contains(text, "New shares exist already") {
		t.Errorf("new shares: %s", text)
	}
	r := client.Rescue{Name: "treasury", Requests: []client.RescueRequest{q}}
	err := unlocked(r, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if p := explain(err); p.Code != codeNotReady || !strings.Contains(p.Error(), "at about 2026-03-01T12:01:30Z (in 1m30s)") {
		t.Errorf("a closing in ACTIVE: %v", err)
	}
}

// What a node cannot name a committee for yet is not ready, with what to do; it is not refused.
func TestUnactivated(t *testing.T) {
	for text, next := range map[string]string{rescue.ErrAllFresh.Error(): "ostraka sos sweep", "key 12: " + rescue.ErrCarried.Error() + ": x": "--instead", "no SOS request of the vault is ACTIVE on this node": "it is activated when its delay is over", "bolt has not announced its key": "run it again"} {
		if p := explain(unactivated(connect.NewError(connect.CodeFailedPrecondition, errors.New(text)))); p.Code != codeNotReady || !strings.Contains(p.Next, next) {
			t.Errorf("%s: %+v", text, p)
		}
	}
	if err := errors.New("else"); unactivated(err) != err {
		t.Error("another error is changed")
	}
}

// What the design promises of backups, emergencies and guardians is there, by these names.
func TestPromisedCommands(t *testing.T) {
	there := map[string]bool{}
	for _, c := range leaves((&app{out: io.Discard, err: io.Discard}).root()) {
		there[strings.TrimPrefix(c.CommandPath(), "ostraka ")] = true
	}
	for group, names := range map[string]string{
		"backup":   "cut verify coverage drill restore",
		"sos":      "plan status drill declare support veto alive activate sweep call close report",
		"guardian": "init",
	} {
		for name := range strings.FieldsSeq(names) {
			if !there[group+" "+name] {
				t.Errorf("there is no `ostraka %s %s`", group, name)
			}
		}
	}
	code, out, errs := try("sos", "drill", "treasury")
	want(t, "a drill of a vault", code, codeUsage, out+errs)
	if _, out, _ := try("sos", "drill", "--help"); !strings.Contains(out, "under a DRILL plan") || !strings.Contains(out, "`ostraka backup drill`") {
		t.Errorf("its help does not tell the drills apart: %s", out)
	}
}

// What one role alone signs speaks of no other: its help names that one, and no flag of the other's keys.
func TestSOSFlagsOfARole(t *testing.T) {
	for name, c := range map[string]struct{ has, hasNot string }{
		"declare":       {"the guardian's name, with your key file as --key; or the operator's", "\n\n\n"},
		"veto":          {"the guardian that you are", "officer"},
		"close":         {"the operator whose officer you are", "guardian's"},
		"release-early": {"the operator whose officer you are", "guardian's"},
	} {
		if code, out, _ := try("sos", name, "--help"); code != codeDone || !strings.Contains(out, c.has) || strings.Contains(out, c.hasNot) {
			t.Errorf("%s: exit %d: %s", name, code, out)
		}
	}
}

// What is no proof of life is not carried, and what is no request not answered, before any node is asked.
func TestSOSAliveReadsItsFiles(t *testing.T) {
	for file, want := range map[string]string{
		"sos-veto-least.txt":  "is a statement of kind sos-veto, and `ostraka sos alive --carry` wants a statement of kind sos-alive",
		"sos-alive-least.txt": "is a statement of kind sos-alive, and `ostraka sos alive --request` wants a statement of kind sos-request",
	} {
		args := []string{"sos", "alive", "--carry", "../../custody/statement/testdata/" + file}
		if strings.Contains(file, "alive") {
			args = []string{"sos", "alive", "--request", "../../custody/statement/testdata/" + file, "--out", filepath.Join(t.TempDir(), "life.txt")}
		}
		code, out, errs := try(args...)
		if code != codeUsage || !strings.Contains(out+errs, want) {
			t.Errorf("%s: exit code %d: %s", file, code, out+errs)
		}
	}
}

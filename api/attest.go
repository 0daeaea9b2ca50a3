package api

import (
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/vet"
)

// checkAttest looks at what nodes show of the machines that they run on, where the charter demands it: others' as this node found it, and its own as others
// hold it.
func (o *operator) checkAttest(now time.Time, add adder) {
	own, err := o.d.Vet.Self()
	checkHardware(own, err, o.d.Settings, add)
	for _, s := range o.d.Vet.Shown(now) {
		if s.Own {
			o.checkOwnAttest(s, add)
			continue
		}
		if s.Refuses != "" {
			add("attest at "+s.Operator, "fail", "its node holds no session with this one: "+s.Refuses, "do what it says: run what the charter lists, or have the charter list what runs here (`ostraka charter amend`)")
		}
		checkAttestOf(s, o.d.Settings.Attest.Holds(), add)
	}
}

// checkHardware says what a charter would list of this machine, if the settings name something that could show it.
func checkHardware(own judge.Own, err error, s node.Settings, add adder) {
	switch {
	case err == nil && own.Root != "":
		add("hardware", "ok", fmt.Sprintf("this machine shows %s on %s, root %s: what a charter lists of it", own.Measurement, own.Device, own.Root), "")
	case err == nil:
		add("hardware", "ok", fmt.Sprintf("this machine shows %s on %s: what a charter lists of it", own.Measurement, own.Device), "")
	case s.TPM != nil || s.Attest != nil && s.Attest.Kind != "":
		add("hardware", "warn", "what this machine shows cannot be judged here: "+err.Error(),
			"put its maker's root and the CA between into a file (PEM), and name that in node.json (attest, roots); the line then says what a charter lists")
	}
}

// holds: this node has lists of its own of what makers withdrew.
func checkAttestOf(s vet.Status, holds bool, add adder) {
	name := "attest " + s.Operator
	switch {
	case !s.Demanded:
		add(name, "ok", vetted.ClassNone+": the charter demands nothing of it", "")
	case s.Err != nil:
		add(name, "fail", vetted.ClassNone+": "+s.Err.Error(), "its operator runs `ostraka doctor` there; until it shows it, nothing is signed with it")
	default:
		status, fix, text := "ok", "", fmt.Sprintf("%s: %s (%s) on %s, at %s, counts until %s", vetted.ClassHardware, s.Record.Name, s.Record.Kind, s.Record.Device,
			statement.FormatTime(s.Record.At), statement.FormatTime(s.Until))
		if s.Record.Notes != "" {
			text += "; " + s.Record.Notes
		}
		if k := s.Record.Kind; s.Record.Notes != "" && (k == charter.KindSEVSNP || k == charter.KindTDX) && !holds {
			status, fix = "warn", "fetch what their maker has withdrawn into a folder of this node's own, and name it in node.json (attest, lists)"
		}
		add(name, status, text, fix)
	}
}

// checkOwnAttest says loudly that this node cannot show what the charter demands.
func (o *operator) checkOwnAttest(s vet.Status, add adder) {
	switch {
	case !s.Demanded:
		add("attest", "ok", "the charter demands no evidence of this node", "")
	case s.Err != nil:
		add("attest", "fail", "the charter demands evidence of what this node runs on, and there is none: "+s.Err.Error()+". The others hold no session with it",
			"name the machine's hardware in node.json (attest, kind), see that the node may use it, and start it again")
	default:
		add("attest", "ok", "this node shows what it runs on when others ask", "")
	}
}

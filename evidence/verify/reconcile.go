package verify

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// reconcile holds the logs to one another. What a node decided stands in its own log before anybody hears of it; what one log tells and all
// must come to hold stands in the others after a while. Where two differ, one of them lies, and the logs alone do not say which.
func (v *verifier) reconcile() {
	before := len(v.report.Claims)
	v.inForceIsShown()
	v.inForceEverywhere()
	v.decisionsEverywhere()
	failed := slices.ContainsFunc(v.report.Claims[before:], func(c Claim) bool { return c.Failed != "" })
	for _, h := range v.logs {
		if h.lost > 0 {
			v.report.attend(fmt.Sprintf("%s that others tell of stand no more in the log of %s, which was begun anew from a copy on %s", count(h.lost, "thing", "things"), h.operator, statement.FormatTime(h.renewed)))
		}
	}
	if len(v.logs) > 1 && !failed {
		upTo := v.logs[0].reach
		for _, h := range v.logs {
			upTo = earlier(upTo, h.reach)
		}
		v.report.claim(Proved, "circle", fmt.Sprintf("the logs of %s, all shown to %s, tell the same", strings.Join(operatorsOf(v.logs), ", "), statement.FormatTime(upTo)),
			"each was held to all others: rosters, charters, decisions, signatures, heartbeats; what was an hour old by then stands in all")
	}
}

// differ says that logs contradict one another.
func (v *verifier) differ(format string, args ...any) {
	v.report.fail("circle", "the logs of its operators tell the same", fmt.Sprintf(format, args...))
}

// inForceIsShown wants each roster and charter that a log says came into force to be among those whose signatures were followed here.
func (v *verifier) inForceIsShown() {
	known := map[[32]byte]bool{}
	for _, r := range v.rosters {
		known[[32]byte(r.ID)] = true
	}
	for _, c := range v.history {
		known[[32]byte(c.ID)] = true
	}
	missing := map[[32]byte][]string{}
	for _, h := range v.logs {
		for _, l := range h.leaves {
			if l.Kind == tlog.KindInForce && !known[l.ID] {
				missing[l.ID] = append(missing[l.ID], h.operator)
			}
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(missing), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		v.report.fail("circle", "what came into force is shown, with who signed it", fmt.Sprintf("%x is in force, say the logs of %s, and no log shows it complete", id[:6], strings.Join(missing[id], ", ")))
	}
}

// inForceEverywhere wants every roster and charter that came into force to have done so in the log of every operator that it lists.
func (v *verifier) inForceEverywhere() {
	want := func(what string, id statement.ID, operators []string) {
		at, by := v.told(id, tlog.KindInForce)
		if len(by) == 0 {
			return // it was read from statements alone
		}
		var lack []string
		for _, name := range operators {
			h := v.log(name)
			if h == nil || !v.gone(h, at) {
				continue
			}
			if _, told := h.has(tlog.KindInForce, id); told {
				continue
			}
			if h.excused(at) {
				h.lost++
				continue
			}
			lack = append(lack, name)
		}
		if len(lack) > 0 {
			v.differ("%s is in force since %s in the logs of %s, and not in those of %s", what, statement.FormatTime(at), strings.Join(operatorsOf(by), ", "), strings.Join(lack, ", "))
		}
	}
	newest := v.rosters.Newest()
	for _, r := range v.rosters {
		var both []string
		for _, name := range r.Names() {
			if _, still := newest.Operator(name); still {
				both = append(both, name)
			}
		}
		want(fmt.Sprintf("version %d of the roster", r.Version), r.ID, both)
		for _, c := range v.history {
			if c.Roster == r.ID {
				want(fmt.Sprintf("version %d of the charter", c.Version), c.ID, both)
			}
		}
	}
}

// decisionsEverywhere wants each decision in its own node's log, and heard in the logs of the others that hold the vault.
func (v *verifier) decisionsEverywhere() {
	own := map[[32]byte][]string{}
	for _, h := range v.logs {
		for _, l := range h.leaves {
			if l.Kind == tlog.KindDecision {
				own[l.ID] = append(own[l.ID], h.operator)
			}
		}
	}
	for _, h := range v.logs {
		for n, l := range h.leaves {
			switch l.Kind {
			case tlog.KindHeard:
				v.madeBySomebody(h, n, l, own[l.ID])
			case tlog.KindDecision:
				v.heardByAll(h, n, l)
			}
		}
	}
}

// madeBySomebody wants a decision that one node heard to stand in the log of the node that made it, shown or not.
func (v *verifier) madeBySomebody(h *history, n int, l tlog.Leaf, own []string) {
	if slices.ContainsFunc(own, func(name string) bool { return name != h.operator }) {
		return
	}
	for _, o := range v.logs {
		if _, told := o.toldFirst(tlog.KindDecision, l.ID); told && o != h {
			return // where it was made, or heard: a leaf of the first release does not say which
		}
	}
	if d := v.docs[l.ID]; d != nil {
		if _, ok := d.as(statement.Decision); ok {
			return // whose it is it says itself, and that was looked at where it was read (ownDecision)
		}
	}
	for _, name := range v.holders(l) {
		if o := v.log(name); name != h.operator && (o == nil || !v.gone(o, h.times[n]) || o.excused(h.times[n])) {
			return // it may stand in what is not shown
		}
	}
	v.differ("leaf %d of the log of %s tells of decision %x, which is in no log of who could have made it", n, h.operator, l.ID[:6])
}

// holders are the operators that hold the vault of a leaf.
func (v *verifier) holders(l tlog.Leaf) []string {
	for _, x := range v.vaults {
		if [32]byte(x.ID) == l.Vault {
			return x.out.Committee
		}
	}
	return nil
}

// heardByAll wants a decision to have come to the logs of all who hold the vault.
func (v *verifier) heardByAll(h *history, n int, l tlog.Leaf) {
	holders := v.holders(l)
	if !slices.Contains(holders, h.operator) {
		return // it held the vault once
	}
	var lack []string
	for _, name := range holders {
		o := v.log(name)
		if o == nil || name == h.operator || !v.gone(o, h.times[n]) {
			continue
		}
		if _, told := o.has(tlog.KindHeard, l.ID); told {
			continue
		}
		if o.excused(h.times[n]) {
			o.lost++
			continue
		}
		lack = append(lack, name)
	}
	if len(lack) > 0 {
		v.differ("the log of %s tells of its decision %x, of %s; the logs of %s lack it, or it never came to them", h.operator, l.ID[:6], statement.FormatTime(h.times[n]), strings.Join(lack, ", "))
	}
}

// summarise puts together what stands for itself.
func (v *verifier) summarise() {
	for _, x := range v.vaults {
		v.report.Vaults = append(v.report.Vaults, x.out)
	}
	for _, h := range v.logs {
		for _, l := range h.leaves {
			switch l.Kind {
			case tlog.KindAlarm:
				v.report.Alarms = append(v.report.Alarms, Alarm{h.operator, l.Time, v.alarm(v.docs[l.ID])})
			case tlog.KindFence:
				v.report.Alarms = append(v.report.Alarms, Alarm{h.operator, l.Time, "its node was restored or cloned, and signed nothing until its operator answered for it"})
			}
		}
	}
	if n := len(v.report.Alarms); n > 0 {
		v.report.attend(count(n, "alarm stands in the logs", "alarms stand in the logs"))
	}
}

// alarm says in words what an alarm's body says. Two checkpoints that contradict each other are proof.
func (v *verifier) alarm(d *doc) string {
	if d == nil {
		return "withheld"
	}
	t := transcript.NewDecoder(d.content)
	a, b := t.Bytes(1, tlog.MaxNote), t.Bytes(2, tlog.MaxNote)
	if t.Done() == nil {
		origin := tlog.Request{Checkpoint: a}.Origin()
		k, ok := v.announced[origin]
		if !ok {
			return "a log that nobody knows is said to have forked"
		}
		log, err := tlog.NewLogVerifier(k.Origin, k.Log)
		var fork *tlog.ForkError
		if err == nil && errors.As(tlog.Compare(log, a, b), &fork) {
			v.report.fail("operator "+k.Operator, "its log shows everybody one history", "its log signed two roots of one size: it forked")
			return "the log of " + k.Operator + " forked"
		}
	}
	if utf8.Valid(d.content) && statement.CheckText(string(d.content), 4096) == nil {
		return string(d.content)
	}
	return fmt.Sprintf("%d bytes of evidence", len(d.content))
}

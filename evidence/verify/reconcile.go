package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// reconcile holds the logs to one another. What a node decided stands in its own log before anybody hears of it; what one log tells and all
// must come to hold stands in the others after a while.
func (v *verifier) reconcile() {
	before := len(v.report.Claims)
	v.inForceEverywhere()
	v.decisionsEverywhere()
	failed := slices.ContainsFunc(v.report.Claims[before:], func(c Claim) bool { return c.Failed != "" })
	if len(v.logs) > 1 && !failed {
		var names []string
		for _, h := range v.logs {
			names = append(names, h.operator)
		}
		v.report.claim(Proved, "circle", fmt.Sprintf("the logs of %s tell the same", strings.Join(names, ", ")), "each was held to all others: rosters, charters, decisions, signatures, heartbeats")
	}
}

// inForceEverywhere wants every roster and charter that came into force to have done so in the log of every operator that it lists.
func (v *verifier) inForceEverywhere() {
	want := func(what string, id statement.ID, operators []string) {
		at, logs := v.first(tlog.KindInForce, id)
		if logs == 0 {
			return // it was read from statements alone
		}
		for _, name := range operators {
			h := v.log(name)
			if h == nil || !h.lastTime().After(at.Add(v.Grace)) {
				continue
			}
			if _, told := h.has(tlog.KindInForce, id); !told {
				v.report.fail("operator "+name, "its log has what came into force", fmt.Sprintf("it lacks %s, in force since %s", what, statement.FormatTime(at)))
			}
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
	own := map[[32]byte]string{}
	for _, h := range v.logs {
		for _, l := range h.leaves {
			if l.Kind == tlog.KindDecision {
				own[l.ID] = h.operator
			}
		}
	}
	for _, h := range v.logs {
		for n, l := range h.leaves {
			switch l.Kind {
			case tlog.KindHeard:
				v.madeBySomebody(h, n, l, own)
			case tlog.KindDecision:
				v.heardByAll(h, l)
			}
		}
	}
}

// madeBySomebody wants a decision that one node heard to stand in the log of the node that made it, shown or not.
func (v *verifier) madeBySomebody(h *history, n int, l tlog.Leaf, own map[[32]byte]string) {
	if _, made := own[l.ID]; made {
		return
	}
	for _, o := range v.logs {
		if _, told := o.toldFirst(tlog.KindDecision, l.ID); told && o != h {
			return // where it was made, or heard: a leaf of the first release does not say which
		}
	}
	if d := v.docs[l.ID]; d != nil { // whose it is was said where it was read (ownDecision)
		if s, ok := d.as(statement.Decision); ok && v.log(s.Get("operator")) == nil {
			return
		}
	}
	for _, name := range v.holders(l) {
		if o := v.log(name); name != h.operator && (o == nil || o.lastTime().Before(l.Time)) {
			return // it may stand in what is not shown
		}
	}
	v.report.fail("operator "+h.operator, "each decision that it heard stands in the log of who made it", fmt.Sprintf("leaf %d tells of decision %x, which is in no log of who could have made it", n, l.ID[:6]))
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

func (v *verifier) heardByAll(h *history, l tlog.Leaf) {
	holders := v.holders(l)
	if !slices.Contains(holders, h.operator) {
		return // it held the vault once
	}
	for _, name := range holders {
		o := v.log(name)
		if o == nil || name == h.operator || !o.lastTime().After(l.Time.Add(v.Grace)) {
			continue
		}
		if _, told := o.has(tlog.KindHeard, l.ID); !told {
			v.report.fail("operator "+name, "it heard what the others decided", fmt.Sprintf("its log lacks decision %x of %s, of %s", l.ID[:6], h.operator, statement.FormatTime(l.Time)))
		}
	}
}

// summarise puts together what stands for itself.
func (v *verifier) summarise() {
	for _, x := range v.vaults {
		v.report.Vaults = append(v.report.Vaults, x.out)
		v.report.claim(Declared, "vault "+x.Name, "no backup of its shares is made, and there is no rescue (SOS)", "this release has neither")
	}
	for _, h := range v.logs {
		for _, l := range h.leaves {
			switch d := v.docs[l.ID]; {
			case bodied[l.Kind] && d == nil && v.named[l.ID] == nil:
				v.report.Withheld++
			case l.Kind == tlog.KindAlarm:
				v.report.Alarms = append(v.report.Alarms, Alarm{h.operator, l.Time, v.alarm(d)})
			case l.Kind == tlog.KindFence:
				v.report.Alarms = append(v.report.Alarms, Alarm{h.operator, l.Time, "its node was restored or cloned, and signed nothing until its operator answered for it"})
			}
		}
	}
	if n := len(v.report.Alarms); n > 0 {
		v.report.attend(count(n, "alarm stands in the logs", "alarms stand in the logs"))
	}
}

// bodied are the kinds whose leaves stand for a body.
var bodied = map[string]bool{
	tlog.KindStatement: true, tlog.KindSignature: true, tlog.KindVote: true, tlog.KindDecision: true, tlog.KindHeard: true, tlog.KindWord: true, tlog.KindRecord: true,
	tlog.KindCert: true, tlog.KindFinal: true, tlog.KindFinalCert: true, tlog.KindSigned: true, tlog.KindHeartbeat: true, tlog.KindAddress: true,
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

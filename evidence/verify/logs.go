package verify

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// checkLogs finds whose each log is, who cosigned it, and whether it is the one that others saw.
func (v *verifier) checkLogs() {
	v.announce()
	v.logs = slices.DeleteFunc(v.logs, func(h *history) bool { return !v.belongs(h) })
	v.present()
	v.collectQuotes()
	for _, h := range v.logs {
		v.checkLog(h)
	}
	for _, h := range v.copies {
		v.checkCopy(h)
	}
	for _, signed := range v.Seen {
		v.checkSeen(signed, "the reader", "what was seen before", true)
	}
	for _, h := range v.logs {
		for _, signed := range h.seen {
			v.checkSeen(signed, h.operator, "log at "+h.source, false)
		}
	}
	for _, h := range v.logs {
		v.checkQuoted(h)
	}
	v.reaches()
	for _, o := range v.rosters.Newest().Operators {
		if v.log(o.Name) == nil {
			v.report.fail("operator "+o.Name, "its log is shown", "no log of it is among what was read: whatever it alone tells cannot be seen")
		}
	}
	v.departed()
}

// departed names the operators that officers took out of the roster, and whose logs are not shown: nobody is to show them for ever, least of all one that was lost.
func (v *verifier) departed() {
	told := map[string]bool{}
	for i, r := range v.rosters[:len(v.rosters)-1] {
		for _, o := range r.Operators {
			_, next := v.rosters[i+1].Operator(o.Name)
			_, back := v.rosters.Newest().Operator(o.Name)
			if !next && !back && !told[o.Name] && v.log(o.Name) == nil {
				told[o.Name] = true
				v.report.attend(fmt.Sprintf("operator %s is in the roster no more since version %d, which officers of all who stayed signed: its log is not shown, and what it alone told before cannot be seen", o.Name, i+1))
			}
		}
	}
}

// present keeps of each operator the newest log. A node that was restored from a copy, and whose operator confirmed that no other runs, goes on in
// another log: what the one before told after the copy was made stands in none.
func (v *verifier) present() {
	slices.SortStableFunc(v.logs, func(a, b *history) int { return cmp.Compare(b.generation, a.generation) })
	var now []*history
	for _, h := range v.logs {
		if slices.ContainsFunc(now, func(o *history) bool { return o.operator == h.operator }) {
			continue
		}
		now = append(now, h)
		if h.generation > 0 {
			v.report.claim(Declared, "operator "+h.operator, fmt.Sprintf("its log was begun anew on %s, from a copy", statement.FormatTime(h.keys.Created)),
				"its operator's word: what its node told after the copy was made, and nobody else did, is lost")
		}
	}
	slices.SortFunc(now, func(a, b *history) int { return strings.Compare(a.operator, b.operator) })
	v.logs = now
	for _, h := range v.logs {
		h.renewed = h.keys.Created
		if at, by := v.told(h.keys.ID, tlog.KindStatement); len(by) > 0 { // others' clocks: its own might excuse everything
			h.renewed = earlier(h.renewed, at)
		}
	}
}

// announce finds the keys of logs that identities of the roster signed.
func (v *verifier) announce() {
	for _, d := range v.statements(statement.Log) {
		k, err := tlog.KeysOf(d.statement)
		if err != nil {
			continue
		}
		o, known := v.rosters.Identity(k.Identity)
		if !known || o.Name != k.Operator || !v.nodeSigned(k.Identity, d) {
			continue
		}
		if old, twice := v.announced[k.Origin]; !twice {
			v.announced[k.Origin] = k
		} else if old.ID != k.ID {
			v.report.fail("operator "+o.Name, "its log has one key", fmt.Sprintf("its identity signed two statements of the keys of log %s", k.Origin))
		}
	}
}

// nodeSigned says whether one of a doc's signatures is an identity's.
func (v *verifier) nodeSigned(identity []byte, d *doc) bool {
	found := false
	for _, sig := range d.signatures {
		if len(sig.bytes) != nodeSignature {
			continue
		}
		v.signatures++
		if signet.VerifyNode(identity, d.statement, sig.bytes) == nil {
			sig.holds, found = true, true
		}
	}
	return found
}

func (v *verifier) belongs(h *history) bool {
	o, known := v.rosters.Identity(h.keys.Identity)
	k, signed := v.announced[h.keys.Origin]
	switch {
	case !known || o.Name != h.keys.Operator:
		v.report.fail("log at "+h.source, "it is of an operator of the circle", fmt.Sprintf("identity %x is no operator's", []byte(h.keys.Identity)))
		return false
	case !signed || k.ID != h.keys.ID:
		v.report.fail("log at "+h.source, "its keys are those that its operator's identity signed", "another statement of its keys is known to others")
		return false
	}
	n, err := h.keys.Generation()
	if err != nil {
		v.report.fail("log at "+h.source, "it is of an operator of the circle", err.Error())
		return false
	}
	h.operator, h.generation = o.Name, n
	return true
}

func (v *verifier) log(operator string) *history {
	i := slices.IndexFunc(v.logs, func(h *history) bool { return h.operator == operator })
	if i < 0 {
		return nil
	}
	return v.logs[i]
}

// checkLog holds a log to its cosignatures, and to its heads as others name them.
func (v *verifier) checkLog(h *history) {
	subject, r := "operator "+h.operator, v.report
	size := h.checkpoint.Head.Size
	out := LogReport{
		Operator: h.operator, Source: h.source, Origin: h.keys.Origin, Size: size, Root: h.checkpoint.Head.Root, RootText: fmt.Sprintf("%x", h.checkpoint.Head.Root[:]), Signed: string(h.signed),
	}
	if n := len(h.leaves); n > 0 {
		out.Last = h.leaves[n-1].Time
	}
	by, unknown, err := v.cosigners(h)
	if err != nil {
		r.fail(subject, "who cosigned its log is who it says", err.Error())
	}
	for _, name := range unknown {
		r.attend(fmt.Sprintf("%s, which %s names as a witness of its log and you do not, counts for nothing: if you know its key, give it with --witness", name, h.operator))
	}
	out.Cosigned, v.cosigned[h] = by, by
	var names []string
	for _, c := range by {
		names = append(names, c.By)
	}
	slices.Sort(names)
	text := fmt.Sprintf("its log has %d entries, to %s", size, statement.FormatTime(out.Last))
	if len(names) > 0 {
		text += ", cosigned by " + strings.Join(names, ", ")
	} else {
		r.attend("the log of " + h.operator + " is cosigned by nobody else")
	}
	if h.first > 0 {
		r.attend(fmt.Sprintf("the first %d entries of the log of %s are of the first release: they show no bodies, and what they tell of is seen only where others' logs show it", h.first, h.operator))
	}
	before := len(r.Claims)
	for _, n := range h.twice {
		r.fail(subject, "its log tells of each thing once", fmt.Sprintf("leaf %d tells again of %s %x, which stood before: something old is shown as new", n, h.leaves[n].Kind, h.leaves[n].ID[:6]))
	}
	if len(r.Claims) == before && err == nil {
		r.claim(Proved, subject, text, "every leaf was hashed up to the root that the log signed")
	}
	r.Logs = append(r.Logs, out)
}

// cosigners verifies a checkpoint's cosignatures. One by a witness that only the log's own operator names is not counted: unknown has it. One
// by a key that nobody named counts for nothing either, and somebody wants it to seem to count.
func (v *verifier) cosigners(h *history) (out []Cosigned, unknown []string, err error) {
	log, err := tlog.NewLogVerifier(h.keys.Origin, h.keys.Log)
	if err != nil {
		return nil, nil, err
	}
	known, owner := tlog.Distinct(log, v.Witnesses), map[string]string{} // a key that is given twice is one witness
	for _, origin := range slices.Sorted(maps.Keys(v.announced)) {
		k := v.announced[origin]
		w, err := tlog.NewWitness(k.Name, k.Witness)
		if err != nil || log.Public().Equal(k.Witness) || slices.ContainsFunc(known, func(o tlog.Witness) bool { return o.Name() == k.Name || o.Public().Equal(k.Witness) }) {
			continue // nobody has another's key: what it cosigned is the other's
		}
		known, owner[k.Name] = append(known, w), k.Operator
	}
	_, by, err := tlog.OpenCheckpoint(h.signed, log, known)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range by {
		v.signatures++
		name, inside := owner[c.Name]
		switch {
		case !inside:
			name = c.Name
		case name == h.operator: // one's own word is no witness
			continue
		case slices.ContainsFunc(out, func(o Cosigned) bool { return o.By == name }): // nor is a node that was restored two
			continue
		}
		out = append(out, Cosigned{name, c.Time, !inside})
	}
	labels := []string{log.Label()}
	for _, w := range known {
		labels = append(labels, w.Label())
	}
	signers, err := tlog.Signers(h.signed)
	for _, s := range signers {
		if slices.Contains(labels, s) {
			continue
		}
		if !slices.ContainsFunc(h.named, func(w tlog.Witness) bool { return w.Label() == s }) {
			return out, unknown, fmt.Errorf("%s cosigned it, a stranger: neither an operator's node nor a witness that the reader, or the log's operator, names", s)
		}
		unknown = append(unknown, s)
	}
	return out, unknown, err
}

// collectQuotes finds the heads of logs that other operators' heartbeats name. A quote is its operator's word alone: where it and a log contradict one
// another, one of both lies, unless the log itself took that heartbeat.
func (v *verifier) collectQuotes() {
	for _, d := range v.statements(statement.Heartbeat) {
		b, err := pulse.Of(d.statement)
		if err != nil {
			continue
		}
		o, known := v.rosters.Operator(b.Operator)
		if !known || !v.nodeSigned(o.Identity, d) {
			continue
		}
		d.alive = true
		for _, p := range b.Peers {
			h := v.log(p.Operator)
			if h == nil || h.operator == b.Operator || p.Origin != h.keys.Origin {
				continue
			}
			if p.Log.Size > h.checkpoint.Head.Size {
				if q := v.lastQuoted[h.keys.Origin]; p.Log.Size > q.Size {
					v.lastQuoted[h.keys.Origin] = quoted{p.Log, b.Operator, b.Created}
				}
				continue
			}
			if got, err := h.head(p.Log.Size); err == nil && got == p.Log {
				continue
			}
			how := fmt.Sprintf("%s saw another root of it at %d entries, as its heartbeat of %s says", b.Operator, p.Log.Size, statement.FormatTime(b.Created))
			if _, took := h.has(tlog.KindHeartbeat, b.ID); took {
				v.report.fail("operator "+h.operator, oneHistory, how+", and it took that heartbeat: the log was rewritten, or forked")
			} else {
				v.contradict(h, b.Operator, how)
			}
		}
	}
}

const oneHistory = "its log shows everybody one history"

// contradict says that a log and another operator cannot both be right.
func (v *verifier) contradict(h *history, other, how string) {
	v.report.fail("circle", "what its operators tell of one another agrees", fmt.Sprintf("of the log of %s: %s. The log was rewritten, or forked, or %s lies", h.operator, how, other))
}

// holdTo wants a log to have had a head that it signed.
func (v *verifier) holdTo(h *history, head tlog.Head, how string) {
	if head.Size > h.checkpoint.Head.Size {
		return
	}
	if got, err := h.head(head.Size); err != nil || got != head {
		v.report.fail("operator "+h.operator, oneHistory, fmt.Sprintf("as %s it signed another root at %d entries: the log was rewritten, or forked", how, head.Size))
	}
}

// checkQuoted wants a log to be as large as the largest that others say they saw of it.
func (v *verifier) checkQuoted(h *history) {
	q := v.lastQuoted[h.keys.Origin]
	if q.by == "" || slices.ContainsFunc(v.report.Lagging, func(l *LagError) bool { return l.Origin == h.keys.Origin }) {
		return
	}
	lag := &LagError{h.keys.Origin, h.operator, h.checkpoint.Head.Size, q.Size, q.by}
	v.report.fail("circle", "what its operators tell of one another agrees", lag.Error()+"; or "+q.by+" lies")
	v.report.Lagging = append(v.report.Lagging, lag)
}

// checkCopy holds a further copy of a log to the largest.
func (v *verifier) checkCopy(h *history) {
	i := slices.IndexFunc(v.logs, func(o *history) bool { return o.keys.Origin == h.keys.Origin })
	if i < 0 {
		return
	}
	whole := v.logs[i]
	for n := range v.report.Logs {
		if v.report.Logs[n].Origin == h.keys.Origin {
			v.report.Logs[n].Copies = append(v.report.Logs[n].Copies, h.source)
		}
	}
	if got, err := whole.head(h.checkpoint.Head.Size); err != nil || got != h.checkpoint.Head {
		v.report.fail("operator "+whole.operator, oneHistory, fmt.Sprintf("%s and %s show two that differ within their first %d entries: the log forked", whole.source, h.source, h.checkpoint.Head.Size))
	}
}

// checkSeen wants a log to have grown from a checkpoint that it signed, which the reader remembers, or another operator's node shows. A checkpoint that
// it did not sign says something of who shows it only.
func (v *verifier) checkSeen(signed []byte, by, where string, remembered bool) {
	origin := tlog.Request{Checkpoint: signed}.Origin()
	k, announced := v.announced[origin]
	i := slices.IndexFunc(v.logs, func(h *history) bool { return h.keys.Origin == origin })
	if i < 0 {
		switch {
		case !remembered:
		case announced && v.log(k.Operator) != nil: // its node was restored, as is said above
			v.report.attend(fmt.Sprintf("the log of %s that was seen before ended when its node was restored", k.Operator))
		default:
			v.report.fail(fmt.Sprintf("log %.120q", origin), "it is shown still", "it was seen before, and is not among what was read")
		}
		return
	}
	h := v.logs[i]
	log, err := tlog.NewLogVerifier(h.keys.Origin, h.keys.Log)
	var c tlog.Checkpoint
	if err == nil {
		c, _, err = tlog.OpenCheckpoint(signed, log, nil)
	}
	v.signatures++
	switch {
	case err != nil:
		v.report.fail(where, "what it shows of the log of "+h.operator+" was signed by it", err.Error())
	case c.Head.Size > h.checkpoint.Head.Size:
		lag := &LagError{h.keys.Origin, h.operator, h.checkpoint.Head.Size, c.Head.Size, by}
		v.report.fail("operator "+h.operator, "its newest log is shown", lag.Error())
		v.report.Lagging = append(v.report.Lagging, lag)
	default:
		v.holdTo(h, c.Head, by+" shows")
	}
}

// errNone says that something was never told.
var errNone = errors.New("no log tells of it")

package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// checkLogs finds whose each log is, who cosigned it, and whether it is the one that others saw.
func (v *verifier) checkLogs() {
	v.announce()
	v.logs = slices.DeleteFunc(v.logs, func(h *history) bool { return !v.belongs(h) })
	v.collectQuotes()
	for _, h := range v.logs {
		v.checkLog(h)
	}
	for _, h := range v.copies {
		v.checkCopy(h)
	}
	for _, signed := range v.Seen {
		v.checkSeen(signed, "the reader", true)
	}
	for _, h := range v.logs {
		for _, signed := range h.seen {
			v.checkSeen(signed, h.operator, false)
		}
	}
	for _, o := range v.rosters.Newest().Operators {
		if !slices.ContainsFunc(v.logs, func(h *history) bool { return h.operator == o.Name }) {
			v.report.fail("operator "+o.Name, "its log is shown", "no log of it is among what was read: whatever it alone tells cannot be seen")
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
		if old, twice := v.announced[k.Origin]; twice && old.ID != k.ID {
			v.report.fail("operator "+o.Name, "its log has one key", fmt.Sprintf("its identity signed two statements of the keys of log %s", k.Origin))
		}
		v.announced[k.Origin] = k
	}
}

// nodeSigned says whether one of a doc's signatures is an identity's.
func (v *verifier) nodeSigned(identity []byte, d *doc) bool {
	for _, sig := range d.signatures {
		if len(sig) != nodeSignature {
			continue
		}
		v.signatures++
		if signet.VerifyNode(identity, d.statement, sig) == nil {
			return true
		}
	}
	return false
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
	h.operator = o.Name
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
	by, err := v.cosigners(h)
	if err != nil {
		r.fail(subject, "who cosigned its log is who it says", err.Error())
	}
	out.Cosigned = by
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
	v.checkQuoted(h)
	for _, n := range h.twice {
		r.fail(subject, "its log tells of each thing once", fmt.Sprintf("leaf %d tells again of %s %x, which stood before: something old is shown as new", n, h.leaves[n].Kind, h.leaves[n].ID[:6]))
	}
	if len(r.Claims) == before && err == nil {
		r.claim(Proved, subject, text, "every leaf was hashed up to the root that the log signed; what others saw of it before is part of it")
	}
	r.Logs = append(r.Logs, out)
}

// cosigners verifies a checkpoint's cosignatures. One by a key that nobody named counts for nothing, and somebody wants it to seem to count.
func (v *verifier) cosigners(h *history) (out []Cosigned, err error) {
	log, err := tlog.NewLogVerifier(h.keys.Origin, h.keys.Log)
	if err != nil {
		return nil, err
	}
	known, owner := slices.Clone(v.Witnesses), map[string]string{}
	for _, k := range v.announced {
		w, err := tlog.NewWitness(k.Name, k.Witness)
		if err != nil || slices.ContainsFunc(known, func(o tlog.Witness) bool { return o.Name() == k.Name }) {
			continue
		}
		known, owner[k.Name] = append(known, w), k.Operator
	}
	_, by, err := tlog.OpenCheckpoint(h.signed, log, known)
	if err != nil {
		return nil, err
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
		if !slices.Contains(labels, s) {
			return out, fmt.Errorf("%s cosigned it, a stranger: neither an operator's node nor a witness that the reader named", s)
		}
	}
	return out, err
}

// collectQuotes finds the heads of logs that other operators' heartbeats name.
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
		d.kind = heardOf
		for _, p := range b.Peers {
			h := v.log(p.Operator)
			if h == nil {
				continue
			}
			if q := v.lastQuoted[h.keys.Origin]; p.Log.Size > q.Size || q.by == "" {
				v.lastQuoted[h.keys.Origin] = quoted{p.Log, b.Operator, b.Created}
			}
			v.holdTo(h, p.Log, fmt.Sprintf("%s saw on %s", b.Operator, statement.FormatTime(b.Created)))
		}
	}
}

// heardOf marks heartbeats whose signature was verified.
const heardOf = "verified"

// holdTo wants a log to have had a head.
func (v *verifier) holdTo(h *history, head tlog.Head, how string) {
	if head.Size > h.checkpoint.Head.Size {
		return
	}
	if got, err := h.head(head.Size); err != nil || got != head {
		v.report.fail("operator "+h.operator, "its log shows everybody one history", fmt.Sprintf("as %s it had another root at %d entries: the log was rewritten, or forked", how, head.Size))
	}
}

// checkQuoted wants a log to be as large as the largest that others saw of it.
func (v *verifier) checkQuoted(h *history) {
	q := v.lastQuoted[h.keys.Origin]
	if q.by == "" || q.Size <= h.checkpoint.Head.Size {
		return
	}
	v.lags(h, q.Size, q.by)
}

// checkCopy holds a further copy of a log to the largest.
func (v *verifier) checkCopy(h *history) {
	i := slices.IndexFunc(v.logs, func(o *history) bool { return o.keys.Origin == h.keys.Origin })
	if i < 0 {
		return
	}
	whole := v.logs[i]
	if got, err := whole.head(h.checkpoint.Head.Size); err != nil || got != h.checkpoint.Head {
		v.report.fail("operator "+whole.operator, "its log shows everybody one history", fmt.Sprintf("%s and %s show two that differ within their first %d entries: the log forked", whole.source, h.source, h.checkpoint.Head.Size))
	}
}

// checkSeen wants a log to have grown from a checkpoint that it signed, which the reader remembers, or another operator's node shows.
func (v *verifier) checkSeen(signed []byte, by string, remembered bool) {
	origin := tlog.Request{Checkpoint: signed}.Origin()
	i := slices.IndexFunc(v.logs, func(h *history) bool { return h.keys.Origin == origin })
	if i < 0 {
		if remembered {
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
		v.report.fail("operator "+h.operator, "its log grew from what was seen before", fmt.Sprintf("what %s shows of it: %v", by, err))
	case c.Head.Size > h.checkpoint.Head.Size:
		v.lags(h, c.Head.Size, by)
	default:
		v.holdTo(h, c.Head, by+" shows")
	}
}

func (v *verifier) lags(h *history, size int64, by string) {
	lag := &LagError{h.keys.Origin, h.operator, h.checkpoint.Head.Size, size, by}
	v.report.fail("operator "+h.operator, "its newest log is shown", lag.Error())
	v.report.Lagging = append(v.report.Lagging, lag)
}

// errNone says that something was never told.
var errNone = errors.New("no log tells of it")

// lastTime is the time of a log's last leaf.
func (h *history) lastTime() time.Time {
	if len(h.leaves) == 0 {
		return time.Time{}
	}
	return h.leaves[len(h.leaves)-1].Time
}

package sos_test

import (
	"os"
	"strings"
	"testing"
)

// A mutant is the code with one rule removed. The judge must find it in the cell that is about it: a checker that lets it live would
// let the abuse live too.
type mutant struct {
	rule, file, old, new, cell string
}

var mutants = []mutant{
	{"the smaller of both clocks: not the wall's alone", "clock.go", "min(r.Wall.Sub(c.LastWall), r.Mono-c.LastMono)", "r.Wall.Sub(c.LastWall)", "S2 clocks"},
	{"the smaller of both clocks: not the monotonic one alone", "clock.go", "min(r.Wall.Sub(c.LastWall), r.Mono-c.LastMono)", "r.Mono-c.LastMono", "S2 a mono"},
	{"a gap between boots earns nothing", "clock.go", "if r.Boot == c.Boot {", "if true {", "S2 clocks"},
	{"a minute at most for one reading", "clock.go", "min(max(min(r.Wall.Sub(c.LastWall), r.Mono-c.LastMono), 0), MaxCredit)", "max(min(r.Wall.Sub(c.LastWall), r.Mono-c.LastMono), 0)", "S2 clocks"},
	{"the delay begins with the contest", "tick.go", "t.c.height, t.c.clock = height, t.c.clock.Again(t.r)", "t.c.height, t.c.clock.Credited = height, t.c.clock.Credited+2*MaxCredit", "S1"},
	{"not before D", "tick.go", "rest := c.trigger().Delay - c.clock.Credited; rest > 0", "rest := c.trigger().Delay - c.clock.Credited; rest > MaxCredit", "S1"},
	{"r operators consent", "tick.go", "n := c.plan.Live - len(c.Consents()); n > 0", "n := c.plan.Live - len(c.Consents()); n > 1", "S1"},
	{"the notices went out", "tick.go", "!t.c.told, !t.c.noticed", "!t.c.noticed", "S10"},
	{"the others know", "tick.go", "!t.c.told, !t.c.noticed(t.d.self), t.c", "!t.c.told, t.c", "S10"},
	{"in silence, every other node has seen it", "tick.go", "if c.request.Trigger == plan.Silence {", "if c.request.Trigger == plan.Silence && false {", "S10"},
	{"after a roll-back, the delay is counted anew", "tick.go", "	t.c.clock, t.c.at = t.c.clock.Again(t.r), 0\n	if t.c.state == Active &&", "	if t.c.state == Active &&", "S2 clocks"},
	{"what was given locks up when the window is over", "tick.go", "	case t.c.given(t.d.self):\n		t.step(LockUp, \"the window is over", "	case false:\n		t.step(LockUp, \"the window is over", "S13"},
	{"a closing names what has new shares", "activate.go", "case len(keys) == 0 || !slices.Equal(keys, t.c.Reshared()):", "case false:", "S12"},
	{"as many sign a closing as sign", "activate.go", "in := f.among(v.Signed); len(in) < f.threshold", "in := f.among(v.Signed); len(in) < f.threshold-1", "S12"},
	{"a lock-up lasts", "tick.go", "c.clock.Credited-c.at >= c.plan.LockUp", "c.clock.Credited-c.at >= c.plan.LockUp/2", "S12"},
	{"m − k + 1 guardians veto", "plan/need.go", "len(p.Guardians) - p.Quorum + 1", "len(p.Guardians) - p.Quorum + 2", "S4"},
	{"no fewer do", "plan/need.go", "len(p.Guardians) - p.Quorum + 1", "len(p.Guardians) - p.Quorum", "S4"},
	{"a subject that lives and signs cancels", "cancel.go", "slices.Contains(t.c.alive, s) && slices.Contains(t.c.signed, s)", "false", "S9"},
	{"life alone does not", "cancel.go", "slices.Contains(t.c.alive, s) && slices.Contains(t.c.signed, s)", "slices.Contains(t.c.alive, s)", "S9"},
	{"a coerced subject cannot", "plan/plan.go", "trigger != Compromise && trigger != Legal", "trigger != Compromise || trigger != Legal", "S9"},
	{"what was given is not taken for vetoed", "cancel.go", "case t.c.given(t.d.self):", "case false:", "S4"},
	{"one at a time", "start.go", "if open, ok := d.Open(); ok && !open.overrun() {", "if open, ok := d.Open(); ok && false {", "S5"},
	{"a repetition takes more", "plan/need.go", "if before > 0 {", "if false {", "S5"},
	{"it says how many came before", "start.go", "if q.Number < before {", "if false {", "S5"},
	{"a pause follows a veto", "start.go", "return c.byGuardians && ", "return false && c.byGuardians && ", "S5"},
	{"compromise takes more", "plan/need.go", "if trigger == Compromise {", "if false {", "S12"},
	{"who shares with a subject does not count", "start.go", "case m.role != act.Guardian || !ok || c.plan.Bound(g.Reach, c.request.Subjects) != \"\":", "case m.role != act.Guardian || !ok:", "S8"},
	{"who is against it does not count for it", "start.go", "case slices.ContainsFunc(c.vetoes, func(v mark) bool { return v.by == m.by }):", "case false:", "S8"},
	{"whom they tried to reach", "start.go", "c.request.Trigger == plan.Silence && !m.contacts", "false", "S8"},
	{"everybody counts once", "start.go", "	case !found:\n		return", "	case !found || true:\n		return", "S8"},
	{"the subject is silent", "start.go", "silent < need", "false", "S6"},
	{"in its time", "start.go", "if !t.r.Wall.Before(t.c.request.Expires) {", "if false {", "S6"},
	{"under the charter in force", "start.go", "if q.Charter != d.plan.Charter {", "if false {", "S6"},
	{"in the epochs in force", "start.go", "if !slices.ContainsFunc(v.Of(q.Subjects), func(keys []act.Key) bool { return slices.Equal(q.Keys, keys) }) {", "if false {", "S6"},
	{"the plan that it began with", "docket.go", "	d.plan = p\n	return d", "	d = d.clone()\n	for i := range d.cases {\n		d.cases[i].plan = p\n	}\n	d.plan = p\n	return d", "S7"},
	{"every other contributor says that there is no veto", "release.go", "if name != d.self && !said[name] {", "if false {", "S4"},
	{"so do witnesses", "release.go", "if standing < need {", "if false {", "S4"},
	{"to this node's own question", "release.go", "|| v.Nonce != q.Nonce ", "", "S4"},
	{"a log that is shorter than others know", "release.go", "v.Log.Size > own.Log.Size", "false", "S2 snap"},
	{"a veto ends what has not been given", "moves.go", "Active:   {mCount, mObject, mRefute, mRefute,", "Active:   {mCount, mStay, mRefute, mRefute,", "S4"},
	{"so does the subject, in ACTIVE", "moves.go", "Active:   {mCount, mObject, mRefute, mRefute,", "Active:   {mCount, mObject, mStay, mStay,", "S9"},
	{"not after the window", "release.go", "case c.closing(r): // S1", "case false: // S1", "S1 early"},
	{"once", "release.go", "o.attempt >= a.attempt && ", "false && ", "S1"},
	{"not beside a forked log", "release.go", "		if slices.Contains(d.forked, name) {\n			return", "		if false {\n			return", "S13"},
	{"guardians wait", "guardian.go", "case now.Before(from):", "case false:", "liars, all"},
	{"guardians count from their own sight", "guardian.go", "start, ahead := later(seen, b.Request.Created), Ahead", "start, ahead := time.Time{}, Ahead", "liars, all"},
	{"guardians heed vetoes", "guardian.go", "if len(c.Vetoes()) >= p.Vetoes() {", "if false {", "liars, all"},
	{"nothing ordinary runs", "gate.go", "	if w == Ordinary {\n		for _, c := range d.cases {\n			if c.state.Holds() {", "	if w == Ordinary {\n		for _, c := range d.cases {\n			if false {", "S11"},
	{"nor changes", "gate.go", "if c.state.Holds() && !(w == ExportKey && c.exports()) && (!c.overrun() || w == NewCommittee || w == ExportKey) {", "if false {", "S11"},
	{"a contest holds, too", "state.go", "return Declared <= s && s <= LockUp", "return Active <= s && s <= LockUp", "S11"},
	{"only to rescue addresses", "outflow.go", "if !c.plan.Rescues(o.Chain, f.To) {", "if false {", "S11"},
	{"on their own chain", "plan/check.go", "return d.Chain == chain && Same(chain, d.Address, address)", "return Same(chain, d.Address, address)", "S11"},
	{"under the caps", "outflow.go", "ok && sum > most-min(used, most)", "ok && sum > most", "S11"},
	{"exactly the protective calls", "plan/check.go", " && slices.Equal(c.Data, data)", "", "S11"},
	{"so many times", "outflow.go", "if made := c.beside(o, Call, call.Name); made >= int64(call.Times) {", "if made := c.beside(o, Call, call.Name); false {", "S11"},
	{"another slot counts beside", "outflow.go", "(s.slot == [32]byte{} || s.slot != o.Slot)", "s.slot != o.Slot", "S11"},
	{"of one slot the largest counts", "outflow.go", "max(c.spent[i].amount, sums[asset])", "sums[asset]", "S11"},
	{"and no longer than ACTIVE", "outflow.go", "!ok || c.state != Active {", "!ok {", "S12"},
	{"no dust", "outflow.go", "f.Amount <= 0 || f.Amount < feeIn(o, f.Asset)", "false", "S11"},
	{"no fee that burns", "outflow.go", "o.Usual <= 0 || f.Amount > FeeTimes*min(o.Usual, math.MaxInt64/FeeTimes)", "false", "S11"},
	{"something moves", "outflow.go", "if moves == 0 && calls != 1 || moves > 0 && calls > 0 {", "if false {", "S11"},
	{"only transactions", "outflow.go", "if !o.Transaction {", "if false {", "S11"},
	{"by key, whatever the vault is called", "outflow.go", "o.Vault == c.plan.Name || slices.ContainsFunc(c.request.Keys, func(k keyEpoch) bool { return k.Key == o.Key })", "o.Vault == c.plan.Name", "S11"},
	{"nothing leaves a rescue vault", "outflow.go", "		return fmt.Errorf(\"%w: a rescue vault signs", "		return nil\n		return fmt.Errorf(\"%w: a rescue vault signs", "S12"},
	{"a store that is read again", "codec.go", "c.told, c.height = d.Uint(tagTold, 1) == 1, d.Uint(tagHeight, 1<<63)", "c.told, c.height = d.Uint(tagTold, 1) == 2, d.Uint(tagHeight, 1<<63)", "S14"},
}

// Every mutant changes one place of the code as it is now. They are tried every night (TestMutantsAreFound).
func TestMutantsAreOfThisCode(t *testing.T) {
	for _, m := range mutants {
		src, err := os.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), m.old); n != 1 || m.new == m.old {
			t.Errorf("%s: %s holds %q %d times", m.rule, m.file, m.old, n)
		}
	}
}

package verify

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/vetted"
)

// What nodes found of one another's hardware stands in their logs, and so does on which of it each session rests (spec/verify 4.12). A node is held to its
// own log alone: which charter was in force when, what it had found by then, and with whom it says that it met. Nothing that another tells convicts it.

// amended is how long after a charter came into force a session may still rest on the one before: both may have been on their way.
const amended = 5 * time.Minute

// A ruling is a charter that a log says came into force.
type ruling struct {
	charter.Charter
	at time.Time
}

// vetting is one log's story, as it is walked.
type vetting struct {
	h        *history
	charters []ruling                   // in force here, the newest last
	records  map[[32]byte]vetted.Record // so far, by id
	asked    map[[32]byte]int           // so far, by nonce: the leaf of its record
	met      map[[32]byte]int           // by session: the leaf that says on what it rests
	lost     bool                       // something came into force here that no log shows: from then on nobody can tell what was demanded
}

// A found is what one log holds of an operator's hardware.
type found struct {
	vetted.Record
	again bool // the reader judged its evidence anew
}

func (v *verifier) checkVetted() {
	if !slices.ContainsFunc(v.history, func(c charter.Charter) bool { return len(c.Demands) > 0 }) {
		return
	}
	last := map[string]map[string]found{} // by operator, and by whose log
	for _, h := range v.logs {
		w := &vetting{h: h, records: map[[32]byte]vetted.Record{}, asked: map[[32]byte]int{}, met: map[[32]byte]int{}}
		for i, l := range h.leaves {
			if l.Kind == tlog.KindMet {
				w.met[l.About] = i
			}
		}
		for i, l := range h.leaves {
			switch l.Kind {
			case tlog.KindInForce:
				c, ok := v.history.Version(statement.ID(l.ID))
				if ok {
					w.charters = append(w.charters, ruling{c, l.Time})
				}
				w.lost = w.lost || !ok && !slices.ContainsFunc(v.rosters, func(r charter.Roster) bool { return [32]byte(r.ID) == l.ID })
			case tlog.KindVetted:
				v.takeVetted(w, i, l, last)
			case tlog.KindSession:
				v.checkMet(w, i, l)
			}
		}
	}
	v.sayVetted(last)
}

const writesWhatItFound = "what it writes down of others' hardware is what it could find"

// takeVetted takes a record, held to the charter that its log had in force.
func (v *verifier) takeVetted(w *vetting, i int, l tlog.Leaf, last map[string]map[string]found) {
	d := v.docs[l.ID]
	if d == nil {
		return // withheld: nothing rests on it
	}
	subject := "operator " + w.h.operator
	r, err := vetted.Decode(d.content)
	if err != nil {
		v.report.fail(subject, writesWhatItFound, fmt.Sprintf("leaf %d: %v", i, err))
		return
	}
	c, known := v.history.Version(r.Charter)
	x, demanded := c.Demand(r.Operator)
	_, is := c.Station(r.Operator)
	switch {
	case !known && w.lost:
		return // that it is not shown is said elsewhere
	case !known:
		v.report.fail(subject, writesWhatItFound, fmt.Sprintf("leaf %d names charter %s, which was never in force", i, r.Charter.Short()))
		return
	case !r.Asker.Equal(w.h.keys.Identity) || !is || !demanded || r.Demand != x.Hash() || !v.identityOf(c, r):
		v.report.fail(subject, writesWhatItFound, fmt.Sprintf("leaf %d tells of %s what its charter did not ask, or of another node", i, r.Operator))
		return
	}
	// A node that was put back may tell the same once more; of one question it can have found nothing else.
	if first, again := w.asked[r.Nonce]; again && w.h.leaves[first].ID != l.ID {
		v.report.fail(subject, writesWhatItFound, fmt.Sprintf("leaf %d tells of %s by the nonce of leaf %d: an answer is to one question, of one time and one process", i, r.Operator, first))
		return
	}
	w.asked[r.Nonce] = i
	switch {
	case r.Why != "":
		w.records[l.ID] = r
		return
	}
	if err := r.Meets(x, r.At); err != nil {
		v.report.fail(subject, writesWhatItFound, fmt.Sprintf("leaf %d holds the evidence of %s good: %v", i, r.Operator, err))
		return
	}
	f := found{Record: r}
	if v.Vetted != nil {
		var lacks *attest.UnknownError
		switch err := v.Vetted(r, x); {
		case err == nil:
			f.again = true
		case errors.As(err, &lacks):
			v.report.attend(fmt.Sprintf("evidence of what the node of %s runs on, in the log of %s, is not judged here: %s", r.Operator, w.h.operator, lacks.Lacks))
		default:
			v.report.failAs(Attested, subject, writesWhatItFound, "the evidence in its log, judged as of when it was", fmt.Sprintf("leaf %d holds the evidence of %s good, and it is not: %v", i, r.Operator, err))
			return
		}
	}
	w.records[l.ID] = r
	if last[r.Operator] == nil {
		last[r.Operator] = map[string]found{}
	}
	if old, ok := last[r.Operator][w.h.operator]; !ok || !f.At.Before(old.At) {
		last[r.Operator][w.h.operator] = f
	}
}

func (v *verifier) identityOf(c charter.Charter, r vetted.Record) bool {
	o, _ := c.Station(r.Operator)
	return r.Identity.Equal(o.Identity)
}

const meetsWhoShowed = "it holds sessions only with nodes that showed what they run on, where the charter demands it"

// checkMet holds a session of a node to what its own log had by then.
func (v *verifier) checkMet(w *vetting, i int, l tlog.Leaf) {
	n := len(w.charters)
	if n == 0 || w.lost {
		return
	}
	// By the node's own clock alone: what it looked at then, it looked at by that.
	at, subject := l.Time, "operator "+w.h.operator
	now := w.charters[n-1]
	rules := []charter.Charter{now.Charter}
	if n > 1 && at.Sub(now.at) <= amended {
		rules = append(rules, w.charters[n-2].Charter)
	}
	m, told := w.met[l.ID]
	var meeting vetted.Meeting
	if told {
		if d := v.docs[w.h.leaves[m].ID]; d != nil {
			var err error
			if meeting, err = vetted.DecodeMeeting(d.content); err != nil || meeting.Session != l.ID {
				v.report.fail(subject, meetsWhoShowed, fmt.Sprintf("leaf %d does not say on what its session rests", m))
				return
			}
		} else {
			return // withheld
		}
	}
	for _, with := range meeting.With {
		why := unshown(w, rules, with, at)
		if why != "" && meeting.Emergency != [32]byte{} && with.Record == [32]byte{} {
			v.report.attend(fmt.Sprintf("leaf %d of the log of %s: a session of %s carried out an emergency with %s, which had not shown what it runs on, though the charter demands it; by %s", i, w.h.operator, statement.FormatTime(at), with.Operator, v.activation(meeting.Emergency)))
			continue
		}
		if why != "" {
			v.report.fail(subject, meetsWhoShowed, fmt.Sprintf("leaf %d: a session of %s with %s: %s", i, statement.FormatTime(at), with.Operator, why))
		}
	}
	if !told && len(rules) == 1 && at.Sub(now.at) > amended && v.allDemanded(now.Charter, w.h.operator) {
		v.report.fail(subject, meetsWhoShowed, fmt.Sprintf("leaf %d: a session of %s with others, of all of whom the charter demands to see what they run on, and its log does not say that it looked", i, statement.FormatTime(at)))
		return
	}
	v.doubtMet(w, i, l, now.Charter, meeting, at)
}

// activation names the activation of an emergency, which lets off who has nothing to show (spec/charter 10.5), and says if no log shows it.
func (v *verifier) activation(id [32]byte) string {
	if d := v.docs[id]; d != nil {
		if _, err := statement.ParseKind(d.content, statement.SOSActivation); err == nil {
			return "activation " + statement.ID(id).Short()
		}
	}
	return "activation " + statement.ID(id).Short() + ", WHICH NO LOG SHOWS HERE: ask that operator for it"
}

// unshown says why a session should not have been held with somebody; empty if it rests on a record as it should, under one of these charters.
func unshown(w *vetting, rules []charter.Charter, with vetted.With, at time.Time) (why string) {
	for _, c := range rules {
		x, demanded := c.Demand(with.Operator)
		if !demanded {
			return ""
		}
		r, ok := w.records[with.Record]
		switch {
		case with.Record == [32]byte{}:
			why = "its log says that nothing was demanded, and the charter did"
		case !ok:
			why = "the record that it names does not stand in its log before it, or says otherwise"
		default:
			err := r.Meets(x, at)
			if err == nil {
				return ""
			}
			why = err.Error()
		}
	}
	return why
}

// allDemanded says whether a charter demands evidence of everybody but one who ever stood in the roster.
func (v *verifier) allDemanded(c charter.Charter, but string) bool {
	for _, r := range v.rosters {
		for _, o := range r.Operators {
			if _, demanded := c.Demand(o.Name); !demanded && o.Name != but {
				return false
			}
		}
	}
	return true
}

// doubtMet finds a session that another's log tells too, of whom this one shows nothing. Which of the two lies the logs do not say: the other may tell of a
// session that it was not in.
func (v *verifier) doubtMet(w *vetting, i int, l tlog.Leaf, c charter.Charter, m vetted.Meeting, at time.Time) {
	if at.Sub(w.charters[len(w.charters)-1].at) <= amended {
		return
	}
	for _, o := range v.logs {
		_, in := o.has(tlog.KindSession, l.ID)
		_, demanded := c.Demand(o.operator)
		if !in || !demanded || o == w.h || slices.ContainsFunc(m.With, func(x vetted.With) bool { return x.Operator == o.operator }) {
			continue
		}
		v.report.attend(fmt.Sprintf("leaf %d of the log of %s tells of a session of %s that %s tells of too, and does not name it: %s did not look at what %s runs on, or %s was not in it", i, w.h.operator, statement.FormatTime(at), o.operator, w.h.operator, o.operator, o.operator))
	}
}

// sayVetted says of each operator what is known of the machine that its node runs on.
func (v *verifier) sayVetted(last map[string]map[string]found) {
	c, ok := v.history.Newest()
	if !ok || len(c.Demands) == 0 {
		return
	}
	devices := map[string][]string{}
	for _, o := range v.rosters.Newest().Operators {
		subject := "operator " + o.Name
		x, demanded := c.Demand(o.Name)
		if !demanded {
			v.report.claim(Declared, subject, "evidence of what its node runs on: "+vetted.ClassNone, "the charter demands none of it: what runs there is its own word")
			continue
		}
		all := v.machines(last[o.Name], x, o.Name)
		if len(all) == 0 {
			v.report.attend(fmt.Sprintf("the charter demands to see what the node of %s runs on, and no other operator's log holds evidence that counts now", o.Name))
			continue
		}
		for _, m := range all {
			v.sayMachine(o.Name, m)
			// A device that stands in somebody's record alone convicts nobody of sharing it, where there is evidence that was judged.
			if m.Device != "" && m.again == all[0].again && !slices.Contains(devices[m.Device], o.Name) {
				devices[m.Device] = append(devices[m.Device], o.Name)
			}
		}
		for i := range v.report.Operators {
			if m := all[0]; v.report.Operators[i].Name == o.Name {
				v.report.Operators[i].Hardware = &Hardware{m.class(), m.Kind, m.Name, m.Measurement, m.Device, m.At, m.by}
			}
		}
		if slices.ContainsFunc(all, func(m machine) bool { return !m.same(all[0].Record) }) {
			v.report.attend(fmt.Sprintf("not all logs that hold evidence of the node of %s tell of one machine: it was moved, and not all have looked since, or one of them is wrong", o.Name))
		}
	}
	for device, names := range devices {
		if len(names) > 1 {
			slices.Sort(names)
			v.report.attend(fmt.Sprintf("the nodes of %s show one piece of hardware (%s): who reaches it reaches all of them", strings.Join(names, " and "), device))
		}
	}
}

// A machine is what some logs hold of an operator's hardware, and those logs alone: what one says is said in no other's name.
type machine struct {
	vetted.Record          // the newest of them
	by            []string // ascending
	again         bool     // the reader judged the evidence of each of them anew
}

func (m machine) same(r vetted.Record) bool {
	return m.Kind == r.Kind && m.Name == r.Name && m.Measurement == r.Measurement && m.Device == r.Device
}

func (m machine) class() string {
	if m.again {
		return vetted.ClassRecorded
	}
	return vetted.ClassTold
}

// machines are those that the logs of others name now: what the reader judged apart from what it did not, or whoever leaves out of its own record what it
// takes to judge it would speak in the name of evidence that was judged. What was judged comes first, and then what is newest.
func (v *verifier) machines(held map[string]found, x charter.Demand, operator string) (all []machine) {
	for _, by := range slices.Sorted(maps.Keys(held)) {
		f := held[by]
		if by == operator || f.Meets(x, v.Now) != nil {
			continue
		}
		i := slices.IndexFunc(all, func(m machine) bool { return m.again == f.again && m.same(f.Record) })
		if i < 0 {
			all = append(all, machine{f.Record, []string{by}, f.again})
			continue
		}
		all[i].by = append(all[i].by, by)
		if f.At.After(all[i].At) {
			all[i].Record = f.Record
		}
	}
	slices.SortStableFunc(all, func(a, b machine) int {
		if a.again != b.again {
			return map[bool]int{true: -1, false: 1}[a.again]
		}
		return b.At.Compare(a.At)
	})
	return all
}

// sayMachine claims of an operator's hardware what these logs hold of it, and no more.
func (v *verifier) sayMachine(operator string, m machine) {
	class, basis := Declared, "each of them says that it asked with a nonce of its own and judged the answer, as its own log tells; the reader judged none of it"
	if m.again {
		class, basis = Attested, "the reader judged the evidence in those logs anew, as of when it was made; that its nonces were new is the word of who asked"
	}
	if m.Kind == charter.KindTPM {
		basis += "; that a TPM's keys lie in one TPM, each saw by a challenge of its own"
	}
	if m.again && (m.Kind == charter.KindSEVSNP || m.Kind == charter.KindTDX) {
		basis += "; what its maker had withdrawn by then, as the evidence itself has it, perhaps from an older list"
	}
	if m.Notes != "" {
		basis += "; whoever asked last notes: " + m.Notes
	}
	on := m.Device
	if on == "" {
		on = "hardware that does not say which it is"
	}
	v.report.claim(class, "operator "+operator, fmt.Sprintf("its node runs %s (%s) on %s, %s by %s, at %s", m.Name, m.Kind, on, m.class(), strings.Join(m.by, ", "), statement.FormatTime(m.At)), basis)
}

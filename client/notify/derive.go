package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// An Event is something that people are told once.
type Event struct {
	Key   string // what happened: two events of one key are one
	Type  string
	Vault string // name; empty: it is about no single vault
	Time  time.Time
	Data  any // as JSON
}

// Known is what was told before, or was so already at the first look.
type Known struct {
	Since   time.Time               `json:"since"` // of the first look; zero: there was none
	Version int64                   `json:"version"`
	Intents map[string]KnownIntent  `json:"intents"` // by id
	Pending map[string]KnownPending `json:"pending"` // by id
	Frozen  map[string][]string     `json:"frozen"`  // by vault's id: operator and end of each freeze, ascending
	Revoked map[string]bool         `json:"revoked"` // by person and key
	Nodes   map[string]KnownNode    `json:"nodes"`   // by name; those that count are not listed
	Apart   map[string]time.Time    `json:"apart"`   // by what: when it was seen last

	SOS map[string]KnownRescue `json:"sos,omitempty"` // by vault's id

	Verified *KnownVerified `json:"verified,omitempty"` // of verifications; nil: there was none
}

// KnownIntent lists the events of an intent that were told.
type KnownIntent struct {
	Told   []string `json:"told,omitempty"`
	Alarms []string `json:"alarms,omitempty"` // operator/hash of the text
}

// KnownPending is how far a version that waits was told.
type KnownPending struct {
	Version uint64   `json:"version"`
	Signed  []string `json:"signed"` // when it was seen first
	Stage   string   `json:"stage"`  // signatures or delay; empty: not told
	Vetoed  bool     `json:"vetoed"`
}

// KnownNode is since when a node does not count.
type KnownNode struct {
	Since time.Time `json:"since"`
	Told  string    `json:"told"` // NodeSilent or NodeFailing; empty: not yet
}

// Bounds of what one liar can have told.
const (
	maxAlarms  = 4            // of an intent about one operator
	maxPending = 16           // versions of one number that one operator signed
	apartPause = time.Hour    // a contradiction that comes and goes is told once in so long
	maxInForce = 32           // versions that came into force since the last look
	maxChanges = 40           // of a version that are listed, looser ones first
	maxText    = 500          // bytes of a node's own words
	ellipsis   = "…"          // after what was cut
	stageSign  = "signatures" // a version waits for officers
	stageDelay = "delay"      // a version waits for its time
	ended      = "ended"      // as client.Ended
)

// NewKnown knows nothing.
func NewKnown() Known {
	return Known{
		Version: -1, Intents: map[string]KnownIntent{}, Pending: map[string]KnownPending{}, Frozen: map[string][]string{}, Revoked: map[string]bool{},
		Nodes: map[string]KnownNode{}, Apart: map[string]time.Time{},
	}
}

// look is one comparison of what was known with what is shown.
type look struct {
	known Known
	shown Shown
	now   time.Time
	first bool            // nothing was known: only what is still open is told
	holds map[string]bool // nodes that count
	out   []Event
}

// Derive finds what is new: previous state and what the nodes show now give the events and the next state. It alters nothing that it is given. A
// node is told of once it does not count for so long as patience. The first look takes the present as known and tells what is still open; it wants
// more than half of the context's nodes.
func Derive(known Known, shown Shown, now time.Time, patience time.Duration) (Known, []Event) {
	l := &look{known: known.clone(), shown: shown, now: now.UTC().Truncate(time.Second), first: known.Since.IsZero(), holds: map[string]bool{}}
	for _, n := range shown.Nodes {
		if n.Kind == "" {
			l.holds[n.Name] = true
		}
	}
	l.verified()
	l.nodes(patience)
	l.apart()
	if !shown.Whole || l.first && 2*len(l.holds) <= len(shown.Nodes) {
		return l.known, l.out
	}
	if l.first {
		l.known.Since = l.now
	}
	for _, i := range shown.Intents {
		l.intent(i)
	}
	l.enacted()
	for _, p := range shown.Pending {
		l.pending(p)
	}
	l.freezes()
	l.revoked()
	l.rescues()
	return l.known, l.out
}

func (k Known) clone() Known {
	k.Intents, k.Pending, k.Frozen, k.Revoked = maps.Clone(k.Intents), maps.Clone(k.Pending), maps.Clone(k.Frozen), maps.Clone(k.Revoked)
	k.Nodes, k.Apart, k.SOS = maps.Clone(k.Nodes), maps.Clone(k.Apart), maps.Clone(k.SOS)
	return k
}

func (l *look) tell(kind, vault string, data any, about ...string) {
	l.out = append(l.out, Event{Key: kind + "/" + strings.Join(about, "/"), Type: kind, Vault: vault, Time: l.now, Data: data})
}

// most says whether so many of the nodes that speak of a thing outvote the rest: one node alone does not where the context has two.
func (l *look) most(n, of int) bool { return 2*n > of && n >= min(2, len(l.shown.Nodes)) }

// settled is the state that most of the nodes that show the intent say; empty: none.
func (l *look) settled(i Intent) string {
	count, of := map[string]int{}, 0
	for node, state := range i.Says {
		if l.holds[node] {
			count[state]++
			of++
		}
	}
	for state, n := range count {
		if l.most(n, of) {
			return state
		}
	}
	return ""
}

// ends are the events of states in which an intent stays. With a verified signature only the last three count.
var ends = map[string]string{
	"denied": IntentDenied, "expired": IntentExpired, "cancelled": IntentClosed, ended: IntentClosed, "replaced": IntentClosed, "failed": IntentFailed,
}

func (l *look) intent(i Intent) {
	k, seen := l.known.Intents[i.ID]
	state := l.settled(i)
	end := ends[state]
	if i.Hash != "" && state != "replaced" && state != "failed" {
		end = ""
	}
	// It was over before the first look, and was not shown then.
	past := !seen && (i.Hash != "" || end != "") && (l.first || !i.Decided.IsZero() && i.Decided.Before(l.known.Since) || i.Decided.IsZero() && i.Expires.Before(l.known.Since))
	told := func(kind string) bool { return slices.Contains(k.Told, kind) }
	once := func(kind string) {
		if told(kind) {
			return
		}
		k.Told = append(slices.Clone(k.Told), kind)
		if !past {
			l.tell(kind, i.Vault, i.IntentData, i.ID)
		}
	}
	switch {
	case i.Hash != "":
		once(IntentSigned)
		if end != "" {
			once(end)
		}
	case end != "":
		once(end)
	case i.Waits && l.now.Before(i.Expires):
		once(IntentWaiting)
	}
	for _, a := range i.Alarms {
		sum := sha256.Sum256([]byte(a.Text))
		mark := hex.EncodeToString(sum[:8])
		same := 0
		for _, x := range k.Alarms {
			if operator, _, _ := strings.Cut(x, "/"); operator == a.Operator {
				same++
			}
		}
		if slices.Contains(k.Alarms, a.Operator+"/"+mark) || same >= maxAlarms {
			continue
		}
		k.Alarms = append(slices.Clone(k.Alarms), a.Operator+"/"+mark)
		if !past {
			l.tell(IntentAlarm, i.Vault, alarmData{i.IntentData, a.Operator, cut(a.Text)}, i.ID, a.Operator, mark)
		}
	}
	l.known.Intents[i.ID] = k
}

type alarmData struct {
	IntentData
	Operator string `json:"operator"`
	Alarm    string `json:"alarm"`
}

func (l *look) enacted() {
	if len(l.shown.Enacted) == 0 {
		return
	}
	newest := l.shown.Enacted[len(l.shown.Enacted)-1].Version
	for _, v := range l.shown.Enacted {
		if !l.first && int64(v.Version) > l.known.Version && newest-v.Version < maxInForce {
			l.tell(CharterInForce, "", v.short(), v.ID)
		}
	}
	l.known.Version = max(l.known.Version, int64(newest))
	for id, p := range l.known.Pending {
		if p.Version <= newest {
			delete(l.known.Pending, id)
		}
	}
}

type pendingData struct {
	Version
	Waits   string            `json:"waits"` // signatures or delay
	Signed  []string          `json:"signed"`
	Missing []string          `json:"missing"`
	Vetoed  []string          `json:"vetoed"`
	Due     map[string]string `json:"due"` // by node
}

// short keeps the list of changes short, so that no length of it hides what is looser.
func (v Version) short() Version {
	all := slices.Clone(v.Changes)
	slices.SortStableFunc(all, func(a, b Change) int {
		switch {
		case a.Looser == b.Looser:
			return 0
		case a.Looser:
			return -1
		}
		return 1
	})
	v.More = max(0, len(all)-maxChanges)
	v.Changes = []Change{}
	for _, c := range all[:len(all)-v.More] {
		v.Changes = append(v.Changes, Change{cut(c.What), cut(c.Was), cut(c.Is), c.Looser})
	}
	return v
}

func (l *look) pending(p Pending) {
	if int64(p.Version.Version) <= l.known.Version {
		return
	}
	k, seen := l.known.Pending[p.ID]
	if !seen {
		if !l.room(p) {
			return
		}
		k = KnownPending{Version: p.Version.Version, Signed: slices.Clone(p.Signed)}
	}
	d, of := pendingData{p.Version.short(), stageSign, p.Signed, p.Missing, p.Vetoed, map[string]string{}}, 0
	for node, at := range p.Due {
		if l.holds[node] {
			of++
		}
		if l.holds[node] && !at.IsZero() {
			d.Due[node] = at.UTC().Format(time.RFC3339)
		}
	}
	if len(p.Missing) == 0 && l.most(len(d.Due), of) {
		d.Waits = stageDelay
	}
	switch {
	case len(p.Vetoed) > 0:
		if !k.Vetoed && !l.first {
			l.tell(CharterVetoed, "", d, p.ID)
		}
		k.Vetoed = true
	case k.Stage == "" || k.Stage == stageSign && d.Waits == stageDelay:
		l.tell(CharterPending, "", d, p.ID, d.Waits)
		k.Stage = d.Waits
	}
	l.known.Pending[p.ID] = k
}

// room says whether one of the operators that signed a version has not had too many told: who floods fills their own room alone, and a draft that
// nobody signed has none.
func (l *look) room(p Pending) bool {
	return slices.ContainsFunc(p.Signed, func(name string) bool {
		n := 0
		for _, k := range l.known.Pending {
			if k.Version == p.Version.Version && slices.Contains(k.Signed, name) {
				n++
			}
		}
		return n < maxPending
	})
}

func (l *look) freezes() {
	says := map[string]map[string]bool{} // vault → nodes that show any freeze of it
	for _, f := range l.shown.Freezes {
		if says[f.VaultID] == nil {
			says[f.VaultID] = map[string]bool{}
		}
		f.Nodes = slices.DeleteFunc(slices.Clone(f.Nodes), func(node string) bool { return !l.holds[node] })
		for _, n := range f.Nodes {
			says[f.VaultID][n] = true
		}
		f.Reason = cut(f.Reason)
		mark := f.Operator + " " + f.Expires
		if at, known := slices.BinarySearch(l.known.Frozen[f.VaultID], mark); !known && l.most(len(f.Nodes), len(l.holds)) {
			l.known.Frozen[f.VaultID] = slices.Insert(slices.Clone(l.known.Frozen[f.VaultID]), at, mark)
			l.tell(VaultFrozen, named(f.Vault, f.VaultID), f, f.VaultID, mark)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.known.Frozen)) {
		if l.most(len(l.holds)-len(says[id]), len(l.holds)) {
			name := l.shown.Vaults[id]
			l.tell(VaultUnfrozen, named(name, id), unfrozenData{name, id}, append([]string{id}, l.known.Frozen[id]...)...)
			delete(l.known.Frozen, id)
		}
	}
}

// named is what filters call a vault: one that the person does not see has no name here, and is still not theirs.
func named(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

type unfrozenData struct {
	Vault   string `json:"vault"`
	VaultID string `json:"vault_id"`
}

func (l *look) revoked() {
	for _, r := range l.shown.Revoked {
		if mark := r.Person + " " + r.Key; !l.known.Revoked[mark] {
			l.known.Revoked[mark] = true
			if !l.first {
				l.tell(KeyRevoked, "", r, mark)
			}
		}
	}
}

type nodeData struct {
	Node   string `json:"node"`
	Since  string `json:"since"`
	Reason string `json:"reason"`
}

func (l *look) nodes(patience time.Duration) {
	listed := map[string]bool{}
	for _, n := range l.shown.Nodes {
		listed[n.Name] = true
		k, away := l.known.Nodes[n.Name]
		since := func() string { return strconv.FormatInt(k.Since.Unix(), 10) }
		switch {
		case n.Kind == "" && away:
			if k.Told != "" {
				l.tell(NodeBack, "", nodeData{n.Name, k.Since.Format(time.RFC3339), ""}, n.Name, since())
			}
			delete(l.known.Nodes, n.Name)
		case n.Kind != "":
			if !away {
				k.Since = l.now
			}
			if worse := n.Kind == NodeFailing && k.Told == NodeSilent; l.now.Sub(k.Since) >= patience && (k.Told == "" || worse) {
				l.tell(n.Kind, "", nodeData{n.Name, k.Since.Format(time.RFC3339), cut(n.Reason)}, n.Name, since())
				k.Told = n.Kind
			}
			l.known.Nodes[n.Name] = k
		}
	}
	maps.DeleteFunc(l.known.Nodes, func(name string, _ KnownNode) bool { return !listed[name] })
}

func (l *look) apart() {
	for _, a := range l.shown.Apart {
		if _, known := l.known.Apart[a.What]; !known {
			l.tell(NodesDiffer, "", a, a.What, l.now.Format(time.RFC3339))
		}
		l.known.Apart[a.What] = l.now
	}
	maps.DeleteFunc(l.known.Apart, func(_ string, last time.Time) bool { return l.now.Sub(last) > apartPause })
}

// cut keeps a node's own words short and on one line.
func cut(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // bidirectional marks and C1 controls too
			return ' '
		}
		return r
	}, text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + ellipsis
	}
	return text
}

// Title is an event in one line, for people.
func (e Event) Title() string {
	what := ""
	switch d := e.Data.(type) {
	case IntentData:
		what = d.title()
	case alarmData:
		what = fmt.Sprintf("%.8s: %s", d.ID, d.Alarm)
	case Version:
		what = fmt.Sprintf("version %d (%.8s)", d.Version, d.ID)
	case pendingData:
		what = fmt.Sprintf("version %d (%.8s) waits for %s", d.Version.Version, d.ID, d.Waits)
	case Freeze:
		what = fmt.Sprintf("%s by %s until %s", d.Vault, d.Operator, d.Expires)
	case unfrozenData:
		what = d.Vault
	case Revoked:
		what = fmt.Sprintf("%s of %s", d.Key, d.Person)
	case nodeData:
		what = strings.TrimSuffix(d.Node+" since "+d.Since+": "+d.Reason, ": ")
	case Apart:
		what = d.What
	case Finding:
		what = fmt.Sprintf("%s: “%s” does not hold: %s", d.Subject, d.Claim, d.Reason)
	case attentionData:
		what = d.What
	case Signature:
		what = fmt.Sprintf("%.8s of vault %s: %s, in %d logs", d.Request, d.Vault, withheld(d.What), d.InLogs)
	case Enactment:
		what = fmt.Sprintf("%s, version %d", d.Of, d.Version)
	case readyData:
		what = d.title()
	case stepData:
		what = fmt.Sprintf("%.8s of vault %s: %s, as %s says; %s of %s", d.Request, d.Vault, d.State, strings.Join(d.Nodes, ", "), d.Trigger, strings.Join(d.Subjects, ", "))
	case wellData:
		what = "all that was verified holds again"
	}
	return e.Type + " " + what
}

func withheld(what string) string {
	if what == "" {
		return "what for is withheld"
	}
	return what
}

func (d IntentData) title() string {
	amount := d.Units
	if amount == "" {
		amount = d.Amount
	}
	out := fmt.Sprintf("%.8s of vault %s", d.ID, d.Vault)
	if d.Operation != "" {
		out += fmt.Sprintf(": %s %s to %s", d.Operation, amount, d.Destination)
	}
	return out
}

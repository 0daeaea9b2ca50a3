package rescue

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

var (
	noon   = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	old    = act.Key{Key: [32]byte{1}, Epoch: [32]byte{11}}
	fresh  = act.Key{Key: [32]byte{1}, Epoch: [32]byte{12}}
	charta = statement.ID{8}
	vault  = statement.ID{9}
	live   = []string{"acme", "cora", "dora"}
)

const rescueAddress = "0x00000000000000000000000000000000000000aa"

func seed(name string) []byte { return append([]byte(name), make([]byte, 32-len(name))...) }

func node(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed("node " + name)) }

func pen(t testing.TB, name string) ssh.Signer {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed(name)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func people(t testing.TB) plan.Plan {
	key := func(name string) signet.Key {
		k, err := signet.ParseKey(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pen(t, name).PublicKey()))))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	operator := func(name string) plan.Operator {
		return plan.Operator{Name: name, Identity: node(name).Public().(ed25519.PublicKey), Officers: []signet.Key{key(name)}, Reach: plan.Reach{Organisations: []string{name}}}
	}
	p := plan.Plan{
		Charter: charta, Vault: vault, Name: "treasury", Threshold: 3, Live: 2, Quorum: 2, Starters: 2, Organisations: 2, Heartbeat: time.Hour,
		Window: 72 * time.Hour, LockUp: 14 * 24 * time.Hour, DrillEvery: 90 * 24 * time.Hour, Least: 2, Successors: []string{"dora"}, Witnesses: 1,
		Operators: []plan.Operator{operator("acme"), operator("bolt"), operator("cora")}, Others: []plan.Operator{operator("dora")},
		Triggers:     []plan.Trigger{{Name: plan.Legal, Delay: 72 * time.Hour}, {Name: plan.Refusal, After: 48 * time.Hour, Delay: 72 * time.Hour}, {Name: plan.Silence, After: 168 * time.Hour, Delay: 72 * time.Hour}},
		Destinations: []plan.Destination{{Name: "cold", Chain: "eip155:1", Address: rescueAddress, Vault: "cellar"}},
		Caps:         []plan.Cap{{Asset: "eth", Most: 100}},
		Tranches:     []plan.Tranche{{Asset: "eth", Most: 10, Every: 24 * time.Hour, Count: 3}},
		Calls:        []plan.Call{{Name: "pause", Chain: "eip155:1", To: "0x00000000000000000000000000000000000000bb", Data: []byte{1, 2}, Times: 1}},
	}
	for _, name := range []string{"gail", "gene", "gina"} {
		p.Guardians = append(p.Guardians, plan.Guardian{Name: name, Person: name, Organisation: name + " co", Key: key(name), Reach: plan.Reach{People: []string{name}, Organisations: []string{name + " co"}}})
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A tale is a story in the making: each log has its own leaves, one clock serves all.
type tale struct {
	t     testing.TB
	s     Story
	now   time.Time
	leaf  map[string]int
	names map[string]int // of what was said, by a name
	q     act.Request
	a     act.Activation

	renewed map[string]time.Time // logs that were begun anew
}

func (w *tale) later(d time.Duration) { w.now = w.now.Add(d) }

func (w *tale) salt() (s statement.Salt) {
	s[0], s[1] = byte(len(w.s.Said)), byte(len(w.s.Said)>>8)
	return s
}

// say writes a statement into these logs.
func (w *tale) say(name string, s statement.Statement, err error, sigs [][]byte, logs ...string) statement.ID {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(name, err)
	}
	said := Said{Statement: s, Signatures: sigs, Told: map[string]Place{}}
	for _, l := range logs {
		w.leaf[l]++
		said.Told[l] = Place{10 * w.leaf[l], w.now}
	}
	w.names[name] = len(w.s.Said)
	w.s.Said = append(w.s.Said, said)
	w.later(time.Second)
	return s.ID()
}

func (w *tale) byPerson(s statement.Statement, names ...string) (out [][]byte) {
	for _, name := range names {
		armored, err := signet.Sign(rand.Reader, pen(w.t, name), signet.Makes(s.Kind()), s.Bytes())
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, armored)
	}
	return out
}

func (w *tale) byNode(s statement.Statement, names ...string) (out [][]byte) {
	for _, name := range names {
		sig, err := signet.SignNode(node(name), s)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, sig)
	}
	return out
}

func (w *tale) support(role, by string) {
	v := act.Support{Head: w.q.Head(), Role: role, By: by, Created: w.now}
	if role == act.Guardian {
		v.Contacts = []string{"telephone: rang out"}
	}
	s, err := v.Statement(w.salt())
	w.say("support "+by, s, err, w.byPerson(s, by), live...)
}

func (w *tale) veto(by string, logs ...string) {
	s, err := act.Veto{Head: w.q.Head(), By: by, Reason: "I spoke to them", Created: w.now}.Statement(w.salt())
	w.say("veto "+by, s, err, w.byPerson(s, by), logs...)
}

func (w *tale) step(state string, credited time.Duration, nodes ...string) {
	for _, name := range nodes {
		s, err := act.Step{Head: w.q.Head(), Operator: name, State: state, Why: "so", Credited: credited, FirstSeen: w.now, Created: w.now}.Statement(w.salt())
		w.say(name+" "+state, s, err, w.byNode(s, name), live...)
	}
}

func (w *tale) request(name string, change func(*act.Request)) {
	r := act.Request{
		Charter: charta, Vault: vault, Trigger: plan.Silence, Subjects: []string{"bolt"}, Reason: "no sign of life for nine days", Keys: []act.Key{old},
		Role: act.Guardian, By: "gail", Created: w.now, Expires: w.now.Add(72 * time.Hour),
	}
	if change != nil {
		change(&r)
	}
	s, err := r.Statement(w.salt())
	w.say(name, s, err, w.byPerson(s, r.By), live...)
	if w.q, err = act.RequestOf(s); err != nil {
		w.t.Fatal(err)
	}
}

// begun is a tale up to ACTIVE at acme, cora and dora.
func begun(t testing.TB, more ...act.Key) *tale {
	return upToActive(t, func(w *tale) {
		for _, k := range more {
			e := w.s.Epochs[0]
			e.Key = k
			w.s.Epochs = append(w.s.Epochs, e)
		}
	}, func(q *act.Request) { q.Keys = append(q.Keys, more...) })
}

// refused is one whose subject lives, and does not sign.
func refused(t testing.TB, challenge func(*act.Challenge), change func(*act.Request)) *tale {
	var id statement.ID
	return upToActive(t, func(w *tale) {
		v := act.Challenge{Charter: charta, Vault: vault, Operator: "bolt", Role: act.Operator, By: "acme", Created: w.now}
		if challenge != nil {
			challenge(&v)
		}
		s, err := v.Statement(w.salt())
		id = w.say("challenge", s, err, w.byPerson(s, v.By), live...)
		w.later(49 * time.Hour)
	}, func(r *act.Request) {
		r.Trigger, r.Challenge = plan.Refusal, id
		if change != nil {
			change(r)
		}
	})
}

func upToActive(t testing.TB, before func(*tale), change func(*act.Request)) *tale {
	w := &tale{t: t, now: noon, leaf: map[string]int{}, names: map[string]int{}, renewed: map[string]time.Time{}}
	p := people(t)
	w.s = Story{
		Grace: time.Hour, Vault: vault, Name: "treasury",
		Plan:    func(act.Request) (plan.Plan, error) { return p, nil },
		Charter: func(string, int) statement.ID { return charta },
		Current: func(string, [32]byte, int) [32]byte { return old.Epoch },
		Heard:   func(string, string, int) time.Time { return noon.Add(-200 * time.Hour) },
		Party:   func(name string) [16]byte { return [16]byte([]byte(name + "            ")[:16]) },
		Point:   func(act.Key, string) ([16]byte, group.Point, error) { return [16]byte{}, nil, nil },
		Signed:  func(act.Key, [32]byte, []byte) error { return nil },
	}
	w.s.Epochs = []Epoch{{Key: old, Threshold: 3, Members: []Seat{w.seat("acme", 1), w.seat("bolt", 2), w.seat("cora", 3)}}}
	if before != nil {
		before(w)
	}
	w.request("request", change)
	for _, name := range []string{"gail", "gene"} {
		w.support(act.Guardian, name)
	}
	for _, name := range []string{"acme", "cora"} {
		w.support(act.Operator, name)
	}
	w.step(declared, 0, live...)
	w.step(contest, 0, live...)
	w.later(72 * time.Hour)
	w.step(active, 72*time.Hour, live...)
	return w
}

func guardianKeys(t testing.TB, names ...string) (lines []string) {
	for _, name := range names {
		g, _ := people(t).Guardian(name)
		lines = append(lines, g.Key.String())
	}
	return lines
}

// out is what left since it was closed, by the ordinary rules.
func (w *tale) out(amount int64, change func(*Outflow)) {
	w.sweep(func(o *Outflow) {
		o.To[0], o.Ruled, o.Allowed, o.Moves = "0x00000000000000000000000000000000000000cc", statement.ID{}, nil, map[string]int64{"eth": amount}
		if change != nil {
			change(o)
		}
	})
}

func (w *tale) seat(name string, index uint16) Seat { return Seat{name, w.s.Party(name), index} }

// ceremonyKey is the key that a node makes for its seat.
func ceremonyKey(t testing.TB, name string) *pve.PrivateKey {
	k, err := pve.ParsePrivateKey(seed("seat " + name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sit is a node's word that it made it.
func (w *tale) sit(name string, attempt int, more ...act.Key) {
	key := old
	for _, k := range more {
		key = k
	}
	v, err := act.Seat{Head: w.q.Head(), Operator: name, Key: key, Attempt: attempt, Created: w.now}.Prove(ceremonyKey(w.t, name), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := v.Statement(w.salt())
	w.say(fmt.Sprintf("seat %s %d%s", name, attempt, strings.Repeat("+", len(more))), s, err, w.byNode(s, name), live...)
}

func (w *tale) activate(name string, change func(*act.Activation)) {
	w.a = act.Activation{Head: w.q.Head(), Key: old, Attempt: 1, Contributors: []string{"acme", "cora"}, Threshold: 2, Created: w.now}
	for _, m := range []Seat{w.seat("acme", 1), w.seat("cora", 3), w.seat("dora", 4)} {
		w.a.Members = append(w.a.Members, act.Member{Operator: m.Operator, Party: m.Party, Index: m.Index, Encryption: ceremonyKey(w.t, m.Operator).Public()})
	}
	if change != nil {
		change(&w.a)
	}
	for _, m := range w.a.Members {
		if _, done := w.names[fmt.Sprintf("seat %s %d", m.Operator, w.a.Attempt)]; !done && m.Operator != "bolt" {
			w.sit(m.Operator, w.a.Attempt)
		}
	}
	s, err := w.a.Statement(w.salt())
	w.a.ID = w.say(name, s, err, w.byNode(s, w.a.Contributors...), live...)
}

func (w *tale) release(name string, change func(*act.Released)) {
	v := act.Released{Head: w.q.Head(), Operator: name, Activation: w.a.ID, Key: old.Key, Attempt: w.a.Attempt, Credited: 73 * time.Hour, FirstSeen: w.now, Created: w.now}
	for _, other := range live {
		if other == name {
			continue
		}
		s, err := act.NoVeto{Head: w.q.Head(), Operator: other, Asker: name, Nonce: [32]byte(seed(name)), Origin: "log of " + name, Created: w.now}.Statement(w.salt())
		v.NoVetos = append(v.NoVetos, w.say("no-veto of "+other+" to "+name, s, err, w.byNode(s, other), name))
	}
	slices.SortFunc(v.NoVetos, func(a, b statement.ID) int { return strings.Compare(a.String(), b.String()) })
	if change != nil {
		change(&v)
	}
	s, err := v.Statement(w.salt())
	w.say("release "+name, s, err, w.byNode(s, name), live...)
}

// reshared is what follows up to LOCK-UP with new shares.
func (w *tale) reshared() *tale {
	w.activate("activation", nil)
	w.release("acme", nil)
	w.release("cora", nil)
	w.inForce()
	w.step(lockUp, 80*time.Hour, live...)
	return w
}

// inForce has every log tell of the new shares.
func (w *tale) inForce() {
	e := Epoch{Key: fresh, Number: 1, Prev: old.Epoch, Threshold: 2, Members: []Seat{w.seat("acme", 1), w.seat("cora", 3), w.seat("dora", 4)}, Backups: [32]byte{21}, Rescued: true, Locked: true, Until: w.now.Add(14 * 24 * time.Hour), Guardians: guardianKeys(w.t, "gail", "gina"), Activation: w.a.ID, Told: map[string]Place{}}
	for _, l := range live {
		w.leaf[l]++
		e.Told[l] = Place{10 * w.leaf[l], w.now}
	}
	w.s.Epochs = append(w.s.Epochs, e)
}

// sweep is an outflow by the new shares, as all logs tell.
func (w *tale) sweep(change func(*Outflow)) {
	o := Outflow{
		Intent: statement.ID{77, byte(len(w.s.Outflows))}, Key: fresh, Threshold: 2, Told: map[string]Place{}, Ruled: w.q.ID, Allowed: map[string]Place{}, Chain: "eip155:1",
		To: []string{rescueAddress}, Slot: fmt.Sprintf("nonce %d", len(w.s.Outflows)), Moves: map[string]int64{"eth": 41},
	}
	for _, l := range live {
		w.leaf[l] += 2
		o.Allowed[l], o.Told[l] = Place{10*w.leaf[l] - 10, w.now}, Place{10 * w.leaf[l], w.now}
	}
	if change != nil {
		change(&o)
	}
	w.s.Outflows = append(w.s.Outflows, o)
	w.later(time.Second)
}

// takes has every log tell that the chain took an outflow for good.
func (w *tale) takes(i int) {
	w.s.Outflows[i].Taken = map[string]Place{}
	for _, l := range live {
		w.leaf[l]++
		w.s.Outflows[i].Taken[l] = Place{10 * w.leaf[l], w.now}
	}
	w.later(time.Second)
}

func (w *tale) close(change func(*act.Close), by ...string) {
	c := act.Close{Head: w.q.Head(), Keys: []act.Backed{{Key: fresh, Backups: [32]byte{21}}}, Drill: [32]byte{23}, Report: [32]byte{24}, Created: w.now}
	if change != nil {
		change(&c)
	}
	s, err := c.Statement(w.salt())
	w.say("close", s, err, w.byPerson(s, by...), live...)
}

// whole is an emergency from its request to its end.
func whole(t testing.TB) *tale {
	w := begun(t).reshared()
	w.sweep(nil)
	w.later(14 * 24 * time.Hour)
	w.close(nil, live...)
	w.step(closed, 80*time.Hour+14*24*time.Hour, live...)
	return w
}

// ended closes a tale whose lock-up is over.
func (w *tale) ended(change func(*act.Close), by ...string) *tale {
	w.later(14 * 24 * time.Hour)
	w.close(change, by...)
	w.step(closed, 80*time.Hour+14*24*time.Hour, live...)
	return w
}

// another is a second key of the vault; late is that key with shares that no closing names.
var another = act.Key{Key: [32]byte{2}, Epoch: [32]byte{11}}

func (w *tale) second() *tale {
	for _, name := range live {
		w.sit(name, 1, another)
	}
	w.activate("second", func(a *act.Activation) { a.Key = another })
	w.release("acme", func(v *act.Released) { v.Key = another.Key })
	w.release("cora", func(v *act.Released) { v.Key = another.Key })
	e := Epoch{Key: act.Key{Key: another.Key, Epoch: [32]byte{13}}, Number: 1, Prev: another.Epoch, Threshold: 2, Members: []Seat{w.seat("acme", 1), w.seat("cora", 3), w.seat("dora", 4)}, Backups: [32]byte{22}, Rescued: true, Locked: true, Activation: w.a.ID, Told: map[string]Place{}}
	for _, l := range live {
		w.leaf[l]++
		e.Told[l] = Place{10 * w.leaf[l], w.now}
	}
	w.s.Epochs = append(w.s.Epochs, e)
	return w
}

// A closing counts by as many of each new committee as sign, and names the keys with new shares alone: those that are left are said.
func TestClosedInPart(t *testing.T) {
	both := func(c *act.Close) {
		c.Keys = append(c.Keys, act.Backed{Key: act.Key{Key: another.Key, Epoch: [32]byte{13}}, Backups: [32]byte{22}})
	}
	for name, c := range map[string]struct {
		w    *tale
		left int
	}{
		"by two of three":           {begun(t).reshared().ended(nil, "acme", "dora"), 0},
		"one of two keys":           {begun(t, another).reshared().ended(nil, "cora", "dora"), 1},
		"both keys, by two of each": {begun(t, another).second().reshared().ended(both, "cora", "dora"), 0},
	} {
		v := c.w.judge()
		if len(v.Findings) > 0 || len(v.Cases[0].KeysLeft) != c.left || v.Cases[0].State != closed || v.Cases[0].Closed == nil {
			t.Errorf("%s: %d keys are left, %s\n%s", name, len(v.Cases[0].KeysLeft), v.Cases[0].State, told(v))
		}
	}
}

func (w *tale) judge() Verdict {
	w.s.Now = w.now.Add(10 * time.Hour)
	w.s.Logs = []Log{{Operator: "bolt", Reach: noon.Add(-200 * time.Hour)}}
	for _, l := range live {
		w.s.Logs = append(w.s.Logs, Log{Operator: l, Reach: w.s.Now, Renewed: w.renewed[l]})
	}
	return Judge(w.s)
}

func told(v Verdict) string {
	var out []string
	for _, f := range v.Findings {
		out = append(out, f.Subject+": "+f.Claim+": "+f.Why)
	}
	return strings.Join(out, "\n")
}

func TestAnHonestEmergency(t *testing.T) {
	v := whole(t).judge()
	if len(v.Findings) > 0 {
		t.Fatalf("it is accused:\n%s", told(v))
	}
	c := v.Cases[0]
	if c.State != closed || len(c.Nodes) != 3 || len(c.Supports) != 4 || !slices.Equal(c.Gave, []string{"acme", "cora"}) || !slices.Equal(c.Epochs, []uint64{1}) || c.Closed == nil || v.Judged != 1 {
		t.Errorf("%+v", c)
	}
	for name, w := range map[string]*tale{"active": begun(t), "locked": begun(t).reshared()} {
		if v := w.judge(); len(v.Findings) > 0 || len(v.Attention) == 0 {
			t.Errorf("%s: %s; %v", name, told(v), v.Attention)
		}
	}
}

// Vetoes, in time: it ends, and nobody is accused.
func TestAnHonestVeto(t *testing.T) {
	w := &tale{}
	*w = *begun(t)
	for name, i := range w.names { // before anybody was active
		if strings.HasSuffix(name, " "+active) {
			w.s.Said[i].Told = nil
		}
	}
	w.s.Said = slices.DeleteFunc(w.s.Said, func(s Said) bool { return s.Told == nil })
	w.veto("gail", live...)
	w.veto("gina", live...)
	w.step(vetoed, time.Hour, live...)
	if v := w.judge(); len(v.Findings) > 0 || v.Cases[0].State != vetoed || len(v.Cases[0].Vetoes) != 2 {
		t.Errorf("%s\n%+v", told(v), v.Cases[0])
	}
}

// move makes a log tell of something at another time and leaf.
func (w *tale) move(name, log string, change func(*Place)) {
	i, ok := w.names[name]
	if !ok {
		w.t.Fatalf("nothing is named %q", name)
	}
	w.s.Said[i].Told = maps.Clone(w.s.Said[i].Told)
	at := w.s.Said[i].Told[log]
	change(&at)
	w.s.Said[i].Told[log] = at
}

func (w *tale) lose(name string, logs ...string) {
	i, ok := w.names[name]
	if !ok {
		w.t.Fatalf("nothing is named %q", name)
	}
	for _, l := range logs {
		delete(w.s.Said[i].Told, l)
	}
}

func (w *tale) unsaid(names ...string) {
	for _, name := range names {
		w.lose(name, live...)
	}
	w.s.Said = slices.DeleteFunc(w.s.Said, func(s Said) bool { return len(s.Told) == 0 })
}

package intent

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// story gives the events of these tests, all about one intent.
type story struct {
	t testing.TB
	v charter.Vault
	s statement.Statement
}

func newStory(t testing.TB) story {
	v := vault(t)
	return story{t, v, stated(t, v)}
}

func (st story) life() Life { return must(New(st.s, st.v, noon))(st.t) }

func (st story) approve(name string) Event {
	return Answer{vote(st.t, st.s, st.v, signet.Approve, name)}
}

func (st story) reject(name string) Event {
	return Answer{vote(st.t, st.s, st.v, signet.Reject, name)}
}

// after applies events, none of which may be refused.
func (st story) after(events ...Event) Life {
	st.t.Helper()
	l := st.life()
	for _, e := range events {
		now := noon.Add(time.Hour)
		if _, ok := e.(Expire); ok {
			now = noon.Add(24 * time.Hour)
		}
		next, err := l.Apply(e, now)
		if err != nil {
			st.t.Fatalf("after %s: %v", columnNames[e.column()], err)
		}
		l = next
	}
	return l
}

var (
	yesAcme, yesBolt = Decided{"acme", Allow}, Decided{"bolt", Allow}
	noAcme, noBolt   = Decided{"acme", Deny}, Decided{"bolt", Deny}
	session          = SessionStarted{[32]byte{1}, []string{"bolt", "acme"}}
	silent           = SessionFailed{Session: [32]byte{1}, Class: Transient}
	unsure           = SessionFailed{Session: [32]byte{1}, Class: Transient, PossiblySigned: true}
	onePart          = PartMade{[32]byte{1}}
	made             = SignatureMade{"0xhash"}
	inBlock          = WasConfirmed{Height: 7, Block: "0xblock"}
	undone           = WasConfirmed{Height: 7, Block: "0xblock", Reverted: true}
)

// lives has one life for every state, two where a state may hold a signature or not.
func (st story) lives() []struct {
	name string
	life Life
} {
	toSigned := []Event{yesAcme, yesBolt, session, made}
	with := func(more ...Event) Life { return st.after(slices.Concat(toSigned, more)...) }
	return []struct {
		name string
		life Life
	}{
		{"proposed", st.life()},
		{"approving", st.after(st.approve("alice"))},
		{"allowed", st.after(yesAcme, yesBolt)},
		{"signing", st.after(yesAcme, yesBolt, session)},
		{"signed", with()},
		{"broadcast", with(WasBroadcast{})},
		{"seen", with(WasBroadcast{}, WasSeen{})},
		{"confirmed", with(inBlock)},
		{"final", with(inBlock, BecameFinal{})},
		{"denied", st.after(noAcme, noBolt)},
		{"expired", st.after(Expire{})},
		{"cancelled", st.after(Cancel{})},
		{"replaced", st.after(WasReplaced{"0xother"})},
		{"replaced, signed", with(WasReplaced{"0xother"})},
		{"failed, lapsed", with(WasLapsed{})},
		{"dropped", with(WasBroadcast{}, WasDropped{})},
		{"reorged", with(inBlock, WasReorged{})},
		{"failed", st.after(yesAcme, yesBolt, session, SessionFailed{Session: [32]byte{1}, Class: Blame})},
		{"failed, unknown", st.after(yesAcme, yesBolt, session, unsure)},
		{"failed, reverted", with(undone, BecameFinal{})},
	}
}

// events has one event for every column, in order.
func (st story) events() []Event {
	return []Event{
		st.approve("bob"), st.reject("bob"), Decided{"cora", Allow}, Cancel{}, Expire{}, session, silent, onePart, made,
		WasBroadcast{}, WasSeen{}, inBlock, BecameFinal{}, WasDropped{}, WasReorged{}, WasReplaced{"0xthird"}, WasLapsed{},
	}
}

// The whole machine, state × event: what the code says it does, and what it does.
func TestMoves(t *testing.T) {
	st := newStory(t)
	var b strings.Builder
	seen := map[State]bool{}
	for _, row := range st.lives() {
		if !strings.HasPrefix(row.name, row.life.State().String()) {
			t.Fatalf("%s is %s", row.name, row.life.State())
		}
		seen[row.life.State()] = true
		fmt.Fprintf(&b, "%s\n", row.name)
		for i, e := range st.events() {
			if e.column() != column(i) {
				t.Fatalf("event %d is %s", i, columnNames[e.column()])
			}
			m := moves[row.life.State()][i]
			if m.do == nil {
				t.Fatalf("%s × %s is not specified", row.name, columnNames[i])
			}
			now := noon.Add(time.Hour)
			if e == (Expire{}) {
				now = noon.Add(24 * time.Hour)
			}
			before := row.life.Bytes()
			next, err := row.life.Apply(e, now)
			result := next.State().String()
			if err != nil {
				result = "refused: " + refusal(err)
				if !bytes.Equal(next.Bytes(), before) {
					t.Errorf("%s × %s is refused and changes the life", row.name, columnNames[i])
				}
			}
			if !bytes.Equal(row.life.Bytes(), before) {
				t.Errorf("%s × %s changed its receiver", row.name, columnNames[i])
			}
			fmt.Fprintf(&b, "\t%-10s %-16s %s\n", columnNames[i], m.name, result)
		}
	}
	if len(seen) != numStates {
		t.Errorf("%d of %d states are shown", len(seen), numStates)
	}
	snapshot(t, "moves.txt", []byte(b.String()))
}

// refusal is the typed error under a refusal: every refusal must have one.
func refusal(err error) string {
	for _, e := range []error{
		ErrClosed, ErrBurned, ErrAlive, ErrTooLate, ErrNotAllowed, ErrSessionRuns, ErrNoSession, ErrAlreadySigned,
		ErrUnsigned, ErrUnconfirmed, ErrNotBroadcast, ErrInBlock, ErrExpired, ErrDuplicate,
	} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "an error without type"
}

func TestRefusalsInDetail(t *testing.T) {
	st := newStory(t)
	foreign := vote(t, st.s, st.v, signet.Approve, "bob")
	foreign.Intent[0]++
	stranger, own := foreign, vote(t, st.s, st.v, signet.Approve, "bob")
	stranger.Intent, stranger.Person = st.s.ID(), "mallory"
	forged := own
	forged.Person = "carol"
	allowed := st.after(yesAcme, yesBolt)
	later := noon.Add(24 * time.Hour)
	starts := func(names ...string) Event { return SessionStarted{[32]byte{1}, names} }
	for _, c := range []struct {
		name  string
		life  Life
		event Event
		now   time.Time
		want  error
	}{
		{"approval of another intent", st.life(), Answer{foreign}, noon, ErrForeign},
		{"approval by a stranger", st.life(), Answer{stranger}, noon, ErrStranger},
		{"approval with another's key", st.life(), Answer{forged}, noon, ErrStranger},
		{"approval too late", st.life(), st.approve("bob"), later, ErrExpired},
		{"approval too early", st.life(), st.approve("bob"), noon.Add(-time.Hour), ErrFuture},
		{"approval twice", st.after(st.approve("bob")), st.approve("bob"), noon, ErrDuplicate},
		{"approval after rejection", st.after(st.reject("bob")), st.approve("bob"), noon, ErrDuplicate},
		{"rejection twice", st.after(st.reject("bob")), st.reject("bob"), noon, ErrDuplicate},
		{"decision by an outsider", st.life(), Decided{"dune", Allow}, noon, ErrOutsider},
		{"no decision", st.life(), Decided{"acme", Wait}, noon, ErrMalformed},
		{"expire too early", st.life(), Expire{}, later.Add(-time.Second), ErrAlive},
		{"session too late", allowed, session, later, ErrExpired},
		{"session of one", allowed, starts("acme"), noon, ErrSigners},
		{"session of one, twice", allowed, starts("acme", "acme"), noon, ErrSigners},
		{"session with an outsider", allowed, starts("acme", "dune"), noon, ErrSigners},
		{"session with one who has not allowed", allowed, starts("acme", "cora"), noon, ErrNotAllowed},
		{"another session made a part", st.after(yesAcme, yesBolt, session), PartMade{[32]byte{2}}, noon, ErrNoSession},
		{"another session failed", st.after(yesAcme, yesBolt, session), SessionFailed{Session: [32]byte{2}}, noon, ErrNoSession},
		{"another signature", st.after(yesAcme, yesBolt, session, made), SignatureMade{"0xother"}, noon, ErrOtherHash},
		{"signature without hash", allowed, SignatureMade{""}, noon, ErrMalformed},
		{"block without hash", st.after(made), WasConfirmed{Height: 1}, noon, ErrMalformed},
		{"two blocks", st.after(made, inBlock), WasConfirmed{Height: 8, Block: "0xother"}, noon, ErrInBlock},
		{"replaced by nothing", st.life(), WasReplaced{}, noon, ErrMalformed},
		{"reverted, replaced", st.after(made, undone, BecameFinal{}), WasReplaced{"0xother"}, noon, ErrInBlock},
	} {
		if _, err := c.life.Apply(c.event, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	own2 := vault(t, func(v *charter.Vault) { v.Name, v.InitiatorApproves = "savings", true })
	s := stated(t, own2, func(it *Intent) { it.Initiator = "alice" })
	v := vote(t, s, own2, signet.Approve, "alice")
	strict := must(New(s, own2, noon))(t)
	strict.vault.InitiatorApproves = false
	if _, err := strict.Apply(Answer{v}, noon); !errors.Is(err, ErrOwnProposal) {
		t.Errorf("own proposal: %v", err)
	}
	if _, err := New(s, st.v, noon); !errors.Is(err, ErrOtherVault) {
		t.Errorf("other vault: %v", err)
	}
}

// t ALLOWs allow and more than n − t DENYs deny, for all committees up to 16.
func TestWeigh(t *testing.T) {
	for n := 2; n <= 16; n++ {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("op-%02d", i))
		}
		for threshold := 2; threshold <= n; threshold++ {
			v := vault(t, func(v *charter.Vault) { v.Committee, v.Threshold = names, threshold })
			s := stated(t, v)
			for _, verdict := range []Verdict{Allow, Deny} {
				need, want := threshold, Allowed
				if verdict == Deny {
					need, want = n-threshold+1, Denied
				}
				l := must(New(s, v, noon))(t)
				for i := range need {
					if l.State() != Proposed || len(l.Undecided()) != n-i {
						t.Fatalf("%d of %d: %s after %d %s", threshold, n, l.State(), i, verdict)
					}
					l = must(l.Apply(Decided{names[i], verdict}, noon))(t)
				}
				if l.State() != want {
					t.Errorf("%d of %d: %s after %d %s", threshold, n, l.State(), need, verdict)
				}
			}
		}
	}
}

func TestTakeBack(t *testing.T) {
	st := newStory(t)
	allowed := []Event{st.approve("bob"), st.approve("carol"), yesAcme, yesBolt}
	if l := st.after(append(allowed, st.reject("bob"))...); l.State() != Denied {
		t.Errorf("quorum broken, yet %s", l.State())
	}
	if l := st.after(append(allowed, st.approve("alice"), st.reject("bob"))...); l.State() != Allowed {
		t.Errorf("quorum held, yet %s", l.State())
	}
	// So does who took away the second organisation, although somebody of another could still approve.
	two := st
	two.v = vault(t, func(v *charter.Vault) {
		v.Organisations, v.Approvers[1].Organisation = 2, "bolt"
		eve := person(t, "eve")
		eve.Organisation = "cora"
		v.Approvers = append(v.Approvers, eve)
	})
	two.s = stated(t, two.v)
	three := []Event{two.approve("alice"), two.approve("bob"), two.approve("carol"), yesAcme, yesBolt}
	if l := two.after(append(three, two.reject("bob"))...); l.State() != Denied {
		t.Errorf("one organisation is left of two, yet %s", l.State())
	}
	if l := two.after(append(three, two.reject("carol"))...); l.State() != Allowed {
		t.Errorf("two organisations are left, yet %s", l.State())
	}
	// A node that heard decisions before approvals counts both.
	if l := st.after(yesAcme, yesBolt, st.approve("bob"), st.approve("carol")); l.State() != Allowed || l.Tally().Need != 0 {
		t.Errorf("late approvals: %s, %+v", l.State(), l.Tally())
	}
	if l := st.after(yesAcme, yesBolt, st.reject("bob"), st.reject("carol")); l.State() != Denied {
		t.Errorf("hopeless, yet %s", l.State())
	}
}

// What counts in a window begins when a signature was made, or when what may have been signed came to its end. No later news moves it.
func TestClosed(t *testing.T) {
	st := newStory(t)
	at, late := noon.Add(time.Hour), noon.Add(30*24*time.Hour)
	for name, l := range map[string]Life{
		"signed": st.after(yesAcme, yesBolt, session, made), "final": st.after(yesAcme, yesBolt, session, made, inBlock, BecameFinal{}),
		"possibly signed": st.after(yesAcme, yesBolt, session, unsure), "cancelled": st.after(yesAcme, yesBolt, Cancel{}),
	} {
		next := must(l.Apply(Decided{"cora", Deny}, late))(t)
		if !l.Closed().Equal(at) || !next.Closed().Equal(at) {
			t.Errorf("%s: closed %v, after a late decision %v", name, l.Closed(), next.Closed())
		}
	}
	if l := st.after(yesAcme, yesBolt, session); !l.Closed().IsZero() {
		t.Errorf("a session runs, and it closed at %v", l.Closed())
	}
	// A signature that was kept back counts from when it appears, or from when it can have been made at the latest.
	end := st.life().Intent().Expires.Add(Skew)
	for at, want := range map[time.Time]time.Time{end.Add(-time.Second): end.Add(-time.Second), end: end, late: end} {
		if l := must(st.after(yesAcme, yesBolt, session, unsure).Apply(made, at))(t); !l.Closed().Equal(want) {
			t.Errorf("it appeared at %v, and closed at %v", at, l.Closed())
		}
		if l := must(st.life().Apply(Expire{}, at.Add(Skew)))(t); !l.Closed().Equal(end) {
			t.Errorf("it expired at %v, and closed at %v", at, l.Closed())
		}
	}
}

// Of an operator that said both, the first word counts for what becomes of the intent here; that it is signed elsewhere is likely enough.
func TestBoth(t *testing.T) {
	st := newStory(t)
	for name, c := range map[string]struct {
		events   []Event
		state    State
		both     string
		suffices bool
	}{
		"two allow":                     {[]Event{yesAcme, yesBolt}, Allowed, "[]", true},
		"one allows":                    {[]Event{yesAcme, noBolt}, Proposed, "[]", false},
		"one allows, one says both":     {[]Event{yesAcme, noBolt, yesBolt}, Proposed, "[bolt]", true},
		"one allows, and turns":         {[]Event{yesAcme, noAcme}, Proposed, "[acme]", false},
		"two allow, and turn":           {[]Event{yesBolt, yesAcme, noAcme, noBolt, yesBolt}, Allowed, "[acme bolt]", true},
		"turned while a session runs":   {[]Event{yesAcme, yesBolt, session, noAcme}, Signing, "[acme]", true},
		"all say both, and deny first":  {[]Event{noAcme, noBolt, yesAcme, yesBolt}, Denied, "[acme bolt]", true},
		"one says both, and no other":   {[]Event{noAcme, yesAcme}, Proposed, "[acme]", false},
		"turned after it was cancelled": {[]Event{yesAcme, Cancel{}, noBolt, yesBolt}, Cancelled, "[bolt]", true},
	} {
		l := st.after(c.events...)
		if l.State() != c.state || fmt.Sprint(l.Both()) != c.both || l.Suffices() != c.suffices {
			t.Errorf("%s: %s, both %v, suffices %v", name, l.State(), l.Both(), l.Suffices())
		}
		if back := must(DecodeLife(l.Bytes(), st.s, st.v))(t); !reflect.DeepEqual(back, l) {
			t.Errorf("%s: read back as %+v", name, back)
		}
	}
}

func TestPast(t *testing.T) {
	st := newStory(t)
	end := st.life().Intent().Expires
	for now, closed := range map[time.Time]time.Time{noon: noon, end.Add(time.Hour): end.Add(Skew), end.Add(-time.Hour): end.Add(-time.Hour)} {
		l := must(Past(st.s, st.v, []string{"acme", "bolt"}, now))(t)
		if l.State() != Expired || !l.Suffices() || !l.Closed().Equal(closed) || l.Alarm() != "" {
			t.Errorf("at %v: %s, closed %v, alarm %q", now, l.State(), l.Closed(), l.Alarm())
		}
		l = must(l.Apply(made, now.Add(24*time.Hour)))(t)
		if l.State() != Signed || l.Closed().After(end.Add(Skew)) || l.Alarm() != "" {
			t.Errorf("signed after %v: %s, closed %v, alarm %q", now, l.State(), l.Closed(), l.Alarm())
		}
	}
	if _, err := Past(st.s, st.v, []string{"acme", "dune"}, noon); !errors.Is(err, ErrOutsider) {
		t.Errorf("an outsider allowed it: %v", err)
	}
}

func TestAttempts(t *testing.T) {
	st := newStory(t)
	l := st.after(yesAcme, yesBolt)
	for i := 1; i < MaxAttempts; i++ {
		l = must(must(l.Apply(session, noon))(t).Apply(silent, noon))(t)
		if l.State() != Allowed || l.Attempts() != i {
			t.Fatalf("after %d sessions: %s", i, l.State())
		}
	}
	l = must(must(l.Apply(session, noon))(t).Apply(silent, noon))(t)
	if l.State() != Failed {
		t.Errorf("after %d sessions: %s", l.Attempts(), l.State())
	}
	if l := must(st.after(yesAcme, yesBolt, session).Apply(silent, noon.Add(24*time.Hour)))(t); l.State() != Expired {
		t.Errorf("failed after its time: %s", l.State())
	}
	for _, class := range []FailureClass{Unattributed, Blame, BurnPair} {
		if l := st.after(yesAcme, yesBolt, session, SessionFailed{Session: session.Session, Class: class}); l.State() != Failed || l.PossiblySigned() {
			t.Errorf("class %d: %s", class, l.State())
		}
	}
}

func TestAlarm(t *testing.T) {
	st := newStory(t)
	for _, row := range st.lives() {
		l := must(row.life.Apply(made, noon))(t)
		few := row.life.Count(Allow) < st.v.Threshold
		if (l.Alarm() != "") != few || l.Hash() != "0xhash" {
			t.Errorf("%s: alarm %q, hash %q", row.name, l.Alarm(), l.Hash())
		}
	}
	// This node was away: the ALLOWs arrive after the signature.
	l := st.after(Expire{}, made)
	if !strings.Contains(l.Alarm(), "0 operators") {
		t.Errorf("no ALLOW known: alarm %q", l.Alarm())
	}
	l = must(must(l.Apply(yesAcme, noon))(t).Apply(yesBolt, noon))(t)
	if l.Alarm() != "" || l.State() != Signed {
		t.Errorf("all ALLOWs known: %s, alarm %q", l.State(), l.Alarm())
	}
	// An approver took back what the quorum needs, and it was signed all the same.
	l = st.after(st.approve("bob"), st.approve("carol"), yesAcme, yesBolt, st.reject("bob"), made)
	if !strings.Contains(l.Alarm(), "denied here before") {
		t.Errorf("denied and signed: alarm %q", l.Alarm())
	}
	if l := st.after(yesAcme, yesBolt, session, unsure); !l.PossiblySigned() {
		t.Error("an unknown outcome counts as unsigned")
	}
}

func TestCheckSign(t *testing.T) {
	st := newStory(t)
	allowed := st.after(yesAcme, yesBolt)
	if err := allowed.CheckSign("acme", noon); err != nil {
		t.Error(err)
	}
	if err := allowed.CheckSign("cora", noon); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("cora has not allowed: %v", err)
	}
	if err := allowed.CheckSign("acme", noon.Add(24*time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	if err := st.after(yesAcme).CheckSign("acme", noon); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("one of two: %v", err)
	}
}

func TestLifeAccessors(t *testing.T) {
	st := newStory(t)
	l := st.after(st.approve("bob"), yesAcme, yesBolt, session, made, WasBroadcast{}, inBlock)
	h, b := l.Block()
	if l.ID() != st.s.ID() || l.Intent().Initiator != "dora" || l.Session() != session.Session || h != 7 || b != "0xblock" ||
		!slices.Equal(l.Signers(), []string{"acme", "bolt"}) || l.Verdict("acme") != Allow || !slices.Equal(l.Undecided(), []string{"cora"}) ||
		len(l.Votes()) != 1 || l.Reverted() || !l.Changed().Equal(noon.Add(time.Hour)) {
		t.Errorf("life reads as %+v", l)
	}
	if l := st.after(made, WasReplaced{"0xother"}); l.ReplacedBy() != "0xother" {
		t.Errorf("replaced by %q", l.ReplacedBy())
	}
	l = must(l.Apply(WasReorged{}, noon))(t)
	if h, b := l.Block(); h != 0 || b != "" {
		t.Errorf("after a reorg it stands in %d %s", h, b)
	}
	if State(200).String() != "unknown" {
		t.Error("a state without name has one")
	}
}

func TestLifeCodec(t *testing.T) {
	st := newStory(t)
	for _, row := range st.lives() {
		got := must(DecodeLife(row.life.Bytes(), st.s, st.v))(t)
		if !bytes.Equal(got.Bytes(), row.life.Bytes()) || got.State() != row.life.State() {
			t.Errorf("%s: decoded it differs", row.name)
		}
		for i, e := range st.events() {
			a, err1 := row.life.Apply(e, noon.Add(time.Hour))
			b, err2 := got.Apply(e, noon.Add(time.Hour))
			if (err1 == nil) != (err2 == nil) || !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Errorf("%s: decoded it takes %s otherwise", row.name, columnNames[i])
			}
		}
	}
	l := st.after(st.approve("bob"), st.reject("carol"), yesAcme, yesBolt, session, made, inBlock)
	l.votes[0].Flags = signet.Flags{SecurityKey: true, Present: true, Verified: true, Counter: 9}
	got := must(DecodeLife(l.Bytes(), st.s, st.v))(t)
	if !reflect.DeepEqual(got, l) {
		t.Errorf("decoded %+v\nwant %+v", got, l)
	}
	snapshot(t, "life.hex", fmt.Appendf(nil, "%x\n", l.Bytes()))
}

func TestDecodeLifeRefuses(t *testing.T) {
	st := newStory(t)
	l := st.after(st.approve("bob"), yesAcme, yesBolt, session, made, inBlock)
	b := l.Bytes()
	change := func(f func(*Life)) []byte {
		bad := must(DecodeLife(b, st.s, st.v))(t)
		f(&bad)
		return bad.Bytes()
	}
	for name, in := range map[string][]byte{
		"empty": nil, "cut": b[:len(b)-1], "longer": append(bytes.Clone(b), 0),
		"other intent": change(func(l *Life) { l.id[0]++ }),
		"state":        change(func(l *Life) { l.state = numStates }),
		"overrode":     change(func(l *Life) { l.overrode = numStates }),
		"attempts":     change(func(l *Life) { l.attempts = MaxAttempts + 1 }),
		"verb":         change(func(l *Life) { l.votes[0].Verb = "intent" }),
		"person":       change(func(l *Life) { l.votes[0].Person = "Bob" }),
		"key":          change(func(l *Life) { l.votes[0].Key = signet.Key{} }),
		"verdict":      change(func(l *Life) { l.decisions["acme"] = "maybe" }),
		"operator":     change(func(l *Life) { l.decisions["Acme"] = Allow }),
		"signer":       change(func(l *Life) { l.signers[0] = "" }),
		"hash":         change(func(l *Life) { l.hash = "a\nb" }),
		"block":        change(func(l *Life) { l.block = strings.Repeat("x", maxName+1) }),
		"decisions":    bytes.Replace(b, []byte("\x00\x04acme\x00\x02"), []byte("\x00\x04zeta\x00\x02"), 1),
	} {
		if name == "decisions" && bytes.Equal(in, b) {
			in = bytes.Replace(b, []byte("acme"), []byte("zeta"), 1)
		}
		if _, err := DecodeLife(in, st.s, st.v); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func FuzzDecodeLife(f *testing.F) {
	st := newStory(f)
	for _, row := range st.lives() {
		f.Add(row.life.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		l, err := DecodeLife(in, st.s, st.v)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Bytes(), in) {
			t.Fatal("decode then encode changed it")
		}
	})
}

// FuzzRead gives meaning to every statement that has the right form.
func FuzzRead(f *testing.F) {
	st := newStory(f)
	f.Add(st.s.Bytes())
	f.Add(must(decided(f, st.v).Statement(salt))(f).Bytes())
	asked := must(intent(st.v, asksProof).Statement(salt))(f)
	f.Add(asked.Bytes())
	f.Add(must(must(ProofOf(asked, charter.SuiteECDSA))(f).Statement())(f).Bytes())
	less := must(intent(st.v, asksLess).Statement(salt))(f)
	f.Add(less.Bytes())
	f.Add(must(must(ProofOf(less, charter.SuiteECDSA))(f).Statement())(f).Bytes())
	f.Add(must(Cancellation{Charter: st.v.Under, Vault: st.v.ID, Intent: st.s.ID(), Initiator: "dora", Created: noon}.Statement(salt))(f).Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := statement.Parse(in)
		if err != nil {
			return
		}
		var again statement.Statement
		if it, err1 := Of(s); err1 == nil {
			again, err = it.Statement(s.Salt())
		} else if c, err1 := CancellationOf(s); err1 == nil {
			again, err = c.Statement(s.Salt())
		} else if p, err1 := ReadProof(s); err1 == nil {
			again, err = p.Statement()
		} else {
			return
		}
		if err != nil || again.ID() != s.ID() {
			t.Fatalf("read and written again it differs: %v", err)
		}
	})
}

// FuzzMoves plays random events: a life never panics, and never signs without t ALLOWs.
func FuzzMoves(f *testing.F) {
	st := newStory(f)
	events := slices.Concat(st.events(), []Event{
		yesAcme, yesBolt, noAcme, noBolt, st.approve("alice"), st.reject("alice"), st.approve("carol"), st.reject("carol"), unsure, undone,
	})
	born := st.life()
	f.Add([]byte{15, 16, 5, 6, 5, 7, 8, 9, 10, 13, 11})
	f.Add([]byte{17, 18, 7, 10, 11})
	f.Fuzz(func(t *testing.T, plays []byte) {
		l := born
		for _, p := range plays[:min(len(plays), 64)] {
			next, err := l.Apply(events[int(p)%len(events)], noon.Add(time.Duration(p>>5)*4*time.Hour))
			if err == nil && next.State() == Signing && l.State() != Signing && next.Count(Allow) < st.v.Threshold {
				t.Fatal("a session began without t ALLOWs")
			}
			if next.State() > Signing && next.State() < Denied && next.Hash() == "" {
				t.Fatalf("%s without a signature", next.State())
			}
			if l.Hash() != "" && next.Hash() != l.Hash() {
				t.Fatal("a signature was forgotten")
			}
			l = next
		}
	})
}

// A transaction may need many signatures: each session that makes one is no attempt, and the intent goes on until its time is over.
func TestParts(t *testing.T) {
	st := newStory(t)
	l := st.after(yesAcme, yesBolt)
	for i := range 3 * MaxAttempts {
		var err error
		s := [32]byte{byte(i + 1)}
		for _, e := range []Event{SessionStarted{s, []string{"acme", "bolt"}}, PartMade{s}} {
			if l, err = l.Apply(e, noon); err != nil {
				t.Fatalf("part %d: %v", i, err)
			}
		}
		if l.State() != Allowed || l.Attempts() != 0 || l.Hash() != "" || l.PossiblySigned() {
			t.Fatalf("after part %d it is %s, with %d attempts", i, l.State(), l.Attempts())
		}
	}
	late, err := st.after(yesAcme, yesBolt, session).Apply(onePart, st.life().Intent().Expires)
	if err != nil || late.State() != Expired {
		t.Errorf("a part that came when its time was over: %s, %v", late.State(), err)
	}
	if l, err = l.Apply(session, noon); err == nil {
		l, err = l.Apply(made, noon)
	}
	if err != nil || l.State() != Signed {
		t.Errorf("the last one: %s, %v", l.State(), err)
	}
}

// Of several signatures one may have been made where nobody told us: it goes on, and, where it ends without a signature, it may be signed all the same.
func TestWithheldParts(t *testing.T) {
	st := newStory(t)
	l := st.after(yesAcme, yesBolt)
	for i, e := range []Event{session, SessionFailed{Session: session.Session, PossiblySigned: true, Partial: true}} {
		var err error
		if l, err = l.Apply(e, noon); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if l.State() != Allowed || l.PossiblySigned() || l.Attempts() != 1 {
		t.Fatalf("it is %s, with %d attempts, possibly signed %v: it may yet be signed here", l.State(), l.Attempts(), l.PossiblySigned())
	}
	again, err := DecodeLife(l.Bytes(), st.s, st.v)
	if err != nil {
		t.Fatal(err)
	}
	expires := l.Intent().Expires
	for name, end := range map[string]struct {
		events []Event
		at     time.Time
		is     State
	}{
		"its time":          {[]Event{Expire{}}, expires, Expired},
		"taken back":        {[]Event{Cancel{}}, noon, Cancelled},
		"a session that is": {[]Event{session, SessionFailed{Session: session.Session, Class: Blame}}, noon, Failed},
	} {
		for what, l := range map[string]Life{"": l, ", read back": again} {
			for _, e := range end.events {
				if l, err = l.Apply(e, end.at); err != nil {
					t.Fatalf("%s%s: %v", name, what, err)
				}
			}
			if l.State() != end.is || !l.PossiblySigned() {
				t.Errorf("%s%s: it is %s, possibly signed %v", name, what, l.State(), l.PossiblySigned())
			}
		}
	}
	if l, err = l.Apply(made, noon); err != nil || l.State() != Signed || l.PossiblySigned() {
		t.Errorf("signed after all: %s, %v", l.State(), err)
	}
}

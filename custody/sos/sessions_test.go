package sos_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// Stories as text: testdata/sessions. A block is commands, a line of dashes, and what followed: the steps that nodes took, and why
// something was refused. All nodes hear everything at once unless a command says otherwise.

// A teller runs one file.
type teller struct {
	*world
	out  []string
	copy map[string]snapshot
	cut  map[string]bool // its parcels are dropped
}

func (s *teller) say(format string, args ...any) { s.out = append(s.out, fmt.Sprintf(format, args...)) }

// minute lets time go by in steps of 30 s.
func (s *teller) pass30(d time.Duration) {
	for d > 0 {
		step := min(d, 30*time.Second)
		d -= step
		s.world.pass(step)
		s.settle()
		for _, b := range s.boxes {
			if b.up && !b.asleep {
				b.idle = 0
				_ = s.apply(b, parcel{event: sos.Tick{View: s.view(b)}})
				s.notify(b)
			}
		}
		s.settle()
		s.tick++
	}
}

// settle delivers until nothing is on its way; what a node that is cut off sent or is sent is dropped.
func (s *teller) settle() {
	for len(s.net) > 0 {
		net := s.net
		s.net = nil
		for _, p := range net {
			b := s.box(p.to)
			if s.cut[p.to] || s.cut[p.from] || !b.up || b.asleep {
				continue
			}
			if p.from != "" {
				b.heads[p.from] = max(b.heads[p.from], p.head)
			}
			switch {
			case p.question != nil:
				s.respond(b, p)
			case p.answer != nil:
				b.answers = append(b.answers, *p.answer)
			default:
				if err := s.apply(b, p); err != nil {
					s.say("%s refuses: %v", b.name, err)
				}
			}
		}
	}
}

func (s *teller) do(line string) {
	w := strings.Fields(line)
	last := func() act.Request { return s.requests[len(s.requests)-1] }
	switch w[0] {
	case "lose":
		s.box(w[1]).up = false
	case "return":
		s.box(w[1]).up = true
	case "drop":
		s.cut[w[1]] = true
	case "undrop":
		s.cut[w[1]] = false
	case "ask":
		s.ask(w[1], func(q *act.Request) {
			q.By = w[2]
			if len(w) > 3 {
				q.Number, _ = strconv.Atoi(w[3])
				q.Previous = s.requests[0].ID
			}
		})
	case "support":
		for _, name := range w[1:] {
			role := act.Operator
			if _, ok := s.world.plan.Guardian(name); ok {
				role = act.Guardian
			}
			s.support(last(), role, name)
		}
	case "veto":
		for _, name := range w[1:] {
			s.veto(last(), name)
		}
	case "alive":
		s.person(sos.Lived{Alive: act.Alive{ID: s.id(), Head: last().Head(), Operator: w[1], Created: s.wall()}})
	case "signed":
		s.person(sos.SignedLive{Signed: act.Signed{ID: s.id(), Head: last().Head(), Operator: w[1], Created: s.wall()}})
	case "tamper": // a veto of another request, dressed as one of this
		h := last().Head()
		h.Charter[0] ^= 2
		s.person(sos.Objected{Veto: act.Veto{ID: s.id(), Head: h, By: w[1], Created: s.wall()}})
	case "wait":
		d, err := time.ParseDuration(w[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.pass30(d)
	case "clock":
		d, err := time.ParseDuration(w[2])
		if err != nil {
			s.t.Fatal(err)
		}
		s.box(w[1]).offset += d
	default:
		s.more(w, last)
	}
	s.settle()
}

func (s *teller) more(w []string, last func() act.Request) {
	switch w[0] {
	case "crash":
		s.restart(s.box(w[1]))
		s.box(w[1]).up = true
	case "copy":
		b := s.box(w[1])
		s.copy[w[1]] = snapshot{b.docket.Bytes(), b.log, slices.Clone(b.known), slices.Clone(b.heard), s.judge.states(b)}
	case "restore":
		b := s.box(w[1])
		b.past = []snapshot{s.copy[w[1]]}
		s.rollback(b)
	case "recover":
		b := s.box(w[1])
		if err := s.apply(b, parcel{event: sos.RolledBack{}}); err != nil {
			s.say("%s: %v", b.name, err)
		}
		s.recover(b)
	case "gossip": // everybody sends everybody what they have
		for _, b := range s.boxes {
			for _, p := range b.known {
				for _, o := range s.boxes {
					if o != b && !o.have[p.id] {
						s.send(b, o.name, p)
					}
				}
			}
		}
	case "activate":
		s.tries = 0
		s.activate()
		s.say("%d activation", s.tries)
	case "release":
		s.gives(s.box(w[1]))
	case "contribute":
		s.guardians()
		for _, id := range s.activations() {
			var names []string
			for _, g := range s.world.plan.Guardians {
				if s.acts[id].guards[g.Name] {
					names = append(names, g.Name)
				}
			}
			s.say("guardians who contributed: %s", strings.Join(names, " "))
		}
		s.execute()
	case "sweep":
		s.sweeps(s.box(w[1]), w[2], w[3])
	case "close":
		k := s.keys[0]
		k.Epoch = [32]byte{5, 1}
		e := sos.ClosedBy{Close: act.Close{Head: last().Head(), Keys: []act.Backed{{Key: k}}, Created: s.wall()}, Signed: w[1:]}
		for _, b := range s.boxes {
			s.judge.closes(b, e)
		}
		s.person(e)
	case "free":
		s.person(sos.Freed{EarlyRelease: act.EarlyRelease{Head: last().Head(), Reason: "all is well", Created: s.wall()}})
	case "lacks":
		for _, x := range s.box(w[1]).docket.Lacks(last().ID, s.view(s.box(w[1])), s.reading(s.box(w[1]))) {
			s.say("lacks: %s", x)
		}
	case "show":
		for _, b := range s.boxes {
			c, ok := b.docket.Case(last().ID)
			if ok {
				s.say("%s: %s, %s credited, %s left, rolled back: %t", b.name, c.State(), c.Credited(), c.Remaining(), b.docket.Rolled())
			}
		}
	default:
		s.t.Fatalf("no such command: %q", w)
	}
}

// gives asks everybody and tries to give a node's part.
func (s *teller) gives(b *box) {
	b.question, b.answers = &sos.Question{Nonce: s.id(), Asked: s.reading(b)}, nil
	s.judge.questioned(s.world, b, b.question.Nonce)
	for _, o := range s.boxes {
		if o != b {
			s.send(b, o.name, parcel{question: &question{s.requests[len(s.requests)-1].ID, b.question.Nonce}})
		}
	}
	s.settle()
	for _, id := range s.activations() {
		d, v, err := b.docket.Release(id, *b.question, b.answers, sos.Own{Origin: b.name, Log: head(b.log)}, s.reading(b))
		if err != nil {
			s.say("%s gives nothing: %v", b.name, err)
			if errors.Is(err, sos.ErrRolled) && !b.docket.Rolled() {
				_ = s.apply(b, parcel{event: sos.RolledBack{}})
			}
			continue
		}
		b.keep(d)
		s.say("%s gives its part: %s credited, %d say that there is no veto", b.name, v.Credited, len(v.NoVetos))
		s.judge.released(s.world, b, v)
		s.gave(b, id, v)
	}
}

func (s *teller) sweeps(b *box, amount, to string) {
	n, _ := strconv.ParseInt(amount, 10, 64)
	address := s.world.plan.Destinations[0].Address
	if to != "rescue" {
		address = thief
	}
	o := sos.Outflow{Intent: statement.ID(s.id()), Vault: "treasury", Key: s.keys[0].Key, Transaction: true, Chain: "eip155:1", Usual: 1, Flows: []sos.Flow{{What: sos.Transfer, Asset: "eth", Amount: n, To: address}, {What: sos.Fee, Asset: "eth", Amount: 1}}}
	d, err := b.docket.Spend(o, s.reading(b))
	if err != nil {
		s.say("%s signs nothing: %v", b.name, err)
		return
	}
	b.keep(d)
	if err := d.MayRun(sos.Sweep, o.Intent); err != nil && d.MayRun(sos.Ordinary, o.Intent) != nil {
		s.say("%s signs nothing: %v", b.name, err)
		return
	}
	s.say("%s signs", b.name)
}

func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &teller{world: newWorld(t, 3, 1, dials{}), copy: map[string]snapshot{}, cut: map[string]bool{}}
			var got []string
			for i, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
				commands, _, _ := strings.Cut(block, "\n----")
				s.out = nil
				said := len(s.steps)
				for _, line := range strings.Split(commands, "\n") {
					if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
						s.do(line)
					}
				}
				for _, x := range s.steps[said:] {
					s.say("%s is %s: %s", x.Operator, x.State, x.Why)
				}
				if i == 0 && strings.HasPrefix(block, "#") && !strings.Contains(block, "\n----") {
					got = append(got, block)
					continue
				}
				got = append(got, strings.TrimRight(commands+"\n----\n"+strings.Join(s.out, "\n"), "\n"))
			}
			text := strings.Join(got, "\n\n") + "\n"
			if len(s.judge.violations) > 0 {
				t.Errorf("the judge: %v", s.judge.violations)
			}
			if sos.Updating() {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if text != string(raw) && !sos.Updating() {
				t.Errorf("%s differs:\n%s", file, text)
			}
		})
	}
}

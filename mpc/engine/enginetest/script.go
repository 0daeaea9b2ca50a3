package enginetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/mpc/engine"
)

// Script runs a session from a readable file and returns the file with its outputs as
// they are now. A file is a list of blocks, parted by empty lines:
//
//	# what the block shows
//	deliver 1->2 r1
//	----
//	1->2 r1 kind 0x1, 32 bytes
//	  2 sends r2 kind 0x2 to all, 8 bytes
//
// Parties are counted from 1 in the order of sessions. Commands, one a line; a selector
// is any of from->to (either may be *), rN, kN, and an empty one selects everything:
//
//	start [party…]        all, if none is named
//	deliver selector      what is under way, and what that brings forth, first in first out
//	drop selector         loses it
//	twice selector        repeats it
//	tamper bit selector   flips one bit of the body of the first selected
//	swap selector         exchanges the bodies of the first two selected
//	crash party           it takes and sends nothing any more
//	status                how each party stands
func Script[R any](text string, sessions ...*engine.Session[R]) (string, error) {
	s := &script[R]{c: NewCluster(nil, sessions...)}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		commands, _, _ := strings.Cut(block+"\n", "----\n")
		out.WriteString(commands)
		out.WriteString("----\n")
		for line := range strings.Lines(commands) {
			f := strings.Fields(line)
			if len(f) == 0 || f[0] == "#" {
				continue
			}
			if err := s.command(f[0], f[1:]); err != nil {
				return "", fmt.Errorf("block %d, %q: %w", i+1, strings.TrimSpace(line), err)
			}
		}
		out.WriteString(s.log.String())
		s.log.Reset()
	}
	return out.String(), nil
}

type script[R any] struct {
	c   *Cluster[R]
	log strings.Builder
}

func (s *script[R]) command(name string, args []string) error {
	switch name {
	case "start":
		return s.start(args)
	case "status":
		s.status()
		return nil
	case "crash":
		p, err := s.party(strings.Join(args, " "))
		if err == nil {
			p.Crashed = true
		}
		return err
	}
	bit := 0
	if name == "tamper" && len(args) > 0 {
		var err error
		if bit, err = strconv.Atoi(args[0]); err != nil {
			return err
		}
		args = args[1:]
	}
	w, err := s.selector(args)
	if err != nil {
		return err
	}
	if name == "deliver" {
		s.deliver(w)
		return nil
	}
	return s.disturb(name, bit, w)
}

func (s *script[R]) start(args []string) error {
	if len(args) == 0 {
		for i := range s.c.Parties {
			args = append(args, strconv.Itoa(i+1))
		}
	}
	for _, a := range args {
		p, err := s.party(a)
		if err != nil {
			return err
		}
		s.watch(p, func() { s.c.Start(p) })
	}
	return nil
}

func (s *script[R]) deliver(w Match) {
	for {
		i := slices.IndexFunc(s.c.Queue, func(f Flight) bool { return w.Has(f.To, f.Msg) })
		if i < 0 {
			return
		}
		f := s.c.Queue[i]
		fmt.Fprintln(&s.log, s.flight(f))
		s.watch(s.c.Party(f.To), func() { s.c.Deliver(i) })
	}
}

// disturb does to what is under way what a network or a corrupt sender may.
func (s *script[R]) disturb(name string, bit int, w Match) error {
	var hit []int
	for i, f := range s.c.Queue {
		if w.Has(f.To, f.Msg) {
			hit = append(hit, i)
		}
	}
	if len(hit) == 0 || name == "swap" && len(hit) < 2 {
		return fmt.Errorf("%d messages are selected", len(hit))
	}
	q := s.c.Queue
	switch name {
	case "drop":
		for _, i := range slices.Backward(hit) {
			s.c.Queue = slices.Delete(s.c.Queue, i, i+1)
		}
	case "twice":
		for _, i := range hit {
			s.c.Put(q[i].To, q[i].Msg)
		}
	case "tamper":
		m := &q[hit[0]].Msg
		m.Body = flip(bit)(m.Body)
		m.Signed = Envelope(*m)
	case "swap":
		a, b := &q[hit[0]].Msg, &q[hit[1]].Msg
		a.Body, b.Body = b.Body, a.Body
		a.Signed, b.Signed = Envelope(*a), Envelope(*b)
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

// watch does something to a party and writes down what came out of it.
func (s *script[R]) watch(p *Party[R], do func()) {
	was := *p
	do()
	say := func(format string, args ...any) {
		fmt.Fprintf(&s.log, "  %s "+format+"\n", append([]any{s.name(p.ID)}, args...)...)
	}
	for _, r := range p.Rejected[len(was.Rejected):] {
		say("refuses: %v", r.Reason)
	}
	if p.Judged > was.Judged {
		say("judges")
	}
	for _, t := range p.Burned[len(was.Burned):] {
		say("burns pair with %s", s.name(t.Peer))
	}
	for _, r := range p.Saved[len(was.Saved):] {
		say("saves %s", r.Name)
	}
	for _, m := range p.Sent[len(was.Sent):] {
		say("sends r%d kind %#x to %s, %d bytes", m.Round, uint8(m.Kind), s.name(m.To), len(m.Body))
	}
	if p.Result != was.Result {
		say("ends with %v", *p.Result)
	}
	if f := p.Fault(); f != nil && was.Err == nil {
		say("ends: %s, %s, accuses %s", f.Check, f.Class, s.names(f.Accused))
	} else if p.Err != nil && was.Err == nil {
		say("ends: %v", p.Err)
	}
}

func (s *script[R]) status() {
	for i, p := range s.c.Parties {
		state := "waits for " + s.names(p.Session.Waiting())
		switch {
		case p.Crashed:
			state = "crashed"
		case p.Err != nil:
			state = "ended with an error"
		case p.Result != nil:
			state = "has the result"
		}
		fmt.Fprintf(&s.log, "%d round %d, %s\n", i+1, p.Session.Round(), state)
	}
}

func (s *script[R]) flight(f Flight) string {
	return fmt.Sprintf("%s->%s r%d kind %#x, %d bytes", s.name(f.Msg.From), s.name(f.To), f.Msg.Round, uint8(f.Msg.Kind), len(f.Msg.Body))
}

func (s *script[R]) name(id engine.PartyID) string {
	if id == engine.Everyone {
		return "all"
	}
	i := slices.IndexFunc(s.c.Parties, func(p *Party[R]) bool { return p.ID == id })
	if i < 0 {
		return id.String()
	}
	return strconv.Itoa(i + 1)
}

func (s *script[R]) names(ids []engine.PartyID) string {
	if len(ids) == 0 {
		return "nobody"
	}
	var all []string
	for _, id := range ids {
		all = append(all, s.name(id))
	}
	return strings.Join(all, " and ")
}

func (s *script[R]) party(name string) (*Party[R], error) {
	i, err := strconv.Atoi(name)
	if err != nil || i < 1 || i > len(s.c.Parties) {
		return nil, fmt.Errorf("no party %q", name)
	}
	return s.c.Parties[i-1], nil
}

// end is one end of a selector: a party, or * for any.
func (s *script[R]) end(name string) (engine.PartyID, error) {
	if name == "*" {
		return engine.PartyID{}, nil
	}
	p, err := s.party(name)
	if err != nil {
		return engine.PartyID{}, err
	}
	return p.ID, nil
}

func (s *script[R]) selector(args []string) (Match, error) {
	var w Match
	for _, a := range args {
		if from, to, ok := strings.Cut(a, "->"); ok {
			var err error
			if w.From, err = s.end(from); err == nil {
				w.To, err = s.end(to)
			}
			if err != nil {
				return w, err
			}
			continue
		}
		n, err := strconv.ParseUint(a[1:], 0, 8)
		switch {
		case err != nil:
			return w, fmt.Errorf("selector %q: %w", a, err)
		case a[0] == 'r':
			w.Round = uint8(n)
		case a[0] == 'k':
			w.Kind = engine.Kind(n)
		default:
			return w, fmt.Errorf("selector %q: want from->to, rN or kN", a)
		}
	}
	return w, nil
}

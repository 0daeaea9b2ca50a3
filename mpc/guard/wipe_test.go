package guard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// watched notes the stages that follow it.
type watched struct {
	engine.Stage[Output]
	seen *[]engine.Stage[Output]
}

func (w *watched) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	out, err := w.Stage.Finish(t)
	if out.Next != nil {
		*w.seen = append(*w.seen, out.Next)
		out.Next = &watched{out.Next, w.seen}
	}
	return out, err
}

func (w *watched) Wipe() {
	if x, ok := w.Stage.(engine.Wiper); ok {
		x.Wipe()
	}
}

// held is what is left of the secrets of a run.
func held(o *Opened, stages []engine.Stage[Output]) (left []string) {
	for name, p := range map[string]share.Polynomial{"values'": o.own.values, "masks'": o.own.tail} {
		if p.Threshold() > 0 && (!p.Constant().IsZero() || !p.Eval(1).IsZero()) {
			left = append(left, name+" polynomial")
		}
	}
	for _, s := range stages {
		j, ok := s.(*judge)
		if !ok {
			continue
		}
		if j.own != nil && !j.own.IsZero() {
			left = append(left, "own part")
		}
		for _, d := range j.deals {
			if d.mask.Value != nil && (!d.mask.Value.IsZero() || d.mask.Blind != [32]byte{}) {
				left = append(left, "a dealer's mask")
			}
		}
	}
	return left
}

// A run that the host gives up, or whose transcripts differ, or in which somebody is to blame, leaves nothing, and one that succeeds nothing but
// its mask.
func TestEveryEndWipes(t *testing.T) {
	g := edwards25519.Group{}
	v := newVault(t, g, 2, 3, 1, 2, 3, true)
	v.kept = map[engine.PartyID]*kept{}
	run := func(self int, hook enginetest.Hook) (*Opened, *[]engine.Stage[Output], *enginetest.Party[Output]) {
		var first *commit
		seen := &[]engine.Stage[Output]{}
		var sessions []*engine.Session[Output]
		for i, p := range v.params(sid, 1) {
			s := Start(p)
			w := engine.Stage[Output](&whole{s, v})
			if i == self {
				first = s.(*commit)
				w = &watched{w, seen}
			}
			sessions = append(sessions, v.machine(t, p, w))
		}
		// Nobody but us need check what is dealt.
		others := func(to engine.PartyID, m engine.Msg) []engine.Msg {
			if m.Kind == KindDeal && to != seat(self).ID {
				return nil
			}
			return []engine.Msg{m}
		}
		if hook != nil {
			others = enginetest.Hooks(others, hook)
		}
		hook = others
		return first.Opened, seen, enginetest.Run(enginetest.Options{Hook: hook}, sessions...).Parties[self]
	}
	disputed := func(m *engine.Msg) []engine.Msg {
		m.Echo[0] ^= 1
		return []engine.Msg{*m}
	}
	broken := enginetest.Edit(func(b []byte) []byte { return b[1:] })
	blamed := enginetest.Flip(3)
	for self, name := range []string{"dealer", "", "member", "who leaves"} {
		if name == "" {
			continue // it is the other dealer
		}
		for _, kind := range []engine.Kind{KindCommit, KindOpening, KindDeal, KindMask} {
			if name == "who leaves" && kind == KindMask {
				continue // it gets none
			}
			for how, do := range map[string]enginetest.Mutate{"lost": enginetest.Drop, "disputed": disputed, "broken": broken, "blamed": blamed} {
				o, seen, p := run(self, enginetest.On(enginetest.Match{From: seat(1).ID, To: seat(self).ID, Kind: kind}, do))
				if p.Result != nil || (how == "lost") != (p.Err == nil) {
					t.Fatalf("%s, %#x %s: ended with %v", name, uint8(kind), how, p.Err)
				}
				p.Session.Abandon()
				if left := held(o, *seen); len(left) > 0 {
					t.Errorf("%s, %#x %s: %v stays", name, uint8(kind), how, left)
				}
			}
		}
		o, seen, p := run(self, nil)
		if p.Result == nil {
			t.Fatal(p.Err)
		}
		if left := held(o, *seen); len(left) > 0 {
			t.Errorf("%s: after the result %v stays", name, left)
		}
		mask := p.Result.Mask
		if mask != nil && mask.IsZero() {
			t.Errorf("%s: the mask is wiped with the rest", name)
		}
		p.Result.Wipe()
		if mask != nil && !mask.IsZero() {
			t.Errorf("%s: the mask is not wiped", name)
		}
	}
}

// What is dealt goes with the dealing, not with the session; and a share that is refused, or entropy that ends, leaves nothing either.
func TestPolynomialsGoWithTheDealing(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	opened := func(rand int) *Opened {
		p := v.params(sid, 1)[0]
		s := Start(p).(*commit)
		if _, err := s.Finish(engine.Transcript{}); err != nil {
			t.Fatal(err)
		}
		other := Start(v.params(sid, 1)[1]).(*commit)
		if _, err := other.Finish(engine.Transcript{}); err != nil {
			t.Fatal(err)
		}
		s.deals[other.Self.ID] = other.deals[other.Self.ID]
		if rand >= 0 {
			s.Rand = &dry{enginetest.Reader(3), rand}
		}
		return s.Opened
	}
	o := opened(-1)
	share := v.epoch(o.Self.ID)
	if _, err := o.Deal(share); err != nil {
		t.Fatal(err)
	}
	if left := held(o, nil); len(left) > 0 {
		t.Errorf("after the dealing %v stays", left)
	}
	if share.Share.IsZero() {
		t.Error("the caller's share is wiped")
	}
	for name, do := range map[string]func() (*Opened, error){
		"foreign share": func() (*Opened, error) {
			o := opened(-1)
			e := v.epoch(o.Self.ID)
			e.Share = v.g.Scalar(5)
			_, err := o.Deal(e)
			return o, err
		},
		"no share": func() (*Opened, error) {
			o := opened(-1)
			e := v.epoch(o.Self.ID)
			e.Share = nil
			_, err := o.Deal(e)
			return o, err
		},
		"no entropy for masks":       func() (*Opened, error) { o := opened(0); _, err := o.Deal(v.epoch(o.Self.ID)); return o, err },
		"no entropy for encryptions": func() (*Opened, error) { o := opened(64); _, err := o.Deal(v.epoch(o.Self.ID)); return o, err },
	} {
		o, err := do()
		if err == nil {
			t.Errorf("%s: dealt", name)
		}
		if left := held(o, nil); len(left) > 0 {
			t.Errorf("%s: %v stays", name, left)
		}
	}
}

// dry is entropy that ends.
type dry struct {
	from interface{ Read([]byte) (int, error) }
	left int
}

func (d *dry) Read(b []byte) (int, error) {
	if d.left < len(b) {
		return 0, fmt.Errorf("dry")
	}
	d.left -= len(b)
	return d.from.Read(b)
}

// M_{i,0} = 0: a dealer whose values hold all of its share would give guardians alone what it has.
func TestNothingForOperatorsIsBlamed(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	p := v.params(sid, 1)[0]
	s := Start(p).(*commit)
	if _, err := s.Finish(engine.Transcript{}); err != nil {
		t.Fatal(err)
	}
	liar := v.members[1].ID
	weights, err := v.terms().weights(p.Dealers)
	if err != nil {
		t.Fatal(err)
	}
	s.deals[liar] = &opening{values: share.Commitment{v.publics[liar].MulVarTime(weights[1]), v.g.Generator()}}
	_, err = s.Opened.Deal(v.epoch(p.Self.ID))
	f, ok := err.(*engine.Fault)
	if !ok || f.Class != engine.Blame || f.Accused[0] != liar || !strings.Contains(err.Error(), "gives operators nothing") {
		t.Errorf("ended with %v", err)
	}
}

// Nothing prints secrets.
func TestRedaction(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	s := Start(v.params(sid, 1)[0]).(*commit)
	if _, err := s.Finish(engine.Transcript{}); err != nil {
		t.Fatal(err)
	}
	var u group.Scalar = s.own.values.Constant()
	hex := fmt.Sprintf("%x", u.Bytes())
	mask := &Output{Mask: u}
	for _, x := range []any{s, s.Opened, &open{s.Opened, nil}, &checkOpenings{s.Opened, nil}, &judge{Opened: s.Opened, own: u}, mask, *mask} {
		if out := fmt.Sprintf("%v %+v %#v %x %s %d", x, x, x, x, x, x); strings.Contains(out, hex) || strings.Contains(out, "values:") {
			t.Errorf("%T prints %.200s", x, out)
		}
	}
}

package pair

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

func TestSetupRefusesParametersThatDoNotFit(t *testing.T) {
	for want, spoil := range map[string]func(*Params){
		"the session id is zero":   func(p *Params) { p.Session = engine.SessionID{} },
		"no source of randomness":  func(p *Params) { p.Rand = nil },
		"among 1 parties":          func(p *Params) { p.Parties = p.Parties[:1] },
		"we are 0 times":           func(p *Params) { p.Self.ID[3] ^= 1 },
		"our index is 2 in the":    func(p *Params) { p.Self.Index++ },
		"not by ascending index":   func(p *Params) { slices.Reverse(p.Parties) },
		"not by ascending index a": func(p *Params) { p.Parties[2] = p.Parties[1] },
	} {
		all := parties(3)
		p := Params{Session: sid, Self: all[0], Parties: all, Rand: enginetest.Reader(1)}
		spoil(&p)
		_, err := Setup(p).Finish(engine.Transcript{})
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// A source of randomness that runs dry, in our choices or in our answers, accuses nobody.
func TestDryRandomnessAccusesNobody(t *testing.T) {
	all := parties(2)
	for _, n := range []int64{0, 100, 17_000, 30_000} {
		first := stages(all, 1)
		count := &counter{r: io.LimitReader(enginetest.Reader(1), n)}
		first[0] = Setup(Params{Session: sid, Self: all[0], Parties: all, Rand: count})
		p := enginetest.Run(enginetest.Options{}, sessions(t, all, first)...).Parties[0]
		if p.Err == nil || p.Fault() != nil || p.Result != nil {
			t.Errorf("after %d bytes: ended with %v, having read %d", n, p.Err, count.n)
		}
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// A set-up that fails leaves no state and no seed behind.
func TestFailureDiscards(t *testing.T) {
	all := parties(2)
	for name, do := range map[string]enginetest.Mutate{
		"tree check": enginetest.Flip(8 * (8192 + 96)),
		"opening":    enginetest.Flip(8 * 13313),
		"length":     enginetest.Edit(func(b []byte) []byte { return b[1:] }),
	} {
		inner := &setup{Params: Params{Session: sid, Self: all[0], Parties: all, Rand: enginetest.Reader(5)}}
		first := stages(all, 1)
		first[0] = &choose{inner}
		hook := enginetest.On(enginetest.Match{From: all[1].ID, Kind: KindAnswer}, do)
		p := enginetest.Run(enginetest.Options{Hook: hook}, sessions(t, all, first)...).Parties[0]
		if p.Fault() == nil {
			t.Fatalf("%s: ended with %v", name, p.Err)
		}
		q := inner.peers[0]
		empty := (&ot.Leaves{}).Encode()
		if !q.state.Leaves.Encode().Equal(empty) || q.own != (opening{}) || len(bytes.Trim(q.state.Seed.Expose(), "\x00")) > 0 {
			t.Errorf("%s: something of the state stays", name)
		}
		if _, err := q.chooser.Finish(nil); !errors.Is(err, ot.ErrSpent) {
			t.Errorf("%s: the chooser can be used again", name)
		}
	}
}

func TestStagesRedact(t *testing.T) {
	all := parties(2)
	s := &setup{Params: Params{Session: sid, Self: all[0], Parties: all}}
	state := dealt(t, all)[0][all[1].ID]
	for _, v := range []any{&choose{s}, reply{s}, &settle{s}, s, state, *state} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%T under %s prints %q", v, verb, got)
			}
		}
	}
	if text, err := state.MarshalText(); err != nil || string(text) != secret.Redacted {
		t.Errorf("marshals as %q, %v", text, err)
	}
}

func FuzzDecodeChoice(f *testing.F) {
	f.Add(make([]byte, ChoiceSize))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := decodeChoice(in); err == nil && !bytes.Equal(c.encode(), in) {
			t.Fatal("decode then encode changed the choice")
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(make([]byte, AnswerSize))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if a, err := decodeAnswer(in); err == nil && !bytes.Equal(a.encode(), in) {
			t.Fatal("decode then encode changed the answer")
		}
	})
}

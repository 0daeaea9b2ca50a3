package ceremony

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A toy is one stage of a protocol whose every move is written down.
type toy struct {
	kind  engine.Kind
	guard []engine.Token
	err   error
	after []*toy // later stages; none left: the result
	heard []string
}

func (s *toy) Expect() engine.Expect {
	if s.kind == 0 {
		return engine.Expect{Guard: s.guard}
	}
	return engine.Expect{Wants: []engine.Want{{Kind: s.kind, From: enginetest.IDs(2)[1:], MaxBody: 8}}, Guard: s.guard}
}

func (s *toy) Accept(kind engine.Kind, _ engine.PartyID, body []byte) error {
	if kind != s.kind {
		return fmt.Errorf("kind %#x came to the stage of %#x", uint8(kind), uint8(s.kind))
	}
	s.heard = append(s.heard, string(body))
	return nil
}

func (s *toy) Finish(engine.Transcript) (engine.Outcome[string], error) {
	name := fmt.Sprintf("%#x", uint8(s.kind))
	out := engine.Outcome[string]{
		Burn: []engine.Token{{Peer: engine.PartyID{byte(s.kind)}}}, Save: []engine.Record{{Name: name}},
		Send: []engine.Out{{Kind: s.kind + 1, Body: []byte(name)}},
	}
	if s.err != nil {
		return out, s.err
	}
	if len(s.after) == 0 {
		out.Result = &name
	} else {
		out.Next = &toy{kind: s.after[0].kind, guard: s.after[0].guard, err: s.after[0].err, after: s.after[1:]}
	}
	return out, nil
}

func kinds(out []engine.Out) (ks []engine.Kind) {
	for _, o := range out {
		ks = append(ks, o.Kind)
	}
	return ks
}

func side(a, b *toy) *beside[string, string] { return &beside[string, string]{a: a, b: b} }

func TestBesideJoinsBothSides(t *testing.T) {
	ta, tb := engine.Token{Peer: engine.PartyID{1}}, engine.Token{Peer: engine.PartyID{2}}
	s := side(&toy{kind: 1, guard: []engine.Token{ta}}, &toy{kind: 5, guard: []engine.Token{tb}})
	e := s.Expect()
	if len(e.Wants) != 2 || !slices.Equal(e.Guard, []engine.Token{ta, tb}) {
		t.Errorf("wants %v, guards %v", e.Wants, e.Guard)
	}
	for _, k := range []engine.Kind{1, 5} {
		if err := s.Accept(k, enginetest.IDs(2)[1], nil); err != nil {
			t.Error(err)
		}
	}
	out, err := s.Finish(engine.Transcript{})
	if err != nil || !slices.Equal(kinds(out.Send), []engine.Kind{2, 6}) || len(out.Burn) != 2 || len(out.Save) != 2 {
		t.Errorf("sends %v, burns %v, saves %v: %v", kinds(out.Send), out.Burn, out.Save, err)
	}
	if out.Result == nil || *out.Result.a != "0x1" || *out.Result.b != "0x5" || out.Next != nil {
		t.Error("the results are not those of both sides")
	}
}

// One side may be done rounds before the other: its result waits.
func TestBesideKeepsAnEarlyResult(t *testing.T) {
	for name, s := range map[string]*beside[string, string]{
		"a first": side(&toy{kind: 1}, &toy{kind: 5, after: []*toy{{kind: 7}, {kind: 9}}}),
		"b first": side(&toy{kind: 5, after: []*toy{{kind: 7}, {kind: 9}}}, &toy{kind: 1}),
	} {
		var stage engine.Stage[two[string, string]] = s
		for round := 0; ; round++ {
			out, err := stage.Finish(engine.Transcript{})
			if err != nil || round > 3 {
				t.Fatalf("%s: round %d: %v", name, round, err)
			}
			if out.Result != nil {
				if round != 2 || out.Next != nil || *out.Result.a+*out.Result.b != map[string]string{"a first": "0x10x9", "b first": "0x90x1"}[name] {
					t.Errorf("%s: round %d gives %s, %s", name, round, *out.Result.a, *out.Result.b)
				}
				break
			}
			stage = out.Next
			if n := len(stage.Expect().Wants); n != 1 {
				t.Errorf("%s: %d messages are wanted for one side", name, n)
			}
			if err := stage.Accept(stage.Expect().Wants[0].Kind, enginetest.IDs(2)[1], nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// If one side fails nothing leaves, of either; what both burn and save is kept.
func TestBesideFails(t *testing.T) {
	p, q := enginetest.IDs(2)[0], enginetest.IDs(2)[1]
	own := errors.New("dry")
	blameP, blameQ, burnQ, nobody := engine.Blamed("a", p, nil), engine.Blamed("b", q, nil), engine.Burned("c", q, nil), engine.Nobody("d", nil)
	for name, c := range map[string]struct {
		a, b    error
		class   engine.Class // 0: no fault
		accused []engine.PartyID
	}{
		"a":                 {blameP, nil, engine.Blame, []engine.PartyID{p}},
		"b":                 {nil, burnQ, engine.BurnPair, []engine.PartyID{q}},
		"both blame":        {blameP, blameQ, engine.Blame, []engine.PartyID{p, q}},
		"stronger wins":     {blameP, burnQ, engine.BurnPair, []engine.PartyID{q}},
		"blame over nobody": {nobody, blameQ, engine.Blame, []engine.PartyID{q}},
		"ours and theirs":   {own, blameQ, 0, nil},
		"theirs and ours":   {blameP, own, 0, nil},
	} {
		out, err := side(&toy{kind: 1, err: c.a}, &toy{kind: 5, err: c.b}).Finish(engine.Transcript{})
		if err == nil || len(out.Send) != 0 || out.Next != nil || out.Result != nil {
			t.Errorf("%s: sends %v, %v", name, kinds(out.Send), err)
		}
		if len(out.Burn) != 2 || len(out.Save) != 2 {
			t.Errorf("%s: burns %v, saves %v", name, out.Burn, out.Save)
		}
		var f *engine.Fault
		if is := errors.As(err, &f); is != (c.class != 0) {
			t.Errorf("%s: ended with %v", name, err)
		} else if is && (f.Class != c.class || !slices.Equal(f.Accused, c.accused)) {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestThenGoesOnInTheSameRound(t *testing.T) {
	with := func(r *string) (engine.Outcome[int], error) {
		n := len(*r)
		return engine.Outcome[int]{Save: []engine.Record{{Name: "end"}}, Send: []engine.Out{{Kind: 0x20}}, Result: &n}, nil
	}
	s := &then[string, int]{&toy{kind: 1, after: []*toy{{kind: 3}}}, with, nil}
	if len(s.Expect().Wants) != 1 || s.Accept(1, enginetest.IDs(2)[1], nil) != nil {
		t.Error("the first protocol is not asked")
	}
	out, err := s.Finish(engine.Transcript{})
	if err != nil || out.Result != nil || out.Next == nil || len(out.Send) != 1 {
		t.Fatalf("first round: %v", err)
	}
	out, err = out.Next.Finish(engine.Transcript{})
	if err != nil || out.Result == nil || *out.Result != 3 || !slices.Equal(kinds(out.Send), []engine.Kind{4, 0x20}) || len(out.Save) != 2 || len(out.Burn) != 1 {
		t.Errorf("last round: %+v, %v", out, err)
	}
	fault := engine.Nobody("x", nil)
	out, err = (&then[string, int]{&toy{kind: 1, err: fault}, with, nil}).Finish(engine.Transcript{})
	if !errors.Is(err, fault) || len(out.Save) != 1 || len(out.Burn) != 1 || out.Result != nil {
		t.Errorf("a fault of the first: %+v, %v", out, err)
	}
	fail := func(*string) (engine.Outcome[int], error) { return engine.Outcome[int]{}, fault }
	if out, err = (&then[string, int]{&toy{kind: 1}, fail, nil}).Finish(engine.Transcript{}); !errors.Is(err, fault) || len(out.Burn) != 1 || out.Result != nil {
		t.Errorf("a fault of the second: %+v, %v", out, err)
	}
}

// Kinds are unique over all protocols: one name and one number each, in its room's range.
func TestKindsAreUnique(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	ranges := map[string][2]uint64{
		"keygen": {0x10, 0x17}, "reshare": {0x18, 0x1f}, "pair": {0x20, 0x27}, "guard": {0x28, 0x2f}, "epoch": {0x30, 0x3f}, "dkls": {0x40, 0x4f}, "frost": {0x50, 0x5f},
	}
	seen := map[uint64]string{}
	for _, file := range files {
		room := filepath.Base(filepath.Dir(file))
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || v.Names[0].Name == "Kinds" || !strings.HasPrefix(v.Names[0].Name, "Kind") {
				return true
			}
			name := room + "." + v.Names[0].Name
			lit, ok := v.Values[0].(*ast.BasicLit)
			if !ok || len(v.Names) != 1 {
				t.Errorf("%s is not one number", name)
				return true
			}
			k, err := strconv.ParseUint(lit.Value, 0, 8)
			if err != nil {
				t.Error(err)
			}
			if seen[k] != "" {
				t.Errorf("%s and %s are both %#x", seen[k], name, k)
			}
			seen[k] = name
			if within, ok := ranges[room]; !ok || k < within[0] || k > within[1] {
				t.Errorf("%s is %#x, outside its room's range", name, k)
			}
			return true
		})
	}
	if len(seen) != 25 {
		t.Errorf("%d kinds were found, spec pages list 25: %v", len(seen), seen)
	}
}

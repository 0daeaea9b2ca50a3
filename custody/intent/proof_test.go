package intent

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

func asksProof(it *Intent) {
	it.Purpose, it.Transaction = PurposeProof, nil
	it.Claim = Claim{Entity: "Example Ltd", AsOf: &Block{24_000_000, [32]byte{1, 31: 2}}, Text: "Reserves on 31 January 2026"}
	it.Facts = Proof{Address: it.Address, Claim: it.Claim}.Facts()
}

// asksLess asks for a proof that speaks of no block.
func asksLess(it *Intent) {
	asksProof(it)
	it.AsOf = nil
	it.Facts = Proof{Address: it.Address, Claim: it.Claim}.Facts()
}

func TestProofFollowsFromItsIntent(t *testing.T) {
	v := vault(t)
	s := stated(t, v, asksProof)
	it := must(Of(s))(t)
	p := must(ProofOf(s, charter.SuiteECDSA))(t)
	out := must(p.Statement())(t)
	snapshot(t, "proof.txt", out.Bytes())
	if again := must(must(ProofOf(s, charter.SuiteECDSA))(t).Statement())(t); again.ID() != out.ID() {
		t.Error("two nodes build different bytes")
	}
	if got := must(ReadProof(out))(t); !reflect.DeepEqual(got, p) {
		t.Errorf("read %+v\nwant %+v", got, p)
	}
	if p.Intent != s.ID() || !reflect.DeepEqual(p.Claim, it.Claim) || p.Address != it.Address || p.Key != it.Key || p.Path != it.Path || p.Chain != it.Chain || !p.Expires.Equal(it.Expires) {
		t.Errorf("the proof says other than its intent: %+v", p)
	}
	// Every field of the intent but the charter stands in the bytes, through its id at least.
	other := must(must(ProofOf(must(intent(v, asksProof).Statement(statement.Salt{7}))(t), charter.SuiteECDSA))(t).Statement())(t)
	if other.ID() == out.ID() {
		t.Error("two intents make one proof")
	}
}

func TestProofRefuses(t *testing.T) {
	v := vault(t)
	if _, err := ProofOf(stated(t, v), charter.SuiteECDSA); err == nil || !strings.Contains(err.Error(), "purpose is transaction") {
		t.Errorf("a transaction's intent makes a proof: %v", err)
	}
	out := must(must(ProofOf(stated(t, v, asksProof), charter.SuiteECDSA))(t).Statement())(t)
	fields := out.Fields()
	salted := must(statement.Build(statement.Proof, fields[:len(fields)-1], statement.Salt{1}))(t)
	if _, err := ReadProof(salted); err == nil || !strings.Contains(err.Error(), "salt") {
		t.Errorf("free salt: %v", err)
	}
	if _, err := ReadProof(stated(t, v)); err == nil {
		t.Error("an intent passes for a proof")
	}
}

// A proof says in whose name, and a height with the block's hash or neither: in the intent and in the proof alike.
func TestProofsClaim(t *testing.T) {
	v := vault(t)
	asked := stated(t, v, asksProof)
	proved := must(must(ProofOf(asked, charter.SuiteECDSA))(t).Statement())(t)
	less := stated(t, v, asksLess)
	lesser := must(must(ProofOf(less, charter.SuiteECDSA))(t).Statement())(t)
	if got := must(ReadProof(lesser))(t); got.AsOf != nil || strings.Contains(lesser.Text(), "height") || len(must(Of(less))(t).Facts) != 4 {
		t.Errorf("without a block it is %+v", got)
	}
	for _, s := range []statement.Statement{asked, proved} {
		for name, c := range map[string]struct{ line, by, want string }{
			"no entity":          {"entity: Example Ltd\n", "", "entity"},
			"empty entity":       {"entity: Example Ltd\n", "entity: \n", "entity"},
			"entity of two":      {"entity: Example Ltd\n", "entity: Example Ltd\nentity: Other Ltd\n", "entity"},
			"long entity":        {"entity: Example Ltd\n", "entity: " + strings.Repeat("x", 129) + "\n", "entity"},
			"invisible":          {"entity: Example Ltd\n", "entity: Example\u200b Ltd\n", "entity"},
			"no hash":            {"block: 01", "", "together"},
			"no height":          {"height: 24000000\n", "", "together"},
			"height in hex":      {"height: 24000000\n", "height: 0x16e3600\n", "height"},
			"height with zero":   {"height: 24000000\n", "height: 024000000\n", "height"},
			"negative height":    {"height: 24000000\n", "height: -1\n", "height"},
			"height of 64 bits":  {"height: 24000000\n", "height: 9223372036854775808\n", "height"},
			"short hash":         {"block: 0100", "block: 01", "block"},
			"hash in upper case": {"0002\n", "000A\n", "block"},
			"text before":        {"entity: Example Ltd\n", "text: ours\nentity: Example Ltd\n", ""},
		} {
			text := s.Text()
			at := strings.Index(text, c.line)
			if at < 0 {
				t.Fatalf("%s %s: no line %q", s.Kind(), name, c.line)
			}
			rest := text[at+len(c.line):]
			if name == "no hash" {
				rest = rest[strings.Index(rest, "\n")+1:]
			}
			bad, err := statement.Parse([]byte(text[:at] + c.by + rest))
			if err == nil && s.Kind() == statement.Intent {
				_, err = Of(bad)
			} else if err == nil {
				_, err = ReadProof(bad)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v", s.Kind(), name, err)
			}
		}
	}
}

// Each part of what is claimed stands in the proof's bytes and in the facts that people read.
func TestClaimsAreShown(t *testing.T) {
	v := vault(t)
	of := func(change func(*Intent)) (statement.ID, []Fact) {
		p := must(ProofOf(stated(t, v, asksProof, change), charter.SuiteECDSA))(t)
		p.Intent = statement.ID{1} // else it differs anyhow
		return must(p.Statement())(t).ID(), p.Facts()
	}
	id, facts := of(func(*Intent) {})
	want := []string{"operation", "address", "entity", "height", "block", "text"}
	for i, f := range facts {
		if f.Name != want[i] {
			t.Errorf("fact %d is %s, want %s", i, f.Name, want[i])
		}
	}
	for name, change := range map[string]func(*Intent){
		"entity": func(it *Intent) { it.Entity = "Example Ltd." },
		"height": func(it *Intent) { it.AsOf = &Block{it.AsOf.Height + 1, it.AsOf.Hash} },
		"block":  func(it *Intent) { it.AsOf = &Block{it.AsOf.Height, [32]byte{9}} },
		"text":   func(it *Intent) { it.Text += "." },
		"none":   func(it *Intent) { it.AsOf = nil },
	} {
		otherID, other := of(change)
		if otherID == id {
			t.Errorf("%s: the proof's bytes do not say it", name)
		}
		differ := len(other) != len(facts)
		for i := range min(len(other), len(facts)) {
			differ = differ || other[i] != facts[i]
		}
		if !differ {
			t.Errorf("%s: the facts do not show it", name)
		}
	}
}

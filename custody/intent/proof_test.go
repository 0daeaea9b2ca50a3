package intent

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

func asksProof(it *Intent) {
	it.Purpose, it.Transaction, it.Text = PurposeProof, nil, "Reserves of Example Ltd on 31 January 2026"
	it.Facts = Proof{Address: it.Address, Text: it.Text}.Facts()
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
	if p.Intent != s.ID() || p.Text != it.Text || p.Address != it.Address || p.Key != it.Key || p.Path != it.Path || p.Chain != it.Chain || !p.Expires.Equal(it.Expires) {
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

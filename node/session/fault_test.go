package session

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/frost"
)

// A bad share of FROST convinces a third party only together with the commitments that it answers to: the row has them.
func TestFaultKeepsWhatAThirdPartyNeeds(t *testing.T) {
	commitments := [][]byte{{1, 2}, {3, 4}}
	f := engine.Blamed("frost: share", engine.PartyID{1}, &frost.BadShareError{Commitments: commitments})
	f.Strength, f.Evidence = engine.Proved, []engine.Msg{{Signed: []byte("envelope"), Body: []byte("share"), To: engine.PartyID{2}}}
	read := func(row []byte) (opened, public [][]byte) {
		d := transcript.NewDecoder(row)
		d.String(fieldFaultCheck, 64)
		for _, tag := range []transcript.Tag{fieldFaultClass, fieldFaultStrength, fieldFaultRound} {
			d.Uint(tag, 255)
		}
		list := func(tag transcript.Tag, max int) (out [][]byte) {
			d.List(tag, 0, 16, func(_ int, d *transcript.Decoder) { out = append(out, d.Bytes(1, max)) })
			return out
		}
		list(fieldFaultAccused, 16)
		list(fieldFaultEvidence, maxEvidence)
		opened, public = list(fieldFaultOpened, maxEvidence), list(fieldFaultPublic, maxEvidence)
		if err := d.Done(); err != nil {
			t.Fatal(err)
		}
		return opened, public
	}
	opened, public := read(encodeFault(f, false))
	if len(opened) != 0 || len(public) != 2 || !bytes.Equal(public[1], commitments[1]) {
		t.Errorf("opened %x, public %x", opened, public)
	}
	if opened, _ = read(encodeFault(f, true)); len(opened) != 1 {
		t.Errorf("a ceremony's complaint keeps %d private bodies", len(opened))
	}
	if _, public = read(encodeFault(engine.Blamed("x", engine.PartyID{1}, nil), false)); len(public) != 0 {
		t.Errorf("public bytes of nothing: %x", public)
	}
}

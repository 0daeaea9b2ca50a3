package epoch

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// frames are a Setup that the party opened and a Join that it signed, standing at r.
func (w *world) frames(r *Record, id engine.PartyID) (setup, join []byte) {
	w.tb.Helper()
	eh := r.Hash()
	s := &session.Setup{
		Protocol: "sign", Suite: r.Suite, KeyID: r.KeyID, Epoch: eh, Threshold: r.Threshold, Parties: r.Parties(),
		Opener: id, NotAfter: time.Unix(1000, 0),
	}
	setup, err := session.SealSetup(s, w.signer(id))
	if err != nil {
		w.tb.Fatal(err)
	}
	_, join, err = session.NewJoin(s, id, session.Standing{Epoch: r.Epoch, Record: eh}, enginetest.Reader(1), w.signer(id))
	if err != nil {
		w.tb.Fatal(err)
	}
	return setup, join
}

func message(eh Hash, sig []byte) []byte { return append(bytes.Clone(eh[:]), sig...) }

// Each kind of evidence: our own signature on a record that the store has forgotten says
// that it is an older copy; where the record is held, dropped or erased, all is well, but for a FINAL that the store lacks.
func TestRolledBack(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	lost := w.record(1, 2, 2, []int{0, 1, 5}, root, 0)
	me, leaver := engine.PartyID{1}, engine.PartyID{3}
	eh := lost.Hash()
	cert, fc := w.certOf(lost, root), w.finalCertOf(lost, root, 1)
	setup, join := w.frames(lost, me)
	other := NewBook() // of another key
	other.Adopt(w.finalCert(w.record(2, 9, 2, three, nil, 0), 1))
	restored := func() *Book { b := NewBook(); b.Adopt(w.finalCert(root, 1)); return b }
	for name, c := range map[string]struct {
		by     engine.PartyID
		signed string
		e      Evidence
	}{
		"PREP": {me, "PREP", Evidence{Prep: message(eh, SignPrep(eh, w.signer(me)))}}, "OLDOK": {leaver, "OLDOK", Evidence{OldOK: message(eh, SignOldOK(eh, w.signer(leaver)))}},
		"PREP in a certificate": {me, "PREP", Evidence{Cert: cert}}, "OLDOK in a certificate": {leaver, "OLDOK", Evidence{Cert: cert}},
		"FINAL": {me, "FINAL", Evidence{Final: fc.Finals[0]}}, "FINAL in a final certificate": {me, "FINAL", Evidence{FinalCert: fc}},
		"OLDOK in a final certificate": {leaver, "OLDOK", Evidence{FinalCert: fc}},
		"setup":                        {me, "setup", Evidence{Setup: setup}}, "join": {me, "join", Evidence{Join: join}},
	} {
		key := w.identity(c.by)
		var back *RolledBackError
		err := RolledBack(key, c.e, other, restored())
		if !errors.As(err, &back) || back.Record != eh || back.Signed != c.signed || !strings.Contains(err.Error(), "operator") {
			t.Errorf("%s: %v", name, err)
		}
		if RolledBack(key, c.e) == nil {
			t.Errorf("%s: a store without any book is no older copy", name)
		}
		// Not our signature: nobody can make us believe it.
		for _, stranger := range []engine.PartyID{{2}, {9}} {
			k := ed25519.PublicKey(make([]byte, 32))
			if key, ok := w.keys[stranger]; ok && c.e.Cert == nil && c.e.FinalCert == nil {
				k = key.Public().(ed25519.PublicKey)
			}
			if err := RolledBack(k, c.e, restored()); err != nil {
				t.Errorf("%s: believed, though another signed: %v", name, err)
			}
		}
		for how, b := range map[string]*Book{"pending": restored(), "FINAL": restored(), "doubted": restored(), "unheard": restored(), "dropped": restored(), "current": restored(), "erased": restored()} {
			switch how {
			case "current":
				b.Adopt(fc)
			case "erased":
				b.Adopt(fc)
				b.Adopt(w.finalCertOf(w.record(1, 8, 2, []int{0, 1}, lost, 0), lost, 1))
			default:
				if err := b.Prepare(lost); err != nil {
					t.Fatal(err)
				}
				switch how {
				case "dropped":
					if err := b.Drop(eh); err != nil {
						t.Fatal(err)
					}
				case "FINAL":
					b.pending[eh].Final = fc.Finals[0]
				case "doubted":
					b.Doubt()
				case "unheard":
					b.pending[eh].Unheard = true
				}
			}
			// A FINAL is known once the store holds it: before that the record may be given up, and never after.
			forgot := (how == "pending" || how == "unheard" || how == "dropped") && c.signed == "FINAL"
			if err := RolledBack(key, c.e, other, b); (err != nil) != forgot {
				t.Errorf("%s, %s: %v", name, how, err)
			}
		}
	}
	// A sender's own label, another's bytes, a spoiled byte: none of it counts.
	key := w.identity(me)
	for name, e := range map[string]Evidence{
		"nothing": {}, "PREP as OLDOK": {OldOK: message(eh, SignPrep(eh, w.signer(me)))}, "OLDOK as PREP": {Prep: message(eh, SignOldOK(eh, w.signer(me)))},
		"short": {Prep: message(eh, SignPrep(eh, w.signer(me)))[1:]}, "PREP of another record": {Prep: message(root.Hash(), SignPrep(eh, w.signer(me)))},
		"setup spoiled": {Setup: append(bytes.Clone(setup[:len(setup)-1]), setup[len(setup)-1]^1)}, "join spoiled": {Join: append(bytes.Clone(join[:len(join)-1]), join[len(join)-1]^1)},
		"join as setup": {Setup: join}, "setup as join": {Join: setup}, "no certificate": {FinalCert: &FinalCert{}},
	} {
		if err := RolledBack(key, e, restored()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A join before any key exists stands nowhere.
	keygen := *root
	setup0 := &session.Setup{Protocol: "keygen", Suite: root.Suite, KeyID: root.KeyID, Threshold: 2, Parties: keygen.Parties(), Opener: me, NotAfter: time.Unix(1000, 0)}
	frame, err := session.SealSetup(setup0, w.signer(me))
	if err != nil {
		t.Fatal(err)
	}
	_, join0, err := session.NewJoin(setup0, me, session.Standing{}, enginetest.Reader(1), w.signer(me))
	if err != nil {
		t.Fatal(err)
	}
	if err := RolledBack(key, Evidence{Setup: frame, Join: join0}); err != nil {
		t.Errorf("key generation: %v", err)
	}
}

// What somebody shows us names a record of ours as well as one we forgot: the latter counts.
func TestRolledBackLooksAtAllOfIt(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	lost := w.record(1, 2, 2, three, root, 0)
	b := NewBook()
	b.Adopt(w.finalCert(root, 1))
	me := engine.PartyID{2}
	_, join := w.frames(root, me)
	if err := RolledBack(w.identity(me), Evidence{Join: join, Cert: w.cert(lost)}, b); err == nil {
		t.Error("a known record hides a forgotten one")
	}
}

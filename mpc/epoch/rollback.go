package epoch

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/mpc/session"
)

// Evidence is something that somebody shows us and that may carry a signature of our own.
// Any of the fields may be set. Bytes are as they came; what does not decode says nothing.
type Evidence struct {
	Prep      []byte // body of a KindPrep message: eh ‖ signature
	OldOK     []byte // body of a KindOldOK message
	Cert      *Cert
	Final     *Final
	FinalCert *FinalCert
	Setup     []byte // frame
	Join      []byte // frame
}

// A RolledBackError says that we signed something about a record of which our store knows
// nothing, or a FINAL that it does not hold: it is an older copy of itself. Whoever restored it has forgotten burned pairs and
// seen setups: the host drops all one-time tokens, burns every pair until a refresh, and
// waits for the operator (protocols.md 1.5 step 8).
type RolledBackError struct {
	Record Hash
	Signed string // what we signed: "PREP", "OLDOK", "FINAL", "setup", "join"
}

func (e *RolledBackError) Error() string {
	return fmt.Sprintf("our own %s on record %v is shown to us, and the store knows nothing of that: "+
		"it was restored from an older copy; an operator must confirm before this node goes on", e.Signed, e.Record)
}

// RolledBack is the rollback guard. key is our identity key, books are those of **all** keys
// here: a PREP does not say of which key it is. Only our own signature counts, under each
// one's own label, so nobody can make us believe it. Who had other identity keys before asks
// for each of them.
func RolledBack(key ed25519.PublicKey, e Evidence, books ...*Book) error {
	for _, s := range e.signed(key) {
		known := s.Record == Hash{}
		for _, b := range books {
			known = known || b.Knows(s.Record) && (s.Signed != signedFinal || b.knowsFinal(s.Record))
		}
		if !known {
			return s
		}
	}
	return nil
}

// Knows says whether a record is held here, or is known to have been.
func (b *Book) Knows(eh Hash) bool {
	_, left := b.gone[eh]
	return left || b.pending[eh] != nil || b.current != nil && b.at == eh
}

// knowsFinal says whether a FINAL of ours, of a record that is known here, is known too, or is doubted already. What was given up has none.
func (b *Book) knowsFinal(eh Hash) bool {
	if p := b.pending[eh]; p != nil {
		return p.Final != nil || p.Doubted
	}
	return b.gone[eh] != Dropped
}

const signedFinal = "FINAL"

// signed lists the records that our key signed something about, whoever else did.
func (e Evidence) signed(key ed25519.PublicKey) (out []*RolledBackError) {
	add := func(eh Hash, what string, ours bool) {
		if ours {
			out = append(out, &RolledBackError{Record: eh, Signed: what})
		}
	}
	body := func(b []byte, what string, tree func(Hash) bool) {
		if len(b) == prepSize {
			add(Hash(b[:32]), what, tree(Hash(b[:32])))
		}
	}
	body(e.Prep, "PREP", func(eh Hash) bool { return session.Verify(key, prepTree(eh), e.Prep[32:]) })
	body(e.OldOK, "OLDOK", func(eh Hash) bool { return session.Verify(key, oldOKTree(eh), e.OldOK[32:]) })
	certs, finals := []*Cert{e.Cert}, []*Final{e.Final}
	if e.FinalCert != nil {
		certs, finals = append(certs, e.FinalCert.Cert), append(finals, e.FinalCert.Finals...)
	}
	for _, f := range finals {
		if f != nil {
			add(f.Record, signedFinal, session.Verify(key, f.tree(), f.Signature))
		}
	}
	for _, c := range certs {
		if c == nil {
			continue
		}
		for _, sig := range c.Preps {
			add(c.Record, "PREP", session.Verify(key, prepTree(c.Record), sig))
		}
		for _, o := range c.Olds {
			add(c.Record, "OLDOK", session.Verify(key, oldOKTree(c.Record), o.Signature))
		}
	}
	if s, err := session.OpenSetup(e.Setup); err == nil {
		// The opener's own record; zero in keygen.
		opener, _ := s.Party(s.Opener)
		add(s.Epoch, "setup", opener.Identity.Equal(key))
	}
	// A Join names where we stood. What its Setup names is the opener's word, not ours.
	if j, err := session.JoinOf(key, e.Join); err == nil {
		add(j.Standing.Record, "join", true)
	}
	return out
}

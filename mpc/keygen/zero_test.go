package keygen

import (
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
)

// A key or a public share that is zero is refused, and nobody is named. Commitments before openings keep anybody from making one, so
// no session comes to it.
func TestZeroKeyIsRefused(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, edwards25519.Group{}} {
		one := g.Generator()
		for name, out := range map[string]*Output{
			"key":   {Public: g.Identity(), Publics: map[engine.PartyID]group.Point{{1}: one}},
			"share": {Public: one, Publics: map[engine.PartyID]group.Point{{1}: one, {2}: g.Identity()}},
		} {
			var f *engine.Fault
			if err := out.check(); !errors.As(err, &f) || f.Class != engine.Unattributed || len(f.Accused) > 0 {
				t.Errorf("%s: a %s of zero: %v", g.Name(), name, err)
			}
		}
		if err := (&Output{Public: one, Publics: map[engine.PartyID]group.Point{{1}: one}}).check(); err != nil {
			t.Errorf("%s: %v", g.Name(), err)
		}
	}
}

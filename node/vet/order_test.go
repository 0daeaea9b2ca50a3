package vet_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/vet"
)

// Frames 30 to 34 out of their order, on another's link, or after what they were about has changed: each is dropped for what it is, and the honest course goes on beside it.
func TestOutOfOrder(t *testing.T) {
	for name, c := range map[string]struct {
		before  vet.Frame                        // what happens before this frame arrives
		do      func(x *circle, f frame) []error // of a frame of bolt's to acme, or of acme's to bolt
		want    string
		instead bool   // the frame itself does not arrive
		after   string // why no session is held afterwards; empty: one is
	}{
		"an opened challenge before there was one": {vet.FrameEvidence, func(x *circle, f frame) []error {
			nonce, _ := read(x.T, f.body)
			return []error{x.take(f, vet.FrameEnrolled, answer(nonce, make([]byte, 32), ""))}
		}, "answers a challenge to its TPM that was not made", false, ""},
		"evidence again while a challenge is open": {vet.FrameEnrolled, func(x *circle, f frame) []error {
			nonce, _ := read(x.T, f.body)
			return []error{x.take(f, vet.FrameEvidence, answer(nonce, []byte("other evidence"), ""))}
		}, "shows evidence a second time", false, ""},
		"a word that there is none while a challenge is open": {vet.FrameEnrolled, func(x *circle, f frame) []error {
			nonce, _ := read(x.T, f.body)
			return []error{x.take(f, vet.FrameEvidence, answer(nonce, nil, "no"))}
		}, "shows evidence a second time", false, ""},
		"a nonce answered on another's link": {vet.FrameEvidence, func(x *circle, f frame) []error {
			f.from = x.all[2]
			return []error{x.take(f, vet.FrameEvidence, f.body)}
		}, "of cora about its hardware is to no open question", false, ""},
		"a challenge opened on another's link": {vet.FrameEnrolled, func(x *circle, f frame) []error {
			f.from = x.all[2]
			return []error{x.take(f, vet.FrameEnrolled, f.body)}
		}, "of cora about its hardware is to no open question", false, ""},
		"another process between question and evidence": {vet.FrameEvidence, func(x *circle, f frame) []error {
			x.all[1].life.Counter++
			return []error{x.take(f, f.kind, f.body)}
		}, "is of a process before: it is asked anew", true, "no evidence"},
		"another process between challenge and answer": {vet.FrameEnrolled, func(x *circle, f frame) []error {
			x.all[1].life.Counter++
			return []error{x.take(f, f.kind, f.body)}
		}, "is of a process before: it is asked anew", true, "no evidence"},
		"an amendment between question and evidence": {vet.FrameEvidence, func(x *circle, f frame) []error {
			x.demands("bolt", x.maker.Allows("bolt", fresh, strings.Repeat("0", 3)))
			if err := x.all[0].Tick(context.Background(), x.now); err != nil {
				return []error{err}
			}
			return []error{x.take(f, f.kind, f.body)}
		}, "is to no open question", true, "none that the charter allows"}, // of its answer to the question anew
		"another connection between question and evidence": {vet.FrameEvidence, func(x *circle, f frame) []error {
			x.links++
			return []error{x.take(f, f.kind, f.body)}
		}, "is to a question over a connection before: it is asked anew", true, "no evidence"},
		"another connection between challenge and answer": {vet.FrameEnrolled, func(x *circle, f frame) []error {
			x.links++
			return []error{x.take(f, f.kind, f.body)}
		}, "is to a question over a connection before: it is asked anew", true, "no evidence"},
		"a challenge about what was shown before the last question": {vet.FrameEnrol, func(x *circle, f frame) []error {
			x.now = x.now.Add(6 * time.Second)
			_ = f.to.Take(context.Background(), x.now, f.from.id, vet.FrameAsk, x.question(f.from, f.to, 9))
			return []error{x.take(f, f.kind, f.body)}
		}, "a challenge to our TPM is about nothing that was shown", true, "no evidence"},
	} {
		x := newCircle(t)
		acme, bolt := x.all[0], x.all[1]
		var got []error
		done := false
		x.pass = func(f frame) []frame {
			if between := f.from == bolt && f.to == acme || f.from == acme && f.to == bolt; !between || f.kind != c.before || done {
				return []frame{f}
			}
			done = true
			got = c.do(x, f)
			if c.instead {
				return nil
			}
			return []frame{f}
		}
		errs := x.run(0)
		if len(got) != 1 || got[0] == nil || !strings.Contains(got[0].Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
		switch err := acme.Fit(bolt.id); {
		case c.after == "" && (err != nil || len(errs) > 0 || len(acme.leaves()) != 1):
			t.Errorf("%s: what is right is not taken afterwards: %v, %v, %d records", name, err, errs, len(acme.leaves()))
		case c.after != "" && (err == nil || !strings.Contains(err.Error(), c.after) || slices.ContainsFunc(acme.leaves(), func(r vetted.Record) bool { return r.Why == "" })):
			t.Errorf("%s: %v, want %q, %d records", name, err, c.after, len(acme.leaves()))
		}
	}
}

func (c *circle) take(f frame, kind vet.Frame, body []byte) error {
	return f.to.Take(context.Background(), c.now, f.from.id, kind, body)
}

// What arrives as the charter is amended counts under the demand that it was judged by, and so for no session after.
func TestAmendedWhileItAnswers(t *testing.T) {
	for name, demand := range map[string]func(x *circle){
		"amended": func(x *circle) { x.demands("bolt", x.maker.Allows("bolt", fresh, "tpm2:0:"+strings.Repeat("0", 64))) },
		"dropped": func(x *circle) { delete(x.demand, "bolt"); x.ids++ },
	} {
		x := newCircle(t)
		acme, bolt := x.all[0], x.all[1]
		x.pass = func(f frame) []frame {
			if f.from == bolt && f.to == acme && f.kind == vet.FrameEnrolled {
				demand(x) // acme has not looked at the charter since
			}
			return []frame{f}
		}
		x.run(0)
		m, err := acme.Meet(x.now, [32]byte{5}, [32]byte{}, []engine.PartyID{bolt.id})
		if name == "amended" && (err == nil || !strings.Contains(err.Error(), "the charter demands something else since")) || name == "dropped" && (err != nil || m != nil) {
			t.Errorf("%s: a session rests on %+v, %v", name, m, err)
		}
	}
}

// Challenges that are none, to a TPM: they are answered with why, once for each that was shown, and hurt nothing.
func hostileChallenges() map[string][]byte {
	form := func(credential, secret []byte) []byte {
		var e transcript.Encoder
		return e.Bytes(1, credential).Bytes(2, secret).Sum()
	}
	point := func(x, y byte) []byte { // TPMS_ECC_POINT
		return bytes.Join([][]byte{{0, 32}, bytes.Repeat([]byte{x}, 32), {0, 32}, bytes.Repeat([]byte{y}, 32)}, nil)
	}
	credential := append([]byte{0, 32}, make([]byte, 48)...)
	return map[string][]byte{
		"no form":                   []byte("junk"),
		"an empty credential":       form(nil, point(1, 2)),
		"an empty secret":           form(credential, nil),
		"a point off the curve":     form(credential, point(1, 2)),
		"the point at infinity":     form(credential, point(0, 0)),
		"beyond the field":          form(credential, point(0xff, 0xff)),
		"lengths that lie":          form(append([]byte{0xff, 0xff}, make([]byte, 48)...), append([]byte{0xff, 0xff}, make([]byte, 66)...)),
		"a secret for RSA":          form(credential, bytes.Repeat([]byte{1}, 256)),
		"an HMAC of another length": form(append([]byte{0, 0}, make([]byte, 48)...), point(1, 2)),
	}
}

package node_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// behind judges logs of which the first is shown as it was before leaf cut, and was seen so at a time by a witness outside.
func behind(t *testing.T, all []*nodetest.Published, cut int, at time.Time) *verify.Report {
	t.Helper()
	witness, err := tlog.NewCosigner("example.com/witness", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	shown := copied(all)
	shown[0].Leaves = shown[0].Leaves[:cut]
	if err := shown[0].Sign(); err != nil {
		t.Fatal(err)
	}
	shown[0].Signed = cosignedAt(t, shown[0].Signed, witness, at)
	for _, p := range shown {
		p.Seen = nil // else it is known to be behind
	}
	last := all[1].Leaves[len(all[1].Leaves)-1].Time
	r, err := verify.Verify(sources(t, shown), verify.Options{Now: latest(at, last).Add(time.Minute), Witnesses: []tlog.Witness{witness.Witness()}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Logs are read one after another, and a checkpoint is cosigned some time after it was cut: one log that is shown as it was a little before, at any
// point since a leaf, accuses nobody.
func littleBehind(t *testing.T, all []*nodetest.Published, since int) {
	t.Helper()
	for cut := since; cut < len(all[0].Leaves); cut++ {
		next := all[0].Leaves[cut]
		if r := behind(t, all, cut, next.Time.Add(30*time.Second)); r.Failed {
			t.Errorf("cut at leaf %d of %d, before a %s:\n%s", cut, len(all[0].Leaves), next.Kind, strings.Join(failures(r), "\n"))
		}
	}
}

func TestVerifyALogThatIsALittleBehind(t *testing.T) {
	t.Parallel()
	w, all := shownBy(t)
	since := first(t, all[0], ofKind(tlog.KindDecision))
	littleBehind(t, all, since)
	// What it still lacks when it was seen two hours later is missed.
	r := behind(t, all, since, w.Now.Add(2*time.Hour))
	said := strings.Join(failures(r), "\n")
	for _, want := range []string{"operator operator-0: what it decided stands in its own log", "3 nodes allowed it, each in its own log", "its signature stands in the logs of 3 who hold the key"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said:\n%s", want, said)
		}
	}
}

func TestVerifyAnEmergencyWithALogALittleBehind(t *testing.T) {
	t.Parallel()
	_, all, _ := sosShown(t)
	littleBehind(t, all, first(t, all[0], func(l tlog.Filed) bool { return opens(l, statement.SOSRequest) }))
}

// cosignedAt adds a cosignature.
func cosignedAt(t *testing.T, signed []byte, c tlog.Cosigner, at time.Time) []byte {
	t.Helper()
	body, _, _ := bytes.Cut(signed, []byte("\n\n"))
	cp, err := tlog.ParseCheckpoint(append(bytes.Clone(body), '\n'))
	if err != nil {
		t.Fatal(err)
	}
	line, err := c.Cosign(cp, at)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := tlog.AddCosignature(signed, line, c.Witness())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

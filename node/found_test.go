package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/nodetest"
)

// A vault file that says something else than what was signed is refused, naming the field.
func TestVaultFileDiffers(t *testing.T) {
	w := nodetest.New(t, 3)
	w.Found()
	file := w.VaultFile("treasury", 3)
	first := w.Hosts[0]
	a, _, err := first.Circle.PrepareVault(w.Now, []byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Circle.Accept(context.Background(), w.Now, a.Statement.Bytes(), first.Officer.Makes(t, a.Statement)); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	for name, c := range map[string]struct{ old, new, want string }{
		"threshold":          {"threshold: 3", "threshold: 2", "differs in threshold"},
		"tier":               {"tier: warm", "tier: cold", "differs in tier"},
		"quorum":             {"quorum: 2", "quorum: 1", "differs in quorum"},
		"chains":             {"eip155:1", "eip155:5", "differs in chain"},
		"expiry":             {"expiry: 3600", "expiry: 7200", "differs in expiry"},
		"approver":           {"name: bea", "name: bert", "differs in approver"},
		"initiator":          {"name: ines", "name: ivan", "differs in initiator"},
		"initiator-approves": {"initiator-approves: false", "initiator-approves: true", "differs in initiator-approves"},
		"committee":          {"  - operator-2\n", "", ""},
		"unknown operator":   {"operator-2", "operator-7", "operator-7"},
		"unknown field":      {"tier: warm", "tier: warm\nlimit: 5", "limit"},
		"threshold too high": {"threshold: 3", "threshold: 9", "threshold"},
	} {
		changed := strings.Replace(file, c.old, c.new, 1)
		_, _, err := w.Hosts[1].Circle.PrepareVault(w.Now, []byte(changed), nil)
		if changed == file || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, fresh, err := w.Hosts[1].Circle.PrepareVault(w.Now, []byte(file), nil); fresh || err != nil {
		t.Fatalf("the same file is not the pending statement: fresh %v, %v", fresh, err)
	}
}

func TestInvitations(t *testing.T) {
	w := nodetest.New(t, 3)
	ctx := context.Background()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	i, err := a.Circle.Invite(ctx, w.Now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(i.Line(), ",")
	damaged := func(at int, with string) string {
		p := append([]string{}, parts...)
		p[at] = with
		return strings.Join(p, ",")
	}
	other := strings.Repeat("ab", 32)
	for name, x := range map[string]struct{ line, want string }{
		"empty":             {"", "copy the whole line"},
		"cut":               {i.Line()[:40], "copy the whole line"},
		"identity cut":      {damaged(2, parts[2][:20]), "is damaged: copy it again"},
		"secret not hex":    {damaged(3, strings.Repeat("zz", 32)), "is damaged: copy it again"},
		"time damaged":      {damaged(4, "tomorrow"), "is damaged: copy it again"},
		"another secret":    {damaged(3, other), "the invitation is not known here: ask for a new one"},
		"another identity":  {damaged(2, other), "knock at"},
		"from a newer line": {damaged(0, "ostraka-invite-v2"), "copy the whole line"},
	} {
		if _, err := b.Circle.Join(ctx, w.Now, x.line); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
	if _, err := b.Circle.Join(ctx, w.Now.Add(2*time.Hour), i.Line()); err == nil || !strings.Contains(err.Error(), "ran out") {
		t.Errorf("an expired line is followed: %v", err)
	}
	b.Skew = -2 * time.Hour // the bearer's clock is wrong; the inviter's counts
	w.Now = w.Now.Add(90 * time.Minute)
	if _, err := b.Circle.Join(ctx, w.Clock(b), i.Line()); err == nil || !strings.Contains(err.Error(), "ran out: ask for a new one") {
		t.Errorf("an expired invitation is admitted: %v", err)
	}
	b.Skew = 0
	if i, err = a.Circle.Invite(ctx, w.Now, time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the answer may be lost: the same node may ask again
		if _, err := b.Circle.Join(ctx, w.Now, i.Line()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Circle.Join(ctx, w.Now, i.Line()); err == nil || !strings.Contains(err.Error(), "was used before: ask for a new one") {
		t.Errorf("an invitation is used twice: %v", err)
	}
	for _, life := range []time.Duration{0, time.Second, 31 * 24 * time.Hour} {
		if _, err := a.Circle.Invite(ctx, w.Now, life); err == nil {
			t.Errorf("an invitation for %s is made", life)
		}
	}
	if got := fmt.Sprint(a.Circle.Draft(), c.Circle.Draft()); got != "[operator-1] []" {
		t.Errorf("drafts %s", got)
	}
}

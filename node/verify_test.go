package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// shownBy makes a circle that signed something, and gives what its nodes publish.
func shownBy(t *testing.T, change ...func(*charter.Document)) (*nodetest.World, []*nodetest.Published) {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Publish = true
		}
		for _, f := range change {
			f(d)
		}
	}
	vault, addr := nodetest.Ready(w, 3)
	for i := range 2 {
		s := w.Propose(vault, addr, uint64(i))
		w.Approve(s)
		w.Run("signed everywhere", func() bool { return w.Signed(s) })
	}
	w.Run("every share is proved everywhere, and all is cosigned", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 && cosigned(h, 2) })
	})
	var all []*nodetest.Published
	for _, h := range w.Hosts {
		all = append(all, w.Publish(h))
	}
	return w, all
}

func sources(t *testing.T, all []*nodetest.Published) (out []verify.Source) {
	t.Helper()
	for _, p := range all {
		files, err := p.Files()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, nodetest.Source(p.Name, files))
	}
	return out
}

func failures(r *verify.Report) (out []string) {
	for _, c := range r.Claims {
		if c.Failed != "" {
			out = append(out, fmt.Sprintf("%s: %s: FAILED: %s", c.Subject, c.Claim, c.Failed))
		}
	}
	return out
}

func TestVerifyAnHonestCircle(t *testing.T) {
	t.Parallel()
	w, all := shownBy(t)
	r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed {
		t.Fatalf("an honest circle fails:\n%s", strings.Join(failures(r), "\n"))
	}
	for _, c := range r.Claims {
		t.Logf("%-9s %s: %s (%s)", c.Class, c.Subject, c.Claim, c.Basis)
	}
	t.Log(r.Attention, r.Entries, r.Signatures, r.Withheld)
	if v := r.Vaults[0]; v.Signed != 2 || len(v.Addresses) != 1 || len(v.Keys) != 1 || len(v.Keys[0].Holders) != 3 || len(v.Requests) != 2 {
		t.Errorf("%+v", v)
	}
	for _, q := range r.Vaults[0].Requests {
		if q.InLogs != 3 || len(q.Decisions) != 3 || q.What == "" || len(q.Approved) == 0 {
			t.Errorf("%+v", q)
		}
	}
	// Long after it is as true, and everybody is silent.
	r, err = verify.Verify(sources(t, all), verify.Options{Now: w.Now.Add(100 * 24 * time.Hour)})
	if err != nil || r.Failed || !r.Operators[0].Silent {
		t.Errorf("%v, %s", err, failures(r))
	}
}

package disclosure_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/wallet"
)

// A bundle is a published folder's logs, by path, and the time when all that it tells has just happened.
type bundle struct {
	files map[string][]byte
	list  verify.Bundle
	now   time.Time
}

// spread says where the operators of the circle run: two of them in one region, and one person reaches two.
func spread(d *charter.Document) {
	for i := range d.Vaults {
		d.Vaults[i].Publish = true
	}
	for i := range d.Operators {
		p := &d.Operators[i].Places[0]
		p.Provider, p.Region = []string{"hetzner", "aws", "ovh"}[i%3], []string{"fsn1", "eu-west-1", "gra7"}[i%3]
		p.Jurisdiction = []string{"de", "ie", "fr"}[i%3]
		p.Hardware = []string{"amd", "amd", "intel"}[i%3]
	}
}

// circle makes a circle of three whose vault proved an address, signed two transfers and refused one.
func circle(t *testing.T) bundle {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = spread
	vault, from := nodetest.Ready(w, 3)
	prove(w, vault, from, "Reserves of the treasury as of today <b>& always</b>")
	for i := range 2 {
		s := w.Propose(vault, from, uint64(i))
		w.Approve(s)
		w.Run("signed everywhere", func() bool { return w.Signed(s) })
	}
	s := w.Propose(vault, from, 2)
	n := w.Vote(s, nodetest.Approvers[0], signet.Reject)
	w.Run("refused", func() bool {
		_, _ = w.Submit(n)
		return w.All(func(h *nodetest.Host) bool { return w.State(h, s.ID()) == intent.Denied })
	})
	w.Run("every share is proved everywhere, and all is cosigned", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h) == 3 && cosigned(h) })
	})
	b := bundle{map[string][]byte{}, verify.Bundle{Format: 1, Circle: "test circle", Made: w.Now.Truncate(time.Second)}, w.Now.Truncate(time.Second)}
	for _, h := range w.Hosts {
		b.add(t, w.Publish(h))
	}
	return b
}

func prove(w *nodetest.World, vault statement.ID, from wallet.Address, text string) {
	it := w.Intent(vault, from, 0)
	it.Purpose, it.Transaction, it.Claim = intent.PurposeProof, nil, intent.Claim{Entity: nodetest.Entity, Text: text}
	s, n := w.Proposal(it)
	w.Run("proposal taken", func() bool { _, err := w.Submit(n); return err == nil })
	w.Approve(s)
	w.Run("proved", func() bool { return w.Signed(s) })
}

func proved(h *nodetest.Host) (n int) {
	for _, b := range h.Pulse.Beats() {
		if len(b.Shares) == 1 {
			n++
		}
	}
	return n
}

func cosigned(h *nodetest.Host) bool {
	head, err := h.Journal.Head(context.Background())
	_, shown, by := h.Witness.Checkpoint()
	return err == nil && head == shown && len(by) == 2
}

func (b *bundle) add(t *testing.T, p *nodetest.Published) {
	t.Helper()
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	path := "logs/" + p.Name
	for name, content := range files {
		b.files[path+"/"+name] = content
	}
	b.list.Logs = append(b.list.Logs, verify.BundleLog{Operator: p.Name, Path: path})
}

// write puts the logs into a folder, with the list of them.
func (b bundle) write(t *testing.T, dir string) {
	t.Helper()
	for name, content := range b.files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// one is the path of a file of operator-0's log that begins so.
func (b bundle) one(t *testing.T, begins string) string {
	t.Helper()
	for name := range b.files {
		if strings.HasPrefix(name, "logs/operator-0/"+begins) {
			return name
		}
	}
	t.Fatalf("no %s", begins)
	return ""
}

// native verifies a folder as the command does.
func native(t *testing.T, dir string, list verify.Bundle, now time.Time) *verify.Report {
	t.Helper()
	var sources []verify.Source
	for _, l := range list.Logs {
		sources = append(sources, verify.Source{Name: dir + "/" + l.Path, Fetch: func(p string) ([]byte, error) {
			raw, err := os.ReadFile(filepath.Join(dir, l.Path, filepath.FromSlash(p)))
			if os.IsNotExist(err) {
				return nil, fmt.Errorf("%s/%s: %w", l.Path, p, verify.ErrNotThere)
			}
			return raw, err
		}})
	}
	r, err := verify.Verify(sources, verify.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

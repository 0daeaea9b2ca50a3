package rehearse

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/store"
)

// searched scans the memory of every process of the circle, and all files, for what should not be there.
func (h *hurt) searched(ctx context.Context, known *hoard, when string) {
	h.t.Helper()
	begin := time.Now()
	for _, o := range h.circle.Operators {
		if _, err := os.Stat(o.Dir); err == nil {
			known.learn(ctx, o)
		}
	}
	h.t.Logf("%s: %d secrets are known: %v", when, known.scan.Secrets, known.counts)
	pids := map[string]int{"a client": h.client(ctx)}
	for _, o := range h.circle.Operators {
		if _, err := os.Stat(o.Dir); err == nil {
			pids[o.Name] = o.PID()
		}
	}
	for who, pid := range pids {
		found, size, err := dump(pid, known.scan)
		if err != nil {
			h.fatal("scan the memory of %s: %v", who, err)
		}
		var own []string
		for name, n := range found {
			if ownerOf(name) == who {
				own = append(own, fmt.Sprintf("%s: %d times", name, n))
				if known.past(name, who) {
					h.t.Errorf("%s: the memory of %s still holds %s, of an epoch that is over, %d times", when, who, name, n)
				}
				continue
			}
			h.t.Errorf("%s: the memory of %s holds %s, %d times", when, who, name, n)
		}
		slices.Sort(own)
		h.t.Logf("%s: %s: %d MB; of its own: %s", when, who, size>>20, strings.Join(own, "; "))
		// Its data key and its identity it has while it runs: a scan that does not find them sees nothing.
		if who != "a client" && (found[owned("data key", who)+" as raw"] == 0 || found[owned("identity", who)+" as raw"] == 0) {
			h.t.Errorf("%s: the scan does not find what the node of %s holds in memory: %v", when, who, own)
		}
	}
	h.searchedFiles(known, when)
	h.t.Logf("%s: searched in %v", when, time.Since(begin))
}

// searchedFiles scans all that lies in files, but for those whose purpose it is to hold a secret, and which their owner keeps: private keys of people,
// passphrases, and the key of the guardians' files.
func (h *hurt) searchedFiles(known *hoard, when string) {
	h.t.Helper()
	keeps := func(path string) bool {
		return path == h.guards.identity || strings.HasSuffix(path, ".passphrase") || filepath.Base(filepath.Dir(path)) == "keys" || path == h.binary
	}
	found, files, err := scanFiles(known.scan, keeps, filepath.Dir(h.dir))
	h.ok(err)
	for _, f := range found {
		h.t.Errorf("%s: %s", when, f)
	}
	if files < 30 {
		h.t.Errorf("%s: only %d files were searched", when, files)
	}
	planted := filepath.Join(h.dir, "planted")
	h.ok(os.WriteFile(planted, fmt.Appendf(nil, "level=WARN error=\"share %x\"\n", known.boxes["acme"].DataKey().Expose()), 0o600))
	if found, _, err := scanFiles(known.scan, keeps, planted); err != nil || len(found) == 0 {
		h.t.Errorf("a secret planted in a file is not found: %v", err)
	}
	h.ok(os.Remove(planted))
}

// client is a process that only talks to nodes.
func (h *hurt) client(ctx context.Context) int {
	h.t.Helper()
	if h.pid != 0 {
		return h.pid
	}
	_, err := h.must(ctx, "notify", "add", "desk", "--url", "http://localhost:9/nobody")
	h.ok(err)
	out, err := os.OpenFile(filepath.Join(h.dir, "client.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	h.ok(err)
	defer out.Close()
	// It asks the nodes again and again.
	cmd := exec.CommandContext(ctx, h.binary, "notify", "run", "--key", h.circle.KeyFile(alice))
	cmd.Env = append(os.Environ(), client.FileVariable+"="+h.circle.ContextsFile(), "SSH_AUTH_SOCK=")
	cmd.Stdout, cmd.Stderr = out, out
	h.ok(cmd.Start())
	h.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // that is how it ends
	h.ok(sleep(ctx, 2*time.Second))
	h.pid = cmd.Process.Pid
	return h.pid
}

// crashed has a node print every goroutine as it ends, as a crash does, and searches that.
func (h *hurt) crashed(_ context.Context, known *hoard) {
	h.t.Helper()
	dora := h.operator("dora")
	h.ok(syscall.Kill(dora.PID(), syscall.SIGQUIT))
	for end := time.Now().Add(awhile); syscall.Kill(dora.PID(), 0) == nil && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	raw, err := os.ReadFile(dora.Log)
	if h.ok(err); !strings.Contains(string(raw), "SIGQUIT: quit") {
		h.t.Errorf("dora's node printed no goroutines")
	}
	h.searchedFiles(known, "after a crash")
}

// reckon reads what the stopped nodes wrote: nothing was given early, or twice for one attempt; nothing was allowed that is not counted.
func (h *hurt) reckon(known *hoard) {
	h.t.Helper()
	ctx := context.Background()
	for _, name := range []string{"acme", "bolt", "dora"} {
		o := h.operator(name)
		st := known.opened(o)
		all := said(ctx, h.t, st)
		h.inTime(all, name)
		h.once(all, name)
		h.counted(ctx, st, name)
	}
}

// steps are when a node came to its states.
func (h *hurt) steps(all []statement.Statement, name string) map[string]time.Time {
	at := map[string]time.Time{}
	for _, s := range all {
		if s.Kind() != statement.SOSStep {
			continue
		}
		p, err := act.StepOf(s)
		h.ok(err)
		if p.Operator != name {
			continue
		}
		if _, twice := at[p.State]; twice {
			h.t.Errorf("%s came to %s twice", name, p.State)
		}
		at[p.State] = p.Created
	}
	return at
}

// inTime: from CONTEST on the whole delay, and besides it all the time for which the node was dead. Statements tell whole seconds.
func (h *hurt) inTime(all []statement.Statement, name string) {
	h.t.Helper()
	at := h.steps(all, name)
	contest, active := at["contest"], at["active"]
	if contest.IsZero() || active.IsZero() || at["lock-up"].IsZero() {
		h.t.Errorf("%s did not go through all states: %v", name, at)
		return
	}
	dead := time.Duration(0)
	if v := h.victims[name]; v != nil {
		for i, died := range v.died {
			if died.After(contest) && died.Before(active) {
				dead += v.back[i].Sub(died)
			}
		}
	}
	if name == "acme" && dead < awayFor {
		h.t.Errorf("acme was not dead while its delay ran: %v, deaths %v", at, h.victims[name].died)
	}
	// From its death to its answer the node was dead, but for its start: that, and a second for either statement, may count.
	if took := active.Sub(contest); took < hurtDelay+min(dead, awayFor)-time.Second {
		h.t.Errorf("%s was ACTIVE %v after CONTEST, of which it was dead for %v: its delay is %v", name, took, dead, hurtDelay)
	}
}

// once: for each attempt a contributor gave its part once, in ACTIVE.
func (h *hurt) once(all []statement.Statement, name string) {
	h.t.Helper()
	gave, at := map[string]int{}, h.steps(all, name)
	for _, s := range all {
		if s.Kind() != statement.SOSReleased {
			continue
		}
		r, err := act.ReleasedOf(s)
		h.ok(err)
		gave[fmt.Sprintf("%s, attempt %d", r.Operator, r.Attempt)]++
		if r.Operator == name && r.Created.Before(at["active"]) || r.Credited < hurtDelay {
			h.t.Errorf("%s gave at %v with %v credited, and was ACTIVE at %v", name, r.Created, r.Credited, at["active"])
		}
	}
	if len(gave) != 2 {
		h.t.Errorf("in the log of %s these gave: %v", name, gave)
	}
	for who, n := range gave {
		if n != 1 {
			h.t.Errorf("in the log of %s, %s gave %d times", name, who, n)
		}
	}
}

// counted: what a node allowed in the emergency stands in its docket, whatever became of it.
func (h *hurt) counted(ctx context.Context, st store.Store, name string) {
	h.t.Helper()
	rows := func(kind string) []store.Item {
		items, err := st.Range(ctx, store.Prefix(kind), "", store.MaxLimit)
		h.ok(err)
		return items
	}
	if left := rows("sos-key"); len(left) > 0 {
		h.t.Errorf("%s keeps %d keys of its seats, though the vault has new shares", name, len(left))
	}
	docket, allowed := "", 0
	for _, it := range rows("sos") {
		docket += string(it.Value)
	}
	for _, it := range rows("decision") {
		const signature = 64 // bytes
		s, err := statement.ParseKind(it.Value[signature:], statement.Decision)
		h.ok(err)
		if f := s.Fields(); f.Get("operator") == name && f.Get("verdict") == "allow" && f.Get("rule") == "sos" {
			allowed++
			if id := f.ID("intent"); strings.Contains(docket, string(id[:])) == (id.Short() == h.replaced) {
				h.t.Errorf("%s allowed intent %s, and its docket does not count it", name, id.Short())
			}
		}
	}
	if allowed == 0 {
		h.t.Errorf("%s allowed no transfer in the emergency", name)
	}
}

// What is of an epoch that is over is told from what is in use.
func TestPast(t *testing.T) {
	t.Parallel()
	h := &hoard{epochs: map[string]map[uint64]bool{"acme": {12: true}}}
	for name, want := range map[string]bool{"share, epoch 1": true, "share, epoch 12": false, "pair/ab, epoch 11, block 3": true, "mask, epoch 11, in Montgomery form": true, "identity": false} {
		if got := h.past(owned(name, "acme")+" as raw, reversed", "acme"); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The owner of a secret is read back from what a scan says of it.
func TestOwner(t *testing.T) {
	t.Parallel()
	if got := ownerOf(owned("value, record 01", "guardian-1") + " as base64 at 1, reversed"); got != "guardian-1" {
		t.Errorf("%q", got)
	}
}

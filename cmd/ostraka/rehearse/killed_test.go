package rehearse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/node/backup"
)

// killLimit is generous: it bounds a story that hangs.
const killLimit = 13 * time.Minute

// hurtPlan is the rescue plan with a window that no slow machine outlives: what ends it here are late vetoes.
var hurtPlan = strings.NewReplacer(
	"delay: 5", fmt.Sprintf("delay: %d", int(hurtDelay.Seconds())), fmt.Sprintf("window: %d", int(rescueWindow.Seconds())), "window: 3600", "lock-up: 5", "lock-up: 3600",
).Replace(rescuePlan)

const (
	hurtDelay = 8 * time.Second
	// awayFor is how long a node that died while a delay ran stays dead: it must not be credited.
	awayFor = 3 * time.Second
)

// fates are where each contributor's node is killed, one start after the other: internal/failpoint kills it at the named point's nth passing.
func fates(day int) map[string][]string {
	sends := day%3 + 1
	return map[string][]string{
		"acme": {
			"sos-before-contest=1", "sos-after-sos-support=1", "sos-after-activate=1", "sos-after-release=1", "session-before-save=1", "sos-after-lock-up=1",
		},
		"bolt": {
			"sos-after-declared=1", "sos-after-contest=1", "sos-before-countersign=1", "sos-before-release=1", fmt.Sprintf("session-after-send=%d", sends),
			"sos-after-spend=1", "session-before-join=1", "sos-before-lock-up=1",
		},
	}
}

// A victim is a node that is killed again and again, and started again each time.
type victim struct {
	*local.Operator
	fates []string

	mu    sync.Mutex
	died  []time.Time
	back  []time.Time
	state string // what went wrong
}

func (v *victim) deaths() (died, back int, wrong string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.died), len(v.back), v.state
}

// hurt is a circle whose nodes are killed while it goes through an emergency.
type hurt struct {
	*tale
	t       *testing.T
	victims map[string]*victim
	chain   *anvil.Node

	replaced string // the first digits of an intent in whose nonce another is counted
	env      map[string][]string
	pid      int // of a client
}

func (h *hurt) passed(name string) string { return filepath.Join(h.dir, name+".points") }

// arm says where a node's next life ends.
func (h *hurt) arm(name, at string) {
	h.env[name][0] = "OSTRAKA_FAILPOINT_LOG=" + h.passed(name)
	h.env[name][1] = "OSTRAKA_FAILPOINT=" + at
}

// watch brings a victim back, as often as it dies where it must. It ends when the story does.
func (h *hurt) watch(ctx context.Context, v *victim) {
	fail := func(format string, args ...any) {
		v.mu.Lock()
		v.state = fmt.Sprintf(format, args...)
		v.mu.Unlock()
	}
	for i, fate := range v.fates {
		for pid := v.PID(); syscall.Kill(pid, 0) == nil; {
			if sleep(ctx, 20*time.Millisecond) != nil {
				return
			}
		}
		died := time.Now()
		raw, err := os.ReadFile(h.passed(v.Name))
		point, _, _ := strings.Cut(fate, "=")
		if last := strings.Fields(string(raw)); err != nil || len(last) == 0 || last[len(last)-1] != point {
			fail("%s ended, and not at %s: %v", v.Name, fate, err)
			return
		}
		h.t.Logf("%s: %s is killed at %s", time.Now().Format("05.000"), v.Name, fate)
		v.mu.Lock()
		v.died = append(v.died, died)
		v.mu.Unlock()
		if point == "sos-after-sos-support" && sleep(ctx, awayFor) != nil {
			return
		}
		if h.arm(v.Name, ""); i+1 < len(v.fates) {
			h.arm(v.Name, v.fates[i+1])
		}
		if err := h.circle.Restart(ctx, v.Operator); err != nil {
			if ctx.Err() == nil {
				fail("%s does not start after it was killed at %s: %v", v.Name, fate, err)
			}
			return
		}
		v.mu.Lock()
		v.back = append(v.back, time.Now())
		v.mu.Unlock()
	}
}

// killed waits until a victim died so often, and is back.
func (h *hurt) killed(ctx context.Context, name string, times int) {
	h.t.Helper()
	v := h.victims[name]
	ok, err := poll(ctx, 4*awhile, func() (bool, error) {
		_, back, wrong := v.deaths()
		if wrong != "" {
			return false, errors.New(wrong)
		}
		return back >= times, nil
	})
	if err != nil || !ok {
		died, back, _ := v.deaths()
		h.fatal("%s was to be killed %d times by now, last at %s: it was %d times, and came back %d times: %v", name, times, v.fates[times-1], died, back, err)
	}
}

// fatal ends the story, with what nodes said last.
func (h *hurt) fatal(format string, args ...any) {
	h.t.Helper()
	for _, o := range h.circle.Operators {
		raw, err := os.ReadFile(o.Log)
		h.t.Logf("%s: %v\n%s", o.Name, err, raw[max(0, len(raw)-2500):])
	}
	h.t.Fatalf(format, args...)
}

func (h *hurt) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.fatal("%v", err)
	}
}

// insist runs a command until it goes well: a node may be dead or have died under it.
func (h *hurt) insist(ctx context.Context, args ...string) result {
	h.t.Helper()
	var r result
	ok, err := poll(ctx, 2*awhile, func() (bool, error) {
		var err error
		if r, err = h.run(ctx, args...); err == nil && r.code != 0 {
			err = sleep(ctx, 300*time.Millisecond)
		}
		return r.code == 0, err
	})
	if err != nil || !ok {
		h.fatal("ostraka %s: exit %d: %s: %v", strings.Join(args, " "), r.code, r.out+r.errs, err)
	}
	return r
}

// TestKilledInAnEmergency tells an emergency over real processes, in which each contributor's node is killed at each step, and comes back. Nothing is
// given early, or twice; the new shares come; what left stays counted. On the way every process's memory, and all that lies in files, is searched for
// the secrets that it should not hold.
func TestKilledInAnEmergency(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), killLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	deadly := filepath.Join(dir, "ostraka")
	if out, err := exec.Command("go", "build", "-tags", "failpoint", "-o", deadly, "github.com/ostraka/ostraka/cmd/ostraka").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	h := &hurt{t: t, victims: map[string]*victim{}, env: map[string][]string{}, chain: anvil.Start(t)}
	h.tale = &tale{Stage: NewStage(deadly, filepath.Join(dir, "s"), h.chain.URL), to: Listener{
		Busy: func(what string) { t.Logf("%s: %s", time.Now().Format("05.000"), what) },
		Step: func(s Step) {
			if t.Logf("%s: %s: %s", time.Now().Format("05.000"), s.What, s.Outcome); !s.Held {
				t.Errorf("%+v", s)
			}
		},
	}}
	h.ok(os.Mkdir(h.dir, 0o700))
	t.Cleanup(h.Close)
	h.found(ctx)
	known := h.cutUnderKills(ctx)
	h.restoreUnderKills(ctx)
	h.searched(ctx, known, "before the emergency")
	h.emergency(ctx, known)
	h.searched(ctx, known, "after the emergency")
	h.sweptUnderKills(ctx)
	h.crashed(ctx, known)
	cancel()
	h.circle.Stop()
	h.reckon(known)
}

// found starts the circle; its first lives are doomed.
func (h *hurt) found(ctx context.Context) {
	h.t.Helper()
	temp := filepath.Join(h.dir, "tmp")
	h.ok(os.Mkdir(temp, 0o700))
	for _, name := range []string{"", "cora", "dora"} {
		h.env[name] = []string{"TMPDIR=" + temp}
	}
	said, err := os.Create(filepath.Join(h.dir, "said"))
	h.ok(err)
	h.t.Cleanup(func() { said.Close() })
	h.said = func(r result) { fmt.Fprintf(said, "%d\n%s\n%s\n", r.code, r.out, r.errs) }
	for name, all := range fates(int(time.Now().Unix() / 86400)) {
		h.env[name] = []string{"", "", "TMPDIR=" + temp}
		h.arm(name, all[0])
		h.victims[name] = &victim{fates: all}
	}
	h.environment = h.env
	h.ok(h.startGuarded(ctx, "the circle starts", true, func(file string, cards []string) string {
		return strings.Replace(guarded(file, cards, hurtPlan), "heartbeat: 3600", "heartbeat: 60", 1)
	}))
	for name, v := range h.victims {
		v.Operator = h.operator(name)
		go h.watch(ctx, v)
	}
}

// command is one of the program that is killed at a point.
func (h *hurt) command(ctx context.Context, at string, args ...string) {
	h.t.Helper()
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Env = append(os.Environ(), client.FileVariable+"="+h.circle.ContextsFile(), "OSTRAKA_FAILPOINT="+at, "SSH_AUTH_SOCK=", h.env[""][0])
	out, err := cmd.CombinedOutput()
	if status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		h.fatal("ostraka %s is not killed at %s: %v: %s", strings.Join(args, " "), at, err, out)
	}
}

// cutUnderKills: an export is whole, or it is not there, whenever the program that cuts it is killed.
func (h *hurt) cutUnderKills(ctx context.Context) *hoard {
	h.t.Helper()
	acme := h.operator("acme")
	cut := []string{"backup", "cut", "--level", "export", "--place", away, "--recipient", h.guards.recipient, "--to", h.guards.folder, "--dir", acme.Dir, "--json"}
	identity, err := os.ReadFile(h.guards.identity)
	h.ok(err)
	ids, err := age.ParseIdentities(bytes.NewReader(identity))
	h.ok(err)
	for i, at := range []string{"offsite-written=1", "offsite-named=1"} {
		h.command(ctx, at, cut...)
		all, err := filepath.Glob(filepath.Join(h.guards.folder, "*acme*.ostraka-export"))
		if h.ok(err); len(all) != i {
			h.fatal("%s: %d exports, want %d: %v", at, len(all), i, all)
		}
		for _, file := range all {
			f, err := os.Open(file)
			h.ok(err)
			x, err := backup.Open(f, ids...)
			if err != nil {
				h.fatal("%s: a killed program left half an export: %v", at, err)
			}
			x.Wipe()
			f.Close()
			h.ok(sleep(ctx, 1100*time.Millisecond)) // the next one has another second in its name
		}
	}
	h.ok(h.ready(ctx))
	return newHoard(ctx, h.t, h.tale)
}

// restoreUnderKills: a node's folder is whole, or not there.
func (h *hurt) restoreUnderKills(ctx context.Context) {
	h.t.Helper()
	dir := filepath.Join(h.dir, "again")
	restore := []string{"backup", "restore", h.guards.exports["cora"], "--identity", h.guards.identity, "--dir", dir, "--passphrase-file", h.operator("cora").Passphrase}
	half := []string{"restore-begun=1", "seal/file/written=1", "restore-filled=1", "restore-made=1"}
	h.command(ctx, half[int(time.Now().Unix()/86400)%len(half)], restore...)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		h.fatal("a killed restore left its folder: %v", err)
	}
	h.command(ctx, "restore-renamed=1", restore...)
	if st, err := h.run(ctx, "log", "fsck", "--dir", dir); err != nil || st.code != 0 {
		h.fatal("a killed restore left a folder that is not whole: %s, %v", st.out+st.errs, err)
	}
	if r, err := h.run(ctx, restore...); err != nil || r.code != codeRefused || !strings.Contains(r.errs, "holds a node already") {
		h.fatal("a second restore into one folder: exit %d: %s, %v", r.code, r.said(), err)
	}
	h.ok(os.RemoveAll(dir))
}

// emergency goes from cora's loss to the new shares.
func (h *hurt) emergency(ctx context.Context, known *hoard) {
	h.t.Helper()
	cora := h.operator("cora")
	h.circle.Kill(cora)
	h.ok(os.RemoveAll(cora.Dir))
	h.ok(sleep(ctx, 6*time.Second))
	id := h.asked3(ctx)
	h.request = id
	h.killed(ctx, "bolt", 2)
	h.killed(ctx, "acme", 1)
	h.ok(h.reaches(ctx, "killed before and after it wrote so, each is in CONTEST", id, "contest", 2*awhile, "acme", "bolt", "dora"))
	// Its own person's consent kills acme's node: the answer may be lost, the consent is not.
	_, err := h.run(ctx, "sos", "support", id, "--as", "acme", "--key", h.operator("acme").Officer, "--yes")
	h.ok(err)
	h.killed(ctx, "acme", 2)
	h.ok(h.reaches(ctx, "the delay runs to its end", id, "active", 2*awhile, "acme", "bolt", "dora"))
	was, public, err := h.epochAt(ctx, h.operator("bolt"))
	h.ok(err)
	h.activated(ctx)
	for _, name := range []string{"acme", "bolt", "dora"} {
		known.learn(ctx, h.operator(name)) // the keys of their seats
	}
	h.contribute(ctx)
	h.killed(ctx, "acme", 4)
	h.killed(ctx, "bolt", 4)
	for _, name := range []string{"acme", "bolt", "dora"} {
		known.learn(ctx, h.operator(name)) // what guardians dealt to them, unless it is over already
	}
	h.heldBy = []string{"acme", "bolt", "dora"}
	for _, o := range h.holders() {
		h.ok(h.moved(ctx, o, was))
		known.learn(ctx, o)
	}
	h.killed(ctx, "acme", 5)
	h.killed(ctx, "bolt", 5)
	if is, after, err := h.epochAt(ctx, h.operator("dora")); err != nil || is != was+1 || after != public {
		h.fatal("after the emergency the vault stands in epoch %d with key %s, before in %d with %s: %v", is, after, was, public, err)
	}
}

// asked3 makes a request with three guardians and bolt's officer.
func (h *hurt) asked3(ctx context.Context) string {
	h.t.Helper()
	as := func(i int, args ...string) []string {
		return append(args, "--as", guardianName(i), "--key", h.guards.keys[i], "-i", h.guards.identity, "--contact", "telephone: rang out", "--yes", "--json")
	}
	r := h.insist(ctx, as(0, "sos", "declare", "--vault", local.VaultName, "--trigger", "silence", "--subject", "cora", "--reason", "no sign of life")...)
	var doc struct{ Request struct{ ID string } }
	h.ok(json.Unmarshal([]byte(r.out), &doc))
	for i := 1; i < 3; i++ {
		h.insist(ctx, as(i, "sos", "support", doc.Request.ID)...)
	}
	h.insist(ctx, "sos", "support", doc.Request.ID, "--as", "bolt", "--key", h.operator("bolt").Officer, "--yes")
	return doc.Request.ID
}

// activated: whoever composes the activation is killed once it is written, and the other before it signs.
func (h *hurt) activated(ctx context.Context) {
	h.t.Helper()
	acme := h.operator("acme")
	ok, err := poll(ctx, 2*awhile, func() (bool, error) {
		if died, _, _ := h.victims["acme"].deaths(); died >= 3 {
			return true, nil
		}
		_, err := h.run(ctx, "sos", "activate", local.VaultName, "--with", "dora", "--dir", acme.Dir)
		return false, err
	})
	if err != nil || !ok {
		h.fatal("acme composes no activation: %v", err)
	}
	h.killed(ctx, "acme", 3)
	h.killed(ctx, "bolt", 3)
}

// contribute has three guardians answer a file offline.
func (h *hurt) contribute(ctx context.Context) {
	h.t.Helper()
	appeal := filepath.Join(h.guards.folder, "treasury.appeal")
	h.ok(h.appealed(ctx, appeal))
	for i := range 3 {
		file := filepath.Join(h.guards.folder, guardianName(i)+".contribution")
		h.insist(ctx, "sos", "support", "--request", appeal, "--key", h.guards.keys[i], "-i", h.guards.identity, "--out", file, "--charter", h.charterID, "--yes")
		h.insist(ctx, "sos", "support", "--send", file)
	}
}

// sweptUnderKills: whoever counted a transfer and died, and died again as it came to the signing session, has counted it, and signs it in the next session. One that was
// killed once it had joined signs it no more: a 3-of-3 vault then takes minutes to give the transfer up for another, which is told in test/kill.
func (h *hurt) sweptUnderKills(ctx context.Context) {
	h.t.Helper()
	r := h.insist(ctx, "sos", "sweep", local.VaultName, "--rpc", chainID+"="+h.endpoint, "--key", h.operator("acme").Officer, "--yes", "--json")
	h.killed(ctx, "bolt", 7)
	lies, err := h.balance(ctx, refuge)
	h.ok(err)
	if most := new(big.Int).Sub(held, milliether(10)); lies.Cmp(most) <= 0 {
		h.fatal("%s ether lie at the rescue address: %s", evm.FormatUnits(lies, evm.EtherDecimals), r.out)
	}
	h.stuck(ctx, r.out)
	h.lockedUpUnderKills(ctx)
}

// lockedUpUnderKills: vetoes that come too late lead to LOCK-UP, before and after which nodes die. Nothing goes elsewhere.
func (h *hurt) lockedUpUnderKills(ctx context.Context) {
	h.t.Helper()
	for i := 2; i < 5; i++ {
		h.insist(ctx, "sos", "veto", h.request, "--as", guardianName(i), "--key", h.guards.keys[i], "-i", h.guards.identity, "--reason", "late", "--yes")
	}
	h.ok(h.reaches(ctx, "three vetoes, too late", h.request, "lock-up", 2*awhile, "acme", "bolt", "dora"))
	h.killed(ctx, "acme", len(h.victims["acme"].fates))
	h.killed(ctx, "bolt", len(h.victims["bolt"].fates))
	h.ok(h.reaches(ctx, "and after they were killed they are still there", h.request, "lock-up", awhile, "acme", "bolt", "dora"))
}

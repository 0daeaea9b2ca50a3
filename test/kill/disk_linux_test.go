package kill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/faulty"
)

// failing is a circle that signs, one of whose nodes has a disk that fails.
type failing struct {
	t      *testing.T
	circle *local.Circle
	acme   *local.Operator
	nonce  int
	asked  []string // intents
}

var intentID = regexp.MustCompile(`(?m)"id": "([0-9a-f]{64})"`)

func (f *failing) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *failing) try(args ...string) (string, error) {
	cmd := exec.CommandContext(f.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), client.FileVariable+"="+f.circle.ContextsFile(), "SSH_AUTH_SOCK=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("ostraka %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// propose has a transfer proposed and approved, whoever is away.
func (f *failing) propose() {
	out, err := f.try("tx", "propose", "--json", "--no-wait", "--key", f.circle.KeyFile("alice"), "--vault", local.VaultName, "--account", "ops/main",
		"--to", payee, "--amount", "0.1", "--nonce", strconv.Itoa(f.nonce), "--gas", "21000", "--fee-cap", "30000000000", "--tip-cap", "1000000000")
	f.nonce++
	m := intentID.FindStringSubmatch(out)
	if m == nil {
		f.t.Logf("not proposed: %v", err)
		return
	}
	f.asked = append(f.asked, m[1])
	for _, p := range []string{"bob", "carol"} {
		if _, err := f.try("tx", "approve", "--yes", m[1], "--key", f.circle.KeyFile(p)); err != nil {
			f.t.Logf("not approved: %v", err)
		}
	}
}

// signed waits until all that was asked for is signed.
func (f *failing) signed() {
	f.t.Helper()
	for _, id := range f.asked {
		f.ok(poll(f.t.Context(), "intent "+id+" is signed", func() error {
			out, err := f.try("tx", "show", "--json", id, "--key", f.circle.KeyFile("alice"))
			failed := err == nil && strings.Contains(out, `"state": "failed"`)
			if failed && strings.Contains(out, `"signed": null`) {
				// Whether its part in the session became durable the node does not know, or all last messages had left when it ended: that counts as used, and the others give nothing more. People ask anew.
				torn := strings.Contains(out, "outcome unknown") || strings.Contains(out, "the node was restarted while the session ran")
				if strings.Contains(out, `"possibly_signed": true`) && torn {
					f.t.Logf("intent %s ended with the session that the disk cut off", id)
					return nil
				}
				return &finalError{errors.New(out)}
			}
			// A node that ended in the session hears from the others that it was signed.
			if err == nil && (failed || !strings.Contains(out, `"state": "signed"`)) {
				err = errors.New(out)
			}
			return err
		}))
	}
	f.asked = nil
}

// broken runs acme's node on a disk that fails one sync of its store, has people sign until it ends, and returns what it said.
func (f *failing) broken(at int) (said string, o *faulty.Once) {
	f.t.Helper()
	f.circle.Halt(f.acme)
	o = &faulty.Once{Under: filepath.Join(f.acme.Dir, "store"), At: at, With: unix.EIO}
	var log bytes.Buffer
	cmd := exec.Command(binary, "node", "run", "--dir", f.acme.Dir, "--passphrase-file", f.acme.Passphrase)
	cmd.Stderr = &log
	f.ok(faulty.Start(cmd, faulty.Syncs, o.Judge))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	late := time.AfterFunc(caseLimit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for {
		select {
		case <-ended:
			if code := cmd.ProcessState.ExitCode(); code <= 0 {
				f.t.Errorf("sync %d: the node ends with %v:\n%s", at, cmd.ProcessState, log.String())
			}
			return log.String(), o
		case <-time.After(100 * time.Millisecond):
		}
		if _, failed := o.Failed(); !failed {
			f.propose()
		}
	}
}

// A node one of whose syncs fails, as it starts and as it signs, ends and says why: it syncs nothing again that it could not sync, since the kernel may say
// then that all is well. On a sound disk it works again, and everything that people asked for meanwhile is signed.
func TestNodeWhoseSyncsFail(t *testing.T) {
	build(t)
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &failing{t: t}
	f.circle, err = local.Start(t.Context(), local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: chain, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
	})
	t.Cleanup(f.circle.Stop)
	for _, step := range []func(context.Context) error{f.circle.Found, f.circle.CreateVault, f.circle.AwaitVault} {
		if err == nil {
			err = step(t.Context())
		}
	}
	f.ok(err)
	f.acme = f.circle.Operators[0]
	for _, args := range [][]string{{"account", "create", "--vault", local.VaultName, "ops/main"}, {"address", "new", local.VaultName, "ops/main"}} {
		_, err := f.try(append(args, "--key", f.circle.KeyFile("alice"))...)
		f.ok(err)
	}
	f.propose()
	f.signed()
	for _, at := range failingSyncs {
		said, o := f.broken(at)
		c, failed := o.Failed()
		if err := o.Retried(); err != nil || !failed || !strings.Contains(said, "input/output error") {
			t.Errorf("sync %d of %d, %s of %s: %v; the node said:\n%s", at, len(o.Seen()), c.Name, c.Path, err, said)
		}
		t.Logf("sync %d: %s of %s", at, c.Name, strings.TrimPrefix(c.Path, f.acme.Dir))
		f.ok(f.circle.Restart(t.Context(), f.acme))
		f.propose()
		f.signed()
	}
}

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
)

// A data folder is copied while its node is stopped, and both copies run: the honest nodes' doctor names the
// operator, both copies are asked to sign, and no nonce commitment comes twice.
func TestCopiedFolder(t *testing.T) {
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	c, err := local.Start(ctx, local.Config{
		Suite: charter.SuiteEd25519, Binary: binary, Dir: dir, Chain: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
		Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
	})
	t.Cleanup(c.Stop)
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	p := people{t, ctx, c}
	p.run("alice", "account", "create", "--vault", local.VaultName, "ops/main")
	p.run("alice", "address", "new", local.VaultName, "ops/main")
	var ids []string
	for n := range 5 {
		ids = append(ids, p.prove(n))
	}
	p.await(ids)
	runClone(t, ctx, c, c.Operators[2])
	p.named(c.Operators[:2], c.Operators[2])
	for n := range copies {
		ids = append(ids, p.prove(1000+n))
		if len(ids) > waitingAtOnce {
			// Who proposes may have 64 that wait, and with two copies about hardly any is signed.
			_, _ = p.try("alice", "tx", "cancel", ids[len(ids)-waitingAtOnce])
		}
	}
	seen, signed := map[string]string{}, 0
	for _, id := range ids {
		sig := p.signature(id)
		if sig == "" {
			continue
		}
		signed++
		if old, ok := seen[sig[:64]]; ok {
			t.Errorf("R %s appears in intents %s and %s", sig[:64], old, id)
		}
		seen[sig[:64]] = id
	}
	if signed < 5 {
		t.Errorf("%d signatures were found", signed)
	}
	t.Logf("%d of %d intents are signed", signed, len(ids))
}

const waitingAtOnce = 40

// runClone copies a node's folder and runs both, the copy on ports of its own.
func runClone(t *testing.T, ctx context.Context, c *local.Circle, o *local.Operator) {
	t.Helper()
	c.Halt(o)
	folder := filepath.Join(c.Dir, "x")
	if err := os.CopyFS(folder, os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "node.json")
	raw, err := os.ReadFile(file)
	var settings map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &settings)
	}
	if err != nil {
		t.Fatal(err)
	}
	settings["advertise"] = o.Link
	settings["link"], settings["people"] = "127.0.0.1:0", "127.0.0.1:0"
	if raw, err = json.Marshal(settings); err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "node", "run", "--dir", folder, "--passphrase-file", o.Passphrase)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.Process.Signal(syscall.SIGTERM) == nil {
			cmd.Wait() //nolint:errcheck // it was told to end
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	if err := c.Restart(ctx, o); err != nil {
		t.Fatal(err)
	}
}

// people run the program's commands.
type people struct {
	t     *testing.T
	ctx   context.Context
	local *local.Circle
}

func (p people) try(person string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(p.ctx, binary, append([]string{"--key", p.local.KeyFile(person)}, args...)...)
	cmd.Env = append(os.Environ(), client.FileVariable+"="+p.local.ContextsFile())
	return cmd.Output()
}

func (p people) run(person string, args ...string) []byte {
	p.t.Helper()
	out, err := p.try(person, args...)
	if err != nil {
		p.t.Fatalf("%s: %v: %v", person, args, err)
	}
	return out
}

// prove proposes a proof and has it approved, so far as the nodes take it.
func (p people) prove(n int) (id string) {
	p.t.Helper()
	out := p.run("alice", "address", "prove", local.VaultName, "ops/main", "--entity", "Example Ltd", "--text", fmt.Sprint("proof ", n), "--no-wait", "--json")
	var doc struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(out, &doc); err != nil || doc.ID == "" {
		p.t.Fatalf("%v: %s", err, out)
	}
	for _, a := range []string{"bob", "carol"} {
		_, _ = p.try(a, "tx", "approve", "--yes", doc.ID) // nodes that are fenced rule on nothing
	}
	return doc.ID
}

// named waits until doctor of these operators names the one that runs twice.
func (p people) named(at []*local.Operator, twice *local.Operator) {
	p.t.Helper()
	for _, o := range at {
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
			out, _ := exec.CommandContext(p.ctx, binary, "doctor", "--json", "--dir", o.Dir).Output() // it fails: that is the point
			text := string(out)
			if strings.Contains(text, "peer "+twice.Name) && (strings.Contains(text, "runs twice") || strings.Contains(text, "two processes")) {
				break
			}
			if time.Now().After(deadline) {
				p.t.Fatalf("doctor of %s does not name the clone: %s", o.Name, out)
			}
		}
	}
}

func (p people) signature(id string) string {
	out, _ := p.try("alice", "tx", "show", "--json", id)
	var doc struct {
		Proof struct {
			Signature string `json:"signature"`
		} `json:"proof"`
	}
	if json.Unmarshal(out, &doc) != nil || len(doc.Proof.Signature) < 64 {
		return ""
	}
	return strings.TrimPrefix(doc.Proof.Signature, "0x")
}

func (p people) await(ids []string) {
	p.t.Helper()
	for _, id := range ids {
		for deadline := time.Now().Add(2 * time.Minute); p.signature(id) == ""; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(deadline) {
				out, err := p.try("alice", "tx", "show", "--json", id)
				p.t.Fatalf("intent %s is not signed: %v: %s", id, err, out)
			}
		}
	}
}

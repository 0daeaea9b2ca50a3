package rehearse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/cmd/ostraka/rehearse"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// program is the one under test, built once, without symbols as releases are.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ostraka-bin-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "ostraka")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "github.com/ostraka/ostraka/cmd/ostraka").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// run runs it in a short folder: a Unix socket's path is short.
func run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	short, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if left, err := os.ReadDir(short); err != nil || len(left) > 0 {
			t.Errorf("%v: it left %v behind: %v", args, left, err)
		}
		os.RemoveAll(short)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+short, "SSH_AUTH_SOCK=", "OSTRAKA_KEY=")
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// rules are those that must have decided, in the order of the steps; steps without one show what goes on.
var rules = map[string][]string{
	"multichain": {
		"steal/organisation, steal/person, steal/account, steal/provider", "steal/account, steal/organisation, steal/person, steal/provider", "steal/account, steal/organisation, steal/person, steal/provider",
		"steal/account, steal/organisation, steal/person, steal/provider", "proposer is no initiator of the vault", "threshold",
	},
	"ronin":   {"steal/organisation", "quorum", "signed by nobody whom the vault lists as approver", "policy", "policy"},
	"harmony": {"majority", "wrong passphrase", "sealed"},
	"wazirx": {
		"shown", "signature does not cover this intent's bytes", "signature does not cover this intent's bytes", "the intent takes no more answers", "intent has expired",
	},
	"bybit": {
		"decoded", "decoded", "decoded", "decoded", "proposer is no initiator of the vault", "signature does not cover this intent's bytes", "signed by nobody whom the vault lists as approver",
	},
	"quadriga": {"steal/organisation, steal/person", "steal/person", "spend/person", "one person, one guardian", "reserves", "reserves"},
	"stakehound": {
		"backups of this epoch", "damaged", "damaged", "does not open", "another operator's", "does not open", "backups of this epoch", "epoch", "epoch", "backups of this epoch",
	},
	"sos":        {"sos", "sos"},
	"primetrust": {"a share proved itself", "a share proved itself"},
	"dmm":        {"signature does not cover this intent's bytes", "signed by nobody whom the vault lists as approver", "proposer is no initiator of the vault"},
	"drift": {
		"is more than 7 days after created", "intent has expired", "another version of the charter came into force since it was proposed", "delay", "veto", "epoch",
	},
}

// Every incident is acted out by the real program, and ends well. Those that leave a circle as it was share one; of those with guardians the one
// that lets payments go comes before those that restore nodes. The longest begins first.
func TestStories(t *testing.T) {
	told := map[string]bool{}
	for _, names := range [][]string{{"sos"}, {"quadriga", "stakehound", "primetrust"}, {"ronin", "harmony", "dmm", "wazirx", "bybit", "drift"}, {"multichain"}} {
		for _, name := range names {
			told[name] = true
		}
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			args := append([]string{"rehearse", "--json"}, names...)
			if names[0] == "quadriga" || names[0] == "sos" {
				args = append(args, "--eth-rpc", anvil.Start(t).URL)
			}
			code, out, errs := run(t, args...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			d := json.NewDecoder(strings.NewReader(out))
			for _, name := range names {
				var r rehearse.Report
				if err := d.Decode(&r); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				checkReport(t, name, r)
			}
			if d.More() {
				t.Error("more than the stories stands on stdout")
			}
		})
	}
	for _, s := range rehearse.All() {
		if !told[s.Name] {
			t.Errorf("%s is not told", s.Name)
		}
	}
}

func checkReport(t *testing.T, name string, r rehearse.Report) {
	t.Helper()
	var decided []string
	for _, s := range r.Steps {
		if s.Rule != "" {
			decided = append(decided, s.Rule)
		}
		if !s.Held || s.What == "" || s.Outcome == "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if r.Name != name || r.Incident == "" || !r.Held || !slices.Equal(decided, rules[name]) {
		t.Errorf("%s: %+v; rules %q, want %q", name, r, decided, rules[name])
	}
	if last := r.Steps[len(r.Steps)-1]; !strings.Contains(last.Outcome, "signed by the vault's key") && name != "ronin" && name != "quadriga" {
		t.Errorf("%s does not end with the proper setup at work: %+v", name, last)
	}
}

func TestList(t *testing.T) {
	code, out, errs := run(t, "rehearse", "--list")
	for _, s := range rehearse.All() {
		if !strings.Contains(out, s.Name) || !strings.Contains(out, s.Incident) {
			t.Errorf("%s is not listed: %s%s", s.Name, out, errs)
		}
	}
	if n := strings.Count(out, "\n"); code != 0 || n != len(rehearse.All()) {
		t.Errorf("exit %d, %d lines: %s", code, n, out)
	}
	for _, args := range [][]string{{}, {"mtgox"}, {"--list", "ronin"}} {
		if code, _, errs := run(t, append([]string{"rehearse"}, args...)...); code != 2 || !strings.Contains(errs, "next: ") {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

// Package test holds end-to-end stories over the real binary: nodes as processes, people at
// their commands, a real Ethereum node. testdata/alone are stories that bring their own nodes;
// testdata/circle are told in order by three nodes that run all the while.
package test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/ethereum/go-ethereum/common"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// binary is the program under test, built once, without symbols as releases are.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ostraka-bin-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "ostraka")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, "github.com/ostraka/ostraka/cmd/ostraka")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// commands that stories have beside testscript's own.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits, "json": jsonField, "demo-holds": demoHolds, "gone": gone, "ports": ports, "charter": writeCharter, "age-key": ageKey, "spoil": spoil,
}

func params(dir string, more map[string]func(*testscript.TestScript, bool, []string), vars map[string]string) testscript.Params {
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for _, m := range []map[string]func(*testscript.TestScript, bool, []string){commands, more} {
		for name, f := range m {
			cmds[name] = f
		}
	}
	return testscript.Params{
		Dir: dir, Cmds: cmds, RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+":"+env.Getenv("PATH"))
			// A Unix socket's path is short, and testscript's own folder is long.
			short, err := os.MkdirTemp("", "o")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(short) })
			env.Setenv("SHORT", short)
			env.Setenv("TMPDIR", short)
			env.Setenv(client.FileVariable, filepath.Join(short, "contexts.json"))
			env.Setenv("SSH_AUTH_SOCK", "")
			for name, value := range vars {
				env.Setenv(name, value)
			}
			return nil
		},
	}
}

func TestAlone(t *testing.T) {
	chain := anvil.Start(t)
	h := &hooks{} // of the one story that has any
	testscript.Run(t, params("testdata/alone", map[string]func(*testscript.TestScript, bool, []string){
		"anvil-accepts": func(ts *testscript.TestScript, _ bool, _ []string) { anvilAccepts(t, ts, chain) },
		"hook":          h.hook, "told": h.told, "told-times": h.times,
	}, map[string]string{"ANVIL": chain.URL}))
}

// What TestCircle's charter names beside assets, and its rules about that.
const (
	namedParts = `
contracts:
  - name: ledger
    chain: "eip155:31337"
    address: "%s"
    functions: ["function balanceOf(address holder)"]
typed-data:
  - name: coin-permit
    chain: "eip155:31337"
    contract: "%s"
    domain: "Coin"
    type: "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
`
	namedRules = `
// Calls that the charter names, and allowances within what it bounds.
@id("calls")
permit (principal in Group::"finance", action in [Action::"call", Action::"allowance"], resource);
`
)

// TestCircle tells its stories in order, since each goes on from the last.
func TestCircle(t *testing.T) {
	chain := anvil.Start(t)
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	coin, ledger := chain.DeployToken(t, big.NewInt(1e18)), chain.DeployToken(t, big.NewInt(1))
	named := fmt.Sprintf(namedParts, common.HexToAddress(ledger).Hex(), common.HexToAddress(coin).Hex())
	c, err := local.Start(ctx, local.Config{
		Suite:  charter.SuiteECDSA,
		Binary: binary, Dir: dir, Chain: "eip155:31337", RPC: map[string]string{"eip155:31337": chain.URL},
		Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
		Assets: []charter.Asset{{Name: "coin", Chain: "eip155:31337", Contract: common.HexToAddress(coin).Hex(), Decimals: anvil.TokenDecimals, Unit: 0, Allowance: "5000000"}},
		Amend:  func(text string) string { return text + named }, Rules: namedRules,
	})
	t.Cleanup(c.Stop)
	carol := func(context.Context) error {
		return addLine(c.KeyFile("carol")+".pub", signettest.NewWallet("carol").Line())
	}
	for _, step := range []func(context.Context) error{carol, c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &circle{t, c, chain, coin}
	vars := map[string]string{
		client.FileVariable: c.ContextsFile(), "DIR": dir, "KEYS": filepath.Join(dir, "keys"), "CHARTER": c.CharterFolder(),
		"CAROL": strings.TrimPrefix(signettest.NewWallet("carol").Line(), "eip712 "), "COIN": common.HexToAddress(coin).Hex(),
	}
	scripts, err := filepath.Glob("testdata/circle/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, script := range scripts {
		ok := t.Run(filepath.Base(script), func(t *testing.T) {
			p := params("", w.commands(), vars)
			p.Files = []string{script}
			testscript.Run(t, p)
		})
		if !ok {
			t.FailNow()
		}
	}
}

// writeCharter writes the charter of circle trio into a folder: charter FOLDER OPERATOR…, each with its node running in $SHORT/OPERATOR. alice and
// bob, whose keys lie beside the story, propose and approve; the vault treasury is 2-of-n.
func writeCharter(ts *testscript.TestScript, _ bool, args []string) {
	var b strings.Builder
	b.WriteString("circle: trio\ndrill: true\noperators:\n")
	for i, name := range args[1:] {
		ts.Check(ts.Exec("ostraka", "node", "status", "--json", "--dir", filepath.Join(ts.Getenv("SHORT"), name)))
		var status struct{ Identity string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &status))
		fmt.Fprintf(&b, "  - {name: %s, entity: \"%s Ltd\", identity: %q, independent: %t, places: [{name: main, provider: \"%s\", account: \"%s\", region: \"%s\", jurisdiction: \"%s\", hardware: amd, access: [admin-%s]}%s]}\n",
			name, name, status.Identity, i == 0, name, name, name, []string{"ch", "de", "sg", "fr"}[i], name, awayPlaces(ts, name, []string{"ch", "de", "sg", "fr"}[i]))
	}
	b.WriteString("people:\n")
	key := func(name string) string { return strings.TrimSpace(ts.ReadFile(name + ".pub")) }
	for i, name := range []string{"alice", "bob"} {
		fmt.Fprintf(&b, "  - {name: %s, organisation: %s, keys: [%q]}\n", name, args[1+i], key(name))
	}
	for _, name := range args[1:] {
		fmt.Fprintf(&b, "  - {name: admin-%s, organisation: %s, keys: [%q]}\n", name, name, key(name))
	}
	fmt.Fprintf(&b, "groups:\n  - {name: finance, people: [alice, bob]}\nassets:\n  - {name: eth, chain: \"eip155:1\", decimals: 18, unit: 15}\n")
	fmt.Fprintf(&b, "vaults:\n  - {name: treasury, tier: warm, suites: [ecdsa-secp256k1], threshold: 2, committee: [%s], initiators: [finance], approvers: [finance], quorum: 1, chains: [\"eip155:1\"]}\n", strings.Join(args[1:], ", "))
	b.WriteString("delay: 1\nlist-delay: 1\nheartbeat: 3600\n")
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o700))
	ts.Check(os.WriteFile(filepath.Join(folder, "charter.yaml"), []byte(b.String()), 0o600))
	ts.Check(os.WriteFile(filepath.Join(folder, "policy.cedar"), []byte(local.Policy), 0o600))
}

// awayPlaces are an operator's places for backups, in stories that set $AWAY.
func awayPlaces(ts *testscript.TestScript, name, land string) string {
	if ts.Getenv("AWAY") == "" {
		return ""
	}
	return fmt.Sprintf(", {name: away, level: export, provider: \"%[1]s\", account: \"%[1]s-cold\", region: \"%[1]s\", jurisdiction: %[2]s, hardware: amd, access: [admin-%[1]s]}, {name: safe, level: paper, jurisdiction: %[2]s, access: [admin-%[1]s]}", name, land)
}

// ageKey writes a post-quantum key of age into a file, and sets $AGE to its recipient: age-key FILE.
func ageKey(ts *testscript.TestScript, _ bool, args []string) {
	id, err := age.GenerateHybridIdentity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(id.String()+"\n"), 0o600))
	ts.Setenv("AGE", id.Recipient().String())
}

// spoil flips a bit of a file, so many bytes from its end: spoil FILE BYTES NEW.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b[len(b)-n] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o600))
}

// addLine writes a line at a file's end.
func addLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// exits runs a program and wants one exit code: exits 3 ostraka tx …
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, not %d\n%s%s", strings.Join(args[1:], " "), got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// jsonField reads stdout as one JSON document: json PATH sets $PATH's last name in capitals;
// json PATH VALUE compares.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	var doc any
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	ts.Check(d.Decode(&doc))
	if d.More() {
		ts.Fatalf("more than one document stands on stdout")
	}
	parts := strings.Split(args[0], ".")
	for _, p := range parts {
		switch x := doc.(type) {
		case map[string]any:
			v, ok := x[p]
			if !ok {
				ts.Fatalf("%s: no field %s", args[0], p)
			}
			doc = v
		case []any:
			i, err := strconv.Atoi(p)
			if p == "last" {
				i, err = len(x)-1, nil
			}
			if err != nil || i < 0 || i >= len(x) {
				ts.Fatalf("%s: %s of a list of %d", args[0], p, len(x))
			}
			doc = x[i]
		default:
			ts.Fatalf("%s: %v has no fields", args[0], doc)
		}
	}
	text := fmt.Sprint(doc)
	if len(args) == 1 {
		ts.Setenv(strings.ToUpper(parts[len(parts)-1]), text)
	} else if (text == args[1]) == neg {
		ts.Fatalf("%s is %q", args[0], text)
	}
}

// demo is what `demo --json` prints, as the acceptance states it.
type demo struct {
	Operators []struct {
		Name string `json:"name"`
		PID  int    `json:"pid"`
	} `json:"operators"`
	Vault struct {
		Threshold int    `json:"threshold"`
		Parties   int    `json:"parties"`
		PublicKey string `json:"public_key"`
	} `json:"vault"`
	Address string `json:"address"`
	Tx      struct {
		Raw  string `json:"raw"`
		Hash string `json:"hash"`
	} `json:"tx"`
	Signature struct {
		R string `json:"r"`
		S string `json:"s"`
		V *uint8 `json:"v"`
	} `json:"signature"`
	Verified bool `json:"verified"`
}

func readDemo(ts *testscript.TestScript) demo {
	var d demo
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &d))
	return d
}

// demoHolds checks every field of the acceptance, the sender by go-ethereum.
func demoHolds(ts *testscript.TestScript, _ bool, _ []string) {
	d := readDemo(ts)
	pids := map[int]bool{}
	for _, o := range d.Operators {
		pids[o.PID] = true
	}
	key, err := hex.DecodeString(d.Vault.PublicKey)
	ts.Check(err)
	if len(d.Operators) != 3 || len(pids) != 3 || pids[0] || d.Vault.Threshold != 3 || d.Vault.Parties != 3 || len(key) != 33 || !d.Verified ||
		len(d.Signature.R) != 66 || len(d.Signature.S) != 66 || d.Signature.V == nil {
		ts.Fatalf("the demonstration's document lacks something: %+v", d)
	}
	tx, sender := recoverSender(ts, d.Tx.Raw)
	if tx.Hash().Hex() != d.Tx.Hash || sender.Hex() != d.Address {
		ts.Fatalf("go-ethereum finds hash %s and sender %s; the document says %s and %s", tx.Hash(), sender, d.Tx.Hash, d.Address)
	}
}

// ports sets $P0 to $P9 to free ports of the loopback interface.
func ports(ts *testscript.TestScript, _ bool, _ []string) {
	for i := range 10 {
		addr, err := local.FreeAddress()
		ts.Check(err)
		_, port, err := net.SplitHostPort(addr)
		ts.Check(err)
		ts.Setenv(fmt.Sprintf("P%d", i), port)
	}
}

// gone wants that the nodes of the demonstration on stdout have ended.
func gone(ts *testscript.TestScript, _ bool, _ []string) {
	for _, o := range readDemo(ts).Operators {
		if err := syscall.Kill(o.PID, 0); !errors.Is(err, syscall.ESRCH) {
			ts.Fatalf("node %s, process %d, still runs: %v", o.Name, o.PID, err)
		}
	}
}

// anvilAccepts funds the demonstration's address on a real node and sends its transaction.
func anvilAccepts(t *testing.T, ts *testscript.TestScript, chain *anvil.Node) {
	d := readDemo(ts)
	chain.SetBalance(t, d.Address, "0xde0b6b3a7640000")
	var hash string
	chain.Call(t, &hash, "eth_sendRawTransaction", d.Tx.Raw)
	if hash != d.Tx.Hash {
		ts.Fatalf("anvil says hash %s, the document %s", hash, d.Tx.Hash)
	}
}

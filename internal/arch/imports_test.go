package arch

import (
	"go/ast"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The table of house.md, "Who may import whom": a room, and the rooms that its code (not its
// tests) may import. A room that is not here, nor below one that is, is not part of the architecture
// yet: put it here first. A name with /… means the room and all below it.
var may = map[string][]string{
	"crypto/secret":                      {},
	"crypto/group":                       {},
	"crypto/group/secp256k1":             {"crypto/secret", "crypto/group", "crypto/group/secp256k1/vartime"},
	"crypto/group/secp256k1/vartime":     {}, // for browsers, which hold no secret
	"crypto/group/edwards25519":          {"crypto/secret", "crypto/group"},
	"crypto/group/ristretto255":          {"crypto/secret", "crypto/group"},
	"crypto/group/secp256k1/independent": {}, // another's code, to check ours with
	"crypto/eddsa":                       {"crypto/secret", "crypto/group", "crypto/group/edwards25519"},
	"crypto/transcript":                  {"crypto/secret", "crypto/group"},
	"crypto/share":                       below("crypto/transcript"),
	"crypto/ot":                          below("crypto/share"),
	"crypto/pve":                         below("crypto/share"),
	"crypto/hd":                          below("crypto/share"),
	"crypto/slip39":                      below("crypto/share"),

	"mpc/engine":            {},
	"mpc/engine/enginetest": {"mpc/engine"},
	"mpc/malice":            {"crypto/group", "mpc/engine"},
	"mpc/session":           {"crypto/…", "mpc/engine"},
	"mpc/pair":              {"crypto/…", "mpc/engine", "mpc/session"},
	"mpc/guard":             {"crypto/…", "mpc/engine", "mpc/session"},
	"mpc/epoch":             {"crypto/…", "mpc/engine", "mpc/session", "mpc/pair", "mpc/guard"},
	"mpc/keygen":            {"crypto/…", "mpc/engine", "mpc/session"},
	"mpc/reshare":           {"crypto/…", "mpc/engine", "mpc/session"},
	"mpc/dkls":              {"crypto/…", "mpc/engine", "mpc/session", "mpc/pair"},
	"mpc/frost":             {"crypto/…", "mpc/engine", "mpc/session"},
	"mpc/ceremony": {
		"crypto/…", "mpc/engine", "mpc/session", "mpc/pair", "mpc/guard", "mpc/epoch",
		"mpc/keygen", "mpc/reshare", "mpc/dkls", "mpc/frost",
	},

	"custody/statement":  {"crypto/…"},
	"custody/signet":     {"crypto/…", "custody/statement"},
	"custody/form":       {},
	"custody/guardian":   {"crypto/…", "custody/statement", "custody/signet"},
	"custody/charter":    {"crypto/…", "custody/statement", "custody/signet", "custody/form", "custody/guardian"},
	"evidence/tlog":      {"crypto/…", "custody/statement", "custody/signet"},
	"custody/control":    custody(),
	"custody/policy":     custody("chain/…", "custody/form"),
	"custody/review":     custody("custody/control", "custody/policy", "custody/ledger", "chain/…"),
	"custody/ledger":     custody(),
	"custody/pulse":      custody(),
	"custody/intent":     custody(),
	"custody/payload":    custody("custody/intent", "custody/policy", "chain/…"),
	"custody/sos":        custody("custody/sos/…"),
	"custody/backup":     custody(),
	"custody/breakglass": custody("mpc/engine", "mpc/session", "mpc/epoch", "mpc/guard"), // linked into its own command alone: TestBreakglassStandsApart
	"evidence/attest":    {"crypto/…"},
	"evidence/vetted":    custody(),
	"evidence/judge":     custody("evidence/attest/…", "evidence/vetted"),
	"evidence/places":    custody("custody/control", "evidence/attest"),
	"evidence/proof":     custody("custody/intent", "chain/…"),
	"evidence/release":   {"crypto/…", "custody/statement"},
	"evidence/rescue":    custody("custody/sos/act", "custody/sos/plan"),
	"evidence/verify":    {"crypto/…", "custody/…", "evidence/…", "mpc/epoch", "mpc/guard", "mpc/session", "chain/…"},
	"chain":              {"crypto/…", "chain/…"},

	"custody/signet/signettest": {}, // authenticators and wallets, which know nothing of us

	"evidence/attest/pki":      {"evidence/attest"},
	"evidence/attest/tpm":      {"crypto/…", "evidence/attest/pki"},
	"evidence/attest/sevsnp":   {"crypto/…", "evidence/attest/pki"},
	"evidence/attest/tdx":      {"crypto/…", "evidence/attest/pki"},
	"evidence/attest/nitro":    {"crypto/…", "evidence/attest/pki"},
	"evidence/attest/hardware": {"crypto/…", "evidence/attest/…"},

	// These know bytes, never mpc.
	"node/store":  {"crypto/…", "node/store/…", "internal/failpoint"},
	"node/tpm":    {"crypto/…"},
	"node/memory": {"crypto/…"},
	"node/seal":   {"crypto/…", "node/seal/…", "node/memory", "node/tpm", "internal/failpoint"},
	"node/door":   {"crypto/…"},
	"node/link":   {"crypto/…", "node/door", "node/link/…", "internal/failpoint"},
	"node/rpc":    {"crypto/…", "chain/…", "node/rpc/…", "internal/failpoint"},
	"node/quote":  {"crypto/…", "evidence/attest/…", "node/quote/…", "node/tpm", "internal/failpoint"},

	"node": {"crypto/…", "mpc/…", "custody/…", "evidence/…", "chain/…", "node/…", "internal/failpoint", "internal/stamp"},

	"api":    outside("api/…", "internal/stamp"),
	"client": outside("api/…", "client/…"),

	"client/notify":     {"crypto/…"},                                                                                // what people are told: pure, so that it can be tried without nodes and clocks
	"client/appealtest": outside("client/carry", "node/nodetest"),                                                    // what tests of a guardian's tool are given
	"client/appeal":     {"crypto/…", "mpc/epoch", "mpc/guard", "mpc/session", "custody/…", "chain", "client/carry"}, // a guardian's tool, offline: pure, so that its clock is an argument
	"client/paper":      {"custody/backup/…"},                                                                        // pages with secrets: pure, so that it keeps no file

	"console": outside("api/…", "client/…", "console/…"),
	"cmd/cli": {}, // what programs have in common for who types their commands
	"cmd":     outside("api/…", "client/…", "console/…", "cmd/…", "sim/…", "internal/…"),
	"sim":     outside("sim/…"),
	"test":    outside("api/…", "client/…", "cmd/…", "sim/…", "test/…", "internal/…"), // of the whole

	"internal/arch":       {},
	"internal/failpoint":  {},
	"internal/stamp":      {},
	"internal/cputime":    {},
	"internal/testrun":    {"internal/components/…"},
	"internal/deps":       {},
	"internal/components": {"internal/components/…"},
	"internal/release":    {"evidence/release", "node/link", "mpc/session"}, // the maintainers' tool: what it releases speaks these versions
	"internal":            {"internal/…"},                                   // tools for tests and builds
}

// below are crypto's rooms up to one, in their order.
func below(last string) []string {
	order := []string{"crypto/secret", "crypto/group/…", "crypto/transcript", "crypto/share"}
	return order[:slices.Index(order, last)+1]
}

func custody(more ...string) []string {
	return append([]string{"crypto/…", "custody/statement", "custody/signet", "custody/guardian", "custody/charter", "evidence/tlog"}, more...)
}

func outside(more ...string) []string {
	return append([]string{"crypto/…", "mpc/…", "custody/…", "evidence/…", "chain/…", "node/…", "internal/failpoint"}, more...)
}

// forTests are rooms that only tests import.
var forTests = []string{"mpc/malice", "mpc/engine/enginetest", "custody/signet/signettest", "node/store/storetest", "node/store/etcd/etcdtest", "node/seal/pkcs11/pkcs11test", "node/seal/transit/transittest", "node/nodetest", "client/appealtest", "internal/arch", "internal/history"}

// rule finds the entry of a room: its own, or that of the nearest folder above it.
func rule(room string) (string, bool) {
	for at := room; at != "."; {
		if _, ok := may[at]; ok {
			return at, true
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			break
		}
		at = at[:i]
	}
	return "", false
}

// allowed says whether code of one room may import another.
func allowed(from, to string) bool {
	entry, ok := rule(from)
	if !ok || slices.Contains(forTests, to) && !under(from, "sim") && !slices.Contains(forTests, from) {
		return false
	}
	return slices.ContainsFunc(may[entry], func(p string) bool {
		folder, all := strings.CutSuffix(p, "/…")
		return to == folder || all && under(to, folder)
	})
}

func TestWhoImportsWhom(t *testing.T) {
	for _, f := range files(t) {
		if _, ok := rule(f.room); !ok {
			t.Errorf("%s: room %s is not part of the architecture", f.path, f.room)
			continue
		}
		ours, _ := f.imports()
		for _, to := range ours {
			if !allowed(f.room, to) {
				t.Errorf("%s: %s must not import %s", f.path, f.room, to)
			}
		}
	}
}

// The table says no to what house.md forbids in words.
func TestTheTableRefuses(t *testing.T) {
	for _, c := range [][2]string{
		{"crypto/share", "mpc/engine"}, {"crypto/secret", "crypto/group"}, {"crypto/group", "crypto/transcript"}, {"crypto/group/edwards25519", "crypto/transcript"},
		{"crypto/ot", "crypto/hd"}, {"crypto/group/secp256k1/independent", "crypto/group/secp256k1"},
		{"mpc/engine", "crypto/transcript"}, {"mpc/session", "mpc/epoch"}, {"mpc/keygen", "mpc/dkls"}, {"mpc/dkls", "mpc/keygen"},
		{"mpc/reshare", "mpc/keygen"}, {"mpc/frost", "mpc/dkls"}, {"mpc/keygen", "mpc/pair"}, {"mpc/pair", "mpc/dkls"},
		{"mpc/epoch", "mpc/ceremony"}, {"mpc/ceremony", "node/session"}, {"mpc/ceremony", "mpc/engine/enginetest"},
		{"evidence/tlog", "custody/charter"}, {"evidence/tlog", "chain/evm"}, {"evidence/release", "custody/charter"}, {"custody/statement", "custody/charter"},
		{"custody/charter", "custody/intent"}, {"custody/guardian", "custody/charter"}, {"custody/policy", "mpc/engine"}, {"evidence/verify", "mpc/keygen"},
		{"node/store/bolt", "mpc/engine"}, {"node/seal", "mpc/session"}, {"node/link", "mpc/session"}, {"node/rpc", "mpc/engine"},
		{"node/session", "api/ostraka/v1"}, {"node/session", "sim"}, {"api", "client"}, {"client", "console"}, {"console", "cmd/ostraka"},
		{"custody/breakglass", "mpc/ceremony"}, {"custody/breakglass", "node/backup"}, {"client/paper", "node/seal"}, {"client/paper", "client/courier"}, {"custody/backup/paper", "mpc/epoch"},
		{"node", "sim"}, {"node", "node/nodetest"}, {"cmd/ostraka", "test/kill"}, {"chain/evm", "custody/statement"}, {"crypto/utils", "crypto/group"}, {"other", "crypto/group"},
	} {
		if allowed(c[0], c[1]) {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
	for _, c := range [][2]string{
		{"mpc/ceremony", "mpc/dkls"}, {"mpc/epoch", "mpc/pair"}, {"mpc/dkls", "crypto/group/secp256k1/independent"},
		{"evidence/verify", "mpc/epoch"}, {"custody/policy", "chain/evm"}, {"cmd/ostraka", "sim"}, {"node/store/etcd", "node/store"},
	} {
		if !allowed(c[0], c[1]) {
			t.Errorf("%s may not import %s", c[0], c[1])
		}
	}
}

var pure = []string{"crypto", "mpc", "custody", "evidence", "chain", "client/appeal", "client/notify", "client/paper"}

func isPure(room string) bool {
	return slices.ContainsFunc(pure, func(p string) bool { return under(room, p) })
}

// worldly are packages whose use makes a room depend on more than its arguments.
var worldly = []string{
	"net", "os", "context", "sync", "crypto/rand", "log", "database", "testing", "syscall", "plugin", "runtime/debug",
	"golang.org/x/sys/unix",
}

func isWorldly(p string) bool {
	return slices.ContainsFunc(worldly, func(w string) bool { return under(p, w) })
}

// clock are the functions of package time that read it or wait for it.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

func TestPureRooms(t *testing.T) {
	seen := 0
	for _, f := range files(t) {
		if !isPure(f.room) {
			continue
		}
		seen++
		_, others := f.imports()
		for _, p := range others {
			if isWorldly(p) {
				t.Errorf("%s: a pure room imports %s: clock, entropy and all else come in as arguments", f.path, p)
			}
		}
		if !slices.Contains(others, "time") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, s.Sel.Name) {
				t.Errorf("%s: a pure room uses time.%s", positions.Position(s.Pos()), s.Sel.Name)
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("no pure room was seen")
	}
}

// reached is what crypto and mpc reach through Go's own packages though they import none of
// it, and why that cannot be helped. Nothing else of the world is in reach.
var reached = map[string]string{
	"crypto/rand": "crypto/ecdh and crypto/ed25519 offer to draw keys; we hand them ours",
	"os":          "fmt prints to files, and math/big and encoding/hex use fmt",
	"sync":        "fmt, crypto/sha256 and reflect keep caches",
	"sync/atomic": "as sync",
	"syscall":     "as os",
	"embed":       "a dependency holds its precomputed tables so",
}

// Nothing in crypto or mpc reaches the network, a log or a database through any dependency.
func TestReach(t *testing.T) {
	list := exec.Command("go", "list", "-deps", module+"/crypto/...", module+"/mpc/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/mpc/ceremony") {
		t.Fatal("go list does not know mpc/ceremony")
	}
	for _, d := range deps {
		if isWorldly(d) && reached[d] == "" {
			t.Errorf("crypto or mpc reaches %s", d)
		}
	}
	for d := range reached {
		if !slices.Contains(deps, d) {
			t.Errorf("%s is not reached any more: take it off the list", d)
		}
	}
}

// A key is put together by one command, which nothing else links: not the node, not what people type every day, not the simulator. Code that can make a key whole
// and is not there cannot be reached by a defect or an attacker of what is.
func TestBreakglassStandsApart(t *testing.T) {
	const room, command = "custody/breakglass", "cmd/ostraka-breakglass"
	taken := 0
	for _, f := range files(t) {
		ours, _ := f.imports()
		for _, to := range ours {
			switch {
			case under(to, command):
				t.Errorf("%s imports %s, which is a command", f.path, to)
			case under(to, room) && !under(f.room, command) && !under(f.room, room):
				t.Errorf("%s imports %s, which %s alone may", f.path, to, command)
			case under(to, room):
				taken++
			}
		}
	}
	if taken == 0 {
		t.Errorf("nothing imports %s: is it there still?", room)
	}
	list := exec.Command("go", "list", "-deps", module+"/cmd/ostraka", module+"/node/...", module+"/api/...", module+"/client/...", module+"/console/...", module+"/sim/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, d := range strings.Fields(string(out)) {
		if below, ours := strings.CutPrefix(d, module+"/"); ours && (under(below, room) || under(below, command)) {
			t.Errorf("the node or its tools link %s", below)
		}
	}
}

// An etcd member is a program of its own: a node links the client, and no server, raft or second database.
func TestNodeLinksNoServer(t *testing.T) {
	deps := func(rooms ...string) []string {
		list := exec.Command("go", append([]string{"list", "-deps"}, rooms...)...)
		list.Dir = root
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		return strings.Fields(string(out))
	}
	server := func(d string) bool {
		return under(d, "go.etcd.io/etcd/server/v3") || under(d, "go.etcd.io/etcd/etcdutl/v3") || under(d, "go.etcd.io/raft/v3")
	}
	for _, d := range deps(module+"/cmd/ostraka", module+"/node/...", module+"/api/...", module+"/client/...") {
		if server(d) {
			t.Errorf("the node or its tools link %s", d)
		}
	}
	if !slices.ContainsFunc(deps(module+"/cmd/ostraka-store"), server) {
		t.Error("ostraka-store links no server: is it looked for under its name?")
	}
}

// What runs in variable time is for the browser, which holds no secret: one file takes it, that no other system builds.
func TestVariableTimeIsForBrowsers(t *testing.T) {
	const room = "crypto/group/secp256k1/vartime"
	taken := 0
	for _, f := range files(t) {
		if ours, _ := f.imports(); slices.Contains(ours, room) {
			taken++
			if f.path != "crypto/group/secp256k1/curve_js.go" {
				t.Errorf("%s imports %s, which is for browsers alone", f.path, room)
			}
		}
	}
	if taken != 1 {
		t.Errorf("%d files import %s, not 1", taken, room)
	}
}

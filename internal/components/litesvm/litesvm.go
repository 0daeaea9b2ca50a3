package litesvm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/internal/components"
)

// A Node is a running LiteSVM behind a bridge that speaks a node's JSON-RPC.
type Node struct {
	URL string // http://127.0.0.1:port

	cmd  *exec.Cmd
	made int // transactions of the payer, each of which is another
}

// Genesis is the hash that it has for that of a first block.
var Genesis = Text(sha256.Sum256([]byte("the first block of LiteSVM, which has none")))

// Chain is its CAIP-2 id.
var Chain = "solana:" + Genesis[:32]

// Empty is by how much its height is lower than its slot.
const Empty = 21_000_000

// startLimit is how long it may take until it listens.
const startLimit = 30 * time.Second

//go:embed bridge.js
var bridge []byte

// Start starts LiteSVM in Node.js, which has a port of the loopback interface, and stops it when the test ends. A missing program or library
// fails the test.
func Start(t testing.TB) *Node {
	t.Helper()
	addon, err := components.Litesvm.Find()
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("start LiteSVM: node is not installed: run make deps as root, or install Node.js 20 or later, and try again")
	}
	script := filepath.Join(t.TempDir(), "bridge.js")
	if err := os.WriteFile(script, bridge, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, script, addon, Genesis)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("start LiteSVM: %v", err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // it ends when this is closed, be it because the test was killed
		t.Fatalf("start LiteSVM: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start LiteSVM: %v", err)
	}
	n := &Node{cmd: cmd}
	t.Cleanup(n.Stop)

	listening := make(chan string, 1)
	go watch(stdout, listening)
	timeout := time.NewTimer(startLimit)
	defer timeout.Stop()
	select {
	case address, ok := <-listening:
		if !ok {
			n.Stop()
			t.Fatalf("start LiteSVM: it ended before it listened: %s", stderr.String())
		}
		n.URL = "http://" + address
	case <-timeout.C:
		t.Fatalf("start LiteSVM: it does not listen after %s", startLimit)
	}
	return n
}

// watch reports the address that the bridge prints, then drains its output.
func watch(stdout io.Reader, listening chan<- string) {
	defer close(listening)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			listening <- address
			break
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // ends when it does
}

// Stop ends it. The endpoint then refuses connections. Stopping twice is no error.
func (n *Node) Stop() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended by itself
	_ = n.cmd.Wait()
	n.cmd = nil
}

// A Refusal is what its JSON-RPC refuses with.
type Refusal struct {
	Code    int
	Message string
	Data    json.RawMessage
}

// Try calls a JSON-RPC method and decodes its result into result, unless that is nil; it returns a refusal, if there is one. Any other error
// fails the test. It is kept apart from node/rpc, which it helps to test.
func (n *Node) Try(t testing.TB, result any, method string, params ...any) *Refusal {
	t.Helper()
	if params == nil {
		params = []any{}
	}
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatalf("LiteSVM: %s: %v", method, err)
	}
	response, err := http.Post(n.URL, "application/json", bytes.NewReader(request))
	if err != nil {
		t.Fatalf("LiteSVM: %s: %v", method, err)
	}
	defer response.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *Refusal
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("LiteSVM: %s: %s: %v", method, response.Status, err)
	}
	if answer.Error != nil || result == nil {
		return answer.Error
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		t.Fatalf("LiteSVM: %s: result %s: %v", method, answer.Result, err)
	}
	return nil
}

// Call is Try of what must not be refused.
func (n *Node) Call(t testing.TB, result any, method string, params ...any) {
	t.Helper()
	if r := n.Try(t, result, method, params...); r != nil {
		t.Fatalf("LiteSVM: %s: %s", method, r.Message)
	}
}

// Airdrop gives lamports to an address, out of nothing.
func (n *Node) Airdrop(t testing.TB, to Key, lamports uint64) {
	t.Helper()
	n.Call(t, nil, "test_airdrop", Text(to), lamports)
}

// Balance is what an address holds, in lamports.
func (n *Node) Balance(t testing.TB, of Key) uint64 {
	t.Helper()
	var r struct{ Value uint64 }
	n.Call(t, &r, "getBalance", Text(of))
	return r.Value
}

// Blockhash is the one that transactions must have.
func (n *Node) Blockhash(t testing.TB) Key {
	t.Helper()
	var r struct{ Value struct{ Blockhash string } }
	n.Call(t, &r, "getLatestBlockhash")
	return parse(t, r.Value.Blockhash)
}

// ExpireBlockhash ends the blockhash: transactions that have it no longer land. It returns the next one.
func (n *Node) ExpireBlockhash(t testing.TB) Key {
	t.Helper()
	var hash string
	n.Call(t, &hash, "test_expireBlockhash")
	return parse(t, hash)
}

// Warp goes on by so many slots, a second each, and to another blockhash. It returns the slot.
func (n *Node) Warp(t testing.TB, slots uint64) (slot uint64) {
	t.Helper()
	n.Call(t, &slot, "test_warp", slots)
	return slot
}

// Time is its clock's, in seconds since 1970.
func (n *Node) Time(t testing.TB) (seconds int64) {
	t.Helper()
	n.Call(t, &seconds, "test_time")
	return seconds
}

// SetTime sets its clock, in seconds since 1970, also back.
func (n *Node) SetTime(t testing.TB, seconds int64) {
	t.Helper()
	n.Call(t, nil, "test_setTime", seconds)
}

// Pose has it say that it is another network, by the hash of its first block.
func (n *Node) Pose(t testing.TB, genesis string) {
	t.Helper()
	n.Call(t, nil, "test_setGenesis", genesis)
}

// An Account is what an address is made to hold.
type Account struct {
	Lamports   uint64
	Owner      Key
	Data       []byte
	Executable bool
}

// SetAccount makes an address hold something, by no transaction.
func (n *Node) SetAccount(t testing.TB, at Key, a Account) {
	t.Helper()
	n.Call(t, nil, "test_setAccount", Text(at), map[string]any{
		"lamports": a.Lamports, "owner": Text(a.Owner), "data": base64.StdEncoding.EncodeToString(a.Data), "executable": a.Executable,
	})
}

// Send sends a signed transaction, that must land, and returns its id.
func (n *Node) Send(t testing.TB, raw []byte) (id string) {
	t.Helper()
	n.Call(t, &id, "sendTransaction", base64.StdEncoding.EncodeToString(raw), map[string]any{"encoding": "base64"})
	return id
}

// A Key is 32 bytes that the chain names something by, as chain/solana's are: this package knows nothing of ours, so that what both have wrong shows.
type Key = [32]byte

// Text is a key in base58.
func Text(k Key) string { return base58.Encode(k[:]) }

func parse(t testing.TB, text string) Key {
	t.Helper()
	b := base58.Decode(text)
	if len(b) != len(Key{}) {
		t.Fatalf("LiteSVM: %q is no key", text)
	}
	return Key(b)
}

// Package btcd starts the pinned btcd for a test: a real full node of Bitcoin on a regtest chain of its own, without peers, and a key
// whose coins its blocks pay to.
package btcd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/internal/components"
)

// A Node is a running btcd.
type Node struct {
	URL string // http://user:password@127.0.0.1:port

	cmd  *exec.Cmd
	next int   // height of the next block whose coinbase Coin looks at
	core bool  // it is bitcoind
	late int64 // of bitcoind: the time that the next block has at least, in Unix seconds; 0: none
}

// Bitcoind is a bitcoind that somebody else started, with a regtest chain that has no block yet: it is asked in the same way.
func Bitcoind(url string) *Node { return &Node{URL: url, next: 1, core: true} }

// User and Password are of its JSON-RPC.
const (
	User     = "miner"
	Password = "pass-of-a-test"
)

// startLimit is how long btcd may take until it listens.
const startLimit = 30 * time.Second

// Blocks is how many blocks it has at the start: as many as pay 50 coins each on regtest. Those at least 100 deep can be spent.
const Blocks = 149

// Start starts btcd on a free port of the loopback interface, mines Blocks, and stops it when the test ends. args are added to its
// command line. A missing binary fails the test.
func Start(t testing.TB, args ...string) *Node {
	t.Helper()
	path, err := components.Btcd.Find()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(path, append([]string{
		"--regtest", "--nolisten", "--nodnsseed", "--notls", "--rpclisten=127.0.0.1:0", "--rpcmaxclients=500", "--rpcuser=" + User, "--rpcpass=" + Password,
		"--configfile=" + dir + "/none.conf", "--datadir=" + dir, "--logdir=" + dir, "--rpccert=" + dir + "/cert", "--rpckey=" + dir + "/key",
		"--miningaddr=" + Address,
	}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("start btcd: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start btcd: %v", err)
	}
	n := &Node{cmd: cmd, next: 1}
	t.Cleanup(n.Stop)

	listening := make(chan string, 1)
	printed := &bytes.Buffer{} // read once listening is closed
	go watch(stdout, printed, listening)
	timeout := time.NewTimer(startLimit)
	defer timeout.Stop()
	select {
	case address, ok := <-listening:
		if !ok {
			n.Stop()
			t.Fatalf("start btcd: it ended before it listened: %s%s", stderr.String(), printed)
		}
		n.URL = "http://" + User + ":" + Password + "@" + address
	case <-timeout.C:
		t.Fatalf("start btcd: it does not listen after %s", startLimit)
	}
	n.Mine(t, Blocks)
	return n
}

// watch reports the address that btcd logs, then drains its output.
func watch(stdout io.Reader, printed *bytes.Buffer, listening chan<- string) {
	defer close(listening)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if _, address, ok := strings.Cut(lines.Text(), "RPC server listening on "); ok {
			listening <- strings.TrimSpace(address)
			break
		}
		printed.WriteString(lines.Text() + "\n")
	}
	_, _ = io.Copy(io.Discard, stdout) // ends when btcd does
}

// Stop ends btcd. The endpoint then refuses connections. Stopping twice is no error.
func (n *Node) Stop() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended by itself
	_ = n.cmd.Wait()
	n.cmd = nil
}

// Call calls a JSON-RPC method and decodes its result into result, unless that is nil. Any
// error fails the test. It is kept apart from node/rpc, which it helps to test.
func (n *Node) Call(t testing.TB, result any, method string, params ...any) {
	t.Helper()
	if params == nil {
		params = []any{}
	}
	request, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatalf("btcd: %s: %v", method, err)
	}
	response, err := http.Post(n.URL, "application/json", bytes.NewReader(request))
	if err != nil {
		t.Fatalf("btcd: %s: %v", method, err)
	}
	defer response.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("btcd: %s: %s: %v", method, response.Status, err)
	}
	if answer.Error != nil {
		t.Fatalf("btcd: %s: %s", method, answer.Error.Message)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		t.Fatalf("btcd: %s: result %s: %v", method, answer.Result, err)
	}
}

// Mine mines so many blocks, with what waits in the pool, and returns their hashes, as people write them.
func (n *Node) Mine(t testing.TB, blocks int) (hashes []string) {
	t.Helper()
	if !n.core {
		n.Call(t, &hashes, "generate", blocks)
		return hashes
	}
	if n.late > 0 {
		n.Call(t, nil, "setmocktime", n.late)
	}
	n.Call(t, &hashes, "generatetoaddress", blocks, Address)
	if n.late > 0 {
		n.Call(t, nil, "setmocktime", 0)
		n.late = 0
	}
	return hashes
}

// Height is that of the latest block.
func (n *Node) Height(t testing.TB) (height int) {
	t.Helper()
	n.Call(t, &height, "getblockcount")
	return height
}

// Hash is that of the block at a height.
func (n *Node) Hash(t testing.TB, height int) (hash string) {
	t.Helper()
	n.Call(t, &hash, "getblockhash", height)
	return hash
}

// Invalidate takes a block and all that follow it off the chain; what they held waits again. The next blocks that are mined are others.
func (n *Node) Invalidate(t testing.TB, hash string) {
	t.Helper()
	if n.core { // at the same time it would make the very block that is thrown out here, which is then refused
		var tip struct{ Time int64 }
		n.Call(t, &tip, "getblockheader", n.Hash(t, n.Height(t)))
		n.late = tip.Time + 1
	}
	n.Call(t, nil, "invalidateblock", hash)
}

// Reconsider undoes Invalidate: the longest chain counts again.
func (n *Node) Reconsider(t testing.TB, hash string) {
	t.Helper()
	n.Call(t, nil, "reconsiderblock", hash)
}

// Package anvil starts the pinned anvil for a test: a real Ethereum node with funded,
// unlocked accounts, that mines every transaction at once.
package anvil

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ostraka/ostraka/internal/components"
)

// A Node is a running anvil.
type Node struct {
	URL string // http://127.0.0.1:port

	cmd  *exec.Cmd
	held *accounts // of At; nil: the node keeps its own
}

// How long anvil may take until it listens, and until it mined a transaction.
const (
	startLimit = 30 * time.Second
	mineLimit  = 30 * time.Second
)

// Start starts anvil on a free port of the loopback interface and stops it when the test
// ends. args are added to its command line. A missing binary fails the test.
func Start(t testing.TB, args ...string) *Node {
	t.Helper()
	path, err := components.Anvil.Find()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"--host", "127.0.0.1", "--port", "0", "--accounts", "2"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("start anvil: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start anvil: %v", err)
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
			t.Fatalf("start anvil: it ended before it listened: %s", stderr.String())
		}
		n.URL = "http://" + address
	case <-timeout.C:
		t.Fatalf("start anvil: it does not listen after %s", startLimit)
	}
	return n
}

// watch reports the address that anvil prints, then drains its output.
func watch(stdout io.Reader, listening chan<- string) {
	defer close(listening)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if address, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "Listening on "); ok {
			listening <- address
			break
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // ends when anvil does
}

// Stop ends anvil. The endpoint then refuses connections. Stopping twice is no error.
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
	answer := n.ask(t, method, params)
	if answer.Error != nil {
		t.Fatalf("anvil: %s: %s", method, answer.Error.Message)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		t.Fatalf("anvil: %s: result %s: %v", method, answer.Result, err)
	}
}

// answer is what anvil says to a request: a result or an error.
type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

func (n *Node) ask(t testing.TB, method string, params []any) (a answer) {
	t.Helper()
	if params == nil {
		params = []any{}
	}
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatalf("anvil: %s: %v", method, err)
	}
	response, err := http.Post(n.URL, "application/json", bytes.NewReader(request))
	if err != nil {
		t.Fatalf("anvil: %s: %v", method, err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		t.Fatalf("anvil: %s: %v", method, err)
	}
	return a
}

// Accounts returns the funded, unlocked accounts.
func (n *Node) Accounts(t testing.TB) []string {
	t.Helper()
	if n.held != nil {
		return n.held.addresses()
	}
	var accounts []string
	n.Call(t, &accounts, "eth_accounts")
	return accounts
}

// SetBalance gives address, which has less, so many wei, in hexadecimal with 0x.
func (n *Node) SetBalance(t testing.TB, address, wei string) {
	t.Helper()
	if n.held != nil {
		var has hexutil.Big
		n.Call(t, &has, "eth_getBalance", address, "latest")
		more := new(big.Int).Sub(hexutil.MustDecodeBig(wei), has.ToInt())
		n.send(t, map[string]string{"from": n.Accounts(t)[0], "to": address, "value": hexutil.EncodeBig(more)})
		return
	}
	n.Call(t, nil, "anvil_setBalance", address, wei)
}

// Mine mines so many empty blocks.
func (n *Node) Mine(t testing.TB, blocks int) {
	t.Helper()
	n.Call(t, nil, "anvil_mine", fmt.Sprintf("0x%x", blocks))
}

type receipt struct{ Status, ContractAddress string }

// send sends a transaction from an unlocked account and waits until it is mined. Anvil
// answers with the hash before it has mined.
func (n *Node) send(t testing.TB, transaction map[string]string) receipt {
	t.Helper()
	var hash string
	if n.held != nil {
		n.Call(t, &hash, "eth_sendRawTransaction", n.held.sign(t, n, transaction))
	} else {
		n.Call(t, &hash, "eth_sendTransaction", transaction)
	}
	for limit := time.Now().Add(mineLimit); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
		var r *receipt
		a := n.ask(t, "eth_getTransactionReceipt", []any{hash})
		if a.Error != nil { // geth has yet to index it
			continue
		}
		if err := json.Unmarshal(a.Result, &r); err != nil {
			t.Fatalf("anvil: the receipt of %s is %s: %v", hash, a.Result, err)
		}
		if r == nil {
			continue
		}
		if r.Status != "0x1" {
			t.Fatalf("anvil: transaction %s was reverted", hash)
		}
		return *r
	}
	t.Fatalf("anvil: transaction %s is not mined after %s", hash, mineLimit)
	return receipt{}
}

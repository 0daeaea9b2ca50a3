//go:build nightly

package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// TestDemoOnGeth runs the demo against geth --dev, with the rules of today and those of the
// coming fork: a gas number that is hard-coded would show (chains.md 1).
func TestDemoOnGeth(t *testing.T) {
	for _, c := range components.Geth {
		t.Run(c.Version, func(t *testing.T) {
			url := startGeth(t, c)
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			var out, progress bytes.Buffer
			cmd := exec.CommandContext(ctx, binary, "demo", "--json", "--eth-rpc", url)
			cmd.Stdout, cmd.Stderr = &out, &progress
			if err := cmd.Run(); err != nil {
				t.Fatalf("demo: %v\n%s%s", err, out.String(), progress.String())
			}
			var doc struct {
				Verified bool `json:"verified"`
				Tx       struct {
					Hash string `json:"hash"`
				} `json:"tx"`
				Receipt struct {
					Hash   string `json:"hash"`
					Block  uint64 `json:"block"`
					Status int    `json:"status"`
				} `json:"receipt"`
			}
			if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			if !doc.Verified || doc.Receipt.Status != 1 || doc.Receipt.Block == 0 || doc.Receipt.Hash != doc.Tx.Hash {
				t.Fatalf("the transfer is not mined: %+v", doc)
			}
		})
	}
}

// A real node's head is set back below the block that holds a transfer: at every operator's node it is thrown out, sent again as it was, and stands in another block.
func TestSetHeadOnGeth(t *testing.T) {
	for _, c := range components.Geth {
		t.Run(c.Version, func(t *testing.T) {
			const chain = "eip155:1337"
			chainNode := &anvil.Node{URL: startGeth(t, c)} // it is asked in the same way
			circle := settled(t, local.Config{Suite: charter.SuiteECDSA, Chain: chain, RPC: map[string]string{chain: chainNode.URL}})
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			w := &lying{t: t, chain: chain, local: circle, eth: chainNode, asked: new(atomic.Int64)}
			w.open(ctx)
			s := w.sender(chain)
			from, _, err := w.vault.Address(s.Root, chain, s.Path())
			w.must(err)
			w.eth.Call(t, nil, "eth_sendTransaction", map[string]string{"from": w.eth.Accounts(t)[0], "to": from, "value": "0xde0b6b3a7640000"})
			var balance string
			for balance != "0xde0b6b3a7640000" {
				w.eth.Call(t, &balance, "eth_getBalance", from, "latest")
			}
			w.setBack(w.ask(w.transfer(nil)))
		})
	}
}

// setBack sets the chain's head below the block of a transaction, once it is confirmed.
func (w *lying) setBack(st statement.Statement) {
	before := w.until("mined", st, func(c *client.Case) bool { return c.Signed != nil && all(c, "confirmed") })
	if w.t.Failed() {
		return
	}
	w.eth.Call(w.t, nil, "debug_setHead", fmt.Sprintf("%#x", before.Views[0].Height-1))
	thrown := map[string]bool{}
	after := w.until("set back", st, func(c *client.Case) bool {
		for _, v := range c.Views {
			if v.State != "confirmed" {
				thrown[v.Node] = true
			}
		}
		return len(thrown) == 3 && all(c, "confirmed")
	})
	if w.t.Failed() {
		return
	}
	var r *struct{ Status, BlockNumber string }
	w.eth.Call(w.t, &r, "eth_getTransactionReceipt", after.Signed.Hash)
	if r == nil || r.Status != "0x1" || r.BlockNumber != fmt.Sprintf("%#x", after.Views[0].Height) || !bytes.Equal(before.Signed.Raw, after.Signed.Raw) {
		w.t.Errorf("%s before, %s after: %+v", before.Signed.Hash, after.Signed.Hash, r)
	}
}

// The flows of contracts on the real node, with the rules of today and of the coming fork: a permit, a Safe's transactions, an account's code, a token.
func TestContractStoriesOnGeth(t *testing.T) {
	for _, c := range components.Geth {
		t.Run(c.Version, func(t *testing.T) {
			scripts := stories(t, "geth")                                                  // first, while blocks still want a fee: that falls with each of them here
			for _, name := range []string{"01-permit", "02-safe", "04-code", "05-token"} { // 03 holds blocks back, as anvil can
				scripts = append(scripts, "testdata/contracts/"+name+".txtar")
			}
			(&contracts{t: t, chain: anvil.At(t, startGeth(t, c)), id: 1337}).run(scripts)
		})
	}
}

// A pool that others trade in, too, holds a transaction until the next block: what pays more takes its place there, by the rules of a node that the public chain runs.
func TestReplacedOnGeth(t *testing.T) {
	for _, c := range components.Geth {
		t.Run(c.Version, func(t *testing.T) {
			const chain = "eip155:1337"
			w := &contracts{t: t, chain: anvil.At(t, startGeth(t, c, "--dev.period", "15"))}
			w.local = settled(t, local.Config{Suite: charter.SuiteECDSA, Chain: chain, RPC: map[string]string{chain: w.chain.URL}})
			all := w.commands()
			more := map[string]func(*testscript.TestScript, bool, []string){"fund": all["fund"], "ether": all["ether"], "next-block": func(*testscript.TestScript, bool, []string) {
				height := func() (n string) {
					w.chain.Call(t, &n, "eth_blockNumber")
					return n
				}
				for was := height(); height() == was; {
					time.Sleep(50 * time.Millisecond)
				}
			}}
			tell(t, w.local, stories(t, "geth"), more, map[string]string{})
		})
	}
}

// startGeth starts a development chain, with more arguments, and waits until it answers.
func startGeth(t *testing.T, c components.Component, more ...string) (url string) {
	t.Helper()
	program, err := c.Find()
	if err != nil {
		t.Fatal(err)
	}
	port := func() int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	rpc := port()
	cmd := exec.Command(program, append([]string{
		"--dev", "--datadir", t.TempDir(), "--http", "--http.addr", "127.0.0.1", "--http.port", fmt.Sprint(rpc),
		"--http.api", "eth,net,web3,debug", "--ipcdisable", "--port", "0", "--nodiscover", "--authrpc.port", fmt.Sprint(port()),
	}, more...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone
		cmd.Wait()                          //nolint:errcheck // its end is what was asked for
	})
	url = fmt.Sprintf("http://127.0.0.1:%d", rpc)
	for range 300 {
		r, err := http.Post(url, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}`))
		if err == nil {
			r.Body.Close()
			return url
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("geth %s does not answer:\n%s", c.Version, log.String())
	return ""
}

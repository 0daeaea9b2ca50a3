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
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/internal/components"
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

// startGeth starts a development chain and waits until it answers.
func startGeth(t *testing.T, c components.Component) (url string) {
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
	cmd := exec.Command(program, "--dev", "--datadir", t.TempDir(), "--http", "--http.addr", "127.0.0.1", "--http.port", fmt.Sprint(rpc),
		"--http.api", "eth,net,web3", "--ipcdisable", "--port", "0", "--nodiscover", "--authrpc.port", fmt.Sprint(port()))
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

// Package bitcoind starts the pinned Bitcoin Knots for a nightly test, as package btcd starts btcd: the tests are asked of both.
package bitcoind

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/btcd"
)

// startLimit is how long it may take until it answers.
const startLimit = time.Minute

// Start starts bitcoind on a free port of the loopback interface, without peers, wallet or index, mines btcd.Blocks, and stops it when the test ends. A missing
// binary fails the test.
func Start(t testing.TB) *btcd.Node {
	t.Helper()
	path, err := components.Bitcoind.Find()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	lib := components.Bitcoind.Libraries(path)
	cmd := exec.Command(filepath.Join(lib, "ld-linux-x86-64.so.2"), "--library-path", lib, path,
		"-regtest", "-datadir="+t.TempDir(), "-listen=0", "-dnsseed=0", "-disablewallet", "-persistmempool=0", "-printtoconsole=0", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1",
		fmt.Sprintf("-rpcport=%d", port), "-rpcuser="+btcd.User, "-rpcpassword="+btcd.Password, "-rpcworkqueue=500")
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatalf("start bitcoind: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
		ended <- nil // for whoever asks again
	})
	url := fmt.Sprintf("http://%s:%s@127.0.0.1:%d", btcd.User, btcd.Password, port)
	for end := time.Now().Add(startLimit); !answers(url); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("start bitcoind: it ended: %v\n%s", err, printed.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("start bitcoind: it does not answer after %s", startLimit)
		}
	}
	n := btcd.Bitcoind(url)
	n.Mine(t, btcd.Blocks)
	return n
}

func answers(url string) bool {
	r, err := http.Post(url, "application/json", strings.NewReader(`{"jsonrpc":"1.0","id":1,"method":"getblockcount","params":[]}`))
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

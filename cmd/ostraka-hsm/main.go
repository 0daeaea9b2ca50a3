// Command ostraka-hsm loads the library of a PKCS#11 token, which is C, so that the node need not (spec/sealing.md 7). The node
// starts it and speaks with it over its standard input and output; people have no use for it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ostraka/ostraka/node/memory"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] != "serve" {
		fmt.Fprintln(os.Stderr, "ostraka-hsm: `ostraka node run` starts this program where a node's key lies in a PKCS#11 token; it does nothing else")
		os.Exit(2)
	}
	if err := guard(); err != nil {
		fmt.Fprintln(os.Stderr, "ostraka-hsm: forbid core dumps:", err)
		os.Exit(1)
	}
	runtime.LockOSThread() // some libraries keep what they know by thread
	out, err := apart()
	if err == nil {
		err = pkcs11.Serve(os.Stdin, out, newToken())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ostraka-hsm:", err)
		os.Exit(1)
	}
}

// guard has a crash leave no core, and nobody of the same user read or trace this process: the PIN and the data key pass through here.
func guard() error {
	_, _ = memory.Process() // as far as this system lets it: the node that starts it has told its operator
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

// apart moves the answers away from standard output, which becomes standard error: a library that prints would else speak to the node.
func apart() (*os.File, error) {
	fd, err := unix.Dup(1)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "answers"), unix.Dup2(2, 1)
}

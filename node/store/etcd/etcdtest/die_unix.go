//go:build unix && !linux

package etcdtest

import (
	"os/exec"
	"syscall"
)

func dieWithTest() *syscall.SysProcAttr { return nil }

func start(cmd *exec.Cmd) error { return cmd.Start() }

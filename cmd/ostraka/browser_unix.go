//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// apart keeps a browser that this program started alive when Ctrl-C ends the program.
func apart(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

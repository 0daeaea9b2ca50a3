package etcdtest

import "syscall"

// dieWithTest: a test that is killed leaves no members.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

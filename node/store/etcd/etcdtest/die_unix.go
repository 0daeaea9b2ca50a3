//go:build unix && !linux

package etcdtest

import "syscall"

func dieWithTest() *syscall.SysProcAttr { return nil }

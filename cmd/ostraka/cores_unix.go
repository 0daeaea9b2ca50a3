//go:build unix

package main

import "syscall"

// withoutCores has the kernel write no core file of this process, nor of any that it starts: it would hold shares and the data key. Where the kernel hands cores to a program
// instead of a file, what that keeps is by its own settings; systemd-coredump keeps the memory of none that has this limit.
func withoutCores() error {
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

//go:build !linux

package provider

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func start(cmd *exec.Cmd, _ Limits, _ *os.File) error { return cmd.Start() }

func hold(int, Limits) error { return nil } // Go's own limits alone

func credential(u *User) *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.UID, Gid: u.GID}
}

type groups struct{}

func openGroups() (*groups, error) { return nil, errors.New("this system has no cgroup v2") }

func (*groups) of(string, Limits) (*os.File, error) { return nil, nil }

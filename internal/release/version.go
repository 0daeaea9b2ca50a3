package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// unsigned ends the version of what nobody can build again: a source that differs from its commit.
const unsigned = "-dirty"

// identify says which version and commit a source is. In a clone, git knows; a version may be given, and a commit is
// compared. Elsewhere both must be given.
func identify(ctx context.Context, root, version, commit string) (string, string, error) {
	if !isClone(ctx, root) {
		if version == "" || commit == "" {
			return "", "", fmt.Errorf("%s is no git clone: say which source it is with -version and -commit (make release VERSION=v… COMMIT=…)", root)
		}
		return version, commit, nil
	}
	head, err := git(ctx, root, "rev-parse", "HEAD")
	if err != nil {
		return "", "", err
	}
	if commit != "" && commit != head {
		return "", "", fmt.Errorf("the source is commit %s, not %s: check that one out", head, commit)
	}
	changed, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return "", "", err
	}
	switch {
	case version == "":
		if version, err = git(ctx, root, "describe", "--tags", "--match", "v[0-9]*", "--abbrev=12"); err != nil {
			version = "v0.0.0-g" + head[:12] // no tag yet
		}
		if changed != "" {
			version += unsigned
		}
	case changed != "" && !strings.HasSuffix(version, unsigned):
		first, _, _ := strings.Cut(changed, "\n")
		return "", "", fmt.Errorf("the source differs from commit %s (%s …): nobody else could build it. Commit it, or call the version %s%s", head[:12], strings.TrimSpace(first), version, unsigned)
	}
	return version, head, nil
}

// isClone says whether the folder is the top of a git clone: not a copy that lies somewhere in one.
func isClone(ctx context.Context, root string) bool {
	top, err := git(ctx, root, "rev-parse", "--show-toplevel")
	if err != nil {
		return false
	}
	a, errA := os.Stat(top)
	b, errB := os.Stat(root)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	text, err := output(cmd)
	return strings.TrimSpace(text), err
}

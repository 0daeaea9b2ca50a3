package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ostraka/ostraka/internal/components"
)

// debianKeys are those of Debian's archive, with which apt checks all that it fetches.
const debianKeys = "/usr/share/keyrings/debian-archive-keyring.gpg"

// fromDebian takes a program out of a Debian package and the libraries that it links out of theirs, of another release than the machine's if need be, and
// installs nothing: apt fetches and checks them in folders of its own here, and the program starts through that release's own loader.
func fromDebian(ctx context.Context, c components.Component, temp, bin string) error {
	d := debian{dir: filepath.Join(temp, "apt")}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed: %s comes from Debian's archive; run this on Debian", tool, c.Name)
		}
	}
	mirror, err := d.mirror(ctx)
	if err != nil {
		return err
	}
	if err := d.prepare(mirror, c.Debian.Suites); err != nil {
		return err
	}
	if err := d.apt(ctx, "update"); err != nil {
		return err
	}
	wanted := append([]string{c.Debian.Package + "=" + c.Debian.Version}, c.Debian.Libraries...)
	if err := d.apt(ctx, append([]string{"download"}, wanted...)...); err != nil {
		return err
	}
	return d.unpack(ctx, c, temp, bin)
}

// debian is apt with nothing of the machine's but its keys.
type debian struct{ dir string }

// mirror is where the machine has Debian's packages from.
func (d debian) mirror(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its sources: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if uri := strings.TrimSuffix(strings.TrimSpace(line), "/"); strings.HasSuffix(uri, "/debian") {
			return uri, nil
		}
	}
	return "", errors.New("apt has no source of Debian's archive: add one to /etc/apt/sources.list.d")
}

func (d debian) prepare(mirror string, suites []string) error {
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(d.dir, sub), 0o755); err != nil {
			return err
		}
	}
	var b strings.Builder
	for _, s := range suites {
		fmt.Fprintf(&b, "deb [signed-by=%s] %s %s main\n", debianKeys, mirror, s)
	}
	return os.WriteFile(filepath.Join(d.dir, "sources.list"), []byte(b.String()), 0o644)
}

func (d debian) apt(ctx context.Context, args ...string) error {
	var options []string
	for _, o := range []string{
		"Dir::Etc::SourceList=" + filepath.Join(d.dir, "sources.list"), "Dir::Etc::SourceParts=/dev/null", "Dir::State::Lists=" + filepath.Join(d.dir, "lists"),
		"Dir::Cache=" + filepath.Join(d.dir, "cache"), "Dir::State::status=/dev/null", "APT::Sandbox::User=", "Acquire::Languages=none",
	} {
		options = append(options, "-o", o)
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(options, args...)...)
	cmd.Dir = filepath.Join(d.dir, "debs")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s (%w): check the network and apt's sources; a version that the archive has no more is pinned in internal/components\n%s", args[0], err, tail(out))
	}
	return nil
}

// unpack leaves the program in bin, and libraries and loader side by side in lib.
func (d debian) unpack(ctx context.Context, c components.Component, temp, bin string) error {
	debs, err := filepath.Glob(filepath.Join(d.dir, "debs", "*.deb"))
	if err != nil {
		return err
	}
	root, lib := filepath.Join(d.dir, "root"), filepath.Join(temp, "lib")
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(deb), err, tail(out))
		}
	}
	if err := os.Mkdir(lib, 0o755); err != nil {
		return err
	}
	err = filepath.WalkDir(filepath.Join(root, "usr", "lib"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(e.Name(), ".so") || filepath.Base(filepath.Dir(path)) != components.DebianMachine() {
			return err
		}
		return os.Rename(path, filepath.Join(lib, e.Name())) // links name files beside them
	})
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(root, "usr", "bin", c.Name), filepath.Join(bin, c.Name)); err != nil {
		return err
	}
	return os.RemoveAll(d.dir)
}

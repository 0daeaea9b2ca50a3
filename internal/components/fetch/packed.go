package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"

	"github.com/ostraka/ostraka/internal/components"
)

// fromPacked takes a program and the libraries that it links out of one npm package, which carries them compressed. Nothing else of
// the package is used, and none of what it depends on is fetched.
func fromPacked(ctx context.Context, c components.Component, temp, bin string) error {
	for _, tool := range []string{"npm", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			return errors.New(tool + " is not installed: run make deps as root, or install Node.js 20 or later, and try again")
		}
	}
	dir := filepath.Join(temp, "npm")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	archive, err := archiveOf(ctx, c, dir, c.Packed.Integrity)
	if err != nil {
		return err
	}
	program, libraries := path.Join("package", c.Packed.Program), path.Join("package", c.Packed.Libraries)
	if err := untar(archive, dir, true, func(name string) bool { return name == program || name == libraries }); err != nil {
		return err
	}
	if err := unbrotli(ctx, filepath.Join(dir, path.Base(program)), filepath.Join(bin, c.Name)); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(bin, c.Name), 0o755); err != nil {
		return err
	}
	plain := filepath.Join(dir, "libraries.tar")
	if err := unbrotli(ctx, filepath.Join(dir, path.Base(libraries)), plain); err != nil {
		return err
	}
	lib := filepath.Join(temp, "lib")
	if err := os.Mkdir(lib, 0o755); err != nil {
		return err
	}
	return untar(plain, lib, false, func(string) bool { return true })
}

// archiveOf fetches a component's npm package into a folder, without what it depends on, and holds it against its pinned integrity.
func archiveOf(ctx context.Context, c components.Component, dir, integrity string) (string, error) {
	archive, err := npmPack(ctx, c, dir)
	if err != nil {
		return "", err
	}
	return archive, checkIntegrity(archive, integrity)
}

// npmPack is archiveOf of what npm alone holds against its registry.
func npmPack(ctx context.Context, c components.Component, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "npm", "pack", "--ignore-scripts", "--pack-destination", dir, c.NPM+"@"+c.Version)
	cmd.Dir = dir // else it takes this folder's package
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm could not fetch %s@%s (%w): check the network and npm's registry setting (npm config get registry)\n%s",
			c.NPM, c.Version, err, tail(out))
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("npm left %d archives of %s@%s, not one", len(archives), c.NPM, c.Version)
	}
	return archives[0], nil
}

// fromBuilt takes contracts that were compiled before out of an npm package. Nothing of it is run.
func fromBuilt(ctx context.Context, c components.Component, temp string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("npm is not installed: run make deps as root, or install Node.js 20 or later, and try again")
	}
	dir, contracts := filepath.Join(temp, "npm"), filepath.Join(temp, "contracts")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(contracts, 0o755)); err != nil {
		return err
	}
	archive, err := archiveOf(ctx, c, dir, c.Built.Integrity)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, f := range c.Built.Files {
		wanted[path.Join("package", f)] = true
	}
	if err := untar(archive, contracts, true, func(name string) bool { return wanted[name] }); err != nil {
		return err
	}
	if there, err := os.ReadDir(contracts); err != nil || len(there) != len(wanted) {
		return fmt.Errorf("%s@%s holds %d of the %d contracts in Files", c.NPM, c.Version, len(there), len(wanted))
	}
	return nil
}

// fromAddon takes a library for Node.js out of the npm package that carries it for this platform.
func fromAddon(ctx context.Context, c components.Component, temp, bin string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("npm is not installed: run make deps as root, or install Node.js 20 or later, and try again")
	}
	dir := filepath.Join(temp, "npm")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	ending := c.Addon.Platforms[components.Platform()]
	c.NPM += "-" + ending
	archive, err := npmPack(ctx, c, dir)
	if err != nil {
		return err
	}
	if want, pinned := c.Addon.Integrity[components.Platform()]; pinned {
		if err := checkIntegrity(archive, want); err != nil {
			return err
		}
	}
	file := c.Name + "." + ending + ".node"
	if err := untar(archive, bin, true, func(name string) bool { return name == "package/"+file }); err != nil {
		return err
	}
	return os.Rename(filepath.Join(bin, file), filepath.Join(bin, c.Name))
}

// checkIntegrity compares an archive with npm's integrity value: it covers all that is taken out of it.
func checkIntegrity(archive, want string) error {
	b, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	sum := sha512.Sum512(b)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("archive has integrity %s, not the pinned %s: it was not kept; find out where it came from", got, want)
	}
	return nil
}

// untar writes the wanted files into one folder, without the folders that they lie in.
func untar(archive, into string, zipped bool, wanted func(name string) bool) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	in := io.Reader(f)
	if zipped {
		if in, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	var there []string
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read %s: %w", filepath.Base(archive), err)
		}
		name := path.Base(h.Name)
		if h.Typeflag != tar.TypeReg || !wanted(h.Name) {
			continue
		}
		if slices.Contains(there, name) {
			return fmt.Errorf("%s holds %s twice", filepath.Base(archive), name)
		}
		there = append(there, name)
		if err := write(filepath.Join(into, name), r); err != nil {
			return err
		}
	}
	if len(there) == 0 {
		return fmt.Errorf("%s holds nothing of what is wanted", filepath.Base(archive))
	}
	return nil
}

func write(path string, from io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// unbrotli lets Node.js do it, which is there where npm is: Go's own library has no Brotli.
func unbrotli(ctx context.Context, from, to string) error {
	const script = `const fs = require("fs"); require("stream").pipeline(fs.createReadStream(process.argv[1]), ` +
		`require("zlib").createBrotliDecompress(), fs.createWriteStream(process.argv[2]), (e) => { if (e) throw e })`
	if out, err := exec.CommandContext(ctx, "node", "-e", script, from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("node could not decompress %s (%w)\n%s", filepath.Base(from), err, tail(out))
	}
	return nil
}

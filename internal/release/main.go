// Command release makes the files of a release, and is what maintainers sign and check it with (spec/release).
//
//	go run ./internal/release build [-version V] [-commit C] [-platforms linux/amd64,…] [-out dist]
//	go run ./internal/release keygen -name NAME -out FILE
//	go run ./internal/release sign -key FILE dist/V/release.note
//	go run ./internal/release verify [-maintainers MAINTAINERS] [-need 2] [-version V] dist/V/release.note [PROGRAM…]
//
// `make release` is the first. It signs nothing, and needs no key.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ostraka/ostraka/evidence/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: release build | keygen | sign | verify; -h behind one of them says more")

func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	f := flag.NewFlagSet("release "+args[0], flag.ContinueOnError)
	f.SetOutput(log)
	switch args[0] {
	case "build":
		return runBuild(ctx, f, args[1:], out, log)
	case "keygen":
		name := f.String("name", "", "the maintainer's name in MAINTAINERS: a–z, 0–9, \"-\", \"_\", \".\"")
		path := f.String("out", "", "file to write the private key to; it must not exist")
		if err := parse(f, args[1:], 0, 0); err != nil {
			return err
		}
		return keygen(*name, *path, out)
	case "sign":
		key := f.String("key", "", "file with the private key, as keygen wrote it")
		if err := parse(f, args[1:], 1, 1); err != nil {
			return err
		}
		return sign(*key, f.Arg(0), out)
	case "verify":
		c := check{out: out}
		f.StringVar(&c.maintainers, "maintainers", "MAINTAINERS", "file with the maintainers' keys, from a source that you trust")
		f.IntVar(&c.need, "need", release.Needed, "how many maintainers must have signed")
		f.StringVar(&c.version, "version", "", "the version that it must be (default: any)")
		if err := parse(f, args[1:], 1, -1); err != nil {
			return err
		}
		return c.verify(f.Arg(0), f.Args()[1:])
	}
	return errUsage
}

func runBuild(ctx context.Context, f *flag.FlagSet, args []string, out, log io.Writer) error {
	j := job{log: log, recipe: recipe{toolchain: toolchain}}
	f.StringVar(&j.version, "version", "", "version of the release (default: what git describe says)")
	f.StringVar(&j.commit, "commit", "", "commit of the source (default: git's; to be given where the source is no clone)")
	only := f.String("platforms", "", "GOOS/GOARCH to build for, with commas between (default: all)")
	f.StringVar(&j.out, "out", "dist", "folder to make the release's folder in")
	if err := parse(f, args, 0, 0); err != nil {
		return err
	}
	var err error
	if j.platforms, err = choose(*only); err != nil {
		return err
	}
	dir, r, err := j.build(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "release %s of commit %x lies in %s\n  next: a maintainer signs it with `go run ./internal/release sign -key FILE %s/%s`\n", r.Version, r.Commit, dir, dir, noteFile)
	_, err = out.Write(r.Sums())
	return err
}

// choose reads a list of platforms.
func choose(list string) ([]platform, error) {
	if list == "" {
		return platforms, nil
	}
	var all []platform
	for _, p := range platforms {
		if strings.Contains(","+list+",", ","+p.String()+",") {
			all = append(all, p)
		}
	}
	if n := strings.Count(list, ",") + 1; n != len(all) {
		return nil, fmt.Errorf("platforms %q: releases are for %v", list, platforms)
	}
	return all, nil
}

// parse reads flags, and wants so many arguments behind them; most of -1: any number.
func parse(f *flag.FlagSet, args []string, least, most int) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() < least || most >= 0 && f.NArg() > most {
		return fmt.Errorf("%d arguments were given: %w", f.NArg(), errUsage)
	}
	return nil
}

// Package components knows the real nodes that tests talk to, and the contracts that they deploy there: which versions are pinned,
// where they lie in the repository's cache, and what to do when one is missing.
// The command internal/components/fetch fills the cache.
package components

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// A Component is one pinned program.
type Component struct {
	Name    string
	Version string
	NPM     string            // npm package that carries it, empty if Go builds it
	Go      string            // Go package that builds it, empty if npm carries it
	Module  string            // folder of the module whose go.sum pins all that it is built from; empty: the checksum database vouches
	SHA256  map[string]string // of the program, by platform such as linux-amd64
	Packed  Packed            // what the npm package carries, if it is compressed
	Built   Built             // contracts that the npm package carries compiled, in place of a program
	Addon   Addon             // what Node.js loads: the npm package of each platform carries it alone
	Source  Source            // that the program is built from, if this repository carries it
	Debian  Debian            // packages of Debian's archive that carry it
}

// Packed is a program inside an npm package, compressed with Brotli. The package is for the platforms of SHA256 alone.
type Packed struct {
	Integrity string // of the package, as npm writes it
	Program   string // its path in the package
	Libraries string // a tar of the libraries that it links
}

// Built are contracts for the EVM, as JSON files of what a compiler wrote: tests deploy them.
type Built struct {
	Integrity string   // of the package, as npm writes it: it pins every contract
	Files     []string // their paths in the package, each with a name of its own
}

// Addon is a library that Node.js loads, in npm packages of their own for each platform. What else they are part of is not fetched.
type Addon struct {
	Platforms map[string]string // what ends the names of the package and of its one file, by platform
	Integrity map[string]string // of the package, as npm writes it, by platform; where there is none npm compares it with the registry's alone
}

// Debian is a program in Debian's archive, with what it links, for the platforms of SHA256 alone. apt checks each package; the program is pinned besides.
type Debian struct {
	Suites    []string
	Package   string
	Version   string   // of the package
	Libraries []string // packages of what it links, in whichever version the suites have
}

// Source is the source of a program, packed into this repository by internal/components/pack.
type Source struct {
	Archive string // its place below the root: a tar, compressed with gzip
	SHA256  string // of the tar
	Package string // of the program
}

// Previous is this program as the release before had it: what wire version N−1 is tested with. The version is its commit. As yet
// nothing was released: it is the last commit before nodes cosigned logs and sent heartbeats.
var Previous = Component{
	Name: "previous", Version: "b408c460a94caa86ac830f00835b1fdfb0971dc0",
	Source: Source{Archive: "internal/components/previous.tar.gz", SHA256: "ee1f68ad4790c8354e0020ed432f48debe225d8bb2a225a3c23911e605d083dc", Package: "./cmd/ostraka"},
}

// Anvil is an Ethereum development node.
var Anvil = Component{
	Name: "anvil", Version: "1.7.1", NPM: "@foundry-rs/anvil",
	SHA256: map[string]string{
		"linux-amd64": "10c1c727d6c1de973aeb160e59875b9a9a23464d6e74149ee8abb30b3500311b",
	},
}

// Safe is the account of several owners that most treasuries hold, with its factory: what signs for one is accepted by the contract itself.
var Safe = Component{
	Name: "safe", Version: "1.5.0", NPM: "@safe-global/safe-smart-account",
	Built: Built{
		Integrity: "sha512-VIMWxoeY/kNuZVsQVvAeOFKcQS3eojCXg0ecGnesBSLn5ypYshmBhVEEU5XiurJJGTs/MrcoLTbTxhs9W9GvdQ==",
		Files: []string{
			"build/artifacts/contracts/Safe.sol/Safe.json", "build/artifacts/contracts/proxies/SafeProxyFactory.sol/SafeProxyFactory.json",
			"build/artifacts/contracts/libraries/SignMessageLib.sol/SignMessageLib.json",
		},
	},
}

// Zodiac has Delay, the module of a Safe through which others act after a delay, and the factory of its proxies: the ABI of each, and the init code with
// which each was put on the public chains.
var Zodiac = Component{
	Name: "zodiac", Version: "4.0.3", NPM: "@gnosis.pm/zodiac",
	Built: Built{
		Integrity: "sha512-yliHytBRlb4wNkeiYsaaAvYZC5VwiUBVfJ+HLEmjnWPG2EHB5tvAOUboDU7XvSQ4GUJAz8h2YUrph0XkH+/xfA==",
		Files: []string{
			"dist/cjs/abi/Delay.json", "dist/cjs/initData/Delay.js", "dist/cjs/abi/ModuleProxyFactory.json", "dist/cjs/initData/ModuleProxyFactory.js",
		},
	},
}

// PermitToken is an ERC-20 that takes permits (ERC-2612), in the package of an exchange whose shares it is.
var PermitToken = Component{
	Name: "permittoken", Version: "1.0.1", NPM: "@uniswap/v2-core",
	Built: Built{Integrity: "sha512-MtybtkUPSyysqLY2U210NBDeCHX+ltHt3oADGdjqoThZaFRDKwM6k1Nb3F0A3hk5hwuQvytFWhrWHOEq6nVJ8Q==", Files: []string{"build/ERC20.json"}},
}

// Chromium is the browser without a window, for the pages on which passkeys sign.
var Chromium = Component{
	Name: "chromium", Version: "153.0.0", NPM: "@sparticuz/chromium",
	SHA256: map[string]string{
		"linux-amd64": "53a15d6c3a3d27dfb54c4ba60278b1683136f70cf1e67e989da7dfbd3d451ef0",
	},
	Packed: Packed{
		Integrity: "sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
		Program:   "bin/chromium.br", Libraries: "bin/al2023.tar.br",
	},
}

// Geth is go-ethereum, in the two versions whose --dev chains stand for the rules of today
// and of the coming fork: with both, a gas number that is hard-coded shows.
var Geth = []Component{
	{Name: "geth", Version: "1.17.0", Go: "github.com/ethereum/go-ethereum/cmd/geth"},
	{Name: "geth", Version: "1.17.8", Go: "github.com/ethereum/go-ethereum/cmd/geth"},
}

// Litewitness is a witness of logs (C2SP tlog-witness), Witnesslogs what tells it which logs to cosign.
var (
	Litewitness = Component{Name: "litewitness", Version: "0.9.0", Go: "filippo.io/torchwood/cmd/litewitness", Module: "internal/components/litewitness/pinned"}
	Witnesslogs = Component{Name: "witnesslogs", Version: "0.9.0", Go: "github.com/ostraka/ostraka/internal/components/litewitness/pinned/witnesslogs", Module: "internal/components/litewitness/pinned"}
)

// Btcd is a full node of Bitcoin, with a regtest chain of its own.
var Btcd = Component{Name: "btcd", Version: "0.26.2", Go: "github.com/btcsuite/btcd", Module: "internal/components/btcd/pinned"}

// Bitcoind is Bitcoin Knots, a fork of Bitcoin Core with the same interface: nightly tests run on it, too. No release of Debian before 13 has it: it runs
// with that release's own libraries and loader.
var Bitcoind = Component{
	Name: "bitcoind", Version: "29.5.knots20260508",
	SHA256: map[string]string{"linux-amd64": "1f24af676a8a8b4368c84113fc62bf6c3bae8dc76faa04d9ad11e7c8d16e2777"},
	Debian: Debian{
		Suites: []string{"trixie", "trixie-backports"}, Package: "bitcoin-knots", Version: "29.5.knots20260508-1~bpo13+1",
		Libraries: []string{
			"libbsd0", "libc6", "libcom-err2", "libevent-core-2.1-7t64", "libevent-extra-2.1-7t64", "libevent-pthreads-2.1-7t64", "libgcc-s1", "libgssapi-krb5-2", "libk5crypto3",
			"libkeyutils1", "libkrb5-3", "libkrb5support0", "libmd0", "libnorm1t64", "libpgm-5.3-0t64", "libsodium23", "libsqlite3-0", "libstdc++6", "libzmq5",
		},
	},
}

// Litesvm is Solana's runtime, as a library for Node.js.
var Litesvm = Component{
	Name: "litesvm", Version: "1.5.0", NPM: "litesvm",
	SHA256: map[string]string{
		"linux-amd64": "07bb8b00455f038fab1a16113bc215cb5d3b72ac1ecb52f6220ff98b0d9ecec7",
	},
	Addon: Addon{
		Platforms: map[string]string{"linux-amd64": "linux-x64-gnu", "linux-arm64": "linux-arm64-gnu"},
		Integrity: map[string]string{
			"linux-amd64": "sha512-yYdptWY5DRxTnLZAC+wsQ7NW8VIYUermdIyNzg8TFd93Btw/21V+sNW7VY/O0GxzmVkf1JzVtET/d5KU4zr6yA==",
		},
	},
}

// TransitEngine serves the transit engine of Vault 1.14.8, which is MPL-2.0, to nightly tests of that key provider.
var TransitEngine = Component{
	Name: "transitengine", Version: "1.14.8", Go: "github.com/ostraka/ostraka/internal/components/transitengine/pinned", Module: "internal/components/transitengine/pinned",
}

// Platform is the running machine's, as npm packages name it.
func Platform() string { return runtime.GOOS + "-" + runtime.GOARCH }

// Dir returns where the component lies under the repository's root.
func (c Component) Dir(root string) string {
	return filepath.Join(root, ".cache", c.Name+"-"+c.Version)
}

// Binary returns the program's path under the repository's root.
func (c Component) Binary(root string) string {
	return filepath.Join(c.Dir(root), "bin", c.Name)
}

// Files are the paths under the repository's root of what is fetched: the program, or the contracts.
func (c Component) Files(root string) []string {
	if len(c.Built.Files) == 0 {
		return []string{c.Binary(root)}
	}
	out := make([]string, len(c.Built.Files))
	for i, f := range c.Built.Files {
		out[i] = filepath.Join(c.Dir(root), "contracts", path.Base(f))
	}
	return out
}

// Complete says whether all that is fetched is in the cache.
func (c Component) Complete(root string) bool {
	for _, f := range c.Files(root) {
		if _, err := os.Stat(f); err != nil {
			return false
		}
	}
	return true
}

// Contract returns the path of the JSON file of a contract, or an error that says how to get it.
func (c Component) Contract(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	for _, f := range c.Files(root) {
		if filepath.Base(f) != name+".json" {
			continue
		}
		if _, err := os.Stat(f); err != nil {
			return "", fmt.Errorf("contract %s of %s %s is not at %s: run make test, or make deps, which fetches it", name, c.Name, c.Version, f)
		}
		return f, nil
	}
	return "", fmt.Errorf("%s %s has no contract %s: add its path to Files in internal/components", c.Name, c.Version, name)
}

// DebianMachine is how Debian names the running machine's libraries.
func DebianMachine() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// Libraries is the folder of the libraries that a packed program links, for LD_LIBRARY_PATH; of one of Debian's also their loader.
func (c Component) Libraries(program string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(program)), "lib")
}

// Carried says whether there is something to fetch for this platform. A packed program that is for other platforms is taken from
// PATH; a library for Node.js that is for other platforms is nowhere.
func (c Component) Carried() bool {
	if c.Addon.Platforms != nil {
		_, ok := c.Addon.Platforms[Platform()]
		return ok
	}
	_, ok := c.SHA256[Platform()]
	return ok || c.Packed.Program == "" && c.Debian.Package == ""
}

// Find returns the program's path, or an error that says how to get it.
func (c Component) Find() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	program := c.Binary(root)
	if !c.Carried() && c.Addon.Platforms != nil {
		return "", fmt.Errorf("npm's %s carries nothing for %s: run the tests that need it on Linux, amd64 or arm64", c.NPM, Platform())
	}
	if !c.Carried() && c.Debian.Package != "" {
		return "", fmt.Errorf("%s %s is pinned for linux-amd64 alone: run the tests that need it there", c.Name, c.Version)
	}
	if !c.Carried() {
		if program, err = exec.LookPath(c.Name); err != nil {
			return "", fmt.Errorf("%s is not installed, and npm's %s carries none for %s: run apt-get install -y %s", c.Name, c.NPM, Platform(), c.Name)
		}
		return program, nil
	}
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("%s %s is not at %s: run make test, or make deps, which fetches it", c.Name, c.Version, program)
	}
	return program, nil
}

// Root returns the repository's root: the nearest folder at or above the current one whose
// go.mod is this module's.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository's root: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/ostraka/ostraka\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the repository's root: no go.mod of this module at or above the current folder")
		}
	}
}

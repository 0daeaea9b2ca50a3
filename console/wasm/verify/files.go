//go:build js && wasm

package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall/js"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// files are those of a bundle. Since each is asked for in its turn, the next ones are fetched while one is being read: else a far server
// would be waited for at every tile.
type files struct {
	base   string
	sizes  map[string]int64 // of logs, as their checkpoints say: only a hint of what comes next
	flying map[string]chan answer
}

type answer struct {
	content []byte
	err     error
}

func newFiles(base string) *files {
	return &files{base, map[string]int64{}, map[string]chan answer{}}
}

// ahead is how many bundles of leaves are fetched before they are asked for, each with its bodies.
const ahead = 3

// get gives a file of the bundle. It waits without holding up the worker.
func (f *files) get(path string) ([]byte, error) {
	c, ok := f.flying[path]
	if !ok {
		c = f.fetch(path)
	}
	delete(f.flying, path)
	f.prefetch(path)
	a := <-c
	return a.content, a.err
}

func (f *files) prefetch(path string) {
	for log, size := range f.sizes {
		below, ok := strings.CutPrefix(path, log+"/")
		if !ok {
			continue
		}
		tile, err := tlog.ParsePath(below)
		if err != nil || tile.Level != tlog.Entries {
			continue
		}
		for i := tile.Index; i <= tile.Index+ahead && i*256 < size; i++ {
			next := tlog.Tile{Level: tlog.Entries, Index: i, Width: int(min(size-i*256, 256))}
			for _, p := range []string{log + "/" + next.Path(), log + "/" + next.BodyPath()} {
				if _, flies := f.flying[p]; !flies && p != path {
					f.flying[p] = f.fetch(p)
				}
			}
		}
	}
}

// most is how large a file may be, by its name.
func most(path string) int {
	switch {
	case path == verify.PathBundle:
		return verify.MaxBundleFile
	case path == verify.PathReport:
		return maxReport
	case strings.Contains(path, "/tile/entries/"):
		return tlog.MaxBundle
	case strings.Contains(path, "/tile/"):
		return tlog.MaxTile
	case strings.Contains(path, "/body/"):
		return tlog.MaxBodies
	}
	return tlog.MaxSeen*tlog.MaxNote + 1<<10
}

const maxReport = 64 << 20

var errCutOff = errors.New("the connection broke; load the page again")

// fetch begins to load a file. The worker's own function bounds it, and calls back with status and bytes.
func (f *files) fetch(path string) chan answer {
	done := make(chan answer, 1)
	limit := most(path)
	var back js.Func
	back = js.FuncOf(func(_ js.Value, args []js.Value) any {
		defer back.Release()
		status, bytes := args[0].Int(), args[1]
		a := answer{}
		switch {
		case status == 404 || status == 410:
			a.err = fmt.Errorf("%s: %w", path, verify.ErrNotThere)
		case status == -1:
			a.err = fmt.Errorf("%s: it has more than %d bytes", path, limit)
		case status == 0:
			a.err = fmt.Errorf("%s: %w", path, errCutOff)
		case status != 200:
			a.err = fmt.Errorf("%s: the server answers %d", path, status)
		default:
			a.content = make([]byte, bytes.Get("byteLength").Int())
			js.CopyBytesToGo(a.content, bytes)
		}
		done <- a
		return nil
	})
	js.Global().Call("load", f.base+path, limit, back)
	return done
}

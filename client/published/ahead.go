package published

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Of how many bundles, with hash tile and bodies, more is fetched while one is read, and how long bodies are kept.
const (
	lookahead  = 4
	keepBodies = 24 * time.Hour
)

// ahead fetches the files of the next bundles while the reader works on one. They are asked for in order, and each once.
func ahead(ctx context.Context, fetch tlog.Fetch) tlog.Fetch {
	type answer struct {
		done chan struct{}
		b    []byte
		err  error
	}
	var mu sync.Mutex
	waiting := map[string]*answer{}
	begin := func(path string) *answer {
		mu.Lock()
		defer mu.Unlock()
		a := waiting[path]
		if a == nil {
			a = &answer{done: make(chan struct{})}
			waiting[path] = a
			go func() {
				defer close(a.done)
				if a.err = ctx.Err(); a.err == nil {
					a.b, a.err = fetch(path)
				}
			}()
		}
		return a
	}
	return func(path string) ([]byte, error) {
		if t, err := tlog.ParsePath(path); err == nil && t.Level == tlog.Entries && t.Width == fullWidth {
			for n := t.Index + 1; n <= t.Index+lookahead; n++ {
				next := tlog.Tile{Level: tlog.Entries, Index: n, Width: fullWidth}
				begin(next.Path())
				begin(tlog.Tile{Level: 0, Index: n, Width: fullWidth}.Path())
				if n == t.Index+1 { // they may be large
					begin(next.BodyPath())
				}
			}
		}
		a := begin(path)
		<-a.done
		mu.Lock()
		delete(waiting, path)
		mu.Unlock()
		return a.b, a.err
	}
}

const fullWidth = 256

// full says whether a file of a log never changes, and whether it is one of bodies: those change when a charter has more or less shown.
func full(path string) (keep, bodies bool) {
	if t, err := tlog.ParseBodyPath(path); err == nil {
		return t.Width == fullWidth, true
	}
	t, err := tlog.ParsePath(path)
	return err == nil && t.Width == fullWidth, false
}

// cached keeps what never changes in a folder below dir, named by the log's keys. What is read from there is held to the log's checkpoint like what is
// fetched: one that was damaged fails, and goes.
func cached(dir string, keys []byte, fetch tlog.Fetch) (tlog.Fetch, error) {
	sum := sha256.Sum256(keys)
	folder := filepath.Join(dir, hex.EncodeToString(sum[:16]))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	return func(path string) ([]byte, error) {
		keep, bodies := full(path)
		if !keep {
			return fetch(path)
		}
		file := filepath.Join(folder, strings.ReplaceAll(path, "/", "_"))
		info, err := os.Stat(file)
		if err == nil && info.Size() <= limit(path) && (!bodies || time.Since(info.ModTime()) < keepBodies) {
			if b, err := os.ReadFile(file); err == nil {
				return b, nil
			}
		}
		b, err := fetch(path)
		if err != nil {
			if bodies {
				_ = os.Remove(file) // withheld from now on
			}
			return nil, err
		}
		_ = client.WritePrivate(file, b) // what cannot be kept is fetched again
		return b, nil
	}, nil
}

// Forget empties a cache: what was read from it did not hold.
func Forget(dir string) error { return os.RemoveAll(dir) }

package published

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
)

const (
	fullWidth  = 256
	atOnce     = 4              // files of one log that are fetched at the same time
	keepBodies = 24 * time.Hour // in a cache
)

// A spool brings a log's files into a folder, in the order in which they will be read, while its reader still reads other logs. So slow servers
// are waited for at the same time, and what is fetched ahead costs disk, not memory.
type spool struct {
	meter *meter
	get   func(path string, to io.Writer) error
	keep  string // folder for files that never change; empty: none
	temp  string // folder for the others

	mu    sync.Mutex
	files map[string]*spooled
	all   sync.WaitGroup
}

type spooled struct {
	done chan struct{}
	file string
	err  error
}

// newSpool makes its temporary folder, which close removes, beside what it keeps.
func newSpool(m *meter, keep string, get func(string, io.Writer) error) (*spool, error) {
	s := &spool{meter: m, get: get, keep: keep, files: map[string]*spooled{}}
	var err error
	within := ""
	if keep != "" {
		within = filepath.Dir(keep)
		if err := os.MkdirAll(keep, 0o700); err != nil {
			return nil, err
		}
		now := time.Now()
		if err := os.Chtimes(keep, now, now); err != nil { // Prune takes what was used last last
			return nil, err
		}
	}
	s.temp, err = os.MkdirTemp(within, partly+"*")
	return s, err
}

// partly begins the names of temporary folders.
const partly = ".ostraka-"

// close waits until nothing is fetched any more: the meter's context has ended.
func (s *spool) close() {
	s.all.Wait()
	_ = os.RemoveAll(s.temp)
}

// ahead fetches the whole log.
func (s *spool) ahead() {
	s.all.Go(func() {
		signed, err := s.fetch(tlog.PathCheckpoint)
		if err != nil {
			return // the reader is told
		}
		head, ok := shown(signed)
		if !ok {
			return
		}
		paths := make(chan string)
		for range atOnce {
			s.all.Go(func() {
				for p := range paths {
					<-s.begin(p).done
				}
			})
		}
		defer close(paths)
		for p := range order(head.Size) {
			select {
			case paths <- p:
			case <-s.meter.ctx.Done():
				return
			}
			if s.meter.err() != nil {
				return
			}
		}
	})
}

// order is in which order a log's files are read (tlog.ReadLeaves).
func order(size int64) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, p := range []string{tlog.PathKeys, tlog.PathSeen, tlog.PathWitnesses} {
			if !yield(p) {
				return
			}
		}
		for n := int64(0); n*fullWidth < size; n++ {
			width := int(min(size-n*fullWidth, fullWidth))
			entries, hashes := tlog.Tile{Level: tlog.Entries, Index: n, Width: width}, tlog.Tile{Level: 0, Index: n, Width: width}
			if !yield(entries.Path()) || !yield(hashes.Path()) || !yield(entries.BodyPath()) {
				return
			}
		}
		for t := range tlog.Tiles(0, size) {
			if t.Level > 0 && !yield(t.Path()) {
				return
			}
		}
	}
}

// begin has a file fetched, once.
func (s *spool) begin(path string) *spooled {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[path]
	if f == nil {
		f = &spooled{done: make(chan struct{})}
		s.files[path] = f
		s.all.Go(func() {
			defer close(f.done)
			f.file, f.err = s.bring(path)
		})
	}
	return f
}

// fetch reads a file, once it is there.
func (s *spool) fetch(path string) ([]byte, error) {
	f := s.begin(path)
	<-f.done
	if f.err != nil {
		return nil, f.err
	}
	b, err := os.ReadFile(f.file)
	if err == nil && path == tlog.PathCheckpoint {
		err = s.meter.checkpoint(b)
	}
	return b, err
}

// bring puts a file into a folder, unless it lies there. What is read from a cache is held to the log's checkpoint like what is fetched: one that was
// damaged fails, and goes.
func (s *spool) bring(path string) (file string, err error) {
	if err := s.meter.err(); err != nil {
		return "", err
	}
	name := strings.ReplaceAll(path, "/", "_")
	temp := filepath.Join(s.temp, name)
	keep, bodies := full(path)
	if keep = keep && s.keep != ""; keep {
		file = filepath.Join(s.keep, name)
		info, err := os.Stat(file)
		if err == nil && info.Size() <= limit(path) && (!bodies || time.Since(info.ModTime()) < keepBodies) {
			return file, s.meter.add(info.Size())
		}
	}
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	err = errors.Join(s.get(path, f), f.Close())
	switch {
	case err != nil:
		if keep && bodies {
			_ = os.Remove(file) // withheld from now on
		}
		_ = os.Remove(temp)
		return "", err
	case keep && os.Rename(temp, file) == nil:
		return file, nil
	}
	return temp, nil // what cannot be kept is fetched again
}

// full says whether a file of a log never changes, and whether it is one of bodies: those change when a charter has more or less shown.
func full(path string) (keep, bodies bool) {
	if t, err := tlog.ParseBodyPath(path); err == nil {
		return t.Width == fullWidth, true
	}
	t, err := tlog.ParsePath(path)
	return err == nil && t.Width == fullWidth, false
}

// fetchTo reads a whole file into memory.
func fetchTo(get func(string, io.Writer) error) tlog.Fetch {
	return func(path string) ([]byte, error) {
		var b bytes.Buffer
		if err := get(path, &b); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	}
}

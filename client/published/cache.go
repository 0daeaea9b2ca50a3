package published

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A cache is a folder with one folder for each log, named by the log's keys, of files that never change.
func cacheOf(dir string, keys []byte) string {
	sum := sha256.Sum256(keys)
	return filepath.Join(dir, hex.EncodeToString(sum[:16]))
}

// MaxCache is how much Prune leaves, in bytes.
const MaxCache = 4 << 30

// Prune makes a cache as small as it may be: the logs that were read longest ago go first. An operator who shows another log each time fills no disk.
func Prune(dir string, most int64) error {
	type log struct {
		path  string
		bytes int64
		used  time.Time
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var logs []log
	for _, e := range entries {
		l := log{path: filepath.Join(dir, e.Name())}
		if strings.HasPrefix(e.Name(), partly) { // of a program that was stopped
			err = errors.Join(err, os.RemoveAll(l.path))
			continue
		}
		if info, err := e.Info(); err == nil {
			l.used = info.ModTime()
		}
		files, _ := os.ReadDir(l.path)
		for _, f := range files {
			if info, err := f.Info(); err == nil {
				l.bytes += info.Size()
			}
		}
		logs = append(logs, l)
	}
	slices.SortFunc(logs, func(a, b log) int { return cmp.Or(b.used.Compare(a.used), strings.Compare(a.path, b.path)) })
	for _, l := range logs {
		if most -= l.bytes; most < 0 {
			err = errors.Join(err, os.RemoveAll(l.path))
		}
	}
	return err
}

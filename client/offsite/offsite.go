package offsite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ostraka/ostraka/internal/failpoint"
)

// Suffixes of the files that backups are.
const (
	SuffixExport  = ".ostraka-export"
	SuffixReceipt = ".ostraka-receipt"

	mostListed = 10_000
)

// A Place is a folder or a bucket.
type Place interface {
	// Spool makes an empty file to write to, which Put takes.
	Spool() (*os.File, error)
	// Put gives a spooled file its name, and says where it lies. The spool is gone when it returns.
	Put(ctx context.Context, spool *os.File, name string) (where string, err error)
	// Open reads what Put said.
	Open(ctx context.Context, where string) (io.ReadCloser, error)
	// List finds the backups there.
	List(ctx context.Context) (where []string, err error)
}

// At reads DIR or s3://bucket/prefix. Retain is how long a bucket is to refuse the object's deletion; zero: it is not asked to.
func At(to string, retain time.Duration) (Place, error) {
	if rest, ok := strings.CutPrefix(to, "s3://"); ok {
		return newBucket(rest, retain)
	}
	if strings.Contains(to, "://") {
		return nil, fmt.Errorf("%q is no folder and no s3://bucket/prefix", to)
	}
	if retain != 0 {
		return nil, errors.New("only a bucket retains what lies there")
	}
	info, err := os.Stat(to)
	if err != nil {
		return nil, fmt.Errorf("look at the folder for backups: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", to)
	}
	return folder(to), nil
}

func ours(name string) bool {
	return strings.HasSuffix(name, SuffixExport) || strings.HasSuffix(name, SuffixReceipt)
}

type folder string

// Spool implements Place. It lies in the folder itself, so that a name can be given to it in one step.
func (f folder) Spool() (*os.File, error) { return os.CreateTemp(string(f), ".partial-*") }

func (f folder) Put(_ context.Context, spool *os.File, name string) (string, error) {
	path := filepath.Join(string(f), name)
	err := spool.Sync()
	failpoint.Hit("offsite-written")
	if err == nil {
		err = os.Link(spool.Name(), path) // fails where something has the name, which a rename would replace
	}
	failpoint.Hit("offsite-named")
	err = errors.Join(err, spool.Close(), os.Remove(spool.Name()))
	if err != nil {
		return "", fmt.Errorf("put %s: %w", path, err)
	}
	dir, err := os.Open(string(f))
	if err != nil {
		return "", fmt.Errorf("put %s: %w", path, err)
	}
	return path, errors.Join(dir.Sync(), dir.Close())
}

func (f folder) Open(_ context.Context, where string) (io.ReadCloser, error) { return os.Open(where) }

func (f folder) List(context.Context) (out []string, err error) {
	err = filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && ours(d.Name()) {
			out = append(out, path)
		}
		if len(out) > mostListed {
			return fmt.Errorf("%s holds more than %d backups: name a folder with fewer", f, mostListed)
		}
		return err
	})
	return out, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// errUnreadable says that nothing at all could be read.
var errUnreadable = errors.New("nothing could be read")

// peopleNext says which address of a node is meant.
const peopleNext = "check the addresses: a node's is https://HOST:PORT, of its people's port, 7701 unless it was changed"

// folders looks whether what is named and is no address is there. A folder that holds exported logs, each in a folder of its own, stands for those.
func folders(places []string) (out []string, err error) {
	for _, where := range places {
		if strings.Contains(where, "://") {
			out = append(out, where)
			continue
		}
		_, err := os.Stat(where)
		if host, port, split := net.SplitHostPort(where); errors.Is(err, os.ErrNotExist) && split == nil && host != "" && port != "" {
			return nil, usage("%s: there is no such folder; a node is written https://%s", where, where)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, usage("%s: there is no such folder; an address begins with https://", where)
		}
		out = append(out, logsBelow(where)...)
	}
	return out, nil
}

// logsBelow are the folders of logs in one that is neither a log's, nor a node's, nor a bundle's; else it is the folder itself.
func logsBelow(dir string) []string {
	there := func(parts ...string) bool {
		_, err := os.Stat(filepath.Join(append([]string{dir}, parts...)...))
		return err == nil
	}
	if there(verify.PathBundle) || there(tlog.PathKeys) || there("log", tlog.PathKeys) {
		return []string{dir}
	}
	entries, _ := os.ReadDir(dir)
	var all []string
	for _, e := range entries {
		if e.IsDir() && there(e.Name(), tlog.PathKeys) && there(e.Name(), tlog.PathCheckpoint) {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	if len(all) == 0 {
		return []string{dir}
	}
	slices.Sort(all)
	return all
}

// open finds what lies at a place. Its error names the place once, and says what a wrong address is mistaken in.
func open(ctx context.Context, where string, o published.Options) (published.Place, error) {
	p, err := published.Open(ctx, where, o)
	if err == nil {
		return p, nil
	}
	text := err.Error()
	rest, cleartext := strings.CutPrefix(where, "http://")
	switch {
	case strings.Contains(text, client.CertificateWanted):
		return p, errors.New(client.LinkPort)
	case cleartext && strings.Contains(text, "the server answers 400"):
		return p, fmt.Errorf("a node speaks https: https://%s", rest)
	}
	if short, ok := strings.CutPrefix(text, strings.TrimSuffix(where, "/")+": "); ok {
		return p, &placeError{short, err}
	}
	return p, err
}

// A placeError says what is wrong at a place without naming it.
type placeError struct {
	text string
	err  error
}

func (e *placeError) Error() string { return e.text }
func (e *placeError) Unwrap() error { return e.err }

// unreadable joins why places could not be read, each named once.
func unreadable(places []string, why []error) error {
	var all []error
	for i, where := range places {
		if why[i] != nil {
			all = append(all, fmt.Errorf("%s: %w", where, why[i]))
		}
	}
	return fmt.Errorf("%w: %w", errUnreadable, errors.Join(all...))
}

// afterSilence says what to do when nothing could be read.
func afterSilence(err error) error {
	if published.Late(err) || errors.Is(err, context.DeadlineExceeded) {
		return fail(codeError, err, "give it more time with --timeout and --max-time, or check with a browser whether the addresses answer")
	}
	return fail(codeError, err, peopleNext)
}

// counted is a number with its noun; plural is the noun alone.
func counted(n int, one, many string) string { return fmt.Sprintf("%d %s", n, plural(n, one, many)) }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// newOrOwn wants a folder to write to not to be there, to be empty, to hold a file that says what it is, or nothing but what may be there.
func newOrOwn(dir, what string, may func(name string) bool, marks ...string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fail(codeError, err, "name a folder that you may write")
	case !info.IsDir():
		return usage("%s is a file: name a folder", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fail(codeError, err, "name a folder that you may write")
	}
	for _, mark := range marks {
		if _, err := os.Stat(filepath.Join(dir, mark)); err == nil {
			return nil
		}
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !may(e.Name()) }) {
		return fail(codeError, fmt.Errorf("%s is not empty and holds no %s", dir, what), "name a new folder")
	}
	return nil
}

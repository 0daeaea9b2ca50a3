package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/guard"
)

// A Diary is what a guardian's program remembers beside a key file (spec/guardian 4.4): when it had each request first, and what it answered. It holds no secret. Who
// deletes it begins their own delays anew; what was answered would then be answered otherwise, and both answers be void.
type Diary struct{ folder string }

// DiaryOf is the one beside a key file.
func DiaryOf(keyFile string) Diary { return Diary{keyFile + ".sos"} }

const (
	suffixSeen   = ".seen"
	suffixAnswer = ".answer"
)

func (d Diary) path(id statement.ID, suffix string) string {
	return filepath.Join(d.folder, id.String()+suffix)
}

// write makes an entry durable; one that stands already is fs.ErrExist.
func (d Diary) write(id statement.ID, suffix string, raw []byte) error {
	if err := os.Mkdir(d.folder, 0o700); err == nil {
		if err := syncFolder(filepath.Dir(d.folder)); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return CreatePrivate(d.path(id, suffix), raw)
}

func (d Diary) read(id statement.ID, suffix string, most int64) ([]byte, error) {
	raw, err := readBounded(d.path(id, suffix), most)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// FirstSeen is when a request was seen first: now, if the diary does not say. It is durable when it returns.
func (d Diary) FirstSeen(request statement.ID, now time.Time) (time.Time, error) {
	now = now.UTC().Truncate(time.Second)
	err := d.write(request, suffixSeen, []byte(statement.FormatTime(now)+"\n"))
	if err == nil {
		return now, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return now, fmt.Errorf("note when the request was seen first: %w", err)
	}
	raw, err := d.read(request, suffixSeen, 64)
	if err != nil {
		return now, fmt.Errorf("read when the request was seen first: %w", err)
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSuffix(string(raw), "\n"))
	if err != nil {
		return now, fmt.Errorf("read when the request was seen first: %s: %w", d.path(request, suffixSeen), err)
	}
	return at, nil
}

// Answered is what was answered to an activation; nil: nothing.
func (d Diary) Answered(activation statement.ID) ([]byte, error) {
	raw, err := d.read(activation, suffixAnswer, guard.MaxContribution)
	if err != nil {
		return nil, fmt.Errorf("read what was answered: %w", err)
	}
	return raw, nil
}

// ErrAnswered says that an activation was answered otherwise before: two different answers of one guardian are both void.
var ErrAnswered = errors.New("this activation was answered before, with another contribution")

// Answer keeps an answer before anybody is shown it.
func (d Diary) Answer(activation statement.ID, contribution []byte) error {
	err := d.write(activation, suffixAnswer, contribution)
	if errors.Is(err, fs.ErrExist) {
		before, err := d.Answered(activation)
		if err == nil && !bytes.Equal(before, contribution) {
			err = fmt.Errorf("activation %s: %w", activation.Short(), ErrAnswered)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("keep the answer: %w", err)
	}
	return nil
}

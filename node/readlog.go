package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/witness"
)

// Stopped says that a folder holds a node, and that none runs in it.
func Stopped(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, settingsName)); err != nil {
		return false
	}
	c, err := net.Dial("unix", filepath.Join(dir, SocketName))
	if err == nil {
		c.Close()
	}
	return err != nil
}

// Ended says whether no process uses the folder any more: a node that stops closes its socket first, and its store last.
func Ended(dir string) bool { return Stopped(dir) && !bolt.InUse(filepath.Join(dir, storeName)) }

// A LogReport is what ReadLog found.
type LogReport struct {
	Head       tlog.Head
	Checkpoint tlog.Head // of the latest; of size 0: there is none
}

// ReadLog reads the whole log of a node that does not run, without a passphrase: leaves are not sealed. It changes nothing, and looks at no tag: the tree holds the leaves together. Damage is a
// *journal.DamageError, or one of the store's.
func ReadLog(ctx context.Context, dir string, progress func(read, size int64)) (r LogReport, err error) {
	s, err := ReadSettings(dir)
	if err != nil {
		return r, err
	}
	st, err := readStore(ctx, dir, s)
	if err != nil {
		return r, err
	}
	defer st.Close()
	rows, err := withoutTags(ctx, dir, st)
	if err != nil {
		return r, err
	}
	j, err := journal.Open(ctx, rows)
	if err != nil {
		return r, err
	}
	for more := true; more; {
		if more, err = j.ReadOn(ctx, readRows); err != nil {
			return r, err
		}
		if now := j.Reading(); now.Size > 0 {
			progress(now.Read, now.Size)
		}
	}
	r.Head = j.Reading().Whole
	r.Checkpoint, err = checkpointOf(ctx, j, s.Operator)
	return r, err
}

// checkpointOf finds the latest checkpoint of a log, and holds the log to it.
func checkpointOf(ctx context.Context, j *journal.Journal, operator string) (tlog.Head, error) {
	signed, err := witness.Latest(ctx, j.Store())
	if err != nil || signed == nil {
		return tlog.Head{}, err
	}
	p, err := pulse.Open(ctx, pulse.Config{Journal: j})
	if err != nil {
		return tlog.Head{}, err
	}
	k, ok := p.Keys(operator)
	if !ok || k.Origin != (tlog.Request{Checkpoint: signed}).Origin() {
		return tlog.Head{}, nil // of the log that was kept here before the store was set back
	}
	v, err := tlog.NewLogVerifier(k.Origin, k.Log)
	if err != nil {
		return tlog.Head{}, err
	}
	c, _, err := tlog.OpenCheckpoint(signed, v, nil)
	if err != nil {
		return tlog.Head{}, &journal.DamageError{Err: fmt.Errorf("the latest checkpoint: %w", err)}
	}
	if c.Head.Size > j.Reading().Whole.Size {
		return c.Head, &journal.DamageError{Err: fmt.Errorf("the log has %d entries, and had %d at its latest checkpoint", j.Reading().Whole.Size, c.Head.Size)}
	}
	then, err := j.HeadAt(ctx, c.Head.Size)
	if err == nil && then != c.Head {
		err = &journal.DamageError{Err: errors.New("the log did not grow from its latest checkpoint")}
	}
	return c.Head, err
}

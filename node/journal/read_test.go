package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// readOn reads to the end, by steps, and counts them.
func readOn(t *testing.T, j *journal.Journal, rows int64) (steps int, err error) {
	t.Helper()
	for more := true; more; steps++ {
		if steps > 1000 {
			t.Fatal("a reading comes to no end")
		}
		if more, err = j.ReadOn(ctx, rows); err != nil {
			return steps + 1, err
		}
	}
	return steps, nil
}

// A log counts as sound once it was read through, and no more when a reading found damage: then nothing is written until a reading finds it
// mended.
func TestReading(t *testing.T) {
	d := memory.NewDisk()
	j := open(t, d)
	for i := range 20 {
		if err := j.Write(ctx, put(fmt.Sprint(i), leaf(i))); err != nil {
			t.Fatal(err)
		}
	}
	d.Crash()
	s, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if j, err = journal.Open(ctx, s); err != nil {
		t.Fatal(err)
	}
	var unread *journal.UnreadError
	if err := j.Sound(); !errors.As(err, &unread) {
		t.Fatalf("before it was read: %v", err)
	}
	if more, err := j.ReadOn(ctx, 7); err != nil || !more {
		t.Fatalf("after 7 rows of 20: %v, %v", more, err)
	}
	if err := j.Sound(); !errors.As(err, &unread) || unread.Read != 7 || unread.Size != 20 {
		t.Fatalf("after 7 rows: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if more, err := j.ReadOn(ended, 7); !errors.Is(err, context.Canceled) || !more || j.Reading().Damage != nil {
		t.Fatalf("an interrupted reading: %v, %v, %+v", more, err, j.Reading())
	}
	// What is written meanwhile belongs to the next reading.
	if err := j.Write(ctx, put("meanwhile", leaf(20))); err != nil {
		t.Fatal(err)
	}
	if steps, err := readOn(t, j, 7); err != nil || steps != 2 || j.Sound() != nil || j.Reading().Whole.Size != 20 {
		t.Fatalf("%d steps, %v, %+v", steps, err, j.Reading())
	}
	if more, err := j.ReadOn(ctx, 7); more || err != nil || j.Reading().Size != 0 {
		t.Fatalf("nobody asked for another: %v, %v", more, err)
	}
	row, err := s.Get(ctx, store.Key("log", store.Number(3)))
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(row.Value)
	bad[len(bad)/2] ^= 1
	commit(t, s, store.Entry{Key: row.Key, Value: bad})
	if err := j.Sound(); err != nil {
		t.Fatalf("before anybody looked: %v", err)
	}
	j.ReadAgain()
	var damage *journal.DamageError
	if _, err := readOn(t, j, 7); !errors.As(err, &damage) || !strings.Contains(err.Error(), "3") || !errors.As(j.Sound(), &damage) {
		t.Fatalf("a flipped bit in row 3: %v, %v", err, j.Sound())
	}
	head, err := j.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Write(ctx, put("after", leaf(21))); !errors.Is(err, journal.ErrUnlogged) || !errors.As(err, &damage) {
		t.Fatalf("written into a damaged log: %v", err)
	}
	if now, err := j.Head(ctx); err != nil || now != head {
		t.Fatalf("the head is %v, was %v: %v", now, head, err)
	}
	commit(t, s, store.Entry{Key: row.Key, Value: row.Value})
	j.ReadAgain()
	if _, err := readOn(t, j, 7); err != nil || j.Sound() != nil {
		t.Fatalf("mended: %v, %v", err, j.Sound())
	}
	if err := j.Write(ctx, put("after", leaf(21))); err != nil {
		t.Fatalf("mended, and not written: %v", err)
	}
}

func commit(t *testing.T, s store.Store, e store.Entry) {
	t.Helper()
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{e}}); err != nil {
		t.Fatal(err)
	}
}

// corrupt is a store whose commits find a row damaged.
type corrupt struct {
	store.Store
	key string
}

func (c *corrupt) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if c.key != "" {
		return 0, &store.CorruptError{Key: c.key, Err: errors.New("checksum")}
	}
	return c.Store.Commit(ctx, b)
}

// A row of the log that the store finds damaged while it writes is damage of the log; another row is its owner's trouble alone.
func TestStoreFindsTheLogDamaged(t *testing.T) {
	for key, log := range map[string]bool{"log-head": true, store.Key("log", store.Number(4)): true, "other": false} {
		s, err := memory.NewDisk().Open()
		if err != nil {
			t.Fatal(err)
		}
		c := &corrupt{Store: s}
		j, err := journal.Open(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readOn(t, j, 10); err != nil {
			t.Fatal(err)
		}
		c.key = key
		err = j.Write(ctx, put("a", leaf(1)))
		if !errors.Is(err, store.ErrCorrupt) || errors.Is(err, journal.ErrUnlogged) != log || (j.Sound() != nil) != log {
			t.Errorf("%s: %v; the log: %v", key, err, j.Sound())
		}
	}
}

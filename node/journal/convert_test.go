package journal_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// firstLog writes a log as the first release kept it.
func firstLog(t *testing.T, s store.Store, size int) tlog.Head {
	t.Helper()
	var hashes []tlog.Hash
	stored := tlog.ReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, x := range indexes {
			out = append(out, hashes[x])
		}
		return out, nil
	})
	for n := range int64(size) {
		raw := tlog.Leaf{Kind: tlog.KindStatement, Time: time.Unix(n, 0), ID: [32]byte{byte(n)}, First: true}.Encode()
		first, fresh, err := tlog.Append(n, raw, stored)
		if err != nil {
			t.Fatal(err)
		}
		b := store.Batch{Put: []store.Entry{{Key: store.Key("log-leaf", store.Number(uint64(n))), Value: raw}}}
		for i, h := range fresh {
			b.Put = append(b.Put, store.Entry{Key: store.Key("log-hash", store.Number(uint64(first+int64(i)))), Value: h[:]})
		}
		written(t, s, b)
		hashes = append(hashes, fresh...)
	}
	head, err := tlog.Root(int64(size), stored)
	if err != nil {
		t.Fatal(err)
	}
	if size > 0 {
		written(t, s, store.Batch{Put: []store.Entry{{Key: "log-head", Value: append(binary.BigEndian.AppendUint64(nil, uint64(size)), head.Root[:]...)}}})
	}
	return head
}

func written(t *testing.T, s store.Store, b store.Batch) {
	t.Helper()
	if _, err := s.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
}

// A log of the first release keeps its leaves, hashes and head, and grows on, wherever the conversion is interrupted; and no row of its own is left.
func TestConvert(t *testing.T) {
	for _, size := range []int{0, 1, 16, 17, 18, 64, 200} {
		for _, fault := range []memory.Outcome{memory.Write, memory.Full, memory.UnknownDone, memory.UnknownLost} {
			d := memory.NewDisk()
			s := diskOf(t, d)
			head := firstLog(t, s, size)
			if _, err := journal.Open(ctx, s); size > 0 && !errors.Is(err, journal.ErrOldForm) {
				t.Fatalf("opened unconverted: %v", err)
			}
			batches := 0
			d.SetFault(func(store.Batch) memory.Outcome {
				if batches++; batches%3 == 2 {
					return fault
				}
				return memory.Write
			})
			moved, err := journal.Convert(ctx, s)
			for tries := 0; err != nil; tries++ {
				if tries > size || fault == memory.Write {
					t.Fatalf("%d leaves: %v", size, err)
				}
				d.Crash()
				s = diskOf(t, d)
				_, err = journal.Convert(ctx, s)
			}
			if fault == memory.Write && moved != int64(size) {
				t.Errorf("%d of %d leaves moved", moved, size)
			}
			d.SetFault(nil)
			grown(t, s, head)
		}
	}
}

func diskOf(t *testing.T, d *memory.Disk) store.Store {
	t.Helper()
	s, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grown wants a log to be whole, with this head, and to grow.
func grown(t *testing.T, s store.Store, head tlog.Head) {
	t.Helper()
	j, err := journal.Open(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := j.Verify(ctx); err != nil || got != head {
		t.Fatalf("verified %v, want %v; %v", got, head, err)
	}
	for n := range head.Size {
		if l, err := j.Leaf(ctx, n); err != nil || !l.First || l.Time.Unix() != n || l.ID[0] != byte(n) || len(l.Content) != 0 {
			t.Fatalf("leaf %d is %+v, %v", n, l, err)
		}
	}
	if err := j.Write(ctx, journal.Entry{Leaves: []tlog.Filed{leaf(1)}}); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Verify(ctx); err != nil || got.Size != head.Size+1 {
		t.Fatalf("grown to %v, %v", got, err)
	}
	if then, err := j.HeadAt(ctx, head.Size); err != nil || then != head {
		t.Errorf("what others knew is %v, was %v; %v", then, head, err)
	}
	for _, kind := range []string{"log-leaf", "log-hash"} {
		if items, err := s.Range(ctx, store.Prefix(kind), "", 1); err != nil || len(items) > 0 {
			t.Errorf("%s: %d rows are left, %v", kind, len(items), err)
		}
	}
}

// A row that is missing or damaged is named, and the rows from it on stay as they are. A changed leaf is found when the log is read.
func TestConvertDamage(t *testing.T) {
	leafRow, hashRow := store.Key("log-leaf", store.Number(20)), store.Key("log-hash", store.Number(5))
	for name, damage := range map[string]store.Batch{
		"leaf 20":      {Delete: []string{leafRow}},
		"hash 5":       {Delete: []string{hashRow}},
		"short hash 5": {Put: []store.Entry{{Key: hashRow, Value: make([]byte, 31)}}},
	} {
		s := diskOf(t, memory.NewDisk())
		firstLog(t, s, 40)
		written(t, s, damage)
		_, err := journal.Convert(ctx, s)
		if err == nil || !strings.Contains(err.Error(), "keep the folder as it is") {
			t.Errorf("%s: %v", name, err)
		}
		if items, err := s.Range(ctx, store.Prefix("log-leaf"), "", store.MaxLimit); err != nil || len(items) < 19 {
			t.Errorf("%s: %d rows are left, %v", name, len(items), err)
		}
	}
	s := diskOf(t, memory.NewDisk())
	firstLog(t, s, 40)
	written(t, s, store.Batch{Put: []store.Entry{{Key: leafRow, Value: fmt.Append(nil, "another leaf")}}})
	if _, err := journal.Convert(ctx, s); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(ctx, s)
	if err == nil {
		_, err = j.Verify(ctx)
	}
	if err == nil {
		t.Error("a changed leaf passes")
	}
}

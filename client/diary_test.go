package client

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// A request is seen first once, and an activation is answered once, whatever comes later.
func TestDiary(t *testing.T) {
	key := filepath.Join(t.TempDir(), "guardian.age")
	d, id, at := DiaryOf(key), statement.ID{1}, time.Unix(1_800_000_000, 5).UTC()
	for i := range 3 {
		seen, err := DiaryOf(key).FirstSeen(id, at.Add(time.Duration(i-1)*time.Hour))
		if err != nil || !seen.Equal(at.Add(-time.Hour).Truncate(time.Second)) {
			t.Errorf("seen at %s (%v)", seen, err)
		}
	}
	if raw, err := d.Answered(id); raw != nil || err != nil {
		t.Errorf("answered %x (%v)", raw, err)
	}
	if err := errors.Join(d.Answer(id, []byte("one")), d.Answer(id, []byte("one")), d.Answer(statement.ID{2}, []byte("two"))); err != nil {
		t.Error(err)
	}
	if err := d.Answer(id, []byte("two")); !errors.Is(err, ErrAnswered) {
		t.Errorf("two answers: %v", err)
	}
	if raw, err := d.Answered(id); string(raw) != "one" || err != nil {
		t.Errorf("answered %s (%v)", raw, err)
	}
	if info, err := os.Stat(d.folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(d.path(id, suffixSeen), []byte("yesterday\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.FirstSeen(id, at); err == nil {
		t.Error("a time that is none is read")
	}
	if _, err := DiaryOf(filepath.Join(key, "none", "x")).FirstSeen(id, at); err == nil {
		t.Error("what could not be kept counts")
	}
}

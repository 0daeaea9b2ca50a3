package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/ostraka/ostraka/node/store"
)

func TestModes(t *testing.T) {
	dir := t.TempDir() + "/s"
	s := openTest(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, dataFile: 0o600, reserveFile: 0o600, lockFile: 0o600} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
		if name == lockFile || name == reserveFile {
			continue // hold nothing to read
		}
		if err := os.Chmod(path, want|0o040); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "other users") {
			t.Errorf("%s readable by the group: %v", name, err)
		}
		if err := os.Chmod(path, want); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLockNamesTheOther(t *testing.T) {
	dir := t.TempDir() + "/s"
	openTest(t, dir)
	_, err := Open(dir, Options{})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("another ostraka node (process %d) uses %s", os.Getpid(), dir)) {
		t.Errorf("second open: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.TempDir()+"/no/parent", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without parent: %v", err)
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil {
		t.Error("a file was opened as a folder")
	}
	for name, content := range map[string][]byte{"empty": nil, "short": []byte("x"), "zeros": make([]byte, 64<<10)} {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, dataFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s file: %v, want ErrCorrupt", name, err)
		}
	}
}

// An old meta page, as a disk that loses writes leaves it, must not pass for an older
// store.
func TestLostMetaWrite(t *testing.T) {
	dir := t.TempDir() + "/s"
	s := openTest(t, dir)
	mustCommit(t, s, put("a", "1"))
	path := filepath.Join(dir, dataFile)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"2", "3", "4"} {
		mustCommit(t, s, put("a", v))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := range 2 {
		b := bytes.Clone(now)
		copy(b[page*os.Getpagesize():(page+1)*os.Getpagesize()], old[page*os.Getpagesize():])
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("meta page %d from before: %v, want ErrCorrupt", page, err)
		}
	}
}

func TestReserveFollowsOption(t *testing.T) {
	dir := t.TempDir() + "/s"
	for _, want := range []int64{256 << 10, 64 << 10, 512 << 10} {
		s, err := Open(dir, Options{Reserve: want})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, reserveFile)); err != nil || info.Size() != want || s.disk.held != want {
			t.Errorf("reserve has %d bytes, holds %d, %v; want %d", info.Size(), s.disk.held, err, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Bytes of the state record: a change here breaks every store in the field.
func TestStateRecord(t *testing.T) {
	st := state{revision: 5, count: 3, sum: 1<<63 + 7, tx: 9}
	frame := st.frame()
	const want = "0000000000000005" + "0000000000000003" + "8000000000000007" + "0000000000000009"
	if got := fmt.Sprintf("%x", frame[store.FrameSize:]); got != want {
		t.Errorf("state is %s, want %s", got, want)
	}
	if got, err := parseState(frame); err != nil || got != st {
		t.Errorf("parsed %+v, %v", got, err)
	}
	newer := store.Frame(string(stateKey), formatVersion+1, frame[store.FrameSize:])
	if _, err := parseState(newer); !errors.Is(err, store.ErrVersion) || errors.Is(named(err, "file"), store.ErrCorrupt) {
		t.Errorf("newer format: %v, want it named", err)
	}
	short := store.Frame(string(stateKey), formatVersion, frame[store.FrameSize:store.FrameSize+31])
	for name, b := range map[string][]byte{"short": short, "another key's": store.Frame("t", formatVersion, frame[store.FrameSize:]), "empty": nil} {
		if _, err := parseState(b); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}

type model map[string]string

func (m model) check(t *testing.T, dir, what string) {
	t.Helper()
	s, err := Open(dir, Options{Reserve: testReserve})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got, after := model{}, ""
	for {
		page, err := s.Range(ctx, "", after, 100)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, it := range page {
			got[it.Key], after = string(it.Value), it.Key
		}
		if len(page) < 100 {
			break
		}
	}
	if !maps.Equal(got, m) {
		t.Errorf("%s: store has %d records that differ from the %d written", what, len(got), len(m))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m model) batch(rnd *rand.Rand) (b store.Batch) {
	used := map[string]bool{}
	for range 1 + rnd.IntN(30) {
		k := fmt.Sprintf("k/%d", rnd.IntN(400))
		if used[k] {
			continue
		}
		used[k] = true
		if rnd.IntN(3) == 0 {
			b.Delete = append(b.Delete, k)
			delete(m, k)
			continue
		}
		v := strings.Repeat("v", []int{0, 10, 700, 5000, 20_000}[rnd.IntN(5)]) + fmt.Sprint(rnd.Uint64())
		b.Put = append(b.Put, store.Entry{Key: k, Value: []byte(v)})
		m[k] = v
	}
	return b
}

// Power is lost while a transaction is written: of its sectors any may have reached the
// disk, and the meta page only if all did. What was acknowledged before must be there.
func TestPowerLoss(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	dir, image := t.TempDir()+"/s", t.TempDir()+"/image"
	s := openTest(t, dir)
	m := model{}
	if err := os.Mkdir(image, 0o700); err != nil {
		t.Fatal(err)
	}
	read := func() []byte {
		b, err := os.ReadFile(filepath.Join(dir, dataFile))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for round := range 25 {
		before, was := read(), maps.Clone(m)
		mustCommit(t, s, m.batch(rnd))
		after := read()
		meta := 2 * os.Getpagesize()
		for try := range 4 {
			b := append(bytes.Clone(before), make([]byte, len(after)-len(before))...)
			for at := meta; at < len(b); at += 512 {
				if try == 3 || rnd.IntN(2) == 0 {
					copy(b[at:at+512], after[at:])
				}
			}
			if err := os.WriteFile(filepath.Join(image, dataFile), b, 0o600); err != nil {
				t.Fatal(err)
			}
			was.check(t, image, fmt.Sprintf("round %d, image %d", round, try))
		}
		if err := os.WriteFile(filepath.Join(image, dataFile), after, 0o600); err != nil {
			t.Fatal(err)
		}
		m.check(t, image, fmt.Sprintf("round %d, whole", round))
	}
}

func FuzzVerify(f *testing.F) {
	dir := f.TempDir()
	s, err := Open(dir+"/s", Options{Reserve: testReserve})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 6 {
		mustCommit(f, s, put(fmt.Sprint("k", i), strings.Repeat("v", i*700)))
	}
	whole, err := os.ReadFile(filepath.Join(dir, "s", dataFile))
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	for _, at := range []uint32{0, 24, 40, 64, 4096, 8192, 8200, 12288 + 12} {
		f.Add(at, []byte{0xff, 0xff})
	}
	path := filepath.Join(dir, "fuzzed")
	f.Fuzz(func(t *testing.T, at uint32, with []byte) {
		b := bytes.Clone(whole[:64<<10])
		copy(b[int(at)%len(b):], with)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		st, err := verify(file, path)
		if err == nil && (st.count != 6 || st.revision != 6) {
			t.Errorf("accepted with state %+v", st)
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("error without a name: %v", err)
		}
	})
}

// A store that the node left is opened by nobody, to read neither; one that is open cannot be left.
func TestLeft(t *testing.T) {
	dir := t.TempDir() + "/s"
	s := openTest(t, dir)
	if err := Leave(dir, "gone to etcd"); !errors.Is(err, store.ErrLocked) {
		t.Errorf("an open store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Leave(dir, "gone to etcd"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {ReadOnly: true}} {
		if _, err := Open(dir, o); !errors.Is(err, ErrLeft) || !strings.Contains(err.Error(), "gone to etcd") {
			t.Errorf("open a store that was left: %v", err)
		}
	}
}

// A page number that was changed leads to all of an earlier tree, which is still whole: it is not taken for the newest.
func TestEarlierTreeIsNotTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	s := reopen(t, dir)
	for i := range 6 {
		if _, err := s.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: "k", Value: bytes.Repeat([]byte{byte(i)}, 2000)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, dataFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := metasOf(t, path)
	at := bytes.Index(whole[int64(r.root)*r.pageSize:], bucketName) + len(bucketName) + int(int64(r.root)*r.pageSize)
	now, led := native.Uint64(whole[at:]), 0
	for id := uint64(2); id < r.high; id++ {
		if id == now || native.Uint64(whole[int64(id)*r.pageSize:]) != id {
			continue
		}
		changed := bytes.Clone(whole)
		native.PutUint64(changed[at:], id)
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		switch _, err := Open(dir, Options{}); {
		case !errors.Is(err, store.ErrCorrupt):
			t.Errorf("page %d instead of %d: %v", id, now, err)
		case strings.Contains(err.Error(), "its pages lead to what transaction"):
			led++
		}
	}
	if led == 0 {
		t.Error("no page is an earlier tree's: the test shows nothing")
	}
}

func metasOf(t *testing.T, path string) *pageReader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := readMetas(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reopen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A store of format 1 is read, and written in this one.
func TestFirstFormatIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	s := reopen(t, dir)
	if _, err := s.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: "k", Value: []byte("v")}}}); err != nil {
		t.Fatal(err)
	}
	st := *s.state.Load()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := openBolt(filepath.Join(dir, dataFile), false)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketName).Put(stateKey, store.Frame(string(stateKey), 1, st.frame()[store.FrameSize:store.FrameSize+24]))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = reopen(t, dir)
		if it, err := s.Get(context.Background(), "k"); err != nil || string(it.Value) != "v" {
			t.Fatalf("%q, %v", it.Value, err)
		}
		if _, err := s.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: "k", Value: []byte("v")}}}); err != nil {
			t.Fatal(err)
		}
		if s.state.Load().tx == 0 {
			t.Error("it goes on in the first format")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

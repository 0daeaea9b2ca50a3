package bolt

import (
	"crypto/sha256"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/ostraka/ostraka/node/store"
)

// inUse writes records in groups, and gives how much of the leaf pages they fill.
func inUse(t *testing.T, groups int, key func(i int) string) float64 {
	t.Helper()
	s := openTest(t, t.TempDir()+"/s")
	const size = 100
	for g := range groups {
		var b store.Batch
		for i := g * size; i < (g+1)*size; i++ {
			b.Put = append(b.Put, store.Entry{Key: key(i), Value: make([]byte, 300)})
		}
		mustCommit(t, s, b)
	}
	var share float64
	err := s.db.View(func(tx *bbolt.Tx) error {
		st := tx.Bucket(bucketName).Stats()
		share = float64(st.LeafInuse) / float64(st.LeafAlloc)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return share
}

// Records that follow one another leave no page half empty; others keep room for those that come between.
func TestPagesAreFilled(t *testing.T) {
	if got := inUse(t, 60, func(i int) string { return store.Key("log", store.Number(uint64(i))) }); got < 0.9 {
		t.Errorf("records in sequence fill %.2f of their pages", got)
	}
	if got := inUse(t, 60, func(i int) string {
		h := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		return store.Key("id", store.ID(h[:]))
	}); got < 0.55 {
		t.Errorf("records in no order fill %.2f of their pages", got)
	}
}

func TestFill(t *testing.T) {
	n := func(kind string, i uint64) string { return store.Key(kind, store.Number(i)) }
	for name, c := range map[string]struct {
		keys []string
		want float64
	}{
		"one after another":  {[]string{n("log", 9), n("log", 10), n("log", 11), n("log", 12), n("log", 13)}, fillSequence},
		"with one other":     {[]string{n("log", 9), n("log", 10), n("log", 11), n("log", 12), n("log", 13), n("log", 14), "log-head"}, fillElse},
		"a gap":              {[]string{n("log", 9), n("log", 11), n("log", 13)}, fillElse},
		"of different kinds": {[]string{n("log", 9), n("lag", 10), n("log", 11)}, fillElse},
		"no numbers":         {[]string{"a", "b", "x/yyyyyyyyyyyyyyyy", "x/zzzzzzzzzzzzzzzz"}, fillElse},
		"one":                {[]string{n("log", 9)}, fillElse},
	} {
		p := &pending{}
		for _, k := range c.keys {
			p.batch.Put = append(p.batch.Put, store.Entry{Key: k, Value: make([]byte, 100)})
		}
		if got := fill([]*pending{p}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

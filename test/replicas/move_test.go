package replicas

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/etcd"
)

func move(t *testing.T, m *members, o *local.Operator, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	from, err := bolt.Open(filepath.Join(o.Dir, "store"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := etcd.Connect(ctx, etcd.Options{Endpoints: m.endpoints, Name: o.Name})
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.Acquire(ctx, etcd.Info{Name: "move"})
	if err != nil {
		t.Fatal(err)
	}
	after := ""
	for {
		page, err := from.Range(ctx, "", after, 50)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		var b store.Batch
		for _, it := range page {
			b.Put = append(b.Put, store.Entry{Key: it.Key, Value: it.Value})
			after = it.Key
		}
		if _, err := x.Store().Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	x.Resign(ctx)
	c.Close()
	from.Close()
	raw, _ := os.ReadFile(filepath.Join(o.Dir, "node.json"))
	var s map[string]any
	json.Unmarshal(raw, &s)
	s["store"] = map[string]any{"etcd": map[string]any{"endpoints": m.endpoints, "name": o.Name}}
	s["replica"] = map[string]any{"name": name}
	raw, _ = json.MarshalIndent(s, "", "  ")
	os.WriteFile(filepath.Join(o.Dir, "node.json"), raw, 0o600)
	os.Rename(filepath.Join(o.Dir, "store"), filepath.Join(o.Dir, "store.old"))
}

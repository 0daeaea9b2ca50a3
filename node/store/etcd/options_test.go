package etcd

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
)

func TestOptions(t *testing.T) {
	good := Options{Endpoints: []string{"https://a.example:2379", "https://b.example:2379"}, Name: "acme", CA: "ca", Cert: "c", Key: "k"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no name":             {func(o *Options) { o.Name = "" }, "name"},
		"name with a slash":   {func(o *Options) { o.Name = "a/b" }, "name"},
		"long name":           {func(o *Options) { o.Name = strings.Repeat("a", 64) }, "name"},
		"short lease":         {func(o *Options) { o.TTL = time.Millisecond }, "ttl"},
		"long lease":          {func(o *Options) { o.TTL = time.Hour }, "ttl"},
		"reserve below zero":  {func(o *Options) { o.Reserve = -1 }, "reserve"},
		"no endpoints":        {func(o *Options) { o.Endpoints = nil }, "endpoints"},
		"an endpoint twice":   {func(o *Options) { o.Endpoints[1] = o.Endpoints[0] }, "twice"},
		"no scheme":           {func(o *Options) { o.Endpoints[0] = "a.example:2379" }, "not https://host:port"},
		"no port":             {func(o *Options) { o.Endpoints[0] = "https://a.example" }, "not https://host:port"},
		"a path":              {func(o *Options) { o.Endpoints[0] = "https://a.example:1/x" }, "not https://host:port"},
		"a user":              {func(o *Options) { o.Endpoints[0] = "https://u:p@a.example:1" }, "not https://host:port"},
		"another scheme":      {func(o *Options) { o.Endpoints[0] = "unix://a.example:1" }, "scheme"},
		"plain http":          {func(o *Options) { o.Endpoints[0] = "http://a.example:1" }, "plain http"},
		"https without ca":    {func(o *Options) { o.CA = "" }, "ca:"},
		"https without cert":  {func(o *Options) { o.Cert = "" }, "cert:"},
		"https without a key": {func(o *Options) { o.Key = "" }, "key:"},
	} {
		o := good
		o.Endpoints = append([]string{}, good.Endpoints...)
		c.change(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.says)
		}
	}
	for _, e := range []string{"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"} {
		if err := (Options{Endpoints: []string{e}, Name: "acme"}).Check(); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
	if err := (Options{Endpoints: []string{"http://a.example:1"}, Name: "acme", Insecure: true}).Check(); err != nil {
		t.Error(err)
	}
}

// The last half of the reserve is kept whatever is free; the first while there are few free pages.
func TestTight(t *testing.T) {
	const mib, quota, reserve = 1 << 20, 1000 << 20, 64 << 20
	for _, c := range []struct {
		size, inUse int64
		want        bool
	}{
		{10 * mib, 10 * mib, false}, {900 * mib, 900 * mib, false}, {937 * mib, 937 * mib, true}, {937 * mib, 800 * mib, false},
		{969 * mib, 100 * mib, true}, {1000 * mib, 1000 * mib, true},
	} {
		if got := tight(c.size, c.inUse, quota, reserve); got != c.want {
			t.Errorf("size %d in use %d: %v", c.size/mib, c.inUse/mib, got)
		}
	}
	if tight(1<<40, 1<<40, 0, reserve) {
		t.Error("a member that tells no quota")
	}
}

func TestRoomIsKept(t *testing.T) {
	var r room
	put := store.Batch{Put: []store.Entry{{Key: "k"}}}
	if err := r.refuse(put); err != nil {
		t.Error(err)
	}
	r.spent()
	if err := r.refuse(put); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "defrag") {
		t.Errorf("ordinary: %v", err)
	}
	put.Reserve = true
	if err := r.refuse(put); err != nil {
		t.Errorf("with the reserve: %v", err)
	}
	if err := r.refuse(store.Batch{Delete: []string{"k"}}); err != nil {
		t.Errorf("erasing: %v", err)
	}
}

// Members are asked in turn; of many failures at once the first moves on.
func TestLinks(t *testing.T) {
	l := links{all: []*link{{endpoint: "a"}, {endpoint: "b"}, {endpoint: "c"}}}
	at := func() string { k, _ := l.now(); return k.endpoint }
	_, n := l.now()
	l.failed(n)
	l.failed(n)
	if at() != "b" {
		t.Errorf("asks %s", at())
	}
	l.prefer(0)
	if at() != "a" {
		t.Errorf("asks %s, not the leader", at())
	}
	l.prefer(2)
	l.failed(n)
	if at() != "c" {
		t.Errorf("an old failure moves on to %s", at())
	}
}

func TestFollowed(t *testing.T) {
	var list []Change
	for i, c := range []struct{ to, why string }{{"a", WhyFirst}, {"b", WhyExpired}, {"a", WhyExpired}} {
		list = followed(list, Info{Name: c.to}, time.Unix(int64(i), 0))
		if last := list[len(list)-1]; last.Why != c.why || last.To != c.to || i > 0 && last.From != list[i-1].To {
			t.Errorf("%d: %+v", i, last)
		}
	}
	list[2].Resigned = true
	for range 30 {
		list = followed(list, Info{Name: "b"}, time.Now())
	}
	if len(list) != maxTenures {
		t.Errorf("%d changes are kept", len(list))
	}
}

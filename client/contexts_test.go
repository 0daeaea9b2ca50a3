package client

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func identity(name string) ed25519.PublicKey { return secretOf(name).Public().(ed25519.PublicKey) }

func secretOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func twoNodes(t testing.TB) Contexts {
	t.Helper()
	var c Contexts
	var err error
	for _, n := range []Node{{"bolt", "bolt.example:7701", identity("bolt")}, {"acme", "[::1]:7701", identity("acme")}} {
		if c, err = c.Add("main", n, false); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestContextsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "contexts.json")
	if c, err := LoadContexts(path); err != nil || len(c.All) != 0 {
		t.Fatalf("a file that is not there: %+v, %v", c, err)
	}
	c := twoNodes(t)
	if c.Current != "main" || c.All[0].Nodes[0].Name != "acme" {
		t.Fatalf("want the first context current and nodes ascending: %+v", c)
	}
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := LoadContexts(path)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Fatalf("read back %+v, %v", back, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestContextsRefuse(t *testing.T) {
	id := FormatIdentity(identity("acme"))
	other := FormatIdentity(identity("bolt"))
	node := func(name, address, identity string) string {
		return `{"name":"` + name + `","address":"` + address + `","identity":"` + identity + `"}`
	}
	file := func(nodes ...string) string {
		return `{"version":1,"current":"main","contexts":[{"name":"main","nodes":[` + strings.Join(nodes, ",") + `]}]}`
	}
	if _, err := DecodeContexts([]byte(file(node("acme", "a:1", id), node("bolt", "b:1", other)))); err != nil {
		t.Fatalf("the sound file: %v", err)
	}
	for name, c := range map[string]struct{ raw, want string }{
		"unknown field":     {`{"version":1,"current":"","contexts":[],"x":1}`, "unknown field"},
		"version":           {`{"version":2,"current":"","contexts":[]}`, "version 2"},
		"trailing":          {`{"version":1,"current":"","contexts":[]}{}`, "follows"},
		"current":           {`{"version":1,"current":"main","contexts":[]}`, "current context"},
		"no nodes":          {file(), "0 nodes"},
		"order":             {file(node("bolt", "b:1", other), node("acme", "a:1", id)), "ascend"},
		"twice":             {file(node("acme", "a:1", id), node("acme", "b:1", other)), "ascend"},
		"one identity":      {file(node("acme", "a:1", id), node("bolt", "b:1", id)), "identity or address of node"},
		"one address":       {file(node("acme", "a:1", id), node("bolt", "a:1", other)), "identity or address of node"},
		"label":             {file(node("Acme", "a:1", id)), "name"},
		"port":              {file(node("acme", "a", id)), "host:port"},
		"port zero":         {file(node("acme", "a:0", id)), "port from 1"},
		"no host":           {file(node("acme", ":7", id)), "host:port"},
		"identity":          {file(node("acme", "a:1", "ed25519:00")), "identity"},
		"identity form":     {file(node("acme", "a:1", strings.TrimPrefix(id, "ed25519:"))), "identity"},
		"small order":       {file(node("acme", "a:1", "ed25519:"+strings.Repeat("00", 32))), "small order"},
		"upper case":        {file(node("acme", "a:1", "ed25519:"+strings.ToUpper(id[8:]))), "lower-case"},
		"not JSON":          {`version: 1`, "invalid"},
		"control character": {file(node("acme", `a\u0007:1`, id)), "address"},
	} {
		if _, err := DecodeContexts([]byte(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	if _, err := DecodeContexts(make([]byte, maxContextsFile+1)); err == nil {
		t.Error("a file beyond the bound was read")
	}
}

// A node's identity changes only when somebody says so.
func TestContextsReplace(t *testing.T) {
	c := twoNodes(t)
	moved := Node{"acme", "acme.example:1", identity("new acme")}
	if _, err := c.Add("main", moved, false); err == nil || !strings.Contains(err.Error(), FormatIdentity(identity("acme"))) {
		t.Fatalf("replaced silently: %v", err)
	}
	if x, _ := c.Get("main"); x.Nodes[0].Address != "[::1]:7701" {
		t.Fatal("a refused addition changed the contexts")
	}
	c, err := c.Add("main", moved, true)
	if err != nil {
		t.Fatal(err)
	}
	if x, _ := c.Get(""); len(x.Nodes) != 2 || !x.Nodes[0].Identity.Equal(moved.Identity) {
		t.Fatalf("not replaced: %+v", x)
	}
	if c, err = c.Add("other", moved, false); err != nil || c.Current != "main" {
		t.Fatalf("another context: %v, current %q", err, c.Current)
	}
	if c, err = c.Use("other"); err != nil || c.Current != "other" {
		t.Fatalf("use: %v", err)
	}
	if _, err := c.Use("none"); !errors.Is(err, ErrNoContext) {
		t.Errorf("use of an unknown context: %v", err)
	}
	if _, err := c.Get("none"); !errors.Is(err, ErrNoContext) {
		t.Errorf("get of an unknown context: %v", err)
	}
	if _, err := (Contexts{}).Get(""); !errors.Is(err, ErrNoContext) {
		t.Errorf("get of no context: %v", err)
	}
}

func FuzzContexts(f *testing.F) {
	raw, err := twoNodes(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"version":1,"current":"","contexts":[]}`))
	f.Add([]byte(`{"version":1,"contexts":[{"name":"a","nodes":[{"name":"b","address":"c:1","identity":"ed25519:"}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := DecodeContexts(raw)
		if err != nil {
			return
		}
		once, err := c.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := DecodeContexts(once)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Fatalf("read back %+v, %v; want %+v", back, err, c)
		}
	})
}

// A context goes as a whole, the one in use only by force; a node goes alone, unless it is the last. What is refused changes nothing.
func TestContextsRemove(t *testing.T) {
	c := twoNodes(t)
	one := c.All[0].Nodes[0]
	c, err := c.Add("other", one, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"in use":     second(c.Remove("main", false)),
		"unknown":    second(c.Remove("none", true)),
		"no node":    second(c.RemoveNode("main", "zoe")),
		"no context": second(c.RemoveNode("none", "acme")),
		"last node":  second(c.RemoveNode("other", one.Name)),
	} {
		want := map[string]error{"in use": ErrInUse, "unknown": ErrNoContext, "no node": ErrNoNode, "no context": ErrNoContext, "last node": ErrLastNode}[name]
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if len(c.All) != 2 || len(c.All[0].Nodes) != 2 || c.Current != "main" {
		t.Fatalf("what was refused changed the contexts: %+v", c)
	}
	less, err := c.RemoveNode("main", one.Name)
	if err != nil || len(less.All[0].Nodes) != 1 || less.All[0].Nodes[0].Name == one.Name {
		t.Errorf("the node is still there: %+v, %v", less, err)
	}
	if len(c.All[0].Nodes) != 2 {
		t.Error("the contexts that it was taken from changed")
	}
	if rest, err := c.Remove("other", false); err != nil || len(rest.All) != 1 || rest.Current != "main" {
		t.Errorf("another context: %+v, %v", rest, err)
	}
	rest, err := c.Remove("main", true)
	if err != nil || len(rest.All) != 1 || rest.All[0].Name != "other" || rest.Current != "" {
		t.Errorf("the context in use, by force: %+v, %v", rest, err)
	}
	if _, err := rest.Encode(); err != nil {
		t.Error(err)
	}
}

func second(_ Contexts, err error) error { return err }

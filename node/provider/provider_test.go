package provider

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func sample() Config {
	return Config{
		Link: []string{"0.0.0.0:7700"}, People: []string{"0.0.0.0:7701"}, Metrics: "127.0.0.1:7702",
		Customers: []Customer{
			{Name: "acme", Identity: identity("acme"), Secrets: Secrets{Passphrase: "/etc/acme", PIN: "/etc/pin"}, Hosts: []string{"acme.example"}, Limits: Limits{CPUs: 1.5, Nice: 5, Memory: 1 << 30, OpenFiles: 1024, LogBytes: 1 << 20, Connections: 99}},
			{Name: "bolt", Identity: identity("bolt"), Secrets: Secrets{Token: "/etc/bolt"}, User: &User{2001, 2002}, Retired: true},
		},
	}
}

// identity is one for each name.
func identity(name string) string {
	h := sha256.Sum256([]byte(name))
	return hex.EncodeToString(h[:])
}

// TestConfig: each field of provider.json that cannot be is named, and what is written is read again.
func TestConfig(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"":                                func(*Config) {},
		"link: 0 addresses":               func(c *Config) { c.Link = nil },
		"people: \"x\" is not host:port":  func(c *Config) { c.People = []string{"x"} },
		"metrics: \"0.0.0.0:1\" is not a": func(c *Config) { c.Metrics = "0.0.0.0:1" },
		"customers: acme does not stand in its place":    func(c *Config) { c.Customers[0], c.Customers[1] = c.Customers[1], c.Customers[0] },
		"customers: acme does not stand in its place: t": func(c *Config) { c.Customers[1].Name = "acme" },
		"customers: 1025 are listed":                     func(c *Config) { c.Customers = make([]Customer, 1025) },
		"customer ../x: name":                            func(c *Config) { c.Customers[0].Name = "../x" },
		"customer acme: secrets: pin: \"x\" is not an":   func(c *Config) { c.Customers[0].Secrets.PIN = "x" },
		"hosts: \"A.example\" is no":                     func(c *Config) { c.Customers[0].Hosts[0] = "A.example" },
		"customer bolt: hosts: acme.example is acme's":   func(c *Config) { c.Customers[1].Hosts = []string{"acme.example"} },
		"customer acme: identity: \"\" is none":          func(c *Config) { c.Customers[0].Identity = "" },
		"customer acme: identity: \"A":                   func(c *Config) { c.Customers[0].Identity = strings.Repeat("A", 64) },
		"customer acme: identity: \"00\" is none":        func(c *Config) { c.Customers[0].Identity = "00" },
		"customer bolt: identity: it is acme's":          func(c *Config) { c.Customers[1].Identity = c.Customers[0].Identity },
		"cpus: -1":                                       func(c *Config) { c.Customers[0].Limits.CPUs = -1 },
		"nice: -5":                                       func(c *Config) { c.Customers[0].Limits.Nice = -5 },
		"memory: 1 bytes":                                func(c *Config) { c.Customers[0].Limits.Memory = 1 },
		"open_files: 3":                                  func(c *Config) { c.Customers[0].Limits.OpenFiles = 3 },
		"log_bytes: 9":                                   func(c *Config) { c.Customers[0].Limits.LogBytes = 9 },
		"connections: -1":                                func(c *Config) { c.Customers[0].Limits.Connections = -1 },
	} {
		c := sample()
		spoil(&c)
		if err := c.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "p")
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "holds no provider") {
		t.Errorf("a folder without one: %v", err)
	}
	if err := Init(dir, sample()); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, sample()); err == nil {
		t.Error("it is made twice")
	}
	if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte(`{"link":["x:1"],"people":["x:2"],"customers":[],"tail":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "tail") {
		t.Errorf("a field that nobody knows: %v", err)
	}
}

// TestEdit: two who edit at once lose nothing, and what cannot be changes nothing.
func TestEdit(t *testing.T) {
	dir := t.TempDir()
	if err := Init(dir, sample()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			err := Edit(dir, func(c *Config) error {
				c.Customers = append(c.Customers, Customer{Name: fmt.Sprint("c", i), Identity: identity(fmt.Sprint("c", i))})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := Edit(dir, func(c *Config) error { c.Link = nil; return nil }); err == nil {
		t.Error("it is written without doors")
	}
	if err := Edit(dir, func(*Config) error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	c, err := Read(dir)
	if err != nil || len(c.Customers) != 10 || *c.Customers[1].User != (User{2001, 2002}) {
		t.Fatalf("%+v, %v", c, err)
	}
	if info, err := os.Stat(filepath.Join(dir, ConfigName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	first, err := lockFile(filepath.Join(dir, lockName), false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := lockFile(filepath.Join(dir, lockName), false); !errors.Is(err, ErrRuns) {
		t.Errorf("a second supervisor: %v", err)
	}
}

// TestLogs: a customer's lines bear its name and fill no more than its files may, however many and long they are.
func TestLogs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acme.log")
	l := openLog(path, leastLog)
	defer l.close()
	l.copy("acme", strings.NewReader("first\n"+strings.Repeat("x", 3*maxLine)+"\nlast"))
	raw, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(raw), "customer=acme first\n") {
		t.Fatalf("%.40q, %v", raw, err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if len(line) > maxLine+20 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if got := l.words(); got != ` (its last line: "customer=acme last")` {
		t.Error(got)
	}
	l.copy("acme", strings.NewReader("fatal error: out of memory\ngoroutine 1\n"))
	if got := l.words(); got != `: "fatal error: out of memory"` {
		t.Error(got)
	}
	l.begin()
	l.copy("acme", strings.NewReader("ostraka: it is damaged\n  next: put a copy back\n"))
	if got := l.words(); got != `: "ostraka: it is damaged; next: put a copy back"` {
		t.Error(got)
	}
	flood := strings.Repeat(strings.Repeat("y", 99)+"\n", 3*perTick)
	l.copy("acme", strings.NewReader(flood))
	if l.left < perTick || len(l.tail()) != kept {
		t.Errorf("%d lines are left out of a flood, %d kept", l.left, len(l.tail()))
	}
	var sum int64
	for i := range logFiles + 2 {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		if info, err := os.Stat(name); err == nil {
			sum += info.Size()
		}
	}
	if sum > leastLog+logFiles*maxLine || sum < leastLog/4 {
		t.Errorf("its files have %d bytes", sum)
	}
}

// TestHanded: a node takes its secrets from the pipe, and hears when that closes. What it cannot read is told without the secret.
func TestHanded(t *testing.T) {
	for line, want := range map[string]string{
		`{"secrets":{"passphrase":"d29yZHM="}}` + "\n":                  "words",
		`{"memory":0,"secrets":{"passphrase":"d29yZHM="}}`:              "",
		`{"secrets":{"passphrase":"plain words"}}` + "\n":               "",
		`{"other":1,"secrets":{"passphrase":"d29yZHM="}}` + "\n":        "",
		`{"secrets":{"pin":"` + strings.Repeat("QUFB", 9000) + "\"}}\n": "",
		"": "",
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, line) //nolint:errcheck
		if want == "" {
			w.Close()
		}
		ended := make(chan struct{})
		got, err := Handed(r, func() { close(ended) })
		pass := got["passphrase"]
		if (err == nil) != (want != "") || err == nil && !bytes.Equal(pass.Expose(), []byte(want)) || err != nil && strings.Contains(err.Error(), "words") {
			t.Errorf("%.60q: %v", line, err)
		}
		if err != nil {
			continue
		}
		select {
		case <-ended:
			t.Error("it ends while the supervisor lives")
		case <-time.After(20 * time.Millisecond):
		}
		w.Close()
		<-ended
	}
}

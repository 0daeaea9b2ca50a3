// Package provider runs many customers' nodes on one machine, each as a process of its own: a node of its own with its own identity, folder, data key, log and limits. One
// customer's load, damage or crash ends at the border of its process, and no process holds shares of two (spec/provider).
//
// The supervisor holds no share and ends no TLS. It starts the processes and hands them their secrets, keeps them within their limits, takes their log
// lines, and stands at the doors that the world dials.
package provider

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/ostraka/ostraka/node/door"
)

// Files of a provider's folder.
const (
	ConfigName  = "provider.json"
	SocketName  = "provider.sock"
	lockName    = "provider.lock"
	editName    = "provider.edit"
	customers   = "customers" // a node's data folder for each
	logs        = "logs"
	maxCustomer = 1024
)

// Config is provider.json.
type Config struct {
	Link      []string   `json:"link"`              // host:port of the doors that other nodes dial
	People    []string   `json:"people"`            // likewise of the people's interfaces
	Metrics   string     `json:"metrics,omitempty"` // loopback host:port; empty: off
	Customers []Customer `json:"customers"`         // by name
}

// A Customer is one node.
type Customer struct {
	Name     string   `json:"name"`
	Identity string   `json:"identity"`          // of its node, public, hex: as `provider add` made it, whatever stands in its folder since
	Secrets  Secrets  `json:"secrets"`           // files; read at each start, and handed over by a pipe
	Hosts    []string `json:"hosts,omitempty"`   // names by which browsers ask for its people's interface
	User     *User    `json:"user,omitempty"`    // who its process runs as; nil: as the supervisor
	Retired  bool     `json:"retired,omitempty"` // it does not run; its folder stays
	Limits   Limits   `json:"limits"`
}

// Secrets are files with what a node's key providers ask for at a start (spec/sealing), by absolute path; empty: there is none.
type Secrets struct {
	Passphrase    string `json:"passphrase,omitempty"`
	AgeIdentity   string `json:"age_identity,omitempty"`
	AgePassphrase string `json:"age_passphrase,omitempty"`
	PIN           string `json:"pin,omitempty"`
	TPMPin        string `json:"tpm_pin,omitempty"`
	Token         string `json:"token,omitempty"`
}

// Files are they, by the names under which they are handed over.
func (s Secrets) Files() map[string]string {
	all := map[string]string{"passphrase": s.Passphrase, "age_identity": s.AgeIdentity, "age_passphrase": s.AgePassphrase, "pin": s.PIN, "tpm_pin": s.TPMPin, "token": s.Token}
	maps.DeleteFunc(all, func(_, file string) bool { return file == "" })
	return all
}

// A User is a system account.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// Limits are what the supervisor holds a customer's process to; zero: not at all. What the node holds itself to stands in its own node.json.
type Limits struct {
	CPUs        float64 `json:"cpus,omitempty"`
	Nice        int     `json:"nice,omitempty"`        // 0 to 19
	Memory      int64   `json:"memory,omitempty"`      // bytes
	OpenFiles   uint64  `json:"open_files,omitempty"`  //
	LogBytes    int64   `json:"log_bytes,omitempty"`   // of its log files together; 0: 64 MiB
	Connections int     `json:"connections,omitempty"` // at once, at each of the two doors; 0: 256
}

const (
	usualLog         = 64 << 20
	leastLog         = 256 << 10
	usualConnections = 256
	leastMemory      = 64 << 20
	leastFiles       = 64
)

func (l Limits) logBytes() int64 {
	if l.LogBytes == 0 {
		return usualLog
	}
	return l.LogBytes
}

func (l Limits) connections() int {
	if l.Connections == 0 {
		return usualConnections
	}
	return l.Connections
}

// Check says which field cannot be.
func (l Limits) Check() error {
	switch {
	case l.CPUs < 0 || l.CPUs > 1024 || l.CPUs > 0 && l.CPUs < 0.01:
		return fmt.Errorf("cpus: %v is not 0.01 to 1024, or 0 for no limit", l.CPUs)
	case l.Nice < 0 || l.Nice > 19:
		return fmt.Errorf("nice: %d is not 0 to 19", l.Nice)
	case l.Memory != 0 && l.Memory < leastMemory:
		return fmt.Errorf("memory: %d bytes are too few for a node: at least %d, or 0 for no limit", l.Memory, leastMemory)
	case l.OpenFiles != 0 && l.OpenFiles < leastFiles:
		return fmt.Errorf("open_files: %d are too few for a node: at least %d, or 0 for no limit", l.OpenFiles, leastFiles)
	case l.LogBytes != 0 && l.LogBytes < leastLog:
		return fmt.Errorf("log_bytes: %d is less than %d", l.LogBytes, leastLog)
	case l.Connections < 0 || l.Connections > 1<<16:
		return fmt.Errorf("connections: %d is not 1 to 65536, or 0 for %d", l.Connections, usualConnections)
	}
	return nil
}

var (
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	validHost = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// Check says which field cannot be.
func (c Config) Check() error {
	for name, addrs := range map[string][]string{"link": c.Link, "people": c.People} {
		if len(addrs) == 0 || len(addrs) > 16 {
			return fmt.Errorf("%s: %d addresses are listed, 1 to 16 are allowed", name, len(addrs))
		}
		for _, a := range addrs {
			if _, _, err := net.SplitHostPort(a); err != nil {
				return fmt.Errorf("%s: %q is not host:port", name, a)
			}
		}
	}
	if c.Metrics != "" {
		host, _, err := net.SplitHostPort(c.Metrics)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("metrics: %q is not a loopback host:port", c.Metrics)
		}
	}
	if len(c.Customers) > maxCustomer {
		return fmt.Errorf("customers: %d are listed, at most %d are allowed", len(c.Customers), maxCustomer)
	}
	taken := map[string]string{}
	for i, x := range c.Customers {
		if i > 0 && c.Customers[i-1].Name >= x.Name {
			return fmt.Errorf("customers: %s does not stand in its place: they ascend, and each is listed once", x.Name)
		}
		if err := x.check(taken); err != nil {
			return fmt.Errorf("customer %s: %w", x.Name, err)
		}
	}
	return nil
}

// check notes what no other customer may have.
func (x Customer) check(taken map[string]string) error {
	if !validName.MatchString(x.Name) {
		return errors.New("name: want 1 to 32 of a-z, 0-9, - and _, the first a letter or digit")
	}
	key, err := x.key()
	if err != nil {
		return err
	}
	for _, which := range []string{door.Link, door.People} { // whose connections the others' would be
		if other := taken[door.Name(key, which)]; other != "" {
			return fmt.Errorf("identity: it is %s's: each customer's node has its own", other)
		}
		taken[door.Name(key, which)] = x.Name
	}
	for name, file := range x.Secrets.Files() {
		if !filepath.IsAbs(file) {
			return fmt.Errorf("secrets: %s: %q is not an absolute path", name, file)
		}
	}
	for _, h := range x.Hosts {
		if !validHost.MatchString(h) {
			return fmt.Errorf("hosts: %q is no host name in lower case", h)
		}
		if other := taken[h]; other != "" {
			return fmt.Errorf("hosts: %s is %s's", h, other)
		}
		taken[h] = x.Name
	}
	return x.Limits.Check()
}

// key is its node's identity.
func (x Customer) key() (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(x.Identity)
	if err != nil || len(key) != ed25519.PublicKeySize || x.Identity != strings.ToLower(x.Identity) {
		return nil, fmt.Errorf("identity: %q is none: want 64 of 0-9 and a-f, the \"public\" of the identity.json that `ostraka provider add` made", x.Identity)
	}
	return key, nil
}

// Customer finds one by name.
func (c *Config) Customer(name string) (*Customer, error) {
	i := slices.IndexFunc(c.Customers, func(x Customer) bool { return x.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("customer %s is not known here", name)
	}
	return &c.Customers[i], nil
}

// Folder is a customer's data folder.
func Folder(dir, name string) string { return filepath.Join(dir, customers, name) }

// LogFile is where a customer's log lines are; older ones are in files with .1, .2 and .3 after it.
func LogFile(dir, name string) string { return filepath.Join(dir, logs, name+".log") }

// Read reads provider.json, strictly.
func Read(dir string) (c Config, err error) {
	path := filepath.Join(dir, ConfigName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s holds no provider: run `ostraka provider init --dir %s` first: %w", dir, dir, err)
	}
	if err != nil {
		return c, fmt.Errorf("read %s: %w", path, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("read %s: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) { // two files in one: which is meant?
		return c, fmt.Errorf("read %s: something follows the settings: remove it, or put an intact copy back", path)
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Init makes a provider's folder.
func Init(dir string, c Config) error {
	if err := c.Check(); err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Join(dir, customers), filepath.Join(dir, logs)} {
		if err := os.MkdirAll(d, 0o711); err != nil { // customers' processes may have users of their own: they reach their folders, and list nothing
			return fmt.Errorf("make the provider's folder: %w", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, ConfigName)); err == nil {
		return fmt.Errorf("%s holds a provider already", dir)
	}
	return c.write(dir)
}

// Edit changes provider.json: one editor at a time, whole or not at all.
func Edit(dir string, change func(*Config) error) error {
	lock, err := lockFile(filepath.Join(dir, editName), true)
	if err != nil {
		return err
	}
	defer lock.Close()
	c, err := Read(dir)
	if err != nil {
		return err
	}
	if err := change(&c); err != nil {
		return err
	}
	slices.SortFunc(c.Customers, func(a, b Customer) int { return strings.Compare(a.Name, b.Name) })
	if err := c.Check(); err != nil {
		return err
	}
	return c.write(dir)
}

func (c Config) write(dir string) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ConfigName+".*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", ConfigName, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, ConfigName))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", ConfigName, err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// ErrRuns says that another supervisor works in the folder.
var ErrRuns = errors.New("another supervisor runs in this folder")

// lockFile takes a file's lock, which ends with the process.
func lockFile(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrRuns
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

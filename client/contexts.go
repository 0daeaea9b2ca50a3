package client

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// FileVariable names the contexts file; without it the file stands in the user's
// configuration folder.
const FileVariable = "OSTRAKA_CONTEXT_FILE"

const (
	contextsVersion = 1
	maxContexts     = 64
	maxContextsFile = 256 << 10 // bytes
)

// A Node is one node that a person talks to.
type Node struct {
	Name     string            // label: the operator's, so that decisions and nodes bear one name
	Address  string            // host:port of the people's interface
	Identity ed25519.PublicKey // pinned
}

// A Context is a named circle of nodes.
type Context struct {
	Name  string // label
	Nodes []Node // 1 to 16, ascending by name
}

// Contexts is what the contexts file holds. The zero value is the empty file.
type Contexts struct {
	Current string // name of one of them; empty if there is none
	All     []Context
}

type contextsFile struct {
	Version  int           `json:"version"`
	Current  string        `json:"current"`
	Contexts []contextForm `json:"contexts"`
}

type contextForm struct {
	Name  string     `json:"name"`
	Nodes []nodeForm `json:"nodes"`
}

type nodeForm struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Identity string `json:"identity"`
}

// FormatIdentity writes an identity as "ed25519:" and 64 lower-case hex digits.
func FormatIdentity(key ed25519.PublicKey) string { return "ed25519:" + hex.EncodeToString(key) }

// ParseIdentity reads what FormatIdentity writes.
func ParseIdentity(s string) (ed25519.PublicKey, error) {
	digits, ok := strings.CutPrefix(s, "ed25519:")
	if !ok || len(digits) != 2*ed25519.PublicKeySize || strings.ToLower(digits) != digits {
		return nil, fmt.Errorf("identity %.90q: want ed25519: and 64 lower-case hex digits, as `ostraka node status` shows it", s)
	}
	key, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", s, err)
	}
	if err := signet.CheckIdentity(key); err != nil {
		return nil, fmt.Errorf("identity %q: %w", s, err)
	}
	return key, nil
}

// ContextsPath is where the contexts file stands.
func ContextsPath() (string, error) {
	if path := os.Getenv(FileVariable); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the contexts file: %w: set $%s", err, FileVariable)
	}
	return filepath.Join(dir, "ostraka", "contexts.json"), nil
}

// LoadContexts reads the file; a file that is not there is empty.
func LoadContexts(path string) (Contexts, error) {
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Contexts{}, nil
	case err != nil:
		return Contexts{}, fmt.Errorf("read contexts: %w", err)
	}
	c, err := DecodeContexts(raw)
	if err != nil {
		return Contexts{}, fmt.Errorf("read contexts %s: %w", path, err)
	}
	return c, nil
}

// DecodeFile reads a file of one JSON document, strictly: of so many bytes at most, and no member but those of into.
func DecodeFile(raw []byte, most int, into any) error {
	if len(raw) > most {
		return fmt.Errorf("the file has %d bytes, at most %d are allowed", len(raw), most)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON document")
	}
	return nil
}

// DecodeContexts reads what Encode wrote, strictly.
func DecodeContexts(raw []byte) (Contexts, error) {
	var f contextsFile
	if err := DecodeFile(raw, maxContextsFile, &f); err != nil {
		return Contexts{}, err
	}
	if f.Version != contextsVersion {
		return Contexts{}, fmt.Errorf("version %d is not known here, %d is", f.Version, contextsVersion)
	}
	c := Contexts{Current: f.Current}
	for _, x := range f.Contexts {
		one := Context{Name: x.Name}
		for _, n := range x.Nodes {
			key, err := ParseIdentity(n.Identity)
			if err != nil {
				return Contexts{}, fmt.Errorf("context %q, node %q: %w", x.Name, n.Name, err)
			}
			one.Nodes = append(one.Nodes, Node{n.Name, n.Address, key})
		}
		c.All = append(c.All, one)
	}
	return c, c.check()
}

// Encode is the file's content.
func (c Contexts) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	f := contextsFile{Version: contextsVersion, Current: c.Current, Contexts: []contextForm{}}
	for _, x := range c.All {
		one := contextForm{Name: x.Name}
		for _, n := range x.Nodes {
			one.Nodes = append(one.Nodes, nodeForm{n.Name, n.Address, FormatIdentity(n.Identity)})
		}
		f.Contexts = append(f.Contexts, one)
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	return append(raw, '\n'), err
}

// Save writes the file for this user alone; the old one is replaced at once.
func (c Contexts) Save(path string) error {
	raw, err := c.Encode()
	if err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	if err := WritePrivate(path, raw); err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	return nil
}

func (c Contexts) check() error {
	if len(c.All) > maxContexts {
		return fmt.Errorf("%d contexts are listed, at most %d are allowed", len(c.All), maxContexts)
	}
	for i, x := range c.All {
		if i > 0 && x.Name <= c.All[i-1].Name {
			return fmt.Errorf("context %q: names do not ascend", x.Name)
		}
		if err := x.check(); err != nil {
			return fmt.Errorf("context %q: %w", x.Name, err)
		}
	}
	if _, ok := c.find(c.Current); !ok && c.Current != "" {
		return fmt.Errorf("the current context %q is not listed", c.Current)
	}
	return nil
}

func (x Context) check() error {
	if err := statement.CheckLabel(x.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if n := len(x.Nodes); n < 1 || n > statement.MaxOperators {
		return fmt.Errorf("%d nodes are listed, 1 to %d are allowed", n, statement.MaxOperators)
	}
	for i, n := range x.Nodes {
		if i > 0 && n.Name <= x.Nodes[i-1].Name {
			return fmt.Errorf("node %q: names do not ascend", n.Name)
		}
		if err := n.check(); err != nil {
			return fmt.Errorf("node %q: %w", n.Name, err)
		}
		for _, o := range x.Nodes[:i] {
			// One node under two names would agree with itself.
			if n.Identity.Equal(o.Identity) || n.Address == o.Address {
				return fmt.Errorf("node %q: %w %q", n.Name, ErrTwice, o.Name)
			}
		}
	}
	return nil
}

func (n Node) check() error {
	if err := statement.CheckLabel(n.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	host, port, err := net.SplitHostPort(n.Address)
	if err != nil || host == "" || len(n.Address) > 262 {
		return fmt.Errorf("address %.300q is not host:port", n.Address)
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
		return fmt.Errorf("address %q has no port from 1 to 65535", n.Address)
	}
	if err := statement.CheckText(n.Address, 262); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	return signet.CheckIdentity(n.Identity)
}

func (c Contexts) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.All, name, func(x Context, name string) int { return strings.Compare(x.Name, name) })
}

// ErrListed says that a context has another node of that name, ErrTwice that it has the node
// itself under another name, ErrMalformed that what was typed is not of the form it must have.
var (
	ErrListed    = errors.New("there is already a node")
	ErrTwice     = errors.New("it has the identity or address of node")
	ErrMalformed = errors.New("malformed")
)

// ErrNoContext says that no nodes are known yet, or not under this name.
var ErrNoContext = errors.New("no such context")

// ErrNoneCurrent is the ErrNoContext of whoever names no context, and uses none.
var ErrNoneCurrent error = noneCurrent{}

type noneCurrent struct{}

func (noneCurrent) Error() string {
	return "you have named no nodes to talk to yet, or use no context of them"
}
func (noneCurrent) Unwrap() error { return ErrNoContext }

// Get returns the context of this name, or the current one for "".
func (c Contexts) Get(name string) (Context, error) {
	if name == "" {
		name = c.Current
	}
	if i, ok := c.find(name); ok {
		return c.All[i], nil
	}
	if name == "" {
		return Context{}, ErrNoneCurrent
	}
	return Context{}, fmt.Errorf("%w: %q", ErrNoContext, name)
}

// Use makes a context the current one.
func (c Contexts) Use(name string) (Contexts, error) {
	if _, ok := c.find(name); !ok {
		return c, fmt.Errorf("%w: %q", ErrNoContext, name)
	}
	c.Current = name
	return c, nil
}

// Add adds a node to a context, which is made if there is none; the first context becomes the
// current one. A node of that name with another address or identity is replaced only if
// replace says so: a new identity must have been compared by another way.
func (c Contexts) Add(context string, n Node, replace bool) (Contexts, error) {
	if err := n.check(); err != nil {
		return c, fmt.Errorf("%w node %q: %w", ErrMalformed, n.Name, err)
	}
	c.All = slices.Clone(c.All)
	i, ok := c.find(context)
	if !ok {
		c.All = slices.Insert(c.All, i, Context{Name: context})
	}
	x := &c.All[i]
	x.Nodes = slices.Clone(x.Nodes)
	j, ok := slices.BinarySearchFunc(x.Nodes, n.Name, func(o Node, name string) int { return strings.Compare(o.Name, name) })
	if !ok {
		x.Nodes = slices.Insert(x.Nodes, j, n)
	} else if old := x.Nodes[j]; replace || old.Address == n.Address && old.Identity.Equal(n.Identity) {
		x.Nodes[j] = n
	} else {
		return c, fmt.Errorf("context %q: %w %q, at %s with %s", context, ErrListed, n.Name, old.Address, FormatIdentity(old.Identity))
	}
	if c.Current == "" {
		c.Current = context
	}
	return c, c.check()
}

// Errors of Remove.
var (
	ErrInUse    = errors.New("is the context in use")
	ErrNoNode   = errors.New("no such node")
	ErrLastNode = errors.New("it is the only node of the context")
)

// Remove takes a context out of the file; the current one only if force says so, and then none is current.
func (c Contexts) Remove(context string, force bool) (Contexts, error) {
	i, ok := c.find(context)
	switch {
	case !ok:
		return c, fmt.Errorf("%w: %q", ErrNoContext, context)
	case c.Current == context && !force:
		return c, fmt.Errorf("%q %w", context, ErrInUse)
	case c.Current == context:
		c.Current = ""
	}
	c.All = slices.Delete(slices.Clone(c.All), i, i+1)
	return c, c.check()
}

// RemoveNode takes one node out of a context.
func (c Contexts) RemoveNode(context, node string) (Contexts, error) {
	i, ok := c.find(context)
	if !ok {
		return c, fmt.Errorf("%w: %q", ErrNoContext, context)
	}
	nodes := slices.DeleteFunc(slices.Clone(c.All[i].Nodes), func(n Node) bool { return n.Name == node })
	switch {
	case len(nodes) == len(c.All[i].Nodes):
		return c, fmt.Errorf("context %q: %w: %q", context, ErrNoNode, node)
	case len(nodes) == 0:
		return c, fmt.Errorf("context %q: node %q: %w", context, node, ErrLastNode)
	}
	c.All = slices.Clone(c.All)
	c.All[i].Nodes = nodes
	return c, c.check()
}

// WritePrivate replaces a file at once, readable by this user alone.
func WritePrivate(path string, raw []byte) error { return Replace(path, raw, 0o600) }

// Replace writes a file whole or leaves it as it was: under another name, which is then changed. Folders that lack are made, open to whom
// the file is.
func Replace(path string, raw []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), mode|mode>>2&0o111); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

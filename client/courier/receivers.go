package courier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/custody/statement"
)

const (
	receiversVersion = 1
	maxReceivers     = 32
	maxReceiversFile = 256 << 10 // bytes
	maxURL           = 2048      // bytes
	maxFilter        = 64        // events or vaults
)

// A Receiver is a URL to which notices go. It prints without what may be a credential.
type Receiver struct {
	Name   string // label
	URL    Target
	Filter notify.Filter
	Secret notify.Secret
}

// Errors of changes to the receivers.
var (
	ErrNoReceiver = errors.New("no such receiver")
	ErrListed     = errors.New("there is already a receiver")
)

// A Target is a receiver's URL. Its path, query and user may be credentials: it prints as scheme and host alone.
type Target struct{ get func() *url.URL }

// ParseTarget wants https, or http to this machine. Its error never holds what was given.
func ParseTarget(text string) (Target, error) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return Target{}, fmt.Errorf("the URL has %d bytes, at most %d are allowed", len(text), maxURL)
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return Target{}, errors.New("the URL is not of the form https://HOST/PATH")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return Target{}, errors.New("the URL is http: notices go by https, or by http to localhost alone")
	case u.Scheme != "https" && u.Scheme != "http":
		return Target{}, errors.New("the URL is neither https nor, to localhost, http")
	case u.Fragment != "":
		return Target{}, errors.New("the URL has a fragment (#), which is never sent")
	case u.String() != text:
		return Target{}, errors.New("the URL is not written as a browser would send it: escape what is not plain")
	}
	return Target{func() *url.URL { return u }}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Reveal is the URL with all that is in it, for the receivers file and the request itself.
func (t Target) Reveal() string {
	if t.get == nil {
		return ""
	}
	return t.get().String()
}

// String is the scheme and the host; "…" stands for the rest.
func (t Target) String() string {
	if t.get == nil {
		return ""
	}
	u := t.get()
	out := u.Scheme + "://" + u.Host
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		out += "/…"
	}
	return out
}

// GoString and Format print what String does under every verb.
func (t Target) GoString() string           { return t.String() }
func (t Target) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// Folder is where a context's receivers, book and lock stand: beside the contexts file.
func Folder(contexts, context string) string {
	return filepath.Join(filepath.Dir(contexts), "notify", context)
}

const (
	receiversFile = "receivers.json"
	bookFile      = "book.json"
	lockFile      = "lock"
)

type receiversForm struct {
	Version   int            `json:"version"`
	Receivers []receiverForm `json:"receivers"`
}

type receiverForm struct {
	Name   string   `json:"name"`
	URL    string   `json:"url"`
	Events []string `json:"events"`
	Vaults []string `json:"vaults"`
	Secret string   `json:"secret"`
}

// LoadReceivers reads a context's receivers, ascending by name; a file that is not there is empty, one that others may read is refused.
func LoadReceivers(folder string) ([]Receiver, error) {
	path := filepath.Join(folder, receiversFile)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read receivers: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("read receivers: %s holds secrets and is open to other users: run `chmod 600` on it, and make the secrets anew", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read receivers: %w", err)
	}
	all, err := DecodeReceivers(raw)
	if err != nil {
		return nil, fmt.Errorf("read receivers %s: %w", path, err)
	}
	return all, nil
}

// DecodeReceivers reads what EncodeReceivers wrote, strictly. Its errors hold no URL and no secret.
func DecodeReceivers(raw []byte) (all []Receiver, err error) {
	var f receiversForm
	if err := client.DecodeFile(raw, maxReceiversFile, &f); err != nil {
		return nil, err
	}
	if f.Version != receiversVersion {
		return nil, fmt.Errorf("version %d is not known here, %d is", f.Version, receiversVersion)
	}
	for i, x := range f.Receivers {
		r := Receiver{Name: x.Name, Filter: notify.Filter{Events: x.Events, Vaults: x.Vaults}}
		if r.URL, err = ParseTarget(x.URL); err == nil {
			r.Secret, err = notify.ParseSecret(x.Secret)
		}
		if err != nil {
			return nil, fmt.Errorf("receiver %d: %w", i+1, err)
		}
		all = append(all, r)
	}
	return all, checkReceivers(all)
}

// EncodeReceivers is the file's content.
func EncodeReceivers(all []Receiver) ([]byte, error) {
	if err := checkReceivers(all); err != nil {
		return nil, err
	}
	f := receiversForm{receiversVersion, []receiverForm{}}
	for _, r := range all {
		f.Receivers = append(f.Receivers, receiverForm{r.Name, r.URL.Reveal(), list(r.Filter.Events), list(r.Filter.Vaults), r.Secret.Reveal()})
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	return append(raw, '\n'), err
}

func list(a []string) []string { return append([]string{}, a...) }

// SaveReceivers writes them for this user alone; the old file is replaced at once.
func SaveReceivers(folder string, all []Receiver) error {
	raw, err := EncodeReceivers(all)
	if err == nil {
		err = client.WritePrivate(filepath.Join(folder, receiversFile), raw)
	}
	if err != nil {
		return fmt.Errorf("write receivers: %w", err)
	}
	return nil
}

func checkReceivers(all []Receiver) error {
	if len(all) > maxReceivers {
		return fmt.Errorf("%d receivers are listed, at most %d are allowed", len(all), maxReceivers)
	}
	for i, r := range all {
		if i > 0 && r.Name <= all[i-1].Name {
			return fmt.Errorf("receiver %q: names do not ascend", r.Name)
		}
		if err := r.Check(); err != nil {
			return fmt.Errorf("receiver %.64q: %w", r.Name, err)
		}
	}
	return nil
}

// Check says what is wrong with a receiver's name or filter.
func (r Receiver) Check() error {
	if err := statement.CheckLabel(r.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if len(r.Filter.Events) > maxFilter || len(r.Filter.Vaults) > maxFilter {
		return fmt.Errorf("it names more than %d events or vaults", maxFilter)
	}
	for _, e := range r.Filter.Events {
		if err := notify.CheckEvent(e); err != nil {
			return err
		}
	}
	for _, v := range r.Filter.Vaults {
		if err := statement.CheckLabel(v); err != nil {
			return fmt.Errorf("vault: %w", err)
		}
	}
	return nil
}

// Add puts a receiver among the others; ErrListed if one has its name.
func Add(all []Receiver, r Receiver) ([]Receiver, error) {
	i, listed := find(all, r.Name)
	if listed {
		return nil, fmt.Errorf("%w %q", ErrListed, r.Name)
	}
	return slices.Insert(slices.Clone(all), i, r), r.Check()
}

// Remove takes one out; ErrNoReceiver if none has the name.
func Remove(all []Receiver, name string) ([]Receiver, error) {
	i, listed := find(all, name)
	if !listed {
		return nil, fmt.Errorf("%w: %q", ErrNoReceiver, name)
	}
	return slices.Delete(slices.Clone(all), i, i+1), nil
}

// Find finds one; ErrNoReceiver if none has the name.
func Find(all []Receiver, name string) (Receiver, error) {
	i, listed := find(all, name)
	if !listed {
		return Receiver{}, fmt.Errorf("%w: %q", ErrNoReceiver, name)
	}
	return all[i], nil
}

func find(all []Receiver, name string) (int, bool) {
	return slices.BinarySearchFunc(all, name, func(r Receiver, name string) int { return strings.Compare(r.Name, name) })
}

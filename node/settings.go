package node

import (
	"cmp"
	"context"
	"crypto"
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
	"strings"
	"syscall"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/memory"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/sol"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store/bolt"
)

// Files of a data folder. The store has a folder of its own.
const (
	settingsName = "node.json"
	keyFileName  = "key.json"      // the wrapped data key
	identityName = "identity.json" // the node's identity: public part, and the sealed seed
	storeName    = "store"
	SocketName   = "operator.sock" // the operator's own interface
)

// Settings are what an operator says of its node, in node.json.
type Settings struct {
	Operator  string          `json:"operator"`            // label
	Entity    string          `json:"entity"`              // legal entity
	Link      string          `json:"link"`                // host:port to listen on for other nodes
	Advertise string          `json:"advertise,omitempty"` // host:port that other nodes dial; Link if empty
	People    string          `json:"people"`              // host:port of the people's interface
	Metrics   string          `json:"metrics,omitempty"`   // loopback host:port of /healthz and /metrics; empty: off
	Officers  []string        `json:"officers"`            // SSH public key lines
	RPC       map[string]URLs `json:"rpc,omitempty"`       // chain "eip155:1" → endpoints
	Presign   string          `json:"presign,omitempty"`   // for which vaults presignatures are held: hot (or empty), all, off
	Witnesses []Asked         `json:"witnesses,omitempty"` // beyond the circle, that are asked to cosign this node's log
	Limits    Limits          `json:"limits,omitzero"`     // what the node holds itself to
	Logs      []string        `json:"logs,omitempty"`      // vkeys of logs beyond the circle that this node cosigns
	Attest    *AttestSettings `json:"attest,omitempty"`    // how it shows what it runs on
	TPM       *TPM            `json:"tpm,omitempty"`       // of the machine; absent: none is used
	Store     *StoreSettings  `json:"store,omitempty"`     // where the store is; nil: in the data folder
}

// own makes the roster entry of these settings.
func (s Settings) own(identity ed25519.PublicKey) (charter.Operator, error) {
	o := charter.Operator{Name: s.Operator, Entity: s.Entity, Identity: identity, Address: s.Advertise}
	if o.Address == "" {
		o.Address = s.Link
	}
	for _, line := range s.Officers {
		k, err := signet.ParseKey(line)
		if err != nil {
			return o, fmt.Errorf("settings: officer: %w", err)
		}
		o.Officers = append(o.Officers, k)
	}
	if err := o.Validate(); err != nil {
		return o, fmt.Errorf("settings: %w", err)
	}
	return o, nil
}

func (s Settings) check() error {
	for name, addr := range map[string]string{"link": s.Link, "people": s.People} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("settings: %s: %q is not host:port", name, addr)
		}
	}
	if s.Metrics != "" {
		host, _, err := net.SplitHostPort(s.Metrics)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("settings: metrics: %q is not a loopback host:port", s.Metrics)
		}
	}
	if err := s.checkStore(); err != nil {
		return err
	}
	if _, err := presign.ParseMode(s.Presign); err != nil {
		return fmt.Errorf("settings: presign: %w", err)
	}
	if err := s.Limits.Check(); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if s.Limits.StoreBytes > 0 && s.Store != nil {
		return errors.New("settings: limits: store_bytes bounds a store in the data folder alone: bound the one elsewhere there")
	}
	for chain, urls := range s.RPC {
		var err error
		switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
		case "bip122":
			if _, err = bitcoin.NetworkOf(chain); err == nil {
				_, err = coin.NewPanel(urls, rpc.Options{})
			}
		case "solana":
			_, err = sol.NewPanel(urls, rpc.Options{})
		default:
			_, err = rpc.NewPanel(urls, rpc.Options{})
		}
		if err != nil {
			return fmt.Errorf("settings: rpc %s: %w", chain, err)
		}
	}
	if err := s.TPM.check(); err != nil {
		return err
	}
	if _, err := readAsked(s.Witnesses); err != nil {
		return err
	}
	if _, err := readLogs(s.Logs); err != nil {
		return err
	}
	device, err := s.TPM.device()
	if err == nil {
		_, err = s.maker("", device)
	}
	return err
}

// maxSettings bounds node.json, in bytes.
const maxSettings = 1 << 20

// ReadSettings reads node.json of a data folder, strictly.
func ReadSettings(dir string) (Settings, error) {
	f, err := os.OpenFile(filepath.Join(dir, settingsName), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, fmt.Errorf("%s holds no node: run `ostraka node init --dir %s` first", dir, dir)
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read settings: %w", err)
	}
	defer f.Close()
	return settingsOf(f)
}

// settingsOf reads an open node.json. Who reads it may be root, and its writer a process that somebody broke into: it must be a file, with an end.
func settingsOf(f *os.File) (s Settings, err error) {
	info, err := f.Stat()
	if err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSettings {
		return s, fmt.Errorf("read settings %s: it is no file of at most %d bytes", f.Name(), maxSettings)
	}
	d := json.NewDecoder(io.LimitReader(f, maxSettings))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("read settings %s: %w", f.Name(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) { // two files in one: which is meant?
		return s, fmt.Errorf("read settings %s: something follows the settings: remove it, or put an intact copy back", f.Name())
	}
	return s, s.check()
}

// sealedIdentity is the file that holds the identity key.
type sealedIdentity struct {
	Public string `json:"public"`         // Ed25519, hex
	Sealed []byte `json:"sealed"`         // the seed, under the data key
	Rows   string `json:"rows,omitempty"` // rowsTagged: every row of the store carries a tag; else an older release made the folder, and its store may have none. It is in the seed's label
}

// rowsTagged says of a folder that its node reads no row without a tag (spec/store 9.3).
const rowsTagged = "tagged"

// ReadIdentity reads which identity a data folder's node has. It is the file's word: a node holds it to the sealed key when it starts.
func ReadIdentity(dir string) (ed25519.PublicKey, error) {
	id, err := readIdentity(dir)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(id.Public)
}

// ErrIdentity means that identity.json is not what was written.
var ErrIdentity = errors.New("the identity file is damaged: put an intact copy back; without one, restore from an export: `ostraka backup restore`")

// readIdentity reads the file that this program wrote, and nothing else: no person edits it.
func readIdentity(dir string) (id sealedIdentity, err error) {
	path := filepath.Join(dir, identityName)
	raw, err := os.ReadFile(path)
	if err != nil {
		return id, fmt.Errorf("read identity: %w", err)
	}
	if err = json.Unmarshal(raw, &id); err == nil {
		var written []byte
		if written, err = json.MarshalIndent(id, "", "  "); err == nil && string(raw) != string(written)+"\n" {
			err = errors.New("its bytes differ from those of its content")
		}
	}
	if key, decodeErr := hex.DecodeString(id.Public); err == nil && (decodeErr != nil || len(key) != ed25519.PublicKeySize || fmt.Sprintf("%x", key) != id.Public) {
		err = fmt.Errorf("public: %.70q is no identity", id.Public)
	}
	if err == nil && id.Rows != "" && id.Rows != rowsTagged {
		err = fmt.Errorf("rows: %.70q is not %q", id.Rows, rowsTagged)
	}
	if err != nil {
		return id, fmt.Errorf("%s: %w: %w", path, ErrIdentity, err)
	}
	return id, nil
}

// identityLabel is that of the sealed seed: whoever says another thing of the store's rows than the file did has none that opens.
func identityLabel(rows string) seal.Label {
	if rows == rowsTagged {
		return seal.Label{Row: "identity of tagged rows"}
	}
	return seal.Label{Row: "identity"}
}

// sealIdentity is the identity file of a node whose rows all carry tags.
func sealIdentity(box *seal.Box, public crypto.PublicKey, seed []byte) (sealedIdentity, error) {
	sealed, err := box.Seal(identityLabel(rowsTagged), seed)
	return sealedIdentity{fmt.Sprintf("%x", public), sealed, rowsTagged}, err
}

// fileLabel is the label of the data key itself.
func fileLabel() seal.Label { return seal.Label{Row: "node"} }

// Init makes a data folder: settings, a data key wrapped for each slot by what open gives, a fresh identity
// sealed under it, and an empty store. The folder must not hold a node.
func Init(ctx context.Context, dir string, s Settings, open seal.Opener, rand io.Reader, slots ...seal.Slot) (ed25519.PublicKey, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := unbegun(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	seed := make([]byte, ed25519.SeedSize)
	defer secret.Wipe(seed)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("draw an identity: %w", err)
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if _, err := s.own(public); err != nil {
		return nil, err
	}
	box, err := seal.CreateFile(ctx, filepath.Join(dir, keyFileName), fileLabel(), open, rand, slots...)
	if err != nil {
		return nil, err
	}
	defer box.Wipe()
	id, err := sealIdentity(box, public, seed)
	if err != nil {
		return nil, err
	}
	if err := writeJSON(filepath.Join(dir, identityName), id); err != nil {
		return nil, err
	}
	if s.Store == nil {
		st, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{})
		if err != nil {
			return nil, err
		}
		if err := st.Close(); err != nil {
			return nil, err
		}
	}
	// The settings come last: a folder without them is no node.
	settings := filepath.Join(dir, settingsName)
	if err := writeJSON(settings, s); err != nil {
		return nil, err
	}
	if err := syncFolder(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("make the data folder: %w", err), os.Remove(settings))
	}
	return public, nil
}

// unbegun refuses a folder that holds a node, or what one that was begun has left: a key file is never replaced, since shares may be sealed under its key.
func unbegun(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, settingsName)); err == nil {
		return fmt.Errorf("%s holds a node already", dir)
	}
	for _, name := range []string{keyFileName, identityName, storeName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s has %s and no %s: is it of a node, put its %s back; if an init ended here before it was done, remove the folder", dir, name, settingsName, settingsName)
		}
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil { // what is left of it is not on the disk for sure
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}

// unlocked is an opened data folder.
type unlocked struct {
	settings Settings
	own      charter.Operator
	identity *memory.Signer
	box      *seal.Box
	slot     string        // of the key file, which opened it
	memory   *memory.Arena // where the data key and opened rows lie, once it is made
	tags     tags
}

func unlock(ctx context.Context, dir string, open seal.Opener, rand io.Reader) (u *unlocked, err error) {
	u = &unlocked{}
	if u.settings, err = ReadSettings(dir); err != nil {
		return nil, err
	}
	if u.box, u.slot, err = seal.OpenFile(ctx, filepath.Join(dir, keyFileName), fileLabel(), open, rand); err != nil {
		return nil, fmt.Errorf("unlock %s: %w", dir, err)
	}
	id, err := readIdentity(dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, identityName)
	seed, err := u.box.Open(identityLabel(id.Rows), id.Sealed)
	if err != nil || seed.Len() != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: %w: sealed: %w", file, ErrIdentity, cmp.Or(err, errors.New("it has the wrong length")))
	}
	u.identity, err = memory.NewSigner(seed.Expose(), memory.Heap)
	u.tags.on = id.Rows == rowsTagged
	seed.Wipe()
	if err != nil {
		return nil, err
	}
	public := u.identity.Public().(ed25519.PublicKey)
	if fmt.Sprintf("%x", public) != id.Public {
		return nil, fmt.Errorf("%s: %w: public: the sealed key is not the one that the file names", file, ErrIdentity)
	}
	if u.own, err = u.settings.own(public); err != nil {
		return nil, err
	}
	return u, nil
}

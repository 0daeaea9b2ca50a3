package backup

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// ErrDamaged says that a backup is not what its header says.
var ErrDamaged = errors.New("the backup is damaged")

// Look reads a backup without any secret: header and signature, and of an export length, hash, the form of age's header, and for how many it is
// encrypted (spec/backups 3). It reads r to its end.
func Look(r io.Reader) (signed []byte, h backup.Header, err error) {
	signed, h, err = backup.ReadHeader(r)
	if err != nil {
		return nil, h, err
	}
	sum, first := sha256.New(), &front{max: 64 << 10}
	n, err := io.Copy(io.MultiWriter(sum, first), io.LimitReader(r, h.Size+1))
	switch {
	case err != nil:
		return nil, h, fmt.Errorf("read the ciphertext: %w", err)
	case n < h.Size:
		return nil, h, fmt.Errorf("%w: it was cut off: %d of %d bytes of its ciphertext are there", ErrDamaged, n, h.Size)
	case n > h.Size:
		return nil, h, fmt.Errorf("%w: something follows its ciphertext of %d bytes", ErrDamaged, h.Size)
	case h.Level == charter.Paper:
		return signed, h, nil
	case [32]byte(sum.Sum(nil)) != h.Sum:
		return nil, h, fmt.Errorf("%w: its ciphertext has another SHA-256 than its header says", ErrDamaged)
	}
	return signed, h, first.recipients(h.Recipients)
}

// front keeps the first bytes of what passes.
type front struct {
	max int
	b   []byte
}

func (f *front) Write(b []byte) (int, error) {
	if n := f.max - len(f.b); n > 0 {
		f.b = append(f.b, b[:min(n, len(b))]...)
	}
	return len(b), nil
}

// recipients counts the stanzas of age's header. What each holds its recipient alone can tell.
func (f *front) recipients(want int) error {
	head, err := age.ExtractHeader(bytes.NewReader(f.b))
	if err != nil {
		return fmt.Errorf("%w: what follows its header is no file of age: %w", ErrDamaged, err)
	}
	n := 0
	for line := range strings.Lines(string(head)) {
		if strings.HasPrefix(line, "-> ") && !strings.HasSuffix(strings.Fields(line)[1], "-grease") {
			n++
		}
	}
	if n < want {
		return fmt.Errorf("%w: it is encrypted to %d recipients, not to %d as its header says", ErrDamaged, n, want)
	}
	return nil
}

// An Opened is an export whose every share and mask was opened and held to its point. The caller wipes it.
type Opened struct {
	Header  backup.Header
	Signed  []byte
	Secrets backup.Secrets
	Rows    []store.Entry
	Keys    []OpenedKey // in the header's order
}

// An OpenedKey is one key's secrets.
type OpenedKey struct {
	backup.Key
	Record *epoch.Record
	Secret group.Scalar // the share
	Hidden group.Scalar // the mask; nil: none
}

// Wipe overwrites what is secret. The rows' secrets are sealed.
func (o *Opened) Wipe() {
	o.Secrets.Wipe()
	for _, k := range o.Keys {
		k.Secret.Wipe()
		if k.Hidden != nil {
			k.Hidden.Wipe()
		}
	}
}

// Format redacts under every verb.
func (*Opened) Format(f fmt.State, _ rune) { io.WriteString(f, secret.Redacted) } //nolint:errcheck // a printer's trouble

// Open looks at an export (Look), opens it with the operator's own keys, and holds what is inside to the header: the identity that signed it, the
// settings' operator, every key's final certificate, share and mask.
func Open(file io.ReadSeeker, ids ...age.Identity) (*Opened, error) {
	signed, h, err := Look(file)
	if err != nil {
		return nil, err
	}
	if h.Level != charter.Export {
		return nil, fmt.Errorf("this is the receipt of sheets of paper, which holds no secret: give the export")
	}
	if _, err := file.Seek(int64(len(backup.Front(0))+len(signed)), io.SeekStart); err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(file, ids...)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	r, s, err := backup.NewReader(plain)
	if err != nil {
		return nil, err
	}
	o := &Opened{Header: h, Signed: signed, Secrets: s}
	if err := o.read(r); err != nil {
		o.Wipe()
		return nil, err
	}
	return o, nil
}

func (o *Opened) read(r *backup.Reader) error {
	public := ed25519.NewKeyFromSeed(o.Secrets.Seed.Expose()).Public().(ed25519.PublicKey)
	if !public.Equal(o.Header.Identity) {
		return errors.New("the identity key inside is not the one that signed the header: this ciphertext is of another export")
	}
	rows := map[string][]byte{}
	for {
		key, value, more, err := r.Next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if !Carried(store.Item{Key: key, Value: value}) {
			return fmt.Errorf("row %q may serve once alone: no export has it", key)
		}
		o.Rows = append(o.Rows, store.Entry{Key: key, Value: value})
		rows[key] = value
	}
	box, err := seal.NewBox(secret.New(bytes.Clone(o.Secrets.DataKey.Expose())), rand.Reader)
	if err != nil {
		return err
	}
	defer box.Wipe()
	for _, k := range o.Header.Keys {
		if err := o.openKey(k, public, box, rows); err != nil {
			return fmt.Errorf("vault %s, key %x: %w", k.Name, k.KeyID[:6], err)
		}
	}
	return nil
}

// Facts are what is public of one vault's keys in this export, for those who rebuild a key without any node. nil: it has none of the vault.
func (o *Opened) Facts(vault string) *backup.Facts {
	f := backup.Facts{Circle: o.Header.Circle}
	row := func(key string) []byte {
		for _, r := range o.Rows {
			if r.Key == key {
				return r.Value
			}
		}
		return nil
	}
	for _, k := range o.Keys {
		if k.Name != vault {
			continue
		}
		f.Vault, f.Name = k.Vault, k.Name
		of := func(name string) []byte {
			return row(store.Key(rowsEpoch, store.ID(k.KeyID[:]), store.ID(k.Key.Record[:]), store.Name(name)))
		}
		f.Keys = append(f.Keys, backup.KeyFacts{
			KeyID: k.KeyID, Cert: row(store.Key(rowsCurrent, store.ID(k.KeyID[:]))), Plan: of(protocol.RowGuards), Set: of(protocol.RowBackups),
		})
	}
	if len(f.Keys) == 0 {
		return nil
	}
	return &f
}

func (o *Opened) openKey(k backup.Key, public ed25519.PublicKey, box *seal.Box, rows map[string][]byte) error {
	f, err := epoch.DecodeFinalCert(rows[store.Key(rowsCurrent, store.ID(k.KeyID[:]))])
	if err != nil {
		return err
	}
	got, share, mask, err := openKey(f.Record, public, box, func(key string) ([]byte, error) {
		if b, ok := rows[key]; ok {
			return b, nil
		}
		return nil, store.ErrNotFound
	})
	if err != nil {
		return err
	}
	o.Keys = append(o.Keys, OpenedKey{k, f.Record, share, mask})
	if got.Record != k.Record || got.KeyID != k.KeyID || got.Epoch != k.Epoch || got.Suite != k.Suite || !got.Share.Equal(k.Share) ||
		(got.Mask == nil) != (k.Mask == nil) || got.Mask != nil && !got.Mask.Equal(k.Mask) {
		return errors.New("what is inside is not what the header says")
	}
	return nil
}

// Package age is the provider that encrypts the data key to age recipients (filippo.io/age, https://age-encryption.org/v1;
// spec/sealing.md 6): X25519, hybrid post-quantum, SSH, or one of age's plugins, such as a hardware token's. Any one of the
// recipients' private keys opens it.
//
// age authenticates no data beside the plaintext, and whoever knows a recipient can encrypt to it. So the plaintext holds the hash
// of the label, and what opens is a data key only if the sealed rows open with it.
package age

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	filippo "filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
)

const (
	// MaxRecipients is how many recipients one provider has at most.
	MaxRecipients = 8

	// MaxIdentity is the largest identity file, in bytes.
	MaxIdentity = 64 << 10

	maxLine = 4 << 10
	version = 1
)

var (
	// ErrIdentity means that none of the private keys that were given opens the data key.
	ErrIdentity = errors.New("no private key that was given opens it")

	// ErrPassphrase means that the passphrase of an identity file is wrong.
	ErrPassphrase = errors.New("wrong passphrase of the identity file")
)

const (
	tagVersion transcript.Tag = iota + 1
	tagLabel
	tagKey
)

// A KEK encrypts to recipients, and decrypts with identities. It redacts itself where it is printed.
type KEK struct {
	to  []filippo.Recipient
	ids []filippo.Identity
}

var _ seal.KEK = (*KEK)(nil)

// New takes recipients, as Lines gives them, and the private keys of at least one of them.
func New(recipients []string, ids []filippo.Identity, ui *plugin.ClientUI) (*KEK, error) {
	to, err := parse(recipients, ui)
	if err != nil {
		return nil, err
	}
	return &KEK{to, ids}, nil
}

// Name implements seal.KEK.
func (k *KEK) Name() string { return "age" }

// Format redacts under every verb.
func (k *KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// Lines reads a file of recipients: a line each, comments after #, nothing else. What SSH writes after a key is dropped.
func Lines(text string) ([]string, error) {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if f := strings.Fields(line); strings.HasPrefix(line, "ssh-") && len(f) > 2 {
			line = f[0] + " " + f[1]
		}
		out = append(out, line)
	}
	return out, Check(out)
}

// Check holds recipients to their form.
func Check(recipients []string) error {
	_, err := parse(recipients, &plugin.ClientUI{})
	return err
}

func parse(lines []string, ui *plugin.ClientUI) (out []filippo.Recipient, err error) {
	if len(lines) == 0 || len(lines) > MaxRecipients {
		return nil, fmt.Errorf("there are %d recipients, 1 to %d are allowed", len(lines), MaxRecipients)
	}
	for i, line := range lines {
		upper := strings.ToUpper(line)
		if strings.Contains(upper, "AGE-SECRET-KEY-") || strings.Contains(upper, "AGE-PLUGIN-") || strings.Contains(upper, "PRIVATE KEY") {
			return nil, fmt.Errorf("recipient %d is a private key: give the public line that belongs to it", i+1)
		}
		if len(line) > maxLine || strings.Contains(line, ",") {
			return nil, fmt.Errorf("recipient %d is no age1… or ssh-… line", i+1)
		}
		if slices.Contains(lines[:i], line) {
			return nil, fmt.Errorf("recipient %.80q is given twice", line)
		}
		r, err := recipient(line, ui)
		if err != nil {
			return nil, fmt.Errorf("recipient %.80q: %w", line, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func recipient(line string, ui *plugin.ClientUI) (filippo.Recipient, error) {
	if strings.HasPrefix(line, "ssh-") {
		return agessh.ParseRecipient(line)
	}
	own, err := filippo.ParseRecipients(strings.NewReader(line))
	if err == nil && len(own) == 1 {
		return own[0], nil
	}
	if r, err := plugin.NewRecipient(line, ui); err == nil {
		return r, nil
	}
	return nil, errors.New("it is no age1… or ssh-… line")
}

// Identities reads a file of private keys: age's, a line each, those of its plugins too; or one of SSH. A file that is locked with
// a passphrase is opened with what pass gives.
func Identities(file secret.Bytes, pass func() (secret.Bytes, error), ui *plugin.ClientUI) ([]filippo.Identity, error) {
	b := file.Expose()
	if len(b) > MaxIdentity {
		return nil, fmt.Errorf("the identity file has %d bytes, at most %d are allowed", len(b), MaxIdentity)
	}
	if trimmed := bytes.TrimSpace(b); bytes.HasPrefix(trimmed, []byte(armor.Header)) || bytes.HasPrefix(trimmed, []byte("age-encryption.org/v1\n")) {
		plain, err := unlock(b, pass)
		if err != nil {
			return nil, err
		}
		defer plain.Wipe()
		b = plain.Expose()
	}
	if bytes.HasPrefix(b, []byte("-----BEGIN")) {
		return ofSSH(b, pass)
	}
	var ids []filippo.Identity
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		var id []filippo.Identity
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			var one *plugin.Identity
			one, err = plugin.NewIdentity(line, ui)
			id = []filippo.Identity{one}
		default:
			id, err = filippo.ParseIdentities(strings.NewReader(line))
		}
		if err != nil { // which would quote the line
			return nil, fmt.Errorf("line %d of the identity file is no private key of age", n+1)
		}
		ids = append(ids, id...)
	}
	if len(ids) == 0 {
		return nil, errors.New("the identity file holds no private key")
	}
	return ids, nil
}

// unlock opens an identity file that is locked with a passphrase, as `age -p` makes it.
func unlock(b []byte, pass func() (secret.Bytes, error)) (secret.Bytes, error) {
	words, err := pass()
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("the identity file is locked: %w", err)
	}
	defer words.Wipe()
	id, err := filippo.NewScryptIdentity(string(words.Expose()))
	if err != nil {
		return secret.Bytes{}, err
	}
	r, err := filippo.Decrypt(lettered(b), id)
	if errors.As(err, new(*filippo.NoIdentityMatchError)) {
		return secret.Bytes{}, ErrPassphrase
	}
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unlock the identity file: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxIdentity+1))
	if err != nil || len(plain) > MaxIdentity {
		secret.Wipe(plain)
		return secret.Bytes{}, errors.New("unlock the identity file: it is damaged, or too long")
	}
	return secret.New(plain), nil
}

// lettered reads a file of age in either of its forms.
func lettered(b []byte) io.Reader {
	if trimmed := bytes.TrimSpace(b); bytes.HasPrefix(trimmed, []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(trimmed))
	}
	return bytes.NewReader(b)
}

func ofSSH(b []byte, pass func() (secret.Bytes, error)) ([]filippo.Identity, error) {
	id, err := agessh.ParseIdentity(b)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		if locked.PublicKey == nil {
			return nil, errors.New("the SSH key is locked, in a form that hides its public key: unlock a copy with `ssh-keygen -p`")
		}
		id, err = agessh.NewEncryptedSSHIdentity(locked.PublicKey, slices.Clone(b), func() ([]byte, error) {
			words, err := pass()
			return words.Expose(), err
		})
	}
	if err != nil {
		return nil, errors.New("the identity file is no private key of SSH that age takes: Ed25519 or RSA")
	}
	return []filippo.Identity{id}, nil
}

// Wrap implements seal.KEK.
func (k *KEK) Wrap(ctx context.Context, dek secret.Bytes, label seal.Label) ([]byte, error) {
	plain, err := encode(dek, label)
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	return within(ctx, func() ([]byte, error) {
		var out bytes.Buffer
		w, err := filippo.Encrypt(&out, k.to...)
		if err == nil {
			_, err = w.Write(plain.Expose())
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("encrypt to %d recipients: %w", len(k.to), said(err))
		}
		return out.Bytes(), nil
	})
}

// Unwrap implements seal.KEK.
func (k *KEK) Unwrap(ctx context.Context, wrapped []byte, label seal.Label) (secret.Bytes, error) {
	if len(k.ids) == 0 {
		return secret.Bytes{}, seal.ErrNoSecret
	}
	plain, err := within(ctx, func() ([]byte, error) {
		r, err := filippo.Decrypt(bytes.NewReader(wrapped), k.ids...)
		if errors.As(err, new(*filippo.NoIdentityMatchError)) {
			return nil, ErrIdentity
		}
		if err != nil {
			return nil, said(err)
		}
		return io.ReadAll(io.LimitReader(r, 1<<10))
	})
	if err != nil {
		return secret.Bytes{}, err
	}
	defer secret.Wipe(plain)
	return decode(plain, label)
}

// said names a plugin that is not there.
func said(err error) error {
	var none *plugin.NotFoundError
	if errors.As(err, &none) {
		return fmt.Errorf("the program age-plugin-%s is not installed: put it into PATH", none.Name)
	}
	return err
}

// within gives up waiting for a plugin when ctx ends: it may wait for a finger for ever.
func within(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := f()
		done <- result{b, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.b, r.err
	}
}

// bind is the hash of the label, which the plaintext carries.
func bind(label seal.Label) ([32]byte, error) {
	data, err := label.Data(transcript.SealWrap)
	return sha256.Sum256(data), err
}

func encode(dek secret.Bytes, label seal.Label) (secret.Bytes, error) {
	h, err := bind(label)
	if err != nil {
		return secret.Bytes{}, err
	}
	var e transcript.Encoder
	return secret.New(e.Uint(tagVersion, version).Bytes(tagLabel, h[:]).Bytes(tagKey, dek.Expose()).Sum()), nil
}

// decode reads the plaintext, and refuses that of another label.
func decode(plain []byte, label seal.Label) (secret.Bytes, error) {
	want, err := bind(label)
	if err != nil {
		return secret.Bytes{}, err
	}
	d := transcript.NewDecoder(plain)
	if v := d.Uint(tagVersion, version); d.Err() == nil && v != version {
		d.Fail(tagVersion, fmt.Errorf("is %d, this program knows %d", v, version))
	}
	got := d.Fixed(tagLabel, len(want))
	key := d.Fixed(tagKey, seal.KeySize)
	if err := d.Done(); err != nil {
		return secret.Bytes{}, fmt.Errorf("decode the data key: %w", err)
	}
	if subtle.ConstantTimeCompare(got, want[:]) != 1 {
		return secret.Bytes{}, fmt.Errorf("%w: it was wrapped under another label", seal.ErrSealed)
	}
	return secret.Copy(key), nil
}

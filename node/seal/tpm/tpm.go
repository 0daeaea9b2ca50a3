package tpm

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/tpm"
)

var (
	// ErrPIN means that the PIN is wrong. It is not tried again by itself: the TPM counts wrong ones, and locks.
	ErrPIN = errors.New("wrong PIN of the TPM")

	// ErrNeedsPIN means that the key was sealed with a PIN, and none was given, or the other way round.
	ErrNeedsPIN = errors.New("the key in the TPM was sealed with a PIN, and none was given")
)

// A ChangedError says that the machine booted otherwise than when the key was sealed.
type ChangedError struct {
	Selection tpm.Selection
	Changed   tpm.Selection // of it; empty: none differs from what was noted, and the TPM refuses all the same
}

// measures is what a PC's firmware and Linux put into each PCR (TCG PC Client Platform Firmware Profile; UAPI Group's list).
var measures = [...]string{
	0: "the firmware", 1: "the firmware's settings", 2: "what the firmware loads from cards", 3: "settings of cards", 4: "the boot loader and what it starts",
	5: "its partitions and settings", 6: "the machine's maker", 7: "Secure Boot's keys and state", 8: "GRUB's commands and the kernel's command line", 9: "files that GRUB or the kernel's stub loaded",
	10: "files that the kernel measured", 11: "the unified kernel image and its phases", 12: "the kernel's command line, beside an image", 13: "extensions of the system", 14: "keys of shim", 15: "the system's identity",
}

func (e *ChangedError) Error() string {
	what := make([]string, len(e.Changed))
	for i, p := range e.Changed {
		what[i] = fmt.Sprintf("PCR %d", p)
		if int(p) < len(measures) {
			what[i] += " (" + measures[p] + ")"
		}
	}
	if len(what) == 0 {
		what = []string{"the policy does not hold"}
	}
	return fmt.Sprintf("the TPM keeps the key back: this machine booted otherwise than when it was sealed to %v: %s changed. If you updated it, open the node by another slot of the key file, such as its passphrase, and seal anew (`ostraka node rekey`); "+
		"if you did not, somebody else changed it: do not give the passphrase on this machine", e.Selection, strings.Join(what, ", "))
}

// A KEK wraps by a key that the TPM holds back. It redacts itself where it is printed.
type KEK struct {
	d    *tpm.Device
	pcrs tpm.Selection
	pin  secret.Bytes // empty: none

	mu   sync.Mutex // guards rand
	rand io.Reader
}

var _ seal.KEK = (*KEK)(nil)

// MaxPIN is the longest PIN, in bytes.
const MaxPIN = 256

// New takes over the PIN; empty: none. What is wrapped is bound to pcrs as they are then.
func New(d *tpm.Device, pcrs tpm.Selection, pin secret.Bytes, rand io.Reader) (*KEK, error) {
	if len(pcrs) == 0 {
		return nil, errors.New("a TPM's key is bound to one PCR at least")
	}
	if pin.Len() > MaxPIN {
		return nil, fmt.Errorf("PIN of the TPM has %d bytes, at most %d are allowed", pin.Len(), MaxPIN)
	}
	return &KEK{d: d, pcrs: pcrs, pin: pin, rand: rand}, nil
}

// Name implements seal.KEK.
func (k *KEK) Name() string { return "tpm" }

// NeedsPIN says whether it was given a PIN.
func (k *KEK) NeedsPIN() bool { return k.pin.Len() > 0 }

// Wipe overwrites the PIN. No other call may run.
func (k *KEK) Wipe() { k.pin.Wipe() }

// Format redacts under every verb: fmt does not ask unexported fields.
func (k *KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// Wrap implements seal.KEK: a fresh wrapping key seals the data key, and the TPM the wrapping key.
func (k *KEK) Wrap(ctx context.Context, dek secret.Bytes, label seal.Label) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, err := seal.NewKey(k.rand)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	var w wrapped
	err = k.d.Use(ctx, "seal to the TPM", func(c *tpm.Conn) error {
		root, err := c.Root()
		if err != nil {
			return err
		}
		return errors.Join(k.create(c, root, key, &w), c.Release(root))
	})
	if err != nil {
		return nil, err
	}
	data, err := w.data(label)
	if err != nil {
		return nil, err
	}
	if w.sealed, err = seal.Encrypt(k.rand, key, data, dek.Expose()); err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	return w.encode(), nil
}

// create seals the wrapping key (spec/tpm 5.1).
func (k *KEK) create(c *tpm.Conn, root *tpm.Root, key secret.Bytes, w *wrapped) error {
	values, err := c.ReadPCRs(k.pcrs)
	if err != nil {
		return err
	}
	w.root, w.pin = root.Name.Buffer, k.pin.Len() > 0
	for i, p := range k.pcrs {
		w.pcrs = append(w.pcrs, pcr{p, values[i]})
	}
	policy, err := w.policy()
	if err != nil {
		return err
	}
	auth := k.auth()
	defer secret.Wipe(auth)
	r, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: root.Handle, Name: root.Name, Auth: root.Session(nil, tpm.InOut)},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: auth}, Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: key.Expose()}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
			// Without UserWithAuth nothing but the policy opens it. Wrong PINs count towards the TPM's lockout; where there is no PIN there is nothing to
			// guess, and NoDA keeps a lockout that something else on the machine brought about from stopping this node.
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, NoDA: !w.pin},
		}),
	}.Execute(c)
	if err != nil {
		return fmt.Errorf("create the sealed key: %w", err)
	}
	w.public, w.private = tpm2.Marshal(r.OutPublic), tpm2.Marshal(r.OutPrivate)
	return nil
}

// auth is what stands for the PIN in the TPM: 128 bits of a hash in hexadecimal. No byte of it is zero: a TPM drops zeros at the end of such a
// value, and go-tpm v0.9.8 all that follows the first one.
func (k *KEK) auth() []byte {
	if k.pin.Len() == 0 {
		return nil
	}
	h := transcript.New(transcript.TPMPin).Bytes(k.pin.Expose()).Sum256()
	return hex.AppendEncode(nil, h[:16])
}

// Unwrap implements seal.KEK.
func (k *KEK) Unwrap(ctx context.Context, b []byte, label seal.Label) (secret.Bytes, error) {
	w, err := decode(b)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("decode wrapped data key: %w", err)
	}
	switch {
	case w.pin && k.pin.Len() == 0:
		return secret.Bytes{}, ErrNeedsPIN
	case !w.pin && k.pin.Len() > 0:
		return secret.Bytes{}, fmt.Errorf("a PIN was given, and the key in the TPM was sealed without one")
	}
	var key secret.Bytes
	err = k.d.Use(ctx, "unseal by the TPM", func(c *tpm.Conn) error {
		root, err := c.Root()
		if err != nil {
			return err
		}
		key, err = k.open(c, root, w)
		return errors.Join(err, c.Release(root))
	})
	defer key.Wipe()
	if err != nil {
		return secret.Bytes{}, err
	}
	data, err := w.data(label)
	if err != nil {
		return secret.Bytes{}, err
	}
	dek, err := seal.Decrypt(key, data, w.sealed, seal.KeySize)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrap data key: %w", err)
	}
	return dek, nil
}

// open loads and unseals (spec/tpm 5.3).
func (k *KEK) open(c *tpm.Conn, root *tpm.Root, w *wrapped) (key secret.Bytes, err error) {
	// A root of somebody else's would read what passes.
	if !bytes.Equal(root.Name.Buffer, w.root) {
		return key, fmt.Errorf("%w: the key was sealed by a TPM whose root is %x…, this one's is %x…: open the node by another slot of the key file, and seal anew", tpm.ErrOther, w.root[:6], root.Name.Buffer[:6])
	}
	if err := k.changed(c, w); err != nil { // before a PIN is offered
		return key, err
	}
	if w.pin {
		if err := c.MayGuess(); err != nil { // never hammer: all that uses the TPM shares its count
			return key, err
		}
	}
	loaded, err := w.load(c, root)
	if err != nil {
		return key, err
	}
	auth := k.auth()
	defer secret.Wipe(auth)
	session := tpm2.Policy(tpm2.TPMAlgSHA256, 16, w.satisfy, root.Salt(), tpm.Out, tpm2.Auth(auth))
	r, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: session}}.Execute(c)
	err = errors.Join(err, c.Flush(loaded.ObjectHandle))
	switch {
	case err == nil:
		key = secret.New(r.OutData.Buffer)
		if key.Len() != seal.KeySize {
			err = fmt.Errorf("the TPM unsealed %d bytes, not %d", key.Len(), seal.KeySize)
		}
		return key, err
	case errors.Is(err, tpm2.TPMRCPolicyFail):
		if changed := k.changed(c, w); changed != nil {
			return key, changed
		}
		return key, fmt.Errorf("%w: %w", &ChangedError{Selection: w.selection()}, err)
	case errors.Is(err, tpm2.TPMRCAuthFail), errors.Is(err, tpm2.TPMRCBadAuth):
		left, leftErr := c.GuessesLeft()
		if leftErr != nil {
			return key, fmt.Errorf("%w: %w", ErrPIN, err)
		}
		return key, fmt.Errorf("%w: it takes %d wrong ones more before it locks", ErrPIN, left)
	}
	return key, fmt.Errorf("unseal: %w", err)
}

// changed compares the PCRs with those noted when the key was sealed. The note only finds words: the TPM decides.
func (k *KEK) changed(c *tpm.Conn, w *wrapped) error {
	values, err := c.ReadPCRs(w.selection())
	if err != nil {
		return err
	}
	e := &ChangedError{Selection: w.selection()}
	for i, p := range w.pcrs {
		if values[i] != p.value {
			e.Changed = append(e.Changed, p.index)
		}
	}
	if len(e.Changed) > 0 {
		return e
	}
	return nil
}

// Package keys opens the key providers that a key file names, with the secrets that an operator gives at the start
// (spec/sealing.md 5). It is the one place that knows every kind; a provider's own room knows how it wraps.
package keys

import (
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age/plugin"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/age"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
	"github.com/ostraka/ostraka/node/seal/transit"
)

// Kinds of providers.
const (
	Passphrase = "passphrase"
	Age        = "age"
	Transit    = "transit"
	PKCS11     = "pkcs11"
	TPM        = "tpm"
)

// A Secret is what a provider asks its operator for, as people call it.
type Secret string

// Secrets.
const (
	Words         Secret = "passphrase"
	Identity      Secret = "age identity file"
	IdentityWords Secret = "passphrase of the age identity file"
	Token         Secret = "vault token"
	PIN           Secret = "PIN"
	TPMPin        Secret = "PIN of the TPM"
)

// A Need says who asks for which secret.
type Need struct {
	Slot     string
	Provider seal.Provider
	Secret   Secret
}

// Ask gives a secret, which the asker takes over; seal.ErrNoSecret where it has none.
type Ask func(ctx context.Context, n Need) (secret.Bytes, error)

// A Ring opens providers for one start, or one rekey. It is used by one goroutine. Close it once the data key is there.
type Ring struct {
	Ask  Ask
	Rand io.Reader
	Cost []passphrase.Option // of what is wrapped anew
	UI   *plugin.ClientUI    // how age's plugins ask and tell
	HSM  string              // path of the program ostraka-hsm
	Self string              // path of the program that asks a transit server apart (transit.Argument): this one. Empty: the process of the ring asks itself
	Make bool                // a token's key is made where there is none
	Only string              // the one slot that is tried; empty: all

	close        []func() error
	refused      bool // a token refused a PIN
	refusedByTPM bool
}

// Open is the ring's seal.Opener.
func (r *Ring) Open(ctx context.Context, slot string, p seal.Provider) (seal.KEK, error) {
	if r.Only != "" && slot != r.Only {
		return nil, fmt.Errorf("%w but slot %s", seal.ErrPassed, r.Only)
	}
	if err := Check(p); err != nil {
		return nil, err
	}
	ask := func(s Secret) (secret.Bytes, error) {
		b, err := r.Ask(ctx, Need{slot, p, s})
		if err == nil && b.Len() == 0 {
			err = fmt.Errorf("the %s is empty", s)
		}
		return b, err
	}
	switch p.Kind {
	case Passphrase:
		return r.passphrase(ask)
	case Age:
		return r.age(p, ask)
	case Transit:
		return transit.New(transitOf(p), func(context.Context) (secret.Bytes, error) { return ask(Token) }, r.Self)
	case PKCS11:
		return r.pkcs11(ctx, p, ask)
	case TPM:
		return r.tpm(p, ask)
	}
	return nil, unknown(p)
}

// Check holds a provider's parameters to what its kind takes, before any secret is asked for.
func Check(p seal.Provider) error {
	switch p.Kind {
	case Passphrase:
		return only(p)
	case Age:
		return errors.Join(only(p, "recipients"), age.Check(recipientsOf(p)))
	case Transit:
		return errors.Join(only(p, "url", "mount", "key", "namespace", "ca"), transitOf(p).Check())
	case PKCS11:
		return errors.Join(only(p, "module", "token", "key"), pkcs11Of(p).Check())
	case TPM:
		return checkTPM(p)
	}
	return unknown(p)
}

func unknown(p seal.Provider) error {
	return fmt.Errorf("this program knows no key provider %s", p.Kind)
}

// only refuses parameters other than these. A misspelt one would else be passed over, and another key or place used than was meant.
func only(p seal.Provider, names ...string) error {
	left := len(p.Params)
	for _, n := range names {
		if _, ok := p.Params[n]; ok {
			left--
		}
	}
	if left > 0 {
		return fmt.Errorf("%s takes the parameters %v alone", p, names)
	}
	return nil
}

// Close ends what the ring's KEKs hold open: sessions of a token, secrets in memory.
func (r *Ring) Close() error {
	var errs []error
	for _, f := range r.close {
		errs = append(errs, f())
	}
	r.close = nil
	return errors.Join(errs...)
}

func (r *Ring) passphrase(ask func(Secret) (secret.Bytes, error)) (seal.KEK, error) {
	pass, err := ask(Words)
	if err != nil {
		return nil, err
	}
	k, err := passphrase.New(pass, r.Rand, r.Cost...)
	if err != nil {
		pass.Wipe()
		return nil, err
	}
	r.close = append(r.close, func() error { k.Wipe(); return nil })
	return k, nil
}

func (r *Ring) age(p seal.Provider, ask func(Secret) (secret.Bytes, error)) (seal.KEK, error) {
	file, err := ask(Identity)
	if err != nil {
		return nil, err
	}
	defer file.Wipe()
	ids, err := age.Identities(file, func() (secret.Bytes, error) { return ask(IdentityWords) }, r.UI)
	if err != nil {
		return nil, err
	}
	return age.New(recipientsOf(p), ids, r.UI)
}

// pkcs11 logs in to a token. After a token refused a PIN none is tried again by this ring: tokens lock after a few, and another slot
// may name the same one.
func (r *Ring) pkcs11(ctx context.Context, p seal.Provider, ask func(Secret) (secret.Bytes, error)) (seal.KEK, error) {
	if r.refused {
		return nil, fmt.Errorf("%w: a token refused the PIN that was given, and it is tried nowhere else", seal.ErrNoSecret)
	}
	pin, err := ask(PIN)
	if err != nil {
		return nil, err
	}
	defer pin.Wipe()
	k, err := pkcs11.Open(ctx, r.HSM, pkcs11Of(p), pin, r.Make)
	if err != nil {
		r.refused = errors.Is(err, &pkcs11.Error{Code: pkcs11.WrongPIN})
		return nil, err
	}
	r.close = append(r.close, k.Close)
	return k, nil
}

// ByPassphrase is the ring of who has a passphrase alone, which stays the caller's.
func ByPassphrase(pass secret.Bytes, rand io.Reader, opts ...passphrase.Option) *Ring {
	return &Ring{Rand: rand, Cost: opts, Ask: func(_ context.Context, n Need) (secret.Bytes, error) {
		if n.Secret != Words {
			return secret.Bytes{}, seal.ErrNoSecret
		}
		return secret.Copy(pass.Expose()), nil
	}}
}

// Main is a first slot of these providers together.
func Main(p ...seal.Provider) seal.Slot { return seal.Slot{Name: seal.MainSlot, Providers: p} }

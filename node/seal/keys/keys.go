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
	"github.com/ostraka/ostraka/node/seal/transit"
)

// Kinds of providers.
const (
	Passphrase = "passphrase"
	Age        = "age"
	Transit    = "transit"
)

// A Secret is what a provider asks its operator for, as people call it.
type Secret string

// Secrets.
const (
	Words         Secret = "passphrase"
	Identity      Secret = "age identity file"
	IdentityWords Secret = "passphrase of the age identity file"
	Token         Secret = "vault token"
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

	close []func() error
}

// Open is the ring's seal.Opener.
func (r *Ring) Open(ctx context.Context, slot string, p seal.Provider) (seal.KEK, error) {
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
		return transit.New(transitOf(p), func(context.Context) (secret.Bytes, error) { return ask(Token) })
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

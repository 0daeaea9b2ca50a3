// Package keys opens the key providers that a key file names, with the secrets that an operator gives at the start
// (spec/sealing.md 5). It is the one place that knows every kind; a provider's own room knows how it wraps.
package keys

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

// Kinds of providers.
const (
	Passphrase = "passphrase"
	TPM        = "tpm"
)

// A Secret is what a provider asks its operator for.
type Secret string

// Secrets.
const (
	Words Secret = "passphrase"
	Pin   Secret = "tpm-pin"
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

	close []func() error
}

// Open is the ring's seal.Opener.
func (r *Ring) Open(ctx context.Context, slot string, p seal.Provider) (seal.KEK, error) {
	if err := Check(p); err != nil {
		return nil, err
	}
	ask := func(s Secret) (secret.Bytes, error) { return r.Ask(ctx, Need{slot, p, s}) }
	switch p.Kind {
	case Passphrase:
		return r.passphrase(ask)
	case TPM:
		return r.tpm(ask, p)
	}
	return nil, unknown(p)
}

// Check holds a provider's parameters to what its kind takes, before any secret is asked for.
func Check(p seal.Provider) error {
	switch p.Kind {
	case Passphrase:
		return only(p)
	case TPM:
		return checkTPM(p)
	}
	return unknown(p)
}

// Parse reads a provider as operators write it: KIND, or KIND:WHAT.
func Parse(text string) (seal.Provider, error) {
	switch text {
	case Passphrase:
		return seal.Provider{Kind: Passphrase}, nil
	}
	if p, ok := parseTPM(text); ok {
		return p, Check(p)
	}
	return seal.Provider{}, fmt.Errorf("%.80q names no key provider: want passphrase, or tpm", text)
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

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

// secrets are the files with what key providers ask for at a start. None of it is an argument, which others can list, nor the
// value of a variable, which children inherit.
type secrets struct {
	passFile string
	pinFile  string
}

// flags of a command that opens a node's folder.
func (s *secrets) flags(f *pflag.FlagSet, of string) {
	f.StringVar(&s.passFile, "passphrase-file", "", "file with the "+of+"passphrase, mode 0600 (default: $"+passphraseVariable+", else it is asked for)")
	f.StringVar(&s.pinFile, "tpm-pin-file", "", "file with the PIN of the TPM, mode 0600, where the key was sealed with one")
}

// sealFlag says which key providers wrap the data key.
func sealFlag(f *pflag.FlagSet, to *[]string) {
	f.StringArrayVar(to, "seal", nil, "what opens the shares at a start: passphrase (the default), tpm[-pin][:PCRS][@DEVICE], such as tpm:sha256:0,2,4,7; repeated: all of them together")
}

// slotOf reads --seal.
func slotOf(name string, given []string) (seal.Slot, error) {
	if len(given) == 0 {
		given = []string{keys.Passphrase}
	}
	s := seal.Slot{Name: name}
	for _, g := range given {
		p, err := keys.Parse(g)
		if err != nil {
			return s, usage("--seal: %w", err)
		}
		s.Providers = append(s.Providers, p)
	}
	if err := s.Check(); err != nil {
		return s, usage("--seal: %w", err)
	}
	return s, nil
}

// ring opens key providers with these secrets; made says that they are new, so that what is typed is asked for twice.
func (a *app) ring(s secrets, made bool, cost ...passphrase.Option) *keys.Ring {
	return &keys.Ring{Rand: rand.Reader, Cost: cost, Ask: func(ctx context.Context, n keys.Need) (secret.Bytes, error) {
		switch n.Secret {
		case keys.Words:
			return a.passphraseOf(n, s.passFile, made)
		case keys.Pin:
			return a.pinOf(s.pinFile, made)
		}
		return secret.Bytes{}, fmt.Errorf("%w: this command asks for no %s", seal.ErrNoSecret, n.Secret)
	}}
}

// passphraseOf is a slot's passphrase. Where nobody can be asked, the slot is passed over.
func (a *app) passphraseOf(n keys.Need, file string, made bool) (secret.Bytes, error) {
	pass, err := a.passphrase(file, made)
	var p *problem
	if errors.As(err, &p) && strings.HasPrefix(p.next, nextPassFile) && file == "" {
		return pass, &problem{p.code, fmt.Errorf("%w: %w", seal.ErrNoSecret, p.err), p.next}
	}
	return pass, err
}

// pinOf is the PIN of a TPM. Where nobody can be asked, the slot is passed over.
func (a *app) pinOf(file string, made bool) (secret.Bytes, error) {
	pin, err := a.secretFor("the TPM's key (its PIN)", file, made)
	var p *problem
	if errors.As(err, &p) && p.next == nextPassFile && file == "" {
		return pin, &problem{p.code, fmt.Errorf("%w: %w", seal.ErrNoSecret, p.err), "give --tpm-pin-file FILE"}
	}
	return pin, err
}

package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/transcript"
)

const (
	// MaxSlots is how many slots a key file has at most.
	MaxSlots = 8

	// MainSlot is the name of a folder's first slot, and of the only one of a key file of version 1.
	MainSlot = "main"

	maxParams = 16
	maxParam  = 16 << 10
)

// A Provider says which key provider wraps a data key: its kind, and parameters that anyone may read. What is secret (a passphrase,
// a PIN, a token, a private key) is never among them.
type Provider struct {
	Kind   string            `json:"kind"`             // a-z, 0-9 and "-"
	Params map[string]string `json:"params,omitempty"` // names as kinds, values of one line
}

// A Slot is one way to the data key: its one provider, or all of its two to four together. Any one slot opens the key file.
type Slot struct {
	Name      string     `json:"name"` // a-z, 0-9 and "-"
	Providers []Provider `json:"providers"`
}

// An Opener gives the KEK of a slot's provider, with the secrets that it has. ErrNoSecret says that it lacks one: then the slot is
// passed over. Whoever made the opener closes what its KEKs hold open.
type Opener func(ctx context.Context, slot string, p Provider) (KEK, error)

// ErrNoSecret means that what a provider needs to open was not given. Nothing was asked of the provider.
var ErrNoSecret = errors.New("its secret was not given")

// ErrPassed means that a slot is not to be tried: nothing is said of it.
var ErrPassed = errors.New("no slot is to be tried")

var named = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// String is the provider for people: kind and parameters, long ones cut.
func (p Provider) String() string {
	parts := []string{}
	for _, k := range slices.Sorted(maps.Keys(p.Params)) {
		v := p.Params[k]
		if len(v) > 80 {
			v = v[:77] + "..."
		}
		parts = append(parts, k+" "+v)
	}
	if len(parts) == 0 {
		return p.Kind
	}
	return p.Kind + " (" + strings.Join(parts, ", ") + ")"
}

// Equal says whether two providers are the same by kind and every parameter.
func (p Provider) Equal(q Provider) bool { return p.Kind == q.Kind && maps.Equal(p.Params, q.Params) }

// Kinds are the kinds of a slot's providers, joined with "+".
func (s Slot) Kinds() string {
	kinds := make([]string, len(s.Providers))
	for i, p := range s.Providers {
		kinds[i] = p.Kind
	}
	return strings.Join(kinds, "+")
}

// Check holds a slot to its form.
func (s Slot) Check() error {
	if !named.MatchString(s.Name) {
		return fmt.Errorf("slot name %.40q: 1 to 32 of a-z, 0-9 and - are allowed", s.Name)
	}
	if n := len(s.Providers); n < 1 || n > MaxProviders {
		return fmt.Errorf("slot %s has %d providers, 1 to %d are allowed", s.Name, n, MaxProviders)
	}
	for i, p := range s.Providers {
		if err := p.check(); err != nil {
			return fmt.Errorf("slot %s: provider %d: %w", s.Name, i+1, err)
		}
		for _, q := range s.Providers[:i] {
			if p.Equal(q) {
				return fmt.Errorf("slot %s requires provider %s twice", s.Name, p)
			}
		}
	}
	return nil
}

func (p Provider) check() error {
	if !named.MatchString(p.Kind) {
		return fmt.Errorf("kind %.40q: 1 to 32 of a-z, 0-9 and - are allowed", p.Kind)
	}
	if len(p.Params) > maxParams {
		return fmt.Errorf("%s has %d parameters, at most %d are allowed", p.Kind, len(p.Params), maxParams)
	}
	for k, v := range p.Params {
		if !named.MatchString(k) {
			return fmt.Errorf("%s: parameter %.40q: 1 to 32 of a-z, 0-9 and - are allowed", p.Kind, k)
		}
		if len(v) == 0 || len(v) > maxParam || !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%s: parameter %s: want one line of 1 to %d bytes", p.Kind, k, maxParam)
		}
	}
	return nil
}

// checkSlots holds a key file's slots to their form.
func checkSlots(slots []Slot) error {
	if n := len(slots); n < 1 || n > MaxSlots {
		return fmt.Errorf("there are %d slots, 1 to %d are allowed", n, MaxSlots)
	}
	for i, s := range slots {
		if err := s.Check(); err != nil {
			return err
		}
		if slices.ContainsFunc(slots[:i], func(o Slot) bool { return o.Name == s.Name }) {
			return fmt.Errorf("two slots are called %s", s.Name)
		}
	}
	return nil
}

const (
	tagSlotName transcript.Tag = iota + 1
	tagSlotProviders
	tagSlotWrapped
	tagProviderKind
	tagProviderParams
	tagParamName
	tagParamValue
)

// encode is a slot for the file's checksum and MAC (spec/sealing 4.3).
func (s Slot) encode(wrapped []byte) []byte {
	var e transcript.Encoder
	e.String(tagSlotName, s.Name).List(tagSlotProviders, len(s.Providers), func(i int, e *transcript.Encoder) {
		p := s.Providers[i]
		names := slices.Sorted(maps.Keys(p.Params))
		e.String(tagProviderKind, p.Kind).List(tagProviderParams, len(names), func(i int, e *transcript.Encoder) {
			e.String(tagParamName, names[i]).String(tagParamValue, p.Params[names[i]])
		})
	})
	return e.Bytes(tagSlotWrapped, wrapped).Sum()
}

// kek asks the opener for every provider of a slot.
func (s Slot) kek(ctx context.Context, open Opener, rand io.Reader) (KEK, error) {
	keks := make([]KEK, len(s.Providers))
	for i, p := range s.Providers {
		k, err := open(ctx, s.Name, p)
		if err != nil && len(s.Providers) > 1 { // else whoever asked names it
			err = fmt.Errorf("%s: %w", p.Kind, err)
		}
		if err != nil {
			return nil, err
		}
		keks[i] = k
	}
	if len(keks) == 1 {
		return keks[0], nil
	}
	return All(rand, keks...)
}

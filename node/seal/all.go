package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// MaxProviders is how many providers All takes.
const MaxProviders = 4

const (
	tagPiece transcript.Tag = iota + 1
	tagPieces
)

// All is a provider that needs every one of keks: the data key is the exclusive or of
// random pieces, one wrapped by each. Whoever lacks one provider learns nothing.
func All(rand io.Reader, keks ...KEK) (KEK, error) {
	if len(keks) < 2 || len(keks) > MaxProviders {
		return nil, fmt.Errorf("require %d providers together: 2 to %d are allowed", len(keks), MaxProviders)
	}
	return all{rand, keks}, nil
}

type all struct {
	rand io.Reader
	keks []KEK
}

func (a all) Name() string {
	names := make([]string, len(a.keks))
	for i, k := range a.keks {
		names[i] = k.Name()
	}
	return strings.Join(names, "+")
}

func (a all) Wrap(ctx context.Context, dek secret.Bytes, label Label) ([]byte, error) {
	rest := secret.Copy(dek.Expose())
	defer rest.Wipe()
	wrapped := make([][]byte, len(a.keks))
	for i, k := range a.keks {
		piece := rest
		if i < len(a.keks)-1 {
			p, err := NewKey(a.rand)
			if err != nil {
				return nil, err
			}
			defer p.Wipe()
			xor(rest, p)
			piece = p
		}
		w, err := k.Wrap(ctx, piece, label)
		if err != nil {
			return nil, fmt.Errorf("provider %d (%s): %w", i+1, k.Name(), err)
		}
		wrapped[i] = w
	}
	var e transcript.Encoder
	e.List(tagPieces, len(wrapped), func(i int, e *transcript.Encoder) { e.Bytes(tagPiece, wrapped[i]) })
	return e.Sum(), nil
}

func (a all) Unwrap(ctx context.Context, wrapped []byte, label Label) (secret.Bytes, error) {
	var pieces [][]byte
	d := transcript.NewDecoder(wrapped)
	d.List(tagPieces, len(a.keks), len(a.keks), func(_ int, d *transcript.Decoder) { pieces = append(pieces, d.Bytes(tagPiece, MaxWrapped)) })
	if err := d.Done(); err != nil {
		return secret.Bytes{}, fmt.Errorf("decode pieces of the data key: %w", err)
	}
	dek := secret.New(make([]byte, KeySize))
	for i, k := range a.keks {
		piece, err := k.Unwrap(ctx, pieces[i], label)
		if err == nil && piece.Len() != KeySize {
			err = errors.New("piece of the data key has another length")
		}
		if err != nil {
			dek.Wipe()
			return secret.Bytes{}, fmt.Errorf("provider %d (%s): %w", i+1, k.Name(), err)
		}
		xor(dek, piece)
		piece.Wipe()
	}
	return dek, nil
}

func xor(dst, src secret.Bytes) {
	d, s := dst.Expose(), src.Expose()
	for i := range d {
		d[i] ^= s[i]
	}
}

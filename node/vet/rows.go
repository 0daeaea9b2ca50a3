package vet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/store"
)

func partyOf(kind, key string) (id engine.PartyID, err error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(key, store.Prefix(kind)))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("row %q is of no party", key)
	}
	return engine.PartyID(raw), nil
}

func (p *peer) load(value []byte) error {
	r, err := vetted.Decode(value)
	if err != nil {
		return err
	}
	if r.Why != "" {
		return errors.New("it tells of a refusal")
	}
	p.last, p.id = &r, sha256.Sum256(value)
	return nil
}

// enrolled are two keys that a peer showed to lie in one TPM: it opened what only that TPM can open, and only for that attestation key.
type enrolled struct {
	ek, ak [32]byte // SHA-256 of their TPM2B_PUBLICs
	at     time.Time
}

// maxEnrolled is how many of one peer are remembered: the last. A node may run on one of several machines.
const maxEnrolled = 8

const (
	fieldKeys transcript.Tag = 1

	fieldEK transcript.Tag = 1
	fieldAK transcript.Tag = 2
	fieldAt transcript.Tag = 3
)

func encodeKeys(keys []enrolled) []byte {
	var e transcript.Encoder
	return e.List(fieldKeys, len(keys), func(i int, e *transcript.Encoder) {
		e.Bytes(fieldEK, keys[i].ek[:]).Bytes(fieldAK, keys[i].ak[:]).Uint(fieldAt, uint64(keys[i].at.Unix()))
	}).Sum()
}

func (p *peer) loadKeys(value []byte) error {
	d, keys := transcript.NewDecoder(value), []enrolled(nil)
	d.List(fieldKeys, 1, maxEnrolled, func(_ int, d *transcript.Decoder) {
		var k enrolled
		copy(k.ek[:], d.Fixed(fieldEK, 32))
		copy(k.ak[:], d.Fixed(fieldAK, 32))
		k.at = time.Unix(int64(d.Uint(fieldAt, 1<<40)), 0).UTC()
		keys = append(keys, k)
	})
	if err := d.Done(); err != nil {
		return fmt.Errorf("read the keys of its TPMs: %w", err)
	}
	p.keys = keys
	return nil
}

// with is the list with one more, the oldest left out.
func with(keys []enrolled, k enrolled) []enrolled {
	keys = append(slices.Clone(keys), k)
	return keys[max(0, len(keys)-maxEnrolled):]
}

// short is a text as it may stand in a frame, a record or a terminal.
func short(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return '?'
		}
		return c
	}, text)
	for len(text) > vetted.MaxWhy {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

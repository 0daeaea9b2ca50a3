package rescue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/store"
)

const (
	fieldSilenceClock transcript.Tag = iota + 1
	fieldSilenceBeat
)

func (s silence) bytes() []byte {
	var e transcript.Encoder
	return e.Bytes(fieldSilenceClock, s.clock.Bytes()).Uint(fieldSilenceBeat, uint64(s.beat.Unix())).Sum()
}

func decodeSilence(b []byte) (s silence, err error) {
	d := transcript.NewDecoder(b)
	clock := d.Bytes(fieldSilenceClock, 256)
	s.beat = time.Unix(int64(d.Uint(fieldSilenceBeat, 1<<40)), 0).UTC()
	if err = d.Done(); err == nil {
		s.clock, err = sos.DecodeClock(clock)
	}
	return s, err
}

const (
	fieldBasisVault transcript.Tag = iota + 1
	fieldBasisCharter
	fieldBasisRoster
	fieldBasisName
	fieldBasisThreshold
	fieldBasisCommittee
)

func (b Basis) bytes() []byte {
	var e transcript.Encoder
	e.Bytes(fieldBasisVault, b.Vault[:]).Bytes(fieldBasisCharter, b.Charter[:]).Bytes(fieldBasisRoster, b.Roster[:])
	e.String(fieldBasisName, b.Name).Uint(fieldBasisThreshold, uint64(b.Threshold))
	return e.List(fieldBasisCommittee, len(b.Committee), func(i int, e *transcript.Encoder) { e.String(1, b.Committee[i]) }).Sum()
}

func decodeBasis(raw []byte) (b Basis, err error) {
	d := transcript.NewDecoder(raw)
	for _, id := range []struct {
		tag transcript.Tag
		id  *statement.ID
	}{{fieldBasisVault, &b.Vault}, {fieldBasisCharter, &b.Charter}, {fieldBasisRoster, &b.Roster}} {
		copy(id.id[:], d.Fixed(id.tag, 32))
	}
	b.Name, b.Threshold = d.String(fieldBasisName, 64), int(d.Uint(fieldBasisThreshold, statement.MaxOperators))
	d.List(fieldBasisCommittee, 2, statement.MaxOperators, func(_ int, d *transcript.Decoder) { b.Committee = append(b.Committee, d.String(1, 64)) })
	return b, d.Done()
}

func (d *Desk) each(ctx context.Context, kind string, do func(name string, value []byte) error) error {
	for prefix, after := store.Prefix(kind), ""; ; {
		items, err := d.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		for _, it := range items {
			if err := do(it.Key[len(prefix):], it.Value); err != nil {
				return fmt.Errorf("read row %q: %w", it.Key, err)
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

func basisKey(vault statement.ID, sum [32]byte) string {
	return store.Key(kindBasis, store.ID(vault[:]), store.ID(sum[:]))
}

func (d *Desk) base(vault statement.ID, sum [32]byte) {
	if d.based[vault] == nil {
		d.based[vault] = map[[32]byte]bool{}
	}
	d.based[vault][sum] = true
}

// readBases notes which are kept, to erase them in time.
func (d *Desk) readBases(ctx context.Context) error {
	return d.each(ctx, kindBasis, func(name string, _ []byte) error {
		if len(name) != 129 || name[64] != '/' {
			return errors.New("it is not of a vault and a plan")
		}
		vault, err := statement.ParseID(name[:64])
		if err != nil {
			return err
		}
		sum, err := statement.ParseID(name[65:])
		d.base(vault, sum)
		return err
	})
}

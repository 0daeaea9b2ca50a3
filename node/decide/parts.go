package decide

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// A transaction may need several signatures: on Bitcoin one for each coin that it spends. Each is a session's, one after another, and is told to all
// members, so that whoever signs the next need not have signed the last (spec/node 7a). Alone it is worth nothing: it covers the whole transaction, and no chain
// takes that with one missing.

// MaxUses bounds the signatures of one transaction.
const MaxUses = 512

const partSize = 64 + 1

// missing are the signatures that are not known here, by their place.
func (f *file) missing() (out []int) {
	if f.payload == nil {
		return nil
	}
	for i := range f.payload.Uses() {
		if _, known := f.parts[i]; !known {
			out = append(out, i)
		}
	}
	return out
}

// with are all signatures in their order, once there is none missing beside one's own.
func (f *file) with(i int, sig effect.Signature) (all []effect.Signature, whole bool) {
	for _, j := range f.missing() {
		if j != i {
			return nil, false
		}
	}
	for j := range f.payload.Uses() {
		if j == i {
			all = append(all, sig)
			continue
		}
		all = append(all, f.parts[j])
	}
	return all, true
}

// keepPart takes note of one that is durable.
func (f *file) keepPart(i int, sig effect.Signature) {
	f.parts = maps.Clone(f.parts)
	if f.parts == nil {
		f.parts = map[int]effect.Signature{}
	}
	f.parts[i] = sig
}

// root is the vault's root of a suite. An intent names one key and its epoch, and approvals collected under one committee serve no other: so all roots that sign for it are
// held by the same operators, with the same threshold.
func (d *Desk) root(v ceremony.View, suite string) (ceremony.View, error) {
	w, err := d.known(v, suite)
	if err != nil {
		return w, err
	}
	if w.Vault.Threshold != v.Vault.Threshold || !slices.Equal(w.Vault.Committee, v.Vault.Committee) {
		return w, fmt.Errorf("vault %s: its keys of suites %s and %s are held by different operators now: spend their coins in transactions of their own", v.Vault.Name, v.Suite, suite)
	}
	w.Vault = v.Vault // on the terms that the intent stands under
	return w, nil
}

// known is the vault's root of a suite, whoever holds it: what was signed before one of the keys moved on is read with it still, counts, and is followed.
func (d *Desk) known(v ceremony.View, suite string) (ceremony.View, error) {
	if v.Suite == suite {
		return v, nil
	}
	for _, w := range d.cfg.Vault(v.Vault.ID) {
		switch {
		case w.Suite != suite:
		case w.Current == nil || w.Damage != nil:
			return w, errors.Join(ceremony.ErrNoKey, w.Damage)
		default:
			return w, nil
		}
	}
	return v, fmt.Errorf("vault %s has no key of suite %s", v.Vault.Name, suite)
}

// together says why the keys that a payload uses do not sign one transaction now.
func (d *Desk) together(p payload.Payload, v ceremony.View) error {
	last := v.Suite
	for _, u := range p.Uses() {
		if u.Suite == last {
			continue
		}
		if _, err := d.root(v, u.Suite); err != nil {
			return err
		}
		last = u.Suite
	}
	return nil
}

// request is what a session is asked for that makes a use's signature.
func request(it intent.Intent, id statement.ID, u effect.Use) (protocol.Request, error) {
	digest, err := protocol.Digest(u.Suite, u.Message)
	return protocol.Request{Purpose: it.Purpose, Intent: id, Path: hd.Path(u.Path[:]), Digest: digest, Tree: u.Root}, err
}

// asked is which of an intent's missing signatures a setup is for, and the root that makes it.
func (d *Desk) asked(f *file, v ceremony.View, s *mpc.Setup, req *protocol.OnlineRequest) (i int, w ceremony.View, err error) {
	if f.payload == nil {
		return 0, v, errNotDecoded
	}
	for i, u := range f.payload.Uses() {
		want, err := request(f.life.Intent(), f.stmt.ID(), u)
		if err != nil {
			return 0, v, err
		}
		if u.Suite != s.Suite || string(want.Encode()) != string(req.Request.Encode()) {
			continue
		}
		if _, known := f.parts[i]; known {
			return 0, v, fmt.Errorf("intent %s: signature %d of %d is known", f.stmt.ID().Short(), i+1, len(f.payload.Uses()))
		}
		w, err = d.root(v, u.Suite)
		return i, w, err
	}
	return 0, v, fmt.Errorf("intent %s: the setup's digest, path, purpose or script tree is not what this node decoded", f.stmt.ID().Short())
}

// goOn makes one of several signatures durable, tells it, and leaves the intent to its next session. One that another signer told first is told by nobody again.
func (d *Desk) goOn(ctx context.Context, now time.Time, f *file, session [32]byte, i int, sig effect.Signature) error {
	next, err := f.life.Apply(intent.PartMade{Session: session}, now)
	if err != nil {
		return err
	}
	if _, known := f.parts[i]; known {
		err = d.cfg.Journal.Write(ctx, f.moved(next))
	} else {
		err = d.cfg.Post(ctx, now, f.partEntry(next, now, i, sig), partNote(f.stmt.ID(), i, sig))
	}
	if err != nil && !errors.Is(err, outbox.ErrOld) {
		return err
	}
	d.went(f, next)
	f.keepPart(i, sig)
	f.next, f.idles = now, 0
	return nil
}

// partEntry is the row of a signature that is one of several.
func (f *file) partEntry(next intent.Life, now time.Time, i int, sig effect.Signature) journal.Entry {
	e := f.moved(next, f.says(tlog.KindPart, now, encodePart(sig)))
	e.Put = append(e.Put, store.Entry{Key: partKey(f.stmt.ID(), i), Value: encodePart(sig)})
	return e
}

// takePart takes one that others made: it verifies by itself.
func (d *Desk) takePart(now time.Time, id, place, raw []byte, write writer) error {
	f, err := d.fileOf(id)
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return err
	}
	if d.decode(f, v); f.payload == nil {
		return errNotDecoded
	}
	i, sig, err := d.readPart(f, v, place, raw)
	if err != nil {
		return err
	}
	if _, known := f.parts[i]; known || f.raw != nil {
		return outbox.ErrOld
	}
	if all, whole := f.with(i, sig); whole {
		signed, err := f.payload.Assemble(all)
		if err != nil {
			return err
		}
		return d.sign(now, f, signed.Raw, write)
	}
	if err := write(f.partEntry(f.life, now, i, sig)); err != nil {
		return err
	}
	f.keepPart(i, sig)
	return nil
}

// readPart reads a signature and its place, and verifies it.
func (d *Desk) readPart(f *file, v ceremony.View, place, raw []byte) (i int, sig effect.Signature, err error) {
	uses := f.payload.Uses()
	if len(place) != 2 || int(binary.BigEndian.Uint16(place)) >= len(uses) {
		return 0, sig, fmt.Errorf("intent %s: a signature's place is %x, and it needs %d", f.stmt.ID().Short(), place, len(uses))
	}
	i = int(binary.BigEndian.Uint16(place))
	if sig, err = decodePart(raw); err != nil {
		return 0, sig, err
	}
	w, err := d.known(v, uses[i].Suite) // also where one of the keys moved on since: what is kept would else seem to be somebody's work at the next start
	if err != nil {
		return 0, sig, err
	}
	key, err := Key(w, uses[i].Path[:])
	if err != nil {
		return 0, sig, err
	}
	return i, sig, chain.CheckUse(uses[i], key, sig)
}

// loadParts reads back what was kept of a transaction that needs several.
func (d *Desk) loadParts(ctx context.Context, f *file, v ceremony.View) error {
	if f.payload == nil || f.raw != nil || len(f.payload.Uses()) == 1 {
		return nil
	}
	for i := range f.payload.Uses() {
		key := partKey(f.stmt.ID(), i)
		it, err := d.cfg.Journal.Store().Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		_, sig, err := d.readPart(f, v, binary.BigEndian.AppendUint16(nil, uint16(i)), it.Value)
		if err != nil {
			return madeUp(key, err)
		}
		f.keepPart(i, sig)
	}
	return nil
}

func partNote(id statement.ID, i int, sig effect.Signature) outbox.Note {
	return outbox.Note{Kind: NotePart, Fields: [][]byte{id[:], binary.BigEndian.AppendUint16(nil, uint16(i)), encodePart(sig)}}
}

func encodePart(sig effect.Signature) []byte { return append(sig.Bytes[:], sig.Recovery) }

func decodePart(raw []byte) (sig effect.Signature, err error) {
	if len(raw) != partSize || raw[64] > 3 {
		return sig, fmt.Errorf("a signature has %d bytes, not %d, or a recovery id above 3", len(raw), partSize)
	}
	copy(sig.Bytes[:], raw)
	sig.Recovery = raw[64]
	return sig, nil
}

func partKey(id statement.ID, i int) string {
	return store.Key(kindPart, store.ID(id[:]), store.Number(uint64(i)))
}

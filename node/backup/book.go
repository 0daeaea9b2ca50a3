package backup

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// NoteBackup says that a backup was cut: statement, node's signature (spec/node 3).
const NoteBackup outbox.Kind = 0x63

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k == NoteBackup || k == NoteDrill }

const kindBackup = "backup" // backup/<operator>/<level>/<place>: when it was taken, statement, signature

// What an operator's words may fill of this node's log: so many in so long, by this node's clock.
const (
	burst  = 16
	within = time.Hour
	lately = 30 * 24 * time.Hour // an older one tells nothing that counts
)

// Config is what a Book works with.
type Config struct {
	Operator string
	Identity crypto.Signer
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger
	Post     func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error
	Roster   func() (charter.Roster, bool)
	Roots    func() []ceremony.View
	Document func() (charter.Document, bool)
	Ground   Ground // of drills
}

// A Book keeps the newest word of each operator about each of its places.
type Book struct {
	cfg Config

	mu    sync.Mutex
	noted map[place]Entry
	spent map[string][]time.Time

	drills  map[drilledKey]Drilled
	drilled map[drilledKey][]time.Time // when they were taken, lately
}

type place struct {
	operator string
	level    charter.Level
	name     string
}

// An Entry is a backup as it was noted here.
type Entry struct {
	backup.Noted
	Statement statement.Statement
	Signature []byte
	Taken     time.Time // by this node's clock
}

const (
	fieldTaken transcript.Tag = iota + 1
	fieldStatement
	fieldSignature
)

func (e Entry) row() store.Entry {
	var t transcript.Encoder
	t.Uint(fieldTaken, uint64(e.Taken.Unix())).Bytes(fieldStatement, e.Statement.Bytes()).Bytes(fieldSignature, e.Signature)
	return store.Entry{Key: store.Key(kindBackup, store.Name(e.Operator), store.Name(string(e.Level)), store.Name(e.Place)), Value: t.Sum()}
}

func entryOf(b []byte) (e Entry, err error) {
	d := transcript.NewDecoder(b)
	e.Taken = time.Unix(int64(d.Uint(fieldTaken, 1<<40)), 0).UTC()
	raw := d.Bytes(fieldStatement, statement.MaxBytes)
	e.Signature = d.Fixed(fieldSignature, ed25519.SignatureSize)
	if err = d.Done(); err == nil {
		e.Statement, err = statement.Parse(raw)
	}
	if err == nil {
		e.Noted, err = backup.Of(e.Statement)
	}
	return e, err
}

// OpenBook reads back what was noted. A row that cannot be read is passed over: it tells of a backup, which is there without it.
func OpenBook(ctx context.Context, cfg Config) (*Book, error) {
	b := &Book{cfg: cfg, noted: map[place]Entry{}, spent: map[string][]time.Time{}, drills: map[drilledKey]Drilled{}, drilled: map[drilledKey][]time.Time{}}
	err := each(ctx, cfg.Journal.Store(), store.Prefix(kindBackup), func(it store.Item) error {
		e, err := entryOf(it.Value)
		if err != nil {
			cfg.Log.Error("a row about a backup is passed over", "row", it.Key, "error", err)
			return nil
		}
		b.noted[e.place()] = e
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what backups were noted: %w", err)
	}
	if err := b.readDrills(ctx); err != nil {
		return nil, fmt.Errorf("read which drills were made: %w", err)
	}
	return b, nil
}

func (e Entry) place() place { return place{e.Operator, e.Level, e.Place} }

// Entries lists them, by operator, level and place.
func (b *Book) Entries() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Values(b.noted), func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.Operator, y.Operator), cmp.Compare(x.Level, y.Level), cmp.Compare(x.Place, y.Place))
	})
}

// Notes are what was noted and drilled, for who came later.
func (b *Book) Notes() (out []outbox.Note) {
	for _, e := range b.Entries() {
		out = append(out, outbox.Note{Kind: NoteBackup, Fields: [][]byte{e.Statement.Bytes(), e.Signature}})
	}
	for _, d := range b.Drills() {
		out = append(out, outbox.Note{Kind: NoteDrill, Fields: [][]byte{d.Statement.Bytes()}})
	}
	return out
}

// RefusedError says why a backup is not noted; whoever asked can mend it.
type RefusedError struct{ err error }

func (e *RefusedError) Error() string { return e.err.Error() }
func (e *RefusedError) Unwrap() error { return e.err }

func refused(format string, args ...any) error { return &RefusedError{fmt.Errorf(format, args...)} }

// Held is that no export is cut while an emergency holds a vault of which this node has a share.
func Held(err error) error {
	return refused("cut an export: %w: cut it once the keys of the request have new shares, or it is over (`ostraka sos status`)", err)
}

// Place says whether an operator may keep a backup of this level there, by the charter in force.
func (b *Book) Place(operator string, level charter.Level, name string) error {
	doc, ok := b.cfg.Document()
	if !ok {
		return refused("no charter is in force: it says where backups lie")
	}
	var names []string
	for _, o := range doc.Operators {
		for _, p := range o.Places {
			if o.Name == operator && p.Level == level {
				names = append(names, p.Name)
			}
		}
	}
	if !slices.Contains(names, name) {
		return refused("the charter lists no place %q of level %s for operator %s: it lists %q; a place that it does not list is in no control map", name, level, operator, names)
	}
	return nil
}

// Lacking lists the operators with a share of a key for whom the charter lists places of backups, and who noted none, at any of them, of the epoch
// in force. Where guardians are, a backup without the mask is none.
func (b *Book) Lacking(v ceremony.View) (operators []string) {
	doc, ok := b.cfg.Document()
	if !ok {
		return nil
	}
	r := v.Current.Record
	covers := func(k backup.NotedKey) bool {
		return k.KeyID == r.KeyID && k.Record == r.Hash() && (k.Mask || r.Guardians == [32]byte{})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range r.Members {
		name, listed, covered := v.Names[m.ID], false, false
		for _, o := range doc.Operators {
			for _, p := range o.Places {
				if o.Name == name && p.Level != charter.Replica {
					listed = true
					covered = covered || slices.ContainsFunc(b.noted[place{name, p.Level, p.Name}].Keys, covers)
				}
			}
		}
		if listed && !covered {
			operators = append(operators, name)
		}
	}
	slices.Sort(operators)
	return operators
}

// Note has this node say that a backup with this header was cut. It must be of this node, and of the epochs that are in force.
func (b *Book) Note(ctx context.Context, now time.Time, signed []byte) (Entry, error) {
	h, err := backup.DecodeHeader(signed)
	if err != nil {
		return Entry{}, &RefusedError{err}
	}
	if err := b.ours(now, h); err != nil {
		return Entry{}, err
	}
	var salt statement.Salt
	if _, err := io.ReadFull(b.cfg.Rand, salt[:]); err != nil {
		return Entry{}, fmt.Errorf("note a backup: read entropy: %w", err)
	}
	n := backup.NotedOf(signed, h, now)
	s, err := n.Statement(salt)
	if err != nil {
		return Entry{}, err
	}
	sig, err := signet.SignNode(b.cfg.Identity, s)
	if err != nil {
		return Entry{}, err
	}
	n.ID = s.ID()
	e := Entry{n, s, sig, now.UTC().Truncate(time.Second)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.noted[e.place()]; ok && old.Header == e.Header {
		return old, nil // said before
	} else if ok && old.Cut.After(e.Cut) {
		return e, refused("a later backup at %s was noted before, cut at %s", e.Place, statement.FormatTime(old.Cut))
	}
	err = b.cfg.Post(ctx, now, e.entry(now), outbox.Note{Kind: NoteBackup, Fields: [][]byte{s.Bytes(), sig}})
	if err == nil {
		b.noted[e.place()] = e
	}
	return e, err
}

// ours holds a header to this node: what it says of another, or of an epoch that is over, would lull everybody.
func (b *Book) ours(now time.Time, h backup.Header) error {
	if h.Operator != b.cfg.Operator || !h.Identity.Equal(b.cfg.Identity.Public()) {
		return refused("this backup is of operator %s, not of this node", h.Operator)
	}
	if r, ok := b.cfg.Roster(); !ok || r.Circle != h.Circle {
		return refused("this backup is of circle %q, in which this node is not", h.Circle)
	}
	if h.Created.Sub(now) > 0 {
		return refused("this backup is of %s, which is in the future: set the clock", statement.FormatTime(h.Created))
	}
	if err := b.Place(h.Operator, h.Level, h.Place); err != nil {
		return err
	}
	roots := b.cfg.Roots()
	for _, k := range h.Keys {
		i := slices.IndexFunc(roots, func(v ceremony.View) bool { return v.KeyID == k.KeyID && v.Current != nil })
		if i < 0 || roots[i].Vault.ID != k.Vault {
			return refused("key %x of vault %s is not known to this node", k.KeyID[:6], k.Name)
		}
		if r := roots[i].Current.Record; r.Hash() != k.Record {
			return refused("this backup is of epoch %d of vault %s, and epoch %d is in force: it is void; cut a new one", k.Epoch, k.Name, r.Epoch)
		}
	}
	return nil
}

func (e Entry) entry(now time.Time) journal.Entry {
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{e.row()}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, [32]byte{}, e.Statement.Bytes(), e.Signature)},
	}
}

// Take takes another node's word on its operator's backup, or anybody's drill.
func (b *Book) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if n.Kind == NoteDrill {
		return b.takeDrill(ctx, now, n, write)
	}
	if len(n.Fields) != 2 {
		return fmt.Errorf("note about a backup has %d fields, not 2", len(n.Fields))
	}
	s, err := statement.ParseKind(n.Fields[0], statement.Backup)
	if err != nil {
		return err
	}
	e := Entry{Statement: s, Signature: n.Fields[1], Taken: now.UTC().Truncate(time.Second)}
	if e.Noted, err = backup.Of(s); err != nil {
		return err
	}
	r, _ := b.cfg.Roster()
	o, ok := r.Operator(e.Operator)
	if !ok {
		return fmt.Errorf("%w: operator %s, who says it cut a backup, is not in the roster", outbox.ErrLater, e.Operator)
	}
	if err := signet.VerifyNode(o.Identity, s, e.Signature); err != nil {
		return err
	}
	switch {
	case e.Created.Sub(now) > intent.Skew:
		return fmt.Errorf("operator %s noted a backup at %s, which is in the future: one of the two clocks is wrong", e.Operator, statement.FormatTime(e.Created))
	case now.Sub(e.Created) > lately:
		return outbox.ErrOld
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.noted[e.place()]; ok && !e.Created.After(old.Created) {
		return outbox.ErrOld
	}
	if err := b.Place(e.Operator, e.Level, e.Place); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err) // its charter may be on its way
	}
	recent := slices.DeleteFunc(b.spent[e.Operator], func(t time.Time) bool { since := now.Sub(t); return since < 0 || since > within })
	if len(recent) >= burst {
		return fmt.Errorf("%w: operator %s has noted %d backups within %s", outbox.ErrLater, e.Operator, burst, within)
	}
	if err := write(e.entry(now)); err != nil {
		return err
	}
	b.spent[e.Operator] = append(recent, now)
	b.noted[e.place()] = e
	return nil
}

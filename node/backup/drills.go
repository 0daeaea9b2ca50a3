package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// NoteDrill shows that a backup opens: statement (spec/node 3).
const NoteDrill outbox.Kind = 0x64

const kindDrill = "drill" // drill/<key>/<role>/<name>: when it was taken, of when its checkpoint is, statement

// drillBurst is how many drills of one key one person may have within an hour: each is a leaf in every log.
const drillBurst = 8

// drillsLast is how old a drill may be that another node tells of: this one may have been away. At a person's door it is drill.Fresh.
const drillsLast = 30 * 24 * time.Hour

// A Ground is what a Book holds drills to.
type Ground struct {
	Logs  func() []tlog.Keys                                             // of the circle
	Known func(ctx context.Context, origin string, head tlog.Head) error // holds a head to what is known here of that log
	// Points are those of who drills, by our own record and set. Errors are outbox.ErrLater where the epoch is not known here yet.
	Points func(ctx context.Context, d drill.Drill) (drill.Points, error)
}

type drilledKey struct {
	key      [32]byte
	role, by string
}

// A Drilled is a drill as it was taken here.
type Drilled struct {
	drill.Drill
	Statement statement.Statement
	At        time.Time // when its checkpoint was cosigned last: the proof is not older, and counts as no younger
	Taken     time.Time // by this node's clock
}

func (d Drilled) of() drilledKey { return drilledKey{d.Key, d.Role, d.By} }

func (d Drilled) row() store.Entry {
	var t transcript.Encoder
	t.Uint(1, uint64(d.Taken.Unix())).Uint(2, uint64(d.At.Unix())).Bytes(3, d.Statement.Bytes())
	return store.Entry{Key: store.Key(kindDrill, store.ID(d.Key[:]), store.Name(d.Role), store.Name(d.By)), Value: t.Sum()}
}

func drilledOf(b []byte) (d Drilled, err error) {
	r := transcript.NewDecoder(b)
	d.Taken, d.At = time.Unix(int64(r.Uint(1, 1<<40)), 0).UTC(), time.Unix(int64(r.Uint(2, 1<<40)), 0).UTC()
	raw := r.Bytes(3, statement.MaxBytes)
	if err = r.Done(); err == nil {
		d.Statement, err = statement.Parse(raw)
	}
	if err == nil {
		d.Drill, err = drill.Of(d.Statement)
	}
	return d, err
}

// readDrills reads back what was taken. A row that cannot be read is passed over: whoever drilled it drills again.
func (b *Book) readDrills(ctx context.Context) error {
	return each(ctx, b.cfg.Journal.Store(), store.Prefix(kindDrill), func(it store.Item) error {
		d, err := drilledOf(it.Value)
		if err != nil {
			b.cfg.Log.Error("a row about a drill is passed over", "row", it.Key, "error", err)
			return nil
		}
		b.drills[d.of()] = d
		return nil
	})
}

// Drills lists the newest of each key and person, by key, role and name.
func (b *Book) Drills() []Drilled {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Values(b.drills), func(x, y Drilled) int {
		return cmp.Or(strings.Compare(string(x.Key[:]), string(y.Key[:])), cmp.Compare(x.Role, y.Role), cmp.Compare(x.By, y.By))
	})
}

// Fresh refuses a drill whose checkpoint is too old, or of the future, at a person's door.
func (b *Book) Fresh(now time.Time, n outbox.Note) error {
	d, _, err := readDrill(n)
	if err != nil {
		return err
	}
	seen, err := d.Seen(b.cfg.Ground.Logs())
	if err != nil {
		return fmt.Errorf("drill of %s %s: %w", d.Role, d.By, err)
	}
	if err := d.Timely(seen, now); err != nil {
		return fmt.Errorf("drill of %s %s: %w", d.Role, d.By, err)
	}
	return nil
}

func readDrill(n outbox.Note) (drill.Drill, statement.Statement, error) {
	if len(n.Fields) != 1 {
		return drill.Drill{}, statement.Statement{}, fmt.Errorf("note about a drill has %d fields, not 1", len(n.Fields))
	}
	s, err := statement.ParseKind(n.Fields[0], statement.BackupDrill)
	if err != nil {
		return drill.Drill{}, s, err
	}
	d, err := drill.Of(s)
	return d, s, err
}

// takeDrill takes a drill, whoever carries it (spec/backups 8.3, 7.4).
func (b *Book) takeDrill(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	d, s, err := readDrill(n)
	if err != nil {
		return err
	}
	bad := func(err error) error { return fmt.Errorf("drill of %s %s, key %x: %w", d.Role, d.By, d.Key[:6], err) }
	b.mu.Lock()
	defer b.mu.Unlock()
	e := Drilled{d, s, time.Time{}, now.UTC().Truncate(time.Second)}
	old, again := b.drills[e.of()]
	if again && old.ID == d.ID {
		return outbox.ErrOld
	}
	if e.At, err = b.grounded(ctx, now, d); err != nil {
		return bad(err)
	}
	if again && (!d.Created.After(old.Created) || e.At.Before(old.At)) { // replay: an older one would make a newer one look overdue
		return bad(fmt.Errorf("a newer one, of %s, was taken before", statement.FormatTime(old.Created)))
	}
	points, err := b.cfg.Ground.Points(ctx, d)
	if err != nil {
		return bad(err)
	}
	if err := d.Check(points); err != nil {
		return err
	}
	recent := slices.DeleteFunc(b.drilled[e.of()], func(t time.Time) bool { since := now.Sub(t); return since < 0 || since > within })
	if len(recent) >= drillBurst {
		return bad(fmt.Errorf("%w: they have shown %d within %s", outbox.ErrLater, drillBurst, within))
	}
	if err := write(e.entry(now)); err != nil {
		return err
	}
	b.drilled[e.of()] = append(recent, now)
	b.drills[e.of()] = e
	for _, dealer := range d.Spoiled {
		b.cfg.Log.Error("a dealer's encryption to a guardian is spoiled", "guardian", d.By, "dealer", dealer, "key", fmt.Sprintf("%x", d.Key[:6]))
	}
	return nil
}

// grounded verifies a drill's checkpoint, and that it is one of ours. It gives when it was cosigned.
func (b *Book) grounded(ctx context.Context, now time.Time, d drill.Drill) (time.Time, error) {
	seen, err := d.Seen(b.cfg.Ground.Logs())
	if errors.Is(err, drill.ErrUnknownLog) {
		return seen.At, fmt.Errorf("%w: %w", outbox.ErrLater, err) // its keys may be on their way
	}
	if err != nil {
		return seen.At, err
	}
	if late := min(now.Sub(seen.At), drillsLast); late > drill.Fresh && late < drillsLast {
		now = seen.At.Add(drill.Fresh) // another node took it in time; it counts from its checkpoint on, so that its age gains nobody anything
	}
	if err := d.Timely(seen, now); err != nil {
		return seen.At, err
	}
	return seen.At, b.cfg.Ground.Known(ctx, seen.Origin, seen.Head)
}

func (d Drilled) entry(now time.Time) journal.Entry {
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{d.row()}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, d.Vault, d.Statement.Bytes())},
	}
	if len(d.Spoiled) > 0 {
		text := fmt.Sprintf("guardian %s says that rows which %s encrypted to them in the epoch in force do not open", d.By, strings.Join(d.Spoiled, ", "))
		e.Leaves = append(e.Leaves, tlog.Says(tlog.KindAlarm, now, d.Vault, []byte(text)).On(d.ID))
	}
	return e
}

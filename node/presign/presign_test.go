package presign

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
	sim "github.com/ostraka/ostraka/sim/dkls"
)

var (
	ctx   = context.Background()
	start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
)

// A bench is the pools of two of three members, with everything around them in the test's hands.
type bench struct {
	t       *testing.T
	com     *sim.Committee
	view    ceremony.View
	pools   [2]*Pools
	unfit   map[engine.PartyID]bool
	away    map[engine.PartyID]bool
	pressed bool
	refused error // why no session of these signers is held
	gone    bool  // the key is not in force any more
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, com: sim.Make(2, 3), unfit: map[engine.PartyID]bool{}, away: map[engine.PartyID]bool{}}
	b.view = ceremony.View{
		Vault: charter.Vault{ID: statement.ID{1}, Name: "v", Suites: []string{charter.SuiteECDSA}, Terms: charter.Terms{Tier: charter.TierHot}}, Suite: charter.SuiteECDSA,
		Names: map[engine.PartyID]string{}, Current: &epoch.FinalCert{Record: b.com.Record},
	}
	for i := range b.pools {
		b.pools[i] = b.open(i, memory.NewDisk(), ModeHot)
	}
	return b
}

func (b *bench) open(i int, disk *memory.Disk, mode Mode) *Pools {
	b.t.Helper()
	st, err := disk.Open()
	if err != nil {
		b.t.Fatal(err)
	}
	j, err := journal.Open(ctx, st)
	if err != nil {
		b.t.Fatal(err)
	}
	return New(Config{
		Self: b.com.Parties[i].ID, Mode: mode, Journal: j, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Pick: func(want func(suite, tier string) bool) []ceremony.View {
			if b.gone || !want(b.view.Suite, b.view.Vault.Tier) {
				return nil
			}
			return []ceremony.View{b.view}
		},
		Root:  func(key [32]byte) (ceremony.View, bool) { return b.view, !b.gone && b.view.Current.Record.KeyID == key },
		Keys:  func(context.Context, [32]byte, epoch.Hash) (*protocol.Keys, error) { return b.com.Keys(i) },
		Fit:   func(context.Context, time.Time, *mpc.Setup, [32]byte) error { return b.refused },
		Unfit: func(_ context.Context, _, _ [32]byte) (map[engine.PartyID]bool, error) { return b.unfit, nil },
		Choose: func(_ context.Context, _ time.Time, _ [32]byte, from []mpc.Party, n int) ([]mpc.Party, error) {
			return from[:min(n, len(from))], nil
		},
		Reachable: func(p engine.PartyID) bool { return !b.away[p] },
		Shuns:     func(time.Time, engine.PartyID) bool { return false },
		Pressed:   func(time.Time, [32]byte) bool { return b.pressed },
	})
}

func (b *bench) key() [32]byte { return b.com.Record.Hash() }

// setup is what the first opens; nil if it opens nothing.
func (b *bench) setup(now time.Time) *mpc.Setup {
	open := b.pools[0].Tick(ctx, now)
	if len(open) == 0 {
		return nil
	}
	open[0].Opener = b.com.Parties[0].ID
	return open[0]
}

// made runs one presign session of the two, for real.
func (b *bench) made(now time.Time) {
	b.t.Helper()
	s := b.setup(now)
	if s == nil {
		b.t.Fatal("nothing is opened")
	}
	var tickets [2]dkls.Ticket
	var machines []*engine.Session[dkls.Presignature]
	for i, p := range b.pools {
		ticket, err := p.reserve(ctx, b.view, s)
		if err != nil {
			b.t.Fatal(err)
		}
		keys, err := b.com.Keys(i)
		if err != nil {
			b.t.Fatal(err)
		}
		seat := protocol.Seat{Session: engine.SessionID{byte(now.Unix()), byte(now.Unix() >> 8), 1}, Setup: s, Self: b.com.Parties[i].ID, Rand: enginetest.Reader(uint64(now.Unix())<<8 | uint64(i))}
		stage, err := protocol.Presign(seat, keys, ticket)
		if err != nil {
			b.t.Fatal(err)
		}
		m, err := protocol.Engine(seat, stage)
		if err != nil {
			b.t.Fatal(err)
		}
		tickets[i], machines = ticket, append(machines, m)
	}
	out, err := enginetest.Run(enginetest.Options{}, machines...).Results()
	if err != nil {
		b.t.Fatal(err)
	}
	for i, p := range b.pools {
		if err := p.put(out[i]); err != nil {
			b.t.Fatal(err)
		}
		p.made(now, s, tickets[i], nil)
	}
}

func (b *bench) use(id dkls.PresigID, n byte) (*mpc.Setup, dkls.PresigID, [32]byte) {
	r := b.com.Record
	return &mpc.Setup{
		Protocol: protocol.ProtocolOnline, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Parties: b.com.Parties[:2], Nonce: [32]byte{n}, Opener: b.com.Parties[0].ID, NotAfter: start,
	}, id, [32]byte{n}
}

func (b *bench) take(p *Pools, id dkls.PresigID, n byte) (*Taken, error) {
	s, id, digest := b.use(id, n)
	return p.Take(ctx, b.view, s, id, digest)
}

func TestModes(t *testing.T) {
	for in, want := range map[string]Mode{"": ModeHot, "hot": ModeHot, "all": ModeAll, "off": ModeOff} {
		if got, err := ParseMode(in); got != want || err != nil {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
	if _, err := ParseMode("on"); err == nil {
		t.Error("another word passes")
	}
	b := newBench(t)
	for _, c := range []struct {
		mode        Mode
		tier, suite string
		want        bool
	}{
		{ModeHot, charter.TierHot, charter.SuiteECDSA, true}, {ModeHot, charter.TierWarm, charter.SuiteECDSA, false}, {ModeHot, charter.TierCold, charter.SuiteECDSA, false},
		{ModeAll, charter.TierCold, charter.SuiteECDSA, true}, {ModeOff, charter.TierHot, charter.SuiteECDSA, false}, {ModeAll, charter.TierHot, charter.SuiteEd25519, false},
	} {
		v := b.view
		v.Vault.Tier, v.Suite = c.tier, c.suite
		if got := New(Config{Mode: c.mode}).Wants(v); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if (&Pools{cfg: Config{Mode: ModeAll}}).Wants(ceremony.View{Suite: charter.SuiteECDSA}) {
		t.Error("presignatures of a key that is not in force")
	}
}

func TestTakenOnceWithItsRecord(t *testing.T) {
	b := newBench(t)
	b.made(start)
	p := b.pools[0]
	id, ok := p.Next(start, b.view, b.com.Parties[:2])
	if !ok {
		t.Fatal("nothing is held")
	}
	if _, again := p.Next(start, b.view, b.com.Parties[:2]); again {
		t.Fatal("one presignature is named for two sessions")
	}
	if again, ok := p.Next(start.Add(mentionFor), b.view, b.com.Parties[:2]); !ok || again != id {
		t.Fatal("a presignature that no session took is never named again")
	}
	other := b.view
	cert := *other.Current
	record := *cert.Record
	record.Epoch++
	cert.Record = &record
	other.Current = &cert
	s, _, digest := b.use(id, 1)
	if _, err := p.Take(ctx, other, s, id, digest); !errors.Is(err, dkls.ErrNotHeld) {
		t.Fatalf("taken for another epoch: %v", err)
	}
	s.Parties = b.com.Parties
	if _, err := p.Take(ctx, b.view, s, id, digest); !errors.Is(err, dkls.ErrNotHeld) {
		t.Fatalf("taken for other signers: %v", err)
	}
	got, err := b.take(p, id, 1)
	if err != nil || got.Presignature.ID() != id {
		t.Fatal(err)
	}
	if _, err := b.take(p, id, 1); !errors.Is(err, dkls.ErrNotHeld) {
		t.Fatalf("taken twice: %v", err)
	}
	e := got.Entry(start)
	if len(e.If) != 1 || e.If[0].Revision != 0 || e.If[0].Key != e.Put[0].Key || len(e.Leaves) != 1 || e.Put[0].Key != got.burn.Name() {
		t.Fatalf("entry %+v", e)
	}
	rows := []engine.Record{{Name: e.Put[0].Key, Value: e.Put[0].Value}}
	if _, err := got.Save(ctx, rows); err == nil {
		t.Error("the session goes on though its burn record is not durable")
	}
	if err := p.cfg.Journal.Write(ctx, e); err != nil {
		t.Fatal(err)
	}
	save, err := got.Save(ctx, rows)
	if err != nil || p.cfg.Journal.Write(ctx, save) != nil {
		t.Errorf("the burn record is durable, and the session ends: %v", err)
	}
	if len(save.If) != 1 || save.If[0].Key != e.Put[0].Key || save.If[0].Revision == 0 {
		t.Errorf("the session goes on whatever became of its burn record: %+v", save.If)
	}
	for name, bad := range map[string][]engine.Record{
		"none": nil, "two": append(rows, rows[0]), "another name": {{Name: "presig-burn/00", Value: rows[0].Value}}, "another use": {{Name: rows[0].Name, Value: []byte{1}}},
	} {
		if _, err := got.Save(ctx, bad); err == nil {
			t.Errorf("rows: %s pass", name)
		}
	}
	if err := p.cfg.Journal.Write(ctx, e); err == nil {
		t.Error("a second burn record of one name is written")
	} else {
		got.Done(ctx, start, fmt.Errorf("wrapped: %w", err))
	}
	if st := p.Stats(); st.Hits != 1 || st.Held != 0 {
		t.Errorf("%+v", st)
	}
}

// Every reason to drop, and what it leaves.
func TestDrops(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(b *bench)
		want int
	}{
		"nothing":           {func(*bench) {}, 2},
		"another's pair":    {func(b *bench) { b.pools[0].DropPairs([]engine.Token{{Key: b.key(), Peer: b.com.Parties[2].ID}}) }, 2},
		"the pair":          {func(b *bench) { b.pools[0].DropPairs([]engine.Token{{Key: b.key(), Peer: b.com.Parties[1].ID}}) }, 0},
		"the peer is unfit": {func(b *bench) { b.unfit[b.com.Parties[1].ID] = true }, 0},
		"another charter":   {func(b *bench) { b.view.Vault.Under = statement.ID{9} }, 0},
		"another statement": {func(b *bench) { b.view.Vault.ID = statement.ID{9} }, 0},
		"no longer hot":     {func(b *bench) { b.view.Vault.Tier = charter.TierWarm }, 0},
		"not in force":      {func(b *bench) { b.gone = true }, 0},
		"stop":              {func(b *bench) { b.pools[0].Close() }, 0},
		"two misses": {func(b *bench) {
			for i := range byte(2) {
				b.pools[0].Used(b.key(), b.com.Record.Hash(), b.com.Parties[:2], dkls.PresigID{i}, false)
			}
		}, 0},
		"a miss, a hit, a miss": {func(b *bench) {
			for i := range byte(3) {
				b.pools[0].Used(b.key(), b.com.Record.Hash(), b.com.Parties[:2], dkls.PresigID{i}, i == 1)
			}
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.made(start)
			b.made(start.Add(time.Second))
			c.do(b)
			b.pressed = true
			b.pools[0].Tick(ctx, start.Add(2*time.Second))
			if got := b.pools[0].Held(b.key()); got != c.want {
				t.Errorf("%d are held, want %d", got, c.want)
			}
		})
	}
}

// A presign session that runs while its pair burns puts nothing into the pool.
func TestDropEndsWhatIsBeingMade(t *testing.T) {
	b := newBench(t)
	s := b.setup(start)
	p := b.pools[0]
	ticket, err := p.reserve(ctx, b.view, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.reserve(ctx, b.view, s); err == nil || !strings.Contains(err.Error(), "another presignature") {
		t.Fatalf("two presign sessions at once: %v", err)
	}
	if b.setup(start) != nil {
		t.Fatal("another session is opened meanwhile")
	}
	p.DropPairs([]engine.Token{{Key: b.key(), Peer: b.com.Parties[1].ID}})
	if held, open := p.pool.Count(b.key()); held+open != 0 {
		t.Fatalf("%d held, %d being made", held, open)
	}
	p.made(start, s, ticket, errors.New("ended"))
}

// When nothing is made.
func TestRefillWaits(t *testing.T) {
	for name, do := range map[string]func(b *bench){
		"intents wait":        func(b *bench) { b.pressed = true },
		"too few are there":   func(b *bench) { b.away[b.com.Parties[1].ID], b.away[b.com.Parties[2].ID] = true, true },
		"too few are fit":     func(b *bench) { b.unfit[b.com.Parties[1].ID], b.unfit[b.com.Parties[2].ID] = true, true },
		"we are not lowest":   func(b *bench) { b.pools[0] = b.open(1, memory.NewDisk(), ModeHot) },
		"off":                 func(b *bench) { b.pools[0] = b.open(0, memory.NewDisk(), ModeOff) },
		"stopped":             func(b *bench) { b.pools[0].Close() },
		"it failed just now":  func(b *bench) { b.pools[0].made(start, b.setup(start), dkls.Ticket{}, errors.New("x")) },
		"others are busy now": func(b *bench) { b.pools[0].made(start, b.setup(start), dkls.Ticket{}, &session.DeclinedError{}) },
	} {
		b := newBench(t)
		do(b)
		if b.setup(start.Add(time.Second)) != nil {
			t.Errorf("%s, and a session is opened", name)
		}
	}
	b := newBench(t)
	b.away[b.com.Parties[1].ID] = true
	if s := b.setup(start); s == nil || s.Parties[1].ID != b.com.Parties[2].ID {
		t.Error("not with the third while the second is away")
	}
	b.away = map[engine.PartyID]bool{}
	b.pools[0].made(start, b.setup(start), dkls.Ticket{}, &session.SilentError{Waiting: []engine.PartyID{b.com.Parties[1].ID}})
	if s := b.setup(start.Add(3 * time.Second)); s == nil || s.Parties[1].ID != b.com.Parties[2].ID {
		t.Error("not with the third after the second was silent")
	}
	if s := b.setup(start.Add(2 * time.Minute)); s == nil || s.Parties[1].ID != b.com.Parties[1].ID {
		t.Error("the second is left out for ever")
	}
}

func TestAdmit(t *testing.T) {
	b := newBench(t)
	good := b.setup(start)
	if task, err := b.pools[1].Admit(ctx, start, good); err != nil {
		t.Fatal(err)
	} else {
		task.Done(ctx, start, errors.New("over"), false)
	}
	for name, spoil := range map[string]func(*mpc.Setup){
		"payload":     func(s *mpc.Setup) { s.Payload = []byte{1} },
		"opener":      func(s *mpc.Setup) { s.Opener = b.com.Parties[1].ID },
		"more of us":  func(s *mpc.Setup) { s.Parties = b.com.Parties },
		"key":         func(s *mpc.Setup) { s.KeyID[0] ^= 1 },
		"epoch":       func(s *mpc.Setup) { s.Epoch[0] ^= 1 },
		"threshold":   func(s *mpc.Setup) { s.Threshold = 3 },
		"seat":        func(s *mpc.Setup) { s.Parties = append([]mpc.Party{}, s.Parties...); s.Parties[1].Index = 9 },
		"other suite": func(s *mpc.Setup) { s.Suite = epoch.SuiteEd25519 },
	} {
		s := *good
		spoil(&s)
		if _, err := b.pools[1].Admit(ctx, start, &s); err == nil {
			t.Errorf("another %s is admitted", name)
		}
	}
	b.pressed = true
	if _, err := b.pools[1].Admit(ctx, start, good); err == nil {
		t.Error("admitted while intents wait")
	}
	b.pressed, b.refused = false, errors.New("a pair is burned")
	if _, err := b.pools[1].Admit(ctx, start, good); !errors.Is(err, b.refused) {
		t.Errorf("admitted with a burned pair: %v", err)
	}
	b.refused, b.view.Vault.Tier = nil, charter.TierWarm
	if _, err := b.pools[1].Admit(ctx, start, good); err == nil {
		t.Error("admitted for a vault that is not hot")
	}
}

// Each process has a token above all before; a pool of another life gives nothing out, and neither does one whose store was taken over.
// before does something once, before the first batch that writes a key.
type before struct {
	store.Store
	key string
	do  func()
}

func (s *before) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if do := s.do; do != nil && slices.ContainsFunc(b.Put, func(e store.Entry) bool { return e.Key == s.key }) {
		s.do = nil
		do()
	}
	return s.Store.Commit(ctx, b)
}

// Two processes over one store that raise the token at the same moment: they never have the same one.
func TestFenceIsRaisedByOne(t *testing.T) {
	b := newBench(t)
	st, err := memory.NewDisk().Open()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(ctx, &before{st, keyFence, func() {
		other := store.Batch{Put: []store.Entry{{Key: keyFence, Value: binary.BigEndian.AppendUint64(nil, 1)}}}
		if _, err := st.Commit(ctx, other); err != nil {
			t.Fatal(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := b.pools[0].cfg
	cfg.Journal = j
	p := New(cfg)
	if err := p.open(ctx); !errors.Is(err, store.ErrConflict) || p.pool != nil {
		t.Errorf("a second pool with token %d: %v", p.fence, err)
	}
	if err := p.open(ctx); err != nil || p.fence != 2 {
		t.Errorf("again: token %d, %v", p.fence, err)
	}
}

func TestFence(t *testing.T) {
	b := newBench(t)
	disk := memory.NewDisk()
	for life := uint64(1); life <= 3; life++ {
		p := b.open(0, disk, ModeHot)
		if last, _, err := p.lastFence(ctx); err != nil || last != life-1 {
			t.Fatalf("life %d: token %d before anything is made: %v", life, last, err)
		}
		p.mu.Lock()
		err := p.open(ctx)
		p.mu.Unlock()
		if err != nil || p.fence != life {
			t.Fatalf("life %d has token %d: %v", life, p.fence, err)
		}
		disk.Crash()
	}
	b.made(start)
	p := b.pools[0]
	id, _ := p.Next(start, b.view, b.com.Parties[:2])
	e := journal.Entry{}
	last, cond, err := p.lastFence(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.If = append(e.If, cond)
	e.Put = append(e.Put, store.Entry{Key: keyFence, Value: binary.BigEndian.AppendUint64(nil, last+1)})
	if err := p.cfg.Journal.Write(ctx, e); err != nil {
		t.Fatal(err)
	}
	if _, err := b.take(p, id, 1); !errors.Is(err, dkls.ErrFenced) {
		t.Fatalf("a fenced pool gives out: %v", err)
	}
	if p.Held(b.key()) != 0 {
		t.Error("a fenced pool holds secrets")
	}
	e = journal.Entry{}
	e.Put = append(e.Put, store.Entry{Key: keyFence, Value: []byte("short")})
	if err := p.cfg.Journal.Write(ctx, e); err != nil {
		t.Fatal(err)
	}
	if _, err := b.take(p, id, 1); err == nil || errors.Is(err, dkls.ErrFenced) {
		t.Errorf("a damaged token passes: %v", err)
	}
}

func TestNothingIsPrinted(t *testing.T) {
	b := newBench(t)
	b.made(start)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, b.pools[0]); got != "[presignatures]" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

package rescue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// deskOf is a desk of these vaults, of which the first has no plan that can be read.
func deskOf(t *testing.T, generation *uint64, died *error, vaults ...statement.ID) *Desk {
	t.Helper()
	j, err := journal.Open(t.Context(), memory.New())
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), Config{
		Operator: "acme", Journal: j, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Mono: func() time.Duration { return time.Minute },
		Basis: func(vault statement.ID, _ []act.Key) (b Basis, err error) {
			if vault == vaults[0] {
				err = errors.New("its plan is lost")
			}
			return Basis{Vault: vault}, err
		},
		Plan:   func(b Basis) (plan.Plan, error) { return plan.Plan{Vault: b.Vault}, nil },
		Vaults: func() []statement.ID { return vaults }, Beats: func() map[string]time.Time { return nil }, Keys: func(statement.ID) []act.Key { return nil },
		Generation: func() uint64 { return *generation }, Fatal: func(err error) { *died = err },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vaults {
		d.asked[v] = true
	}
	return d
}

// What one vault's docket lacks keeps no other's from being counted anew after this node was set back; until it is, it is not to be had.
func TestStandsAlone(t *testing.T) {
	generation, died, now := uint64(0), error(nil), time.Unix(1_800_000_000, 0).UTC()
	one, other := statement.ID{1}, statement.ID{2}
	d := deskOf(t, &generation, &died, one, other)
	if _, err := d.Docket(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	generation = 3
	if _, err := d.Docket(t.Context(), other); !errors.Is(err, errStale) {
		t.Errorf("before it was counted anew: %v", err)
	}
	if err := d.Tick(t.Context(), now); err == nil || !strings.Contains(err.Error(), one.Short()) || strings.Contains(err.Error(), other.Short()) {
		t.Errorf("the tick says %v", err)
	}
	if k, err := d.Docket(t.Context(), other); err != nil || !k.Rolled() {
		t.Errorf("counted anew: %v, rolled back %v", err, k.Rolled())
	}
	if err := d.Tick(t.Context(), now.Add(time.Second)); err == nil { // it has no request: nothing is to be fetched
		t.Error("the first vault's error is forgotten")
	}
	if k, err := d.Docket(t.Context(), other); err != nil || k.Rolled() || d.stands[other] != (stand{generation: 3}) || d.stands[one] != (stand{}) {
		t.Errorf("%v, rolled back %v, %v", err, k.Rolled(), d.stands)
	}
}

// After a write whose outcome is not known, by this room or for it, no docket is read any more.
func TestUnknownOutcome(t *testing.T) {
	for name, write := range map[string]func(d *Desk, vault statement.ID) error{
		"its own": func(d *Desk, _ statement.ID) error { return d.outcome(fmt.Errorf("the disk: %w", store.ErrUnknown)) },
		"another room's": func(d *Desk, vault statement.ID) error {
			return d.Spend(context.Background(), time.Unix(1_800_000_000, 0).UTC(), vault, sos.Outflow{}, func(journal.Entry) error { return store.ErrUnknown })
		},
	} {
		generation, died, vault := uint64(0), error(nil), statement.ID{2}
		d := deskOf(t, &generation, &died, statement.ID{1}, vault)
		d.asked = map[statement.ID]bool{}
		if err := d.outcome(store.ErrFull); err == nil || died != nil || d.lost != nil {
			t.Errorf("%s: a write that failed ends it: %v", name, died)
		}
		if err := write(d, vault); !errors.Is(err, store.ErrUnknown) || !errors.Is(died, store.ErrUnknown) {
			t.Errorf("%s: %v, ended by %v", name, err, died)
		}
		if _, err := d.Docket(t.Context(), vault); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s: the docket is read: %v", name, err)
		}
	}
}

// What is kept of a challenge is read back only in its own place, and whole; one that nobody counts any more is erased.
func TestChallengesAreKept(t *testing.T) {
	generation, died, now := uint64(0), error(nil), time.Unix(1_800_000_000, 0).UTC()
	d := deskOf(t, &generation, &died, statement.ID{1})
	s, err := act.Challenge{Charter: [32]byte{2}, Vault: [32]byte{1}, Operator: "bolt", Role: act.Guardian, By: "gail", Created: now}.Statement(statement.Salt{3})
	if err != nil {
		t.Fatal(err)
	}
	veto, err := act.Veto{Head: act.Head{Vault: [32]byte{1}, Request: [32]byte{4}, Charter: [32]byte{2}}, By: "gail", Reason: "no", Created: now}.Statement(statement.Salt{3})
	if err != nil {
		t.Fatal(err)
	}
	row := func(raw []byte, n int) []byte {
		x := outbox.Note{Kind: NoteSaid, Fields: [][]byte{raw, {1}, {2}}}
		x.Fields = x.Fields[:n]
		return x.Encode()
	}
	key := calledKey(statement.ID{1}, s.ID())
	for name, e := range map[string]store.Entry{
		"cut":             {Key: key, Value: row(s.Bytes(), 2)[:20]},
		"a field more":    {Key: key, Value: row(s.Bytes(), 3)},
		"another kind":    {Key: calledKey(statement.ID{1}, veto.ID()), Value: row(veto.Bytes(), 2)},
		"another's place": {Key: calledKey(statement.ID{2}, s.ID()), Value: row(s.Bytes(), 2)},
	} {
		if err := d.write(t.Context(), journal.Entry{Batch: store.Batch{Put: []store.Entry{e}}}); err != nil {
			t.Fatal(err)
		}
		if err := d.readCalled(t.Context()); err == nil || len(d.calls) > 0 {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.write(t.Context(), journal.Entry{Batch: store.Batch{Delete: []string{e.Key}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.write(t.Context(), journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: key, Value: row(s.Bytes(), 2)}}}}); err != nil {
		t.Fatal(err)
	}
	if err := d.readCalled(t.Context()); err != nil || len(d.calls) != 1 {
		t.Fatal(err, len(d.calls))
	}
	if notes := d.challenges(statement.ID{1}); len(notes) > 0 {
		t.Error("one that is not counted is told")
	}
	d.refuses[refusalOf(statement.ID{1}, "bolt")] = calling{by: map[string]statement.ID{"guardian gail": s.ID()}}
	if notes := d.challenges(statement.ID{1}); len(notes) != 1 || len(d.challenges(statement.ID{2})) > 0 {
		t.Error("one that is counted is not told, or of another vault")
	}
	delete(d.refuses, refusalOf(statement.ID{1}, "bolt"))
	if _, keys := d.uncalled(); len(keys) != 1 || keys[0] != key {
		t.Errorf("erased are %q", keys)
	}
}

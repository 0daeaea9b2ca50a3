//go:build nightly

package replicas

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/history"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// settle waits until all three nodes show every signature that one of them ever showed; and no other one.
func (n *night) settle(ctx context.Context, t *testing.T) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, a := range n.asked {
		if a.raw == "" {
			if _, err := n.look(ctx, 0, a); err != nil {
				t.Error(err)
			}
			continue
		}
		err := poll(ctx, "every node has the signature of intent "+a.stmt.ID().Short(), func() error {
			now, err := n.look(ctx, 0, a)
			if err != nil {
				return &finalError{err}
			}
			for i, it := range now {
				if it == nil || string(it.Raw) != a.raw || it.Alarm != "" {
					return fmt.Errorf("%s shows %v", n.houses[i].o.Name, it)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// reckon reads what the houses wrote, their processes gone, and asks whether one order explains all that anybody was told.
func (n *night) reckon(ctx context.Context, t *testing.T) {
	once, presignatures := history.New(), 0
	for _, h := range n.houses {
		if err := n.shelf(ctx, h); err != nil {
			t.Errorf("the store of %s: %v", h.o.Name, err)
		}
		events, err := h.chronicle.whole(ctx)
		if err != nil {
			t.Fatalf("the cluster of %s: %v", h.o.Name, err)
		}
		tenures, spent, err := h.chronicle.judge(events, once)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %d writes in %d tenures; one-time rows %v", h.o.Name, len(events), tenures, spent)
		least := 1
		for _, b := range ends {
			least += planned[b]
		}
		presignatures += spent["presig-burn/"]
		if tenures < least || spent["seen/"] < 20 {
			t.Errorf("%s: too little happened: at least %d tenures were ended", h.o.Name, least)
		}
	}
	if presignatures == 0 {
		t.Error("no presignature was used")
	}
	t.Logf("%d answers to people, %d one-time rows, %d nonces", n.told.Len(), once.Len(), len(n.nonces))
	for _, err := range []error{n.told.Check(history.Life()), once.Check(history.Store())} {
		if err != nil {
			t.Error(err)
		}
	}
}

// shelf reads a house's store as the next owner would: the log holds together, and has every signature that anybody was shown; what it has besides is the
// vault's too.
func (n *night) shelf(ctx context.Context, h *house) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := etcd.Connect(ctx, etcd.Options{Endpoints: h.m.endpoints, Name: h.o.Name})
	if err != nil {
		return err
	}
	defer c.Close()
	hold, err := c.Acquire(ctx, etcd.Info{Name: "reader"})
	if err != nil {
		return err
	}
	j, err := journal.Open(ctx, tagged.Unchecked(hold.Store()))
	if err != nil {
		return err
	}
	head, err := j.Verify(ctx)
	if err != nil {
		return err
	}
	logged, err := leaves(ctx, j, head.Size)
	if err != nil {
		return err
	}
	for _, a := range n.asked {
		if a.raw != "" && !logged[tlog.KindSigned+a.raw] {
			err = errors.Join(err, fmt.Errorf("its log lacks the signature of intent %s", a.stmt.ID().Short()))
		}
	}
	return errors.Join(err, n.recorded(ctx, h, tagged.Unchecked(hold.Store())), hold.Resign(ctx))
}

// leaves are the contents of the log's entries, each after its kind.
func leaves(ctx context.Context, j *journal.Journal, size int64) (map[string]bool, error) {
	all := map[string]bool{}
	for first := int64(0); first < size; {
		page, err := j.Leaves(ctx, first, 500)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("the log ends at %d of %d", first, size)
		}
		for _, l := range page {
			all[l.Kind+string(l.Content)] = true
		}
		first += int64(len(page))
	}
	return all, nil
}

// recorded takes the signatures that a store holds, also those that nobody was shown, into what was told: they are one for each intent.
func (n *night) recorded(ctx context.Context, h *house, s store.Store) error {
	byID := map[statement.ID]*asked{}
	for _, a := range n.asked {
		byID[a.stmt.ID()] = a
	}
	var wrong error
	for after := ""; ; {
		rows, err := s.Range(ctx, store.Prefix("raw"), after, store.MaxLimit)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.Key
			id, err := statement.ParseID(strings.TrimPrefix(row.Key, store.Prefix("raw")))
			a := byID[id]
			switch {
			case err != nil:
				return err
			case a == nil:
				return fmt.Errorf("intent %s is signed, and nobody asked for it", id.Short())
			}
			at := n.told.Now()
			n.told.Add(h.n, at, at, history.Seen{Intent: a.id(), Operator: h.n, Known: true, Votes: 3, Raw: hex.EncodeToString(row.Value)}, "store")
			wrong = errors.Join(wrong, n.genuine(a, row.Value), n.alone(a, row.Value))
		}
		if len(rows) < store.MaxLimit {
			return wrong
		}
	}
}

// alone wants that no other signature has this one's nonce.
func (n *night) alone(a *asked, raw []byte) error {
	nonce, err := nonceOf(a, raw)
	if err != nil {
		return err
	}
	if n.nonces == nil {
		n.nonces = map[string]string{}
	}
	if other, ok := n.nonces[nonce]; ok && other != string(raw) {
		return fmt.Errorf("intent %s is signed with %s, and so is another: %x", a.stmt.ID().Short(), nonce, other)
	}
	n.nonces[nonce] = string(raw)
	return nil
}

//go:build nightly

package replicas

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/ostraka/ostraka/internal/history"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// A chronicle is everything that was ever written into a house's cluster, in order: etcd tells every revision of every key.
type chronicle struct {
	h      *house
	client *clientv3.Client
	end    context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []*clientv3.Event
	err    error
}

func newChronicle(t *testing.T, h *house) *chronicle {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: h.m.endpoints, DialTimeout: 5 * time.Second, DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	out := &chronicle{h: h, client: c, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	out.end = cancel
	t.Cleanup(func() { cancel(); c.Close() })
	go out.read(ctx)
	return out
}

// read watches from the first revision on. A watch goes on from where it was when its member dies.
func (c *chronicle) read(ctx context.Context) {
	defer close(c.done)
	next := int64(1)
	for ctx.Err() == nil {
		one, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		for r := range c.client.Watch(one, "ostraka/"+c.h.o.Name+"/", clientv3.WithPrefix(), clientv3.WithRev(next)) {
			c.mu.Lock()
			if r.CompactRevision > next {
				c.err = fmt.Errorf("revisions %d to %d were forgotten before they were read", next, r.CompactRevision)
			}
			c.events = append(c.events, r.Events...)
			c.mu.Unlock()
			for _, e := range r.Events {
				next = max(next, e.Kv.ModRevision+1)
			}
		}
		cancel()
		time.Sleep(50 * time.Millisecond)
	}
}

// has says whether a row of a kind was written so far.
func (c *chronicle) has(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.events, func(e *clientv3.Event) bool {
		return strings.HasPrefix(string(e.Kv.Key), "ostraka/"+c.h.o.Name+"/"+kind)
	})
}

// whole waits until the last revision that the cluster has was read.
func (c *chronicle) whole(ctx context.Context) ([]*clientv3.Event, error) {
	last := "ostraka/" + c.h.o.Name + "/chronicle-ends"
	err := poll(ctx, "the chronicle is whole", func() error {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := c.client.Put(one, last, "")
		return err
	})
	if err == nil {
		err = poll(ctx, "the chronicle is whole", func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if n := len(c.events); c.err == nil && (n == 0 || string(c.events[n-1].Kv.Key) != last) {
				return errors.New("the last revision was not read yet")
			}
			return nil
		})
	}
	c.end()
	<-c.done
	return c.events, errors.Join(err, c.err)
}

// once are the kinds of rows that are written once and never again: a token that is spent, an answer that was given, a leaf of the log.
var once = []string{"presig-burn/", "seen/", "decision/", "raw/", "log/"}

// judge reads what was written as a history of one-time rows, and wants every record to be written while somebody owns the store, and one life of the
// node in each tenure, with a higher counter than all before. spent counts one-time rows by kind.
func (c *chronicle) judge(events []*clientv3.Event, h *history.History) (tenures int, spent map[string]int, err error) {
	spent = map[string]int{}
	prefix := "ostraka/" + c.h.o.Name + "/"
	var reign reign
	for len(events) > 0 {
		revision := events[0].Kv.ModRevision
		var batch []*clientv3.Event
		for len(events) > 0 && events[0].Kv.ModRevision == revision {
			batch, events = append(batch, events[0]), events[1:]
		}
		wrong := reign.follow(batch, prefix)
		for _, e := range batch {
			if key, is := strings.CutPrefix(string(e.Kv.Key), prefix+"r/"); is {
				wrong = errors.Join(wrong, c.token(e, key, revision, h, spent))
			}
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: revision %d: %w", c.h.o.Name, revision, wrong))
		}
	}
	return reign.tenures, spent, err
}

// token adds a write of a one-time row to the history: it holds only if nothing was there.
func (c *chronicle) token(e *clientv3.Event, key string, revision int64, h *history.History, spent map[string]int) error {
	for _, kind := range once {
		if !strings.HasPrefix(key, kind) {
			continue
		}
		b := history.Batch{Group: c.h.o.Name + " " + key, If: []history.Slot{{N: 0}}, Put: []history.Slot{{N: 0, Value: hex.EncodeToString(e.Kv.Value)}}}
		if e.Type == clientv3.EventTypeDelete {
			return errors.New("it was deleted")
		}
		h.Add(c.h.n, 2*revision, 2*revision+1, b, history.Done)
		spent[kind]++
	}
	return nil
}

// A reign follows who owns a store.
type reign struct {
	owned   bool
	tenures int
	lived   bool   // the tenure that is has begun its life
	counter uint64 // of the last life
}

// follow takes what one revision wrote.
func (r *reign) follow(batch []*clientv3.Event, prefix string) error {
	records, lanes := 0, 0
	for _, e := range batch {
		key, _ := strings.CutPrefix(string(e.Kv.Key), prefix)
		switch {
		case key == "owner" && e.Type == clientv3.EventTypeDelete:
			r.owned = false
		case key == "owner":
			if r.owned {
				return errors.New("an owner followed one that was there")
			}
			r.owned, r.lived, r.tenures = true, false, r.tenures+1
		case strings.HasPrefix(key, "lane/"):
			lanes++
		case strings.HasPrefix(key, "r/"):
			records++
		}
		if key == "r/instance" {
			if err := r.lives(e); err != nil {
				return err
			}
		}
	}
	switch {
	case records > 0 && lanes != 1:
		return fmt.Errorf("%d records were written by a batch of %d lanes", records, lanes)
	case lanes > 0 && !r.owned:
		return errors.New("a batch was written while nobody owned the store")
	}
	return nil
}

// lives takes a life of the node: counter 8, confirmed 8, instance 16, and its tag (spec/store 2 and 9).
func (r *reign) lives(e *clientv3.Event) error {
	value, _, err := store.Unframe("instance", e.Kv.Value)
	if err != nil || len(value) != 32+tagged.Size {
		return fmt.Errorf("the node's life has %d bytes: %w", len(value), err)
	}
	counter := new(big.Int).SetBytes(value[:8]).Uint64()
	if r.lived || counter <= r.counter {
		return fmt.Errorf("life %d began after life %d, in one tenure: %v", counter, r.counter, r.lived)
	}
	r.lived, r.counter = true, counter
	return nil
}

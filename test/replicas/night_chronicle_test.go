//go:build nightly

package replicas

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/ostraka/ostraka/internal/history"
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

// judge reads what was written as a history: of the owner's row, of every write under a token, of every one-time row. spent counts tokens by kind.
func (c *chronicle) judge(events []*clientv3.Event, h *history.History, fenced *history.History) (tenures int, spent map[string]int, err error) {
	spent = map[string]int{}
	house, prefix := c.h.o.Name, "ostraka/"+c.h.o.Name+"/"
	reign := reign{tokens: map[string]uint64{}}
	for len(events) > 0 {
		revision := events[0].Kv.ModRevision
		var batch []*clientv3.Event
		for len(events) > 0 && events[0].Kv.ModRevision == revision {
			batch, events = append(batch, events[0]), events[1:]
		}
		began, token, wrote, wrong := reign.follow(batch, prefix)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: revision %d: %w", house, revision, wrong))
		}
		if began {
			tenures++
		}
		if began || wrote {
			fenced.Add(0, 2*revision, 2*revision+1, history.Reign{Store: house, Token: token, Write: wrote}, nil)
		}
		for _, e := range batch {
			key, is := strings.CutPrefix(string(e.Kv.Key), prefix+"r/")
			if !is {
				continue
			}
			if wrong := c.token(e, key, revision, h, spent); wrong != nil {
				err = errors.Join(err, fmt.Errorf("%s: revision %d: %s: %w", house, revision, key, wrong))
			}
		}
	}
	return tenures, spent, err
}

// token adds a write of a one-time row to the history: it holds only if nothing was there.
func (c *chronicle) token(e *clientv3.Event, key string, revision int64, h *history.History, spent map[string]int) error {
	for _, kind := range once {
		if !strings.HasPrefix(key, kind) {
			continue
		}
		b := history.Batch{Group: c.h.o.Name + " " + key, If: []history.Slot{{N: 0}}, Put: []history.Slot{{N: 0, Value: hex.EncodeToString(e.Kv.Value)}}}
		if e.Type == mvccpb.Event_EventType(clientv3.EventTypeDelete) {
			return errors.New("it was deleted")
		}
		h.Add(c.h.n, 2*revision, 2*revision+1, b, history.Done)
		spent[kind]++
	}
	return nil
}

// A reign follows who owns a store. The id that a batch leaves in its lane begins with eight bytes that its tenure drew.
type reign struct {
	token  uint64            // of the owner's row as it is
	tokens map[string]uint64 // by those eight bytes
	drew   string            // those of the tenure that is
}

// follow takes what one revision wrote, and says whether a tenure began by it, or a batch was written and under which token.
func (r *reign) follow(batch []*clientv3.Event, prefix string) (began bool, token uint64, wrote bool, err error) {
	records, lane := 0, []byte(nil)
	for _, e := range batch {
		key, _ := strings.CutPrefix(string(e.Kv.Key), prefix)
		switch {
		case key == "owner" && e.IsCreate():
			r.token, r.drew = uint64(e.Kv.ModRevision), ""
			return true, r.token, false, nil
		case strings.HasPrefix(key, "lane/"):
			lane = e.Kv.Value
		case strings.HasPrefix(key, "r/"):
			records++
		}
	}
	if lane == nil {
		if records > 0 {
			err = fmt.Errorf("%d records were written by no batch", records)
		}
		return false, 0, false, err
	}
	if len(lane) != 16 {
		return false, 0, false, fmt.Errorf("its lane holds %x", lane)
	}
	drew := string(bytes.Clone(lane[:8]))
	token, known := r.tokens[drew]
	if !known {
		if r.drew != "" {
			return false, 0, false, errors.New("two processes wrote in one tenure")
		}
		r.drew, r.tokens[drew], token = drew, r.token, r.token
	}
	return false, token, true, nil
}

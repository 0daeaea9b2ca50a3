// Package delayed watches the Safes with a delay that the charter names (spec/delayed 4): a node reads each at its own endpoints, keeps whether the chain has it
// as the charter says and what waits in its queue, and writes an alarm into its log when something was queued. It signs nothing and stops nothing: people veto.
package delayed

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/wallet"
)

// Often is how much time lies between two alarms about one Safe, whatever is queued meanwhile: who holds the key would fill the log else.
const Often = time.Hour

// Bounds of one look.
const (
	readTime = time.Minute     // at one Safe
	again    = 5 * time.Minute // until an owner that is no address of the vault's is looked for once more: that derives each account's
)

// A Reader is where a chain is asked: *rpc.Panel.
type Reader interface {
	Delayed(ctx context.Context, d evm.Delay) (delayed.State, rpc.Header, error)
}

// A Watch reads the Safes. Its fields are set before the first step.
type Watch struct {
	Journal  *journal.Journal
	Readers  func(chain string) Reader // nil where there is no endpoint
	Charter  func() (charter.Charter, bool)
	Vaults   func() []ceremony.View // with a key
	Accounts *wallet.Accounts
	Log      *slog.Logger

	mu    sync.Mutex
	safes map[string]*Safe       // by vault and chain
	owned map[evm.Address]string // an owner of some Safe, and the vault whose address it is
	other map[string]time.Time   // one that was none of a vault's: by vault and address, and when it was looked for
}

// A Safe is one as this node last read it.
type Safe struct {
	Vault string
	charter.Delayed
	Unread bool // this node has no endpoint of the chain
	State  delayed.State
	Head   rpc.Header
	At     time.Time // when it was read; zero: never yet
	Unlike []string  // what is not as the charter says
	Err    error     // of the last attempt

	told uint64    // the first number of the queue of which no alarm was written by this process
	last time.Time // when the last alarm was
}

// Waiting are the calls of the queue that can still be carried out.
func (s Safe) Waiting() []delayed.Item { return s.State.Waiting(s.Head.Time) }

// Safes are all that the charter names of vaults that this node holds a key of, by vault and chain.
func (w *Watch) Safes() (out []Safe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.safes)) {
		out = append(out, *w.safes[name])
	}
	return out
}

// Step reads them all.
func (w *Watch) Step(ctx context.Context, now time.Time) {
	c, ok := w.Charter()
	if !ok {
		return
	}
	seen := map[string]bool{}
	for _, v := range w.Vaults() {
		b, listed := c.Vault(v.Vault.Name)
		if !listed || v.Suite != evm.Suite || v.Current == nil || v.Outside || v.GivenUp {
			continue
		}
		for _, x := range b.Delayed {
			name := v.Vault.Name + " " + x.Chain
			seen[name] = true
			if err := w.read(ctx, now, v, x, name); err != nil && ctx.Err() == nil {
				w.Log.Warn("Safe with a delay not read", "vault", v.Vault.Name, "chain", x.Chain, "error", err)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.other, func(_ string, at time.Time) bool { return now.Sub(at) >= again })
	maps.DeleteFunc(w.safes, func(name string, _ *Safe) bool { return !seen[name] })
}

// entry is what is kept of a Safe. Another one in its place begins anew.
func (w *Watch) entry(v ceremony.View, x charter.Delayed, name string) *Safe {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.safes == nil {
		w.safes, w.owned, w.other = map[string]*Safe{}, map[evm.Address]string{}, map[string]time.Time{}
	}
	if s := w.safes[name]; s == nil || s.Delayed != x {
		w.safes[name] = &Safe{Vault: v.Vault.Name, Delayed: x}
	}
	return w.safes[name]
}

func (w *Watch) read(ctx context.Context, now time.Time, v ceremony.View, x charter.Delayed, name string) error {
	s := w.entry(v, x, name)
	from := w.Readers(x.Chain)
	d, err := policy.Delay(x)
	var state delayed.State
	var head rpc.Header
	if err == nil && from != nil {
		within, cancel := context.WithTimeout(ctx, readTime)
		state, head, err = from.Delayed(within, d)
		cancel()
	}
	var owners []evm.Address
	if err == nil && from != nil {
		owners, err = w.owners(ctx, now, v, x.Chain, state.Owners)
	}
	w.mu.Lock()
	s.Unread, s.Err = from == nil, err
	if err != nil || from == nil {
		w.mu.Unlock()
		return err
	}
	s.State, s.Head, s.At = state, head, now
	s.Unlike = state.Unlike(delayed.Terms{Delay: d, Cooldown: x.Cooldown, Expiration: x.Expiration}, owners)
	fresh := slices.ContainsFunc(s.Waiting(), func(i delayed.Item) bool { return i.Nonce >= s.told }) && now.Sub(s.last) >= Often
	text := s.alarm()
	w.mu.Unlock()
	if !fresh {
		return nil
	}
	w.Log.Error("Safe with a delay", "vault", s.Vault, "chain", x.Chain, "alarm", text)
	if err := w.Journal.Write(ctx, journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, v.Vault.ID, []byte(text))}}); err != nil {
		return fmt.Errorf("tell the log: %s: %w", text, err)
	}
	w.mu.Lock()
	s.told, s.last = state.End, now
	w.mu.Unlock()
	return nil
}

// alarm says what waits. It is data of a chain: addresses and numbers alone.
func (s *Safe) alarm() string {
	waits := s.Waiting()
	if len(waits) == 0 {
		return ""
	}
	text := fmt.Sprintf("vault %s: %s queued for its Safe %s on %s by the key outside the vault; number %d can be carried out from %s on", s.Vault, calls(s.State), s.Safe, s.Chain, waits[0].Nonce, waits[0].Ready.Format(time.RFC3339))
	if c := waits[0].Call; c != nil {
		text += fmt.Sprintf(" (to %s, %s wei, %d bytes of data%s)", c.To, c.Value, len(c.Data), map[bool]string{true: "", false: ", AS THE SAFE ITSELF"}[c.Operation == 0])
	}
	return text
}

func calls(s delayed.State) string {
	if n := s.End - s.Next; n != 1 {
		return fmt.Sprintf("%d calls are", n)
	}
	return "a call is"
}

// owners are those of a Safe's owners that are addresses of the vault's: each account's, given out here or among the first beyond, for other nodes give out too.
func (w *Watch) owners(ctx context.Context, now time.Time, v ceremony.View, on string, all []evm.Address) (own []evm.Address, err error) {
	var unknown []evm.Address
	w.mu.Lock()
	for _, a := range all {
		if w.owned[a] == v.Vault.Name {
			own = append(own, a)
			continue
		}
		if at, sought := w.other[v.Vault.Name+" "+a.String()]; !sought || now.Sub(at) >= again {
			unknown = append(unknown, a)
		}
	}
	w.mu.Unlock()
	if len(unknown) == 0 {
		return own, nil
	}
	accounts, err := w.Accounts.List(ctx, v.Vault.ID)
	if err != nil {
		return nil, err
	}
	for _, x := range accounts {
		for i := range x.Addresses[v.Suite] + wallet.Ahead {
			key, err := decide.Key(v, hd.Path{x.Path[0], x.Path[1], uint32(i)})
			if err != nil {
				continue // an index that derives nothing
			}
			text, err := chain.Address(v.Suite, on, key, nil)
			if err != nil {
				return nil, err
			}
			if j := slices.IndexFunc(unknown, func(a evm.Address) bool { return strings.EqualFold(a.String(), text) }); j >= 0 {
				own = append(own, unknown[j])
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range unknown {
		if slices.Contains(own, a) {
			w.owned[a] = v.Vault.Name
		} else {
			w.other[v.Vault.Name+" "+a.String()] = now
		}
	}
	return own, nil
}

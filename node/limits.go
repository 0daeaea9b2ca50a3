package node

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
)

// Limits are what a node holds itself to, beside what its circle asks; zero: not at all (spec/node 14).
type Limits struct {
	Vaults              int   `json:"vaults,omitempty"`                // whose keys it makes or holds shares of
	SignaturesPerMinute int   `json:"signatures_per_minute,omitempty"` // sessions of intents
	Sessions            int   `json:"sessions,omitempty"`              // at once
	StoreBytes          int64 `json:"store_bytes,omitempty"`           // of the store's file
}

const leastStore = 32 << 20

// Check says which field cannot be.
func (l Limits) Check() error {
	switch {
	case l.Vaults < 0:
		return fmt.Errorf("limits: vaults: %d is below 0", l.Vaults)
	case l.SignaturesPerMinute < 0:
		return fmt.Errorf("limits: signatures_per_minute: %d is below 0", l.SignaturesPerMinute)
	case l.Sessions < 0:
		return fmt.Errorf("limits: sessions: %d is below 0", l.Sessions)
	case l.StoreBytes != 0 && l.StoreBytes < leastStore:
		return fmt.Errorf("limits: store_bytes: %d is less than %d, with which no node can work; 0 is no limit but the disk", l.StoreBytes, leastStore)
	}
	return nil
}

// String says them for people.
func (l Limits) String() string {
	var out []string
	for _, x := range []struct {
		n    int64
		what string
	}{{int64(l.Vaults), "vaults"}, {int64(l.SignaturesPerMinute), "signatures per minute"}, {int64(l.Sessions), "sessions at once"}, {l.StoreBytes, "bytes of store"}} {
		if x.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	if len(out) == 0 {
		return "no limits"
	}
	return strings.Join(out, ", ")
}

// SetLimits changes the limits in node.json of a data folder: whole or not at all. A node that runs takes them at its next start.
func SetLimits(dir string, l Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no link out of the folder is followed: whoever changes this may be root, and the folder somebody else's
	if err != nil {
		return fmt.Errorf("change settings: %w", err)
	}
	defer root.Close()
	old, err := root.OpenFile(settingsName, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("change settings: %w", err)
	}
	defer old.Close()
	s, err := settingsOf(old)
	if err != nil {
		return err
	}
	s.Limits = l
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	draft := settingsName + "." + rand.Text()
	f, err := root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	defer root.Remove(draft) //nolint:errcheck // it has its name by then
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Sync(), sameOwner(f, old), f.Close()); err == nil {
		err = root.Rename(draft, settingsName)
	}
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

// rate is a token bucket of a minute.
type rate struct {
	mu   sync.Mutex
	left float64
	at   time.Time
}

// has says whether one of so many a minute is left. A clock that was set back gives none for free.
func (r *rate) has(now time.Time, perMinute int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := float64(perMinute)
	switch since := now.Sub(r.at); {
	case r.at.IsZero():
		r.left = most
	case since > 0:
		r.left = min(most, r.left+since.Minutes()*most)
	}
	r.at = now
	return r.left >= 1
}

// spend takes one, once what it was asked for has begun: what is refused costs nothing.
func (r *rate) spend(s *mpc.Setup) {
	if !ofIntent(s) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
}

// ErrLimit says that this node does no more for now, by a limit of its own operator. It is nobody's fault, and passes.
var ErrLimit = errors.New("this operator's node is held to limits of its own")

func ofIntent(s *mpc.Setup) bool {
	return s.Protocol == protocol.ProtocolSign || s.Protocol == protocol.ProtocolOnline
}

// rescues says whether a protocol is an emergency's: a rescue, the test signature that ends it, and the live one that ends the emergency. Others' test signatures go with them: each follows on
// a session that was counted. Whoever fills a node with sessions must not make it decline a rescue, whose window is short.
func rescues(of string) bool {
	return of == protocol.ProtocolRescue || of == protocol.ProtocolTest || of == protocol.ProtocolLive
}

// full says whether the sessions that run leave no place for one more.
func (l Limits) full(all []session.Status, of string) bool {
	open := 0
	for _, x := range all {
		if x.Ended.IsZero() && !rescues(x.Protocol) {
			open++
		}
	}
	return open >= l.Sessions && !rescues(of)
}

// withinLimits says whether one more session may begin here.
func (n *Node) withinLimits(now time.Time, s *mpc.Setup) error {
	l := n.cfg.Limits
	if l.Sessions > 0 && l.full(n.Sessions.Sessions(), s.Protocol) {
		return fmt.Errorf("%w: %w: %d sessions run at once", session.ErrNotYet, ErrLimit, l.Sessions)
	}
	if ofIntent(s) && l.SignaturesPerMinute > 0 && !n.signing.has(now, l.SignaturesPerMinute) {
		return fmt.Errorf("%w: %w: %d signatures in a minute", session.ErrNotYet, ErrLimit, l.SignaturesPerMinute)
	}
	return nil
}

// mayHoldMore says whether this node may come to hold another vault.
func (n *Node) mayHoldMore(vault string) error {
	most := n.cfg.Limits.Vaults
	if most == 0 {
		return nil
	}
	held := n.holds()
	if !slices.Contains(held, vault) && len(held) >= most {
		return fmt.Errorf("vault %s: %w: it holds shares of %d vaults, and may of no more (\"limits\" in node.json)", vault, ErrLimit, len(held))
	}
	return nil
}

// Full says that the disk lacked room when something was last written: nothing is, but for refusals, freezes and vetoes from a reserve.
func (n *Node) Full() bool {
	s, ok := n.cfg.Store.(interface{ Full() bool })
	return ok && s.Full()
}

package node

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/delayed"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/memory"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/sol"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/tpm"
	"github.com/ostraka/ostraka/node/wallet"
)

// Daemon is a node at work: its core, its link, its clock and its chain endpoints.
//
// Goroutines: the link calls deliver, one peer at a time each; session frames go to a pool
// of workers, all else is handled at once, so notes keep their order and a Setup never
// overtakes the decisions it stands on. One goroutine ticks, one follows transactions.
type Daemon struct {
	*Node
	Dir       string // the data folder
	Settings  Settings
	Link      *link.Link
	Endpoints map[string]*rpc.Panel  // of EVM chains, by CAIP-2
	Coins     map[string]*coin.Panel // of Bitcoin's
	Solana    map[string]*sol.Panel
	Purses    *wallet.Purses
	Delayed   *delayed.Watch
	Started   time.Time
	Key       crypto.Signer // the identity
	Slot      string        // of the key file, which opened the folder
	TPM       *tpm.Device   // of the machine; nil: none is used
	Memory    *memory.Arena // where the data key and opened rows lie
	Locked    bool          // all memory of the process is locked
	Tenure    *Tenure       // where several replicas share a store; else nil

	log  *slog.Logger
	fail chan error
	wake chan struct{} // one wish for a tick, or none
	work [workers]chan func()
}

const (
	workers      = 8
	tickEvery    = 200 * time.Millisecond
	followEvery  = time.Second
	delayedEvery = 30 * time.Second // a cooldown has an hour at least
	sweepEvery   = 10 * time.Second
	houseEvery   = time.Hour
	readEvery    = 24 * time.Hour // the whole log is read through so often

	readRows = 1024 // of the log, at a time
)

// Addresses are where a running node listens.
type Addresses struct {
	Link, People, Metrics, Socket string
}

// A Serve starts the node's interfaces on these listeners and returns how to stop them.
// The api room gives it, since it builds on this one.
type Serve func(d *Daemon, people net.Listener, socket net.Listener) (stop func(context.Context) error, err error)

// Option changes how Run works.
type Option func(*options)

type options struct {
	ready   func(Addresses)
	serve   Serve
	standby ServeStandby
	given   *Listeners
	presign string
	locked  bool
	tagRows bool
}

// Keys open the providers of a key file. They are closed once the data key is there: a running node holds no PIN, token or passphrase.
type Keys interface {
	Open(ctx context.Context, slot string, p seal.Provider) (seal.KEK, error)
	Close() error
}

// Ready is called once the node listens.
func Ready(f func(Addresses)) Option { return func(o *options) { o.ready = f } }

// WithPresign says for which vaults presignatures are held, in place of the settings; empty: as they say.
func WithPresign(mode string) Option { return func(o *options) { o.presign = mode } }

// WithTagRows gives the operator's word, for this start alone, that rows of the store without this node's tag are to be believed and get one: a release of before ran
// the node last.
func WithTagRows(word bool) Option { return func(o *options) { o.tagRows = word } }

// WithLocked says that the process has locked all its memory (memory.Process).
func WithLocked(whole bool) Option { return func(o *options) { o.locked = whole } }

// WithServe gives the interfaces.
func WithServe(s Serve) Option { return func(o *options) { o.serve = s } }

// Run opens the data folder, with the key providers that keys gives and closes, and works until ctx ends; then it stops gracefully.
func Run(ctx context.Context, dir string, keys Keys, log *slog.Logger, opts ...Option) error {
	var o options
	for _, f := range opts {
		f(&o)
	}
	u, err := unlock(ctx, dir, keys.Open, rand.Reader)
	if err := errors.Join(err, keys.Close()); err != nil {
		return err
	}
	if u.memory, err = u.keepKey(log, o.locked); err != nil {
		return err
	}
	defer func() {
		u.tags.mac.Wipe() // into its memory, as the box and the identity, so they come first
		u.box.Wipe()
		u.identity.Wipe()
		if err := u.memory.Close(); err != nil {
			log.Error("memory of secrets not given back", "error", err)
		}
	}()
	if o.presign != "" {
		u.settings.Presign = o.presign
	}
	u.tags.word = o.tagRows
	o.given.said(&u.settings)
	if u.settings.Store != nil {
		return replicate(ctx, dir, u, log, o)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	st, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{Quota: u.settings.Limits.StoreBytes, Broken: func(err error) { stop(&brokenError{err}) }})
	if err != nil {
		return err
	}
	defer func() {
		if err := st.Close(); err != nil {
			log.Error("store not closed cleanly", "error", err)
		}
	}()
	at, err := openPorts(u.settings, dir, o.given)
	if err != nil {
		return err
	}
	defer at.close()
	err = work(ctx, dir, u, st, at, nil, log, o)
	if broken := (*brokenError)(nil); errors.As(context.Cause(ctx), &broken) {
		return errors.Join(broken, err)
	}
	return err
}

// A brokenError says that the disk below a running node's store failed.
type brokenError struct{ cause error }

func (e *brokenError) Unwrap() error { return e.cause }

func (e *brokenError) Error() string {
	return fmt.Sprintf("%v: the node stops, since nobody knows what of that is on the disk; what was acknowledged is. Look at the disk (the kernel's log says more), then start the node again: it looks at every record", e.cause)
}

// work runs the node over an open store, on these ports, until ctx ends or the tenure does.
func work(ctx context.Context, dir string, u *unlocked, st store.Store, at *ports, t *Tenure, log *slog.Logger, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := u.over(ctx, dir, st, log)
	if err != nil {
		return err
	}
	d := &Daemon{
		Dir: dir, Memory: u.memory, Locked: o.locked, Settings: u.settings, Endpoints: map[string]*rpc.Panel{}, Coins: map[string]*coin.Panel{}, Solana: map[string]*sol.Panel{}, Started: time.Now(), Slot: u.slot, Tenure: t,
		log: log, fail: make(chan error, 1), wake: make(chan struct{}, 1),
	}
	mode, err := presign.ParseMode(d.Settings.Presign)
	if err != nil {
		return err
	}
	for chain, urls := range u.settings.RPC {
		switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
		case "bip122":
			d.Coins[chain], err = coin.NewPanel(urls, rpc.Options{})
		case "solana":
			d.Solana[chain], err = sol.NewPanel(urls, rpc.Options{})
		default:
			d.Endpoints[chain], err = rpc.NewPanel(urls, rpc.Options{})
		}
		if err != nil {
			return err
		}
	}
	if err := d.open(ctx, u, st, at, mode); err != nil {
		return err
	}
	defer d.Link.Close()
	return d.run(ctx, at, o)
}

// open makes the core and its link.
func (d *Daemon) open(ctx context.Context, u *unlocked, st store.Store, at *ports, mode presign.Mode) (err error) {
	d.Key = u.identity
	if d.TPM, err = u.settings.TPM.device(); err != nil {
		return err
	}
	witnesses, err := readAsked(u.settings.Witnesses)
	if err != nil {
		return err
	}
	logs, err := readLogs(u.settings.Logs)
	if err != nil {
		return err
	}
	maker, roots, err := u.settings.attests(d.Dir, d.TPM)
	if err != nil {
		return err
	}
	d.Link, err = link.New(link.Config{
		Key: u.identity, Listener: at.link, Log: d.log, Silent: d.Tenure.doubtful,
		Receive: func(from ed25519.PublicKey, frame []byte) { d.receive(ctx, from, frame) },
		Knock: func(ctx context.Context, _ string, from ed25519.PublicKey, body []byte) ([]byte, error) {
			return d.Circle.Admit(ctx, time.Now(), from, body)
		},
	})
	if err != nil {
		return err
	}
	ask := &checker{endpoints: d.Endpoints, coins: d.Coins, solana: d.Solana, answers: map[question]*answer{}, fees: map[question]*big.Int{}}
	program, version, err := Binary()
	if err != nil {
		d.Link.Close()
		return fmt.Errorf("what program this is, which heartbeats tell: %w", err)
	}
	d.Node, err = New(ctx, time.Now(), Config{
		Maker: maker, Roots: roots, Beside: func(f func(context.Context)) { go f(ctx) },
		Own: u.own, Identity: u.identity, Store: st, Sealer: u.box, Rand: rand.Reader, Log: d.log,
		Send: func(to ed25519.PublicKey, frame []byte) {
			if err := d.Link.Send(to, frame); err != nil {
				d.log.Warn("frame not sent", "to", link.Fingerprint(to), "error", err)
			}
		},
		Reachable: d.reachableKey, Wire: d.Link.Version, Connection: d.Link.Connection, Twin: d.twinKey, SetPeers: d.pin, Counter: u.settings.TPM.counter(d.TPM, u.own.Identity), SharedStore: d.Tenure != nil, Presignatures: mode, Limits: u.settings.Limits,
		Version: version, Binary: program, Logs: logs,
		Witnesses: askOutside(ctx, witnesses, d.log, func(name string, status int, body []byte) error {
			return d.Witness.AnswerOutside(ctx, name, status, body)
		}),
		Knock: func(ctx context.Context, addr string, key ed25519.PublicKey, body []byte) ([]byte, error) {
			return link.Knock(ctx, u.identity, addr, key, body)
		},
		Check: ask.check, CheckBlock: ask.checkBlock, Usual: ask.usual,
		Leaving: d.Tenure.Leaving,
		Wake: func() {
			select {
			case d.wake <- struct{}{}:
			default:
			}
		},
		Fatal: d.fatal,
	})
	if err != nil {
		d.Link.Close()
		return err
	}
	ours, witness := d.Witness.Verifiers()
	d.log.Info("the keys of this node's log", "log", ours.String(), "witness", witness.String())
	return nil
}

// fatal ends the process: nothing that depends on the lost record may leave. Where the record was lost because another replica took over, it ends
// this one's tenure instead, and the goroutine that asked: its link is silent and its store takes nothing any more.
func (d *Daemon) fatal(err error) {
	d.log.Error("the node must stop", "error", err)
	d.end(err)
	if d.Tenure.over(err) {
		runtime.Goexit()
	}
	os.Exit(1)
}

func (d *Daemon) pin(ops []charter.Operator) {
	peers := make([]link.Peer, len(ops))
	for i, o := range ops {
		peers[i] = link.Peer{Key: o.Identity, Addr: o.Address, Name: o.Name}
	}
	d.Link.SetPeers(peers)
}

func (d *Daemon) reachableKey(key ed25519.PublicKey) bool {
	for _, s := range d.Link.Status() {
		if s.Connected && key.Equal(s.Peer.Key) {
			return true
		}
	}
	return false
}

// twinFor is how long a second live process of a peer counts after it was last seen: while it lives it dials again and again.
const twinFor = 5 * time.Minute

func (d *Daemon) twinKey(key ed25519.PublicKey) bool {
	for _, s := range d.Link.Status() {
		if s.Twin != "" && time.Since(s.TwinSeen) < twinFor && key.Equal(s.Peer.Key) {
			return true
		}
	}
	return false
}

// receive takes a frame of a peer. Messages of sessions go to the workers: they may overtake one another, which the host is
// made for. Setups and Joins stay with the link, which holds them to the connection over which they came.
func (d *Daemon) receive(ctx context.Context, from ed25519.PublicKey, frame []byte) {
	if !Session(frame) || frame[0] != byte(mpc.MessageFrame) {
		d.Tenure.taking(func() { d.Deliver(ctx, time.Now(), from, frame) })
		return
	}
	n := len(frame)
	lane := int(frame[n-1]) % workers // the signature's last byte: as good as random
	select {
	case d.work[lane] <- func() { d.Deliver(ctx, time.Now(), from, frame) }:
	case <-ctx.Done():
	}
}

func (d *Daemon) run(ctx context.Context, at *ports, o options) error {
	var wg sync.WaitGroup
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	for i := range d.work {
		d.work[i] = make(chan func(), 256)
		wg.Go(func() { d.labour(inner, d.work[i]) })
	}
	if at.metrics != nil {
		metrics := serveMetrics(at.metrics, d.metrics())
		defer metrics.Close()
	}
	d.Purses = &wallet.Purses{Journal: d.Journal, Panels: d.Coins, Accounts: d.Accounts, Vaults: d.Keeper.Roots, Desk: d.Desk, Log: d.log}
	d.Delayed = &delayed.Watch{Journal: d.Journal, Charter: d.Charters.Document, Vaults: d.Keeper.Roots, Accounts: d.Accounts, Log: d.log, Readers: d.delayedReader}
	stopAPI := func(context.Context) error { return nil }
	if o.serve != nil {
		var err error
		if stopAPI, err = o.serve(d, at.people, at.socket); err != nil {
			return err
		}
	}
	linkDone := make(chan error, 1)
	go func() { linkDone <- d.Link.Run(inner) }()
	wg.Go(func() { d.pace(inner) })
	wg.Go(func() { every(inner, delayedEvery, func(now time.Time) { d.Delayed.Step(inner, now) }) })
	follower := &wallet.Follower{Desk: d.Desk, Endpoints: d.Endpoints, Log: d.log}
	landings := &wallet.Landings{Panels: d.Solana, Desk: d.Desk, Log: d.log}
	wg.Go(func() { every(inner, followEvery, func(now time.Time) { d.Purses.Step(inner, now) }) })
	wg.Go(func() { every(inner, followEvery, func(now time.Time) { landings.Step(inner, now) }) })
	wg.Go(func() { every(inner, followEvery, func(now time.Time) { follower.Step(inner, now) }) })
	wg.Go(func() { d.readLog(inner) })
	wg.Go(func() { d.upkeep(inner, "sweep", sweepEvery, d.Sweep) })
	wg.Go(func() { d.upkeep(inner, "housekeeping", houseEvery, d.Housekeep) })
	wg.Go(func() { d.upkeep(inner, "readiness for SOS", readyEvery, d.CheckReady) })
	if d.Tenure != nil {
		wg.Go(func() { d.holdTenure(inner) })
	}
	if o.ready != nil {
		o.ready(at.addresses())
	}
	d.log.Info("node runs", "operator", d.Settings.Operator, "link", d.Link.Addr(), "people", at.people.Addr().String())
	var err error
	select {
	case <-ctx.Done():
	case err = <-linkDone:
		linkDone <- nil
	case err = <-d.fail:
	}
	d.log.Info("node stops")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	apiErr := stopAPI(last)
	d.Node.Close(last, time.Now())
	stopInner()
	if d.Tenure != nil {
		d.endTenure()
	}
	ended := make(chan struct{})
	go func() {
		<-linkDone
		wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(endsIn):
		d.log.Error("the node's work does not come to its end: the process stops", "after", endsIn)
		os.Exit(1) // a replica that only seems to stand by would be counted on
	}
	return errors.Join(err, apiErr)
}

// delayedReader is where a chain's Safes with a delay are read; nil: nowhere.
func (d *Daemon) delayedReader(chain string) delayed.Reader {
	if p := d.Endpoints[chain]; p != nil {
		return p
	}
	return nil
}

// endsIn is how long a node's own goroutines may take to end once they are told to.
const endsIn = 15 * time.Second

func (d *Daemon) labour(ctx context.Context, jobs <-chan func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-jobs:
			job()
		}
	}
}

// pace ticks a few times a second, and at once when something may be ready to move.
func (d *Daemon) pace(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-d.wake:
		}
		d.Tick(ctx, time.Now())
	}
}

// readLog reads the log through, once from the start on and then daily, or sooner when somebody asks (api). Damage ends the signing, and the node
// lives on to say so.
func (d *Daemon) readLog(ctx context.Context) {
	again := time.NewTicker(readEvery)
	defer again.Stop()
	asked := time.NewTicker(tickEvery)
	defer asked.Stop()
	for {
		more, err := d.Journal.ReadOn(ctx, readRows)
		var damage *journal.DamageError
		switch {
		case errors.As(err, &damage):
			d.log.Error("the log is damaged: nothing is signed", "error", err)
		case err != nil && ctx.Err() == nil:
			d.log.Error("the log cannot be read through", "error", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			d.Journal.ReadAgain()
		case <-asked.C:
		}
	}
}

// upkeep does something of no hurry again and again.
func (d *Daemon) upkeep(ctx context.Context, what string, step time.Duration, do func(context.Context, time.Time) error) {
	every(ctx, step, func(now time.Time) {
		if err := do(ctx, now); err != nil && ctx.Err() == nil {
			d.log.Error(what, "error", err)
		}
	})
}

func every(ctx context.Context, step time.Duration, do func(time.Time)) {
	t := time.NewTicker(step)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do(time.Now())
		}
	}
}

// serveMetrics serves /healthz and /metrics.
func serveMetrics(l net.Listener, h http.Handler) *http.Server {
	s := &http.Server{Addr: l.Addr().String(), Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go s.Serve(l) //nolint:errcheck // ends when the server is closed
	return s
}

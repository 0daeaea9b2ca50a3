package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/api"
	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/memory"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/store"
)

func (a *app) nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "An operator's own node"}
	c.AddCommand(a.nodeInitCommand(), a.nodeRunCommand(), a.nodeSlotsCommand(), a.nodeRekeyCommand(), a.nodeStatusCommand(), a.nodeStopCommand(), a.confirmRestoreCommand(),
		a.nodeReplicasCommand(), a.nodeHandOverCommand(), a.nodeAddReplicaCommand(), a.migrateStoreCommand())
	return c
}

type nodeInitDocument struct {
	Operator string `json:"operator"`
	Identity string `json:"identity"`
	Dir      string `json:"dir"`
	Link     string `json:"link"`
	People   string `json:"people"`
}

func (a *app) nodeInitCommand() *cobra.Command {
	var s node.Settings
	var officers, rpcs []string
	var with []string
	var makes bool
	var given secrets
	var memory uint32
	c := &cobra.Command{
		Use: "init", Short: "Make a data folder with a fresh identity", Args: none,
		Example: "  ostraka node init --operator acme --entity \"Acme Ltd\" --officer ~/.ssh/id_ed25519.pub --advertise acme.example:7700",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := completeSettings(&s, officers, rpcs); err != nil {
				return err
			}
			cost, err := passphraseCost(memory)
			if err != nil {
				return err
			}
			if _, err := os.Stat(a.settings()); err == nil {
				return fail(codeError, fmt.Errorf("%s holds a node already", a.dir), "run it with `ostraka node run --dir "+a.dir+"`, or name another folder with --dir")
			}
			slot, err := slotOf(seal.MainSlot, with)
			if err != nil {
				return err
			}
			ring := a.ring(given, true, cost)
			ring.Make = makes
			defer ring.Close() //nolint:errcheck // what it held ends with this program
			identity, err := node.Init(c.Context(), a.dir, s, ring.Open, rand.Reader, slot)
			if err != nil {
				return err
			}
			doc := nodeInitDocument{s.Operator, client.FormatIdentity(identity), a.dir, s.Link, s.People}
			return a.show(doc, func(w io.Writer) {
				next := "keep the passphrase safe, it opens the shares"
				if keys.NeedTPM(slot) {
					next = keys.BesideTPM
				}
				fmt.Fprintf(w, "Node of %s made in %s.\nIdentity: %s\n\nNext: %s; then run `ostraka node run --dir %s`.\n", doc.Operator, doc.Dir, doc.Identity, next, doc.Dir)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&s.Operator, "operator", "", "the operator's name in the circle: a-z, 0-9, -, _, . (required)")
	f.StringVar(&s.Entity, "entity", "", "the operator's legal entity (required)")
	f.StringVar(&s.Link, "link", "127.0.0.1:7700", "host:port to listen on for other nodes")
	f.StringVar(&s.Advertise, "advertise", "", "host:port that other nodes dial (default: that of --link)")
	f.StringVar(&s.People, "people", "127.0.0.1:7701", "host:port of the people's interface")
	f.StringVar(&s.Metrics, "metrics", "", "loopback host:port of /healthz and /metrics (default: off)")
	f.StringArrayVar(&officers, "officer", nil, "public key of a person who signs for the operator, of SSH, a passkey or a wallet: a file, or the line itself (required; may be repeated)")
	f.StringArrayVar(&rpcs, "rpc", nil, "this node's own endpoint of a chain, as eip155:1=https://…, or bip122:… or solana:… for Bitcoin or Solana (docs/operator.md has the ids; may be repeated; several of one chain must agree)")
	sealFlags(f, &with, &makes)
	given.flags(f, "")
	memoryFlag(f, &memory)
	return c
}

// memoryFlag says what a guess at a new passphrase costs. What a program drew need cost no more than the least.
func memoryFlag(f *pflag.FlagSet, mib *uint32) {
	f.Uint32Var(mib, "passphrase-memory", passphrase.Default.MemoryKiB>>10, "MiB of memory that each start takes, and each guess at the passphrase; less only on a small machine, or for a passphrase that a program drew")
}

// passphraseCost is the default's, with another memory.
func passphraseCost(mib uint32) (passphrase.Option, error) {
	if least, most := passphrase.Floor.MemoryKiB>>10, passphrase.Ceiling.MemoryKiB>>10; mib < least || mib > most {
		return nil, usage("--passphrase-memory: %d MiB is given; %d to %d are allowed", mib, least, most)
	}
	cost := passphrase.Default
	cost.MemoryKiB = mib << 10
	return passphrase.WithCost(cost), nil
}

// completeSettings checks what people type, so that errors name the flag.
func completeSettings(s *node.Settings, officers, rpcs []string) error {
	if s.Operator == "" {
		return usage("give --operator: your operator's label in the circle")
	}
	if s.Entity == "" {
		return usage("give --entity: the operator's legal entity")
	}
	if err := statement.CheckLabel(s.Operator); err != nil {
		return usage("--operator: %w", err)
	}
	if err := statement.CheckText(s.Entity, 128); err != nil {
		return usage("--entity: %w", err)
	}
	if len(officers) == 0 {
		return usage("--officer: give at least one public key")
	}
	for _, o := range officers {
		line := o
		if raw, err := os.ReadFile(o); err == nil {
			line = string(raw)
		} else if !strings.Contains(o, " ") {
			return usage("--officer %s: %w", o, err)
		}
		key, err := signet.ParseKey(line)
		if err != nil {
			return usage("--officer: %w", err)
		}
		s.Officers = append(s.Officers, key.String())
	}
	if dialable(*s) != nil {
		return fail(codeUsage, dialable(*s), "give --advertise HOST:PORT, which other nodes can dial")
	}
	if s.Metrics != "" {
		host, _, err := net.SplitHostPort(s.Metrics)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return usage("--metrics: %q is not a loopback host:port such as 127.0.0.1:7702", s.Metrics)
		}
	}
	for _, r := range rpcs {
		chain, url, ok := strings.Cut(r, "=")
		if !ok || statement.CheckChain(chain) != nil {
			return usage("--rpc: want CHAIN=URL, such as eip155:1=https://…, bip122:000000000019d6689c085ae165831e93=http://… for Bitcoin or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp=https://… for Solana")
		}
		if s.RPC == nil {
			s.RPC = map[string]node.URLs{}
		}
		s.RPC[chain] = append(s.RPC[chain], url)
	}
	return nil
}

// dialable refuses to tell other nodes an address that means every interface of a machine: each
// of them would dial itself.
func dialable(s node.Settings) error {
	address := s.Advertise
	if address == "" {
		address = s.Link
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("link address %q is not host:port", address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("other nodes cannot dial the link address %s", address)
	}
	return nil
}

// runDocument is shown once the node runs.
type runDocument struct {
	Operator string `json:"operator"`
	Link     string `json:"link"`
	People   string `json:"people"`
	Socket   string `json:"socket"`
}

func (a *app) nodeRunCommand() *cobra.Command {
	var level, format, presigns string
	var given secrets
	var supervised int
	var tagRows bool
	c := &cobra.Command{
		Use: "run", Short: "Run the node until it is stopped", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := a.logger(level, format)
			if err != nil {
				return err
			}
			if err := withoutCores(); err != nil {
				log.Warn("a crash may leave a core with this node's secrets", "error", err)
			}
			whole, err := memory.Process()
			if err != nil {
				log.Warn("this process's memory is less guarded than it could be", "error", err)
			}
			s, err := node.ReadSettings(a.dir)
			if err != nil {
				return err
			}
			if _, err := presign.ParseMode(presigns); err != nil {
				return usage("--presign: %q is not hot, all or off", presigns)
			}
			if err := dialable(s); err != nil {
				return fail(codeUsage, err, "give --advertise HOST:PORT to `ostraka node init`, or set \"advertise\" in "+a.settings())
			}
			ctx, quit := context.WithCancel(c.Context())
			defer quit()
			var once sync.Once // a replica is ready each time it stands by or owns the node
			at, err := a.handed(supervised, &given, quit)
			if err != nil {
				return err
			}
			ready := func(at node.Addresses) {
				once.Do(func() {
					log.Info("operator's interface", "socket", at.Socket)
					_ = a.show(runDocument{s.Operator, at.Link, at.People, at.Socket}, func(io.Writer) {})
				})
			}
			ring := a.ring(given, false)
			err = node.Run(ctx, a.dir, ring, log, node.Ready(ready), node.WithPresign(presigns), node.WithLocked(whole), node.WithTagRows(tagRows), node.WithListeners(at), node.WithServe(api.Serve(quit, log)), node.WithServeStandby(api.ServeStandby(log)))
			if errors.Is(err, syscall.EADDRINUSE) {
				return fail(codeError, err, "stop what uses the port, or choose another one in "+a.settings())
			}
			if errors.As(err, new(*node.UntaggedError)) {
				return fail(codeError, err, untaggedNext)
			}
			if errors.Is(err, store.ErrCorrupt) || errors.As(err, new(*journal.DamageError)) {
				return fail(codeError, err, "keep the folder as it is; put an intact copy of "+filepath.Join(a.dir, "store")+" back (docs/operator.md: what follows from an older one), or have the other operators replace this one; `ostraka log fsck --dir "+a.dir+"` looks at all of the log")
			}
			if errors.Is(err, store.ErrLocked) {
				return fail(codeError, err, "this node runs already: `ostraka node status --dir "+a.dir+"` shows it, `ostraka node stop --dir "+a.dir+"` stops it")
			}
			return err
		},
	}
	f := c.Flags()
	given.flags(f, "")
	bySlot(f, &given)
	f.IntVar(&supervised, "supervised-fd", 0, "the supervisor's pipe (ostraka provider run): it gives the secrets, and the node stops when it closes")
	_ = f.MarkHidden("supervised-fd")
	f.StringVar(&presigns, "presign", "", "hold presignatures, and sign in one round with them, for: hot (vaults of tier hot), all, or off (default: \"presign\" in node.json, else hot)")
	f.BoolVar(&tagRows, "tag-rows", false, tagRowsHelp)
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "text or json, to stderr")
	return c
}

const (
	tagRowsHelp = "once, when a release before this one ran the node last: believe the rows of its store as they are, and put the node's tag on them"
	// Who can write folder and store brings the question about with older copies of both: the answer must not be given without thought.
	untaggedNext = "did a release before this one run the node last? Then run it with --tag-rows, once: what lies in the store is believed as it is. Did this release run it before? Then somebody put older copies of identity.json and of the store there: give no --tag-rows; put today's copies back, or have the other operators replace this node (docs/operator.md, \"Upgrade\")"
)

// settings is the file with what the operator says of its node.
func (a *app) settings() string { return filepath.Join(a.dir, "node.json") }

func (a *app) logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usage("--log-level: %q is not debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, o)), nil
	}
	return nil, usage("--log-format: %q is not text or json", format)
}

// operatorError explains a node that cannot be reached over its socket. Who has a node and lost its machine must not make a new one.
func (a *app) operatorError(err error) error {
	return a.socketError(err, "run this on your node's machine, or name its folder with --dir; is the machine lost? `ostraka backup restore` brings the node back from an export")
}

// socketError says so with this next step where the folder holds no node.
func (a *app) socketError(err error, none string) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		if _, err := os.Stat(a.settings()); errors.Is(err, fs.ErrNotExist) {
			return notReady(none, "%s holds no node", a.dir)
		}
		return notReady("start it with `ostraka node run --dir "+a.dir+"`, or name another folder with --dir", "no node runs in %s", a.dir)
	}
	return err
}

func (a *app) nodeStopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop the running node gracefully, and wait until it has ended", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			if _, err := client.Operator(a.dir).Stop(ctx, connect.NewRequest(&v1.StopRequest{})); err != nil {
				return a.operatorError(err)
			}
			if err := a.untilEnded(ctx); err != nil {
				return err
			}
			return a.show(struct {
				Stopped bool `json:"stopped"`
			}{true}, func(w io.Writer) { fmt.Fprintln(w, "The node has stopped.") })
		},
	}
}

// untilEnded waits until the folder can be used by another program.
func (a *app) untilEnded(ctx context.Context) error {
	for !node.Ended(a.dir) {
		select {
		case <-ctx.Done():
			return notReady("wait, and look at the node's own log; `--timeout` waits longer", "the node was told to stop, and has not ended yet")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

type statusDocument struct {
	Operator  string          `json:"operator"`
	Identity  string          `json:"identity"`
	Version   string          `json:"version"`
	Started   string          `json:"started"`
	Link      string          `json:"link"`
	People    string          `json:"people"`
	Circle    string          `json:"circle"`
	Roster    string          `json:"roster"`
	RosterAt  uint64          `json:"roster_version"`
	Charter   string          `json:"charter"`
	CharterAt uint64          `json:"charter_version"`
	Standing  string          `json:"standing"`
	Invited   []string        `json:"invited"`
	Fenced    string          `json:"fenced,omitempty"` // why this node signs nothing
	Peers     []peerDocument  `json:"peers"`
	LogSize   uint64          `json:"log_size"`
	LogRoot   string          `json:"log_root"`
	Burned    []burnDocument  `json:"burned"`
	Endpoints []string        `json:"endpoints"`
	Checks    []checkDocument `json:"checks"`
}

type peerDocument struct {
	Operator    string   `json:"operator"`
	Identity    string   `json:"identity"`
	Address     string   `json:"address"`
	Connected   bool     `json:"connected"`
	Since       string   `json:"since,omitempty"`
	LastHeard   string   `json:"last_heard,omitempty"`
	RoundTripMS float64  `json:"round_trip_ms"`
	SkewMS      *float64 `json:"skew_ms"` // null: not known
	Outbox      uint32   `json:"outbox"`
	LastError   string   `json:"last_error,omitempty"`
	Twin        string   `json:"twin,omitempty"`           // it runs twice, or was restored from an older copy
	Heartbeat   string   `json:"last_heartbeat,omitempty"` // when it was taken here; what it says follows
	Version     string   `json:"version,omitempty"`
	Binary      string   `json:"binary,omitempty"` // SHA-256 of its program
}

type burnDocument struct {
	Key  string `json:"key"`
	Peer string `json:"peer"`
}

type checkDocument struct {
	Name  string `json:"name"`
	State string `json:"state"`
	What  string `json:"what"`
	Next  string `json:"next,omitempty"`
}

// list makes an empty list of none, so that JSON never holds null for it.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func statusOf(m *v1.StatusResponse) statusDocument {
	d := statusDocument{
		Operator: m.Operator, Identity: client.FormatIdentity(m.Identity), Version: m.Version, Started: m.Started, Link: m.Link, People: m.People,
		Circle: m.Circle, Roster: fmt.Sprintf("%x", m.Roster), RosterAt: m.RosterVersion, Charter: fmt.Sprintf("%x", m.Charter), CharterAt: m.CharterVersion, Standing: m.Standing, Invited: list(m.Invited), Fenced: m.Fenced, Peers: []peerDocument{}, LogSize: m.LogSize,
		LogRoot: fmt.Sprintf("%x", m.LogRoot), Burned: []burnDocument{}, Endpoints: list(m.Endpoints), Checks: checksOf(m.Checks),
	}
	for _, p := range m.Peers {
		one := peerDocument{
			Operator: p.Operator, Identity: client.FormatIdentity(p.Identity), Address: p.Address, Connected: p.Connected, Since: p.Since,
			LastHeard: p.LastHeard, RoundTripMS: p.RoundTripMs, Outbox: p.Outbox, LastError: p.LastError, Twin: p.Twin,
			Heartbeat: p.LastHeartbeat, Version: p.Version,
		}
		if p.LastHeartbeat != "" {
			one.Binary = fmt.Sprintf("%x", p.Binary)
		}
		if p.SkewKnown {
			one.SkewMS = &p.SkewMs
		}
		d.Peers = append(d.Peers, one)
	}
	for _, b := range m.Burned {
		d.Burned = append(d.Burned, burnDocument{fmt.Sprintf("%x", b.Key), b.Peer})
	}
	return d
}

func checksOf(checks []*v1.Check) []checkDocument {
	out := []checkDocument{}
	for _, c := range checks {
		out = append(out, checkDocument{c.Name, c.State, c.What, c.Next})
	}
	return out
}

func (a *app) status(ctx context.Context) (statusDocument, error) {
	res, err := client.Operator(a.dir).Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
	if err != nil {
		return statusDocument{}, a.socketError(err, "make a node with `ostraka node init --dir "+a.dir+"`, or name another folder with --dir")
	}
	if len(res.Msg.Identity) != ed25519.PublicKeySize {
		return statusDocument{}, errors.New("the node answers without an identity")
	}
	return statusOf(res.Msg), nil
}

func (a *app) nodeStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the running node: identity, peers, log, chains", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			d, err := a.status(ctx)
			if err != nil {
				return err
			}
			return a.show(d, d.print)
		},
	}
}

func (d statusDocument) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("operator", "%s", d.Operator)
	row("identity", "%s", d.Identity)
	row("version", "%s, up since %s", d.Version, d.Started)
	if d.Fenced != "" {
		row("fenced", "%s", d.Fenced)
	}
	row("link", "%s", d.Link)
	row("people", "%s", d.People)
	if d.Circle != "" {
		row("circle", "%s, roster %.8s, version %d", d.Circle, d.Roster, d.RosterAt)
		if d.Charter != "" {
			row("charter", "%.8s, version %d", d.Charter, d.CharterAt)
		} else {
			row("charter", "none yet")
		}
		switch circle.Standing(d.Standing) {
		case circle.Left:
			row("standing", "this operator has left the circle: the node keeps what it has, and signs nothing")
		case circle.Invited:
			row("standing", "this operator is not in the circle yet")
		}
	} else {
		row("circle", "none yet")
	}
	for _, name := range d.Invited {
		row("joined", "%s, not in the roster yet", name)
	}
	row("log", "%d entries, root %.8s", d.LogSize, d.LogRoot)
	for _, e := range d.Endpoints {
		row("chain", "%s", e)
	}
	for _, p := range d.Peers {
		state := "not connected: " + p.LastError
		if p.Connected {
			state = fmt.Sprintf("connected, %.1f ms", p.RoundTripMS)
		}
		row("peer "+p.Operator, "%s at %s", state, p.Address)
		if p.Twin != "" {
			row("", "%s", p.Twin)
		}
		if p.Heartbeat != "" {
			row("", "heartbeat at %s, version %s", p.Heartbeat, p.Version)
		}
	}
	for _, c := range d.Checks {
		kind, _, _ := strings.Cut(c.Name, " ")
		if c.Name == "seal" && c.State == "ok" {
			row("seal", "%s", c.What)
			continue
		}
		if c.State == "ok" || !slices.Contains([]string{"roster", "charter", "vault", "reshare", "log", "disk", "fork", "checkpoint", "heartbeat", "attest", "SOS", "backups", "seal"}, kind) {
			continue
		}
		row(c.Name, "%s", c.What)
		if c.Next != "" {
			row("", "next: %s", c.Next)
		}
	}
	for _, b := range d.Burned {
		row("burned", "pair with %s for key %.8s", b.Peer, b.Key)
	}
	_ = t.Flush()
}

// names of a map, ascending.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

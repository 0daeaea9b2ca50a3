package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/provider"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/age"
	"github.com/ostraka/ostraka/node/seal/keys"
)

func (a *app) providerCommand() *cobra.Command {
	c := &cobra.Command{Use: "provider", Short: "Many customers' nodes on one machine, each a process of its own"}
	c.AddCommand(a.providerInitCommand(), a.providerAddCommand(), a.providerRemoveCommand(), a.providerListCommand(), a.providerRunCommand(), a.providerStatusCommand(), a.providerRestartCommand(), a.providerLimitsCommand())
	return c
}

// handed takes the node's secrets and ports from the supervisor that started it, whose end is the node's. Nil: there is none.
func (a *app) handed(fd int, given *secrets, quit func()) (at *node.Listeners, err error) {
	if fd == 0 {
		return nil, nil
	}
	if at, err = provider.Ports(fd); err != nil {
		return nil, err
	}
	given.handed, err = provider.Handed(os.NewFile(uintptr(fd), "supervisor"), quit)
	return at, err
}

// handedAs are the names of key providers' needs in provider.json.
var handedAs = map[keys.Secret]string{keys.Words: "passphrase", keys.Identity: "age_identity", keys.IdentityWords: "age_passphrase", keys.PIN: "pin", keys.TPMPin: "tpm_pin", keys.Token: "token"}

// fromSupervisor is what a supervisor gave of that kind. A slot whose secret it did not give is passed over.
func fromSupervisor(given map[string]secret.Bytes, n keys.Need) (secret.Bytes, error) {
	b, ok := given[handedAs[n.Secret]]
	if !ok {
		return b, fmt.Errorf("%w: the supervisor has no %s of this customer: see \"secrets\" in %s", seal.ErrNoSecret, n.Secret, provider.ConfigName)
	}
	return secret.New(bytes.Clone(b.Expose())), nil
}

// secretFileOf reads a customer's file.
func secretFileOf(name, file string) (secret.Bytes, error) {
	switch name {
	case "age_identity":
		return wholeFile(file, string(keys.Identity), name, age.MaxIdentity)
	case "token":
		b, err := wholeFile(file, string(keys.Token), name, age.MaxIdentity)
		return trimmedLine(b), err
	}
	return secretFile(file, name, name)
}

func (a *app) providerInitCommand() *cobra.Command {
	var p provider.Config
	c := &cobra.Command{
		Use: "init", Short: "Make a provider's folder", Args: none,
		Example: "  ostraka provider init --dir /var/lib/ostraka-provider --link 0.0.0.0:7700 --people 0.0.0.0:7701 --metrics 127.0.0.1:7702",
		RunE: func(*cobra.Command, []string) error {
			p.Customers = []provider.Customer{}
			if err := provider.Init(a.dir, p); err != nil {
				return err
			}
			return a.show(p, func(w io.Writer) {
				fmt.Fprintf(w, "Provider made in %s.\n\nNext: `ostraka provider add NAME …` for each customer, then `ostraka provider run`.\n", a.dir)
			})
		},
	}
	f := c.Flags()
	f.StringSliceVar(&p.Link, "link", []string{"0.0.0.0:7700"}, "host:port to listen on for other nodes (may be repeated)")
	f.StringSliceVar(&p.People, "people", []string{"0.0.0.0:7701"}, "host:port of the people's interfaces (may be repeated)")
	f.StringVar(&p.Metrics, "metrics", "", "loopback host:port of /healthz and /metrics (default: off)")
	return c
}

type providerAddDocument struct {
	Customer string `json:"customer"`
	Identity string `json:"identity"`
	Dir      string `json:"dir"`
	Address  string `json:"address"`
}

// adding is what `provider add` is told.
type adding struct {
	settings       node.Settings
	customer       provider.Customer
	officers, rpcs []string
	user           string
	memory         uint32
	again          bool
	given          secrets
	with           []string // key providers
	makes          bool
}

func (a *app) providerAddCommand() *cobra.Command {
	var x adding
	c := &cobra.Command{
		Use: "add NAME", Short: "Make a customer's node, or take one back that was removed", Args: cobra.ExactArgs(1),
		Example: "  ostraka provider add globex --operator acme --entity \"Acme Ltd\" --officer ~/.ssh/id_ed25519.pub --advertise acme.example:7700 --passphrase-file /etc/ostraka/globex.passphrase",
		RunE: func(c *cobra.Command, args []string) error {
			x.customer.Name = args[0]
			if x.again {
				return a.providerAgain(c.Context(), args[0], false)
			}
			return a.providerAdd(c.Context(), &x)
		},
	}
	f := c.Flags()
	f.StringVar(&x.settings.Operator, "operator", "", "the operator's name in this customer's circle (required)")
	f.StringVar(&x.settings.Entity, "entity", "", "the operator's legal entity (required)")
	f.StringVar(&x.settings.Advertise, "advertise", "", "host:port that other nodes dial: a door of this provider (default: its first)")
	f.StringArrayVar(&x.officers, "officer", nil, "public key of a person who signs for the operator (required; may be repeated)")
	f.StringArrayVar(&x.rpcs, "rpc", nil, "the node's own endpoint of a chain, as eip155:1=https://…, or bip122:… or solana:… for Bitcoin or Solana (docs/operator.md has the ids; may be repeated; several of one chain must agree)")
	x.given.flags(f, "customer's ")
	sealFlags(f, &x.with, &x.makes)
	f.StringSliceVar(&x.customer.Hosts, "host", nil, "name by which browsers ask for its people's interface (may be repeated)")
	f.StringVar(&x.user, "user", "", "UID:GID that its process runs as and its folder belongs to; the supervisor must be root (default: as the supervisor)")
	f.BoolVar(&x.again, "again", false, "take back a customer that was removed, as it was")
	memoryFlag(f, &x.memory)
	return c
}

func (a *app) providerAdd(ctx context.Context, x *adding) error {
	p, err := a.provider()
	if err != nil {
		return err
	}
	if x.user != "" {
		x.customer.User = &provider.User{}
		if _, err := fmt.Sscanf(x.user, "%d:%d", &x.customer.User.UID, &x.customer.User.GID); err != nil {
			return usage("--user %s: want UID:GID", x.user)
		}
		if os.Geteuid() != 0 {
			return usage("--user: only root can give a folder to another user, and run processes as one")
		}
	}
	x.settings.Advertise = cmp.Or(x.settings.Advertise, p.Link[0])
	x.settings.Link, x.settings.People = "127.0.0.1:0", "127.0.0.1:0" // its supervisor opens its ports
	if err := completeSettings(&x.settings, x.officers, x.rpcs); err != nil {
		return err
	}
	if err := x.files(); err != nil {
		return err
	}
	var identity ed25519.PublicKey
	err = provider.Edit(a.dir, func(c *provider.Config) (err error) {
		identity, err = a.makeCustomer(ctx, c, x)
		return err
	})
	if err != nil {
		return err
	}
	doc := providerAddDocument{x.customer.Name, client.FormatIdentity(identity), provider.Folder(a.dir, x.customer.Name), x.settings.Advertise}
	said, err := a.reloaded(ctx)
	if err != nil {
		return err
	}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "Node of %s for customer %s made in %s.\nIdentity: %s, at %s\n%s\n", x.settings.Operator, doc.Customer, doc.Dir, doc.Identity, doc.Address, said)
	})
}

// files notes where a customer's secrets are: the supervisor reads them at each start, so none is typed.
func (x *adding) files() (err error) {
	if len(x.with) == 0 && x.given.pass == "" {
		return usage("give --passphrase-file FILE, or another key provider with --seal: the supervisor reads the file at each start, and hands it over by a pipe")
	}
	s := &x.customer.Secrets
	for to, file := range map[*string]string{&s.Passphrase: x.given.pass, &s.AgeIdentity: x.given.identity, &s.AgePassphrase: x.given.identityPass, &s.PIN: x.given.pin, &s.TPMPin: x.given.tpmPin, &s.Token: x.given.token} {
		if file == "" {
			continue
		}
		if *to, err = filepath.Abs(file); err != nil {
			return err
		}
	}
	return nil
}

// makeCustomer makes a customer's folder and lists it.
func (a *app) makeCustomer(ctx context.Context, c *provider.Config, x *adding) (ed25519.PublicKey, error) {
	if _, err := c.Customer(x.customer.Name); err == nil {
		return nil, fmt.Errorf("customer %s is known here already", x.customer.Name)
	}
	slot, err := slotOf(seal.MainSlot, x.with)
	if err != nil {
		return nil, err
	}
	cost, err := passphraseCost(x.memory)
	if err != nil {
		return nil, err
	}
	dir := provider.Folder(a.dir, x.customer.Name)
	ring := a.ring(x.given, true, cost)
	ring.Make = x.makes
	defer ring.Close() //nolint:errcheck // what it held ends with this program
	identity, err := node.Init(ctx, dir, x.settings, ring.Open, rand.Reader, slot)
	if err != nil {
		return nil, err
	}
	x.customer.Identity = hex.EncodeToString(identity)
	c.Customers = append(c.Customers, x.customer)
	return identity, own(dir, x.customer.User)
}

// own gives a folder to a user, itself last: until then a process of that user, which may run for another customer, can put nothing in it that leads elsewhere.
func own(dir string, u *provider.User) error {
	if u == nil {
		return nil
	}
	var paths []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	for _, path := range slices.Backward(paths) {
		err = cmp.Or(err, os.Lchown(path, int(u.UID), int(u.GID)))
	}
	return err
}

// provider reads provider.json of --dir.
func (a *app) provider() (provider.Config, error) {
	c, err := provider.Read(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, notReady("make one with `ostraka provider init`, or name its folder with --dir", "%s holds no provider", a.dir)
	}
	return c, err
}

// reloaded tells the supervisor that runs, if one does, and says what follows.
func (a *app) reloaded(ctx context.Context) (string, error) {
	err := provider.Ask(ctx, a.dir, "POST", "reload", &struct{}{})
	if errors.Is(err, provider.ErrNotRunning) {
		return "It counts when the supervisor runs: `ostraka provider run`.", nil
	}
	return "The supervisor that runs has taken it.", err
}

func (a *app) providerRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Stop a customer's node for good; its folder, with its shares, stays", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.providerAgain(c.Context(), args[0], true) },
	}
}

// providerAgain retires a customer, or takes it back.
func (a *app) providerAgain(ctx context.Context, name string, retired bool) error {
	if _, err := a.provider(); err != nil {
		return err
	}
	err := provider.Edit(a.dir, func(c *provider.Config) error {
		x, err := c.Customer(name)
		if err == nil {
			x.Retired = retired
		}
		return err
	})
	if err != nil {
		return err
	}
	said, err := a.reloaded(ctx)
	if err != nil {
		return err
	}
	doc := struct {
		Customer string `json:"customer"`
		Retired  bool   `json:"retired"`
		Dir      string `json:"dir"`
	}{name, retired, provider.Folder(a.dir, name)}
	return a.show(doc, func(w io.Writer) {
		if retired {
			fmt.Fprintf(w, "Customer %s is removed. Its folder stays: %s holds its shares, and no command deletes it.\n%s\n", name, doc.Dir, said)
			return
		}
		fmt.Fprintf(w, "Customer %s is taken back.\n%s\n", name, said)
	})
}

func (a *app) providerListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the customers as provider.json has them", Args: none,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.provider()
			if err != nil {
				return err
			}
			p.Customers = list(p.Customers)
			return a.show(p, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, x := range p.Customers {
					what := describe(x.Limits)
					if x.Retired {
						what = "removed"
					}
					fmt.Fprintf(t, "%s\t%s\n", x.Name, what)
				}
				_ = t.Flush()
			})
		},
	}
}

func describe(l provider.Limits) string {
	var out []string
	say := func(set bool, format string, v any) {
		if set {
			out = append(out, fmt.Sprintf(format, v))
		}
	}
	say(l.CPUs > 0, "%g CPUs", l.CPUs)
	say(l.Nice > 0, "nice %d", l.Nice)
	say(l.Memory > 0, "%d MiB of memory", l.Memory>>20)
	say(l.OpenFiles > 0, "%d open files", l.OpenFiles)
	say(l.LogBytes > 0, "%d KiB of log files", l.LogBytes>>10)
	say(l.Connections > 0, "%d connections at each door", l.Connections)
	if len(out) == 0 {
		return "no limits but the usual"
	}
	return strings.Join(out, ", ")
}

func (a *app) providerRunCommand() *cobra.Command {
	var level, format string
	var tagRows bool
	c := &cobra.Command{
		Use: "run", Short: "Run all customers' nodes until it is stopped; SIGHUP reads provider.json anew", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := a.logger(level, format)
			if err != nil {
				return err
			}
			if _, err := a.provider(); err != nil {
				return err
			}
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			var args []string
			if tagRows {
				args = append(args, "--tag-rows")
			}
			err = provider.Run(c.Context(), provider.Options{
				Dir: a.dir, Binary: binary, Env: os.Environ(), Log: log, Args: args,
				Secret: secretFileOf,
			}, hangup, func() {
				_ = a.show(struct {
					Socket string `json:"socket"`
				}{filepath.Join(a.dir, provider.SocketName)}, func(io.Writer) {})
			})
			if errors.Is(err, provider.ErrRuns) {
				return fail(codeError, err, "`ostraka provider status --dir "+a.dir+"` shows it")
			}
			return err
		},
	}
	f := c.Flags()
	f.BoolVar(&tagRows, "tag-rows", false, tagRowsHelp)
	f.StringVar(&level, "log-level", "info", "of the supervisor: debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "text or json, to stderr")
	return c
}

func (a *app) providerStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the running supervisor and every customer's node", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			var s provider.Status
			if err := a.askProvider(ctx, "GET", "status", &s); err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) { printProvider(w, s) })
		},
	}
}

func (a *app) askProvider(ctx context.Context, method, what string, into any) error {
	err := provider.Ask(ctx, a.dir, method, what, into)
	if errors.Is(err, provider.ErrNotRunning) {
		return notReady("start it with `ostraka provider run --dir "+a.dir+"`, or name its folder with --dir", "no supervisor runs in %s", a.dir)
	}
	return err
}

func printProvider(w io.Writer, s provider.Status) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "supervisor\tprocess %d, up since %s\n", s.PID, s.Since.UTC().Format(time.RFC3339))
	if s.NoCgroups != "" {
		fmt.Fprintf(t, "\tno cgroups: %s\n", s.NoCgroups)
	}
	for _, x := range s.Customers {
		what := string(x.State)
		if x.PID != 0 {
			what += fmt.Sprintf(", process %d", x.PID)
		}
		fmt.Fprintf(t, "%s\t%s since %s; started %d times; %d connections of nodes, %d of people\n", x.Name, what, x.Since.UTC().Format(time.RFC3339), x.Started, x.Link.Held, x.People.Held)
		if x.Why != "" && x.State != provider.Running && x.State != provider.Starting {
			fmt.Fprintf(t, "\t%s\n\tlog: %s\n", x.Why, x.Log)
		}
	}
	_ = t.Flush()
}

func (a *app) providerRestartCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restart NAME", Short: "Start a customer's node anew, whatever it does; no other is touched", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			if err := a.askProvider(ctx, "POST", "restart?customer="+args[0], &struct{}{}); err != nil {
				return err
			}
			return a.show(struct {
				Customer string `json:"customer"`
			}{args[0]}, func(w io.Writer) { fmt.Fprintf(w, "Customer %s is started anew.\n", args[0]) })
		},
	}
}

func (a *app) providerLimitsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "limits NAME", Short: "Show a customer's limits, or change those that are given", Args: cobra.ExactArgs(1),
		Example: "  ostraka provider limits globex --cpus 1.5 --memory 1GiB --store-bytes 8GiB --signatures-per-minute 120",
		RunE:    func(c *cobra.Command, args []string) error { return a.providerLimits(c.Context(), args[0], c.Flags()) },
	}
	c.Flags().AddFlagSet(processLimits(&provider.Limits{}))
	c.Flags().AddFlagSet(nodeLimits(&node.Limits{}))
	return c
}

// processLimits are flags that change what the supervisor holds a process to.
func processLimits(l *provider.Limits) *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Float64Var(&l.CPUs, "cpus", l.CPUs, "processors; 0: no limit (it starts this node anew)")
	f.IntVar(&l.Nice, "nice", l.Nice, "0 to 19: it waits for others' nodes (it starts this node anew)")
	bytesVar(f, &l.Memory, "memory", sized+"; 0: no limit (it starts this node anew)")
	f.Uint64Var(&l.OpenFiles, "open-files", l.OpenFiles, "files and connections; 0: no limit (it starts this node anew)")
	bytesVar(f, &l.LogBytes, "log-bytes", "of its log files together, likewise; 0: 64 MiB")
	f.IntVar(&l.Connections, "connections", l.Connections, "at once at each door; 0: 256")
	return f
}

// nodeLimits are flags that change what a node holds itself to.
func nodeLimits(l *node.Limits) *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.IntVar(&l.Vaults, "vaults", l.Vaults, "that the node makes or holds shares of; 0: no limit (it starts this node anew)")
	f.IntVar(&l.SignaturesPerMinute, "signatures-per-minute", l.SignaturesPerMinute, "0: no limit (it starts this node anew)")
	f.IntVar(&l.Sessions, "sessions", l.Sessions, "protocol sessions at once; 0: no limit (it starts this node anew)")
	bytesVar(f, &l.StoreBytes, "store-bytes", "of its store, likewise; 0: no limit but the disk (it starts this node anew)")
	return f
}

// flagsGiven sets flags as others were given, and says whether any was.
func flagsGiven(to, from *pflag.FlagSet) (some bool, err error) {
	from.Visit(func(g *pflag.Flag) {
		if to.Lookup(g.Name) != nil {
			some, err = true, errors.Join(err, to.Set(g.Name, g.Value.String()))
		}
	})
	return some, err
}

type limitsDocument struct {
	Customer string          `json:"customer"`
	Process  provider.Limits `json:"process"`
	Node     node.Limits     `json:"node"`
}

func (a *app) providerLimits(ctx context.Context, name string, f *pflag.FlagSet) error {
	p, err := a.provider()
	if err != nil {
		return err
	}
	x, err := p.Customer(name)
	if err != nil {
		return err
	}
	dir := provider.Folder(a.dir, name)
	s, err := node.ReadSettings(dir)
	if err != nil {
		return err
	}
	doc := limitsDocument{name, x.Limits, s.Limits}
	ours, err := flagsGiven(processLimits(&doc.Process), f)
	if err != nil {
		return err
	}
	theirs, err := flagsGiven(nodeLimits(&doc.Node), f)
	if err != nil {
		return err
	}
	if err := cmp.Or(doc.Process.Check(), doc.Node.Check()); err != nil {
		return usage("%w", err)
	}
	said := ""
	if ours {
		err = provider.Edit(a.dir, func(c *provider.Config) error {
			x, err := c.Customer(name)
			if err == nil {
				x.Limits = doc.Process
			}
			return err
		})
	}
	if err == nil && theirs {
		err = node.SetLimits(dir, doc.Node)
	}
	if err == nil && (ours || theirs) {
		said, err = a.reloaded(ctx)
	}
	if err == nil && theirs {
		if err = provider.Ask(ctx, a.dir, "POST", "restart?customer="+name, &struct{}{}); errors.Is(err, provider.ErrNotRunning) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\nits node: %s\n", name, describe(doc.Process), doc.Node)
		if said != "" {
			fmt.Fprintln(w, said)
		}
	})
}

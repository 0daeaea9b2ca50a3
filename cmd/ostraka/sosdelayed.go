package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/node/rpc"
)

// Bounds of a look at a chain.
const (
	delayedTime   = time.Minute
	maxOwnAddress = 256 // of one account, among which the Safe's owner is looked for
)

func (a *app) sosDelayedCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delayed", Short: "A Safe with a delay: what an EVM chain itself enforces for a vault",
		Long: "A Safe that the vault owns, and Zodiac's Delay as its one module: a key outside the vault acts for the Safe after a cooldown, in which the vault strikes\n" +
			"out what was queued. It needs no operator and no guardian. `plan` says how one is made; the charter then names it (`delayed` of the vault); `enable` asks the\n" +
			"vault for the two transactions that make it work; `queue` shows what waits; `veto` strikes it out.",
	}
	c.AddCommand(a.delayedPlanCommand(), a.delayedEnableCommand(), a.delayedQueueCommand(), a.delayedVetoCommand(), a.delayedBringCommand())
	return c
}

// delayedLook is what a command needs to read a Safe with a delay.
type delayedLook struct {
	proposal
	rpc    []string
	before uint64
}

func (l *delayedLook) rpcFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&l.rpc, "rpc", nil, "CHAIN=URL: where the chain is read (eip155:1=https://…); give two of different operators or more, which must agree")
}

// panels are the endpoints given, by chain.
func (l *delayedLook) panels() (map[string]*rpc.Panel, error) {
	urls := map[string][]string{}
	for _, text := range l.rpc {
		e, err := onchain.ParseEVM(text)
		if err != nil {
			return nil, usage("--rpc: %w", err)
		}
		urls[e.Chain] = append(urls[e.Chain], e.URL)
	}
	out := map[string]*rpc.Panel{}
	for chain, all := range urls {
		p, err := rpc.NewPanel(all, rpc.Options{})
		if err != nil {
			return nil, usage("--rpc: %w", err)
		}
		out[chain] = p
	}
	if len(out) == 0 {
		return nil, usage("give --rpc CHAIN=URL: this program reads the chain itself")
	}
	return out, nil
}

// delayedOf are the Safes of a vault's by the charter in force.
func delayedOf(v client.Vault) ([]charter.Delayed, error) {
	b, _ := v.InForce().Vault(v.Name)
	if len(b.Delayed) == 0 {
		return nil, refused("`ostraka sos delayed plan` says how one is made, and what the charter then says of it", "the charter names no Safe with a delay of vault %s", v.Name)
	}
	return b.Delayed, nil
}

// A found is a Safe with a delay as a chain has it.
type found struct {
	charter.Delayed
	terms  delayed.Terms
	state  delayed.State
	head   rpc.Header
	unlike []string
}

func find(ctx context.Context, p *rpc.Panel, x charter.Delayed, owners []evm.Address) (f found, err error) {
	f.Delayed = x
	if f.terms.Delay, err = policy.Delay(x); err != nil {
		return f, err
	}
	f.terms.Cooldown, f.terms.Expiration = x.Cooldown, x.Expiration
	if f.state, f.head, err = p.Delayed(ctx, f.terms.Delay); err != nil {
		return f, fmt.Errorf("%s: %w", x.Chain, err)
	}
	f.unlike = f.state.Unlike(f.terms, owners)
	return f, nil
}

// ownAddresses are a vault's addresses on EVM chains, derived here.
func ownAddresses(ctx context.Context, c *client.Circle, v client.Vault) (out []evm.Address, err error) {
	r, err := rootFor(v, evm.Suite)
	if err != nil {
		return nil, err
	}
	all, _, err := c.Accounts(ctx, v)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		for i := range min(x.Given(evm.Suite), maxOwnAddress) {
			text, _, err := v.Address(r, evmChainOf(v), hd.Path{x.Path[0], x.Path[1], uint32(i)})
			if err != nil {
				return nil, err
			}
			at, err := evm.ParseAddress(text)
			if err != nil {
				return nil, err
			}
			out = append(out, at)
		}
	}
	return out, nil
}

// evmChainOf is one of a vault's: an account's address is the same on all.
func evmChainOf(v client.Vault) string {
	i := slices.IndexFunc(v.Chains, func(c string) bool { return strings.HasPrefix(c, "eip155:") })
	return v.Chains[max(i, 0)]
}

type delayedDocument struct {
	Vault     string           `json:"vault"`
	Chain     string           `json:"chain"`
	Safe      string           `json:"safe"`
	Module    string           `json:"module"`
	Key       string           `json:"key"`
	Height    uint64           `json:"height"`
	Endpoints int              `json:"endpoints"`
	Enforced  bool             `json:"enforced"`
	Unlike    []string         `json:"unlike"`
	Queue     []queuedDocument `json:"queue"`
	More      uint64           `json:"more"` // that wait behind those
}

type queuedDocument struct {
	Number    uint64 `json:"number"`
	State     string `json:"state"` // cooldown, ready, expired
	Queued    string `json:"queued"`
	Ready     string `json:"ready"`
	Ends      string `json:"ends,omitempty"`
	Hash      string `json:"hash"`
	To        string `json:"to,omitempty"` // and what follows: empty where no endpoint told what was queued
	Value     string `json:"value,omitempty"`
	Data      string `json:"data,omitempty"`
	Operation string `json:"operation,omitempty"` // call, delegate-call
}

func documentOf(vault string, f found, endpoints int) delayedDocument {
	d := delayedDocument{
		Vault: vault, Chain: f.Chain, Safe: f.terms.Safe.String(), Module: f.terms.Module.String(), Key: f.terms.Key.String(), Height: f.head.Height, Endpoints: endpoints,
		Enforced: len(f.unlike) == 0, Unlike: list(f.unlike), Queue: []queuedDocument{}, More: f.state.End - f.state.Next - uint64(len(f.state.Queue)),
	}
	for _, x := range f.state.Queue {
		q := queuedDocument{Number: x.Nonce, State: "cooldown", Queued: stampOf(x.Queued), Ready: stampOf(x.Ready), Hash: fmt.Sprintf("0x%x", x.Hash)}
		if !f.head.Time.Before(x.Ready) {
			q.State = "ready"
		}
		if !x.Ends.IsZero() {
			q.Ends = stampOf(x.Ends)
		}
		if x.Expired(f.head.Time) {
			q.State = "expired"
		}
		if c := x.Call; c != nil {
			q.To, q.Value, q.Data, q.Operation = c.To.String(), c.Value.String(), fmt.Sprintf("0x%x", c.Data), map[bool]string{true: "call", false: "delegate-call"}[c.Operation == 0]
		}
		d.Queue = append(d.Queue, q)
	}
	return d
}

func (d delayedDocument) print(w io.Writer) {
	fmt.Fprint(w, line("%s: Safe %s of vault %s, after block %d, by %s\n", d.Chain, d.Safe, d.Vault, d.Height, counted(d.Endpoints, "endpoint", "endpoints that agree")))
	for _, x := range d.Unlike {
		fmt.Fprint(w, line("  NOT as the charter says: %s\n", x))
	}
	if d.Enforced {
		fmt.Fprint(w, line("  the chain enforces what the charter says\n"))
	}
	if len(d.Queue) == 0 {
		fmt.Fprint(w, line("  nothing is queued\n"))
	}
	for _, q := range d.Queue {
		what := "a call that no endpoint told, hash " + q.Hash
		if q.To != "" {
			what = fmt.Sprintf("%s of %s with %s wei and data %s", q.Operation, q.To, q.Value, shortened(q.Data))
		}
		fmt.Fprint(w, line("  %d  %-8s  %s\n", q.Number, q.State, what))
		if q.State != "expired" {
			fmt.Fprint(w, line("     queued %s; whoever likes carries it out from %s%s: until it is carried out the vault strikes it out\n", q.Queued, q.Ready, until(q.Ends)))
		}
	}
	if d.More > 0 {
		fmt.Fprint(w, line("  and %d more\n", d.More))
	}
}

func until(end string) string {
	if end == "" {
		return ""
	}
	return " to " + end
}

// shortened keeps data within a line.
func shortened(data string) string {
	if len(data) > 80 {
		return fmt.Sprintf("%s… (%d bytes)", data[:80], len(data)/2-1)
	}
	return data
}

func (a *app) delayedQueueCommand() *cobra.Command {
	var l delayedLook
	c := &cobra.Command{
		Use: "queue VAULT --rpc CHAIN=URL", Short: "Read from the chain whether it enforces what the charter says, and what waits", Args: exactly("VAULT"),
		Example: "  ostraka sos delayed queue treasury --rpc eip155:1=https://one.example --rpc eip155:1=https://two.example",
		Long: "Reads the Safe and the module as of one block, at all endpoints given, which must agree. What was queued is shown if some endpoint keeps its log and it has the\n" +
			"hash that the module keeps. Exit code 4: the chain does not enforce what the charter says.",
		RunE: func(c *cobra.Command, args []string) error { return a.delayedQueue(c.Context(), &l, args[0]) },
	}
	l.rpcFlag(c)
	return c
}

func (a *app) delayedQueue(ctx context.Context, l *delayedLook, vault string) error {
	panels, err := l.panels()
	if err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, delayedTime)
	defer cancel()
	return a.inVault(ctx, vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		all, err := delayedOf(v)
		if err != nil {
			return err
		}
		owners, err := ownAddresses(ctx, c, v)
		if err != nil {
			return err
		}
		docs, unlike := []delayedDocument{}, 0
		for _, x := range all {
			p := panels[x.Chain]
			if p == nil {
				a.say("%s is not read: give --rpc %[1]s=URL", x.Chain)
				continue
			}
			f, err := find(ctx, p, x, owners)
			if err != nil {
				return err
			}
			docs, unlike = append(docs, documentOf(v.Name, f, len(p.Members()))), unlike+len(f.unlike)
		}
		err = a.show(struct {
			Safes []delayedDocument `json:"safes"`
		}{docs}, func(w io.Writer) {
			for _, d := range docs {
				d.print(w)
			}
		})
		if err == nil && unlike > 0 {
			err = unverified("leave nothing of value in the Safe until it is as the charter says: `ostraka sos delayed enable` sets module and key; for the rest make a new one", "the chain does not enforce what the charter says of vault %s", v.Name)
		}
		return err
	})
}

// order proposes a transaction of the Safe's, which make writes from what the chain says.
func (a *app) order(ctx context.Context, l *delayedLook, make func(found) (delayed.Order, error)) error {
	if err := l.checkSender(); err != nil {
		return err
	}
	panels, err := l.panels()
	if err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, l.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		all, err := delayedOf(v)
		if err != nil {
			return err
		}
		sender, err := evmSender(ctx, c, v, l.chain, l.account)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(x charter.Delayed) bool { return x.Chain == sender.Chain })
		if i < 0 {
			return usage("the charter names no Safe with a delay of vault %s on %s", v.Name, sender.Chain)
		}
		if panels[sender.Chain] == nil {
			return usage("give --rpc %s=URL", sender.Chain)
		}
		text, _, err := v.Address(sender.Root, sender.Chain, sender.Path())
		if err != nil {
			return err
		}
		owner, err := evm.ParseAddress(text)
		if err != nil {
			return err
		}
		f, err := find(ctx, panels[sender.Chain], all[i], []evm.Address{owner})
		if err != nil {
			return err
		}
		if len(f.state.Owners) != 1 || f.state.Owners[0] != owner || f.state.Threshold != 1 {
			return refused("give --account the account that owns the Safe", "the Safe %s does not do what %s signs alone", f.terms.Safe, owner)
		}
		o, err := make(f)
		if err != nil {
			return err
		}
		document, err := o.Document(f.terms.Delay)
		if err != nil {
			return err
		}
		s, err := c.PrepareMessage(sender, document, l.memo, l.expires.Truncate(time.Second))
		if err != nil {
			return err
		}
		a.say("Once it is signed, `ostraka sos delayed bring %s` says what anybody sends to the chain", s.ID().Short())
		return a.submit(ctx, c, v, s, l.noWait, "signed")
	})
}

func (l *delayedLook) orderFlags(c *cobra.Command) {
	f := c.Flags()
	l.senderFlags(f)
	l.rpcFlag(c)
	l.until = "signed"
	f.StringVar(&l.memo, "memo", "", "why, for the approvers")
	f.DurationVar(&l.expires, "expires", 0, "how long it may be approved and signed (default: the vault's)")
	f.BoolVar(&l.noWait, "no-wait", false, "only hand it to the nodes")
	l.wait = true
}

func (a *app) delayedVetoCommand() *cobra.Command {
	var l delayedLook
	c := &cobra.Command{
		Use: "veto --vault VAULT --account DEPARTMENT/ACCOUNT --rpc CHAIN=URL", Short: "Propose to strike out what is queued", Args: none,
		Example: "  ostraka sos delayed veto --vault treasury --account ops/main --rpc eip155:1=https://rpc.example",
		Long: "Reads the queue, and proposes the Safe's transaction that strikes out all of it, or what stands before --before. It counts once it is signed and brought to the\n" +
			"chain, if that is before the call is carried out; somebody else pays its gas.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.order(c.Context(), &l, func(f found) (delayed.Order, error) {
				before := f.state.End
				if c.Flags().Changed("before") {
					before = l.before
				}
				o, err := delayed.Veto(f.terms.Delay, f.state, before)
				if err != nil {
					err = refused("`ostraka sos delayed queue` shows what waits", "%w", err)
				}
				return o, err
			})
		},
	}
	l.orderFlags(c)
	c.Flags().Uint64Var(&l.before, "before", 0, "keep this number of the queue and what follows it (default: strike out everything)")
	return c
}

func (a *app) delayedEnableCommand() *cobra.Command {
	var l delayedLook
	c := &cobra.Command{
		Use: "enable --vault VAULT --account DEPARTMENT/ACCOUNT --rpc CHAIN=URL", Short: "Propose what the Safe still lacks: its module, then the module's key", Args: none,
		Long: "Run it twice: once what the first run proposed is on the chain, the second proposes the rest. Nothing is proposed while the Safe or the module is another one than\n" +
			"the charter says: neither could be taken back by the vault alone.",
		RunE: func(c *cobra.Command, _ []string) error { return a.order(c.Context(), &l, lacking) },
	}
	l.orderFlags(c)
	return c
}

// lacking is the next of the two orders that make a Safe's delay work.
func lacking(f found) (delayed.Order, error) {
	whole := f.state // as if both were there: nothing else may differ
	whole.Modules, whole.Keys = []evm.Address{f.terms.Module}, []evm.Address{f.terms.Key}
	if wrong := whole.Unlike(f.terms, f.state.Owners); len(wrong) > 0 {
		return delayed.Order{}, unverified("make another module, and amend the charter", "the chain is not as the charter says: %s", strings.Join(wrong, "; "))
	}
	orders, err := delayed.Enable(f.terms.Delay, f.state.Nonce)
	switch {
	case err != nil:
		return delayed.Order{}, err
	case !slices.Contains(f.state.Modules, f.terms.Module):
		return orders[0], nil
	case !slices.Contains(f.state.Keys, f.terms.Key):
		orders[1].Nonce = f.state.Nonce
		return orders[1], nil
	}
	return delayed.Order{}, refused("`ostraka sos delayed queue` shows it", "the Safe has its module, and the module its key")
}

type bringDocument struct {
	To   string `json:"to"`
	Data string `json:"data"`
}

func (a *app) delayedBringCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bring ID", Short: "Write what brings a signed transaction of a Safe to the chain, for any account to send", Args: intentID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			r, end, err := a.reader(ctx, false)
			if err != nil {
				return err
			}
			defer end()
			_, one, failed, err := findCase(ctx, r, args[0])
			if err != nil {
				return err
			}
			a.down(failed)
			if len(one.Alarms) > 0 {
				return &client.AlarmError{Case: one}
			}
			if one.Signed == nil {
				return notReady("`ostraka tx show` says what it waits for", "intent %s is not signed", one.ID().Short())
			}
			safe, call, err := delayed.Bring(one.Intent.Transaction, one.Signed.Raw)
			if err != nil {
				return errors.Join(fmt.Errorf("intent %s", one.ID().Short()), err)
			}
			d := bringDocument{safe.String(), fmt.Sprintf("0x%x", call)}
			return a.show(d, func(w io.Writer) { fmt.Fprintf(w, "to    %s\ndata  %s\n", d.To, d.Data) })
		},
	}
}

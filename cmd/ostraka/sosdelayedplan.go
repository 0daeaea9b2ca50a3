package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/rpc"
)

// Where Zodiac's contracts lie on public chains.
const (
	delayMaster   = "0xd54895B1121A2eE3f37b502F507631FA1331BED6" // Delay 1.0.1
	moduleFactory = "0x000000000000aDdB49795b0f9bA5BC298cDda236" // ModuleProxyFactory 1.2.0
)

type delayedPlan struct {
	delayedLook
	key, safe, safeFactory, singleton, master, factory string
	cooldown, expiration                               time.Duration
	salt                                               uint64
}

type planDocument struct {
	Vault   string         `json:"vault"`
	Owner   string         `json:"owner"` // address of the vault's that owns the Safe
	Chain   string         `json:"chain"`
	Safe    string         `json:"safe"`
	Module  string         `json:"module"`
	Calls   []callDocument `json:"calls"`   // that anybody sends, in this order
	Charter []string       `json:"charter"` // lines that the vault's `delayed` has then
}

type callDocument struct {
	What string `json:"what"`
	To   string `json:"to"`
	Data string `json:"data"`
}

func (a *app) delayedPlanCommand() *cobra.Command {
	var p delayedPlan
	c := &cobra.Command{
		Use: "plan --vault VAULT --account DEPARTMENT/ACCOUNT --key-address ADDRESS", Short: "Write what makes a Safe with a delay, and what the charter says of it", Args: none,
		Example: "  ostraka sos delayed plan --vault treasury --account ops/main --key-address 0x… --safe 0x…",
		Long: "Give an existing Safe, whose only owner is the account, as --safe; or where Safe's factory and its singleton lie, and an endpoint to ask what address a new one\n" +
			"gets. Nothing is signed: any account sends the calls. The charter is amended with the lines that are written; then `ostraka sos delayed enable` follows.",
		RunE: func(c *cobra.Command, _ []string) error { return a.delayedPlan(c.Context(), &p) },
	}
	f := c.Flags()
	p.senderFlags(f)
	p.rpcFlag(c)
	p.until, p.wait = "signed", true
	f.StringVar(&p.key, "key-address", "", "the address outside the vault that may queue: of an account, or of a contract such as another Safe (required)")
	f.DurationVar(&p.cooldown, "cooldown", 168*time.Hour, "how long what was queued waits, 1h to 2160h")
	f.DurationVar(&p.expiration, "expiration", 168*time.Hour, "how long it can be carried out after that, 1h to 2160h")
	f.StringVar(&p.safe, "safe", "", "a Safe that the account owns already")
	f.StringVar(&p.safeFactory, "safe-factory", "", "SafeProxyFactory on this chain, for a new Safe")
	f.StringVar(&p.singleton, "singleton", "", "Safe's singleton on this chain, for a new Safe")
	f.StringVar(&p.factory, "module-factory", moduleFactory, "Zodiac's ModuleProxyFactory on this chain")
	f.StringVar(&p.master, "mastercopy", delayMaster, "Zodiac's Delay 1.0.1 on this chain")
	f.Uint64Var(&p.salt, "salt", 0, "number that makes the addresses others")
	return c
}

// addressFlag reads one.
func addressFlag(name, text string) (evm.Address, error) {
	at, err := evm.ParseAddress(text)
	if err != nil {
		return at, usage("--%s: %w", name, err)
	}
	return at, nil
}

func (a *app) delayedPlan(ctx context.Context, p *delayedPlan) error {
	if err := p.checkSender(); err != nil {
		return err
	}
	if p.key == "" {
		return usage("give --key-address")
	}
	if (p.safe == "") == (p.safeFactory == "" || p.singleton == "") {
		return usage("give either --safe, or --safe-factory and --singleton")
	}
	ctx, cancel := a.within(ctx, delayedTime)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		sender, err := evmSender(ctx, c, v, p.chain, p.account)
		if err != nil {
			return err
		}
		d := planDocument{Vault: v.Name, Chain: sender.Chain}
		if d.Owner, _, err = v.Address(sender.Root, sender.Chain, sender.Path()); err != nil {
			return err
		}
		safe, err := p.newSafe(ctx, &d)
		if err != nil {
			return err
		}
		module, err := p.newModule(safe, &d)
		if err != nil {
			return err
		}
		d.Safe, d.Module = safe.String(), module.String()
		key, err := addressFlag("key-address", p.key)
		if err != nil {
			return err
		}
		x := charter.Delayed{Chain: d.Chain, Safe: d.Safe, Module: d.Module, Key: key.String(), Cooldown: p.cooldown, Expiration: p.expiration}
		if d.Charter, err = x.Lines(v.Chains); err != nil {
			return usage("%w", err)
		}
		return a.show(d, d.print)
	})
}

// newSafe is the Safe given, or the one that its factory would make; then the call stands in the plan.
func (p *delayedPlan) newSafe(ctx context.Context, d *planDocument) (evm.Address, error) {
	if p.safe != "" {
		return addressFlag("safe", p.safe)
	}
	factory, err := addressFlag("safe-factory", p.safeFactory)
	if err != nil {
		return evm.Address{}, err
	}
	singleton, err := addressFlag("singleton", p.singleton)
	if err != nil {
		return evm.Address{}, err
	}
	owner, err := evm.ParseAddress(d.Owner)
	if err != nil {
		return evm.Address{}, err
	}
	panels, err := p.panels()
	if err != nil {
		return evm.Address{}, err
	}
	if panels[d.Chain] == nil {
		return evm.Address{}, usage("give --rpc %s=URL: the factory says what address the Safe gets", d.Chain)
	}
	call, err := delayed.MakeSafe(singleton, owner, p.salt)
	if err != nil {
		return evm.Address{}, err
	}
	var at evm.Address
	err = panels[d.Chain].Any(ctx, func(ctx context.Context, c *rpc.EVM) error {
		out, err := c.Call(ctx, rpc.Message{To: factory, Data: call})
		if err != nil {
			return err
		}
		at, err = delayed.Made(out)
		return err
	})
	if err != nil {
		return at, fmt.Errorf("ask the factory %s for the Safe's address (if it was made already, give it as --safe, or another --salt): %w", factory, err)
	}
	d.Calls = append(d.Calls, callDocument{"makes the Safe, owned by " + d.Owner + " alone", factory.String(), fmt.Sprintf("0x%x", call)})
	return at, nil
}

func (p *delayedPlan) newModule(safe evm.Address, d *planDocument) (evm.Address, error) {
	factory, err := addressFlag("module-factory", p.factory)
	if err != nil {
		return evm.Address{}, err
	}
	master, err := addressFlag("mastercopy", p.master)
	if err != nil {
		return evm.Address{}, err
	}
	setUp, err := delayed.SetUp(safe, p.cooldown, p.expiration)
	if err != nil {
		return evm.Address{}, err
	}
	call, at, err := delayed.Make(factory, master, setUp, p.salt)
	if err == nil {
		d.Calls = append(d.Calls, callDocument{"makes the delay module, owned by the Safe", factory.String(), fmt.Sprintf("0x%x", call)})
	}
	return at, err
}

func (d planDocument) print(w io.Writer) {
	fmt.Fprint(w, line("Any account sends these on %s, in this order:\n", d.Chain))
	for i, c := range d.Calls {
		fmt.Fprint(w, line("  %d. what  %s\n     to    %s\n     data  %s\n", i+1, c.What, c.To, c.Data))
	}
	fmt.Fprint(w, line("Then the charter has, in vault %s (`ostraka charter show --write FOLDER`, `ostraka charter amend FOLDER`):\n", d.Vault))
	for _, l := range d.Charter {
		fmt.Fprintln(w, "    "+l)
	}
	fmt.Fprint(w, line("Once it is in force: `ostraka sos delayed enable`, twice; then `ostraka sos delayed queue` before anything of value goes to %s\n", d.Safe))
}

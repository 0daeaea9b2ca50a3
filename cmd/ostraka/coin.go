package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
)

// bitcoinDecimals are those of a whole bitcoin; of satoshis per virtual byte three are told.
const (
	bitcoinDecimals = 8
	rateDecimals    = 3
)

func (a *app) coinCommand() *cobra.Command {
	c := &cobra.Command{Use: "coin", Short: "What accounts hold on Bitcoin, coin by coin"}
	c.AddCommand(a.coinListCommand(), a.coinGatherCommand(), a.coinPacketCommand(), a.coinReclaimCommand())
	return c
}

type coinDocument struct {
	Coin       string `json:"coin"`   // TXID:INDEX
	Amount     uint64 `json:"amount"` // satoshis
	Suite      string `json:"suite"`
	Path       string `json:"path"`
	Address    string `json:"address"`
	Height     uint32 `json:"height"` // 0: no block holds it yet
	Own        bool   `json:"own"`    // the vault itself made the transaction that made it
	Reserved   string `json:"reserved,omitempty"`
	OpensAfter uint32 `json:"recovery_opens_after,omitempty"` // blocks
}

type coinsDocument struct {
	Vault   string         `json:"vault"`
	Account string         `json:"account"`
	Chain   string         `json:"chain"`
	Sum     uint64         `json:"sum"` // satoshis
	Height  uint32         `json:"height"`
	Behind  uint32         `json:"behind"`
	Doubted int            `json:"doubted"` // coins that one node alone shows
	Left    int            `json:"left"`
	FeeRate string         `json:"fee_rate"` // satoshis per virtual byte
	Nodes   []string       `json:"nodes"`
	Coins   []coinDocument `json:"coins"`
}

func (a *app) coinListCommand() *cobra.Command {
	var on string
	c := &cobra.Command{
		Use: "list VAULT DEPARTMENT/ACCOUNT", Short: "List what an account holds on Bitcoin", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Long: "Asks every node, each of which read the chain block by block at its own endpoints, and shows what two of them say alike.\n" +
			"Coins of others' transactions that no block holds yet are not shown.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			return a.inAccount(ctx, args, func(ctx context.Context, c *client.Circle, v client.Vault, x client.Account) error {
				chain, err := bitcoinOf(v, on)
				if err != nil {
					return err
				}
				h, err := c.Holding(ctx, v, x, chain)
				if err != nil {
					return err
				}
				all, failed, err := c.Cases(ctx, []client.Vault{v}, v.ID)
				if err != nil {
					return err
				}
				a.down(failed)
				h.Reserve(all)
				return a.showCoins(v, x, chain, h)
			})
		},
	}
	c.Flags().StringVar(&on, "chain", "", "chain, as bip122:… (default: the vault's only one)")
	return c
}

func (a *app) showCoins(v client.Vault, x client.Account, chain string, h client.Holding) error {
	d := coinsDocument{
		Vault: v.Name, Account: x.Department + "/" + x.Name, Chain: chain, Sum: h.Sum, Height: h.Height, Behind: h.Behind, Doubted: h.Doubted, Left: h.Left,
		FeeRate: rateText(h.Rate), Nodes: list(h.Nodes), Coins: []coinDocument{},
	}
	for _, c := range h.Coins {
		address, err := h.Vault.Address(c.Spot)
		if err != nil {
			return err
		}
		one := coinDocument{c.Outpoint.String(), c.Amount, c.Suite, statement.FormatPath(c.Path[:]...), address, c.Height, c.Own, "", 0}
		if !c.Reserved.IsZero() {
			one.Reserved = c.Reserved.String()
		}
		if c.Opens > 0 {
			one.OpensAfter = c.Opens - 1
		}
		d.Coins = append(d.Coins, one)
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s of vault %s: %s BTC in %d coins at height %d, as %s read it\n", h.Vault.Network.Name, d.Account, d.Vault, btc(h.Sum), len(d.Coins), d.Height, strings.Join(d.Nodes, ", "))
		if h.Behind > 0 {
			fmt.Fprintf(w, "%d blocks are still to be read: what they hold is missing\n", h.Behind)
		}
		if h.Doubted > 0 {
			fmt.Fprintf(w, "%d coins are not shown: one node alone knows them, as it is ahead of the others, or lies\n", h.Doubted)
		}
		if h.Left > 0 {
			fmt.Fprintf(w, "%d less valuable coins are not shown: `ostraka coin gather` makes one of many\n", h.Left)
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, c := range d.Coins {
			state := fmt.Sprintf("block %d", c.Height)
			if c.Height == 0 {
				state = "waits"
			}
			if c.Reserved != "" {
				state += ", spent by intent " + c.Reserved[:8]
			}
			if c.OpensAfter > 0 {
				state += fmt.Sprintf(", recovery opens in %d blocks", c.OpensAfter)
			}
			fmt.Fprintf(t, "  %s\t%s BTC\t%s\t%s\n", c.Coin, btc(c.Amount), c.Address, state)
		}
		_ = t.Flush()
	})
}

// btc writes satoshis as whole bitcoins.
func btc(sats uint64) string {
	return evm.FormatUnits(new(big.Int).SetUint64(sats), bitcoinDecimals)
}

func rateText(r bitcoin.Rate) string {
	return evm.FormatUnits(new(big.Int).SetUint64(uint64(r)), rateDecimals)
}

// bitcoinOf is the chain of Bitcoin that is meant, or the vault's only one.
func bitcoinOf(v client.Vault, on string) (string, error) {
	fit := slices.DeleteFunc(slices.Clone(v.Chains), func(x string) bool { return !strings.HasPrefix(x, "bip122:") })
	switch {
	case on != "" && !slices.Contains(fit, on):
		return "", usage("vault %s does not sign for %s on Bitcoin; it does for: %s", v.Name, on, strings.Join(fit, ", "))
	case on != "":
		return on, nil
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) == 0:
		return "", usage("vault %s signs for no chain of Bitcoin; it does for: %s", v.Name, strings.Join(v.Chains, ", "))
	}
	return "", usage("vault %s signs for %d chains of Bitcoin: give --chain, one of: %s", v.Name, len(fit), strings.Join(fit, ", "))
}

// paying is what is told of a payment on Bitcoin.
type paying struct {
	pay     []string // ADDRESS=AMOUNT
	coins   []string // TXID:INDEX
	feeRate string
	note    string
	change  string
	packet  string // file
	fixed   bool
}

func (p *paying) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&p.pay, "pay", nil, "on Bitcoin: ADDRESS=AMOUNT, again and again for several in one transaction, instead of --to and --amount")
	f.StringArrayVar(&p.coins, "coin", nil, "on Bitcoin: a coin to spend, TXID:INDEX (default: what fits)")
	f.StringVar(&p.note, "note", "", "on Bitcoin: text that the transaction carries for all to read")
	f.StringVar(&p.change, "change", "", "on Bitcoin: index of the account's address for what is left (default: the newest)")
	f.StringVar(&p.packet, "psbt", "", "on Bitcoin: another wallet's packet (BIP 174), instead of all of these")
	f.BoolVar(&p.fixed, "fixed", false, "on Bitcoin: no higher fee may replace it")
	p.rateFlag(f)
}

func (p *paying) rateFlag(f *pflag.FlagSet) {
	f.StringVar(&p.feeRate, "fee-rate", "", "on Bitcoin: satoshis per virtual byte (default: what the nodes say)")
}

// any says whether anything of it was given.
func (p *paying) any() bool {
	return len(p.pay)+len(p.coins)+len(p.feeRate)+len(p.note)+len(p.change)+len(p.packet) > 0 || p.fixed
}

// onBitcoin says whether a proposal is about Bitcoin: by its chain, or since the vault signs for no other.
func (p *proposal) onBitcoin(v client.Vault) bool {
	if p.chain != "" {
		return strings.HasPrefix(p.chain, "bip122:")
	}
	return p.paying.any() || !slices.ContainsFunc(v.Chains, func(x string) bool { return !strings.HasPrefix(x, "bip122:") })
}

// checkBitcoin judges what a proposal says besides.
func (p *proposal) checkBitcoin() error {
	for _, f := range []struct{ name, value string }{{"token", p.token}, {"nonce", p.nonce}, {"gas", p.gas}, {"fee-cap", p.feeCap}, {"tip-cap", p.tipCap}, {"batch", p.batch}} {
		if f.value != "" {
			return usage("--%s does not go with Bitcoin", f.name)
		}
	}
	if p.legacy {
		return usage("--legacy does not go with Bitcoin")
	}
	if p.packet != "" && (p.to != "" || p.amount != "" || len(p.pay)+len(p.coins)+len(p.note)+len(p.change)+len(p.feeRate) > 0 || p.fixed) {
		return usage("--psbt says all of the transaction: --to, --amount, --pay, --coin, --note, --change, --fee-rate and --fixed do not go with it")
	}
	if p.unit != "" && p.unit != "sat" && p.unit != "btc" {
		return usage("--unit %q is not btc or sat", p.unit)
	}
	return nil
}

// payment gives what was typed its meaning on Bitcoin.
func (p *proposal) payment(ctx context.Context, c *client.Circle, v client.Vault) (out client.Payment, err error) {
	if err := p.checkBitcoin(); err != nil {
		return out, err
	}
	out = client.Payment{Vault: v, Fixed: p.fixed, Memo: p.memo, Life: p.expires.Truncate(time.Second)}
	if out.Chain, err = bitcoinOf(v, p.chain); err != nil {
		return out, err
	}
	all, _, err := c.Accounts(ctx, v)
	if err != nil {
		return out, err
	}
	if out.Account, err = client.FindAccount(all, p.account); err != nil {
		return out, err
	}
	if p.note != "" {
		out.Note = []byte(p.note)
	}
	for _, text := range p.coins {
		o, err := client.ParseOutpoint(text)
		if err != nil {
			return out, usage("--coin: %w", err)
		}
		out.Coins = append(out.Coins, o)
	}
	if out.Rate, err = p.rate(); err != nil {
		return out, err
	}
	out.Change, err = p.changeTo(out)
	return out, err
}

func (p *paying) rate() (bitcoin.Rate, error) {
	if p.feeRate == "" {
		return 0, nil
	}
	n, err := evm.ParseUnits(p.feeRate, rateDecimals)
	if err != nil || !n.IsUint64() || n.Sign() == 0 {
		return 0, usage("--fee-rate %q: want satoshis per virtual byte, such as 12 or 12.5", p.feeRate)
	}
	return bitcoin.Rate(n.Uint64()), nil
}

func (p *paying) changeTo(out client.Payment) (*bitcoin.Spot, error) {
	if p.change == "" {
		return nil, nil //nolint:nilnil // nothing was said
	}
	var index uint32
	if _, err := fmt.Sscanf(p.change, "%d", &index); err != nil || fmt.Sprint(index) != p.change {
		return nil, usage("--change %q: want the index of an address", p.change)
	}
	for _, suite := range []string{bitcoin.SuiteBIP340, bitcoin.SuiteECDSA} {
		if uint64(index) < uint64(out.Account.Looked(suite)) {
			return &bitcoin.Spot{Suite: suite, Path: [3]uint32{out.Account.Path[0], out.Account.Path[1], index}}, nil
		}
	}
	return nil, usage("--change %d: the account gave out no such address, or only one node looks for coins there: `ostraka address new` gives one out", index)
}

func (p *proposal) payments() (all []coins.Payment, err error) {
	decimals := uint8(bitcoinDecimals)
	if p.unit == "sat" {
		decimals = 0
	}
	pairs := slices.Clone(p.pay)
	switch {
	case p.to != "" && p.amount != "":
		pairs = append(pairs, p.to+"="+p.amount)
	case p.to != "" || p.amount != "" || len(pairs) == 0:
		return nil, usage("give --to and --amount, or --pay ADDRESS=AMOUNT")
	}
	for _, text := range pairs {
		to, amount, _ := strings.Cut(text, "=")
		n, err := evm.ParseUnits(amount, decimals)
		if err == nil && !n.IsUint64() {
			err = errors.New("it is more than there can be")
		}
		if err != nil {
			return nil, usage("amount %q to %s: %w", amount, to, err)
		}
		all = append(all, coins.Payment{Address: to, Amount: n.Uint64()})
	}
	return all, nil
}

// pay proposes a transaction of Bitcoin.
func (a *app) pay(ctx context.Context, c *client.Circle, v client.Vault, p proposal) error {
	t, err := p.payment(ctx, c, v)
	if err != nil {
		return err
	}
	if p.packet == "" {
		if t.Payments, err = p.payments(); err != nil {
			return err
		}
		s, err := c.PreparePayment(ctx, t)
		if err != nil {
			return err
		}
		return a.submit(ctx, c, v, s, p.noWait, p.until)
	}
	packet, err := readPacket(p.packet)
	if err != nil {
		return err
	}
	raw, err := v.ImportPacket(t.Chain, packet)
	if err != nil {
		return refused("ask its wallet for one that this account's coins alone pay for, unsigned", "%w", err)
	}
	s, err := c.PreparePacket(t, raw)
	if err != nil {
		return err
	}
	return a.submit(ctx, c, v, s, p.noWait, p.until)
}

// maxPacketFile bounds a file with another wallet's packet, in bytes.
const maxPacketFile = 1 << 20

// readPacket reads a packet as wallets write it: its bytes, or base64.
func readPacket(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(b) > maxPacketFile {
		return nil, usage("%s has %d bytes, more than any packet", file, len(b))
	}
	if text := strings.TrimSpace(string(b)); strings.HasPrefix(text, "cHNidP") {
		return base64.StdEncoding.DecodeString(text)
	}
	return b, nil
}

func (a *app) coinGatherCommand() *cobra.Command {
	var p proposal
	most := 100
	c := &cobra.Command{
		Use: "gather", Short: "Propose to make one coin of an account's least valuable ones", Args: none,
		Example: "  ostraka coin gather --vault treasury --account ops/main --fee-rate 2",
		Long: "Many small coins cost much to spend when fees are high, and a coin with a recovery leaf opens some day unless it is spent before.\n" +
			"This spends the account's least valuable coins to its newest address, and no other. Do it while fees are low.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.checkSender(); err != nil {
				return err
			}
			if most < 1 || most > bitcoin.MaxInputs {
				return usage("--most %d: want 1 to %d", most, bitcoin.MaxInputs)
			}
			ctx, cancel := a.within(cmd.Context(), proposeTimeout)
			defer cancel()
			return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
				t, err := p.payment(ctx, c, v)
				if err != nil {
					return err
				}
				t.Gather = most
				s, err := c.PreparePayment(ctx, t)
				if err != nil {
					return err
				}
				return a.submit(ctx, c, v, s, p.noWait, p.until)
			})
		},
	}
	f := c.Flags()
	p.senderFlags(f)
	f.IntVar(&most, "most", most, "coins at most")
	f.StringArrayVar(&p.coins, "coin", nil, "one of them, TXID:INDEX (default: all)")
	f.StringVar(&p.change, "change", "", "index of the account's address that they go to (default: the newest)")
	p.rateFlag(f)
	p.followFlags(f)
	return c
}

func (a *app) coinPacketCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "psbt ID", Short: "Write an intent's transaction for other wallets", Args: intentID,
		Long: "Writes the packet (BIP 174) that the intent asks to be signed, with its signatures once they are there. Other wallets read it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			c, err := a.circle(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			_, one, failed, err := findCase(ctx, c, args[0])
			if err != nil {
				return err
			}
			a.down(failed)
			packet, err := one.Packet()
			if err != nil {
				return refused("`ostraka tx export` writes intents of any chain", "%w", err)
			}
			text := base64.StdEncoding.EncodeToString(packet)
			if out != "" {
				if err := writeNew(out, string(packet)); err != nil {
					return err
				}
			}
			return a.show(struct {
				PSBT string `json:"psbt"`
			}{text}, func(w io.Writer) { fmt.Fprintln(w, text) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "file for its bytes")
	return c
}

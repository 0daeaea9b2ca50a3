package node_test

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
	"github.com/ostraka/ostraka/node/wallet"
)

// A spender is a vault in an emergency, whose plan caps SOL at 4 and sends it to one wallet, on a chain that all nodes read.
type spender struct {
	*swept
	chain  *litesvm.Node
	panels map[string]*sol.Panel
	own    solana.Key
	refuge solana.Key
	asked  int
}

func spending(t *testing.T) *spender {
	t.Helper()
	chain := litesvm.Start(t)
	panel, err := sol.NewPanel([]string{chain.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := &spender{chain: chain, panels: map[string]*sol.Panel{litesvm.Chain: panel}, refuge: solana.Key(litesvm.Address(litesvm.Private("refuge")))}
	chain.Airdrop(t, x.refuge, 1e9)
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteEd25519
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		d.Assets = []charter.Asset{{Name: "sol", Chain: litesvm.Chain, Decimals: 9, Unit: 6}}
		d.Policy = solPolicy
		for i := range d.Vaults {
			p := nodetest.Plan(2, 2, "operator-9")
			p.Destinations = []charter.Destination{{Name: "refuge", Chain: litesvm.Chain, Address: x.refuge.String()}}
			p.Caps = []charter.Cap{{Asset: "sol", Most: 4000}}
			d.Vaults[i].Rescue = p
		}
	}
	w.CheckOther = func(_ *nodetest.Host, q decide.Question) (checked bool, why string, err error) {
		ask := node.AskSolana(x.panels) // which remembers nothing: the world's clock is not ours
		for err = node.ErrAsking; errors.Is(err, node.ErrAsking); time.Sleep(2 * time.Millisecond) {
			checked, why, err = ask(t.Context(), q)
		}
		return checked, why, err
	}
	w.UsualOther = func(_ *nodetest.Host, p payload.Payload) (fee *big.Int, err error) {
		usual := node.UsualOnSolana(x.panels)
		for err = node.ErrAsking; errors.Is(err, node.ErrAsking); time.Sleep(2 * time.Millisecond) {
			fee, err = usual(t.Context(), p)
		}
		return fee, err
	}
	w.Found()
	file := w.VaultFile("treasury", 3)
	file.Chains = []string{litesvm.Chain}
	id := w.AcceptVault(file)
	w.Run("the vault's key is published", func() bool { return w.Published(id) })
	addr := w.Account(id)
	x.swept = &swept{setting: setting{w, id, addr}}
	if x.own, err = solana.ParseKey(addr.Address); err != nil {
		t.Fatal(err)
	}
	return x
}

// sweeps has an officer ask for so many lamports.
func (x *spender) sweeps(lamports uint64) statement.Statement {
	x.T.Helper()
	x.asked++
	block := solana.Key(x.chain.Blockhash(x.T))
	world := solana.Readings{Recents: map[solana.Key]bool{block: true}, Accounts: map[solana.Key]solana.Account{x.refuge: {}}}
	r := solana.Request{Payer: x.own, Blockhash: block, Memo: fmt.Sprint(x.asked), Steps: []solana.Step{solana.Transfer(x.own, x.refuge, lamports)}}
	raw, err := solana.Build(r, payload.SolanaContext(litesvm.Chain, x.own, [3]uint32(x.addr.Path), world))
	if err != nil {
		x.T.Fatal(err)
	}
	it := x.Intent(x.vault, wallet.Address{Path: x.addr.Path, Suite: x.addr.Suite, Chain: litesvm.Chain, Address: x.addr.Address}, 0)
	it.Purpose, it.Claim, it.Transaction, it.Facts = intent.PurposeTransaction, intent.Claim{}, raw, nil
	p, err := payload.Read(it, charter.SuiteEd25519, payload.Context{})
	if err != nil {
		x.T.Fatal(err)
	}
	it.Facts = intent.Written(payload.Facts(p))
	s, n := x.officers(x.Hosts[0], it)
	x.again(x.Hosts[0], n)
	return s
}

// waits wants every node to wait, in these words.
func (x *spender) waits(what, want string, s statement.Statement) {
	x.T.Helper()
	x.Run(what+": it waits", func() bool {
		return x.All(func(h *nodetest.Host) bool {
			v, err := h.Desk.Show(s.ID())
			return err == nil && len(v.Decisions) == 0 && strings.Contains(v.Waits, want)
		})
	})
}

// lands waits for the signature, sends it, and has every node hear of it.
func (x *spender) lands(what string, s statement.Statement) {
	x.T.Helper()
	x.Run(what+" is signed", func() bool { return x.Signed(s) })
	v, err := x.Hosts[0].Desk.Show(s.ID())
	if err != nil {
		x.T.Fatal(err)
	}
	if _, err := x.panels[litesvm.Chain].Send(x.T.Context(), v.Raw); err != nil {
		x.T.Fatalf("%s: %v", what, err)
	}
	for _, h := range x.Hosts {
		for _, ev := range []intent.Event{intent.WasConfirmed{Height: 1, Block: "slot 1"}, intent.BecameFinal{}} {
			x.Act(h, func() {
				if err := h.Desk.OnChain(x.T.Context(), x.Clock(h), s.ID(), ev); err != nil {
					x.T.Fatal(err)
				}
			})
		}
	}
}

// In an emergency an officer that asks again and again for what the address cannot pay, or at once for what it can pay once, uses up no cap: what would not land waits, and what waits is not counted.
func TestNothingIsCountedThatCannotLand(t *testing.T) {
	t.Parallel()
	x := spending(t)
	x.active()
	x.chain.Airdrop(t, [32]byte(x.own), 2_000_000_000)
	for range 3 {
		x.waits("more than there is", "has 1999995000 lamports left where this node reads, and instruction 2 takes 2500000000", x.sweeps(2_500_000_000))
	}
	first := x.sweeps(1_900_000_000)
	x.Run("the first is signed", func() bool { return x.Signed(first) })
	for range 3 {
		x.waits("the same at once", "behind the 1 others of its address that may land yet", x.sweeps(1_900_000_000))
	}
	x.lands("the first", first)
	x.chain.Airdrop(t, [32]byte(x.own), 1_900_000_000)
	later := x.sweeps(1_800_000_000) // of the cap of 4 SOL there is room for that
	x.lands("what came in later", later)
}

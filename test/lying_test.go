package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/internal/components/btcd"
)

const anvilChain = "eip155:31337"

// lying is a circle whose nodes ask real chains through gateways: acme three, bolt two, cora one.
type lying struct {
	t         *testing.T
	chain     string // of transfers
	local     *local.Circle
	eth       *anvil.Node
	btc       *btcd.Node
	token     evm.Address
	gates     map[string]map[string][]*gateway // by chain, by operator
	alice     *client.Circle
	approvers []*client.Circle
	vault     client.Vault
	account   client.Account
	from      evm.Address // m/0/0/0
	coin      btcd.Coin   // that the vault's first address holds
	script    []byte      // of that address
	previous  []byte      // the transaction that made it
	asked     *atomic.Int64
}

// A lie is one that a chain's endpoints tell about a transaction.
type lie struct {
	name string
	tell conduct
	fits bool   // the transaction fits in truth, and the liar says that it does not; else the other way round
	says string // what an honest endpoint and the liar then disagree on
	asks func() statement.Statement
}

// Nodes whose chain endpoints lie, are down, or answer with rubbish sign nothing: an honest endpoint beside the liar stops its node, a liar that is alone since the honest ones are down is not believed, and the node that has no other is
// stopped by the others. Three operators' real nodes, a real chain of each kind; each row is an intent that all approvers approved.
func TestLyingEndpoints(t *testing.T) {
	w := newLied(t)
	w.together(map[string]func(*lying){
		anvilChain: func(w *lying) { w.tellAll(anvilChain, w.evmLies()); w.rudeness(); w.quoted() },
		regtest:    func(w *lying) { w.tellAll(regtest, w.coinLies()) },
	})
	w.doctors()
	var gates []*gateway
	for _, by := range w.gates {
		for _, some := range by {
			gates = append(gates, some...)
		}
	}
	if sent := transactions(gates...); len(sent) > 0 {
		t.Fatalf("nodes sent %v", sent)
	}
	w.together(map[string]func(*lying){"followed": func(w *lying) { w.followed(w.transfer(nil)) }, "paid": func(w *lying) { w.paid(w.payment(nil)) }})
	if sent := transactions(gates...); len(sent) != 2 {
		t.Errorf("of two intents nodes sent %d transactions: %v", len(sent), sent)
	}
}

// together does several things at once: each is a test of its own.
func (w *lying) together(all map[string]func(*lying)) {
	w.t.Helper()
	ok := w.t.Run("together", func(t *testing.T) {
		for name, do := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				mine := *w
				mine.t = t
				do(&mine)
			})
		}
	})
	if !ok {
		w.t.FailNow()
	}
}

// newLied founds the circle, and gives its vault an ether, a thousand tokens and a coin.
func newLied(t *testing.T) *lying {
	t.Helper()
	w := &lying{t: t, chain: anvilChain, asked: new(atomic.Int64), eth: anvil.Start(t), btc: btcd.Start(t), gates: map[string]map[string][]*gateway{}}
	token, err := evm.ParseAddress(common.HexToAddress(w.eth.DeployToken(t, big.NewInt(1e18))).Hex())
	if err != nil {
		t.Fatal(err)
	}
	w.token = token
	endpoints := map[string][]string{}
	for on, node := range map[string]string{anvilChain: w.eth.URL, regtest: w.btc.URL} {
		w.gates[on] = map[string][]*gateway{}
		for name, n := range map[string]int{"acme": 3, "bolt": 2, "cora": 1} {
			for range n {
				g := newGateway(t, node)
				w.gates[on][name] = append(w.gates[on][name], g)
				endpoints[name] = append(endpoints[name], on+"="+g.rpc)
			}
		}
	}
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	c, err := local.Start(ctx, local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: anvilChain, Endpoints: endpoints, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
		Assets: []charter.Asset{
			{Name: "share", Chain: anvilChain, Contract: token.String(), Decimals: anvil.TokenDecimals, Unit: 0}, {Name: "btc", Chain: regtest, Decimals: 8, Unit: 5},
		},
		Amend: func(text string) string {
			return strings.Replace(text, fmt.Sprintf("chains: [%q]", anvilChain), fmt.Sprintf("chains: [%q, %q]", anvilChain, regtest), 1)
		},
	})
	t.Cleanup(c.Stop)
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w.local = c
	w.open(ctx)
	w.fund()
	return w
}

func (w *lying) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// ostraka runs the program as alice, and wants an exit code.
func (w *lying) ostraka(code int, args ...string) string {
	w.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(cmd.Environ(), client.FileVariable+"="+w.local.ContextsFile(), "OSTRAKA_KEY="+w.local.KeyFile("alice"), "TMPDIR="+w.local.Dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, _ := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Fatalf("ostraka %s ends with %d, not %d: %s%s", strings.Join(args, " "), got, code, out, errs.String())
	}
	return string(out)
}

// open gives the vault an account and an address, and lets people talk to the nodes.
func (w *lying) open(ctx context.Context) {
	w.t.Helper()
	w.ostraka(0, "account", "create", "--vault", local.VaultName, "ops/main")
	w.ostraka(0, "address", "new", local.VaultName, "ops/main")
	as := func(person string) *client.Circle {
		c, err := w.local.As(person)
		w.must(err)
		w.t.Cleanup(c.Close)
		return c
	}
	w.alice, w.approvers = as("alice"), []*client.Circle{as("bob"), as("carol")}
	var err error
	w.vault, _, err = w.alice.Vault(ctx, local.VaultName)
	w.must(err)
	all, _, err := w.alice.Accounts(ctx, w.vault)
	w.must(err)
	w.account, err = client.FindAccount(all, "ops/main")
	w.must(err)
}

// fund pays to the vault's first address on both chains, in blocks.
func (w *lying) fund() {
	w.t.Helper()
	s := w.sender(anvilChain)
	text, _, err := w.vault.Address(s.Root, anvilChain, s.Path())
	w.must(err)
	w.from, err = evm.ParseAddress(text)
	w.must(err)
	w.eth.SetBalance(w.t, text, "0xde0b6b3a7640000")
	w.eth.GiveToken(w.t, w.token.String(), text, big.NewInt(1000))
	at, _, err := w.vault.Address(s.Root, regtest, s.Path())
	w.must(err)
	n, err := bitcoin.NetworkOf(regtest)
	w.must(err)
	w.script, err = n.ParseAddress(at)
	w.must(err)
	raw, paid := w.btc.Pay(w.t, w.script, 50_000_000)
	tx, err := psbt.ParseTx(raw)
	w.must(err)
	w.coin, w.previous = paid, tx.Bare()
	w.btc.Mine(w.t, 1)
}

func (w *lying) sender(on string) client.Sender {
	w.t.Helper()
	r, err := w.vault.Root(charter.SuiteECDSA)
	w.must(err)
	return client.Sender{Vault: w.vault, Root: r, Account: w.account, Chain: on}
}

// transfer is an intent of a hundredth of an ether with nonce 0, or of what change makes of it. No chain is asked for any number.
func (w *lying) transfer(change func(*client.Transfer)) statement.Statement {
	w.t.Helper()
	nonce, gas := uint64(0), uint64(100_000+w.asked.Add(1)) // each is another one: what endpoints said of the same one serves for seconds
	to, err := evm.ParseAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
	w.must(err)
	x := client.Transfer{Sender: w.sender(w.chain), To: to, Amount: big.NewInt(1e16), Nonce: &nonce, Gas: &gas, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9)}
	if change != nil {
		change(&x)
	}
	st, err := w.alice.Prepare(context.Background(), x)
	w.must(err)
	return st
}

// payment is an intent that spends the coin, or what change makes of it.
func (w *lying) payment(change func(*bitcoin.Draft)) statement.Statement {
	w.t.Helper()
	h, err := w.alice.Holding(context.Background(), w.vault, w.account, regtest)
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // no node has read a block yet
		h, err = w.alice.Holding(context.Background(), w.vault, w.account, regtest)
	}
	w.must(err)
	d := bitcoin.Draft{
		Ins: []bitcoin.Input{{
			Outpoint: psbt.Outpoint{ID: w.coin.ID, Index: w.coin.Index}, Sequence: bitcoin.Replaceable, Spot: bitcoin.Spot{Suite: charter.SuiteECDSA}, Amount: 50_000_000, Previous: w.previous,
		}},
		Outs: []bitcoin.Output{{Amount: 49_990_000, Address: btcd.Address}},
	}
	if change != nil {
		change(&d)
	}
	d.Outs[0].Amount -= uint64(w.asked.Add(1))
	raw, err := bitcoin.Build(h.Vault, d)
	w.must(err)
	st, err := w.alice.PreparePacket(client.Payment{Vault: w.vault, Account: w.account, Chain: regtest}, raw)
	w.must(err)
	return st
}

// tellAll has the endpoints of one chain tell each lie twice: once acme hears it beside two honest endpoints, and bolt with its other endpoint down; once acme has no other left, and bolt hears it beside an honest one. Where the liar
// says that all is well, cora has no other endpoint, and believes it.
func (w *lying) tellAll(on string, rows []lie) {
	acme, bolt, cora := w.gates[on]["acme"], w.gates[on]["bolt"], w.gates[on]["cora"][0]
	for i, row := range rows {
		for _, alone := range []bool{false, true} {
			at, rest, other := acme[i%3], conduct(nil), conduct(down)
			few := map[string]string{"bolt": "1 of 2 endpoints answer, and 2 must"}
			differ := map[string]*gateway{"acme": at}
			if alone {
				rest, other = down, nil
				few, differ = map[string]string{"acme": "1 of 3 endpoints answer, and 2 must"}, map[string]*gateway{"bolt": bolt[i%2]}
			}
			for _, g := range acme {
				g.be(rest)
			}
			bolt[0].be(other)
			bolt[1].be(other)
			at.be(row.tell)
			bolt[i%2].be(row.tell)
			if cora.be(nil); !row.fits {
				cora.be(row.tell)
			}
			w.unsigned(row, fmt.Sprintf("%s, alone at acme %t", row.name, alone), few, differ)
			if t := at.lied("") * bolt[i%2].lied(""); t == 0 {
				w.t.Errorf("%s: nobody lied", row.name)
			}
			if w.t.Failed() {
				return
			}
		}
	}
	w.honest(on)
}

// honest has all endpoints of a chain pass everything on.
func (w *lying) honest(on string) {
	for _, by := range w.gates[on] {
		for _, g := range by {
			g.be(nil)
		}
	}
}

// unsigned proposes an intent, has it approved, and wants cora to allow it and both others to say why they do not: that too few endpoints answer, or which two differ. Then it is taken back, and nobody holds a signature.
func (w *lying) unsigned(row lie, name string, few map[string]string, differ map[string]*gateway) {
	st := w.ask(row.asks())
	said := func(c *client.Case, operator string) bool {
		text := waits(c, operator)
		if g := differ[operator]; g != nil {
			return strings.Contains(text, "endpoints disagree on ") && strings.Contains(text, g.url+" says ") && strings.Contains(text, row.says) && strings.Contains(text, "nothing is signed until they agree")
		}
		return strings.Contains(text, few[operator])
	}
	c := w.until(name, st, func(c *client.Case) bool {
		d, ok := c.Decision("cora")
		return ok && d.Verdict == intent.Allow && said(c, "acme") && said(c, "bolt")
	})
	w.takeBack(name, st, c)
}

// ask proposes and approves.
func (w *lying) ask(st statement.Statement) statement.Statement {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	taken, err := w.alice.SubmitStatement(ctx, st)
	if err == nil {
		_, err = taken.Need("propose", 3)
	}
	for _, p := range w.approvers {
		if err == nil {
			taken, err = p.Vote(ctx, st, signet.Approve)
		}
		if err == nil {
			_, err = taken.Need("approve", 3)
		}
	}
	if err != nil {
		w.t.Errorf("ask: %v", err)
	}
	return st
}

// all says whether an intent is in a state at all nodes.
func all(c *client.Case, state string) bool {
	return !slices.ContainsFunc(c.Views, func(v client.View) bool { return v.State != state })
}

// waits is why a node does not decide.
func waits(c *client.Case, operator string) string {
	for _, v := range c.Views {
		if v.Node == operator {
			return v.Waits
		}
	}
	return ""
}

// patience is far more than any row takes.
const patience = 2 * time.Minute

// until reads an intent at all nodes until something holds.
func (w *lying) until(name string, st statement.Statement, holds func(*client.Case) bool) *client.Case {
	var c *client.Case
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end) && !w.t.Failed(); time.Sleep(50 * time.Millisecond) {
		if c, _, err = w.alice.Case(context.Background(), []client.Vault{w.vault}, st.ID()); err == nil && len(c.Views) == 3 && holds(c) {
			return c
		}
	}
	text := fmt.Sprintf("%s: %v", name, err)
	if c != nil {
		for _, d := range c.Decisions {
			text += fmt.Sprintf("\n%s says %s by %s: %s", d.Operator, d.Verdict, d.Rule, d.Reason)
		}
		for _, v := range c.Views {
			text += fmt.Sprintf("\n%s: %s, waits %q, last %q", v.Node, v.State, v.Waits, v.LastError)
		}
	}
	w.t.Error(text)
	return c
}

// takeBack cancels an intent that neither acme nor bolt has decided, and of which there is no signature.
func (w *lying) takeBack(name string, st statement.Statement, c *client.Case) {
	if w.t.Failed() {
		return
	}
	s, err := intent.Cancellation{Charter: c.Intent.Charter, Vault: c.Intent.Vault, Intent: st.ID(), Initiator: "alice", Created: client.Now()}.Statement(client.NewSalt())
	if err == nil {
		_, err = w.alice.SubmitStatement(context.Background(), s)
	}
	if err != nil {
		w.t.Errorf("%s: take back: %v", name, err)
		return
	}
	c = w.until(name+": taken back", st, func(c *client.Case) bool { return all(c, "cancelled") })
	if w.t.Failed() {
		return
	}
	for _, d := range c.Decisions {
		if d.Operator != "cora" {
			w.t.Errorf("%s: %s says %s by rule %s: %s", name, d.Operator, d.Verdict, d.Rule, d.Reason)
		}
	}
	for _, v := range c.Views {
		if v.Hash != "" || v.PossiblySigned || c.Signed != nil {
			w.t.Errorf("%s: %s has a signature", name, v.Node)
		}
	}
}

// doctors: too few endpoints are said to sign nothing, and one alone to be believed.
func (w *lying) doctors() {
	folder := func(name string) string { return filepath.Join(w.local.Dir, name) }
	if w.ostraka(0, "doctor", "--dir", folder("acme")); w.t.Failed() {
		return
	}
	for _, on := range []string{anvilChain, regtest} {
		for _, g := range w.gates[on]["acme"][1:] {
			g.be(down)
		}
		w.gates[on]["bolt"][0].be(down)
	}
	for name, want := range map[string]string{"acme": "1 of 3 can be used, and 2 must be: this node allows nothing there", "bolt": "1 of 2 can be used, and 2 must be"} {
		out := w.ostraka(5, "doctor", "--dir", folder(name))
		for _, on := range []string{anvilChain, regtest} {
			if !strings.Contains(out, fmt.Sprintf("endpoints %s %s", on, want)) || !strings.Contains(out, w.gates[on][name][0].url) && name == "bolt" {
				w.t.Errorf("doctor of %s says nothing of %s:\n%s", name, on, out)
			}
		}
	}
	out := w.ostraka(0, "doctor", "--dir", folder("cora"))
	for _, on := range []string{anvilChain, regtest} {
		if !strings.Contains(out, fmt.Sprintf("endpoints %s one alone: if it lies about nonces, balances, coins or blocks, this node believes it", on)) {
			w.t.Errorf("doctor of cora does not warn of %s:\n%s", on, out)
		}
		w.honest(on)
	}
}

// shownReceipt is one that no block of anvil's made.
func shownReceipt(hash string) string {
	raw, _ := json.Marshal(map[string]string{
		"transactionHash": hash, "blockNumber": "0x1", "blockHash": "0x" + strings.Repeat("ab", 32), "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x1",
	})
	return string(raw)
}

// followed signs a transfer while all are honest: a liar then neither makes it stand in a block nor makes it final.
func (w *lying) followed(st statement.Statement) {
	acme, bolt := w.gates[anvilChain]["acme"], w.gates[anvilChain]["bolt"]
	w.eth.Call(w.t, nil, "evm_setAutomine", false)
	w.ask(st)
	seen := w.until("sent", st, func(c *client.Case) bool { return c.Signed != nil && all(c, "seen") })
	if w.t.Failed() {
		return
	}
	w.again(seen.Signed.Hash)
	// looked waits until acme's and bolt's liars were asked again and again, and wants the state at both to be as it is.
	looked := func(what, method, state string) {
		w.until(what, st, func(c *client.Case) bool {
			for _, v := range c.Views {
				if v.State != state && v.Node != "cora" {
					w.t.Errorf("%s: %s says %s", what, v.Node, v.State)
				}
			}
			return acme[1].lied(method) > 1 && bolt[1].lied(method) > 1
		})
	}
	receipt := lies(map[string]string{"eth_getTransactionReceipt": shownReceipt(seen.Signed.Hash), "eth_blockNumber": `"0x1000"`})
	acme[1].be(receipt)
	bolt[1].be(receipt)
	looked("a receipt that is made up", "eth_getTransactionReceipt", "seen")
	acme[0].be(down)
	acme[2].be(down)
	bolt[0].be(down)
	acme[1].be(receipt)
	bolt[1].be(receipt)
	looked("a receipt that is made up, and nobody to contradict", "eth_getTransactionReceipt", "seen")
	for _, g := range slices.Concat(acme, bolt) {
		g.be(nil)
	}
	w.eth.Mine(w.t, 1)
	w.until("mined", st, func(c *client.Case) bool { return all(c, "confirmed") })
	height := lies(map[string]string{"eth_blockNumber": `"0x1000"`})
	acme[1].be(height)
	bolt[1].be(height)
	looked("a height that is made up", "eth_blockNumber", "confirmed")
}

// again has the chain's node forget a transaction, with bolt and cora cut off from it: acme sends it again, though one of its endpoints says that it has it, and takes it.
func (w *lying) again(hash string) {
	for name, by := range w.gates[anvilChain] {
		for _, g := range by {
			if name != "acme" {
				g.be(down)
			}
		}
	}
	liar := w.gates[anvilChain]["acme"][1]
	liar.be(lies(map[string]string{
		"eth_getTransactionByHash": fmt.Sprintf(`{"hash":%q,"from":%q,"nonce":"0x0","blockNumber":null}`, hash, w.from), "eth_sendRawTransaction": fmt.Sprintf("%q", hash),
	}))
	w.eth.Call(w.t, nil, "anvil_dropTransaction", hash)
	var tx *struct{ Hash string }
	for end := time.Now().Add(patience); tx == nil; time.Sleep(50 * time.Millisecond) {
		if w.eth.Call(w.t, &tx, "eth_getTransactionByHash", hash); time.Now().After(end) {
			w.t.Errorf("one endpoint says that it has %s, and no other is given it", hash)
			return
		}
	}
	if liar.lied("eth_getTransactionByHash") == 0 {
		w.t.Error("nobody lied")
	}
	w.honest(anvilChain)
}

// paid signs a payment while all are honest, and a block takes it.
func (w *lying) paid(st statement.Statement) {
	w.ask(st)
	w.until("paid", st, func(c *client.Case) bool { return c.Signed != nil && all(c, "seen") })
	if w.t.Failed() {
		return
	}
	w.btc.Mine(w.t, 1)
	w.until("in a block", st, func(c *client.Case) bool { return all(c, "confirmed") })
}

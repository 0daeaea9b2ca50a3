package rehearse

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/internal/components/btcd"
	"github.com/ostraka/ostraka/internal/components/litesvm"
)

const (
	regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
	// bitcoinRefuge is the rescue address on Bitcoin, of nobody's key here.
	bitcoinRefuge = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	coinWorth     = 20_000 // satoshis of a coin
	coinDust      = 400    // of one that costs more to move than it brings
	dustCoins     = 3
	sweepLimit    = 15 * time.Minute
)

// Three tokens that fail, put on the chain as bytes: each says that everybody holds 123. The first reverts every transfer. The second reverts one that pays for its gas, so that an estimate, which is
// asked for without a price, finds nothing wrong. The third reverts whatever it is asked.
var failingTokens = map[string]string{
	"bad-always":  "60003560e01c6370a082311460145760006000fd5b607b60005260206000f3",
	"bad-onchain": "60003560e01c6370a08231146019573a1560245760006000fd5b607b60005260206000f35b600160005260206000f3",
	"bad-silent":  "60006000fd",
}

// A haul is what TestSweptInAnEmergency works with.
type haul struct {
	*tale
	t      *testing.T
	evm    *anvil.Node
	btc    *btcd.Node
	tokens map[string]*anvil.Contract // that move
	sol    *litesvm.Node
	mints  []litesvm.Token
	lamp   litesvm.Key // the vault's address on Solana
	args   []string    // of the sweep

	first, poor common.Address // the vault's: with ether, and without
	dated       int            // height of Bitcoin's chain before anything is swept
}

// TestSweptInAnEmergency sweeps a vault of two chains in an emergency over real processes: tokens of which three fail, an address that cannot pay for its token, and coins of Bitcoin of
// both kinds, some of them dust. The sweep is killed between transactions of Bitcoin, between tokens, and when it has raised fees, and run again each time: each asset is moved once, and the
// rest reported.
func TestSweptInAnEmergency(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), sweepLimit)
	defer cancel()
	began := time.Now()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "ostraka")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/ostraka/ostraka/cmd/ostraka").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	h := &haul{t: t, evm: anvil.Start(t), btc: btcd.Start(t), sol: litesvm.Start(t), tokens: map[string]*anvil.Contract{}}
	h.sol.Warp(t, 10)
	h.tale = &tale{Stage: NewStage(program, filepath.Join(dir, "s"), h.evm.URL), to: Listener{
		Busy: func(what string) { t.Logf("%s: %s", time.Now().Format("05.000"), what) },
		Step: func(s Step) {
			if t.Logf("%s: %s: %s", time.Now().Format("05.000"), s.What, s.Outcome); !s.Held {
				t.Errorf("%+v", s)
			}
		},
	}}
	h.ok(os.Mkdir(h.dir, 0o700))
	t.Cleanup(h.Close)
	h.found(ctx)
	h.fill(ctx)
	h.emergency(ctx)
	t.Logf("the emergency is ACTIVE after %s", time.Since(began))
	h.swept(ctx)
	t.Logf("%d tokens and %d coins are swept after %s", sweepTokens, sweepCoins, time.Since(began))
}

func (h *haul) ok(err error) {
	h.t.Helper()
	if err == nil {
		return
	}
	if h.circle != nil {
		for _, o := range h.circle.Operators {
			raw, _ := os.ReadFile(o.Log)
			h.t.Logf("%s:\n%s", o.Name, raw[max(0, len(raw)-2500):])
		}
	}
	h.t.Fatal(err)
}

// must is a command that has to go well; its JSON is read into doc.
func (h *haul) must(ctx context.Context, doc any, args ...string) {
	h.t.Helper()
	r, err := h.tale.must(ctx, args...)
	h.ok(err)
	if doc != nil {
		h.ok(json.Unmarshal([]byte(r.out), doc))
	}
}

// found starts the circle; its charter names the tokens, which are there before.
func (h *haul) found(ctx context.Context) {
	h.t.Helper()
	var assets []charter.Asset
	add := func(name string, at common.Address) {
		assets = append(assets, charter.Asset{Name: name, Chain: chainID, Contract: at.Hex(), Decimals: 18, Unit: 15})
	}
	n := 0
	for name, code := range failingTokens {
		n++
		at := common.BigToAddress(big.NewInt(int64(0xbad000 + n)))
		h.evm.Call(h.t, nil, "anvil_setCode", at.Hex(), "0x"+code)
		add(name, at)
	}
	for i := range sweepTokens - len(failingTokens) {
		name := fmt.Sprintf("coin-%02d", i)
		h.tokens[name] = h.evm.Deploy(h.t, components.PermitToken, "ERC20", big.NewInt(1e18))
		add(name, h.tokens[name].Address)
	}
	assets = append(assets, charter.Asset{Name: "btc", Chain: regtest, Decimals: 8, Unit: 5}, charter.Asset{Name: "sol", Chain: litesvm.Chain, Decimals: 9, Unit: 6})
	for i := range sweepMints {
		h.mints = append(h.mints, h.sol.Mint(h.t, 6))
		assets = append(assets, charter.Asset{Name: fmt.Sprintf("spl-%02d", i), Chain: litesvm.Chain, Contract: litesvm.Text(h.mints[i].Mint), Decimals: 6, Unit: 4})
	}
	g, err := h.guardians(ctx, 5)
	h.ok(err)
	h.guards = g
	dir, err := h.folder()
	h.ok(err)
	plan := strings.Replace(hurtPlan, "      destinations:\n", fmt.Sprintf("      destinations:\n        - name: coin-refuge\n          chain: %q\n          address: %q\n        - name: lamp-refuge\n          chain: %q\n          address: %q\n",
		regtest, bitcoinRefuge, litesvm.Chain, litesvm.Text(solanaRefuge())), 1)
	h.people = map[string]*client.Circle{}
	h.circle, err = local.Start(ctx, local.Config{
		Binary: h.binary, Dir: dir, Chain: chainID, Suite: charter.SuiteECDSA, Initiator: alice, Approvers: []string{bob, carol}, Others: []string{dave}, Assets: assets,
		Quorum: 2, Threshold: 3, Standby: true, RPC: map[string]string{chainID: h.evm.URL, regtest: h.btc.URL, litesvm.Chain: h.sol.URL},
		Amend: func(file string) string {
			return strings.NewReplacer(
				"heartbeat: 3600", "heartbeat: 60", "suites: ["+charter.SuiteECDSA+"]", "suites: ["+charter.SuiteBIP340+", "+charter.SuiteECDSA+", "+charter.SuiteEd25519+"]",
				fmt.Sprintf("chains: [%q]", chainID), fmt.Sprintf("chains: [%q, %q, %q]", regtest, litesvm.Chain, chainID),
			).Replace(guarded(proper(file), g.cards, plan))
		},
	})
	for _, step := range []func(context.Context) error{h.circle.Found, h.circle.CreateVault, h.circle.AwaitVault, h.accounted} {
		if err == nil {
			err = step(ctx)
		}
	}
	h.ok(err)
}

// address is the account's next one of a suite, as nodes list it, and its key.
func (h *haul) address(ctx context.Context, suite string) (address string, key []byte) {
	h.t.Helper()
	var r result
	ok, err := poll(ctx, 2*awhile, func() (bool, error) { // all have noted everybody's export first
		var err error
		r, err = h.run(ctx, "address", "new", local.VaultName, account, "--suite", suite, "--key", h.circle.KeyFile(alice), "--json")
		return r.code == 0, err
	})
	if err == nil && !ok {
		err = fmt.Errorf("no address: %s", r.said())
	}
	h.ok(err)
	var doc struct {
		Address string
		Public  string `json:"public_key"`
	}
	h.ok(json.Unmarshal([]byte(r.out), &doc))
	key, err = hex.DecodeString(doc.Public)
	h.ok(err)
	return doc.Address, key
}

// ethereum is a key's address there.
func (h *haul) ethereum(key []byte) common.Address {
	h.t.Helper()
	k, err := crypto.DecompressPubkey(key)
	h.ok(err)
	return crypto.PubkeyToAddress(*k)
}

// fill gives out addresses and has others pay them: ether and tokens to the first, a token alone to the second, coins of Bitcoin of both kinds.
func (h *haul) fill(ctx context.Context) {
	h.t.Helper()
	for _, o := range h.holders() {
		h.ok(h.cut(ctx, o))
	}
	_, first := h.address(ctx, charter.SuiteECDSA)
	_, second := h.address(ctx, charter.SuiteECDSA)
	taproot, _ := h.address(ctx, charter.SuiteBIP340)
	h.first, h.poor = h.ethereum(first), h.ethereum(second)
	h.evm.SetBalance(h.t, h.first.Hex(), "0xde0b6b3a7640000")
	from := h.evm.Accounts(h.t)[0]
	for name, token := range h.tokens {
		token.Send(h.t, from, "transfer", h.first, big.NewInt(1e15))
		if name == "coin-00" {
			token.Send(h.t, from, "transfer", h.poor, big.NewInt(3e15))
		}
	}
	n, err := bitcoin.NetworkOf(regtest)
	h.ok(err)
	witness, err := n.WitnessKeyHash(first)
	h.ok(err)
	scripts := make([]bitcoin.Script, 2)
	for i, a := range []string{witness, taproot} {
		scripts[i], err = n.ParseAddress(a)
		h.ok(err)
	}
	for left := sweepCoins; left > 0; {
		var outs []btcd.Out
		for range min(left, 50) {
			outs = append(outs, btcd.Out{Amount: coinWorth, Script: scripts[left%2]})
			left--
		}
		coin := h.btc.Coin(h.t)
		raw, _ := btcd.Spend(h.t, []btcd.Coin{coin}, append(outs, btcd.Out{Amount: coin.Amount - int64(len(outs))*coinWorth - 100_000, Script: btcd.Script()})...)
		h.btc.Send(h.t, raw)
	}
	for range dustCoins {
		h.btc.Pay(h.t, scripts[1], coinDust)
	}
	h.btc.Mine(h.t, 1)
	h.dated = h.btc.Height(h.t)
	lamp, _ := h.address(ctx, charter.SuiteEd25519)
	k, err := solana.ParseKey(lamp)
	h.ok(err)
	h.lamp = litesvm.Key(k)
	h.sol.Airdrop(h.t, h.lamp, 1e9)
	for _, m := range h.mints {
		h.sol.Give(h.t, m, h.lamp, 3_000_000)
	}
}

// emergency goes from cora's loss to new shares of all keys.
func (h *haul) emergency(ctx context.Context) {
	h.t.Helper()
	cora := h.operator("cora")
	h.circle.Kill(cora)
	h.ok(os.RemoveAll(cora.Dir))
	h.ok(sleep(ctx, 6*time.Second)) // the plan calls that silence
	id, err := h.declare(ctx, 3)
	h.ok(err)
	h.request = id
	h.ok(h.reaches(ctx, "the delay runs to its end", id, "active", 2*awhile, "acme", "bolt", "dora"))
	h.must(ctx, nil, "sos", "activate", local.VaultName, "--with", "dora", "--dir", h.operator("acme").Dir)
	appeal := filepath.Join(h.guards.folder, "treasury.appeal")
	h.appealedThrice(ctx, appeal)
	for i := range 3 {
		file := filepath.Join(h.guards.folder, fmt.Sprintf("guardian-%d.contribution", i+1))
		h.must(ctx, nil, "sos", "support", "--request", appeal, "--key", h.guards.keys[i], "-i", h.guards.identity, "--out", file, "--charter", h.charterID, "--yes")
		h.must(ctx, nil, "sos", "support", "--send", file)
	}
	ok, err := poll(ctx, 4*awhile, func() (bool, error) {
		for _, name := range []string{"acme", "bolt", "dora"} {
			r, err := h.run(ctx, "vault", "show", local.VaultName, "--local", "--dir", h.operator(name).Dir, "--json")
			if err != nil {
				return false, err
			}
			var doc struct {
				Roots []struct {
					EpochNumber uint64 `json:"epoch_number"`
				}
			}
			if json.Unmarshal([]byte(r.out), &doc) != nil || len(doc.Roots) != 3 || doc.Roots[0].EpochNumber == 0 || doc.Roots[1].EpochNumber == 0 || doc.Roots[2].EpochNumber == 0 {
				return false, sleep(ctx, 300*time.Millisecond)
			}
		}
		return true, nil
	})
	if err == nil && !ok {
		err = errors.New("acme, bolt and dora have no new shares of all keys")
	}
	h.ok(err)
}

// appealedThrice waits until all keys are activated, and writes what guardians are sent.
func (h *haul) appealedThrice(ctx context.Context, file string) {
	h.t.Helper()
	var last string
	ok, err := poll(ctx, 2*awhile, func() (bool, error) {
		r, err := h.run(ctx, "sos", "appeal", h.request, "--out", file, "--key", h.operator("acme").Officer, "--json")
		if err != nil {
			return false, err
		}
		var doc struct {
			Charter     string
			Activations []struct{ Contributors []string }
		}
		if last = r.said(); r.code == 0 && json.Unmarshal([]byte(r.out), &doc) == nil && len(doc.Activations) == 3 {
			h.charterID = doc.Charter
			return true, nil
		}
		_ = os.Remove(file) // it is there already with what was known then
		return false, sleep(ctx, 500*time.Millisecond)
	})
	if err == nil && !ok {
		err = fmt.Errorf("`ostraka sos appeal` names no three activations: %s", last)
	}
	h.ok(err)
}

// sweepReport is what `sos sweep --json` says.
type sweepReport struct {
	Transfers []struct {
		Chain, From, Asset, Amount, To, Intent, Hash, Outcome, State, Problem string
		Coins                                                                 int
	}
	Lacks []struct{ Address, Asset, Has, Needs, Send string } `json:"lacks_gas"`
}

// spoken is what a command has said so far.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *spoken) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *spoken) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// sweep runs the command until it ends, or kills it as soon as kill says so; meanwhile is done again and again, with what it has said so far. more is given besides.
func (h *haul) sweep(ctx context.Context, kill func() bool, meanwhile func(said string), more ...string) (r sweepReport, code int) {
	h.t.Helper()
	args := append([]string{"sos", "sweep", local.VaultName, "--rpc", chainID + "=" + h.endpoint, "--key", h.operator("acme").Officer, "--yes", "--json"}, more...)
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Env = append(os.Environ(), client.FileVariable+"="+h.circle.ContextsFile(), "SSH_AUTH_SOCK=")
	var out bytes.Buffer
	errs := &spoken{}
	cmd.Stdout, cmd.Stderr = &out, errs
	h.ok(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for killed := false; ; {
		select {
		case <-ended:
			code = cmd.ProcessState.ExitCode()
			h.t.Logf("%s: ostraka sos sweep: exit %d\n%s", time.Now().Format("05.000"), code, errs)
			if killed != (code < 0) || (kill != nil) != killed {
				h.ok(errors.New("the sweep ended before it was to be killed, or was killed by another"))
			}
			if !killed {
				h.ok(json.Unmarshal(out.Bytes(), &r))
			}
			return r, code
		case <-time.After(50 * time.Millisecond):
		}
		if kill != nil && !killed && kill() {
			killed = true
			h.ok(cmd.Process.Kill())
		}
		if meanwhile != nil {
			meanwhile(errs.String())
		}
	}
}

// waiting are the transactions of Bitcoin that wait for a block.
func (h *haul) waiting() (ids []string) {
	h.btc.Call(h.t, &ids, "getrawmempool")
	return ids
}

// arrived is how many of the tokens lie at the rescue address.
func (h *haul) arrived() (n int) {
	for _, token := range h.tokens {
		if token.Read(h.t, "balanceOf", common.HexToAddress(refuge))[0].(*big.Int).Sign() > 0 {
			n++
		}
	}
	return n
}

// swept kills the sweep while it moves Bitcoin, while it moves tokens of Solana and of Ethereum, and while it raises fees; then lets it end, and has somebody send the coins that an address lacks.
func (h *haul) swept(ctx context.Context) {
	h.t.Helper()
	h.sweep(ctx, func() bool { return len(h.waiting()) > 0 }, nil)
	h.sweep(ctx, func() bool { return h.landed() > len(h.mints)/2 }, nil)
	h.sweep(ctx, func() bool { return h.arrived() > len(h.tokens)/2 }, nil)
	batches := h.raised(ctx)
	mine := func(string) {
		if len(h.waiting()) > 0 {
			h.btc.Mine(h.t, 1)
		}
	}
	r, code := h.sweep(ctx, nil, mine)
	h.says(r, code, map[string]int{
		"btc left": 1, "eth moved": 1, "bad-always skipped": 2, "bad-silent skipped": 2, "bad-onchain skipped": 1, "bad-onchain lacks-gas": 1, "coin-00 lacks-gas": 1,
	})
	if len(r.Lacks) != 1 || r.Lacks[0].Address != h.poor.Hex() || r.Lacks[0].Has != "0" || r.Lacks[0].Asset != "eth" {
		h.t.Errorf("who lacks coins: %+v", r.Lacks)
	}
	paid := false
	r, code = h.sweep(ctx, nil, func(said string) {
		if !paid && strings.Contains(said, "for coins to come to "+h.poor.Hex()) {
			paid = true
			h.evm.SetBalance(h.t, h.poor.Hex(), "0xde0b6b3a7640000")
		}
	}, "--wait-gas", "5m")
	h.says(r, code, map[string]int{
		"btc left": 1, "eth moved": 1, "bad-always skipped": 2, "bad-silent skipped": 2, "bad-onchain skipped": 1, "bad-onchain failed": 1, "coin-00 moved": 1,
	})
	if !paid || len(r.Lacks) != 0 {
		h.t.Errorf("it waited: %v; who lacks coins: %+v", paid, r.Lacks)
	}
	r, code = h.sweep(ctx, nil, nil)
	h.says(r, code, map[string]int{"btc left": 1, "bad-always skipped": 2, "bad-silent skipped": 2, "bad-onchain skipped": 2})
	h.onEthereum()
	h.onBitcoin(batches)
	h.onSolana()
}

// raised has what waits on Bitcoin replaced by the same for a higher fee, and kills the command once all of it is; so many transactions they are.
func (h *haul) raised(ctx context.Context) int {
	h.t.Helper()
	before := h.waiting()
	h.sweep(ctx, func() bool {
		now := h.waiting()
		return len(now) == len(before) && !slices.ContainsFunc(now, func(id string) bool { return slices.Contains(before, id) })
	}, nil, "--asset", "btc", "--bump")
	return len(before)
}

// says compares how transfers ended with what must have become of them. What may have ended in the run before is not asked for: transactions of Bitcoin, and tokens that move.
func (h *haul) says(r sweepReport, code int, want map[string]int) {
	h.t.Helper()
	got := map[string]int{}
	for _, x := range r.Transfers {
		how := x.Asset + " " + x.Outcome
		if got[how]++; (x.Outcome == "moved") != (x.Hash != "" && x.Intent != "" && x.Problem == "") && x.Outcome != "failed" && x.Asset != "bad-onchain" || (x.Problem == "") != (x.Outcome == "moved") {
			h.t.Errorf("%+v", x)
		}
	}
	maps.DeleteFunc(got, func(how string, _ int) bool {
		return want[how] == 0 && strings.HasSuffix(how, " moved") && how != "eth moved" && how != "sol moved"
	})
	if code != codeNotReady || !maps.Equal(got, want) {
		h.t.Errorf("exit %d, %v, want %d, %v\n%+v", code, got, codeNotReady, want, r.Transfers)
	}
}

// onEthereum counts what the chain has: each token moved once, one transfer was undone at each address, and the ether went last.
func (h *haul) onEthereum() {
	h.t.Helper()
	word := func(a common.Address) string { return common.BytesToHash(a[:]).Hex() }
	moved := crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)")).Hex()
	for name, token := range h.tokens {
		want := map[string]int{word(h.first): 1}
		if name == "coin-00" {
			want[word(h.poor)] = 1
		}
		var logs []struct{ Topics []string }
		h.evm.Call(h.t, &logs, "eth_getLogs", map[string]any{"fromBlock": "0x0", "address": token.Address.Hex(), "topics": []any{moved, nil, word(common.HexToAddress(refuge))}})
		got := map[string]int{}
		for _, l := range logs {
			got[l.Topics[1]]++
		}
		if !maps.Equal(got, want) {
			h.t.Errorf("%s came to the rescue address from %v, want %v", name, got, want)
		}
		for _, at := range []common.Address{h.first, h.poor} {
			if left := token.Read(h.t, "balanceOf", at)[0].(*big.Int); left.Sign() != 0 {
				h.t.Errorf("%v of %s are left at %s", left, name, at)
			}
		}
	}
	for at, want := range map[common.Address]string{h.first: fmt.Sprintf("0x%x", len(h.tokens)+2), h.poor: "0x3"} {
		var used string
		h.evm.Call(h.t, &used, "eth_getTransactionCount", at.Hex(), "latest")
		if used != want {
			h.t.Errorf("%s sent %s transactions, want %s", at, used, want)
		}
	}
}

// onBitcoin counts what the chain has: each coin went to the rescue address once, in so many transactions, and the dust lies where it was.
func (h *haul) onBitcoin(batches int) {
	h.t.Helper()
	n, err := bitcoin.NetworkOf(regtest)
	h.ok(err)
	script, err := n.ParseAddress(bitcoinRefuge)
	h.ok(err)
	spent, paying := map[string]int{}, 0
	for at := h.dated + 1; at <= h.btc.Height(h.t); at++ {
		var block struct {
			RawTx []struct {
				Vin []struct {
					TxID string
					Vout int
				}
				Vout []struct{ ScriptPubKey struct{ Hex string } }
			}
		}
		h.btc.Call(h.t, &block, "getblock", h.btc.Hash(h.t, at), 2)
		for _, tx := range block.RawTx {
			if len(tx.Vout) != 1 || tx.Vout[0].ScriptPubKey.Hex != hex.EncodeToString(script) {
				continue // the miner's
			}
			paying++
			for _, in := range tx.Vin {
				spent[fmt.Sprint(in.TxID, in.Vout)]++
			}
		}
	}
	if paying != batches || len(spent) != sweepCoins {
		h.t.Errorf("%d transactions pay the rescue address out of %d coins, want %d out of %d", paying, len(spent), batches, sweepCoins)
	}
	if ids := h.waiting(); len(ids) > 0 {
		h.t.Errorf("%v wait", ids)
	}
}

// solanaRefuge is the rescue address on Solana.
func solanaRefuge() litesvm.Key { return litesvm.Address(litesvm.Private("refuge")) }

// held is what a wallet has of a token of Solana at its account by rule, and whether that account is there.
func (h *haul) held(wallet litesvm.Key, m litesvm.Token) (amount uint64, there bool) {
	h.t.Helper()
	at, err := solana.AssociatedAccount(solana.Key(wallet), solana.Key(m.Mint), solana.Key(m.Program))
	h.ok(err)
	var got struct {
		Value *struct {
			Data [2]string
		}
	}
	h.sol.Call(h.t, &got, "getAccountInfo", at.String(), map[string]string{"encoding": "base64"})
	if got.Value == nil {
		return 0, false
	}
	data, err := base64.StdEncoding.DecodeString(got.Value.Data[0])
	h.ok(err)
	return binary.LittleEndian.Uint64(data[64:72]), true
}

// landed is how many of Solana's tokens lie at the rescue address.
func (h *haul) landed() (n int) {
	for _, m := range h.mints {
		if amount, _ := h.held(solanaRefuge(), m); amount > 0 {
			n++
		}
	}
	return n
}

// onSolana counts what the chain has: all tokens and SOL at the rescue address, and of the vault's accounts nothing.
func (h *haul) onSolana() {
	h.t.Helper()
	for i, m := range h.mints {
		amount, _ := h.held(solanaRefuge(), m)
		if left, there := h.held(h.lamp, m); amount != 3_000_000 || left != 0 || there {
			h.t.Errorf("of token %d %d are at the rescue address, and %d are left; the vault's account is there: %v", i, amount, left, there)
		}
	}
	if own, safe := h.sol.Balance(h.t, h.lamp), h.sol.Balance(h.t, solanaRefuge()); own != 0 || safe < 990_000_000 {
		h.t.Errorf("%d lamports are left, and %d at the rescue address", own, safe)
	}
}

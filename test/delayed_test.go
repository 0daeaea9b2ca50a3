package test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// What TestDelayedStories' charter says of its Safe, and its rules about that.
const (
	delayedPart = `    delayed:
      - {chain: "eip155:31337", safe: "%[1]s", module: "%[2]s", key: "%[3]s", cooldown: 259200, expiration: 604800}
`
	delayedRules = `
@id("delayed")
permit (principal in Group::"finance", action in [Action::"call", Action::"message"], resource);
`
)

// delayedStories are what the stories of testdata/delayed work with: the Safe, until the vault's address takes its place owned by the chain's first account.
// The key is the second.
type delayedStories struct {
	*contracts
	module          *anvil.Contract
	master, factory *anvil.Contract
	singleton, made *anvil.Contract // Safe's
}

// The chain itself judges: a key outside the vault queues, three operators' nodes sign what strikes it out, and what nobody strikes out is done after the cooldown.
func TestDelayedStories(t *testing.T) {
	w := &delayedStories{contracts: &contracts{t: t, chain: anvil.Start(t), id: 31337}}
	w.put()
	part := fmt.Sprintf(delayedPart, w.safe.Address, w.module.Address, common.HexToAddress(w.stranger()))
	w.local = settled(t, local.Config{
		Suite: charter.SuiteECDSA, Chain: "eip155:31337", RPC: map[string]string{"eip155:31337": w.chain.URL}, Rules: delayedRules,
		Amend: func(text string) string {
			before, after, found := strings.Cut(text, "    committee: ")
			if !found {
				t.Error("the charter's file has another form")
			}
			return before + part + "    committee: " + after
		},
	})
	tell(t, w.local, stories(t, "delayed"), w.more(), map[string]string{
		"RPC": "eip155:31337=" + w.chain.URL, "OTHER": "eip155:31337=" + strings.Replace(w.chain.URL, "127.0.0.1", "localhost", 1),
		"SAFE": w.safe.Address.Hex(), "MODULE": w.module.Address.Hex(), "STRANGER": common.HexToAddress(w.stranger()).Hex(),
		"SINGLETON": w.singleton.Address.Hex(), "PROXIES": w.made.Address.Hex(), "MASTER": w.master.Address.Hex(), "FACTORY": w.factory.Address.Hex(),
	})
}

// put puts the contracts on the chain, before there is a vault: its charter names their addresses.
func (w *delayedStories) put() {
	first := w.chain.Accounts(w.t)[0]
	w.singleton, w.made = w.chain.Deploy(w.t, components.Safe, "Safe"), w.chain.Deploy(w.t, components.Safe, "SafeProxyFactory")
	w.master, w.factory = w.chain.Deploy(w.t, components.Zodiac, "Delay"), w.chain.Deploy(w.t, components.Zodiac, "ModuleProxyFactory")
	var none common.Address
	setup := w.singleton.Pack(w.t, "setup", []common.Address{common.HexToAddress(first)}, big.NewInt(1), none, []byte{}, none, none, new(big.Int), none)
	at := w.made.Read(w.t, "createProxyWithNonce", w.singleton.Address, setup, new(big.Int))[0].(common.Address)
	w.made.Send(w.t, first, "createProxyWithNonce", w.singleton.Address, setup, new(big.Int))
	w.safe = w.singleton.At(at)
	setUp, err := delayed.SetUp(evm.Address(at), 72*time.Hour, 168*time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	module := w.factory.Read(w.t, "deployModule", w.master.Address, setUp, new(big.Int))[0].(common.Address)
	w.factory.Send(w.t, first, "deployModule", w.master.Address, setUp, new(big.Int))
	w.module = w.master.At(module)
}

func (w *delayedStories) more() map[string]func(*testscript.TestScript, bool, []string) {
	all := w.commands()
	all["send"], all["queue"], all["execute"], all["later"], all["balance"], all["owned"] = w.send, w.queue, w.execute, w.later, w.balance, w.owned
	return all
}

// send FILE: the first account sends each call of a JSON document, or the one that it is.
func (w *delayedStories) send(ts *testscript.TestScript, _ bool, args []string) {
	type call struct{ To, Data string }
	var doc struct {
		call
		Calls []call
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	if doc.To != "" {
		doc.Calls = append(doc.Calls, doc.call)
	}
	if len(doc.Calls) == 0 {
		ts.Fatalf("%s has no call", args[0])
	}
	for _, c := range doc.Calls {
		w.chain.Transact(w.t, map[string]string{"from": w.chain.Accounts(w.t)[0], "to": c.To, "data": c.Data})
	}
}

// queue TO VALUE: the key queues that the Safe pays.
func (w *delayedStories) queue(ts *testscript.TestScript, neg bool, args []string) {
	arguments := []any{common.HexToAddress(args[0]), number(ts, args[1]), []byte{}, uint8(0)}
	if neg {
		w.reverts(ts, w.module, args[2], "execTransactionFromModule", arguments...)
		return
	}
	w.module.Send(w.t, w.stranger(), "execTransactionFromModule", arguments...)
}

// execute TO VALUE: somebody carries the next queued payment out.
func (w *delayedStories) execute(ts *testscript.TestScript, neg bool, args []string) {
	arguments := []any{common.HexToAddress(args[0]), number(ts, args[1]), []byte{}, uint8(0)}
	if neg {
		w.reverts(ts, w.module, args[2], "executeNextTx", arguments...)
		return
	}
	w.module.Send(w.t, w.chain.Accounts(w.t)[0], "executeNextTx", arguments...)
}

// later SPAN: the chain's clock goes on.
func (w *delayedStories) later(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	w.chain.Call(w.t, nil, "evm_increaseTime", int(d/time.Second))
	w.chain.Mine(w.t, 1)
}

// balance ADDRESS WEI.
func (w *delayedStories) balance(ts *testscript.TestScript, _ bool, args []string) {
	var got string
	w.chain.Call(w.t, &got, "eth_getBalance", args[0], "latest")
	if n, ok := new(big.Int).SetString(got, 0); !ok || n.Cmp(number(ts, args[1])) != 0 {
		ts.Fatalf("%s has %s, not %s", args[0], got, args[1])
	}
}

// owned SAFE OWNER MODULE COOLDOWN: such a Safe and such a module are on the chain.
func (w *delayedStories) owned(ts *testscript.TestScript, _ bool, args []string) {
	safe, module := w.singleton.At(common.HexToAddress(args[0])), w.master.At(common.HexToAddress(args[2]))
	if owners := safe.Read(w.t, "getOwners")[0].([]common.Address); len(owners) != 1 || owners[0] != common.HexToAddress(args[1]) {
		ts.Fatalf("owners are %v", owners)
	}
	d, err := time.ParseDuration(args[3])
	ts.Check(err)
	if owner, after := module.Read(w.t, "owner")[0], module.Read(w.t, "txCooldown")[0].(*big.Int); owner != safe.Address || after.Int64() != int64(d/time.Second) {
		ts.Fatalf("the module's owner is %v, its cooldown %v", owner, after)
	}
}

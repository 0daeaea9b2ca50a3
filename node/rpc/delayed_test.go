package rpc_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/node/rpc"
)

const (
	cooldown   = 72 * time.Hour
	expiration = 168 * time.Hour
)

// delayedSafe is one on a real chain, whose owner is the chain's first account and whose key is its second.
type delayedSafe struct {
	*testing.T
	node         *anvil.Node
	safe, module *anvil.Contract
	terms        delayed.Terms
	owner, key   string
	panel        *rpc.Panel
}

func newDelayedSafe(t *testing.T) *delayedSafe {
	w := &delayedSafe{T: t, node: anvil.Start(t)}
	w.owner, w.key = w.node.Accounts(t)[0], w.node.Accounts(t)[1]
	singleton, proxies := w.node.Deploy(t, components.Safe, "Safe"), w.node.Deploy(t, components.Safe, "SafeProxyFactory")
	var none common.Address
	setup := singleton.Pack(t, "setup", []common.Address{common.HexToAddress(w.owner)}, big.NewInt(1), none, []byte{}, none, none, new(big.Int), none)
	made := proxies.Read(t, "createProxyWithNonce", singleton.Address, setup, new(big.Int))[0].(common.Address)
	if got, err := delayed.MakeSafe(evm.Address(singleton.Address), evm.Address(common.HexToAddress(w.owner)), 0); err != nil || !bytes.Equal(got, proxies.Pack(t, "createProxyWithNonce", singleton.Address, setup, new(big.Int))) {
		t.Errorf("the Safe is made by %x, %v", got, err)
	}
	proxies.Send(t, w.owner, "createProxyWithNonce", singleton.Address, setup, new(big.Int))
	w.safe = singleton.At(made)

	master, factory := w.node.Deploy(t, components.Zodiac, "Delay"), w.node.Deploy(t, components.Zodiac, "ModuleProxyFactory")
	setUp, err := delayed.SetUp(evm.Address(made), cooldown, expiration)
	if err != nil {
		t.Fatal(err)
	}
	call, at, err := delayed.Make(evm.Address(factory.Address), evm.Address(master.Address), setUp, 5)
	if err != nil {
		t.Fatal(err)
	}
	if want := factory.Pack(t, "deployModule", master.Address, setUp, big.NewInt(5)); !bytes.Equal(call, want) {
		t.Errorf("the factory is called with %x, not %x", call, want)
	}
	factory.Send(t, w.owner, "deployModule", master.Address, setUp, big.NewInt(5))
	w.module = master.At(common.Address(at))
	w.terms = delayed.Terms{Delay: evm.Delay{ChainID: 31337, Safe: evm.Address(made), Module: at, Key: evm.Address(common.HexToAddress(w.key))}, Cooldown: cooldown, Expiration: expiration}
	if w.panel, err = rpc.NewPanel([]string{w.node.URL}, rpc.Options{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// does carries out an order of the Safe's: that its owner brings it counts as the owner's signature.
func (w *delayedSafe) does(o delayed.Order) {
	w.Helper()
	var none common.Address
	zero, owner := new(big.Int), common.HexToAddress(w.owner)
	sig := append(common.LeftPadBytes(owner[:], 32), append(make([]byte, 32), 1)...)
	arguments := []any{common.Address(o.To), zero, o.Data, uint8(0), zero, zero, zero, none, none, sig}
	document, err := o.Document(w.terms.Delay)
	if err != nil {
		w.Fatal(err)
	}
	if at, got, err := delayed.Bring(document, sig); err != nil || at != w.terms.Safe || !bytes.Equal(got, w.safe.Pack(w.T, "execTransaction", arguments...)) {
		w.Errorf("the order is brought to %s as %x, %v", at, got, err)
	}
	if _, _, err := delayed.Bring(document, sig[:64]); err == nil {
		w.Error("half a signature is brought")
	}
	w.safe.Send(w.T, w.owner, "execTransaction", arguments...)
}

func (w *delayedSafe) read() (delayed.State, rpc.Header) {
	w.Helper()
	s, h, err := w.panel.Delayed(w.Context(), w.terms.Delay)
	if err != nil {
		w.Fatal(err)
	}
	return s, h
}

func (w *delayedSafe) unlike() string {
	w.Helper()
	s, _ := w.read()
	return strings.Join(s.Unlike(w.terms, []evm.Address{evm.Address(common.HexToAddress(w.owner))}), "; ")
}

func (w *delayedSafe) queue(to string, value int64) {
	w.Helper()
	w.module.Send(w.T, w.key, "execTransactionFromModule", common.HexToAddress(to), big.NewInt(value), []byte{1, 2}, uint8(0))
}

func (w *delayedSafe) later(d time.Duration) {
	w.Helper()
	w.node.Call(w.T, nil, "evm_increaseTime", int(d/time.Second))
	w.node.Mine(w.T, 1)
}

// The code that a module runs is the one that is known.
func TestDelayCode(t *testing.T) {
	w := newDelayedSafe(t)
	var code string
	w.node.Call(t, &code, "eth_getCode", w.module.Address, "latest")
	w.node.Call(t, &code, "eth_getCode", "0x"+code[2+20:2+60], "latest") // of whom it is a proxy
	if got := crypto.Keccak256(common.FromHex(code)); !bytes.Equal(got, delayed.DelayCode[:]) {
		t.Errorf("the code of Delay has Keccak-256 %x", got)
	}
}

// The real contracts: what is read of them is told when it is not as the charter has it; what is queued is shown with what it does and until when it can be struck
// out; the veto strikes it out; what nobody vetoes is carried out after the cooldown.
func TestDelayedSafe(t *testing.T) {
	w := newDelayedSafe(t)
	for _, want := range []string{"modules are none", "may queue are none"} {
		if got := w.unlike(); !strings.Contains(got, want) {
			t.Errorf("before it is set up: %q, want %q", got, want)
		}
	}
	orders, err := delayed.Enable(w.terms.Delay, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range orders {
		w.does(o)
	}
	if got := w.unlike(); got != "" {
		t.Errorf("it is set up, and %s", got)
	}
	stranger := *w
	stranger.terms.Key, stranger.terms.Cooldown, stranger.terms.Expiration = evm.Address{9}, time.Hour, time.Hour
	for _, want := range []string{"not the key", "the cooldown is 72h0m0s, not 1h0m0s", "the expiration is 168h0m0s"} {
		if got := stranger.unlike(); !strings.Contains(got, want) {
			t.Errorf("another charter: %q, want %q", got, want)
		}
	}

	if why := w.module.Revert(t, w.owner, "execTransactionFromModule", common.HexToAddress(w.owner), new(big.Int), []byte{}, uint8(0)); why == "" {
		t.Error("somebody who is not the key may queue")
	}
	const to = "0x00000000000000000000000000000000000000E1"
	w.node.SetBalance(t, w.safe.Address.Hex(), "0x64")
	w.queue(to, 30)
	w.queue(to, 40)
	s, head := w.read()
	if len(s.Queue) != 2 || s.Next != 0 || s.End != 2 {
		t.Fatalf("the queue is %+v", s)
	}
	if x := s.Queue[0]; x.Call == nil || x.Call.To.String() != common.HexToAddress(to).Hex() || x.Call.Value.Int64() != 30 || !bytes.Equal(x.Call.Data, []byte{1, 2}) || x.Ready.Sub(x.Queued) != cooldown || x.Ends.Sub(x.Ready) != expiration || head.Time.Sub(x.Queued) > time.Minute {
		t.Errorf("what waits is %+v, %+v", x, x.Call)
	}
	next := []any{common.HexToAddress(to), big.NewInt(30), []byte{1, 2}, uint8(0)}
	if why := w.module.Revert(t, w.owner, "executeNextTx", next...); !strings.Contains(why, "still in cooldown") {
		t.Errorf("at once: reverts with %q", why)
	}
	veto, err := delayed.Veto(w.terms.Delay, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.does(veto)
	if s, _ = w.read(); s.Next != 1 || len(s.Queue) != 1 || s.Queue[0].Call.Value.Int64() != 40 {
		t.Errorf("after the veto the queue is %+v", s)
	}
	w.later(cooldown)
	if why := w.module.Revert(t, w.owner, "executeNextTx", next...); !strings.Contains(why, "Transaction hashes do not match") {
		t.Errorf("what was struck out: reverts with %q", why)
	}
	next[1] = big.NewInt(40)
	w.module.Send(t, w.owner, "executeNextTx", next...)
	var balance string
	if w.node.Call(t, &balance, "eth_getBalance", to, "latest"); balance != "0x28" {
		t.Errorf("what nobody vetoed moved %s", balance)
	}
	w.queue(to, 1)
	w.later(cooldown + expiration + time.Minute)
	if s, head = w.read(); len(s.Queue) != 1 || len(s.Waiting(head.Time)) != 0 || !slices.Equal(s.Waiting(head.Time.Add(-time.Hour)), s.Queue) {
		t.Errorf("what expired waits still: %+v", s.Queue)
	}
	if _, err := delayed.Veto(w.terms.Delay, s, s.Next); err == nil {
		t.Error("a veto that strikes nothing out is written")
	}
}

// lying is an endpoint that passes everything on but the answer to one kind of question.
func (w *delayedSafe) lying(asked string, answer func(id json.RawMessage) string) string {
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var q struct{ ID json.RawMessage }
		if err != nil || json.Unmarshal(body, &q) != nil {
			out.WriteHeader(http.StatusBadRequest)
			return
		}
		if strings.Contains(string(body), asked) {
			_, _ = io.WriteString(out, answer(q.ID))
			return
		}
		told, err := http.Post(w.node.URL, "application/json", bytes.NewReader(body))
		if err != nil {
			out.WriteHeader(http.StatusBadGateway)
			return
		}
		defer told.Body.Close()
		_, _ = io.Copy(out, told.Body)
	}))
	w.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// An endpoint that says another cooldown, or hides the queue, is not believed beside one that does not; one that makes up what was queued tells nothing, and one that
// keeps no logs takes nothing from what another tells.
func TestDelayedAmongLiars(t *testing.T) {
	w := newDelayedSafe(t)
	orders, err := delayed.Enable(w.terms.Delay, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range orders {
		w.does(o)
	}
	w.queue("0x00000000000000000000000000000000000000E1", 30)
	selector := func(signature string) string { return hex.EncodeToString(crypto.Keccak256([]byte(signature))[:4]) }
	says := func(result string) func(json.RawMessage) string {
		return func(id json.RawMessage) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
		}
	}
	for name, c := range map[string]struct{ asked, result, want string }{
		"another cooldown": {selector("txCooldown()"), `"0x` + strings.Repeat("0", 63) + `1"`, "cooldown 1s"},
		"an empty queue":   {selector("queueNonce()"), `"0x` + strings.Repeat("0", 64) + `"`, "queue 0 to 0"},
		"half an answer":   {selector("queueNonce()"), `"0x00"`, "1 of 2 endpoints answer"},
	} {
		p, err := rpc.NewPanel([]string{w.node.URL, w.lying(c.asked, says(c.result))}, rpc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := p.Delayed(t.Context(), w.terms.Delay); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 700 {
			t.Errorf("%s: %+v, %v, want %q", name, s, err, c.want)
		}
	}
	forged := fmt.Sprintf(`[{"topics":["0x%x","0x%064x","0x%064x"],"data":"0x%0256x"}]`, delayed.Topic, 0, 0, 0)
	for name, c := range map[string]struct {
		urls  []string
		known bool
	}{
		"made up, alone": {[]string{w.lying("eth_getLogs", says(forged))}, false},
		"none, alone":    {[]string{w.lying("eth_getLogs", says("[]"))}, false},
		"refused, alone": {[]string{w.lying("eth_getLogs", func(id json.RawMessage) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32005,"message":"range too large"}}`, id)
		})}, false},
		"made up, beside one": {[]string{w.lying("eth_getLogs", says(forged)), w.node.URL}, true},
		"none, beside one":    {[]string{w.lying("eth_getLogs", says("[]")), w.node.URL}, true},
	} {
		p, err := rpc.NewPanel(c.urls, rpc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := p.Delayed(t.Context(), w.terms.Delay)
		if err != nil || len(s.Queue) != 1 || (s.Queue[0].Call != nil) != c.known || c.known && s.Queue[0].Call.Value.Int64() != 30 {
			t.Errorf("%s: %+v, %v", name, s.Queue, err)
		}
	}
}

package policy

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
)

func address(t testing.TB, text string) evm.Address {
	t.Helper()
	a, err := evm.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// decoded is a request as a node sees it: built, and decoded from its bytes.
func decoded(t testing.TB, r evm.Request) []effect.Effect {
	t.Helper()
	raw, err := evm.Build(r)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := evm.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tx.Facts().Effects()
}

const (
	salaries = "0x00000000000000000000000000000000000000a1"
	usdc     = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
)

func request(t testing.TB) evm.Request {
	return evm.Request{ChainID: 1, Gas: 21000, FeeCap: big.NewInt(100e9), TipCap: big.NewInt(1e9), To: address(t, salaries), Amount: big.NewInt(5e17 + 1)}
}

func TestFlows(t *testing.T) {
	d := document()
	flows, err := FlowsOf(d, decoded(t, request(t)))
	// 0.5 ether and a wei are 501 thousandths; 21,000 gas at 100 gwei are 2.1, so 3.
	if err != nil || len(flows) != 2 || flows[0].Operation != Transfer || flows[0].Asset != "eth" || flows[0].Amount != 501 || strings.Join(flows[0].Labels, ",") != "payroll" || flows[1].Operation != Fee || flows[1].Amount != 3 {
		t.Errorf("%+v, %v", flows, err)
	}
	r, token := request(t), address(t, usdc)
	r.Token, r.Amount = &token, big.NewInt(12_000_001)
	flows, err = FlowsOf(d, decoded(t, r))
	if err != nil || flows[0].Operation != Token || flows[0].Asset != "usdc" || flows[0].Amount != 13 || flows[1].Asset != "eth" || len(flows[0].Labels) != 1 {
		t.Errorf("%+v, %v", flows, err)
	}
	sums, err := Sums(append(flows, flows...))
	if err != nil || sums["usdc"] != 26 || sums["eth"] != 6 {
		t.Errorf("%v, %v", sums, err)
	}
	effects, err := Effects(flows, map[string]Totals{"usdc": {13, 14, 15, 16}, "eth": {3, 4, 5, 6}})
	if err != nil || effects[0].Total.Month != 16 || effects[1].Total.Hour != 3 || effects[0].Destination != address(t, salaries).String() {
		t.Errorf("%+v, %v", effects, err)
	}
	if _, err := Effects(flows, map[string]Totals{"usdc": {13, 14, 15, 16}}); err == nil {
		t.Error("effects without totals")
	}
	if _, err := Sums([]Flow{{Asset: "eth", Amount: 1 << 62}, {Asset: "eth", Amount: 1 << 62}}); err == nil {
		t.Error("a sum came around")
	}
}

// What a transaction does beside transfers: lends, calls, and signs for others.
func TestOtherFlows(t *testing.T) {
	for name, c := range map[string]struct {
		effect effect.Effect
		want   Flow
	}{
		"an allowance": {effect.Effect{Operation: effect.Allowance, Contract: usdc, Amount: big.NewInt(1_000_001), Destination: salaries}, Flow{Allowance, "usdc", 2, salaries, []string{"payroll"}}},
		"one of all":   {effect.Effect{Operation: effect.Unlimited, Contract: usdc, Destination: salaries}, Flow{Unlimited, "usdc", 0, salaries, []string{"payroll"}}},
		"above its cap, which a permit by that name permits whole": {effect.Effect{Operation: effect.Unlimited, Contract: usdc, Amount: big.NewInt(1e15), Destination: salaries}, Flow{Unlimited, "usdc", 0, salaries, []string{"payroll"}}},
		"a call":            {effect.Effect{Operation: effect.Call, Contract: salaries, Destination: salaries}, Flow{Call, "", 0, salaries, []string{"payroll"}}},
		"a call with coins": {effect.Effect{Operation: effect.Call, Contract: salaries, Amount: big.NewInt(1), Destination: salaries}, Flow{Call, "eth", 1, salaries, []string{"payroll"}}},
		"a message":         {effect.Effect{Operation: effect.Message, Contract: usdc, Destination: usdc}, Flow{Message, "", 0, usdc, nil}},
		"another code":      {effect.Effect{Operation: effect.Authorise, Contract: usdc, Destination: usdc}, Flow{Authorise, "", 0, usdc, nil}},
		"code as the Safe":  {effect.Effect{Operation: effect.DelegateCall, Contract: usdc, Destination: usdc}, Flow{DelegateCall, "", 0, usdc, nil}},
		"a proof":           {effect.Effect{Operation: effect.Proof, Destination: usdc}, Flow{Proof, "", 0, usdc, nil}},
	} {
		c.effect.Chain = "eip155:1"
		flows, err := FlowsOf(document(), []effect.Effect{c.effect})
		if err != nil || len(flows) != 1 || fmt.Sprint(flows[0]) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, flows, err, c.want)
		}
		out := Outflow(document(), []effect.Effect{c.effect})
		if out[c.want.Asset] != c.want.Amount || c.want.Amount == 0 && len(out) > 0 {
			t.Errorf("%s: %v is given out", name, out)
		}
	}
}

// What the charter does not know cannot be counted, and is no flow.
// What does not fit is more than any limit, and never less: one amount, or the sum of amount and fee.
func TestOutflowOverflows(t *testing.T) {
	d := document()
	r := request(t)
	most := new(big.Int).Mul(big.NewInt(math.MaxInt64-1), big.NewInt(1e15)) // thousandths of an ether that a limit can speak of
	for name, amount := range map[string]*big.Int{"with the fee not": most, "by one unit not": new(big.Int).Add(most, big.NewInt(1e15)), "by far not": new(big.Int).Lsh(big.NewInt(1), 255)} {
		r.Amount = amount
		if got := Outflow(d, decoded(t, r))["eth"]; got != math.MaxInt64 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestFlowsRefused(t *testing.T) {
	other := address(t, "0x00000000000000000000000000000000000000ff")
	for name, c := range map[string]struct {
		change func(*evm.Request)
		want   string
	}{
		"another chain": {func(r *evm.Request) { r.ChainID = 5 }, "chain eip155:5"},
		"another token": {func(r *evm.Request) { r.Token = &other }, "not among the charter's assets"},
		"too much":      {func(r *evm.Request) { r.Amount = new(big.Int).Lsh(big.NewInt(1), 200) }, "63 bits"},
		"the fee":       {func(r *evm.Request) { r.FeeCap = new(big.Int).Lsh(big.NewInt(1), 150) }, "fee: "},
	} {
		r := request(t)
		c.change(&r)
		if flows, err := FlowsOf(document(), decoded(t, r)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, flows, err)
		}
	}
	for name, e := range map[string]effect.Effect{
		"operation": {Chain: "eip155:1", Operation: "upgrade", Amount: big.NewInt(1)}, "opaque": {Chain: "eip155:1", Operation: effect.Opaque}, "no amount": {Chain: "eip155:1", Operation: effect.Transfer},
		"an allowance without one": {Chain: "eip155:1", Operation: effect.Allowance, Contract: usdc}, "an unlimited one of a stranger": {Chain: "eip155:1", Operation: effect.Unlimited, Contract: salaries},
		"coins along where they are not listed": {Chain: "eip155:5", Operation: effect.Call, Contract: salaries, Amount: big.NewInt(1)},
	} {
		if flows, err := FlowsOf(document(), []effect.Effect{e}); err == nil {
			t.Errorf("%s: %+v", name, flows)
		}
	}
}

// A payee or token whose address nobody could pay is refused with the charter.
func TestAddressesAreChecked(t *testing.T) {
	d := document()
	d.Payees[0].Address = "0xA1"
	if _, err := Of(d); err == nil || !strings.Contains(err.Error(), "payee salaries") {
		t.Error(err)
	}
	d = document()
	d.Assets[1].Contract = "0xA0B86991c6218b36c1d19D4a2e9Eb0cE3606eB48" // a letter of the checksum is wrong
	if _, err := Of(d); err == nil || !strings.Contains(err.Error(), "asset usdc") {
		t.Error(err)
	}
}

// A block's producer is nobody's payee: what fees take counts, and many small ones end at the day's limit.
func TestFeeDrain(t *testing.T) {
	d := document()
	p, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	given, spent := int64(0), 0
	for range 100 {
		r := request(t)
		r.Amount, r.FeeCap = big.NewInt(1), big.NewInt(2e12) // 42 thousandths of an ether
		flows, err := FlowsOf(d, decoded(t, r))
		if err != nil {
			t.Fatal(err)
		}
		sums, err := Sums(flows)
		if err != nil {
			t.Fatal(err)
		}
		total := given + sums["eth"]
		effects, err := Effects(flows, map[string]Totals{"eth": {total, total, total, total}})
		if err != nil {
			t.Fatal(err)
		}
		count := Count(d, []string{"bob"})
		f := Facts{
			Vault: "treasury", Tier: "warm", Purpose: "transaction", Chain: "eip155:1", Initiator: "alice", Groups: GroupsOf(d, "alice"),
			Approvals: count.Approvals, Approvers: count.Approvers, Organisations: count.Organisations, Hour: 10, Weekday: 1, Effects: effects,
		}
		if p.Decide(f, count).Verdict == Allow {
			given, spent = total, spent+1
		}
	}
	if given > 500 || spent != 11 {
		t.Errorf("%d transactions took %d", spent, given)
	}
}

// What a rule forbids is named in people's units: who reads 1,001,000 where a thousand and one was asked for approves nothing any more.
func TestAmountsInWords(t *testing.T) {
	d := document()
	d.Policy = `@id("nothing") permit (principal, action == Action::"fee", resource);`
	p, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	f := facts()
	f.Effects[0].Amount, f.Effects[0].Total = 1500, Totals{1500, 1500, 1500, 1500}
	if r := p.ask(f); !strings.Contains(r.Reason, "transfer of 1.5 eth to ") {
		t.Errorf("%+v", r)
	}
}

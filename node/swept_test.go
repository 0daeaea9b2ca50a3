package node_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/store"
)

const (
	refuge    = "0x00000000000000000000000000000000cafe0001"
	elsewhere = "0x00000000000000000000000000000000cafe0002"
)

// A swept is a guarded vault on a chain, with a plan that says where its assets may go.
type swept struct {
	setting
	chain *anvil.Node
	rpc   *rpc.EVM
	token string
	call  []byte // the plan's
	r     act.Request
	nonce uint64
}

// onChain makes a world whose nodes ask a chain, and whose vault holds 10 ETH and 500 tokens.
func onChain(t *testing.T) *swept {
	t.Helper()
	x := &swept{chain: anvil.Start(t, "--chain-id", "1")}
	x.token = x.chain.DeployToken(t, big.NewInt(1e12))
	x.call, _ = hex.DecodeString("70a08231" + strings.Repeat("00", 31) + "07") // what the token answers to
	var err error
	if x.rpc, err = rpc.NewEVM(x.chain.URL, rpc.Options{}); err != nil {
		t.Fatal(err)
	}
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		d.Assets = append(d.Assets, charter.Asset{Name: "usdx", Chain: "eip155:1", Contract: x.token, Decimals: 6, Unit: 6})
		d.EVM.TypedData = []charter.TypedData{{Name: "permit", Chain: "eip155:1", Contract: x.token, Domain: "USD Coin", Version: "2", Type: permitType}}
		for i := range d.Vaults {
			p := nodetest.Plan(2, 2, "operator-9")
			p.Destinations = []charter.Destination{{Name: "refuge", Chain: "eip155:1", Address: refuge}}
			p.Caps = []charter.Cap{{Asset: "eth", Most: 4000}} // 4 ETH, fees included
			p.Calls = []charter.Call{{Name: "pause", Chain: "eip155:1", To: x.token, Data: x.call, Times: 1}}
			d.Vaults[i].Rescue, d.Vaults[i].Publish = p, true
		}
	}
	w.Check = func(_ *nodetest.Host, from evm.Address, f evm.Facts) (bool, string, error) {
		err := x.rpc.Check(t.Context(), from, f, rpc.Limits{})
		if m := (*rpc.Mismatch)(nil); errors.As(err, &m) {
			return true, err.Error(), nil
		}
		return true, "", err
	}
	w.CheckReplacing = func(_ *nodetest.Host, from evm.Address, f evm.Facts) (bool, string, error) {
		err := x.rpc.Check(t.Context(), from, f, rpc.Limits{Replacing: true})
		if m := (*rpc.Mismatch)(nil); errors.As(err, &m) {
			return true, err.Error(), nil
		}
		return true, "", err
	}
	w.Usual = func(_ *nodetest.Host, from evm.Address, tx *evm.Transaction) (*big.Int, error) {
		to, value, data := tx.Message()
		return x.rpc.UsualFee(t.Context(), rpc.Message{From: from, To: to, Value: value, Data: data})
	}
	id, addr := nodetest.Ready(w, 3)
	x.setting = setting{w, id, addr}
	x.chain.SetBalance(t, addr.Address, "0x8ac7230489e80000")
	x.chain.GiveToken(t, x.token, addr.Address, big.NewInt(500e6))
	return x
}

// active brings a drill to ACTIVE at all nodes. c is what it is about; its node is away at first, and comes back with no veto.
func (x *swept) active() {
	x.T.Helper()
	a, b, c := x.Hosts[0], x.Hosts[1], x.Hosts[2]
	x.Downtime = 90 * time.Second
	x.Crash(c)
	x.r = x.askSOS(a, charter.TriggerLegal, c.Own.Name)
	x.Run("known", x.allStand(sos.Armed, x.r, a, b))
	x.support(a, x.r, 0)
	x.support(b, x.r, 1)
	x.consent(a, x.r)
	x.consent(b, x.r)
	x.Run("active", x.allStand(sos.Active, x.r, a, b))
	x.Run("active at all", x.allStand(sos.Active, x.r, x.Hosts...))
	x.Downtime = 0
}

// money is a transaction of the vault with the next nonce.
func (x *swept) money(edit func(*evm.Request)) []byte {
	x.T.Helper()
	to, _ := evm.ParseAddress(refuge)
	r := evm.Request{Kind: evm.Dynamic, ChainID: 1, Nonce: x.nonce, Gas: 21000, FeeCap: big.NewInt(3e9), TipCap: big.NewInt(1e9), To: to, Amount: big.NewInt(15e17)}
	if edit != nil {
		edit(&r)
	}
	raw, err := evm.Build(r)
	if err != nil {
		x.T.Fatal(err)
	}
	return raw
}

// asks has an operator's officer propose.
func (x *swept) asks(h *nodetest.Host, raw []byte) (statement.Statement, outbox.Note) {
	x.T.Helper()
	it := x.Intent(x.vault, x.addr, 0)
	it.Transaction, it.Initiator, it.Facts = raw, h.Own.Name, nil
	tx, err := evm.DecodeCall(raw, evm.AnyCall)
	if err != nil {
		x.T.Fatal(err)
	}
	for _, l := range tx.Facts().Lines() {
		it.Facts = append(it.Facts, intent.Fact(l))
	}
	if p, err := evm.DecodeIn(raw, x.context()); err == nil {
		it.Facts = wordsOf(p)
	}
	return x.officers(h, it)
}

// officers is an intent that an operator's officer makes.
func (x *swept) officers(h *nodetest.Host, it intent.Intent) (statement.Statement, outbox.Note) {
	x.T.Helper()
	it.Initiator = h.Own.Name
	s, err := it.Statement(x.Salt())
	if err != nil {
		x.T.Fatal(err)
	}
	return s, outbox.Note{Kind: decide.NoteProposal, Fields: [][]byte{s.Bytes(), h.Officer.Makes(x.T, s)}}
}

// lands proposes, waits for the signature, and sends it.
func (x *swept) lands(what string, raw []byte, during func()) {
	x.T.Helper()
	s, n := x.asks(x.Hosts[0], raw)
	x.again(x.Hosts[0], n)
	if during != nil {
		during()
	}
	x.Run(what+" is signed", func() bool { return x.Signed(s) })
	v, err := x.Hosts[0].Desk.Show(s.ID())
	if err != nil {
		x.T.Fatal(err)
	}
	for _, d := range v.Decisions {
		if d.Rule != decide.RuleSOS || !strings.Contains(d.Reason, x.r.ID.String()) || len(d.Approved) > 0 {
			x.T.Errorf("%s: %s allowed it by rule %s: %s", what, d.Operator, d.Rule, d.Reason)
		}
	}
	hash, err := x.rpc.SendRaw(context.Background(), v.Raw)
	if err != nil {
		x.T.Fatalf("%s: %v", what, err)
	}
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if r, found, err := x.rpc.Receipt(context.Background(), hash); err == nil && found {
			if !r.Success {
				x.T.Fatalf("%s failed on its chain", what)
			}
			break
		}
		if time.Now().After(limit) {
			x.T.Fatalf("%s is not mined", what)
		}
	}
	x.nonce++
}

// denied proposes what every node refuses by itself.
func (x *swept) denied(what, why string, s statement.Statement, n outbox.Note) {
	x.T.Helper()
	x.again(x.Hosts[1], n)
	x.Run(what+" is denied", func() bool {
		return x.All(func(h *nodetest.Host) bool { return h.Up && x.own(h, s).Verdict == intent.Deny })
	})
	for _, h := range x.Hosts {
		if d := x.own(h, s); d.Rule != decide.RuleSOS || !strings.Contains(d.Reason, why) {
			x.T.Errorf("%s: %s denies it by rule %s: %s", what, h.Own.Name, d.Rule, d.Reason)
		}
	}
}

// own is a host's own decision.
func (x *swept) own(h *nodetest.Host, s statement.Statement) (out intent.Decision) {
	x.Act(h, func() {
		v, err := h.Desk.Show(s.ID())
		for _, d := range v.Decisions {
			if err == nil && d.Operator == h.Own.Name {
				out = d.Decision
			}
		}
	})
	return out
}

// In ACTIVE the plan is the rule: an officer's sweep lands at the rescue address without anybody's approval, and each node alone refuses what
// the plan does not allow, whoever approved it. A node that dies meanwhile counts each once.
func TestSweeps(t *testing.T) {
	t.Parallel()
	x := onChain(t)
	a, b, c := x.Hosts[0], x.Hosts[1], x.Hosts[2]
	if _, n := x.asks(a, x.money(nil)); !x.refused(a, n) {
		t.Error("before anything was declared an officer's proposal is taken")
	}
	x.active()
	if _, n := x.asks(c, x.money(nil)); !x.refused(a, n) {
		t.Error("the proposal of an officer of the subject is taken")
	}
	rows := x.Rows(b, "")
	token, _ := evm.ParseAddress(x.token)
	x.lands("a token sweep", x.money(func(r *evm.Request) { r.Token, r.Amount, r.Gas = &token, big.NewInt(400e6), 100000 }), func() {
		x.Step(time.Second)
		x.Crash(b)
	})
	thief, _ := evm.ParseAddress(elsewhere)
	for what, e := range map[string]struct {
		why  string
		edit func(*evm.Request)
	}{
		"a transfer elsewhere": {"no rescue address", func(r *evm.Request) { r.To = thief }},
		"tokens elsewhere":     {"no rescue address", func(r *evm.Request) { r.Token, r.To, r.Amount, r.Gas = &token, thief, big.NewInt(1), 60000 }},
		"dust":                 {"less than its fee", func(r *evm.Request) { r.Amount = big.NewInt(1000) }},
		"a burnt fee":          {"usual is", func(r *evm.Request) { r.FeeCap, r.TipCap = big.NewInt(900e9), big.NewInt(900e9) }},
		"a wide gas limit":     {"usual is", func(r *evm.Request) { r.Gas = 2e6 }},
		"more than the cap":    {"are allowed in all", func(r *evm.Request) { r.Amount = big.NewInt(4e18) }},
		"back to itself": {"neither a sweep nor one protective call", func(r *evm.Request) {
			r.To, _ = evm.ParseAddress(x.addr.Address)
		}},
	} {
		s, n := x.asks(b, x.money(e.edit))
		x.denied(what, e.why, s, n)
	}
	// An ordinary intent with every approval is no better.
	ordinary := x.Propose(x.vault, x.addr, x.nonce)
	x.Run("denied", func() bool {
		return x.own(a, ordinary).Verdict == intent.Deny && x.own(c, ordinary).Rule == decide.RuleSOS
	})

	// What lends is no move: a transaction is denied, and a message, which another could use whenever it likes, waits until the emergency is over.
	s, n := x.asks(b, x.calls(call("approve(address,uint256)", thief, big.NewInt(1))))
	x.denied("an allowance", "neither a transfer nor a call that the plan names", s, n)
	lends, n := x.officers(b, x.bytesOf(intent.PurposeMessage, 0, x.permitOf(token, "USD Coin", 1, 0)))
	x.again(b, n)
	x.Run("a permit waits", func() bool {
		return x.All(func(h *nodetest.Host) bool {
			v, err := h.Desk.Show(lends.ID())
			return err == nil && strings.Contains(v.Waits, "only transactions leave a vault in SOS")
		})
	})

	// A freeze by one operator stops none of it, and neither do the rejections of the vault's own people.
	x.Run("frozen", func() (ok bool) {
		x.Act(c, func() {
			f, err := c.Charters.PrepareFreeze(x.Clock(c), x.vault, time.Hour, "stop")
			if err == nil {
				_, err = c.Charters.Accept(t.Context(), x.Clock(c), f, c.Officer.Makes(t, f))
			}
			ok = err == nil
		})
		return ok
	})
	x.Run("frozen everywhere", func() bool {
		return x.All(func(h *nodetest.Host) bool { return h.Charters.Frozen(x.vault, x.Clock(h)) != "" })
	})
	d := x.Document()
	d.Heartbeat += time.Minute
	x.Act(a, func() {
		if err := x.SignCharter(a, d, true); err == nil || !strings.Contains(err.Error(), "emergency") {
			t.Errorf("a charter is signed meanwhile: %v", err)
		}
	})
	for range 2 { // 1.5 of 4 each
		x.lands("a move under a freeze", x.money(nil), nil)
	}
	s, n = x.asks(b, x.money(nil))
	x.denied("one move more", "are allowed in all", s, n)
	if !x.refused(a, x.Vote(s, nodetest.Approvers[0], signet.Reject)) {
		t.Error("a rejection counts")
	}
	x.lands("the protective call", x.calls(x.call), nil)
	s, n = x.asks(a, x.calls(x.call))
	x.denied("a second call", "was made 1 times", s, n)
	other := append(bytes.Clone(x.call[:35]), 8)
	s, n = x.asks(a, x.calls(other))
	x.again(a, n)
	x.Run("a call of nobody's is denied", func() bool { return x.own(b, s).Rule == intent.RuleDecoded && x.own(c, s).Rule == intent.RuleDecoded })
	x.replaced()

	safe, _ := evm.ParseAddress(refuge)
	if n, err := x.rpc.TokenBalance(t.Context(), token, safe); err != nil || n.Cmp(big.NewInt(400e6)) != 0 {
		t.Errorf("the rescue address holds %v tokens, %v", n, err)
	}
	if n, err := x.rpc.Balance(t.Context(), safe); err != nil || n.Cmp(new(big.Int).Sub(big.NewInt(39e17), big.NewInt(21000*2e8))) != 0 {
		t.Errorf("the rescue address holds %v wei, %v", n, err)
	}
	y := *x
	y.setting = x.copy(t, "set back")
	y.Check, y.CheckReplacing, y.Usual = x.Check, x.CheckReplacing, x.Usual
	y.counted(rows)
	x.over()
	x.checked()
}

// counted: a node that was set back behind all that left holds everything until the others have told what did, and counts it then.
func (x *swept) counted(rows []store.Item) {
	x.T.Helper()
	b := x.Hosts[1]
	x.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To == b && p.Frame[0] == 29 {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	x.Restore(b, rows)
	restored(x.T.(*testing.T), x.setting, b)
	more, n := x.asks(x.Hosts[0], x.money(nil))
	x.again(x.Hosts[0], n)
	for range 100 { // longer than its delay
		x.Step(time.Second)
		x.Deliver()
	}
	if d := x.own(b, more); d.Verdict != "" {
		x.T.Errorf("before it heard what left it says %s by rule %s: %s", d.Verdict, d.Rule, d.Reason)
	}
	x.Pass = nil
	x.Run("it is in ACTIVE again", x.allStand(sos.Active, x.r, b))
	again, n := x.asks(x.Hosts[0], x.calls(x.call))
	x.again(x.Hosts[0], n)
	for what, s := range map[string]statement.Statement{"are allowed in all": more, "was made 1 times": again} {
		x.Run("it denies what is too much: "+what, func() bool { return x.own(b, s).Verdict != "" })
		if d := x.own(b, s); d.Verdict != intent.Deny || d.Rule != decide.RuleSOS || !strings.Contains(d.Reason, what) {
			x.T.Errorf("it counted nothing of what left: %s by rule %s: %s", d.Verdict, d.Rule, d.Reason)
		}
	}
}

// replaced has a sweep wait on a chain that wants more by now. One that does the same for a tenth more takes its nonce, by the same path; nothing else does.
func (x *swept) replaced() {
	x.T.Helper()
	last := func(fee, tip int64) func(*evm.Request) {
		return func(r *evm.Request) {
			r.Amount, r.FeeCap, r.TipCap = big.NewInt(9e17), big.NewInt(fee), big.NewInt(tip)
		}
	}
	x.chain.Call(x.T, nil, "evm_setAutomine", false)
	s, n := x.asks(x.Hosts[0], x.money(last(2e9, 1e9)))
	x.again(x.Hosts[0], n)
	x.Run("the last move is signed", func() bool { return x.Signed(s) })
	first, err := x.Hosts[0].Desk.Show(s.ID())
	if err != nil {
		x.T.Fatal(err)
	}
	if _, err := x.rpc.SendRaw(context.Background(), first.Raw); err != nil {
		x.T.Fatal(err)
	}
	for what, e := range map[string]func(*evm.Request){
		"a fee of less":    last(22e8-1, 11e8),
		"a tip of less":    last(22e8, 11e8-1),
		"another amount":   func(r *evm.Request) { last(22e8, 11e8)(r); r.Amount = big.NewInt(901e15) },
		"less than it was": func(r *evm.Request) { last(22e8, 11e8)(r); r.Amount = big.NewInt(8999e14) },
	} {
		s, n := x.asks(x.Hosts[1], x.money(e))
		x.again(x.Hosts[1], n)
		x.Run(what+" is denied", func() bool {
			return x.All(func(h *nodetest.Host) bool {
				d := x.own(h, s)
				return d.Verdict == intent.Deny && (d.Rule == decide.RuleNonce || d.Rule == decide.RuleSOS)
			})
		})
	}
	r, n := x.asks(x.Hosts[1], x.money(func(r *evm.Request) { // all that lay there was sent: the rise comes out of it
		last(22e8, 11e8)(r)
		r.Amount.Sub(r.Amount, big.NewInt(21000*2e8))
	}))
	x.again(x.Hosts[1], n)
	x.Run("the replacement is signed", func() bool { return x.Signed(r) })
	second, err := x.Hosts[0].Desk.Show(r.ID())
	if err != nil {
		x.T.Fatal(err)
	}
	for _, d := range second.Decisions {
		if d.Rule != decide.RuleSOS || d.Verdict != intent.Allow {
			x.T.Errorf("%s ruled on the replacement by %s: %s", d.Operator, d.Rule, d.Reason)
		}
	}
	hash, err := x.rpc.SendRaw(context.Background(), second.Raw)
	if err != nil {
		x.T.Fatalf("the chain does not take it: %v", err)
	}
	x.chain.Call(x.T, nil, "evm_setAutomine", true)
	x.chain.Call(x.T, nil, "anvil_mine", "0x10")
	if receipt, found, err := x.rpc.Receipt(context.Background(), hash); err != nil || !found || !receipt.Success {
		x.T.Fatalf("the replacement is not mined (%v)", err)
	}
	x.nonce++
	s, n = x.asks(x.Hosts[0], x.money(func(r *evm.Request) { last(3e9, 2e9)(r); r.Nonce--; r.Amount.Sub(r.Amount, big.NewInt(21000*1e9)) }))
	x.again(x.Hosts[0], n)
	x.Run("one for what is mined is denied", func() bool {
		return x.All(func(h *nodetest.Host) bool {
			return x.own(h, s).Verdict == intent.Deny && x.own(h, s).Rule == decide.RuleState
		})
	})
	confirmed := intent.WasConfirmed{Height: 1, Block: hash.String()}
	for i, h := range x.Hosts {
		fell, fate := new(bool), nodetest.Live
		if i < 2 { // one dies before nonce, state and leaf are durable together, one after
			fate = []nodetest.Fate{nodetest.CrashBefore, nodetest.CrashAfter}[i]
			fell = hit{i, "sos", 1, fate}.strike(x.setting)
		}
		took := func(ev intent.Event) {
			x.Act(h, func() {
				if err := h.Desk.OnChain(context.Background(), x.Clock(h), r.ID(), ev); err != nil && !*fell {
					x.T.Error(err)
				}
			})
		}
		took(intent.WasBroadcast{})
		took(confirmed)
		took(intent.BecameFinal{})
		x.Fate = nil
		if *fell != (i < 2) {
			x.T.Errorf("node %d: %t that it died as it settled a nonce", i, *fell)
		}
		x.Run("it is up", func() bool { return h.Up })
		if fate == nodetest.CrashBefore { // its watcher sees it again
			*fell = false
			took(intent.BecameFinal{})
		}
	}
}

// over lets the window end with nothing given: the ordinary rules are the rule again, and no officer proposes.
func (x *swept) over() {
	x.T.Helper()
	a := x.Hosts[0]
	for range 70 {
		x.Step(time.Minute)
		x.Deliver()
	}
	x.Run("over", x.allStand(sos.Expired, x.r, x.Hosts...))
	if _, n := x.asks(a, x.money(nil)); !x.refused(a, n) {
		x.T.Error("an officer proposes after the window")
	}
	s := x.Propose(x.vault, x.addr, x.nonce)
	x.Approve(s)
	x.Run("signed by the ordinary rules", func() bool { return x.Signed(s) })
	if d := x.own(a, s); d.Rule != decide.RulePolicy {
		x.T.Errorf("allowed by rule %s", d.Rule)
	}
}

// calls is a call of the token's contract with the next nonce.
func (x *swept) calls(data []byte) []byte {
	x.T.Helper()
	to, _ := evm.ParseAddress(x.token)
	raw, err := evm.BuildCall(evm.CallRequest{Kind: evm.Dynamic, ChainID: 1, Nonce: x.nonce, Gas: 40000, FeeCap: big.NewInt(2e9), TipCap: big.NewInt(1e9), To: to, Data: data})
	if err != nil {
		x.T.Fatal(err)
	}
	return raw
}

// refused says that a node does not take a note.
func (x *swept) refused(h *nodetest.Host, n outbox.Note) bool {
	_, err := x.submit(h, n)
	return err != nil
}

// checked has outsiders verify what all nodes publish: sweeps need no quorum, and nothing of it fails.
func (x *swept) checked() {
	x.T.Helper()
	r, err := verify.Verify(sources(x.T.(*testing.T), x.PublishAll()), verify.Options{Now: x.Now})
	if err != nil {
		x.T.Fatal(err)
	}
	if r.Failed {
		x.T.Errorf("honest nodes are accused:\n%s", strings.Join(failures(r), "\n"))
	}
	e := r.Vaults[0].Emergencies[0]
	moved := map[string]verify.EmergencyTotal{}
	for _, l := range e.Totals {
		moved[l.Asset] = l
	}
	for _, p := range x.PublishAll() {
		if n := len(slices.DeleteFunc(slices.Clone(p.Leaves), func(l tlog.Filed) bool { return l.Kind != tlog.KindTaken })); n != 1 {
			x.T.Errorf("%s tells of %d transactions that the chain took for good, not of 1", p.Origin, n)
		}
	}
	if eth, usdx := moved["eth"], moved["usdx"]; len(e.Outflows) != 6 || eth.Cap == nil || eth.Amount > *eth.Cap || eth.Amount < 3900 || usdx.Cap != nil || usdx.Amount == 0 {
		x.T.Errorf("%+v, %+v", e.Outflows, moved)
	}
	for _, o := range e.Outflows {
		if name := map[bool]string{true: "pause", false: "refuge"}[o.Call]; o.Name != name {
			x.T.Errorf("%+v", o)
		}
	}
}

package node_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin"
	purse "github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/wallet"
)

const (
	regtest   = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
	btcPayee  = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080" // BIP 173's program
	btcPolicy = "@id(\"all\") permit (principal, action in [Action::\"transfer\", Action::\"fee\", Action::\"proof\"], resource);\n"
)

// mixed is a circle whose vault has a key for each kind of Bitcoin's addresses.
type mixed struct{ setting }

func mixing(t *testing.T, threshold int) mixed {
	t.Helper()
	return mixingWith(t, threshold, nil)
}

// mixingWith is mixing, of a vault whose Taproot addresses have a recovery.
func mixingWith(t *testing.T, threshold int, r *charter.Recovery) mixed {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteBIP340
	w.Change = func(d *charter.Document) {
		d.Assets = []charter.Asset{{Name: "btc", Chain: regtest, Decimals: 8, Unit: 5}}
		d.Policy, d.EVM.Networks = btcPolicy, []charter.Network{{Chain: regtest, FeeRate: 20}}
	}
	w.Found()
	file := w.VaultFile("mixed", threshold)
	file.Recovery = r
	file.Suites, file.Chains = []string{charter.SuiteBIP340, charter.SuiteECDSA}, []string{regtest}
	id := w.AcceptVault(file)
	w.Run("both keys are published", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			return !slices.ContainsFunc(file.Suites, func(suite string) bool {
				v, ok := h.Keeper.Root(id, suite)
				return !ok || v.Current == nil
			})
		})
	})
	return mixed{setting{w, id, w.Account(id)}}
}

// holding is the vault, with coins, as who builds transactions sees it.
func (m mixed) holding(all ...purse.Coin) purse.Purse {
	m.T.Helper()
	c, err := m.Context(m.Hosts[0], m.vault)
	if err != nil {
		m.T.Fatal(err)
	}
	v, err := payload.BitcoinVault(regtest, c)
	if err != nil {
		m.T.Fatal(err)
	}
	return purse.Purse{Vault: v, Coins: all}
}

// coin is one that a transaction which nobody signed pays to the vault.
func (m mixed) coin(suite string, account, index uint32, amount uint64) purse.Coin {
	m.T.Helper()
	spot := bitcoin.Spot{Suite: suite, Path: [3]uint32{0, account, index}}
	script, err := m.holding().Vault.Script(spot)
	if err != nil {
		m.T.Fatal(err)
	}
	tx := psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{1, byte(account), byte(index)}}, Sequence: bitcoin.Final}}, Outs: []psbt.Out{{Amount: amount, Script: script}}}
	return purse.Coin{Spot: spot, Outpoint: psbt.Outpoint{ID: tx.ID()}, Amount: amount, Previous: tx.Bare()}
}

// three are a coin of each kind, and one more.
func (m mixed) three() []purse.Coin {
	return []purse.Coin{m.coin(charter.SuiteECDSA, 1, 0, 40_000), m.coin(charter.SuiteBIP340, 1, 0, 30_000), m.coin(charter.SuiteBIP340, 1, 3, 20_000)}
}

// pays builds a payment of nearly all that coins hold.
func (m mixed) pays(change func(*purse.Transfer), all ...purse.Coin) []byte {
	m.T.Helper()
	t := purse.Transfer{Change: bitcoin.Spot{Suite: charter.SuiteBIP340, Path: [3]uint32{0, 1, 9}}, Rate: bitcoin.PerVByte(5)}
	amount := uint64(0)
	for _, c := range all {
		amount += c.Amount
	}
	t.Payments = []purse.Payment{{Address: btcPayee, Amount: amount - 8_000}}
	if change != nil {
		change(&t)
	}
	raw, _, err := m.holding(all...).Pay(t)
	if err != nil {
		m.T.Fatal(err)
	}
	return raw
}

// asks is an intent over a transaction, which names the key of its input at a place.
func (m mixed) asks(raw []byte, place int) intent.Intent {
	m.T.Helper()
	v := m.holding().Vault
	tx, err := bitcoin.Decode(raw, v)
	if err != nil {
		m.T.Fatal(err)
	}
	spot := tx.Inputs()[place].Spot
	root, _ := m.Hosts[0].Keeper.Root(m.vault, spot.Suite)
	spot.Plain = false // an intent names the key's address as it is given out, whatever the coin lies at
	address, err := v.Address(spot)
	if err != nil {
		m.T.Fatal(err)
	}
	it := m.Intent(m.vault, wallet.Address{Path: spot.Path[:], Suite: spot.Suite, Chain: regtest, Address: address}, 0)
	it.Key, it.Epoch, it.Purpose, it.Claim = root.Current.Record.KeyID, root.Current.Record.Hash(), intent.PurposeTransaction, intent.Claim{}
	it.Transaction, it.Facts = raw, intent.Written(payload.Facts(&payload.Bitcoin{Transaction: tx}))
	return it
}

// One transaction takes coins of both keys, each input signed by its own protocol, and Bitcoin's rules take it, as btcd has them.
func TestBitcoin(t *testing.T) {
	t.Parallel()
	m := mixing(t, 2)
	all := m.three()
	it := m.asks(m.pays(nil, all...), 0)
	st, n := m.Proposal(it)
	m.hand(n)
	m.Approve(st)
	m.Run("all signatures are made", func() bool { return m.Signed(st) })
	tx, err := bitcoin.Decode(it.Transaction, m.holding().Vault)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range m.Hosts {
		v, err := h.Desk.Show(st.ID())
		if err != nil || v.Hash != tx.ID().String() {
			t.Fatalf("%s calls it %s, not %s: %v", h.Own.Name, v.Hash, tx.ID(), err)
		}
		m.accepted(v.Raw, all)
	}
	for i, in := range tx.Inputs() { // two suites, or the test shows nothing
		t.Log(i, in.Spot)
	}
}

// A vault with a recovery: its addresses hold the leaf, change too; coins that were paid without it are spent beside; and it proves that it controls its address.
func TestBitcoinWithRecovery(t *testing.T) {
	t.Parallel()
	m := mixingWith(t, 2, &charter.Recovery{Key: [32]byte(secp256k1.Group{}.Generator().Bytes()[1:]), Blocks: 144})
	plain := m.coin(charter.SuiteBIP340, 1, 0, 25_000)
	plain.Plain = true
	plain.Outpoint.Index = 7
	all := append(m.three(), plain)
	raw := m.pays(nil, all...)
	it := m.asks(raw, 0)
	st, n := m.Proposal(it)
	m.hand(n)
	m.Approve(st)
	m.Run("all signatures are made", func() bool { return m.Signed(st) })
	v, err := m.Hosts[1].Desk.Show(st.ID())
	if err != nil {
		t.Fatal(err)
	}
	m.accepted(v.Raw, all)
	if bare, err := (bitcoin.Vault{Network: m.holding().Vault.Network, Key: m.holding().Vault.Key}).Address(all[1].Spot); err != nil || bare == m.addr.Address {
		t.Fatalf("its address has no leaf: %s, %v", bare, err)
	}
	proof := m.Intent(m.vault, m.addr, 1)
	ps, pn := m.Proposal(proof)
	m.hand(pn)
	m.Approve(ps)
	m.Run("the proof is signed", func() bool { return m.Signed(ps) })
	r, err := verify.Verify(sources(t, m.PublishAll()), verify.Options{Now: m.Now})
	if err != nil || len(r.Vaults) != 1 || len(r.Vaults[0].Protected) != 1 {
		t.Fatalf("who reads the logs does not learn what the chain enforces: %v", err)
	}
	if p := r.Vaults[0].Protected[0]; p.Chain != regtest || p.Of != "each coin of its Taproot addresses, and none of its other ones" || len(p.Key) != 64 || p.After != "144 blocks without a move" || p.Class != verify.Proved {
		t.Errorf("the chain is said to enforce %+v", p)
	}
	// A chain that has the transaction is held to the logs by its id, and asked about where its change went, which nobody gave out.
	k := slices.IndexFunc(r.Vaults[0].Addresses, func(a verify.Address) bool { return a.Change })
	if k < 0 || r.Vaults[0].Addresses[k].Path != "m/0/1/9" || len(r.Enquire(regtest).Addresses) != len(r.Vaults[0].Addresses) {
		t.Fatalf("%+v", r.Vaults[0].Addresses)
	}
	tx, err := bitcoin.Decode(raw, m.holding().Vault)
	if err != nil {
		t.Fatal(err)
	}
	s := verify.Spend{Time: m.Now.Add(-3 * time.Hour), Coins: tx.Spends()}
	if _, err := hex.Decode(s.ID[:], []byte(tx.ID().String())); err != nil {
		t.Fatal(err)
	}
	other := s
	other.ID[0] ^= 1
	r.Reconcile([]verify.Facts{{Chain: regtest, Endpoints: []string{"http://x"}, Time: m.Now, Addresses: []verify.AddressFacts{{Address: r.Vaults[0].Addresses[k].Address, Spends: []verify.Spend{s, other}}}}})
	if on := r.Vaults[0].Addresses[k].Chained; on == nil || on.Outgoing != 2 || len(on.Unlogged) != 1 || on.Unlogged[0] != hex.EncodeToString(other.ID[:]) {
		t.Errorf("%+v", on)
	}
}

// accepted runs a signed transaction through btcd's script engine.
func (m mixed) accepted(raw []byte, spent []purse.Coin) {
	m.T.Helper()
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		m.T.Fatal(err)
	}
	outs := txscript.NewMultiPrevOutFetcher(nil)
	for _, c := range spent {
		script, err := m.holding().Vault.Script(c.Spot)
		if err != nil {
			m.T.Fatal(err)
		}
		outs.AddPrevOut(wire.OutPoint{Hash: [32]byte(c.Outpoint.ID), Index: c.Outpoint.Index}, wire.NewTxOut(int64(c.Amount), script))
	}
	if len(tx.TxIn) != len(spent) {
		m.T.Fatalf("%d inputs, not %d", len(tx.TxIn), len(spent))
	}
	hashes := txscript.NewTxSigHashes(&tx, outs)
	for i, in := range tx.TxIn {
		out := outs.FetchPrevOutput(in.PreviousOutPoint)
		if out == nil {
			m.T.Fatalf("input %d spends another coin", i)
		}
		engine, err := txscript.NewEngine(out.PkScript, &tx, i, txscript.StandardVerifyFlags, nil, hashes, out.Value, outs)
		if err == nil {
			err = engine.Execute()
		}
		if err != nil {
			m.T.Fatalf("input %d: %v", i, err)
		}
	}
}

// What any node alone denies, whoever proposes it, and in which words.
func TestBitcoinDenied(t *testing.T) {
	t.Parallel()
	m := mixing(t, 2)
	all := m.three()
	good := m.pays(nil, all...)
	other := m.coin(charter.SuiteBIP340, 2, 0, 90_000)
	rich := m.holding(all...)
	rich.Vault.MaxRate = bitcoin.PerVByte(100)
	costly, _, err := rich.Pay(purse.Transfer{Payments: []purse.Payment{{Address: btcPayee, Amount: 1000}}, Change: bitcoin.Spot{Suite: charter.SuiteBIP340, Path: [3]uint32{0, 1, 9}}, Rate: bitcoin.PerVByte(21)})
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(*psbt.Packet)) []byte {
		p, err := psbt.Parse(bytes.Clone(good))
		if err != nil {
			t.Fatal(err)
		}
		change(p)
		return p.Bytes()
	}
	first := func(p *psbt.Packet, kind byte) int { // an input whose map has a field of a kind
		return slices.IndexFunc(p.Ins, func(m psbt.Map) bool { _, ok := m.Get(kind); return ok })
	}
	for name, c := range map[string]struct {
		raw    []byte
		rule   string
		reason string
	}{
		"an honest one":          {good, "", ""},
		"another account's coin": {m.pays(nil, append(m.three(), other)...), "decoded", "one account at a time"},
		"bytes behind":           {append(slices.Clone(good), 0), "decoded", "packet"},
		"a fee above the limit":  {costly, "decoded", "more than the limit of 20.000 sat/vB"},
		"a memo":                 {m.pays(func(t *purse.Transfer) { t.Memo = []byte("=:ETH.ETH:0xthief") }, all...), "policy", "message"},
		"a lie about an amount": {edit(func(p *psbt.Packet) {
			p.Ins[first(p, psbt.InPrevious)][0].Value[len(p.Ins[first(p, psbt.InPrevious)][0].Value)-20]++
		}), "decoded", "input"},
		"an amount that does not add": {edit(func(p *psbt.Packet) { p.Tx.Outs[0].Amount = 1 << 62 }), "decoded", ""},
		"a kind of signature of none": {edit(func(p *psbt.Packet) {
			i := first(p, psbt.InInternalKey)
			p.Ins[i] = append(p.Ins[i], psbt.Field{Key: []byte{psbt.InSighash}, Value: []byte{2, 0, 0, 0}})
			p.Ins[i].Sort()
		}), "decoded", "signature"},
		"change of a stranger": {edit(func(p *psbt.Packet) {
			i := slices.IndexFunc(p.Outs, func(m psbt.Map) bool { return len(m) > 0 })
			p.Tx.Outs[i].Script[5] ^= 1
		}), "decoded", "output"},
		"an output that is hidden": {edit(func(p *psbt.Packet) {
			p.Tx.Outs = append(p.Tx.Outs, psbt.Out{Amount: 600, Script: p.Tx.Outs[0].Script})
			p.Outs = append(p.Outs, psbt.Map{{Key: []byte{0xfc, 1}, Value: []byte{1}}})
		}), "decoded", "output"},
		"no previous transaction": {edit(func(p *psbt.Packet) { i := first(p, psbt.InPrevious); p.Ins[i] = p.Ins[i][1:] }), "decoded", "input"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(whole testing.TB) { m.T = whole }(m.T)
			m.T = t
			it := m.asks(good, 0)
			if tx, err := bitcoin.Decode(c.raw, m.holding().Vault); err == nil {
				it = m.asks(c.raw, 0)
				it.Facts = intent.Written(payload.Facts(&payload.Bitcoin{Transaction: tx}))
			}
			it.Transaction = c.raw
			m.ruled(it, c.rule, c.reason)
		})
	}
	second := m.asks(good, 1)
	m.ruled(second, "decoded", "names the key of its first coin")
	elsewhere := m.asks(good, 0)
	elsewhere.Chain = "bip122:000000000019d6689c085ae165831e93"
	m.ruled(elsewhere, "shown", "decoded is chain")
}

// Of live intents that spend one coin a node allows one. A signed one gives its coins to none but what says so and does the same for more, or nothing.
func TestCoinsAreGivenOnce(t *testing.T) {
	t.Parallel()
	m := mixing(t, 2)
	all := m.three()
	first := m.asks(m.pays(func(t *purse.Transfer) { t.Payments[0].Amount = 60_000 }, all...), 0)
	st, n := m.Proposal(first)
	m.hand(n)
	// Another that spends one of the coins, and another besides, waits while nothing is signed.
	rival := m.asks(m.pays(nil, all[1], m.coin(charter.SuiteBIP340, 1, 5, 50_000)), 0)
	rs, rn := m.Proposal(rival)
	m.hand(rn)
	m.Approve(st)
	m.Run("the first is signed", func() bool { return m.Signed(st) })
	m.Approve(rs)
	m.Run("the rival is denied", func() bool { return m.All(func(h *nodetest.Host) bool { return m.State(h, rs.ID()) == intent.Denied }) })
	old, err := bitcoin.Decode(first.Transaction, m.holding().Vault)
	if err != nil {
		t.Fatal(err)
	}
	dearer, err := old.Replacement(bitcoin.PerVByte(8), 0)
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := old.Cancellation(bitcoin.Spot{Suite: charter.SuiteBIP340, Path: [3]uint32{0, 1, 8}}, bitcoin.PerVByte(15), 0)
	if err != nil {
		t.Fatal(err)
	}
	m.ruled(m.asks(dearer, 0), "nonce", "is used by intent") // it does not say that it replaces
	elsewhere := m.asks(m.pays(func(t *purse.Transfer) { t.Payments[0].Amount = 50_000; t.Rate = bitcoin.PerVByte(18) }, all...), 0)
	elsewhere.Replaces = st.ID()
	m.ruled(elsewhere, "nonce", "is used by intent") // it pays something else
	for _, raw := range [][]byte{dearer, nothing} {
		it := m.asks(raw, 0)
		it.Replaces = st.ID()
		s, n := m.Proposal(it)
		m.hand(n)
		m.Approve(s)
		m.Run("it takes the place", func() bool { return m.Signed(s) })
	}
}

// ruled wants every node's own verdict: DENY by a rule, or, once all approved, ALLOW.
func (s setting) ruled(it intent.Intent, rule, reason string) {
	s.T.Helper()
	if rule == "" {
		s.allowed(it)
		return
	}
	st, proposal := s.Proposal(it)
	for _, h := range s.Hosts {
		if err := s.alone(h, proposal); err != nil {
			s.T.Fatal(err)
		}
		if _, d := s.own(h, st.ID()); d.Verdict != intent.Deny || d.Rule != rule || !strings.Contains(d.Reason, reason) {
			s.T.Fatalf("%s: %s by %s: %s; want %s: %s", h.Own.Name, d.Verdict, d.Rule, d.Reason, rule, reason)
		}
	}
}

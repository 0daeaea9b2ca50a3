package verify

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

const (
	mainnet = "bip122:000000000019d6689c085ae165831e93"
	testnet = "bip122:000000000933ea01ad0ee984209779ba"
)

// addressOn is a Taproot address of a network.
func addressOn(chain string, n byte) string {
	network, err := bitcoin.NetworkOf(chain)
	if err != nil {
		panic(err)
	}
	text, err := network.Address(append(bitcoin.Script{0x51, 32, n}, make([]byte, 31)...))
	if err != nil {
		panic(err)
	}
	return text
}

var (
	first1 = addressOn(mainnet, 1)
	first2 = addressOn(mainnet, 2)
)

// toldCoins is told, of a vault on Bitcoin: its logs go on for four hours, and its addresses were given out at t0.
func toldCoins() *Report {
	r := told()
	r.Time = t0.Add(5 * time.Hour)
	for name := range r.covered {
		r.covered[name] = t0.Add(4 * time.Hour)
	}
	r.Assets = []Asset{{"btc", mainnet, "", 8}}
	v := &r.Vaults[0]
	v.keyed = t0.Add(-time.Hour)
	v.Addresses = []Address{{Address: first1, Chain: mainnet, Given: t0, Proof: &Control{Expires: t0.Add(9 * time.Hour)}}, {Address: first2, Chain: mainnet, Given: t0.Add(time.Minute)}}
	for i := range r.signed {
		r.signed[i].nonce = 0
	}
	r.signed[0].chain, r.signed[0].from, r.signed[0].coins = mainnet, first1, []string{mainnet + "/aa:0", mainnet + "/bb:1"}
	return r
}

// coinFacts are what an honest endpoint says of it: transaction 1 takes coins of both addresses, 2 one of the second.
func coinFacts() Facts {
	at := t0.Add(time.Minute)
	return Facts{
		Chain: mainnet, Endpoints: []string{"https://btc.example"}, Height: 100, Block: "0a", Time: t0.Add(4 * time.Hour), At: 90, AtBlock: "9a", From: 7, Before: t0.Add(-BlockClock - time.Minute),
		Addresses: []AddressFacts{
			{Address: first1, Balances: []Balance{{Asset: "btc", Amount: "150000000"}}, Spends: []Spend{{ID: hash(1), Block: 10, Time: at, Coins: []string{mainnet + "/aa:0"}, Checked: true}}},
			{Address: first2, Balances: []Balance{{Asset: "btc", Amount: "5"}}, Spends: []Spend{
				{ID: hash(1), Block: 10, Time: at, Coins: []string{mainnet + "/bb:1"}, Checked: true}, {ID: hash(2), Block: 11, Time: at, Coins: []string{mainnet + "/cc:0"}, Checked: true},
			}},
		},
	}
}

func TestReconcileBitcoin(t *testing.T) {
	nine := strings.Repeat("0", 62)
	early, late := t0.Add(90*time.Minute), t0.Add(2*time.Hour) // the logs go on for less than two hours after the latter
	spend := func(f *Facts, s Spend) { f.Addresses[0].Spends = append(f.Addresses[0].Spends, s) }
	other := Spend{ID: hash(9), Block: 20, Time: early, Coins: []string{mainnet + "/dd:0"}, Checked: true}
	for name, c := range map[string]struct {
		change func(*Report, *Facts)
		failed string // part of the one failure; empty: none
		notes  string // part of what needs attention
	}{
		"all stand in the logs": {func(*Report, *Facts) {}, "", ""},
		"in no log": {func(_ *Report, f *Facts) { spend(f, other) }, "attested address " + first1 + ": unlogged: transaction 09" + nine + " (block 20 of 2026-11-27T13:30:00Z), which spends coins of " + first1 +
			", stands in no log; its signatures, verified here, are by the address's key", ""},
		"in no log, and not verified": {func(_ *Report, f *Facts) {
			s := other
			s.Checked = false
			spend(f, s)
		}, "its signatures were not verified here", ""},
		"newer than the logs": {func(_ *Report, f *Facts) {
			s := other
			s.Time = late
			spend(f, s)
		}, "", "is newer than the logs that are shown"},
		"newer than the logs of fewer than t": {func(r *Report, f *Facts) {
			spend(f, other)
			r.covered["acme"] = t0
		}, "stands in no log", ""},
		"newer than the logs, for more than a day": {func(r *Report, f *Facts) {
			s := other
			s.Time = late
			spend(f, s)
			r.Time, f.Time = late.Add(behind+BlockClock), late.Add(behind)
			r.Vaults[0].Addresses[0].Proof.Expires = r.Time.Add(time.Hour)
		}, "stands in no log", ""},
		"in the logs of too few": {func(r *Report, _ *Facts) {
			r.signed[1].tells = r.signed[1].tells[:1]
		}, "unlogged: transaction 02" + nine + " (block 11 of 2026-11-27T12:01:00Z), which spends coins of " + first2 + ", stands in the logs of 1 who hold the key (acme), not of 2", ""},
		"of another vault": {func(r *Report, _ *Facts) { r.signed[1].vault = "payroll" }, "stands in the logs as another vault's", ""},
		"of another chain": {func(r *Report, f *Facts) {
			r.signed[1].chain, r.signed[1].request = testnet, statement.ID{7}
		}, "is said to be of chain " + testnet + ": the logs show request 07000000 for that one under its id", ""},
		"by the recovery key": {func(_ *Report, f *Facts) {
			s := other
			s.Recovery = strings.Repeat("ab", 32)
			spend(f, s)
		}, "", "took 1 coin of " + first1 + " by the recovery key abab"},
		"another than the logs say that the chain took": {func(r *Report, _ *Facts) {
			x := r.signed[0]
			x.id, x.request, x.took, x.coins = hash(8), statement.ID{9}, []string{"acme", "bolt"}, []string{mainnet + "/cc:0"}
			r.signed = append(r.signed, x)
		}, "attested vault treasury: coin cc:0 is spent by transaction 02" + nine + ", and the logs of acme, bolt tell that request 09000000 took it for good", ""},
		"what the logs say that the chain took, by its other signature": {func(r *Report, _ *Facts) {
			x := r.signed[0]
			x.id, x.took = hash(8), []string{"acme", "bolt"}
			r.signed = append(r.signed, x)
		}, "", ""},
		"not read":                  {func(_ *Report, f *Facts) { f.Unread = "they differ" }, "chain " + mainnet + ": they differ", ""},
		"read from later on":        {func(_ *Report, f *Facts) { f.Before = t0 }, "", "was read from block 7 on, whose block before is of 2026-11-27T12:00:00Z, and an address was given out at 2026-11-27T12:00:00Z"},
		"read from the first block": {func(_ *Report, f *Facts) { f.From, f.Before = 0, time.Time{} }, "", ""},
		"read from later on than nobody knows": {func(r *Report, _ *Facts) {
			r.Vaults[0].Addresses[1].Named, r.Vaults[0].keyed = true, time.Time{}
		}, "", "no log says since when its addresses were given out"},
		"an endpoint that is behind": {func(r *Report, f *Facts) { f.Time = r.Time.Add(-stale - time.Second) }, "", "it may be behind"},
	} {
		r, f := toldCoins(), coinFacts()
		c.change(r, &f)
		r.byID = map[[32]byte][]int{}
		for i, s := range r.signed {
			r.byID[s.id] = append(r.byID[s.id], i)
		}
		r.Reconcile([]Facts{f})
		got := failedOf(r)
		if (got == "") != (c.failed == "") || !strings.Contains(got, c.failed) || strings.Contains(got, "\n") || r.Failed != (c.failed != "") {
			t.Errorf("%s: fails %q, want %q", name, got, c.failed)
		}
		if notes := strings.Join(r.Attention, "\n"); !strings.Contains(notes, c.notes) || (notes == "") != (c.notes == "") {
			t.Errorf("%s: attention %q, want %q", name, notes, c.notes)
		}
		positive := slices.ContainsFunc(r.Claims, func(c Claim) bool {
			return strings.HasPrefix(c.Claim, "each of 2 transactions that spend coins of its 2 addresses on "+mainnet+", from block ")
		})
		if want := c.failed == "" || strings.HasPrefix(c.failed, "attested vault"); positive != want {
			t.Errorf("%s: it is said that all stand in the logs: %v", name, positive)
		}
	}
}

// What is found of each address stands in the report, and what lies at proved ones is a reserve.
func TestReportOnBitcoin(t *testing.T) {
	r, f := toldCoins(), coinFacts()
	f.Addresses[0].Spends = append(f.Addresses[0].Spends, Spend{ID: hash(9), Block: 20, Time: t0.Add(time.Hour), Coins: []string{mainnet + "/dd:0"}, Recovery: "ab", Checked: true},
		Spend{ID: hash(7), Block: 21, Time: t0.Add(time.Hour), Coins: []string{mainnet + "/ee:0"}})
	r.Reconcile([]Facts{f})
	id := func(n byte) []string { h := hash(n); return []string{hex.EncodeToString(h[:])} }
	on := r.Vaults[0].Addresses[0].Chained
	if on == nil || on.Outgoing != 3 || !slices.Equal(on.Unlogged, id(7)) || !slices.Equal(on.Recovered, id(9)) || on.Balance != "150000000" || on.At != 90 || on.Height != 100 {
		t.Errorf("%+v", on)
	}
	if len(r.Reserves) != 1 || r.Reserves[0].Units != "1.5 btc" || r.Reserves[0].Addresses != 1 || len(r.OnChains) != 1 || r.OnChains[0].From != 7 {
		t.Errorf("%+v, %+v", r.Reserves, r.OnChains)
	}
	// A proof that speaks of a block which the chain does not have counts for nothing.
	for block, want := range map[string]int{"9a": 1, "9b": 0} {
		r, f := toldCoins(), coinFacts()
		r.Vaults[0].Addresses[0].Proof.Height, r.Vaults[0].Addresses[0].Proof.Block = 90, block
		if r.Reconcile([]Facts{f}); len(r.Reserves) != want || r.Failed != (want == 0) {
			t.Errorf("block %s: %s; %+v", block, failedOf(r), r.Reserves)
		}
	}
}

// What is signed and stands in no block is noted; what was signed before the blocks that were read is not.
func TestNotInBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Report, *Facts)
		want   bool
	}{
		"in no block":                        {func(*Report, *Facts) {}, true},
		"in a block, spending unknown coins": {func(_ *Report, f *Facts) { f.Mined = [][32]byte{hash(1)} }, false},
		"signed before":                      {func(r *Report, f *Facts) { f.Before = r.signed[0].first }, false},
		"of another network":                 {func(r *Report, _ *Facts) { r.signed[0].chain = testnet }, false},
	} {
		r, f := toldCoins(), coinFacts()
		f.Addresses[0].Spends, f.Addresses[1].Spends = nil, nil
		c.change(r, &f)
		r.Reconcile([]Facts{f})
		if got := slices.ContainsFunc(r.Claims, func(c Claim) bool {
			return strings.Contains(c.Claim, "1 transaction that was signed is not in it up to block 100")
		}); got != c.want || r.Failed {
			t.Errorf("%s: %v, %+v", name, got, r.Claims)
		}
	}
}

// A network is asked about the scripts of all of them, from when the first was given out.
func TestEnquireBitcoin(t *testing.T) {
	r := toldCoins()
	v := &r.Vaults[0]
	v.Addresses = append(v.Addresses, Address{Address: addressOn(testnet, 3), Chain: testnet, Given: t0.Add(-time.Minute)}, Address{Address: one, Chain: "eip155:1", Given: t0.Add(-time.Hour)},
		Address{Address: addressOn(testnet, 1), Chain: testnet, Given: t0})
	r.signed = append(r.signed, signedLeaf{id: hash(3), chain: "eip155:10"}, signedLeaf{id: hash(4), chain: testnet})
	q := r.Enquire(mainnet)
	want := []string{first1, first2, addressOn(mainnet, 3)}
	if slices.Sort(want); !slices.Equal(q.Addresses, want) || !q.Since.Equal(t0.Add(-time.Minute)) || len(q.Known) != 3 || len(q.Assets) != 1 {
		t.Errorf("%+v", q)
	}
	// A log that dates an address long before there was the vault does not have all blocks read.
	given := v.Addresses[0].Given
	v.Addresses[0].Given, r.born = time.Unix(0, 0), map[string]time.Time{"treasury": t0.Add(-10 * time.Minute)}
	if q := r.Enquire(mainnet); !q.Since.Equal(t0.Add(-10 * time.Minute).Add(-intent.Skew)) {
		t.Errorf("read since %s", q.Since)
	}
	v.Addresses[0].Given, r.born = given, nil
	r.Name("treasury", mainnet, addressOn(mainnet, 4))
	if q = r.Enquire(mainnet); len(q.Addresses) != 4 || !q.Since.Equal(v.keyed) {
		t.Errorf("with one that the reader named: %+v", q)
	}
	v.keyed = time.Time{}
	if q = r.Enquire(mainnet); !q.Since.IsZero() {
		t.Errorf("with one of which no log says since when: %+v", q)
	}
	// An address of another network is compared here too, and told there.
	f := coinFacts()
	r = toldCoins()
	r.Vaults[0].Addresses[0] = Address{Address: addressOn(testnet, 1), Chain: testnet, Given: t0}
	f.Addresses[0].Spends = append(f.Addresses[0].Spends, Spend{ID: hash(9), Block: 20, Time: t0.Add(time.Hour), Checked: true})
	r.Reconcile([]Facts{f})
	if got := failedOf(r); !strings.Contains(got, "unlogged: transaction 09") || strings.Contains(got, "\n") || r.Vaults[0].Addresses[0].Chained != nil {
		t.Errorf("%s; %+v", got, r.Vaults[0].Addresses[0])
	}
}

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ chain, text, want string }{
		{mainnet, strings.ToUpper(first1), first1}, {"eip155:1", one, one}, {mainnet, addressOn(testnet, 1), ""}, {mainnet, one, ""}, {"eip155:1", first1, ""}, {"bip122:00", first1, ""},
	} {
		if got, err := ParseAddress(c.chain, c.text); (err == nil) != (c.want != "") || err == nil && got != c.want {
			t.Errorf("%s %s: %q, %v", c.chain, c.text, got, err)
		}
	}
}

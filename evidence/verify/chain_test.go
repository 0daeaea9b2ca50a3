package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

var t0 = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

const (
	one = "0x0000000000000000000000000000000000000001"
	two = "0x0000000000000000000000000000000000000002"
)

func hash(n byte) [32]byte { return [32]byte{n} }

// told is a report of a circle of three whose logs go on to an hour after t0, and tell of transactions 1 (shown) and 2 (withheld).
func told() *Report {
	three := []string{"acme", "bolt", "cora"}
	r := &Report{
		Time: t0.Add(2 * time.Hour), grace: time.Hour, covered: map[string]time.Time{"acme": t0.Add(time.Hour), "bolt": t0.Add(time.Hour), "cora": t0.Add(time.Hour)}, byID: map[[32]byte][]int{},
		Assets: []Asset{{"eth", "eip155:1", "", 18}, {"usd", "eip155:1", "0xcc", 6}},
		Vaults: []Vault{{
			Name: "treasury", Threshold: 2, Committee: three, Signed: 2,
			Addresses: []Address{{Address: one, Chain: "eip155:1", Proof: &Control{Expires: t0.Add(3 * time.Hour)}}, {Address: two, Chain: "eip155:1", Proof: &Control{Expires: t0}}},
		}},
		signed: []signedLeaf{
			{id: hash(1), vault: "treasury", chain: "eip155:1", from: one, nonce: 0, holders: three, tells: three, need: 2, first: t0},
			{id: hash(2), vault: "treasury", holders: three, tells: three[:2], need: 2, first: t0},
		},
	}
	for i, s := range r.signed {
		r.byID[s.id] = append(r.byID[s.id], i)
	}
	return r
}

// facts are what an honest endpoint says of it.
func facts() Facts {
	return Facts{
		Chain: "eip155:1", Endpoints: []string{"https://rpc.example"}, Height: 100, Block: "0xaa", Time: t0.Add(time.Hour), At: 90, AtBlock: "0x9a",
		Addresses: []AddressFacts{
			{Address: one, Nonce: 1, Balances: []Balance{{Asset: "eth", Amount: "1500000000000000000"}, {Asset: "usd", Contract: "0xcc", Amount: "7"}}, Outgoing: []Outgoing{{Hash: hash(1), Block: 10}}},
			{Address: two, Nonce: 1, Balances: []Balance{{Asset: "eth", Amount: "5"}}, Outgoing: []Outgoing{{Hash: hash(2), Block: 11}}},
		},
	}
}

func failedOf(r *Report) string {
	var all []string
	for _, c := range r.Claims {
		if c.Failed != "" {
			all = append(all, string(c.Class)+" "+c.Subject+": "+c.Failed)
		}
	}
	return strings.Join(all, "\n")
}

func TestReconcile(t *testing.T) {
	early, late := t0.Add(time.Minute), t0.Add(58*time.Minute) // the logs go on for less than the skew after the latter
	for name, c := range map[string]struct {
		change func(*Report, *Facts)
		failed string // part of the one failure; empty: none
		notes  string // part of what needs attention
	}{
		"all stand in the logs": {func(*Report, *Facts) {}, "", ""},
		"in no log": {func(_ *Report, f *Facts) {
			f.Addresses[0].Outgoing = append(f.Addresses[0].Outgoing, Outgoing{hash(9), 1, 20, early, true})
		}, "attested address " + one + ": unlogged: transaction 0x09" + strings.Repeat("0", 62) + " (nonce 1, block 20 of 2026-11-27T12:01:00Z) of " + one + " stands in no log; its signature, recovered here, is by the address's key", ""},
		"in no log, and not recovered": {func(_ *Report, f *Facts) {
			f.Addresses[0].Outgoing = append(f.Addresses[0].Outgoing, Outgoing{hash(9), 1, 20, early, false})
		}, "its signature was not recovered here", ""},
		"newer than the logs": {func(_ *Report, f *Facts) {
			f.Addresses[0].Outgoing = append(f.Addresses[0].Outgoing, Outgoing{hash(9), 1, 20, late, true})
		}, "", "is newer than the logs that are shown"},
		"newer than the logs of fewer than t": {func(r *Report, f *Facts) {
			f.Addresses[0].Outgoing = append(f.Addresses[0].Outgoing, Outgoing{hash(9), 1, 20, early, true})
			r.covered["acme"] = t0
		}, "stands in no log", ""},
		"newer than the logs of t": {func(r *Report, f *Facts) {
			f.Addresses[0].Outgoing = append(f.Addresses[0].Outgoing, Outgoing{hash(9), 1, 20, early, true})
			r.covered["acme"], r.covered["bolt"] = t0, t0
		}, "", "is newer than the logs that are shown"},
		"in the logs of too few": {func(r *Report, _ *Facts) {
			r.signed[0].tells = r.signed[0].tells[:1]
			r.covered["bolt"], r.covered["cora"] = t0.Add(2*time.Hour), t0.Add(2*time.Hour)
		}, "stands in the logs of 1 who hold the key (acme), not of 2", ""},
		"in the logs of too few, which may tell yet": {func(r *Report, _ *Facts) {
			r.signed[0].tells = r.signed[0].tells[:1]
			r.covered["bolt"] = t0.Add(2 * time.Hour)
		}, "", "is newer than the logs that are shown"},
		"of another vault": {func(r *Report, _ *Facts) { r.signed[0].vault = "payroll" }, "stands in the logs as another vault's", ""},
		"with another nonce than the logs show": {func(_ *Report, f *Facts) {
			f.Addresses[0].Nonce, f.Addresses[0].Outgoing[0].Nonce = 6, 5
		}, "is said to be of nonce 5, and the logs show request", ""},
		"another than the logs say that the chain took": {func(r *Report, _ *Facts) {
			other := r.signed[0]
			other.id, other.request, other.took = hash(9), statement.ID{9}, []string{"acme", "bolt"}
			r.signed = append(r.signed, other)
		}, "its nonce 0 is used by transaction 0x01" + strings.Repeat("0", 62) + ", and the logs of acme, bolt tell that request 09000000 took it for good", ""},
		"what the logs say that the chain took, by its other signature": {func(r *Report, _ *Facts) {
			r.signed[0].took = []string{"acme", "bolt"}
			other := r.signed[0]
			other.id = hash(9)
			r.signed = append(r.signed, other)
		}, "", ""},
		"a gap": {func(_ *Report, f *Facts) {
			f.Addresses[0].Nonce, f.Addresses[0].Gaps = 2, []Gap{{Nonce: 1, Count: 1, Block: 30, Time: early, Why: "no state"}}
		}, "unlogged: nonce 1 of " + one + " was used in block 30 or before, and 1 of 1 by nothing that a log tells of", ""},
		"a gap that a shown transaction may be behind": {func(_ *Report, f *Facts) {
			f.Addresses[0].Outgoing, f.Addresses[0].Gaps = nil, []Gap{{Nonce: 0, Count: 1, Block: 30, Time: early, Why: "no state"}}
		}, "", "unchecked below block 30: no state"},
		"a gap that a withheld transaction may be behind": {func(_ *Report, f *Facts) {
			f.Addresses[1].Outgoing, f.Addresses[1].Gaps = nil, []Gap{{Nonce: 0, Count: 1, Block: 30, Time: early, Why: "no state"}}
		}, "", "unchecked below block 30: no state"},
		"more gaps than withheld transactions": {func(_ *Report, f *Facts) {
			f.Addresses[1].Outgoing, f.Addresses[1].Gaps = nil, []Gap{{Nonce: 0, Count: 3, Block: 30, Time: early, Why: "no state"}}
		}, "nonces 0 to 2 of " + two + " was used in block 30 or before, and 2 of 3 by nothing that a log tells of", ""},
		"a gap newer than the logs": {func(_ *Report, f *Facts) {
			f.Addresses[0].Nonce, f.Addresses[0].Gaps = 2, []Gap{{Nonce: 1, Count: 1, Block: 30, Time: late, Why: "no state"}}
		}, "", "unchecked below block 30"},
		"an authorisation": {func(_ *Report, f *Facts) {
			f.Addresses[0].Nonce, f.Addresses[0].Gaps = 2, []Gap{{Nonce: 1, Count: 1, Block: 30, Time: late, Why: "none", Alone: true}}
		}, "was used in block 30 of 2026-11-27T12:58:00Z by no transaction of its own: its key signed an authorisation (EIP-7702)", ""},
		"a delegate": {func(_ *Report, f *Facts) { f.Addresses[0].Delegate = two }, "its account runs the code of " + two, ""},
		"not read":   {func(_ *Report, f *Facts) { f.Unread = "they differ" }, "chain eip155:1: they differ", ""},
		"another chain": {func(_ *Report, f *Facts) {
			f.Chain = "eip155:10"
			f.Addresses[0].Outgoing[0].Hash = hash(9)
			f.Addresses[0].Outgoing[0].Time = early
		}, "unlogged", "chain eip155:1 was not asked"},
	} {
		r, f := told(), facts()
		c.change(r, &f)
		r.Reconcile([]Facts{f})
		got := failedOf(r)
		if (got == "") != (c.failed == "") || !strings.Contains(got, c.failed) || strings.Contains(got, "\n") || r.Failed != (c.failed != "") {
			t.Errorf("%s: fails %q, want %q", name, got, c.failed)
		}
		if notes := strings.Join(r.Attention, "\n"); !strings.Contains(notes, c.notes) || (notes == "") != (c.notes == "") {
			t.Errorf("%s: attention %q, want %q", name, notes, c.notes)
		}
		if positive := slices.ContainsFunc(r.Claims, func(c Claim) bool { return strings.HasPrefix(c.Claim, "each of ") }); positive != (c.failed == "") {
			t.Errorf("%s: it is said that all stand in the logs: %v", name, positive)
		}
	}
}

// What the charter says of a Safe is held to what the chain says: the chain's word makes it attested, another one fails, what waits is attention.
func TestReconcileSafes(t *testing.T) {
	const safe, key = "0x00000000000000000000000000000000000000D1", "0x00000000000000000000000000000000000000D3"
	for name, c := range map[string]struct {
		said   []SafeFacts
		class  Class
		failed string
		notes  string
	}{
		"as the charter has it": {[]SafeFacts{{Vault: "treasury", Safe: safe, Owner: two}}, Attested, "", ""},
		"of another owner":      {[]SafeFacts{{Vault: "treasury", Safe: safe, Owner: key}}, Declared, "its owner is " + key, ""},
		"withheld":              {[]SafeFacts{{Vault: "treasury", Safe: safe, Owner: key}}, Declared, "", "no address that is shown here"},
		"withheld, and shown":   {[]SafeFacts{{Vault: "treasury", Safe: safe, Owner: one}}, Attested, "", ""},
		"another one":           {[]SafeFacts{{Vault: "treasury", Safe: safe, Owner: one, Unlike: []string{"the cooldown is 1s, not 72h0m0s", "the Safe's threshold is 2, not 1"}}}, Declared, "the cooldown is 1s, not 72h0m0s; the Safe's threshold is 2", ""},
		"something waits":       {[]SafeFacts{{Vault: "treasury", Safe: safe, Owner: one, Waiting: 2}}, Attested, "", "2 calls wait in the queue of its Safe " + safe},
		"of another vault":      {[]SafeFacts{{Vault: "other", Safe: safe}}, Declared, "", ""},
		"not asked":             {nil, Declared, "", ""},
	} {
		r, f := told(), facts()
		r.safes = []Safe{{Vault: "treasury", Chain: "eip155:1", Safe: safe, Key: key}, {Vault: "treasury", Chain: "eip155:10", Safe: safe, Key: key}}
		r.Vaults[0].Protected = []Protection{{Chain: "eip155:1", Key: key, Class: Declared}, {Chain: "eip155:10", Key: key, Class: Declared}}
		r.Vaults[0].Published = !strings.HasPrefix(name, "withheld")
		if q := r.Enquire("eip155:1"); len(q.Safes) != 1 {
			t.Errorf("%s: the chain is asked %+v", name, q.Safes)
		}
		f.Safes = c.said
		r.Reconcile([]Facts{f})
		notes := strings.Join(r.Attention, "\n")
		if got := failedOf(r); (got == "") != (c.failed == "") || !strings.Contains(got, c.failed) || !strings.Contains(notes, c.notes) || r.Vaults[0].Protected[0].Class != c.class || r.Vaults[0].Protected[1].Class != Declared {
			t.Errorf("%s: %q, %q, %+v", name, got, notes, r.Vaults[0].Protected)
		}
	}
}

func TestReserves(t *testing.T) {
	r := told()
	r.Reconcile([]Facts{facts()})
	if len(r.Reserves) != 2 || r.Reserves[0].Units != "1.5 eth" || r.Reserves[0].Addresses != 1 || r.Reserves[0].Height != 90 || r.Reserves[1].Amount != "7" {
		t.Errorf("only what an unexpired proof is over counts: %+v", r.Reserves)
	}
	if i := slices.IndexFunc(r.Claims, func(c Claim) bool { return c.Subject == "reserves" }); i < 0 || r.Claims[i].Class != Attested || !strings.Contains(r.Claims[i].Basis, "the balances are the word of https://rpc.example for block 0x9a") {
		t.Errorf("%+v", r.Claims)
	}
	if on := r.Vaults[0].Addresses[1].Chained; on == nil || on.Balance != "5" || on.Outgoing != 1 || on.At != 90 {
		t.Errorf("%+v", on)
	}
}

// A proof that speaks of a block which the chain does not have counts for nothing.
func TestProofOfAnotherBlock(t *testing.T) {
	r := told()
	r.Vaults[0].Addresses[0].Proof.Height, r.Vaults[0].Addresses[0].Proof.Block = 90, "9b"
	r.Reconcile([]Facts{facts()})
	if got := failedOf(r); len(r.Reserves) != 0 || !strings.Contains(got, "it names 9b as block 90, and the chain has 9a") {
		t.Errorf("%s; %+v", got, r.Reserves)
	}
	r = told()
	r.Vaults[0].Addresses[0].Proof.Height, r.Vaults[0].Addresses[0].Proof.Block = 90, "9a"
	if r.Reconcile([]Facts{facts()}); len(r.Reserves) != 2 || r.Failed {
		t.Errorf("%s; %+v", failedOf(r), r.Reserves)
	}
}

func TestNeverMined(t *testing.T) {
	r, f := told(), facts()
	f.Addresses[0].Outgoing, f.Addresses[0].Nonce = nil, 0
	r.Reconcile([]Facts{f})
	if !slices.ContainsFunc(r.Claims, func(c Claim) bool { return strings.Contains(c.Claim, "1 transaction that was signed is not in it") }) || r.Failed {
		t.Errorf("%+v", r.Claims)
	}
}

func TestEnquire(t *testing.T) {
	r := told()
	r.signed = append(r.signed, signedLeaf{id: hash(3), chain: "eip155:10"})
	r.Vaults[0].Addresses = append(r.Vaults[0].Addresses, Address{Address: "bc1q", Chain: "bip122:0"})
	q := r.Enquire("eip155:1")
	if len(q.Addresses) != 2 || len(q.Known) != 2 || len(q.Assets) != 2 {
		t.Errorf("%+v", q)
	}
	if q := r.Enquire("eip155:10"); len(q.Addresses) != 2 || len(q.Known) != 2 || len(q.Assets) != 0 { // a key signs on every chain of its kind
		t.Errorf("%+v", q)
	}
	r.Reconcile(nil)
	if len(r.Attention) != 1 || !strings.HasPrefix(r.Attention[0], "no chain was asked") || r.Failed {
		t.Errorf("no chain at all: %q", r.Attention)
	}
	r.Reconcile([]Facts{facts()})
	if !slices.Contains(r.Attention, "chain bip122:0 was not asked: what left the vaults' addresses on it is not compared with the logs") {
		t.Errorf("%q", r.Attention)
	}
}

func TestExpectAndName(t *testing.T) {
	r := told()
	r.Operators = []Operator{{Name: "acme", Identity: "aa"}}
	r.Expect(map[string]string{"acme": "aa"})
	r.Name("treasury", "eip155:1", "0x3")
	r.Name("treasury", "eip155:1", one)
	if r.Failed || len(r.Vaults[0].Addresses) != 3 || !r.Vaults[0].Addresses[2].Named {
		t.Errorf("%+v", r)
	}
	r.Expect(map[string]string{"acme": "bb", "nobody": "aa"})
	r.Name("none", "eip155:1", "0x3")
	if got := failedOf(r); strings.Count(got, "\n") != 2 || !strings.Contains(got, "asked for is bb, the roster has aa") || !strings.Contains(got, "no operator of the circle has this name") || !strings.Contains(got, "no vault of this name") {
		t.Errorf("%s", got)
	}
}

// A log that is not shown any more, as of an operator that is lost for good, takes nothing from payments that it may have told of; one that is shown, and does not tell, does.
func TestLogsThatCannotTell(t *testing.T) {
	shown, renewed := &history{operator: "cora"}, &history{operator: "cora", generation: 1, renewed: t0.Add(time.Hour)}
	for name, c := range map[string]struct {
		cora  *history
		tells []string
		want  int
	}{
		"it is not shown":                    {nil, []string{"acme", "bolt"}, 1},
		"it began anew since":                {renewed, []string{"acme", "bolt"}, 1},
		"it is shown, and does not tell":     {shown, []string{"acme", "bolt"}, 0},
		"it began anew since, and tells":     {renewed, []string{"acme", "bolt", "cora"}, 0},
		"it is not shown, nor does one tell": {nil, []string{"acme"}, 1},
	} {
		v := &verifier{logs: []*history{{operator: "acme"}, {operator: "bolt"}}}
		if c.cora != nil {
			v.logs = append(v.logs, c.cora)
		}
		if got := v.cannotTell(signedLeaf{holders: []string{"acme", "bolt", "cora"}, tells: c.tells, first: t0}); got != c.want {
			t.Errorf("%s: %d cannot tell, want %d", name, got, c.want)
		}
	}
}

package verify

import (
	"crypto/ed25519"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

const (
	solanaMainnet = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	devnet        = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
	sunny         = "11111111111111111111111111111112"
	shady         = "11111111111111111111111111111113"
)

// toldOfSolana is told, of two addresses of Solana.
func toldOfSolana() *Report {
	r := told()
	r.born = map[string]time.Time{"treasury": t0.Add(-time.Hour)}
	r.Assets = []Asset{{"sol", solanaMainnet, "", 9}, {"usd", solanaMainnet, "mint", 6}}
	v := &r.Vaults[0]
	v.Addresses[0].Address, v.Addresses[0].Chain = sunny, solanaMainnet
	v.Addresses[1].Address, v.Addresses[1].Chain = shady, solanaMainnet
	r.signed[0].chain, r.signed[0].from = solanaMainnet, sunny
	r.signed[0].slot = solanaMainnet + " nonce account value"
	return r
}

// factsOfSolana are what an honest endpoint says of it.
func factsOfSolana() Facts {
	block := solana.Key{7}.String()
	return Facts{
		Chain: solanaMainnet, Endpoints: []string{"https://rpc.example"}, Height: 900, Block: block, Time: t0.Add(time.Hour), At: 900, AtBlock: block,
		Solana: []SolanaFacts{
			{Address: sunny, Balances: []Balance{{Asset: "sol", Amount: "1500000000"}, {Asset: "usd", Contract: "mint", Amount: "7"}}, Sent: []SolanaSent{{ID: "first", Message: hash(1), Slot: 10, Time: t0, Nonce: "account value"}}},
			{Address: shady, Balances: []Balance{{Asset: "sol", Amount: "5"}}, Sent: []SolanaSent{{ID: "second", Message: hash(2), Slot: 11, Time: t0}}},
		},
	}
}

func TestReconcileSolana(t *testing.T) {
	early, late := t0.Add(time.Minute), t0.Add(58*time.Minute) // the logs go on for less than the skew after the latter
	sends := func(f *Facts, s SolanaSent) { f.Solana[0].Sent = append(f.Solana[0].Sent, s) }
	gap := func(f *Facts, g SolanaGap) { f.Solana[0].Gaps = append(f.Solana[0].Gaps, g) }
	took := func(r *Report, f *Facts) {
		r.signed[0].took, r.signed[0].tookAt = []string{"acme", "bolt"}, t0.Add(time.Minute)
		f.Solana[0].Sent = nil
	}
	for name, c := range map[string]struct {
		change func(*Report, *Facts)
		failed string // part of the one failure; empty: none
		notes  string // part of what needs attention
	}{
		"all stand in the logs": {func(*Report, *Facts) {}, "", ""},
		"in no log": {func(_ *Report, f *Facts) { sends(f, SolanaSent{ID: "theft", Message: hash(9), Slot: 20, Time: early}) },
			"attested address " + sunny + ": unlogged: transaction theft (slot 20 of 2026-11-27T12:01:00Z) of " + sunny + " stands in no log; its signature, verified here, is by the address's key", ""},
		"in no log, and it failed": {func(_ *Report, f *Facts) {
			sends(f, SolanaSent{ID: "theft", Message: hash(9), Slot: 20, Time: early, Failed: true})
		}, "unlogged: transaction theft (slot 20 of 2026-11-27T12:01:00Z, where it failed)", ""},
		"newer than the logs": {func(_ *Report, f *Facts) { sends(f, SolanaSent{ID: "new", Message: hash(9), Slot: 20, Time: late}) }, "", "transaction new (slot 20 of 2026-11-27T12:58:00Z) of " + sunny + " is newer than the logs"},
		"newer than the logs, a day later": {func(r *Report, f *Facts) {
			sends(f, SolanaSent{ID: "new", Message: hash(9), Slot: 20, Time: late})
			r.Time = late.Add(behind)
		}, "stands in no log", ""},
		"of a time that nobody knows": {func(_ *Report, f *Facts) { sends(f, SolanaSent{ID: "theft", Message: hash(9), Slot: 20}) }, "unlogged: transaction theft (slot 20)", ""},
		"in the logs of too few": {func(r *Report, _ *Facts) {
			r.signed[0].tells = r.signed[0].tells[:1]
			r.covered["bolt"], r.covered["cora"] = t0.Add(2*time.Hour), t0.Add(2*time.Hour)
		}, "stands in the logs of 1 who hold the key (acme), not of 2", ""},
		"of another vault":                       {func(r *Report, _ *Facts) { r.signed[0].vault = "payroll" }, "stands in the logs as another vault's", ""},
		"of another address than the logs show":  {func(r *Report, _ *Facts) { r.signed[0].from = shady }, "stands in the logs as request 00000000, of " + shady + " on " + solanaMainnet, ""},
		"of another network than the logs show":  {func(r *Report, _ *Facts) { r.signed[0].chain = devnet }, "stands in the logs as request 00000000, of " + sunny + " on " + devnet, ""},
		"taken, the logs say, and not shown":     {took, "request 00000000, of which the logs of acme, bolt tell that the chain took it for good, is not among what it signed there", ""},
		"taken, and perhaps in what is not kept": {func(r *Report, f *Facts) { took(r, f); gap(f, SolanaGap{Slot: 50, Time: early, Why: "gone"}) }, "", "unchecked below slot 50 of 2026-11-27T12:01:00Z: gone"},
		"taken, and later than what is not kept": {func(r *Report, f *Facts) {
			took(r, f)
			gap(f, SolanaGap{Slot: 50, Time: t0.Add(-10 * time.Minute), Why: "gone"})
		}, "is not among what it signed there", "unchecked below slot 50"},
		"taken, and shown": {func(r *Report, f *Facts) {
			sent := f.Solana[0].Sent
			took(r, f)
			f.Solana[0].Sent = sent
		}, "", ""},
		"taken, and later than what is not shown": {func(r *Report, f *Facts) {
			took(r, f)
			gap(f, SolanaGap{ID: "veiled", Slot: 50, Time: t0.Add(-10 * time.Minute), Why: "not shown"})
		}, "is not among what it signed there", "unchecked transaction veiled"},
		"taken, and perhaps what is not shown":       {func(r *Report, f *Facts) { took(r, f); gap(f, SolanaGap{ID: "veiled", Slot: 50, Why: "not shown"}) }, "", "unchecked transaction veiled of slot 50: not shown"},
		"taken, and the endpoint is behind":          {func(r *Report, f *Facts) { took(r, f); f.Time = t0 }, "", "is not in " + solanaMainnet + " up to slot 900 of 2026-11-27T12:00:00Z: ask again"},
		"taken, and the endpoint is behind for long": {func(r *Report, f *Facts) { took(r, f); f.Time, r.Time = t0, t0.Add(behind+time.Hour) }, "is not among what it signed there", ""},
		"another with its nonce": {func(r *Report, f *Facts) {
			took(r, f)
			gap(f, SolanaGap{Slot: 50, Why: "gone"})
			r.signed = append(r.signed, signedLeaf{id: hash(3), vault: "treasury", chain: solanaMainnet, from: sunny, holders: r.signed[0].holders, tells: r.signed[0].tells, need: 2, first: t0, request: statement.ID{3}})
			r.byID[hash(3)] = []int{2}
			sends(f, SolanaSent{ID: "other", Message: hash(3), Slot: 60, Time: early, Nonce: "account value"})
		}, "its durable nonce is used up by transaction other, and the logs of acme, bolt tell that the chain took request 00000000 for good", "unchecked below slot 50"},
		"history that is not kept":                   {func(_ *Report, f *Facts) { gap(f, SolanaGap{Slot: 50, Time: early, Why: "gone"}) }, "", "what " + sunny + " signed on " + solanaMainnet + " could not all be compared with the logs: unchecked below slot 50"},
		"history that is not kept, of no known time": {func(_ *Report, f *Facts) { gap(f, SolanaGap{Slot: 50, Why: "gone"}) }, "", "unchecked below slot 50: gone"},
		"history of before the vault":                {func(_ *Report, f *Facts) { gap(f, SolanaGap{Slot: 50, Time: t0.Add(-2 * time.Hour), Why: "gone"}) }, "", ""},
		"history of before a vault of unknown age": {func(r *Report, f *Facts) {
			r.born = nil
			gap(f, SolanaGap{Slot: 50, Time: t0.Add(-2 * time.Hour), Why: "gone"})
		}, "", "unchecked below slot 50"},
		"one that is listed and not shown": {func(_ *Report, f *Facts) {
			gap(f, SolanaGap{ID: "veiled", Slot: 50, Time: early, Why: "the endpoint lists it"})
		}, "", "unchecked transaction veiled of slot 50 of 2026-11-27T12:01:00Z: the endpoint lists it"},
		"not read": {func(_ *Report, f *Facts) { f.Unread = "they differ" }, "chain " + solanaMainnet + ": they differ", ""},
		"another network": {func(_ *Report, f *Facts) {
			f.Chain, f.Solana[0].Sent[0].Message = devnet, hash(9) // the keys are the same there
			f.Solana[1].Sent = nil
		}, "unlogged", "chain " + solanaMainnet + " was not asked"},
	} {
		r, f := toldOfSolana(), factsOfSolana()
		c.change(r, &f)
		r.Reconcile([]Facts{f})
		got := failedOf(r)
		if (got == "") != (c.failed == "") || !strings.Contains(got, c.failed) || strings.Contains(got, "\n") || r.Failed != (c.failed != "") {
			t.Errorf("%s: fails %q, want %q", name, got, c.failed)
		}
		if notes := strings.Join(r.Attention, "\n"); !strings.Contains(notes, c.notes) || (notes == "") != (c.notes == "") || strings.Contains(notes, "\n") {
			t.Errorf("%s: attention %q, want %q", name, notes, c.notes)
		}
		if positive := slices.ContainsFunc(r.Claims, func(c Claim) bool { return strings.HasPrefix(c.Claim, "each of ") }); positive != (c.failed == "") {
			t.Errorf("%s: it is said that all stand in the logs: %v", name, positive)
		}
	}
}

// What is told of an address, and of what was signed and did not land.
func TestToldOfSolana(t *testing.T) {
	r, f := toldOfSolana(), factsOfSolana()
	f.Solana[0].Sent = []SolanaSent{{ID: "theft", Message: hash(9), Slot: 20, Time: t0}}
	f.Solana[0].Gaps = []SolanaGap{{Slot: 5, Why: "gone"}}
	r.Reconcile([]Facts{f})
	on := r.Vaults[0].Addresses[0].Chained
	if on == nil || on.Balance != "1500000000" || on.Outgoing != 1 || !slices.Equal(on.Unlogged, []string{"theft"}) || !slices.Equal(on.Unchecked, []string{"below slot 5: gone"}) || on.Height != 900 {
		t.Errorf("%+v", on)
	}
	if !slices.ContainsFunc(r.Claims, func(c Claim) bool {
		return strings.Contains(c.Claim, "1 transaction that was signed is not in it up to slot 900")
	}) {
		t.Errorf("%+v", r.Claims)
	}
	r, f = toldOfSolana(), factsOfSolana()
	for range mostGaps + 3 {
		f.Solana[0].Gaps = append(f.Solana[0].Gaps, SolanaGap{ID: "veiled", Slot: 5, Why: "not shown"})
	}
	if r.Reconcile([]Facts{f}); len(r.Attention) != mostGaps+1 || !strings.HasSuffix(r.Attention[mostGaps], "unchecked 3 more transactions that name it and that could not be read") {
		t.Errorf("of many that are not shown: %q", r.Attention)
	}
	r, f = toldOfSolana(), factsOfSolana()
	f.Solana[0].Sent = append(f.Solana[0].Sent, SolanaSent{ID: "new", Message: hash(9), Slot: 20, Time: t0.Add(time.Hour)})
	if r.Reconcile([]Facts{f}); !r.Newer() {
		t.Error("nothing is newer")
	}
}

func TestReservesOfSolana(t *testing.T) {
	f := factsOfSolana()
	for name, c := range map[string]struct {
		height uint64
		block  string
		failed string
	}{
		"of no block": {0, "", ""}, "of another slot": {899, hex.EncodeToString(make([]byte, 32)), ""}, "of the slot": {900, "07" + strings.Repeat("00", 31), ""},
		"of the slot with another hash": {900, "08" + strings.Repeat("00", 31), "and the chain has " + f.AtBlock}, "of no hash": {900, "07", "it names the hash 07 (hex) as that of slot 900"},
	} {
		r := toldOfSolana()
		r.Vaults[0].Addresses[0].Proof.Height, r.Vaults[0].Addresses[0].Proof.Block = c.height, c.block
		r.Reconcile([]Facts{f})
		if got := failedOf(r); (got == "") != (c.failed == "") || !strings.Contains(got, c.failed) {
			t.Errorf("%s: %q", name, got)
		}
		if c.failed != "" {
			if len(r.Reserves) != 0 {
				t.Errorf("%s: %+v", name, r.Reserves)
			}
			continue
		}
		if len(r.Reserves) != 2 || r.Reserves[0].Units != "1.5 sol" || r.Reserves[0].Addresses != 1 || r.Reserves[1].Amount != "7" || r.Reserves[0].Height != 900 {
			t.Errorf("%s: only what an unexpired proof is over counts: %+v", name, r.Reserves)
		}
		if !slices.ContainsFunc(r.Claims, func(c Claim) bool {
			return strings.Contains(c.Claim, "1.5 sol on "+solanaMainnet+" after slot 900") && c.Class == Attested
		}) {
			t.Errorf("%s: %+v", name, r.Claims)
		}
	}
}

// A key of Solana's kind is asked about on each of its networks, and on no other chain.
func TestEnquireSolana(t *testing.T) {
	r := toldOfSolana()
	r.Vaults[0].Addresses = append(r.Vaults[0].Addresses, Address{Address: one, Chain: "eip155:1"})
	for chain, want := range map[string]int{solanaMainnet: 2, devnet: 2, "eip155:1": 1} {
		if q := r.Enquire(chain); len(q.Addresses) != want {
			t.Errorf("%s is asked about %v", chain, q.Addresses)
		}
	}
	if q := r.Enquire(solanaMainnet); len(q.Assets) != 2 {
		t.Errorf("%+v", q)
	}
}

// What a request uses up is named as who reads the chain names it, and the first log that told of its end says when it ended.
func TestNoteSolana(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	own := solana.Key(private.Public().(ed25519.PublicKey))
	account, value, to := solana.Key{31: 9}, solana.Key{31: 8}, solana.Key(ed25519.NewKeyFromSeed(append(make([]byte, 31), 1)).Public().(ed25519.PublicKey))
	read := solana.Readings{Accounts: map[solana.Key]solana.Account{own: {}, to: {}, account: {Kind: solana.NonceAccount, Authority: own, Nonce: value}}}
	raw, err := solana.Build(solana.Request{Payer: own, Nonce: &account, Authority: own, Blockhash: value, Steps: []solana.Step{solana.Transfer(own, to, 5)}}, payload.SolanaContext(solanaMainnet, own, [3]uint32{}, read))
	if err != nil {
		t.Fatal(err)
	}
	q := &request{intent: intent.Intent{Chain: solanaMainnet, Address: own.String(), Transaction: raw}, taken: map[string]int{"acme": 1, "bolt": 0}}
	tx, err := payload.DecodeSolana(q.intent)
	if err != nil {
		t.Fatal(err)
	}
	landed, err := solana.ReadLanded(slices.Concat([]byte{1}, ed25519.Sign(private, tx.Message()), tx.Message()))
	if err != nil {
		t.Fatal(err)
	}
	v := &verifier{logs: []*history{{operator: "acme", times: []time.Time{t0, t0.Add(time.Hour)}}, {operator: "bolt", times: []time.Time{t0.Add(2 * time.Hour)}}}}
	s := signedLeaf{chain: solanaMainnet}
	if s.noteSolana(v, q); s.slot != solanaMainnet+" nonce "+landed.Slot || landed.Slot == "" || !s.tookAt.Equal(t0.Add(time.Hour)) {
		t.Errorf("%+v; the chain has %q", s, landed.Slot)
	}
	s = signedLeaf{chain: "eip155:1"}
	if s.noteSolana(v, q); s.slot != "" || !s.tookAt.IsZero() {
		t.Errorf("of another chain: %+v", s)
	}
}

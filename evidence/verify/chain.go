package verify

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// An Enquiry is what a chain is to be asked, as far as the logs say (spec/verify 5).
type Enquiry struct {
	Chain     string // CAIP-2: "eip155:1"
	Addresses []string
	Known     [][32]byte // ids of the transactions that logs tell of as signed, of this chain or of one that is not shown
	Assets    []Asset    // of the chain, that the charter lists
	Safes     []Safe     // with a delay, likewise
	Since     time.Time  // of Bitcoin: when the first of the addresses was given out; zero: no log says
}

// Facts are what endpoints of one chain say, for Reconcile. Several that are asked must say the same.
type Facts struct {
	Chain     string
	Endpoints []string // whose word it is: scheme and host
	Unread    string   // why the chain could not be read, or in what its endpoints differ; then nothing else counts
	Height    uint64   // the block up to which all was asked
	Block     string   // its hash
	Time      time.Time
	At        uint64 // the block of the balances
	AtBlock   string
	Addresses []AddressFacts
	Safes     []SafeFacts // in the enquiry's order
	Solana    []SolanaFacts

	From   uint64     // of Bitcoin: the first block that was read; coins that were paid before are not known
	Before time.Time  // of the block before it; zero: there is none
	Mined  [][32]byte // of Bitcoin: those that the enquiry knows and that stand in a block
}

// AddressFacts are about one address.
type AddressFacts struct {
	Address  string
	Nonce    uint64 // how many nonces its key used
	Delegate string // to whose code it was delegated (EIP-7702); empty: it has no code
	Balances []Balance
	Outgoing []Outgoing // its transactions that were found, by nonce
	Gaps     []Gap      // nonces that are used, and by what was not found
	Spends   []Spend    // of Bitcoin: what took coins of it, in the chain's order
}

// A Balance is how much of an asset an address holds.
type Balance struct {
	Asset    string `json:"asset"` // as the charter names it; the chain's name for its own coin if it lists none
	Contract string `json:"contract,omitempty"`
	Amount   string `json:"amount"` // smallest unit, decimal
	Units    string `json:"units"`  // people's, if the charter says how many decimals it has
}

// An Outgoing transaction stands in a block.
type Outgoing struct {
	Hash    [32]byte
	Nonce   uint64
	Block   uint64
	Time    time.Time // of the block; zero: it was not asked for
	Checked bool      // that the address signed it was recovered from the signature, whatever the endpoint says
}

// A Gap is nonces of which it is not known what used them.
type Gap struct {
	Nonce uint64 // the first
	Count uint64
	Block uint64    // they were used in this block or before
	Time  time.Time // of the block
	Why   string
	Alone bool // that block used it and has no transaction of the address: an authorisation (EIP-7702)
}

// A signedLeaf is a transaction that logs tell of as signed.
type signedLeaf struct {
	id      [32]byte
	vault   string
	request statement.ID
	chain   string // of what is shown; empty: it is withheld
	from    string
	nonce   uint64
	holders []string // who held the key
	tells   []string // those of them whose logs tell of it
	need    int
	first   time.Time // when a log first told
	took    []string  // whose logs tell that the chain took it for good
	coins   []string  // of Bitcoin: that it spends
	tookAt  time.Time // when a log first told that; of Solana alone
	slot    string    // what the chain gives once; of Solana alone
}

// noteSigned keeps what logs tell of a request's signatures, for comparison with chains.
func (v *verifier) noteSigned(q *request) {
	rec := v.recordOf(q)
	if rec == nil || q.doc != nil && q.intent.Purpose != intent.PurposeTransaction {
		return
	}
	for id := range q.signed {
		s := signedLeaf{id: id, vault: q.vault.Name, request: q.id, holders: v.committee(rec), need: rec.Threshold}
		var times []time.Time
		for _, h := range v.logs {
			if i, told := h.has(tlog.KindSigned, id); told && slices.Contains(s.holders, h.operator) {
				s.tells, times = append(s.tells, h.operator), append(times, h.times[i])
			}
		}
		s.first = middle(times)
		s.need = max(1, s.need-v.cannotTell(s))
		if q.doc != nil {
			s.chain, s.from, s.took = q.intent.Chain, q.intent.Address, slices.Sorted(maps.Keys(q.taken))
			if tx, err := evm.ParseUnsigned(q.intent.Transaction); err == nil {
				s.nonce = tx.Facts().Nonce
			}
			s.coins = q.coins()
			s.noteSolana(v, q)
		}
		v.report.signed = append(v.report.signed, s)
	}
}

// cannotTell counts those who held the key and whose logs are not there, or began anew since, and so tell nothing: that is said of each log.
func (v *verifier) cannotTell(s signedLeaf) (n int) {
	for _, name := range s.holders {
		if h := v.log(name); !slices.Contains(s.tells, name) && (h == nil || h.excused(s.first)) {
			n++
		}
	}
	return n
}

// covers says up to when each operator's log is shown: until then it holds all that it ever told.
func (v *verifier) covers() map[string]time.Time {
	out := map[string]time.Time{}
	for _, h := range v.logs {
		out[h.operator] = h.reach
	}
	return out
}

func evmChain(name string) bool { return strings.HasPrefix(name, "eip155:") }

// kin says whether one key has one address on both chains.
func kin(a, b string) bool {
	return a == b || evmChain(a) && evmChain(b) || solanaChain(a) && solanaChain(b)
}

// Enquire says what is to be asked of a chain. A key signs on every chain of its kind, whatever chain its address was given out for.
func (r *Report) Enquire(chain string) Enquiry {
	if bitcoinChain(chain) {
		return r.enquireBitcoin(chain)
	}
	q := Enquiry{Chain: chain}
	for _, v := range r.Vaults {
		for _, a := range v.Addresses {
			if kin(a.Chain, chain) && !slices.Contains(q.Addresses, a.Address) {
				q.Addresses = append(q.Addresses, a.Address)
			}
		}
	}
	for _, s := range r.signed {
		if s.chain == chain || s.chain == "" {
			q.Known = append(q.Known, s.id)
		}
	}
	for _, a := range r.Assets {
		if a.Chain == chain {
			q.Assets = append(q.Assets, a)
		}
	}
	slices.Sort(q.Addresses)
	q.Safes = r.safesOn(chain)
	return q
}

// Newer says whether a chain shows transactions that are newer than the logs: they may stand in what is published next.
func (r *Report) Newer() bool {
	for _, v := range r.Vaults {
		for _, a := range v.Addresses {
			if a.Chained != nil && len(a.Chained.Newer) > 0 {
				return true
			}
		}
	}
	return false
}

// Read says whether every source could be read whole.
func (r *Report) Read() bool { return r.unread == 0 }

// Chains are those for which addresses were given out.
func (r *Report) Chains() (out []string) {
	for _, v := range r.Vaults {
		for _, a := range v.Addresses {
			if !slices.Contains(out, a.Chain) {
				out = append(out, a.Chain)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Reconcile holds the logs to what chains say: each outgoing transaction of each address stands in the logs of t who held the key. It is called
// once, with the facts of all chains that were asked; the others are said to be unchecked.
func (r *Report) Reconcile(all []Facts) {
	for _, f := range all {
		r.reconcileChain(f)
	}
	if len(all) == 0 {
		r.attend("no chain was asked: what left the vaults' addresses is not compared with the logs")
		r.finish()
		return
	}
	for _, chain := range r.Chains() {
		if !slices.ContainsFunc(all, func(f Facts) bool { return f.Chain == chain }) {
			r.attend(fmt.Sprintf("chain %s was not asked: what left the vaults' addresses on it is not compared with the logs", chain))
		}
	}
	for _, v := range r.Vaults {
		if len(v.Addresses) == 0 && v.Signed > 0 {
			r.attend(fmt.Sprintf("the addresses of vault %s are not shown: nothing of it can be compared with a chain", v.Name))
		}
	}
	r.finish()
}

func (r *Report) reconcileChain(f Facts) {
	c := ChainReport{Chain: f.Chain, Endpoints: f.Endpoints, Height: f.Height, Block: f.Block, Time: f.Time, At: f.At, AtBlock: f.AtBlock, From: f.From, Unread: f.Unread}
	r.OnChains = append(r.OnChains, c)
	if f.Unread != "" {
		r.failAs(Attested, "chain "+f.Chain, "it was read, and compared with the logs", "", f.Unread)
		return
	}
	if bitcoinChain(f.Chain) {
		r.reconcileBitcoin(f)
		return
	}
	if solanaChain(f.Chain) {
		r.reconcileSolana(f)
		return
	}
	reserves, found := map[string]*Reserve{}, map[[32]byte]bool{}
	for _, a := range f.Addresses {
		for _, o := range a.Outgoing {
			found[o.Hash] = true
		}
	}
	for i := range r.Vaults {
		v := &r.Vaults[i]
		x := comparison{r: r, f: f, vault: v, found: found}
		var seen []string // an address stands once for each chain it was given out for
		for n := range v.Addresses {
			a := &v.Addresses[n]
			k := slices.IndexFunc(f.Addresses, func(o AddressFacts) bool { return o.Address == a.Address })
			if k < 0 || !evmChain(a.Chain) {
				continue
			}
			var on OnChain
			if own := a.Chain == f.Chain; own || !slices.Contains(seen, a.Address) {
				on = x.compare(f.Addresses[k], !slices.Contains(seen, a.Address))
				seen = append(seen, a.Address)
				if own {
					a.Chained = &on
					r.reserve(reserves, f, *a, f.Addresses[k].Balances)
				}
			}
		}
		x.conclude()
	}
	r.reconcileSafes(f)
	r.neverMined(f, found)
	r.concludeReserves(f, reserves)
}

// A comparison is of one vault on one chain.
type comparison struct {
	r         *Report
	f         Facts
	vault     *Vault
	found     map[[32]byte]bool // transactions that the chain shows, of any address
	addresses int
	outgoing  int
	wrong     bool
}

func (x *comparison) basis() string {
	word := " says"
	if len(x.f.Endpoints) > 1 {
		word = " say alike"
	}
	return fmt.Sprintf("as %s%s of the chain up to block %d (%s); the logs are proved, the chain is the word of who was asked", strings.Join(x.f.Endpoints, " and "), word, x.f.Height, x.f.Block)
}

// compare holds one address's transactions to the logs. What is wrong is told once.
func (x *comparison) compare(a AddressFacts, tell bool) OnChain {
	out := OnChain{Height: x.f.Height, Block: x.f.Block, At: x.f.At, Nonce: a.Nonce, Balances: a.Balances, Outgoing: len(a.Outgoing)}
	if len(a.Balances) > 0 {
		out.Balance = a.Balances[0].Amount
	}
	if tell {
		x.addresses++
		x.outgoing += len(a.Outgoing)
	}
	subject, claim := "address "+a.Address, fmt.Sprintf("each transaction that it sent on %s stands in the logs", x.f.Chain)
	fail := func(reason string) {
		x.wrong = true
		if tell {
			x.r.failAs(Attested, subject, claim, x.basis(), reason)
		}
	}
	for _, o := range a.Outgoing {
		name := fmt.Sprintf("transaction 0x%x (nonce %d, block %d%s)", o.Hash, o.Nonce, o.Block, atTime(o.Time))
		switch reason, newer := x.judge(a.Address, o); {
		case newer:
			out.Newer = append(out.Newer, "0x"+hex.EncodeToString(o.Hash[:]))
			if tell {
				x.r.attend(fmt.Sprintf("%s of %s is newer than the logs that are shown: verify again once they go on", name, a.Address))
			}
		case reason != "":
			out.Unlogged = append(out.Unlogged, "0x"+hex.EncodeToString(o.Hash[:]))
			fail("unlogged: " + name + " of " + a.Address + " " + reason + signedBy(o))
		}
	}
	for _, o := range a.Outgoing {
		if s := x.instead(a.Address, o); s != nil {
			fail(fmt.Sprintf("its nonce %d is used by transaction 0x%x, and the logs of %s tell that request %s took it for good, so that caps count that alone", o.Nonce, o.Hash, strings.Join(s.took, ", "), s.request.Short()))
		}
	}
	x.gaps(a, &out, fail, tell)
	if a.Delegate != "" {
		fail(fmt.Sprintf("its account runs the code of %s (EIP-7702), which no request can ask for: its key signed an authorisation that stands in no log", a.Delegate))
	}
	return out
}

func signedBy(o Outgoing) string {
	if o.Checked {
		return "; its signature, recovered here, is by the address's key"
	}
	return "; its signature was not recovered here"
}

func atTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " of " + statement.FormatTime(t)
}

// judge says in how few logs a transaction stands, or that the logs may still come to tell of it.
func (x *comparison) judge(address string, o Outgoing) (reason string, newer bool) {
	s := x.r.leaf(x.vault.Name, o.Hash)
	if s == nil {
		after := 0
		for _, name := range x.vault.Committee {
			if !o.Time.IsZero() && x.r.covered[name].Before(o.Time.Add(intent.Skew)) {
				after++
			}
		}
		if len(x.r.byID[o.Hash]) > 0 {
			return "stands in the logs as another vault's", false
		}
		return "stands in no log", after >= x.vault.Threshold && x.r.soon(o.Time)
	}
	if s.chain != "" && (s.from != address || s.nonce != o.Nonce) {
		return fmt.Sprintf("is said to be of nonce %d, and the logs show request %s, of %s with nonce %d, under its hash", o.Nonce, s.request.Short(), s.from, s.nonce), false
	}
	if len(s.tells) >= s.need {
		return "", false
	}
	after := 0
	for _, name := range s.holders {
		if !slices.Contains(s.tells, name) && !x.r.covered[name].After(s.first.Add(x.r.grace)) {
			after++
		}
	}
	return fmt.Sprintf("stands in the logs of %d who hold the key (%s), not of %d", len(s.tells), strings.Join(s.tells, ", "), s.need), len(s.tells)+after >= s.need && x.r.soon(later(o.Time, s.first))
}

// instead finds what logs tell that the chain took for good where it took another. A request that was signed twice has two ids, and either is it.
func (x *comparison) instead(address string, o Outgoing) *signedLeaf {
	i := slices.IndexFunc(x.r.signed, func(s signedLeaf) bool {
		return len(s.took) > 0 && s.vault == x.vault.Name && s.chain == x.f.Chain && s.from == address && s.nonce == o.Nonce &&
			!slices.ContainsFunc(x.r.byID[o.Hash], func(i int) bool { return x.r.signed[i].vault == s.vault && x.r.signed[i].request == s.request })
	})
	if i < 0 {
		return nil
	}
	return &x.r.signed[i]
}

// behind is how far logs that are shown may lie behind the chain. After it, who shows no newer ones shows that they do not have the transaction: those
// who took something would else stop their logs just before.
const behind = 24 * time.Hour

// soon says whether a transaction is so new that logs may come to tell of it.
func (r *Report) soon(at time.Time) bool { return r.Time.Sub(at) < behind }

func (r *Report) leaf(vault string, id [32]byte) *signedLeaf {
	for _, i := range r.byID[id] {
		if r.signed[i].vault == vault {
			return &r.signed[i]
		}
	}
	return nil
}

// gaps judges nonces whose transactions were not found. One that logs tell of and the chain does not show by its hash may be behind each: no more
// gaps than such ones can be explained.
func (x *comparison) gaps(a AddressFacts, out *OnChain, fail func(string), tell bool) {
	var hidden uint64 // withheld ones that the chain did not show
	shown := map[uint64]bool{}
	for _, s := range x.r.signed {
		switch {
		case s.vault != x.vault.Name || x.found[s.id]:
		case s.chain == "":
			hidden++
		case s.chain == x.f.Chain && s.from == a.Address:
			shown[s.nonce] = true
		}
	}
	for _, g := range a.Gaps {
		open := g.Count
		for n := range shown {
			if n >= g.Nonce && n-g.Nonce < g.Count && open > 0 {
				open--
			}
		}
		may := min(open, hidden)
		hidden -= may
		what := fmt.Sprintf("nonce %d", g.Nonce)
		if g.Count > 1 {
			what = fmt.Sprintf("nonces %d to %d", g.Nonce, g.Nonce+g.Count-1)
		}
		after := 0
		for _, name := range x.vault.Committee {
			if !g.Time.IsZero() && x.r.covered[name].Before(g.Time.Add(intent.Skew)) {
				after++
			}
		}
		switch {
		case open-may == 0 || after >= x.vault.Threshold && x.r.soon(g.Time) && !g.Alone:
			out.Unchecked = append(out.Unchecked, fmt.Sprintf("%s, used in block %d or before: %s", what, g.Block, g.Why))
			if tell {
				x.r.attend(fmt.Sprintf("what used %s of %s on %s could not be compared with the logs: unchecked below block %d: %s", what, a.Address, x.f.Chain, g.Block, g.Why))
			}
		case g.Alone:
			fail(fmt.Sprintf("unlogged: %s of %s was used in block %d%s by no transaction of its own: its key signed an authorisation (EIP-7702), or the endpoint hides a transaction", what, a.Address, g.Block, atTime(g.Time)))
		default:
			fail(fmt.Sprintf("unlogged: %s of %s was used in block %d or before, and %d of %d by nothing that a log tells of; which transaction it was is not known: %s", what, a.Address, g.Block, open-may, g.Count, g.Why))
		}
	}
}

func (x *comparison) conclude() {
	if x.addresses == 0 || x.wrong {
		return
	}
	x.r.claim(Attested, "vault "+x.vault.Name, fmt.Sprintf("each of %s of its %s on %s stands in the logs of those who signed", count(x.outgoing, "outgoing transaction", "outgoing transactions"), count(x.addresses, "address", "addresses"), x.f.Chain), x.basis())
}

// neverMined notes transactions that logs tell of and the chain does not have.
func (r *Report) neverMined(f Facts, found map[[32]byte]bool) {
	n := 0
	for _, s := range r.signed {
		if s.chain == f.Chain && !found[s.id] {
			n++
		}
	}
	if n > 0 {
		r.claim(Attested, "chain "+f.Chain, fmt.Sprintf("%s not in it up to block %d", count(n, "transaction that was signed is", "transactions that were signed are"), f.Height),
			"never broadcast, still waiting, or another with its nonce took its place; what the logs tell of counts as spent until then")
	}
}

// reserve adds what lies at an address, if its key signed a statement that has not expired.
func (r *Report) reserve(sums map[string]*Reserve, f Facts, a Address, balances []Balance) {
	if a.Proof == nil || !r.Time.Before(a.Proof.Expires) {
		return
	}
	if p := a.Proof; p.Height > 0 && p.Height == f.At && p.Block != strings.TrimPrefix(f.AtBlock, "0x") {
		r.failAs(Attested, "address "+a.Address, "its proof of control speaks of a block of the chain", "as "+strings.Join(f.Endpoints, " and ")+" says",
			fmt.Sprintf("it names %s as block %d, and the chain has %s", p.Block, p.Height, strings.TrimPrefix(f.AtBlock, "0x")))
		return
	}
	for _, b := range balances {
		amount, ok := new(big.Int).SetString(b.Amount, 10)
		if !ok {
			continue
		}
		key := b.Asset + " " + b.Contract
		s := sums[key]
		if s == nil {
			s = &Reserve{Chain: f.Chain, Asset: b.Asset, Contract: b.Contract, Height: f.At, Block: f.AtBlock, sum: new(big.Int)}
			sums[key] = s
		}
		s.sum.Add(s.sum, amount)
		s.Addresses++
	}
}

func (r *Report) concludeReserves(f Facts, sums map[string]*Reserve) {
	for _, s := range sums {
		s.Amount = s.sum.String()
		s.Units = r.units(f.Chain, s.Contract, s.sum)
		r.Reserves = append(r.Reserves, *s)
	}
	slices.SortFunc(r.Reserves, func(a, b Reserve) int {
		return cmp.Or(strings.Compare(a.Chain, b.Chain), strings.Compare(a.Asset, b.Asset), strings.Compare(a.Contract, b.Contract))
	})
	for _, s := range r.Reserves {
		if s.Chain != f.Chain {
			continue
		}
		r.claim(Attested, "reserves", fmt.Sprintf("%s on %s after %s %d, at %s whose keys signed for it", cmp.Or(s.Units, s.Amount+" of "+s.Asset), s.Chain, heightWord(s.Chain), s.Height, count(s.Addresses, "address", "addresses")),
			fmt.Sprintf("the balances are the word of %s for block %s; that the vault's holders control the addresses is proved by statements that have not expired", strings.Join(f.Endpoints, " and "), s.Block))
	}
}

// units writes an amount in people's units, if the charter lists the asset.
func (r *Report) units(chain, contract string, amount *big.Int) string {
	for _, a := range r.Assets {
		if a.Chain == chain && a.Contract == contract {
			return evm.FormatUnits(amount, uint8(a.Decimals)) + " " + a.Name
		}
	}
	return ""
}

func assets(d charter.Document) (out []Asset) {
	for _, a := range d.Assets {
		out = append(out, Asset{a.Name, a.Chain, a.Contract, a.Decimals})
	}
	return out
}

package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
)

// SolanaFacts are about one address of a network of Solana (spec/verify 5a). Endpoints there list the transactions that name an address; what it signed is found among them.
type SolanaFacts struct {
	Address  string
	Balances []Balance
	Sent     []SolanaSent // what its key signed, by slot
	Gaps     []SolanaGap
}

// A SolanaSent is a transaction that is final and that the address signed, as payer of the fee or otherwise: its signature was verified by whoever asked, whatever the endpoint says.
type SolanaSent struct {
	ID      string   // its first signature, base58, by which the chain names it
	Message [32]byte // SHA-256 of what was signed, by which logs file it
	Slot    uint64
	Time    time.Time // of the block; zero: the endpoint does not know
	Failed  bool      // it did nothing but pay its fee and advance its nonce
	Nonce   string    // "NONCE-ACCOUNT VALUE" of its durable nonce; empty: it has none
}

// A SolanaGap is what of the chain could not be read.
type SolanaGap struct {
	ID   string    // of a transaction that names the address and that the endpoint does not show; empty: it is all below Slot
	Slot uint64    // in which it stands, or below which nothing is known
	Time time.Time // of that block; zero: not known
	Why  string
}

func (g SolanaGap) words() string {
	if g.ID != "" {
		return fmt.Sprintf("transaction %s of slot %d%s: %s", g.ID, g.Slot, atTime(g.Time), g.Why)
	}
	return fmt.Sprintf("below slot %d%s: %s", g.Slot, atTime(g.Time), g.Why)
}

// mayHide says whether a transaction that was signed at some time may be what was not read: it landed in that block or before, and was signed by then.
func (g SolanaGap) mayHide(signed time.Time) bool {
	return g.Time.IsZero() || signed.Before(g.Time.Add(intent.Skew))
}

const solanaKind = "solana:"

func solanaChain(name string) bool { return strings.HasPrefix(name, solanaKind) }

// heightWord is what a chain counts in.
func heightWord(chain string) string {
	if solanaChain(chain) {
		return "slot"
	}
	return "block"
}

// noteSolana keeps what a request uses up on Solana, and when logs first told that the chain took it for good.
func (s *signedLeaf) noteSolana(v *verifier, q *request) {
	if !solanaChain(s.chain) {
		return
	}
	if tx, err := payload.DecodeSolana(q.intent); err == nil {
		s.slot = payload.Slot(tx)
	}
	for name, n := range q.taken {
		if at := v.log(name).times[n]; s.tookAt.IsZero() || at.Before(s.tookAt) {
			s.tookAt = at
		}
	}
}

// born says of each vault when its statement was made: no key of its signed anything before.
func (v *verifier) born() map[string]time.Time {
	out := map[string]time.Time{}
	for _, x := range v.vaults {
		out[x.Name] = x.Created
	}
	return out
}

// reconcileSolana is reconcileChain for a network of Solana.
func (r *Report) reconcileSolana(f Facts) {
	reserves, found := map[string]*Reserve{}, map[[32]byte]bool{}
	for _, a := range f.Solana {
		for _, o := range a.Sent {
			found[o.Message] = true
		}
	}
	for i := range r.Vaults {
		v := &r.Vaults[i]
		x := solanaComparison{comparison{r: r, f: f, vault: v, found: found}}
		var seen []string // an address stands once for each network it was given out for
		for n := range v.Addresses {
			a := &v.Addresses[n]
			k := slices.IndexFunc(f.Solana, func(o SolanaFacts) bool { return o.Address == a.Address })
			own, first := a.Chain == f.Chain, !slices.Contains(seen, a.Address)
			if k < 0 || !solanaChain(a.Chain) {
				continue
			}
			on := x.compare(f.Solana[k], first)
			seen = append(seen, a.Address)
			if own {
				a.Chained = &on
				r.reserveSolana(reserves, f, *a, f.Solana[k].Balances)
			}
		}
		x.conclude()
	}
	r.neverLanded(f, found)
	r.concludeReserves(f, reserves)
}

// A solanaComparison is of one vault on one network.
type solanaComparison struct{ comparison }

// compare holds what one address signed to the logs. What is wrong is told once.
func (x *solanaComparison) compare(a SolanaFacts, tell bool) OnChain {
	out := OnChain{Height: x.f.Height, Block: x.f.Block, At: x.f.At, Balances: a.Balances, Outgoing: len(a.Sent)}
	if len(a.Balances) > 0 {
		out.Balance = a.Balances[0].Amount
	}
	if tell {
		x.addresses++
		x.outgoing += len(a.Sent)
	}
	subject, claim := "address "+a.Address, fmt.Sprintf("each transaction that it signed on %s stands in the logs", x.f.Chain)
	fail := func(reason string) {
		x.wrong = true
		if tell {
			x.r.failAs(Attested, subject, claim, x.basis(), reason)
		}
	}
	for _, o := range a.Sent {
		name := fmt.Sprintf("transaction %s (slot %d%s%s)", o.ID, o.Slot, atTime(o.Time), failedThere(o))
		switch reason, newer := x.judge(a.Address, o); {
		case newer:
			out.Newer = append(out.Newer, o.ID)
			if tell {
				x.r.attend(fmt.Sprintf("%s of %s is newer than the logs that are shown: verify again once they go on", name, a.Address))
			}
		case reason != "":
			out.Unlogged = append(out.Unlogged, o.ID)
			fail("unlogged: " + name + " of " + a.Address + " " + reason + "; its signature, verified here, is by the address's key")
		}
		if s := x.instead(a.Address, o); s != nil {
			fail(fmt.Sprintf("its durable nonce is used up by transaction %s, and the logs of %s tell that the chain took request %s for good, which has the same", o.ID, strings.Join(s.took, ", "), s.request.Short()))
		}
	}
	x.missing(a, &out, fail, tell)
	x.gaps(a, &out, tell)
	return out
}

// mostGaps is how many transactions that are not shown are named: anybody may name an address in more.
const mostGaps = 8

// gaps tells what was not read.
func (x *solanaComparison) gaps(a SolanaFacts, out *OnChain, tell bool) {
	more := func(what string) {
		out.Unchecked = append(out.Unchecked, what)
		if tell {
			x.r.attend(fmt.Sprintf("what %s signed on %s could not all be compared with the logs: unchecked %s", a.Address, x.f.Chain, what))
		}
	}
	named := 0
	for _, g := range a.Gaps {
		switch {
		case g.ID == "" && !g.Time.IsZero() && g.Time.Before(x.r.born[x.vault.Name].Add(-intent.Skew)): // the vault was not there yet
		case g.ID == "":
			more(g.words())
		default:
			if named++; named <= mostGaps {
				more(g.words())
			}
		}
	}
	if named > mostGaps {
		more(fmt.Sprintf("%d more transactions that name it and that could not be read", named-mostGaps))
	}
}

func failedThere(o SolanaSent) string {
	if o.Failed {
		return ", where it failed"
	}
	return ""
}

// judge says in how few logs a transaction stands, or that the logs may still come to tell of it.
func (x *solanaComparison) judge(address string, o SolanaSent) (reason string, newer bool) {
	if s := x.r.leaf(x.vault.Name, o.Message); s != nil && s.chain != "" && (s.from != address || s.chain != x.f.Chain) {
		return fmt.Sprintf("stands in the logs as request %s, of %s on %s", s.request.Short(), s.from, s.chain), false // no message names its network
	}
	return x.comparison.judge(address, Outgoing{Hash: o.Message, Time: o.Time})
}

// instead finds what logs tell that the chain took for good where it took another with the same durable nonce.
func (x *solanaComparison) instead(address string, o SolanaSent) *signedLeaf {
	i := slices.IndexFunc(x.r.signed, func(s signedLeaf) bool {
		return o.Nonce != "" && len(s.took) > 0 && s.vault == x.vault.Name && s.from == address && s.id != o.Message && s.slot == x.f.Chain+" nonce "+o.Nonce
	})
	if i < 0 {
		return nil
	}
	return &x.r.signed[i]
}

// missing judges what logs tell that the chain took for good, and that it does not show: the endpoint hides it, or those logs made it up, so that something else did not count.
func (x *solanaComparison) missing(a SolanaFacts, out *OnChain, fail func(string), tell bool) {
	for _, s := range x.r.signed {
		if len(s.took) == 0 || s.vault != x.vault.Name || s.chain != x.f.Chain || s.from != a.Address || x.found[s.id] {
			continue
		}
		what := fmt.Sprintf("request %s, of which the logs of %s tell that the chain took it for good,", s.request.Short(), strings.Join(s.took, ", "))
		switch {
		case slices.ContainsFunc(a.Gaps, func(g SolanaGap) bool { return g.mayHide(s.first) }): // told below
		case x.r.soon(s.tookAt) && x.f.Time.Before(s.tookAt.Add(intent.Skew)):
			out.Unchecked = append(out.Unchecked, what+" is not in it yet")
			if tell {
				x.r.attend(fmt.Sprintf("%s is not in %s up to slot %d%s: ask again once the endpoint has gone on", what, x.f.Chain, x.f.Height, atTime(x.f.Time)))
			}
		default:
			fail(what + " is not among what it signed there: the endpoint hides it, or those logs do not tell the truth")
		}
	}
}

func (x *solanaComparison) basis() string {
	word := " says"
	if len(x.f.Endpoints) > 1 {
		word = " say alike"
	}
	return fmt.Sprintf("as %s%s of what is final up to slot %d (block %s); the logs and the signatures are proved, that there is no more is the word of who was asked", strings.Join(x.f.Endpoints, " and "), word, x.f.Height, x.f.Block)
}

func (x *solanaComparison) conclude() {
	if x.addresses == 0 || x.wrong {
		return
	}
	x.r.claim(Attested, "vault "+x.vault.Name, fmt.Sprintf("each of %s of its %s on %s stands in the logs of those who signed", count(x.outgoing, "outgoing transaction", "outgoing transactions"), count(x.addresses, "address", "addresses"), x.f.Chain), x.basis())
}

// neverLanded notes transactions that logs tell of and the chain does not have.
func (r *Report) neverLanded(f Facts, found map[[32]byte]bool) {
	n := 0
	for _, s := range r.signed {
		if s.chain == f.Chain && !found[s.id] && len(s.took) == 0 {
			n++
		}
	}
	if n > 0 {
		r.claim(Attested, "chain "+f.Chain, fmt.Sprintf("%s not in it up to slot %d", count(n, "transaction that was signed is", "transactions that were signed are"), f.Height),
			"never sent, still waiting, or its blockhash or nonce is over; what the logs tell of counts as spent until then")
	}
}

// reserveSolana is reserve, by hashes as Solana writes them.
func (r *Report) reserveSolana(sums map[string]*Reserve, f Facts, a Address, balances []Balance) {
	if p := a.Proof; p != nil && p.Height > 0 {
		proof := *p
		if b, err := hex.DecodeString(p.Block); p.Height == f.At && r.Time.Before(p.Expires) && (err != nil || len(b) != 32 || solana.Key(b).String() != f.AtBlock) {
			r.failAs(Attested, "address "+a.Address, "its proof of control speaks of a block of the chain", "as "+strings.Join(f.Endpoints, " and ")+" says",
				fmt.Sprintf("it names the hash %s (hex) as that of slot %d, and the chain has %s", p.Block, p.Height, f.AtBlock))
			return
		}
		proof.Height = 0
		a.Proof = &proof
	}
	r.reserve(sums, f, a, balances)
}

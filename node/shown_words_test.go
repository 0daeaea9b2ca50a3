package node_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/nodetest"
)

// alike are addresses that a hurried eye takes for the payee's.
func alike() map[string]evm.Address {
	edit := func(at int, by byte) evm.Address { a := payee; a[at] ^= by; return a }
	middle := thief
	copy(middle[:2], payee[:2])
	copy(middle[18:], payee[18:])
	more := thief
	copy(more[:4], payee[:4])
	copy(more[16:], payee[16:])
	mirrored := payee
	slices.Reverse(mirrored[:])
	return map[string]evm.Address{
		"another": thief, "first and last four digits": middle, "first and last eight digits": more, "last digit": edit(19, 1), "first digit": edit(0, 0x10),
		"one digit in the middle": edit(10, 1), "two digits swapped": edit(9, payee[9]>>4^payee[9]&15|(payee[9]>>4^payee[9]&15)<<4), "all digits mirrored": mirrored,
		"the ninth byte": edit(8, 0xff), "a precompile": {19: 1}, "the dead address": addressOf("0x000000000000000000000000000000000000dead"),
	}
}

func lyingRecipients() (out []lie) {
	for name, a := range alike() {
		out = append(out,
			otherBytes("recipient", "coins to "+name, coins(), func(r *evm.Request) { r.To = a }),
			otherBytes("recipient", "dollars to "+name, dollars(), func(r *evm.Request) { r.To = a }),
			otherWords("recipient", "says "+name, coins(), "destination", a.String()))
	}
	text := payee.String()
	wrong := []byte(text) // one letter in the other case: its EIP-55 checksum fails
	wrong[4] ^= 0x20
	for name, said := range map[string]string{
		"in lower case": strings.ToLower(text), "in upper case": "0x" + strings.ToUpper(text[2:]), "with a false checksum": string(wrong), "without 0x": text[2:], "with 0X": "0X" + text[2:],
		"cut": text[:41], "shortened": text[:6] + "…" + text[38:], "shortened with points": text[:6] + "..." + text[38:], "by a name": "treasury.eth", "with a name": text + " (Treasury)", "with another": text + " " + thief.String(),
		"after another": thief.String() + " " + text, "in CAIP-10": "eip155:1:" + text, "as a URI": "ethereum:" + text, "in quotes": `"` + text + `"`, "padded": "0x" + strings.Repeat("0", 24) + text[2:],
	} {
		out = append(out, otherWords("recipient", "said "+name, dollars(), "destination", said))
	}
	return append(out,
		otherBytes("recipient", "coins to the token", dollars(), func(r *evm.Request) { r.Token, r.To = nil, usdc }),
		otherBytes("recipient", "recipient and token swapped", dollars(), func(r *evm.Request) { token := r.To; r.To, r.Token = usdc, &token }).by(intent.RuleDecoded))
}

func lyingAmounts() (out []lie) {
	two := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	for name, n := range map[string]*big.Int{
		"one more": big.NewInt(1e6 + 1), "one less": big.NewInt(1e6 - 1), "ten times": big.NewInt(1e7), "a thousand times": big.NewInt(1e9), "in 18 decimals": big.NewInt(1e18), "nothing": new(big.Int),
		"digits moved": big.NewInt(1_000_010), "a billion dollars": big.NewInt(1e15), "negative in 64 bits": two(63), "zero in 64 bits": new(big.Int).Add(two(64), big.NewInt(1e6)),
		"zero in 128 bits": new(big.Int).Add(two(128), big.NewInt(1e6)), "negative in 256 bits": two(255), "all": new(big.Int).Sub(two(256), big.NewInt(1)),
	} {
		out = append(out, otherBytes("amount", "dollars, "+name, dollars(), func(r *evm.Request) { r.Amount = n }))
	}
	for name, n := range map[string]*big.Int{"one wei more": big.NewInt(1e18 + 1), "ten times": new(big.Int).Mul(big.NewInt(1e18), big.NewInt(10)), "nothing": new(big.Int), "one wei": big.NewInt(1), "all of 2^200": two(200)} {
		out = append(out, otherBytes("amount", "coins, "+name, coins(), func(r *evm.Request) { r.Amount = n }))
	}
	for name, said := range map[string]string{
		"a dollar with its name": "1000000 USDC", "in whole units": "1", "with a point": "1.0", "with commas": "1,000,000", "with spaces": "1 000 000", "with underscores": "1_000_000", "as a power": "1e6", "in hex": "0xf4240",
		"with a zero before": "01000000", "with a sign": "+1000000", "ending in the letter O": "100000O", "beginning with the letter l": "l000000", "in full-width digits": "１００００００", "in Arabic digits": "١٠٠٠٠٠٠", "in Bengali digits": "১০০০০০০",
		"in words": "one million", "with an apology": "1000000 (was 9000000)", "less": "999999", "much less": "1000",
	} {
		out = append(out, otherWords("amount", "said "+name, dollars(), "amount", said))
	}
	return out
}

func lyingAssets() (out []lie) {
	coin := coins()
	for name, token := range map[string]evm.Address{"another token": thief, "a token of one digit's difference": func() evm.Address { a := usdc; a[19] ^= 1; return a }(), "a token at the sender's side": addressOf("0xdAC17F958D2ee523a2206206994597C13D831ec7")} {
		out = append(out, otherBytes("asset", name, dollars(), func(r *evm.Request) { r.Token = &token }).by(intent.RuleDecoded))
	}
	for name, said := range map[string]string{
		"its symbol": "USDC", "coins": "eip155:1/slip44:60", "the token of another chain": "eip155:137/erc20:" + strings.ToLower(usdc.String()), "a checksum address": "eip155:1/erc20:" + usdc.String(),
		"an address alone": strings.ToLower(usdc.String()), "its symbol too": "eip155:1/erc20:" + strings.ToLower(usdc.String()) + " (USDC)", "another token": "eip155:1/erc20:" + strings.ToLower(thief.String()),
		"an ERC-721": "eip155:1/erc721:" + strings.ToLower(usdc.String()), "no chain": "erc20:" + strings.ToLower(usdc.String()),
	} {
		out = append(out, otherWords("asset", "said to be "+name, dollars(), "asset", said))
	}
	return append(out,
		otherWords("asset", "coins said to be dollars", coin, "asset", "eip155:1/erc20:"+strings.ToLower(usdc.String())),
		otherWords("asset", "coins said to be a token's transfer", coin, "operation", "erc20-transfer"),
		otherWords("asset", "a token said to be coins", dollars(), "operation", "native-transfer"),
		otherBytes("asset", "coins for dollars", dollars(), func(r *evm.Request) { r.Token = nil }),
		otherBytes("asset", "dollars for coins", coin, func(r *evm.Request) { token := usdc; r.Token = &token }))
}

func lyingNonces() (out []lie) {
	for _, n := range []uint64{1, 2, 7, 127, 128, 255, 256, 1 << 16, 1 << 32, math.MaxInt64, math.MaxUint64 - 1} {
		out = append(out, otherBytes("nonce", fmt.Sprintf("%d for 0", n), coins(), func(r *evm.Request) { r.Nonce = n }))
	}
	for _, said := range []string{"1", "00", "0x0", "-0", "next", "latest", "0 (replaces none)", "18446744073709551616"} {
		out = append(out, otherWords("nonce", "said to be "+said, coins(), "nonce", said))
	}
	return out
}

func lyingFees() (out []lie) {
	for name, change := range map[string]func(*evm.Request){
		"one gas more": func(r *evm.Request) { r.Gas++ }, "a block's gas": func(r *evm.Request) { r.Gas = 36_000_000 }, "less gas than it takes": func(r *evm.Request) { r.Gas = 20999 },
		"2^63 gas":     func(r *evm.Request) { r.Gas = 1 << 63 },
		"one wei more": func(r *evm.Request) { r.FeeCap = big.NewInt(30e9 + 1) }, "a thousand times the price": func(r *evm.Request) { r.FeeCap = big.NewInt(30e12) },
		"the coins go to the miner": func(r *evm.Request) { r.FeeCap, r.TipCap = big.NewInt(1e15), big.NewInt(1e15) }, "the tip is the whole fee": func(r *evm.Request) { r.TipCap = big.NewInt(30e9) },
		"a tip of one wei more": func(r *evm.Request) { r.TipCap = big.NewInt(1e9 + 1) }, "no tip": func(r *evm.Request) { r.TipCap = nil }, "a price too low for ever": func(r *evm.Request) { r.FeeCap, r.TipCap = big.NewInt(1), big.NewInt(1) },
		"gas for price": func(r *evm.Request) { r.Gas, r.FeeCap, r.TipCap = 30e9, big.NewInt(21000), big.NewInt(1) },
	} {
		out = append(out, otherBytes("gas", name, coins(), change))
	}
	for _, w := range []struct{ fact, value string }{
		{"gas-limit", "20999"}, {"gas-limit", "21,000"}, {"fee-cap", "30"}, {"fee-cap", "30 gwei"}, {"fee-cap", "3e10"}, {"tip-cap", "0"}, {"tip-cap", "1 gwei"}, {"max-fee", "0"}, {"max-fee", "0.00063"}, {"max-fee", "630000000000001"},
		{"max-cost", "1000000000000000000"}, {"max-cost", "0"}, {"max-cost", "1.00063 coins"},
	} {
		out = append(out, otherWords("gas", "says "+w.fact+" "+w.value, coins(), w.fact, w.value))
	}
	return out
}

func lyingTypes() (out []lie) {
	legacy := func(r evm.Request) evm.Request { r.Kind, r.TipCap = evm.Legacy, nil; return r }
	for _, said := range []string{"legacy", "EIP1559", "2", "0x02", "eip-1559", "eip7702", "eip2930"} {
		out = append(out, otherWords("type", "eip1559 said to be "+said, coins(), "transaction-type", said))
	}
	for _, said := range []string{"eip1559", "Legacy", "0"} {
		out = append(out, otherWords("type", "legacy said to be "+said, legacy(coins()), "transaction-type", said))
	}
	return append(out,
		otherBytes("type", "legacy for eip1559", coins(), func(r *evm.Request) { *r = legacy(*r) }),
		otherBytes("type", "eip1559 for legacy", legacy(coins()), func(r *evm.Request) { r.Kind, r.TipCap = evm.Dynamic, big.NewInt(1) }))
}

func lyingChains() (out []lie) {
	for _, id := range []uint64{5, 10, 56, 100, 137, 8453, 31337, 42161, 11155111, evm.MaxChainID} {
		there := func(r *evm.Request) { r.ChainID = id }
		out = append(out, otherBytes("chain id", fmt.Sprintf("%d for 1", id), coins(), there).by(intent.RuleDecoded))
		honest := lie{class: "chain id", name: fmt.Sprintf("%d, and says so", id), truth: pays(coins()), rule: intent.RuleDecoded, change: func(it *intent.Intent) {
			r := coins()
			there(&r)
			it.Transaction = built(r)
			it.Facts = nodetest.Words(*it)
		}}
		also := honest
		also.name = fmt.Sprintf("%d, and the intent too, which the vault does not sign for", id)
		also.change = func(it *intent.Intent) { honest.change(it); it.Chain = fmt.Sprintf("eip155:%d", id) }
		if id < 1000 {
			out = append(out, honest)
			if id == 5 {
				out = append(out, also)
			}
		}
	}
	for _, said := range []string{"5", "01", "0x1", "1.0", "mainnet", "Ethereum", "1 (Ethereum)", "eip155:1"} {
		out = append(out, otherWords("chain id", "said to be "+said, coins(), "chain-id", said))
	}
	return out
}

// lyingFacts are lists that are right line by line, and wrong as a whole.
func lyingFacts() (out []lie) {
	for name, change := range map[string]func([]intent.Fact) []intent.Fact{
		"the first alone":     func(f []intent.Fact) []intent.Fact { return f[:1] },
		"the last is missing": func(f []intent.Fact) []intent.Fact { return f[:len(f)-1] },
		"no recipient":        func(f []intent.Fact) []intent.Fact { return slices.Delete(f, 3, 4) },
		"two swapped":         func(f []intent.Fact) []intent.Fact { f[2], f[3] = f[3], f[2]; return f },
		"last first":          func(f []intent.Fact) []intent.Fact { slices.Reverse(f); return f },
		"in alphabetical order": func(f []intent.Fact) []intent.Fact {
			slices.SortFunc(f, func(a, b intent.Fact) int { return strings.Compare(a.Name, b.Name) })
			return f
		},
		"one twice": func(f []intent.Fact) []intent.Fact { return slices.Insert(f, 3, f[3]) },
		"two recipients": func(f []intent.Fact) []intent.Fact {
			return slices.Insert(f, 4, intent.Fact{Name: "destination", Value: thief.String()})
		},
		"another recipient last": func(f []intent.Fact) []intent.Fact {
			return append(f, intent.Fact{Name: "destination", Value: thief.String()})
		},
		"another amount first": func(f []intent.Fact) []intent.Fact {
			return slices.Insert(f, 0, intent.Fact{Name: "amount", Value: "1"})
		},
		"a seal of approval": func(f []intent.Fact) []intent.Fact { return append(f, intent.Fact{Name: "verified", Value: "yes"}) },
		"a note": func(f []intent.Fact) []intent.Fact {
			return append(f, intent.Fact{Name: "note", Value: "test transaction, worth nothing"})
		},
		"64 of them": func(f []intent.Fact) []intent.Fact {
			return append(f, slices.Repeat([]intent.Fact{{Name: "note", Value: "x"}}, 64-len(f))...)
		},
		"another name": func(f []intent.Fact) []intent.Fact { f[3].Name = "to"; return f },
		"a name of one letter's difference": func(f []intent.Fact) []intent.Fact {
			f[3].Name = "destinatlon"
			return f
		},
		"two names swapped": func(f []intent.Fact) []intent.Fact { f[2].Name, f[3].Name = f[3].Name, f[2].Name; return f },
		"of a proof": func([]intent.Fact) []intent.Fact {
			return []intent.Fact{{Name: "operation", Value: "proof"}, {Name: "address", Value: payee.String()}, {Name: "text", Value: "ours"}}
		},
		"of another transfer": func([]intent.Fact) []intent.Fact {
			var it intent.Intent
			pays(dollars())(&it)
			return nodetest.Words(it)
		},
	} {
		out = append(out, lie{class: "facts", name: name, truth: pays(coins()), rule: intent.RuleShown, change: func(it *intent.Intent) { it.Facts = change(it.Facts) }})
	}
	for name, form := range map[string]func(string) string{
		"none": func(s string) string {
			head, rest, _ := strings.Cut(s, "fact: ")
			return head + rest[strings.Index(rest, "memo: "):]
		},
		"65 of them": func(s string) string {
			return strings.Replace(s, "fact: ", strings.Repeat("fact: note x\n", 53)+"fact: ", 1)
		},
		"without a value":      func(s string) string { return strings.Replace(s, "fact: nonce 0", "fact: nonce", 1) },
		"before what they say": func(s string) string { return strings.Replace(s, "purpose: ", "fact: amount 1\npurpose: ", 1) },
		"after the memo":       func(s string) string { return strings.Replace(s, "initiator: ", "fact: amount 1\ninitiator: ", 1) },
	} {
		out = append(out, lie{class: "facts", name: name, truth: pays(coins()), form: form})
	}
	return out
}

// lyingPurposes let one kind of signature pass for another.
func lyingPurposes() (out []lie) {
	proof := func(text string) func(*intent.Intent) {
		return func(it *intent.Intent) {
			it.Purpose, it.Transaction, it.Claim = intent.PurposeProof, nil, intent.Claim{Entity: nodetest.Entity, Text: text}
		}
	}
	add := func(name, rule string, truth, change func(*intent.Intent)) {
		out = append(out, lie{class: "purpose", name: name, truth: truth, rule: rule, change: change})
	}
	add("a proof said to be a transfer", intent.RuleShown, proof("ours"), func(it *intent.Intent) {
		pays(dollars())(it)
		it.Facts = nodetest.Words(intent.Intent{Transaction: it.Transaction})
		it.Transaction = nil
	})
	add("a proof of another text", intent.RuleShown, proof("ours"), func(it *intent.Intent) { it.Text = "theirs" })
	add("a proof that says another text", intent.RuleShown, proof("ours"), func(it *intent.Intent) { says(it, "text", "theirs") })
	add("a proof that says another address", intent.RuleShown, proof("ours"), func(it *intent.Intent) { says(it, "address", payee.String()) })
	add("a proof that says nothing of its text", intent.RuleShown, proof("ours"), func(it *intent.Intent) { it.Facts = it.Facts[:3] })
	add("a proof in quotes that says none", intent.RuleShown, proof(`"ours"`), func(it *intent.Intent) { says(it, "text", "ours") })
	add("a proof whose text differs at its far end", intent.RuleShown, proof(strings.Repeat("x", 2048)), func(it *intent.Intent) { says(it, "text", strings.Repeat("x", 2047)+"y") })
	add("a proof whose text says a transfer's facts", intent.RuleShown, proof("operation native-transfer"), func(it *intent.Intent) { says(it, "operation", "native-transfer") })
	add("a transfer said to be a proof", intent.RuleShown, pays(dollars()), func(it *intent.Intent) { says(it, "operation", "proof") })
	add("a proof's statement as a transaction", intent.RuleDecoded, pays(dollars()), func(it *intent.Intent) { it.Transaction = []byte("ostraka/1 proof\n") })
	add("a transfer as a message", intent.RuleDecoded, pays(dollars()), func(it *intent.Intent) { it.Purpose = intent.PurposeMessage })
	for name, form := range map[string]func(string) string{
		"another purpose": func(s string) string { return strings.Replace(s, "purpose: transaction", "purpose: proof", 1) },
		"none":            func(s string) string { return strings.Replace(s, "purpose: transaction\n", "", 1) },
		"both":            func(s string) string { return strings.Replace(s, "fact: ", "text: ours\nfact: ", 1) },
		"a gift":          func(s string) string { return strings.Replace(s, "purpose: transaction", "purpose: gift", 1) },
	} {
		out = append(out, lie{class: "purpose", name: name, truth: pays(coins()), form: form})
	}
	return out
}

// lyingProofs say of a proof what it does not say, or leave out what it says.
func lyingProofs() (out []lie) {
	asOf := func(height uint64, hash byte) *intent.Block {
		return &intent.Block{Height: height, Hash: [32]byte{hash, 31: 1}}
	}
	truth := func(it *intent.Intent) {
		it.Purpose, it.Transaction = intent.PurposeProof, nil
		it.Claim = intent.Claim{Entity: nodetest.Entity, AsOf: asOf(24_000_000, 9), Text: "reserves"}
	}
	add := func(name string, change func(*intent.Intent)) {
		out = append(out, lie{class: "proof", name: name, truth: truth, rule: intent.RuleShown, change: change})
	}
	for name, change := range map[string]func(*intent.Intent){
		"of another entity": func(it *intent.Intent) { it.Entity = "Example Ltd." }, "of a later block": func(it *intent.Intent) { it.AsOf = asOf(24_000_001, 9) },
		"of an earlier block": func(it *intent.Intent) { it.AsOf = asOf(23_999_999, 9) }, "of another fork": func(it *intent.Intent) { it.AsOf = asOf(24_000_000, 8) },
		"of no block": func(it *intent.Intent) { it.AsOf = nil }, "of the first block": func(it *intent.Intent) { it.AsOf = asOf(0, 9) }, "of text and entity exchanged": func(it *intent.Intent) { it.Entity, it.Text = it.Text, it.Entity },
	} {
		add(name, change)
	}
	for _, w := range []struct{ fact, value string }{
		{"entity", "Example Ltd."}, {"entity", "Ex\u0430mple Ltd"}, {"entity", "Example"}, {"entity", `"Example Ltd"`}, {"entity", "example ltd"}, {"height", "24,000,000"}, {"height", "24000001"}, {"height", "0x16e3600"},
		{"height", "latest"}, {"block", "0x09"}, {"block", strings.Repeat("0", 64)}, {"block", "latest"}, {"text", "reserves of Example Ltd"},
	} {
		add("says "+w.fact+" "+w.value, func(it *intent.Intent) { says(it, w.fact, w.value) })
	}
	for i, gone := range []string{"operation", "address", "entity", "height", "block", "text"} {
		add("says nothing of "+gone, func(it *intent.Intent) { it.Facts = slices.Delete(it.Facts, i, i+1) })
	}
	add("says the text first", func(it *intent.Intent) { it.Facts[2], it.Facts[5] = it.Facts[5], it.Facts[2] })
	add("says an entity twice", func(it *intent.Intent) { it.Facts = slices.Insert(it.Facts, 3, it.Facts[2]) })
	add("says a block that it has not", func(it *intent.Intent) { it.AsOf = nil; it.Facts = it.Facts[:6] })
	for name, form := range map[string]func(string) string{
		"without entity":          func(s string) string { return strings.Replace(s, "entity: Example Ltd\n", "", 1) },
		"of two entities":         func(s string) string { return strings.Replace(s, "entity: ", "entity: Other Ltd\nentity: ", 1) },
		"of an invisible letter":  func(s string) string { return strings.Replace(s, "entity: Ex", "entity: Ex\u200b", 1) },
		"with a height alone":     func(s string) string { return strings.Replace(s, "block: 09"+strings.Repeat("0", 60)+"01\n", "", 1) },
		"with a hash alone":       func(s string) string { return strings.Replace(s, "height: 24000000\n", "", 1) },
		"of a height in hex":      func(s string) string { return strings.Replace(s, "height: 24000000\n", "height: 0x16e3600\n", 1) },
		"of a height of 64 bits":  func(s string) string { return strings.Replace(s, "height: 24", "height: 9223372036854775824", 1) },
		"of a cut hash":           func(s string) string { return strings.Replace(s, "block: 09", "block: ", 1) },
		"of a hash in upper case": func(s string) string { return strings.Replace(s, "block: 09", "block: 0A", 1) },
		"with a transaction":      func(s string) string { return strings.Replace(s, "entity: ", "transaction: 02\nentity: ", 1) },
	} {
		out = append(out, lie{class: "proof", name: name, truth: truth, form: form})
	}
	return out
}

// lyingSenders say that another pays.
func lyingSenders() (out []lie) {
	for name, a := range alike() {
		out = append(out, lie{class: "sender", name: name, rule: intent.RuleAddress, change: func(it *intent.Intent) { it.Address = a.String() }})
	}
	for name, change := range map[string]func(string) string{
		"in lower case": strings.ToLower, "without 0x": func(s string) string { return s[2:] }, "shortened": func(s string) string { return s[:6] + "…" + s[38:] },
		"in hex of hex": func(s string) string { return hex.EncodeToString([]byte(s[:20])) }, "with a name": func(s string) string { return s + " (Treasury)" },
	} {
		out = append(out, lie{class: "sender", name: "said " + name, rule: intent.RuleAddress, change: func(it *intent.Intent) { it.Address = change(it.Address) }})
	}
	return out
}

// homoglyphs look like what they are not. Where a text must be of a form, no node takes it; a memo in another script
// is the initiator's own affair, and says nothing of what is signed.
func homoglyphs() (out []lie) {
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for name, form := range map[string]func(string) string{
		"memo with right-to-left override": replace("memo: rent", "memo: \u202etner"), "memo with right-to-left isolate": replace("memo: rent", "memo: \u2067rent\u2069"), "memo with right-to-left mark": replace("memo: rent", "memo: \u200frent"),
		"memo with zero-width space": replace("memo: rent", "memo: re\u200bnt"), "memo with zero-width joiner": replace("memo: rent", "memo: re\u200dnt"), "memo with soft hyphen": replace("memo: rent", "memo: re\u00adnt"),
		"memo with word joiner": replace("memo: rent", "memo: re\u2060nt"), "memo with byte order mark": replace("memo: rent", "memo: \ufeffrent"), "memo with no-break space": replace("memo: rent", "memo: rent\u00a01"),
		"memo with ideographic space": replace("memo: rent", "memo: rent\u30001"), "memo with line separator": replace("memo: rent", "memo: rent\u2028fact: amount 1"), "memo with tab": replace("memo: rent", "memo: rent\t1"),
		"memo with carriage return": replace("memo: rent", "memo: rent\rfact: amount 1"), "memo with escape": replace("memo: rent", "memo: \x1b[2Krent"), "memo of two lines": replace("memo: rent", "memo: rent\nfact: amount 1"), "memo with NUL": replace("memo: rent", "memo: rent\x00"),
		"memo of broken UTF-8": replace("memo: rent", "memo: rent\xff"), "memo in two pieces": replace("memo: rent", "memo: re\u0301nt"), "memo with Hangul filler": replace("memo: rent", "memo: rent\u3164"), "memo with variation selector": replace("memo: rent", "memo: rent\ufe0f"), "memo with blank Braille": replace("memo: rent", "memo: rent\u2800"), "memo with tag letters": replace("memo: rent", "memo: rent\U000e0041"),
		"memo with private letter": replace("memo: rent", "memo: rent\ue000"), "fact with zero-width space": replace("destination 0x5a", "destination 0x\u200b5a"), "fact with override": replace("amount 1", "amount \u202e1"),
		"fact's name with Cyrillic а": replace("fact: amount", "fact: \u0430mount"), "fact's name with Greek ο": replace("fact: operation", "fact: \u03bfperation"), "field's name with Cyrillic с": replace("fact: ", "fa\u0441t: "), "field's name in capitals": replace("fact: ", "Fact: "),
		"fact's name with a zero for o": replace("fact: nonce", "fact: N0nce"), "initiator with Cyrillic е": replace("initiator: ines", "initiator: in\u0435s"), "initiator in full width": replace("initiator: ines", "initiator: ｉnes"),
		"initiator with zero-width space": replace("initiator: ines", "initiator: ines\u200b"), "initiator in capitals": replace("initiator: ines", "initiator: Ines"), "chain in full width": replace("chain: eip155:1", "chain: eip155:１"), "chain with Cyrillic е": replace("chain: eip155", "chain: \u0435ip155"),
		"purpose with Cyrillic с": replace("purpose: transaction", "purpose: transa\u0441tion"), "kind with Cyrillic е": replace("ostraka/1 intent", "ostraka/1 int\u0435nt"), "transaction in capitals": replace("transaction: 02f", "transaction: 02F"), "colon in full width": replace("memo: ", "memo： "),
	} {
		out = append(out, lie{class: "homoglyph", name: name, truth: pays(coins()), form: form})
	}
	text := payee.String()
	for name, said := range map[string]string{
		"Cyrillic А": strings.Replace(text, "A", "\u0410", 1), "Cyrillic е": strings.Replace(text, "e", "\u0435", 1), "Greek Ε": strings.Replace(text, "E", "\u0395", 1), "Cyrillic В": strings.Replace(text, "B", "\u0412", 1), "Cyrillic х": strings.Replace(text, "0x", "0\u0445", 1),
		"letter O for zero": strings.Replace(text, "0x", "Ox", 1), "full-width 5": strings.Replace(text, "5", "５", 1), "mathematical E": strings.Replace(text, "E", "\U0001d404", 1),
	} {
		out = append(out, otherWords("homoglyph", "recipient with "+name, coins(), "destination", said))
	}
	for name, memo := range map[string]string{
		"in Cyrillic": "\u0430\u0440\u0435\u043d\u0434\u0430", "with a Cyrillic а": "p\u0430y the rent", "that says facts": "fact: destination " + text, "that says other facts": "operation native-transfer; amount 1; destination " + text,
		"that says a verdict": "verdict: allow", "with Greek letters": "\u03a1\u0391Y " + text, "in Arabic": "\u0625\u064a\u062c\u0627\u0631",
	} {
		out = append(out, lie{class: "homoglyph", name: "another recipient under a memo " + name, rule: intent.RuleShown,
			truth:  func(it *intent.Intent) { pays(coins())(it); it.Memo = memo },
			change: func(it *intent.Intent) { r := coins(); r.To = thief; it.Transaction = built(r) }})
	}
	for name, form := range map[string]func(string) string{
		"Cyrillic А": func(s string) string { return "0x" + strings.Repeat("\u0410", 40) }, "Cyrillic х": func(s string) string { return "0\u0445" + s[2:] }, "a full-width digit": func(s string) string { return s[:41] + "０" },
	} {
		out = append(out, lie{class: "homoglyph", name: "sender with " + name, rule: intent.RuleAddress, change: func(it *intent.Intent) { it.Address = form(it.Address) }})
	}
	return out
}

package solana_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/internal/cputime"
)

// A plan is a request, and what it must come to by these tests' own reckoning.
type plan struct {
	request solana.Request
	ins     []in
	effects string
	signers int
}

func (p *plan) add(steps []solana.Step, ins []in, effects ...string) {
	p.request.Steps = append(p.request.Steps, steps...)
	p.ins = append(p.ins, ins...)
	for _, e := range effects {
		p.effects += e + "; "
	}
}

// one adds a random step.
func (p *plan) one(t *testing.T, rng *rand.Rand) {
	t.Helper()
	amount := rng.Uint64N(1 << uint(rng.IntN(50)+1))
	from, to := ata(payer, mint, tokenProgram), ata(wallet, mint, tokenProgram)
	check := func(steps []solana.Step, err error) []solana.Step {
		if err != nil {
			t.Fatal(err)
		}
		return steps
	}
	switch rng.IntN(8) {
	case 0:
		p.add([]solana.Step{solana.Transfer(payer, wallet, amount)}, []in{sendSOL(payer, wallet, amount)}, fmt.Sprintf("transfer %d - wallet", amount))
	case 1:
		p.signers = 2
		p.add([]solana.Step{solana.Transfer(second, stranger, amount)}, []in{sendSOL(second, stranger, amount)}, fmt.Sprintf("transfer %d - stranger", amount))
	case 2:
		p.add(check(solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Amount: amount, Decimals: 6})),
			[]in{sendToken(tokenProgram, from, mint, to, payer, amount, 6)}, fmt.Sprintf("token %d mint wallet", amount))
	case 3:
		fee := amount / 3
		p.add(check(solana.Pay(solana.TokenPayment{Program: token22, Mint: taxed, Owner: payer, Wallet: wallet, Amount: amount, Decimals: 2, Fee: &fee, Destination: &odd})),
			[]in{sendTaxed(ata(payer, taxed, token22), taxed, odd, payer, amount, 2, fee)}, fmt.Sprintf("token %d taxed wallet", amount))
	case 4:
		p.add([]solana.Step{solana.Approve(tokenProgram, from, mint, delegate, payer, amount, 6)},
			[]in{{tokenProgram, []meta{{from, false, true}, {mint, false, false}, {delegate, false, false}, {payer, true, false}}, join([]byte{13}, u64(amount), []byte{6})}}, fmt.Sprintf("allowance %d mint delegate", amount))
	case 5:
		p.add([]solana.Step{solana.Revoke(tokenProgram, from, payer)}, []in{{tokenProgram, []meta{{from, false, true}, {payer, true, false}}, []byte{5}}})
	case 6: // to ourselves: no effect
		p.signers = 2
		p.add([]solana.Step{solana.Transfer(payer, second, amount), solana.Transfer(second, payer, amount)}, []in{sendSOL(payer, second, amount), sendSOL(second, payer, amount)})
	case 7:
		p.add([]solana.Step{solana.WithdrawNonce(nonce, payer, payer, amount)}, []in{withdraw(nonce, payer, payer, amount)})
	}
}

func randomPlan(t *testing.T, rng *rand.Rand) plan {
	t.Helper()
	p := plan{request: solana.Request{Legacy: rng.IntN(2) == 0, Payer: payer, Blockhash: block}, signers: 1}
	fee, head := uint64(0), []in{}
	if rng.IntN(2) == 0 {
		p.request.Nonce, p.request.Authority, p.request.Blockhash = &nonce, payer, nonceValue
		head = append(head, advance(nonce, payer))
	}
	units := uint64(1400000)
	if rng.IntN(2) == 0 {
		units = 1 + rng.Uint64N(1400000)
		p.request.UnitLimit = uint32(units)
		head = append(head, unitLimit(uint32(units)))
	}
	if rng.IntN(2) == 0 {
		p.request.UnitPrice = 1 + rng.Uint64N(1<<uint(1+rng.IntN(40)))
		head = append(head, unitPrice(p.request.UnitPrice))
		f := new(big.Int).Mul(new(big.Int).SetUint64(units), new(big.Int).SetUint64(p.request.UnitPrice))
		f.Add(f, big.NewInt(999999)).Quo(f, big.NewInt(1000000))
		fee = f.Uint64()
	}
	for range 1 + rng.IntN(4) {
		p.one(t, rng)
	}
	if rng.IntN(3) == 0 {
		p.request.Memo = fmt.Sprintf("Rechnung %d ü", rng.IntN(1000))
		p.ins = slices.Insert(p.ins, len(p.ins)-1, note(p.request.Memo))
	}
	p.ins = append(head, p.ins...)
	p.effects += fmt.Sprintf("fee %d - -", fee+5000*uint64(p.signers))
	return p
}

// Whatever is built is what these tests' own encoder writes, and decodes to what was asked for.
func TestBuild(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]string{}
	for i := range 300 {
		p := randomPlan(t, rng)
		unsigned, err := solana.Build(p.request, context(reading()))
		if err != nil {
			t.Fatalf("%d: %+v: %v", i, p.request, err)
		}
		tx, err := solana.Decode(unsigned, context(reading()))
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		theirs := layOut(!p.request.Legacy, payer, p.request.Blockhash, p.ins...)
		if !bytes.Equal(tx.Message(), theirs.bytes()) {
			t.Fatalf("%d: %+v: message %x, want %x", i, p.request, tx.Message(), theirs.bytes())
		}
		if want := sealed(theirs.bytes(), theirs, reading()); !bytes.Equal(unsigned, want) {
			t.Fatalf("%d: unsigned form %x, want %x", i, unsigned, want)
		}
		if got := say(tx.Effects()); got != p.effects {
			t.Fatalf("%d: does %q, want %q", i, got, p.effects)
		}
		uses := tx.Uses()
		if len(uses) != p.signers || uses[0].Path != [3]uint32{1, 2, 3} || uses[0].Address != payer.String() || uses[0].Suite != "ed25519" || !bytes.Equal(uses[0].Message, tx.Message()) {
			t.Fatalf("%d: uses %v", i, uses)
		}
		lines := tx.Lines()
		if len(lines) > 64 || lines[len(lines)-1].Value != fmt.Sprintf("%x", sha256.Sum256(unsigned)) {
			t.Fatalf("%d: lines %v", i, lines)
		}
		// also without the hash people see what differs
		text := fmt.Sprint(lines[:len(lines)-1])
		if was := seen[text]; was != "" && was != string(unsigned) {
			t.Fatalf("%d: another transaction reads alike: %s", i, text)
		}
		seen[text] = string(unsigned)
		if s, err := tx.Assemble(signAll(t, tx)); err != nil || len(s.Raw) != 1+64*p.signers+len(tx.Message()) {
			t.Fatalf("%d: %v", i, err)
		}
		enclosed, err := solana.Enclosed(unsigned)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := solana.Decode(unsigned, context(enclosed)); err != nil || fmt.Sprint(again.Lines()) != fmt.Sprint(lines) {
			t.Fatalf("%d: who believes what is enclosed reads %v, %v", i, again, err)
		}
	}
}

func must(t testing.TB, r solana.Request, w solana.World) *solana.Transaction {
	t.Helper()
	unsigned, err := solana.Build(r, context(w))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := solana.Decode(unsigned, context(w))
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func line(tx *solana.Transaction, name string) string {
	for _, l := range tx.Lines() {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

func TestPayOpens(t *testing.T) {
	w := reading()
	delete(w.Accounts, ata(wallet, mint, tokenProgram)) // it is not there: the message makes it
	steps, err := solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Amount: 1500000, Decimals: 6, Open: true})
	if err != nil {
		t.Fatal(err)
	}
	tx := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: steps, Memo: "x"}, w)
	if got := say(tx.Effects()); got != "transfer 2039280 - wallet; token 1500000 mint wallet; fee 5000 - -" {
		t.Error(got)
	}
	want := fmt.Sprintf("transfer 1500000 (1.5) of token %s (spl-token, 6 decimals) from %s of %s to %s of %s", mint, ata(payer, mint, tokenProgram), payer, ata(wallet, mint, tokenProgram), wallet)
	if got := line(tx, "instruction-3"); got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	if got := line(tx, "instruction-2"); got != "memo: x" {
		t.Errorf("memo %q", got)
	}
	// to an address of our own, only the fee leaves
	steps, _ = solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: second, Amount: 1, Decimals: 6, Open: true})
	if got := say(must(t, solana.Request{Payer: payer, Blockhash: block, Steps: steps}, w).Effects()); got != "fee 5000 - -" {
		t.Error(got)
	}
	if _, err := solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Destination: &odd, Open: true}); err == nil {
		t.Error("another account than the one by rule is made")
	}
}

// A wallet that wants memos takes one directly before; a mint that pays fees says what arrives; people see whose hands a mint is in.
func TestToken2022(t *testing.T) {
	w := reading()
	a := w.Accounts[odd]
	a.MemoRequired = true
	w.Accounts[odd] = a
	w.Accounts[taxed] = solana.Account{Kind: solana.Mint, Program: token22, Decimals: 2, Extensions: []uint16{1, 3, 4, 12, 14, 16, 18, 26}}
	fee := uint64(7)
	steps, err := solana.Pay(solana.TokenPayment{Program: token22, Mint: taxed, Owner: payer, Wallet: wallet, Amount: 100, Decimals: 2, Fee: &fee, Destination: &odd})
	if err != nil {
		t.Fatal(err)
	}
	tx := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: steps, Memo: "x"}, w)
	for _, part := range []string{"transfer 100 (1) of", "permanent-delegate", "the mint keeps 7 of it, 93 arrive", "pausable"} {
		if got := line(tx, "instruction-2"); !strings.Contains(got, part) {
			t.Errorf("line %q lacks %q", got, part)
		}
	}
	if got := say(tx.Effects()); got != "token 100 taxed wallet; fee 5000 - -" {
		t.Error(got)
	}
	// what another may close is safe at the address by rule, which is always made for the same wallet
	by := w.Accounts[ata(wallet, mint, tokenProgram)]
	by.Closer = true
	w.Accounts[ata(wallet, mint, tokenProgram)] = by
	steps, _ = solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Amount: 1, Decimals: 6})
	if got := say(must(t, solana.Request{Payer: payer, Blockhash: block, Steps: steps}, w).Effects()); got != "token 1 mint wallet; fee 5000 - -" {
		t.Error(got)
	}
}

func TestSweep(t *testing.T) {
	for _, r := range []solana.Request{{Payer: payer, Blockhash: block, UnitLimit: 450, UnitPrice: 1}, {Payer: payer, Blockhash: nonceValue, Nonce: &nonce, Authority: second}} {
		w := reading()
		fee := uint64(5001) // 450 millionths, rounded up
		if r.Nonce != nil {
			w.Accounts[nonce] = solana.Account{Kind: solana.NonceAccount, Authority: second, Nonce: nonceValue}
			fee = 10000
		}
		unsigned, err := solana.Sweep(r, wallet, 1_000_000, context(w))
		if err != nil {
			t.Fatal(err)
		}
		tx, err := solana.Decode(unsigned, context(w))
		if err != nil {
			t.Fatal(err)
		}
		if got := say(tx.Effects()); got != fmt.Sprintf("transfer %d - wallet; fee %d - -", 1_000_000-fee, fee) {
			t.Error(got)
		}
		if _, err := solana.Sweep(r, wallet, fee, context(w)); err == nil || !strings.Contains(err.Error(), "the fee is") {
			t.Errorf("a balance that the fee eats up: %v", err)
		}
		r.Steps = []solana.Step{solana.Transfer(payer, wallet, 1)}
		if _, err := solana.Sweep(r, wallet, 1_000_000, context(w)); err == nil {
			t.Error("a sweep with other steps")
		}
	}
}

func TestNonceLife(t *testing.T) {
	account, steps, err := solana.CreateNonce(payer, second, "slow", payer, solana.NonceRent)
	if err != nil || account != mustSeed(second, "slow") {
		t.Fatal(account, err)
	}
	tx := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: steps}, reading())
	if got := say(tx.Effects()); got != "fee 10000 - -" {
		t.Error(got)
	}
	if _, _, ok := tx.Durable(); ok || !strings.HasPrefix(tx.Spends()[0], chain+" message ") {
		t.Errorf("spends %q", tx.Spends())
	}
	// advanced alone: what else has the nonce is over
	cancel := must(t, solana.Request{Payer: payer, Blockhash: nonceValue, Nonce: &nonce, Authority: payer}, reading())
	pay := must(t, solana.Request{Payer: payer, Blockhash: nonceValue, Nonce: &nonce, Authority: payer, Steps: []solana.Step{solana.Transfer(payer, wallet, 1)}}, reading())
	if cancel.Spends()[0] != pay.Spends()[0] || bytes.Equal(cancel.Message(), pay.Message()) {
		t.Errorf("%q and %q", cancel.Spends(), pay.Spends())
	}
	if at, value, ok := pay.Durable(); !ok || at != nonce || value != nonceValue {
		t.Errorf("durable %v %v %v", at, value, ok)
	}
	if line(pay, "nonce-account") != nonce.String() || line(pay, "nonce") != nonceValue.String() || line(pay, "blockhash") != "" {
		t.Errorf("lines %v", pay.Lines())
	}
	if _, _, err := solana.CreateNonce(payer, payer, strings.Repeat("x", 33), payer, 1); err == nil {
		t.Error("a seed of 33 bytes")
	}
}

// The builder puts accounts of lookup tables there, and what signs, is called or is the nonce into the message.
func TestBuildTables(t *testing.T) {
	w := reading()
	w.Tables[tableKey] = []key{payer, systemProgram, nonce, wallet, mint, ata(wallet, mint, tokenProgram), tokenProgram}
	other := public(33)
	w.Tables[other] = []key{recentSysvar, wallet, stranger}
	steps, err := solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Amount: 1, Decimals: 6, Open: true})
	if err != nil {
		t.Fatal(err)
	}
	steps = append(steps, solana.Transfer(payer, stranger, 2))
	r := solana.Request{Payer: payer, Blockhash: nonceValue, Nonce: &nonce, Authority: payer, Steps: steps, Tables: w.Tables}
	tx := must(t, r, w)
	if got := say(tx.Effects()); got != "transfer 2039280 - wallet; token 1 mint wallet; transfer 2 - stranger; fee 5000 - -" {
		t.Error(got)
	}
	for _, k := range []key{payer, systemProgram, nonce, tokenProgram} {
		if !bytes.Contains(tx.Message(), k[:]) {
			t.Errorf("%s does not stand in the message", k)
		}
	}
	for _, k := range []key{wallet, mint, stranger, recentSysvar} {
		if bytes.Contains(tx.Message(), k[:]) {
			t.Errorf("%s stands in the message", k)
		}
	}
	r.Tables = nil
	if plain := must(t, r, w); say(plain.Effects()) != say(tx.Effects()) || len(plain.Message()) <= len(tx.Message()) {
		t.Errorf("without tables: %s, %d bytes", say(plain.Effects()), len(plain.Message()))
	}
	reads, err := solana.Needs(tx.Unsigned())
	if err != nil || len(reads) < 4 || !reads[0].Table || !reads[1].Table || reads[2].Table || reads[2].Address != nonce {
		t.Errorf("needs %v, %v", reads, err)
	}
}

// Who believes what is enclosed still wants it to fit the message; nothing is indexed that is not there.
func TestEnclosedFits(t *testing.T) {
	m := tabled(1)
	item := func(all ...key) []byte {
		var b []byte
		for _, a := range all {
			b = append(b, a[:]...)
		}
		return join(field(1, tableKey[:]), field(2, b))
	}
	for name, tables := range map[string][][]byte{"none": nil, "two": {item(wallet), item(wallet)}, "no address": {item()}, "two addresses": {item(wallet, wallet)}} {
		if w, err := solana.Enclosed(form(m.bytes(), tables, nil)); err == nil {
			t.Errorf("%s: %v", name, w)
		}
	}
	if w, err := solana.Enclosed(form(m.bytes(), [][]byte{item(wallet)}, nil)); err != nil {
		t.Errorf("%v, %v", w, err)
	}
	nine := edit(usualParts(), func(p *parts) {
		for i := range 9 {
			p.lookups = append(p.lookups, look{public(byte(60 + i)), []byte{1}, nil})
		}
	})
	if _, err := solana.Wrap(nine.bytes(), context(reading())); err == nil || !strings.Contains(err.Error(), "are 9, more than 8") {
		t.Errorf("nine tables: %v", err)
	}
	var steps []solana.Step
	w := reading()
	w.Tables = map[key][]key{tableKey: nil}
	for i := range 70 {
		k := public(byte(100 + i))
		w.Tables[tableKey] = append(w.Tables[tableKey], k)
		steps = append(steps, solana.Transfer(payer, k, 1))
	}
	if _, err := solana.Build(solana.Request{Payer: payer, Blockhash: block, Steps: steps, Tables: w.Tables}, context(w)); err == nil || !strings.Contains(err.Error(), "72 accounts, more than 64") {
		t.Errorf("72 accounts: %v", err)
	}
}

// A builder that has read nothing yet is told what to read, one thing after the other.
func TestReadsWhatItNeeds(t *testing.T) {
	all := reading()
	w := solana.Readings{Accounts: map[key]solana.Account{}, Tables: map[key][]key{}, Recents: all.Recents}
	steps, err := solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Amount: 1, Decimals: 6})
	if err != nil {
		t.Fatal(err)
	}
	for asked := 0; ; asked++ {
		unsigned, err := solana.Build(solana.Request{Payer: payer, Blockhash: block, Steps: steps}, context(w))
		if err == nil {
			if needs, err := solana.Needs(unsigned); asked != 3 || err != nil || len(needs) != 3 {
				t.Errorf("asked for %d, needs %v, %v", asked, needs, err)
			}
			return
		}
		r, ok := solana.IsUnread(err)
		if !ok || r.Table || asked > 3 {
			t.Fatalf("%v", err)
		}
		w.Accounts[r.Address] = all.Accounts[r.Address]
	}
}

func TestAssembleRefuses(t *testing.T) {
	tx := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: []solana.Step{solana.Transfer(second, wallet, 1)}}, reading())
	good := signAll(t, tx)
	change := func(f func([]effect.Signature)) []effect.Signature { s := slices.Clone(good); f(s); return s }
	other := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: []solana.Step{solana.Transfer(second, wallet, 2)}}, reading())
	for name, sigs := range map[string][]effect.Signature{
		"none": nil, "one": good[:1], "three": append(slices.Clone(good), good[0]),
		"swapped":            {good[1], good[0]},
		"of another message": signAll(t, other),
		"a bit of R":         change(func(s []effect.Signature) { s[0].Bytes[3] ^= 1 }),
		"a bit of S":         change(func(s []effect.Signature) { s[1].Bytes[40] ^= 1 }),
		"S plus the order":   change(func(s []effect.Signature) { s[0].Bytes = plusOrder(s[0].Bytes) }),
		"a recovery id":      change(func(s []effect.Signature) { s[0].Recovery = 1 }),
		"zeros":              change(func(s []effect.Signature) { s[0] = effect.Signature{} }),
		"of a hash of it": change(func(s []effect.Signature) {
			h := sha256.Sum256(tx.Message())
			copy(s[0].Bytes[:], ed25519.Sign(private(1), h[:]))
		}),
	} {
		s, err := tx.Assemble(sigs)
		if err == nil {
			t.Errorf("%s: assembled %x", name, s.Raw)
		} else if len(sigs) != 2 && !strings.Contains(err.Error(), "2 are needed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := tx.Assemble(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Published(s.Raw); err == nil || !strings.Contains(err.Error(), "another message") {
		t.Errorf("another transaction is found published: %v", err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "no signatures": append([]byte{0}, tx.Message()...), "cut": s.Raw[:100], "trailing": append(slices.Clone(s.Raw), 0), "count of three": append([]byte{3}, s.Raw[1:]...),
		"long count": append([]byte{0x82, 0}, s.Raw[1:]...), "one signature less": append([]byte{1}, s.Raw[65:]...), "too long": make([]byte, 1233), "swapped": slices.Concat(s.Raw[:1], s.Raw[65:129], s.Raw[1:65], s.Raw[129:]),
	} {
		if _, err := solana.ParseSigned(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// Who is paid may sign too; the chain wants the signers' signatures and no other.
func TestSignatureOfNoSigner(t *testing.T) {
	tx := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: []solana.Step{solana.Transfer(payer, wallet, 1)}}, reading())
	m := tx.Message()
	raw := join([]byte{2}, ed25519.Sign(private(1), m), ed25519.Sign(private(3), m), m)
	if _, err := solana.ParseSigned(raw); err == nil || !strings.Contains(err.Error(), "are 2, of 1 signers") {
		t.Errorf("%v", err)
	}
}

// plusOrder adds ℓ to S: the same signature to who does not check its range.
func plusOrder(sig [64]byte) [64]byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	b := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(b)
	copy(sig[32:], b)
	return sig
}

// 40 instructions, four signers and eight tables have 64 lines at most; a message of 40 transfers is decoded.
func TestLongest(t *testing.T) {
	var steps []solana.Step
	for range 40 {
		steps = append(steps, solana.Transfer(payer, wallet, math.MaxUint32))
	}
	tx := must(t, solana.Request{Payer: payer, Blockhash: block, Steps: steps}, reading())
	if n := len(tx.Lines()); n != 40+2+1+1+4 { // and at most three more signers, one more for a nonce, eight tables
		t.Errorf("%d lines", n)
	}
	if n := 40 + 2 + 4 + 2 + 8 + 4; n > 64 {
		t.Errorf("%d lines are possible", n)
	}
	if _, err := solana.Build(solana.Request{Payer: payer, Blockhash: block, Steps: append(steps, steps[0])}, context(reading())); err == nil {
		t.Error("41 instructions")
	}
}

func TestKeys(t *testing.T) {
	for _, text := range []string{"", "1", strings.Repeat("1", 31), strings.Repeat("1", 33), strings.Repeat("z", 44), mint.String() + "1", " " + mint.String(), strings.Replace(mint.String(), mint.String()[:1], "0", 1), strings.Repeat("1", 100)} {
		if k, err := solana.ParseKey(text); err == nil {
			t.Errorf("%q is %s", text, k)
		}
	}
	if got := solana.Label([3]uint32{1, 2, 3}); got != "44/501/1/2/3" || strings.Contains(got, "'") {
		t.Errorf("label %s", got)
	}
	for _, c := range []string{"", "solana:", "eip155:1", "solana:0OIl", "solana:" + strings.Repeat("1", 33)} {
		x := context(reading())
		x.Chain = c
		if _, err := solana.Wrap(usualParts().bytes(), x); err == nil || !strings.Contains(err.Error(), "chain") {
			t.Errorf("chain %q: %v", c, err)
		}
	}
	for _, k := range []key{orderFour, nonce} { // what the context calls the vault's must be a key too
		x := context(reading())
		x.Own = func(a key) ([3]uint32, bool) { return [3]uint32{}, a == k }
		if _, err := solana.Wrap(layOut(true, k, block, sendSOL(k, wallet, 1)).bytes(), x); err == nil || !strings.Contains(err.Error(), "is no public key") {
			t.Errorf("%s signs: %v", k, err)
		}
	}
	for name, x := range map[string]solana.Context{"no world": {Chain: chain, Own: own}, "no addresses": {Chain: chain, World: reading()}} {
		if _, err := solana.Wrap(usualParts().bytes(), x); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	var open []solana.Step
	w := reading()
	for i := range 9 {
		k := public(byte(100 + i))
		w.Accounts[k] = solana.Account{}
		s, _ := solana.Open(payer, k, mint, tokenProgram)
		open = append(open, s)
	}
	var many []solana.Step
	for range 40 {
		many = append(many, solana.Transfer(payer, wallet, 1))
	}
	pay, _ := solana.Pay(solana.TokenPayment{Program: tokenProgram, Mint: mint, Owner: payer, Wallet: wallet, Amount: 1, Decimals: 6, Open: true})
	for _, c := range []struct {
		name  string
		steps []solana.Step
	}{{"sol", many[:1]}, {"token", pay}, {"40 transfers", many}, {"9 accounts", open}} {
		unsigned := must(b, solana.Request{Payer: payer, Blockhash: block, Steps: c.steps}, w).Unsigned()
		b.Run(c.name, func(b *testing.B) {
			var m cputime.Meter
			for m.Batches() < cputime.MinBatches || b.Loop() {
				m.Run(func() {
					tx, err := solana.Decode(unsigned, context(w))
					if err != nil || len(tx.Uses()) != 1 || len(tx.Lines()) == 0 {
						b.Fatal(err)
					}
				})
			}
			b.ReportMetric(float64(m.Best().Microseconds()), "CPU-µs/op")
		})
	}
}

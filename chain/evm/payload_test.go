package evm_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
)

// All forms of ethers' vectors are judged in a context: those that the book's chain has give the vector's signed bytes, all others are refused with a reason.
func TestEthersVectorsInContext(t *testing.T) {
	var vectors []ethersVector
	readJSON(t, "ethers-transactions.json", &vectors)
	counts := map[string]int{}
	for _, v := range vectors {
		key, err := crypto.ToECDSA(unhex(t, v.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		c := testContext(t)
		c.Account.Address = addressOf(t, key)
		tx := v.Transaction
		plain := v.supported(t)
		tips := number(t, tx.MaxPriorityFeePerGas).Cmp(number(t, tx.MaxFeePerGas)) <= 0
		for _, form := range []struct {
			name, unsigned, signed string
			want                   bool
		}{
			{"legacy", v.UnsignedLegacy, "", false}, {"eip155", v.UnsignedEip155, v.SignedEip155, plain}, {"berlin", v.UnsignedBerlin, v.SignedBerlin, plain},
			{"london", v.UnsignedLondon, v.SignedLondon, plain && tips}, {"cancun", v.UnsignedCancun, "", false},
		} {
			if form.unsigned == "" {
				continue
			}
			p, err := evm.DecodeIn(unhex(t, form.unsigned), c)
			var refused *evm.Refused
			switch {
			case (err == nil) != form.want:
				t.Errorf("%s %s: %v, want accepted: %v", v.Name, form.name, err, form.want)
			case err != nil && (!errors.As(err, &refused) || refused.Field == "" || refused.Reason == ""):
				t.Errorf("%s %s: %v says no reason", v.Name, form.name, err)
			case err != nil:
				counts["refused "+form.name]++
			default:
				counts[form.name]++
				digest := p.Digest()
				sig, err := crypto.Sign(digest[:], key)
				if err != nil {
					t.Fatal(err)
				}
				signed, err := p.Assemble([]effect.Signature{{Bytes: [64]byte(sig[:64]), Recovery: sig[64]}})
				if err != nil || !bytes.Equal(signed.Raw, unhex(t, form.signed)) {
					t.Errorf("%s %s: signed %+v, %v, want %s", v.Name, form.name, signed, err, form.signed)
				}
			}
		}
	}
	t.Logf("%d vectors: %v", len(vectors), counts)
	if counts["eip155"] < 20 || counts["berlin"] < 25 || counts["london"] < 20 {
		t.Errorf("accepted %v of %d vectors: too few to mean anything", counts, len(vectors))
	}
}

// shownIn are a payload's lines as one text; false where it is refused.
func shownIn(b []byte, c evm.Context) (string, bool) {
	p, err := evm.DecodeIn(b, c)
	if err != nil {
		return "", false
	}
	var out strings.Builder
	for _, l := range p.Lines() {
		fmt.Fprintf(&out, "%s: %q\n", l.Name, l.Value)
	}
	return out.String(), bytes.Equal(p.Unsigned(), b)
}

// No byte of any payload changes but a line does, or the whole is refused.
func TestEveryByteInContext(t *testing.T) {
	c := testContext(t)
	seen := map[string]string{}
	read := 0
	for _, g := range goods(t) {
		want, ok := shownIn(g.payload, c)
		if other := seen[want]; !ok || other != "" {
			t.Errorf("%s: shows what %q shows", g.name, other)
		}
		seen[want] = g.name
		for at := range g.payload {
			mutants, flips := [][]byte{slices.Delete(bytes.Clone(g.payload), at, at+1), slices.Insert(bytes.Clone(g.payload), at, 0)}, []byte{1, 2, 8, 32, 128, 255}
			if g.payload[0] == '{' { // room abi tries more of them
				mutants, flips = mutants[:1], []byte{1}
			}
			for _, by := range flips {
				m := bytes.Clone(g.payload)
				m[at] ^= by
				mutants = append(mutants, m)
			}
			for _, m := range mutants {
				got, ok := shownIn(m, c)
				if ok {
					read++
				}
				if ok && got == want {
					t.Errorf("%s: %x shows the same as %x", g.name, m, g.payload)
				}
			}
		}
	}
	if read < 1500 {
		t.Errorf("only %d mutants are payloads: the rest proves little", read)
	}
}

// What Decode takes, a context without a book takes too, and shows the same.
func TestWithoutABook(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	c := evm.Context{Account: evm.Account{Address: owner(t)}}
	for range 300 {
		r := randomRequest(rng)
		unsigned, err := evm.Build(r)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := evm.Decode(unsigned)
		if err != nil {
			t.Fatal(err)
		}
		p, err := evm.DecodeIn(unsigned, c)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		var want []effect.Line
		for _, l := range tx.Facts().Lines() {
			want = append(want, effect.Line(l))
		}
		facts, ok := p.Facts()
		if !slices.Equal(p.Lines(), want) || !ok || facts.Asset != tx.Facts().Asset || facts.Amount.Cmp(r.Amount) != 0 || facts.Destination != r.To || p.Digest() != tx.Digest() {
			t.Fatalf("%+v shows %v, want %v; facts %+v", r, p.Lines(), want, facts)
		}
		effects := p.Effects()
		if e := effects[0]; len(effects) != 2 || e.Amount.Cmp(r.Amount) != 0 || e.Destination != r.To.String() || e.Operation.Moves() == false || (e.Contract == "") != (r.Token == nil) {
			t.Fatalf("%+v has effects %+v", r, effects)
		}
		if fee := effects[1]; fee.Operation != effect.Fee || fee.Amount.Cmp(tx.Facts().MaxFee) != 0 || fee.Destination != "" {
			t.Fatalf("%+v has fee %+v", r, fee)
		}
	}
	for _, g := range goods(t) {
		if g.payload[0] == '{' || g.payload[0] == 5 || g.payload[0] == 4 || g.payload[0] == 1 {
			if p, err := evm.DecodeIn(g.payload, c); err == nil {
				t.Errorf("%s: understood without a book: %+v", g.name, p.Effects())
			}
		}
	}
	if _, err := evm.DecodeIn(dynamic(t, dynamicFields()), evm.Context{}); err == nil {
		t.Error("understood without an account")
	}
}

// A call that a plan names is understood with a book and without one, and what the plan does not name is not.
func TestNamedInContext(t *testing.T) {
	pause := []byte{0x84, 0x56, 0xcb, 0x59}
	payload := callTo(t, nobody, 0, pause)
	for _, c := range []evm.Context{testContext(t), {Account: evm.Account{Address: owner(t)}}} {
		if _, err := evm.DecodeIn(payload, c); err == nil {
			t.Error("understood though nobody named it")
		}
		c.Named = func(chain uint64, to evm.Address, data []byte) bool {
			return chain == 1 && to == nobody && bytes.Equal(data, pause)
		}
		p, err := evm.DecodeIn(payload, c)
		if err != nil {
			t.Fatal(err)
		}
		facts, ok := p.Facts()
		if p.Operation() != evm.ContractCall || !ok || !bytes.Equal(facts.Calldata, pause) || text(p.Effects()) != "call "+nobody.String()+" - > "+nobody.String()+"; fee 630000 >" {
			t.Errorf("%s, %+v, %s", p.Operation(), facts, text(p.Effects()))
		}
		if _, err := evm.DecodeIn(callTo(t, nobody, 1, pause), c); err == nil {
			t.Error("understood with coins")
		}
	}
}

// Payloads that exclude each other have one name in common, others none.
func TestSpends(t *testing.T) {
	c := testContext(t)
	spends := func(b []byte) []string {
		p, err := evm.DecodeIn(b, c)
		if err != nil {
			t.Fatal(err)
		}
		return p.Spends()
	}
	permit := func(pairs ...any) []byte {
		return typedData(t, coinToken, permitType, change(permitMessage(t), pairs...))
	}
	for _, x := range []struct {
		name string
		a, b []byte
		same bool
	}{
		{"one nonce", callTo(t, evm.Address(payee), 1, nil), callTo(t, coinToken, 0, transfer(nil)), true},
		{"two nonces", dynamic(t, dynamicFields()), dynamic(t, with(dynamicFields(), dNonce, uint(8))), false},
		{"one nonce on two chains", dynamic(t, dynamicFields()), dynamic(t, with(dynamicFields(), dChain, uint(10))), false},
		{"an authorization and a transaction", authorizationOf(t, 1, delegates, 7), dynamic(t, dynamicFields()), true},
		{"an authorization and what carries it", authorizationOf(t, 1, delegates, 8), setCode(t, testKey(t), 8, nil), false},
		{"one permit's nonce", permit(), permit("value", "7"), true},
		{"two permits' nonces", permit(), permit("nonce", "4"), false},
		{"a permit and a gift", permit(), typedData(t, coinToken, giveType, giveMessage(t)), false},
		{"one nonce of a Safe", typedData(t, safe, safeType, safeMessage(safe, "0", nil)), typedData(t, safe, safeType, safeMessage(evm.Address(payee), "1", nil)), true},
	} {
		a, b := spends(x.a), spends(x.b)
		both := slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
		if both != x.same || len(a) == 0 || len(b) == 0 {
			t.Errorf("%s: %v and %v", x.name, a, b)
		}
	}
	if got := spends(dynamic(t, dynamicFields())); !slices.Equal(got, []string{"eip155:1/nonce:" + owner(t).String() + "/7"}) {
		t.Errorf("%v", got)
	}
}

func TestPayloadAssembleRefuses(t *testing.T) {
	c := testContext(t)
	other, err := crypto.ToECDSA(bytes.Repeat([]byte{0x47}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range [][]byte{dynamic(t, dynamicFields()), typedData(t, coinToken, permitType, permitMessage(t)), authorizationOf(t, 1, delegates, 8)} {
		p, err := evm.DecodeIn(payload, c)
		if err != nil {
			t.Fatal(err)
		}
		digest := p.Digest()
		good := signatureOf(t, digest[:])
		theirs, err := crypto.Sign(digest[:], other)
		if err != nil {
			t.Fatal(err)
		}
		high := good
		s := new(big.Int).Sub(crypto.S256().Params().N, new(big.Int).SetBytes(good.Bytes[32:]))
		s.FillBytes(high.Bytes[32:])
		high.Recovery ^= 1
		parity, id2 := good, good
		parity.Recovery ^= 1
		id2.Recovery = 2
		for name, sigs := range map[string][]effect.Signature{
			"none": nil, "two": {good, good}, "of nothing": {{}}, "high s": {high}, "other parity": {parity}, "recovery id 2": {id2},
			"by another": {{Bytes: [64]byte(theirs[:64]), Recovery: theirs[64]}}, "over another digest": {signatureOf(t, crypto.Keccak256(digest[:]))},
		} {
			if out, err := p.Assemble(sigs); err == nil {
				t.Errorf("%s: assembled %+v", name, out)
			}
		}
		for name, raw := range map[string][]byte{"nothing": nil, "the unsigned form": payload, "65 zeros": make([]byte, 65), "v 0": append(bytes.Clone(good.Bytes[:]), good.Recovery), "v 29": append(bytes.Clone(good.Bytes[:]), 29)} {
			if out, err := p.ParseSigned(raw); err == nil {
				t.Errorf("%s: read as %+v", name, out)
			}
		}
	}
	// a signed transaction of the same account that is another one
	a, _ := evm.DecodeIn(dynamic(t, dynamicFields()), c)
	b, _ := evm.DecodeIn(dynamic(t, with(dynamicFields(), dNonce, uint(8))), c)
	digest := b.Digest()
	signed, err := b.Assemble([]effect.Signature{signatureOf(t, digest[:])})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := a.ParseSigned(signed.Raw); err == nil {
		t.Errorf("another transaction: read as %+v", out)
	}
}

func TestPayloadIsImmutable(t *testing.T) {
	c := testContext(t)
	p, err := evm.DecodeIn(callTo(t, coinToken, 0, transfer(nil)), c)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(p.Effects(), p.Lines(), p.Spends(), p.Uses(), p.Unsigned())
	p.Effects()[0].Amount.SetInt64(1)
	p.Lines()[0].Value, p.Spends()[0], p.Uses()[0].Message[0] = "", "", 0
	p.Unsigned()[0] = 9
	if after := fmt.Sprint(p.Effects(), p.Lines(), p.Spends(), p.Uses(), p.Unsigned()); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

// Lines stay within their bounds for the largest that is understood.
func TestLargest(t *testing.T) {
	var fields []string
	args := []any{}
	for i := range 32 {
		fields = append(fields, fmt.Sprintf("bytes argument%d", i))
		args = append(args, "0x"+strings.Repeat("ab", 3600))
	}
	signature := "function large(" + strings.Join(fields, ",") + ")"
	b := testBook()
	b.Contracts[0].Functions = append(b.Contracts[0].Functions, evm.Function{Signature: signature})
	allowed, err := evm.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	c := testContext(t)
	c.Allowed = allowed
	data := functionData(t, signature, args...)
	var list []any
	for range 32 {
		list = append(list, []any{payee, []any{[32]byte{1}}})
	}
	payload := dynamic(t, with(with(with(with(dynamicFields(), dTo, router[:]), dValue, uint(0)), dData, data), dAccess, list))
	safely := typedData(t, safe, safeType, safeMessage(router, "0", functionData(t, swap, spender, 5, "0x"+strings.Repeat("ab", 40000))))
	for name, payload := range map[string][]byte{"call": payload, "Safe": safely} {
		p, err := evm.DecodeIn(payload, c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sayable(t, name, p)
	}
}

func FuzzDecodeIn(f *testing.F) {
	for _, g := range goods(f) {
		f.Add(g.payload)
	}
	c := testContext(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := evm.DecodeIn(b, c)
		if err != nil {
			var refused *evm.Refused
			if !errors.As(err, &refused) {
				t.Fatalf("%x: %v is no Refused", b, err)
			}
			return
		}
		if !bytes.Equal(p.Unsigned(), b) || len(p.Lines()) > 64 || len(p.Uses()) != 1 {
			t.Fatalf("%x: reads as %x", b, p.Unsigned())
		}
		sayable(t, "a payload", p)
		if want := secondDigest(t, b); !bytes.Equal(want, p.Uses()[0].Message) {
			t.Fatalf("%x: digest %x, go-ethereum has %x", b, p.Uses()[0].Message, want)
		}
		if d, err := evm.DigestOf(b); err != nil || d != evm.Hash(p.Digest()) {
			t.Fatalf("%x: who reads it without a book finds digest %s, %v", b, d, err)
		}
	})
}

// Lines of arguments have names that statements can say, and two arguments never one: whatever a contract calls them.
func TestArgumentNames(t *testing.T) {
	names := []string{"safeTxGas", "safetxgas", "SafeTxGas", "_to", "__to", "To", "tokenID", strings.Repeat("a", 55), strings.Repeat("b", 54) + "B", strings.Repeat("c", 64)}
	labels := []string{"safe-tx-gas", "safetxgas", "-safe-tx-gas", "_to", "__to", "-to", "token-i-d", strings.Repeat("a", 55), "9", "10"}
	signature := "function named(uint8 " + strings.Join(names, ",uint8 ") + ")"
	b := testBook()
	b.Contracts[0].Functions = append(b.Contracts[0].Functions, evm.Function{Signature: signature})
	allowed, err := evm.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	c := testContext(t)
	c.Allowed = allowed
	args := make([]any, len(names))
	for i := range args {
		args[i] = i
	}
	data := functionData(t, signature, args...)
	safely, err := evm.BuildDocument(1, safe, safeType, messageJSON(safeMessage(router, "0", data)), c)
	if err != nil {
		t.Fatal(err)
	}
	for prefix, payload := range map[string][]byte{"arg.": callTo(t, router, 0, data), "safe.arg.": safely} {
		p, err := evm.DecodeIn(payload, c)
		if err != nil {
			t.Fatal(err)
		}
		sayable(t, prefix, p)
		for i, want := range labels {
			line := effect.Line{Name: prefix + want, Value: fmt.Sprintf("uint8 %d", i)}
			if !slices.Contains(p.Lines(), line) {
				t.Errorf("argument %s: no line %v in %v", names[i], line, p.Lines())
			}
		}
	}
}

// The signature of a message is of one form, over one message: whatever else is taken was signed by somebody else.
func FuzzCheckMessage(f *testing.F) {
	key := testKey(f)
	from := evm.Address(crypto.PubkeyToAddress(key.PublicKey))
	for _, unsigned := range [][]byte{typedData(f, coinToken, permitType, permitMessage(f)), {5, 0xc0}} {
		d, err := evm.DigestOf(unsigned)
		if err != nil {
			f.Fatal(err)
		}
		sig, err := crypto.Sign(d[:], key)
		if err != nil {
			f.Fatal(err)
		}
		sig[64] += 27
		f.Add(unsigned, sig)
	}
	f.Fuzz(func(t *testing.T, unsigned, raw []byte) {
		d, who, err := evm.CheckMessage(unsigned, raw)
		if err != nil || who != from || unsigned[0] != '{' {
			return
		}
		theirs, err := crypto.SigToPub(d[:], append(bytes.Clone(raw[:64]), raw[64]-27))
		if err != nil || evm.Address(crypto.PubkeyToAddress(*theirs)) != who || len(raw) != 65 {
			t.Fatalf("%x with %x: %s, go-ethereum %v", unsigned, raw, who, err)
		}
	})
}

func BenchmarkDecodeIn(b *testing.B) {
	c := testContext(b)
	large := bytes.Repeat([]byte(`{"asset":"`+coinToken.String()+`","amount":"5"},`), 1500)
	order := typedData(b, router, orderType, change(orderMessage(b), "parts", []any{}))
	document := bytes.Replace(order, []byte(`"parts":[]`), slices.Concat([]byte(`"parts":[`), large[:len(large)-1], []byte("]")), 1)
	addresses, amounts := make([]string, 1800), make([]string, 1800)
	for i := range addresses {
		addresses[i], amounts[i] = spender.String(), "1"
	}
	for _, x := range []struct {
		name    string
		payload []byte
	}{
		{"transfer", dynamic(b, dynamicFields())},
		{"token", callTo(b, coinToken, 0, transfer(nil))},
		{"call", callTo(b, router, 0, functionData(b, swap, spender, 5, "0x0102"))},
		{"permit", typedData(b, coinToken, permitType, permitMessage(b))},
		{"set-code", setCode(b, testKey(b), 8, nil)},
		{"largest-call", callTo(b, router, 0, functionData(b, batch, addresses, amounts))},
		{"largest-document", document},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.SetBytes(int64(len(x.payload)))
			for b.Loop() {
				p, err := evm.DecodeIn(x.payload, c)
				if err != nil {
					b.Fatal(err)
				}
				if p.Digest() == [32]byte{} {
					b.Fatal("no digest")
				}
			}
		})
	}
}

// An amount in the upper half of what its type holds is unlimited, whatever the cap: Permit2 keeps 160 bits and takes all ones for "for ever".
func TestUpperHalfIsUnlimited(t *testing.T) {
	b := testBook()
	b.Tokens[0].Cap = new(big.Int).Lsh(big.NewInt(1), 200)
	allowed, err := evm.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	c := testContext(t)
	c.Allowed = allowed
	for bits, want := range map[uint]string{158: "allowance", 159: "unlimited"} {
		amount := new(big.Int).Lsh(big.NewInt(1), bits)
		message := map[string]any{"details": map[string]any{"token": coinToken.String(), "amount": amount.String(), "expiration": "5", "nonce": "1"}, "spender": spender.String(), "sigDeadline": 5}
		p, err := evm.DecodeIn(typedData(t, permit2, permitOneType, message), c)
		if err != nil || text(p.Effects()) != fmt.Sprintf("%s COIN %v > spender", want, amount) {
			t.Errorf("2^%d: %v, %v", bits, p, err)
		}
	}
}

package evm_test

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
)

func testKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{0x46}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// randomRequest draws lengths first, so that short and long integers both occur.
func randomRequest(rng *rand.Rand) evm.Request {
	bits := func(most int) *big.Int {
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return new(big.Int).Rsh(new(big.Int).SetBytes(b), uint(256-rng.IntN(most+1)))
	}
	address := func() (a evm.Address) {
		copy(a[:], bits(256).FillBytes(make([]byte, 32)))
		a[0] |= 1
		return a
	}
	r := evm.Request{
		Kind: evm.Kind(rng.IntN(2)), ChainID: 1 + bits(62).Uint64(), Nonce: bits(63).Uint64(),
		Gas: 1 + bits(62).Uint64(), FeeCap: bits(180), To: address(), Amount: bits(255),
	}
	if r.Kind == evm.Dynamic {
		r.TipCap = new(big.Int).Rsh(r.FeeCap, uint(rng.IntN(4)))
	}
	if rng.IntN(2) == 0 {
		token := address()
		token[0] |= 2
		r.To[0] &^= 2
		r.Token = &token
	}
	return r
}

// oracle builds the same transaction with go-ethereum.
func oracle(r evm.Request) *types.Transaction {
	to, value, data, _ := r.Message()
	if r.Kind == evm.Legacy {
		return types.NewTx(&types.LegacyTx{
			Nonce: r.Nonce, GasPrice: r.FeeCap, Gas: r.Gas, To: (*common.Address)(&to), Value: value, Data: data,
		})
	}
	return types.NewTx(&types.DynamicFeeTx{
		ChainID: new(big.Int).SetUint64(r.ChainID), Nonce: r.Nonce, GasTipCap: r.TipCap, GasFeeCap: r.FeeCap,
		Gas: r.Gas, To: (*common.Address)(&to), Value: value, Data: data,
	})
}

func TestDifferential(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	key := testKey(t)
	for i := range 2000 {
		r := randomRequest(rng)
		unsigned, err := evm.Build(r)
		if err != nil {
			t.Fatalf("%d: %+v: %v", i, r, err)
		}
		tx, err := evm.Decode(unsigned)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		signer := types.LatestSignerForChainID(new(big.Int).SetUint64(r.ChainID))
		theirs := oracle(r)
		if got, want := tx.Digest(), signer.Hash(theirs); got != want {
			t.Fatalf("%d: %+v: digest %x, go-ethereum has %x", i, r, got, want)
		}
		theirs, err = types.SignTx(theirs, signer, key)
		if err != nil {
			t.Fatal(err)
		}
		want, err := theirs.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		ours := sign(t, tx, key)
		if !bytes.Equal(ours.Raw, want) || common.Hash(ours.Hash) != theirs.Hash() {
			t.Fatalf("%d: %+v: signed %x, go-ethereum has %x", i, r, ours.Raw, want)
		}
		compareFacts(t, r, tx.Facts(), theirs)
	}
}

func compareFacts(t *testing.T, r evm.Request, f evm.Facts, theirs *types.Transaction) {
	t.Helper()
	if f.Destination != r.To || f.Amount.Cmp(r.Amount) != 0 || f.Nonce != r.Nonce || f.Gas != r.Gas ||
		f.FeeCap.Cmp(r.FeeCap) != 0 || f.ChainID != r.ChainID || f.Kind != r.Kind {
		t.Fatalf("facts %+v do not fit %+v", f, r)
	}
	if f.MaxCost.Cmp(theirs.Cost()) != 0 {
		t.Fatalf("highest cost %v, go-ethereum has %v", f.MaxCost, theirs.Cost())
	}
	if (r.Token == nil) != (f.Operation == evm.NativeTransfer) || r.Token != nil && *f.Token != *r.Token {
		t.Fatalf("operation %s of token %v, asked for %v", f.Operation, f.Token, r.Token)
	}
}

func TestLines(t *testing.T) {
	token := evm.Address(bytes.Repeat([]byte{0xAB}, 20))
	r := evm.Request{
		ChainID: 137, Nonce: 7, Gas: 65000, FeeCap: big.NewInt(40), TipCap: big.NewInt(2),
		Token: &token, To: evm.Address(payee), Amount: big.NewInt(1_500_000),
	}
	want := `operation: erc20-transfer
asset: eip155:137/erc20:0xabababababababababababababababababababab
amount: 1500000
destination: 0x3535353535353535353535353535353535353535
chain-id: 137
transaction-type: eip1559
nonce: 7
gas-limit: 65000
fee-cap: 40
tip-cap: 2
max-fee: 2600000
max-cost: 2600000
`
	if got := lines(t, r); got != want {
		t.Errorf("lines of a token transfer:\n%swant:\n%s", got, want)
	}
	r.Token, r.Kind, r.TipCap = nil, evm.Legacy, nil
	want = `operation: native-transfer
asset: eip155:137/slip44:60
amount: 1500000
destination: 0x3535353535353535353535353535353535353535
chain-id: 137
transaction-type: legacy
nonce: 7
gas-limit: 65000
fee-cap: 40
max-fee: 2600000
max-cost: 4100000
`
	if got := lines(t, r); got != want {
		t.Errorf("lines of a legacy transfer:\n%swant:\n%s", got, want)
	}
}

func lines(t *testing.T, r evm.Request) string {
	t.Helper()
	unsigned, err := evm.Build(r)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := evm.Decode(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range tx.Facts().Lines() {
		fmt.Fprintf(&b, "%s: %s\n", l.Name, l.Value)
	}
	return b.String()
}

func TestFactsAreCopies(t *testing.T) {
	tx, err := evm.Decode(dynamic(t, dynamicFields()))
	if err != nil {
		t.Fatal(err)
	}
	f := tx.Facts()
	f.Amount.SetInt64(0)
	f.FeeCap.SetInt64(0)
	if g := tx.Facts(); g.Amount.Int64() != 1000 || g.FeeCap.Int64() != 30 {
		t.Errorf("facts changed to %+v", g)
	}
}

func TestBuildRefuses(t *testing.T) {
	token := evm.Address(payee)
	good := evm.Request{ChainID: 1, Gas: 21000, FeeCap: big.NewInt(30), To: evm.Address(payee), Amount: big.NewInt(1)}
	if _, err := evm.Build(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit   func(*evm.Request)
		reason string
	}{
		"negative amount":  {func(r *evm.Request) { r.Amount = big.NewInt(-1) }, "amount -1"},
		"huge amount":      {func(r *evm.Request) { r.Amount = new(big.Int).Lsh(big.NewInt(1), 256) }, "is not in"},
		"negative fee":     {func(r *evm.Request) { r.FeeCap = big.NewInt(-1) }, "negative"},
		"negative tip":     {func(r *evm.Request) { r.TipCap = big.NewInt(-1) }, "negative"},
		"tip above cap":    {func(r *evm.Request) { r.TipCap = big.NewInt(31) }, "above the fee cap"},
		"tip of legacy":    {func(r *evm.Request) { r.Kind, r.TipCap = evm.Legacy, big.NewInt(1) }, "no tip cap"},
		"unknown kind":     {func(r *evm.Request) { r.Kind = 2 }, "kind 2"},
		"no chain":         {func(r *evm.Request) { r.ChainID = 0 }, "chain id"},
		"no gas":           {func(r *evm.Request) { r.Gas = 0 }, "gas limit"},
		"no destination":   {func(r *evm.Request) { r.To = evm.Address{} }, "burnt"},
		"token to itself":  {func(r *evm.Request) { r.Token = &token }, "lost"},
		"fee above limits": {func(r *evm.Request) { r.FeeCap = new(big.Int).Lsh(big.NewInt(1), 250) }, "exceed"},
	} {
		r := good
		c.edit(&r)
		if b, err := evm.Build(r); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: built %x, %v; want an error with %q", name, b, err, c.reason)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	tx, err := evm.Decode(dynamic(t, dynamicFields()))
	if err != nil {
		t.Fatal(err)
	}
	key := testKey(t)
	from := addressOf(t, key)
	good := sign(t, tx, key)
	order := crypto.S256().Params().N
	highS := new(big.Int).Sub(order, new(big.Int).SetBytes(good.S[:]))
	word := func(x *big.Int) [32]byte { return [32]byte(x.FillBytes(make([]byte, 32))) }
	flipped := good.R
	flipped[31] ^= 1

	for name, c := range map[string]struct {
		from   evm.Address
		r, s   [32]byte
		recID  byte
		reason string
	}{
		"another sender":    {evm.Address(payee), good.R, good.S, good.RecID, "not by 0x3535"},
		"other parity":      {from, good.R, good.S, good.RecID ^ 1, "signature is by"},
		"recovery id 2":     {from, good.R, good.S, 2, "recovery id is 2"},
		"recovery id 3":     {from, good.R, good.S, 3, "recovery id is 3"},
		"recovery id 27":    {from, good.R, good.S, 27, "recovery id is 27"},
		"high s":            {from, good.R, word(highS), good.RecID ^ 1, "out of range"},
		"r is zero":         {from, [32]byte{}, good.S, good.RecID, "out of range"},
		"s is zero":         {from, good.R, [32]byte{}, good.RecID, "out of range"},
		"r is q":            {from, word(order), good.S, good.RecID, "out of range"},
		"s is q":            {from, good.R, word(order), good.RecID, "out of range"},
		"r flipped":         {from, flipped, good.S, good.RecID, "signature"},
		"r and s exchanged": {from, good.S, good.R, good.RecID, ""},
	} {
		signed, err := tx.Assemble(c.from, c.r, c.s, c.recID)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %+v, %v; want an error with %q", name, signed, err, c.reason)
		}
	}
	// a signature over another transaction
	other, err := evm.Decode(dynamic(t, with(dynamicFields(), dNonce, uint(8))))
	if err != nil {
		t.Fatal(err)
	}
	if signed, err := other.Assemble(from, good.R, good.S, good.RecID); err == nil {
		t.Errorf("signature of another transaction: assembled %+v", signed)
	}
}

func TestParseSignedRefuses(t *testing.T) {
	key := testKey(t)
	fieldsOf := func(unsigned []byte) (*evm.Signed, *big.Int, *big.Int) {
		tx, err := evm.Decode(unsigned)
		if err != nil {
			t.Fatal(err)
		}
		signed := sign(t, tx, key)
		return signed, new(big.Int).SetBytes(signed.R[:]), new(big.Int).SetBytes(signed.S[:])
	}
	d, dr, ds := fieldsOf(dynamic(t, dynamicFields()))
	l, lr, ls := fieldsOf(encode(t, legacyFields()))
	highS := new(big.Int).Sub(crypto.S256().Params().N, ds)
	dynamicSigned := func(tail ...any) []byte { return dynamic(t, append(dynamicFields(), tail...)) }
	legacySigned := func(tail ...any) []byte { return encode(t, append(legacyFields()[:6], tail...)) }

	for _, raw := range [][]byte{dynamicSigned(uint(d.RecID), dr, ds), legacySigned(37+uint(l.RecID), lr, ls)} {
		if signed, err := evm.ParseSigned(raw); err != nil || !bytes.Equal(signed.Raw, raw) {
			t.Fatalf("parse %x: %v", raw, err)
		}
	}
	for name, raw := range map[string][]byte{
		"empty":                 nil,
		"unsigned":              dynamic(t, dynamicFields()),
		"unsigned legacy":       encode(t, legacyFields()),
		"v is 2":                dynamicSigned(uint(2), dr, ds),
		"v is 27":               dynamicSigned(27+uint(d.RecID), dr, ds),
		"high s":                dynamicSigned(uint(d.RecID^1), dr, highS),
		"r is zero":             dynamicSigned(uint(d.RecID), uint(0), ds),
		"s missing":             dynamicSigned(uint(d.RecID), dr),
		"another field":         dynamicSigned(uint(d.RecID), dr, ds, uint(1)),
		"trailing byte":         append(slices.Clone(d.Raw), 0),
		"legacy without chain":  legacySigned(27+uint(l.RecID), lr, ls),
		"legacy, v of 36":       legacySigned(uint(36), lr, ls),
		"legacy, v of 9 bytes":  legacySigned(new(big.Int).Lsh(big.NewInt(1), 64), lr, ls),
		"legacy, v above chain": legacySigned(uint64(1<<64-1), lr, ls),
	} {
		if signed, err := evm.ParseSigned(raw); err == nil {
			t.Errorf("%s: accepted %+v", name, signed)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		text     string
		decimals uint8
		want     string
	}{
		{"0", 18, "0"}, {"1", 18, "1000000000000000000"}, {"1.25", 6, "1250000"}, {"0.000001", 6, "1"},
		{"115792089237316195423570985008687907853269984665640564039457584007913129639935", 0,
			"115792089237316195423570985008687907853269984665640564039457584007913129639935"},
		{"12", 0, "12"},
	} {
		got, err := evm.ParseUnits(c.text, c.decimals)
		if err != nil || got.String() != c.want {
			t.Errorf("parse %s with %d: %v, %v; want %s", c.text, c.decimals, got, err, c.want)
		} else if text := evm.FormatUnits(got, c.decimals); text != c.text {
			t.Errorf("format %v with %d: %s, want %s", got, c.decimals, text, c.text)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1_0", "0x1", " 1", "1.2.3", "1.0000000", "١"} {
		if got, err := evm.ParseUnits(text, 6); err == nil {
			t.Errorf("parse %q: accepted %v", text, got)
		}
	}
	if got, err := evm.ParseUnits("0.1", 255); err == nil { // 10²⁵⁴
		t.Errorf("parse 0.1 with 255: accepted %v, above 2²⁵⁶", got)
	}
	if text := evm.FormatUnits(big.NewInt(-1_500_000), 6); text != "-1.5" {
		t.Errorf("format −1.5: %s", text)
	}
}

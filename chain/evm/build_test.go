package evm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
)

func decodeIn(t testing.TB, unsigned []byte, c evm.Context) *evm.Payload {
	t.Helper()
	p, err := evm.DecodeIn(unsigned, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func draft() evm.Draft {
	return evm.Draft{ChainID: 1, Nonce: 7, Gas: 50000, FeeCap: big.NewInt(100), TipCap: big.NewInt(10), To: evm.Address(payee), Value: big.NewInt(1000)}
}

func TestBuildInRefuses(t *testing.T) {
	c := testContext(t)
	if _, err := evm.BuildIn(draft(), c); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		edit   func(*evm.Draft)
		reason string
	}{
		"kind 4":                          {func(d *evm.Draft) { d.Kind = 4 }, "kind 4"},
		"negative value":                  {func(d *evm.Draft) { d.Value = big.NewInt(-1) }, "negative"},
		"negative fee":                    {func(d *evm.Draft) { d.FeeCap = big.NewInt(-1) }, "negative"},
		"negative tip":                    {func(d *evm.Draft) { d.TipCap = big.NewInt(-1) }, "negative"},
		"tip of legacy":                   {func(d *evm.Draft) { d.Kind = evm.Legacy }, "no tip cap"},
		"tip of listed":                   {func(d *evm.Draft) { d.Kind = evm.Listed }, "no tip cap"},
		"tip above cap":                   {func(d *evm.Draft) { d.TipCap = big.NewInt(101) }, "above the fee cap"},
		"access list of legacy":           {func(d *evm.Draft) { d.Kind, d.TipCap, d.Access = evm.Legacy, nil, []evm.AccessEntry{{}} }, "no such list"},
		"authorization of type 2":         {func(d *evm.Draft) { d.Authorizations = [][]byte{{}} }, "no such list"},
		"authorization that is none":      {func(d *evm.Draft) { d.Kind, d.Authorizations = evm.SetCode, [][]byte{{0xc0}} }, "authorization 1"},
		"set code without authorization":  {func(d *evm.Draft) { d.Kind = evm.SetCode }, "is empty"},
		"value of 2²⁵⁶":                   {func(d *evm.Draft) { d.Value = new(big.Int).Lsh(big.NewInt(1), 256) }, "2²⁵⁶"},
		"no chain of the book":            {func(d *evm.Draft) { d.ChainID = 5 }, "not in the book"},
		"what the book does not name":     {func(d *evm.Draft) { d.To, d.Data, d.Value = nobody, transfer(nil), nil }, "no token of the book"},
		"very many addresses in its list": {func(d *evm.Draft) { d.Access = make([]evm.AccessEntry, 33) }, "more parts"},
	} {
		d := draft()
		x.edit(&d)
		if b, err := evm.BuildIn(d, c); err == nil || !strings.Contains(err.Error(), x.reason) {
			t.Errorf("%s: %x, %v; want %q", name, b, err, x.reason)
		}
	}
	for name, do := range map[string]func() ([]byte, error){
		"an operation on no asset":    func() ([]byte, error) { return evm.AssetCalldata(evm.RegisteredCall, []byte("[]")) },
		"too few arguments":           func() ([]byte, error) { return evm.AssetCalldata(evm.ERC20Approve, []byte(`["1"]`)) },
		"arguments that are no list":  func() ([]byte, error) { return evm.AssetCalldata(evm.ERC20Approve, []byte(`{}`)) },
		"an argument of another type": func() ([]byte, error) { return evm.AssetCalldata(evm.ERC20Approve, arguments("x", 5)) },
		"an amount with an exponent":  func() ([]byte, error) { return evm.Calldata("function f(uint256 a)", []byte(`[1e3]`)) },
		"a function that is none":     func() ([]byte, error) { return evm.Calldata("f(uint256)", []byte(`[1]`)) },
		"a document without a book": func() ([]byte, error) {
			return evm.BuildDocument(1, coinToken, permitType, []byte("{}"), evm.Context{})
		},
		"a document of an unknown type":  func() ([]byte, error) { return evm.BuildDocument(1, nobody, permitType, []byte("{}"), c) },
		"a document without its members": func() ([]byte, error) { return evm.BuildDocument(1, coinToken, permitType, []byte("{}"), c) },
		"a document of another's": func() ([]byte, error) {
			return evm.BuildDocument(1, coinToken, permitType, messageJSON(change(permitMessage(t), "owner", nobody.String())), c)
		},
		"an authorization to nobody": func() ([]byte, error) { return evm.BuildAuthorization(1, nobody, 7, c) },
	} {
		if b, err := do(); err == nil {
			t.Errorf("%s: built %x", name, b)
		}
	}
}

// Wallets' JSON, in any spacing and order of keys, comes into the one form that is read.
func TestCanonicalDocument(t *testing.T) {
	c := testContext(t)
	for _, of := range [][]byte{typedData(t, coinToken, permitType, permitMessage(t)), typedData(t, router, orderType, orderMessage(t)), typedData(t, safe, safeType, safeMessage(safe, "0", nil))} {
		var any map[string]any
		if err := json.Unmarshal(of, &any); err != nil {
			t.Fatal(err)
		}
		spaced, err := json.MarshalIndent(any, " ", "\t") // keys by their names
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evm.DecodeIn(spaced, c); err == nil {
			t.Error("the spaced form is read")
		}
		canonical, err := evm.CanonicalDocument(spaced)
		if err != nil || !bytes.Equal(canonical, of) {
			t.Errorf("%s became %s, %v", spaced, canonical, err)
		}
	}
	if _, err := evm.CanonicalDocument(make([]byte, evm.MaxLen+1)); err == nil {
		t.Error("a document that is too long is read")
	}
}

// What is built at random decodes to what was asked.
func TestBuildInThenDecode(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	c := testContext(t)
	own := owner(t)
	for range 400 {
		amount := new(big.Int).Rsh(new(big.Int).SetBytes(crypto.Keccak256(fmt.Append(nil, rng.Uint64()))), uint(rng.IntN(256)))
		d := evm.Draft{ChainID: 1, Nonce: rng.Uint64() >> (1 + rng.IntN(60)), Gas: 1 + rng.Uint64N(1e7), FeeCap: big.NewInt(rng.Int64N(1e12)), To: coinToken}
		d.Kind = []evm.Kind{evm.Dynamic, evm.Legacy, evm.Listed, evm.SetCode}[rng.IntN(4)]
		if d.Kind == evm.Dynamic || d.Kind == evm.SetCode {
			d.TipCap = new(big.Int).Rsh(d.FeeCap, uint(rng.IntN(3)))
		}
		for range rng.IntN(3) {
			d.Access = append(d.Access, evm.AccessEntry{Address: at(byte(rng.Uint32())), Keys: make([][32]byte, rng.IntN(3))})
		}
		if d.Kind == evm.Legacy {
			d.Access = nil
		}
		if d.Kind == evm.SetCode {
			d.Authorizations = [][]byte{encode(t, tupleOf(t, testKey(t), 1, delegates, d.Nonce+1))}
		}
		var want string
		switch rng.IntN(4) {
		case 0:
			d.Data, want = assetData(t, evm.ERC20Transfer, spender, amount), fmt.Sprintf("token COIN %v > spender", amount)
		case 1:
			d.Data, want = assetData(t, evm.ERC20Approve, spender, amount), fmt.Sprintf("allowance COIN %v > spender", amount)
			if amount.Cmp(big.NewInt(1_000_000)) > 0 {
				want = "unlimited" + strings.TrimPrefix(want, "allowance")
			}
		case 2:
			d.To, d.Data, want = bundles, assetData(t, evm.ERC1155Safe, own, spender, 9, amount, "0x"), fmt.Sprintf("token BUNDLES 9 %v > spender", amount)
		case 3:
			d.To, d.Data, want = router, functionData(t, swap, spender, amount, "0x"), "call ROUTER - > ROUTER"
		}
		unsigned, err := evm.BuildIn(d, c)
		if err != nil {
			t.Fatal(err)
		}
		p := decodeIn(t, unsigned, c)
		if d.Kind == evm.SetCode {
			want += "; authorise CODE - > CODE"
		}
		want += fmt.Sprintf("; fee %v >", new(big.Int).Mul(new(big.Int).SetUint64(d.Gas), d.FeeCap))
		to, _, data, ok := p.Message()
		if got := text(p.Effects()); got != want || !ok || to != d.To || !bytes.Equal(data, d.Data) {
			t.Fatalf("%+v has effects %s, want %s", d, got, want)
		}
		digest := p.Digest()
		signed, err := p.Assemble([]effect.Signature{signatureOf(t, digest[:])})
		if err != nil {
			t.Fatal(err)
		}
		if tx, ok := transactionID(signed.Raw, signed.ID); !ok || tx.Nonce() != d.Nonce || tx.Gas() != d.Gas || !bytes.Equal(tx.Data(), d.Data) {
			t.Fatalf("%+v: go-ethereum reads %x otherwise", d, signed.Raw)
		}
	}
}

// An account is made code in two steps: its authorization is signed, and then carried by a transaction.
func TestSetCodeInTwoSteps(t *testing.T) {
	c := testContext(t)
	unsigned, err := evm.BuildAuthorization(1, delegates, 8, c)
	if err != nil {
		t.Fatal(err)
	}
	p := decodeIn(t, unsigned, c)
	digest := p.Digest()
	signed, err := p.Assemble([]effect.Signature{signatureOf(t, digest[:])})
	if err != nil {
		t.Fatal(err)
	}
	d := draft()
	d.Kind, d.Authorizations = evm.SetCode, [][]byte{signed.Raw}
	carried, err := evm.BuildIn(d, c)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(decodeIn(t, carried, c).Effects()); got != "transfer 1000 > payee; authorise CODE - > CODE; fee 5000000 >" {
		t.Errorf("effects %s", got)
	}
	// another account of the vault may carry it, at any nonce of its own
	other := c
	other.Account.Address, other.Vault = sponsored(t), []evm.Address{owner(t)}
	d.Nonce = 99
	if _, err := evm.BuildIn(d, other); err != nil {
		t.Error(err)
	}
	other.Vault = nil
	if _, err := evm.BuildIn(d, other); err == nil {
		t.Error("an account that is not the vault's is made code")
	}
}

func TestReplacePayloads(t *testing.T) {
	c := testContext(t)
	build := func(edits ...func(*evm.Draft)) *evm.Payload {
		d := draft()
		for _, e := range edits {
			e(&d)
		}
		b, err := evm.BuildIn(d, c)
		if err != nil {
			t.Fatal(err)
		}
		return decodeIn(t, b, c)
	}
	paid := func(d *evm.Draft) { d.FeeCap, d.TipCap = big.NewInt(110), big.NewInt(11) }
	approve := func(d *evm.Draft) {
		d.To, d.Value, d.Data = coinToken, nil, assetData(t, evm.ERC20Approve, spender, 5)
	}
	call := func(d *evm.Draft) { d.To, d.Value, d.Data = router, big.NewInt(9), functionData(t, wrap, spender) }
	listed := func(d *evm.Draft) {
		d.Kind, d.TipCap, d.Access = evm.Listed, nil, []evm.AccessEntry{{Address: spender}}
	}
	code := func(d *evm.Draft) {
		d.Kind, d.Authorizations = evm.SetCode, [][]byte{encode(t, tupleOf(t, testKey(t), 1, delegates, 8))}
	}
	list := []func(*evm.Draft){approve}
	for _, x := range []struct {
		name string
		old  []func(*evm.Draft)
		next []func(*evm.Draft)
		ok   bool
	}{
		{"coins", nil, []func(*evm.Draft){paid}, true},
		{"an allowance", list, []func(*evm.Draft){approve, paid}, true},
		{"an allowance of more", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.Data = assetData(t, evm.ERC20Approve, spender, 6) }}, false},
		{"an allowance for another", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.Data = assetData(t, evm.ERC20Approve, evm.Address(payee), 5) }}, false},
		{"an allowance of another token", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.To = otherToken }}, false},
		{"the same fees", list, []func(*evm.Draft){approve}, false},
		{"a tip of less", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.TipCap = big.NewInt(10) }}, false},
		{"a cap of less", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.FeeCap = big.NewInt(109) }}, false},
		{"another nonce", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.Nonce = 8 }}, false},
		{"another gas limit", list, []func(*evm.Draft){approve, paid, func(d *evm.Draft) { d.Gas = 60000 }}, true},
		{"a call", []func(*evm.Draft){call}, []func(*evm.Draft){call, paid}, true},
		{"a call with other coins", []func(*evm.Draft){call}, []func(*evm.Draft){call, paid, func(d *evm.Draft) { d.Value = big.NewInt(8) }}, false},
		{"a list", []func(*evm.Draft){listed}, []func(*evm.Draft){listed, func(d *evm.Draft) { d.FeeCap = big.NewInt(110) }}, true},
		{"another list", []func(*evm.Draft){listed}, []func(*evm.Draft){listed, func(d *evm.Draft) { d.FeeCap = big.NewInt(110); d.Access[0].Address = nobody }}, false},
		{"code", []func(*evm.Draft){code}, []func(*evm.Draft){code, paid}, true},
		{"code left out", []func(*evm.Draft){code}, []func(*evm.Draft){paid}, false},
		{"code put in", nil, []func(*evm.Draft){code, paid}, false},
		{"coins of less than the fee rises", nil, []func(*evm.Draft){paid, func(d *evm.Draft) { d.Value = big.NewInt(999) }}, true},
		{"coins of more", nil, []func(*evm.Draft){paid, func(d *evm.Draft) { d.Value = big.NewInt(1001) }}, false},
		{"a legacy one", nil, []func(*evm.Draft){paid, func(d *evm.Draft) { d.Kind, d.TipCap = evm.Legacy, nil }}, false},
	} {
		err := build(x.next...).Replaces(build(x.old...))
		if (err == nil) != x.ok || err != nil && !errors.Is(err, evm.ErrNoReplacement) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	old := build(approve)
	faster, err := old.Faster(big.NewInt(110), big.NewInt(11), c)
	if err != nil || !bytes.Equal(faster, build(approve, paid).Unsigned()) {
		t.Errorf("faster: %x, %v", faster, err)
	}
	if _, err := old.Faster(big.NewInt(109), big.NewInt(11), c); !errors.Is(err, evm.ErrNoReplacement) {
		t.Errorf("faster for too little: %v", err)
	}
	if _, err := old.Faster(big.NewInt(-1), nil, c); err == nil {
		t.Error("faster for less than nothing")
	}
	for _, edits := range [][]func(*evm.Draft){{approve}, {code}, {listed}, {func(d *evm.Draft) { d.Kind, d.TipCap = evm.Legacy, nil }}} {
		old, tip := build(edits...), big.NewInt(11)
		if k := old.Unsigned()[0]; k != 2 && k != 4 {
			tip = nil
		}
		b, err := old.Cancel(21000, big.NewInt(110), tip, c)
		if err != nil {
			t.Error(err)
			continue
		}
		p := decodeIn(t, b, c)
		if got := text(p.Effects()); got != "fee 2310000 >" || p.Cancels(old) != nil || p.Replaces(old) == nil {
			t.Errorf("a cancellation has effects %s", got)
		}
		if err := build(paid).Cancels(old); !errors.Is(err, evm.ErrNoReplacement) {
			t.Errorf("a transfer cancels: %v", err)
		}
	}
	if _, err := old.Cancel(21000, big.NewInt(109), big.NewInt(11), c); !errors.Is(err, evm.ErrNoReplacement) {
		t.Errorf("cancelled for too little: %v", err)
	}
	document := decodeIn(t, typedData(t, coinToken, permitType, permitMessage(t)), c)
	if document.Replaces(old) == nil || document.Cancels(old) == nil || old.Replaces(document) == nil {
		t.Error("a document takes a transaction's place")
	}
	if _, err := document.Faster(big.NewInt(110), nil, c); err == nil {
		t.Error("a document is made faster")
	}
	if _, err := document.Cancel(1, nil, nil, c); err == nil {
		t.Error("a document is cancelled by a transaction")
	}
}

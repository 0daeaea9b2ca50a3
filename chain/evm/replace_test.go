package evm

import (
	"errors"
	"math/big"
	"testing"
)

// Each field of a replacement, one at a time.
func TestReplaces(t *testing.T) {
	build := func(edit func(*Request)) Facts {
		t.Helper()
		r := Request{Kind: Dynamic, ChainID: 1, Nonce: 7, Gas: 21000, FeeCap: big.NewInt(1001), TipCap: big.NewInt(10), To: Address{1}, Amount: big.NewInt(1e12)}
		if edit != nil {
			edit(&r)
		}
		raw, err := Build(r)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		return tx.Facts()
	}
	paid := func(r *Request) { r.FeeCap, r.TipCap = big.NewInt(1102), big.NewInt(11) }
	token := func(r *Request) { r.Token, r.Amount = &Address{9}, big.NewInt(50) }
	legacy := func(r *Request) { r.Kind, r.TipCap = Legacy, nil }
	for name, c := range map[string]struct {
		old, next func(*Request)
		ok        bool
	}{
		"a tenth more":                    {nil, paid, true},
		"the same":                        {nil, nil, false},
		"a fee cap of less":               {nil, func(r *Request) { paid(r); r.FeeCap = big.NewInt(1101) }, false},
		"a tip of less":                   {nil, func(r *Request) { paid(r); r.TipCap = big.NewInt(10) }, false},
		"another gas limit":               {nil, func(r *Request) { paid(r); r.Gas = 30000 }, true},
		"another chain":                   {nil, func(r *Request) { paid(r); r.ChainID = 2 }, false},
		"another nonce":                   {nil, func(r *Request) { paid(r); r.Nonce = 8 }, false},
		"another destination":             {nil, func(r *Request) { paid(r); r.To = Address{2} }, false},
		"a token instead":                 {nil, func(r *Request) { paid(r); token(r) }, false},
		"another type":                    {nil, func(r *Request) { paid(r); legacy(r) }, false},
		"more is sent":                    {nil, func(r *Request) { paid(r); r.Amount.Add(r.Amount, big.NewInt(1)) }, false},
		"less by what the fee rises":      {nil, func(r *Request) { paid(r); r.Amount.Sub(r.Amount, big.NewInt(21000*101)) }, true},
		"less by a wei more":              {nil, func(r *Request) { paid(r); r.Amount.Sub(r.Amount, big.NewInt(21000*101+1)) }, false},
		"of a token":                      {token, func(r *Request) { token(r); paid(r) }, true},
		"less of a token":                 {token, func(r *Request) { token(r); paid(r); r.Amount = big.NewInt(49) }, false},
		"another token":                   {token, func(r *Request) { token(r); paid(r); r.Token = &Address{8} }, false},
		"of the old kind":                 {legacy, func(r *Request) { legacy(r); r.FeeCap = big.NewInt(1102) }, true},
		"of the old kind, for too little": {legacy, func(r *Request) { legacy(r); r.FeeCap = big.NewInt(1101) }, false},
		"no tip, and none":                {func(r *Request) { r.TipCap = new(big.Int) }, func(r *Request) { paid(r); r.TipCap = new(big.Int) }, false},
	} {
		err := Replaces(build(c.next), build(c.old))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrNoReplacement) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for price, want := range map[int64]int64{0: 1, 1: 2, 9: 10, 10: 11, 11: 13, 100: 110} {
		if got := Bumped(big.NewInt(price)); got.Int64() != want {
			t.Errorf("%d: %v, not %d", price, got, want)
		}
	}
}

// Of two calls each byte must be the same.
func TestReplacesCall(t *testing.T) {
	call := func(data byte, fee int64) Facts {
		raw, err := BuildCall(CallRequest{Kind: Dynamic, ChainID: 1, Gas: 40000, FeeCap: big.NewInt(fee), TipCap: big.NewInt(fee), To: Address{3}, Data: []byte{1, 2, 3, data}})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := DecodeCall(raw, AnyCall)
		if err != nil {
			t.Fatal(err)
		}
		return tx.Facts()
	}
	if err := Replaces(call(4, 110), call(4, 100)); err != nil {
		t.Error(err)
	}
	if Replaces(call(5, 110), call(4, 100)) == nil {
		t.Error("another call")
	}
}

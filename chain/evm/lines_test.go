package evm_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
)

// linesOf is what people read of a payload; an error where nobody is shown anything.
func linesOf(unsigned []byte) ([]evm.Line, error) {
	tx, err := evm.Decode(unsigned)
	if err != nil {
		return nil, err
	}
	return tx.Facts().Lines(), nil
}

// readLines is who has the lines alone, and rebuilds the transaction from them.
func readLines(lines []evm.Line) (r evm.Request, err error) {
	number := func(text string) *big.Int {
		n, ok := new(big.Int).SetString(text, 10)
		if !ok {
			err = fmt.Errorf("%q is no number", text)
			return new(big.Int)
		}
		return n
	}
	for _, l := range lines {
		switch v := l.Value; l.Name {
		case "asset":
			if _, token, ok := strings.Cut(v, "/erc20:"); ok {
				r.Token = new(evm.Address)
				err = r.Token.UnmarshalText([]byte(token))
			}
		case "amount":
			r.Amount = number(v)
		case "destination":
			err = r.To.UnmarshalText([]byte(v))
		case "chain-id":
			r.ChainID, err = strconv.ParseUint(v, 10, 64)
		case "transaction-type":
			if v == "legacy" {
				r.Kind = evm.Legacy
			}
		case "nonce":
			r.Nonce, err = strconv.ParseUint(v, 10, 64)
		case "gas-limit":
			r.Gas, err = strconv.ParseUint(v, 10, 64)
		case "fee-cap":
			r.FeeCap = number(v)
		case "tip-cap":
			r.TipCap = number(v)
		}
		if err != nil {
			return r, fmt.Errorf("line %s: %w", l.Name, err)
		}
	}
	return r, nil
}

// rebuilt wants that a payload's lines alone give the payload, byte for byte: then nothing of it
// can change without a line changing.
func rebuilt(t testing.TB, unsigned []byte, lines []evm.Line) {
	t.Helper()
	r, err := readLines(lines)
	if err != nil {
		t.Fatalf("%x: %v", unsigned, err)
	}
	if built, err := evm.Build(r); err != nil || !bytes.Equal(built, unsigned) {
		t.Fatalf("the lines of %x say %x, %v", unsigned, built, err)
	}
}

// wide are numbers that fill their fields.
func wide(kind evm.Kind, token *evm.Address) evm.Request {
	return evm.Request{
		Kind: kind, ChainID: 11155111, Nonce: 1<<63 + 5, Gas: 0x0102030405, FeeCap: big.NewInt(0x0a0b0c0d0e0f), TipCap: big.NewInt(0x0a0b0c0d0e),
		Token: token, To: evm.Address(bytes.Repeat([]byte{0x11, 0xfe}, 10)), Amount: new(big.Int).SetBytes(bytes.Repeat([]byte{0x5a}, 31)),
	}
}

func payloads(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{
		"dynamic": dynamic(t, dynamicFields()), "legacy": encode(t, legacyFields()), "token": dynamic(t, tokenFields(transfer(nil))),
		"legacy token": encode(t, with(with(with(legacyFields(), lTo, token), lValue, uint(0)), lData, transfer(nil))),
	}
	address := evm.Address(token)
	for _, kind := range []evm.Kind{evm.Dynamic, evm.Legacy} {
		for name, token := range map[string]*evm.Address{"coin": nil, "token": &address} {
			r := wide(kind, token)
			if kind == evm.Legacy {
				r.TipCap = nil
			}
			b, err := evm.Build(r)
			if err != nil {
				t.Fatal(err)
			}
			out["wide "+kind.String()+" "+name] = b
		}
	}
	return out
}

// mutants are a payload with one byte changed to each other value, with each byte left out, and
// with bytes put in before each.
func mutants(b []byte, yield func(what string, mutant []byte)) {
	for at := range b {
		for by := 1; by < 256; by++ {
			m := bytes.Clone(b)
			m[at] ^= byte(by)
			yield(fmt.Sprintf("byte %d is 0x%02x", at, m[at]), m)
		}
		yield(fmt.Sprintf("byte %d is gone", at), slices.Delete(bytes.Clone(b), at, at+1))
	}
	for at := range len(b) + 1 {
		for _, x := range []byte{0, 1, 0x7f, 0x80, 0x81, 0xc0, 0xff} {
			yield(fmt.Sprintf("0x%02x before byte %d", x, at), slices.Insert(bytes.Clone(b), at, x))
		}
	}
}

// No byte of a transaction changes but a line does, or the whole is refused.
func TestEveryByteChangesALine(t *testing.T) {
	for name, b := range payloads(t) {
		lines, err := linesOf(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rebuilt(t, b, lines)
		read := 0
		mutants(b, func(what string, mutant []byte) {
			others, err := linesOf(mutant)
			if err != nil {
				return
			}
			read++
			if slices.Equal(others, lines) {
				t.Errorf("%s: %s, and what is shown stays the same", name, what)
			}
			rebuilt(t, mutant, others)
		})
		if read < 200 {
			t.Errorf("%s: only %d mutants are transactions: the rest proves little", name, read)
		}
	}
}

// Random transactions, of all lengths of numbers, are what their lines say.
func TestLinesSayAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b, err := evm.Build(randomRequest(rng))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := linesOf(b)
		if err != nil {
			t.Fatal(err)
		}
		rebuilt(t, b, lines)
	}
}

// A field that changes shows in its own line, and in those that follow from it.
func TestEachFieldHasItsLine(t *testing.T) {
	base := func() evm.Request {
		coin := evm.Address(token)
		return evm.Request{
			ChainID: 1, Nonce: 7, Gas: 65000, FeeCap: big.NewInt(40), TipCap: big.NewInt(2), Token: &coin, To: evm.Address(payee), Amount: big.NewInt(1_500_000),
		}
	}
	show := func(r evm.Request) map[string]string {
		b, err := evm.Build(r)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := linesOf(b)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, l := range lines {
			out[l.Name] = l.Value
		}
		return out
	}
	old := show(base())
	for name, c := range map[string]struct {
		change func(*evm.Request)
		lines  []string
	}{
		"chain id":    {func(r *evm.Request) { r.ChainID = 10 }, []string{"asset", "chain-id"}},
		"nonce":       {func(r *evm.Request) { r.Nonce++ }, []string{"nonce"}},
		"gas limit":   {func(r *evm.Request) { r.Gas++ }, []string{"gas-limit", "max-cost", "max-fee"}},
		"fee cap":     {func(r *evm.Request) { r.FeeCap = big.NewInt(41) }, []string{"fee-cap", "max-cost", "max-fee"}},
		"tip cap":     {func(r *evm.Request) { r.TipCap = big.NewInt(3) }, []string{"tip-cap"}},
		"token":       {func(r *evm.Request) { r.Token[19] ^= 1 }, []string{"asset"}},
		"destination": {func(r *evm.Request) { r.To[19] ^= 1 }, []string{"destination"}},
		"amount":      {func(r *evm.Request) { r.Amount = big.NewInt(1_500_001) }, []string{"amount"}},
		"type":        {func(r *evm.Request) { r.Kind, r.TipCap = evm.Legacy, nil }, []string{"tip-cap", "transaction-type"}},
		"coin":        {func(r *evm.Request) { r.Token = nil }, []string{"asset", "max-cost", "operation"}},
	} {
		r := base()
		c.change(&r)
		shown := show(r)
		var changed []string
		for _, line := range []string{
			"amount", "asset", "chain-id", "destination", "fee-cap", "gas-limit", "max-cost", "max-fee", "nonce", "operation", "tip-cap", "transaction-type",
		} {
			if shown[line] != old[line] {
				changed = append(changed, line)
			}
		}
		if !slices.Equal(changed, c.lines) {
			t.Errorf("%s changes %v, want %v", name, changed, c.lines)
		}
	}
}

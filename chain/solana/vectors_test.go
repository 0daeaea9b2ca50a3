package solana_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
)

type vectors struct {
	Keys         map[string]string
	Transactions []struct{ Name, Message, Signed, Signature string }
	Associated   []struct{ Wallet, Mint, Program, Address string }
	Seeds        []struct{ Base, Seed, Address string }
	Accounts     []struct {
		Name, Owner, Data, Kind, Hook, Mint, Holder, Authority, Nonce string
		Decimals                                                      uint8
		Extensions                                                    []uint16
		Size                                                          uint64
		Frozen, Memo, Closer                                          bool
	}
	Table struct {
		Key       string
		Addresses []string
	}
	TableData struct {
		Data      string
		Addresses []string
	}
}

func load(t *testing.T) (v vectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/web3.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Transactions) < 14 {
		t.Fatalf("%d transactions, %v", len(v.Transactions), err)
	}
	return v
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// say writes effects as "operation amount contract destination".
func say(effects []effect.Effect) string {
	var all []string
	names := map[string]string{"": "-", wallet.String(): "wallet", delegate.String(): "delegate", stranger.String(): "stranger", mint.String(): "mint", taxed.String(): "taxed"}
	name := func(s string) string {
		if n := names[s]; n != "" {
			return n
		}
		return s
	}
	for _, e := range effects {
		all = append(all, fmt.Sprintf("%s %v %s %s", e.Operation, e.Amount, name(e.Contract), name(e.Destination)))
	}
	return strings.Join(all, "; ")
}

// What @solana/web3.js and @solana/spl-token build is decoded, means this, and is assembled to the same bytes.
func TestVectors(t *testing.T) {
	want := map[string]string{
		"sol, legacy":                 "transfer 1500000000 - wallet; fee 5000 - -",
		"sol, version 0, priority":    "transfer 1 - wallet; fee 7470 - -", // 200,001 × 12,345 / 1,000,000 = 2,469.01…
		"token, opened, memo":         "transfer 2039280 - wallet; token 2500000 mint wallet; fee 5000 - -",
		"token-2022, taxed":           "token 1000 taxed wallet; fee 5000 - -",
		"nonce, created":              "fee 5000 - -",
		"sol, durable":                "transfer 5 - wallet; fee 5000 - -",
		"nonce, advanced":             "fee 5000 - -",
		"nonce, withdrawn":            "fee 5000 - -",
		"token account, closed":       "fee 5000 - -",
		"allowance, checked":          "allowance 77 mint delegate; fee 5000 - -",
		"allowance, unlimited":        "unlimited 18446744073709551615 mint delegate; fee 5000 - -",
		"allowance, revoked":          "fee 5000 - -",
		"sol, two signers":            "transfer 3 - wallet; fee 10000 - -",
		"sol and token, lookup table": "transfer 9 - wallet; token 1 mint wallet; fee 5000 - -",
	}
	v := load(t)
	for _, c := range v.Transactions {
		t.Run(c.Name, func(t *testing.T) {
			message := unhex(t, c.Message)
			unsigned, err := solana.Wrap(message, context(reading()))
			if err != nil {
				t.Fatal(err)
			}
			tx, err := solana.Decode(unsigned, context(reading()))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(tx.Message(), message) || !bytes.Equal(tx.Unsigned(), unsigned) {
				t.Errorf("message %x", tx.Message())
			}
			if got := say(tx.Effects()); got != want[c.Name] {
				t.Errorf("does %q, want %q", got, want[c.Name])
			}
			s, err := tx.Assemble(signAll(t, tx))
			if err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(s.Raw) != c.Signed || s.ID != base58.Encode(unhex(t, c.Signature)) {
				t.Errorf("signed %x, id %s", s.Raw, s.ID)
			}
			again, err := tx.Published(unhex(t, c.Signed))
			if err != nil || again.ID != s.ID {
				t.Errorf("published: %v, %v", again, err)
			}
			delete(want, c.Name)
		})
	}
	if len(want) > 0 {
		t.Errorf("no vector for %v", want)
	}
}

func TestAddressVectors(t *testing.T) {
	v := load(t)
	for name, k := range map[string]key{"payer": payer, "wallet": wallet, "nonce": nonce, "mint": mint, "taxed": taxed, "token": odd, "block": block} {
		if v.Keys[name] != k.String() {
			t.Errorf("%s is %s, web3.js has %s", name, k, v.Keys[name])
		}
	}
	for _, c := range v.Associated {
		if got, err := solana.AssociatedAccount(keyOf(c.Wallet), keyOf(c.Mint), keyOf(c.Program)); err != nil || got.String() != c.Address {
			t.Errorf("account of %s for %s under %s is %s, %v; want %s", c.Wallet, c.Mint, c.Program, got, err, c.Address)
		}
	}
	for _, c := range v.Seeds {
		if got, err := solana.SeedAddress(keyOf(c.Base), c.Seed); err != nil || got.String() != c.Address {
			t.Errorf("seed %q gives %s, %v; want %s", c.Seed, got, err, c.Address)
		}
	}
	if len(v.Associated) != 16 || len(v.Seeds) != 3 {
		t.Errorf("%d and %d vectors", len(v.Associated), len(v.Seeds))
	}
}

func TestAccountVectors(t *testing.T) {
	v := load(t)
	for _, c := range v.Accounts {
		var want solana.Account
		switch c.Kind {
		case "mint":
			want = solana.Account{Kind: solana.Mint, Program: keyOf(c.Owner), Decimals: c.Decimals, Extensions: c.Extensions, Hook: keyOf(c.Hook)}
		case "token":
			want = solana.Account{Kind: solana.TokenAccount, Program: keyOf(c.Owner), Mint: keyOf(c.Mint), Owner: keyOf(c.Holder), Frozen: c.Frozen, MemoRequired: c.Memo, Closer: c.Closer}
		case "nonce":
			want = solana.Account{Kind: solana.NonceAccount, Authority: keyOf(c.Authority), Nonce: keyOf(c.Nonce)}
		}
		got, err := solana.ReadAccount(keyOf(c.Owner), unhex(t, c.Data), false)
		if len(want.Extensions) == 0 {
			want.Extensions = nil
		}
		if err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("%s: %v, %v; want %v", c.Name, got, err, want)
		}
		if program, err := solana.ReadAccount(keyOf(c.Owner), unhex(t, c.Data), true); err != nil || program.Kind != solana.Other {
			t.Errorf("%s: a program is %v, %v", c.Name, program, err)
		}
	}
	keys, err := solana.ReadTable(unhex(t, v.TableData.Data))
	if err != nil || len(keys) != 2 || keys[0].String() != v.TableData.Addresses[0] || keys[1].String() != v.TableData.Addresses[1] {
		t.Errorf("table %v, %v", keys, err)
	}
}

// What a wallet's new token account costs follows from the mint's extensions: the sizes are spl-token's.
func TestRentVectors(t *testing.T) {
	for _, c := range load(t).Accounts {
		if c.Kind != "mint" {
			continue
		}
		program := keyOf(c.Owner)
		w := reading()
		a, err := solana.ReadAccount(program, unhex(t, c.Data), false)
		if err != nil {
			t.Fatal(err)
		}
		a.Hook = key{} // whose transfers are refused; the size stays
		a.Extensions = without(a.Extensions, 9)
		w.Accounts[mint] = a
		tx, err := decode(t, w, layOut(true, payer, block, openToken(payer, ata(wallet, mint, program), wallet, mint, program, 1)))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		size := c.Size
		if strings.Contains(c.Name, "many") {
			size -= 4 // non-transferable, which is refused
		}
		if want := fmt.Sprintf("transfer %d - wallet; fee 5000 - -", (128+size)*6960); say(tx.Effects()) != want {
			t.Errorf("%s: %s, want %s", c.Name, say(tx.Effects()), want)
		}
	}
}

func without(all []uint16, n uint16) (out []uint16) {
	for _, x := range all {
		if x != n {
			out = append(out, x)
		}
	}
	return out
}

func decode(t testing.TB, w solana.Readings, p *parts) (*solana.Transaction, error) {
	t.Helper()
	unsigned, err := solana.Wrap(p.bytes(), context(w))
	if err != nil {
		return nil, err
	}
	return solana.Decode(unsigned, context(w))
}

// A transaction of mainnet, by others' software and keys: two signers, a durable nonce, USDT.
func TestMainnet(t *testing.T) {
	raw := mainnetRaw(t)
	s, err := solana.ParseSigned(raw)
	if err != nil {
		t.Fatal(err)
	}
	const id = "5Nnhjv1GVB8T1k8MguUGHQw5zQQQsWET1f1zzj8azRhnVoYQPoZPtkscPCKy6FisP2eVWehjU1EYV8zywqKm5if4"
	if s.ID != id || len(s.Signers) != 2 {
		t.Errorf("id %s of %d signers", s.ID, len(s.Signers))
	}
	// keys by their places in the message
	at := func(i int) key { return key(s.Message[4+32*i:]) }
	usdt := keyOf("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
	value := keyOf("9xp5Jz2v7ZsE3Xn5SVGkRisjo7h16vzF1ducwhWnc5n9")
	c := solana.Context{Chain: chain, Own: func(k key) ([3]uint32, bool) { return [3]uint32{}, k == at(0) || k == at(1) }, World: solana.Readings{Accounts: map[key]solana.Account{
		at(2): {Kind: solana.NonceAccount, Authority: at(1), Nonce: value},
		usdt:  {Kind: solana.Mint, Program: tokenProgram, Decimals: 6},
		at(3): {Kind: solana.TokenAccount, Program: tokenProgram, Mint: usdt, Owner: at(0)},
		at(4): {Kind: solana.TokenAccount, Program: tokenProgram, Mint: usdt, Owner: wallet},
	}}}
	unsigned, err := solana.Wrap(s.Message, c)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := solana.Decode(unsigned, c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := say(tx.Effects()), fmt.Sprintf("token %d %s wallet; fee 10000 - -", uint64(0xf03c68394), usdt); got != want {
		t.Errorf("does %q, want %q", got, want)
	}
	if spends := tx.Spends(); len(spends) != 1 || spends[0] != fmt.Sprintf("%s nonce %s %s", chain, at(2), value) {
		t.Errorf("spends %q", spends)
	}
	if again, err := tx.Published(raw); err != nil || again.ID != id {
		t.Errorf("published: %v, %v", again, err)
	}
}

// Accounts that contradict themselves are misread by nobody.
func TestReadAccountRefuses(t *testing.T) {
	aMint := func(tlv ...byte) []byte {
		b := make([]byte, 165)
		b[44], b[45] = 6, 1
		return append(append(b, 1), tlv...)
	}
	aToken := func(tlv ...byte) []byte {
		b := make([]byte, 165)
		b[108] = 1
		return append(append(b, 2), tlv...)
	}
	set := func(b []byte, at int, v byte) []byte { b[at] = v; return b }
	var many []byte
	for i := range 65 {
		many = append(many, byte(100+i), 0, 0, 0)
	}
	for name, c := range map[string]struct {
		owner  key
		data   []byte
		reason string
	}{
		"longer than any":             {systemProgram, make([]byte, 10<<20+1), "more than any"},
		"mint with dirty padding":     {token22, set(aMint(18, 0, 0, 0), 100, 1), "padding"},
		"extension longer than it":    {token22, aMint(18, 0, 1, 0), "longer than the account"},
		"65 extensions":               {token22, aMint(many...), "more than 64"},
		"extension twice":             {token22, aMint(18, 0, 0, 0, 18, 0, 0, 0), "stands twice"},
		"short transfer hook":         {token22, aMint(14, 0, 1, 0, 0), "has 1 bytes, not 64"},
		"token account of state 3":    {tokenProgram, set(aToken()[:165], 108, 3), "state 3"},
		"close authority of option 2": {tokenProgram, set(aToken()[:165], 129, 2), "close authority 2"},
		"memo of two bytes":           {token22, aToken(8, 0, 2, 0, 1, 0), "one byte"},
		"memo of 2":                   {token22, aToken(8, 0, 1, 0, 2), "one byte"},
	} {
		if a, err := solana.ReadAccount(c.owner, c.data, false); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, %v; want %q", name, a, err, c.reason)
		}
	}
	for name, c := range map[string]struct {
		owner key
		data  []byte
	}{
		"System's data":            {systemProgram, make([]byte, 79)},
		"nonce account, old":       {systemProgram, make([]byte, 80)},
		"mint, not initialised":    {tokenProgram, make([]byte, 82)},
		"account, not initialised": {tokenProgram, make([]byte, 165)},
		"multisig":                 {token22, make([]byte, 355)},
		"extended, of Token":       {tokenProgram, aMint(18, 0, 0, 0)},
		"of neither type":          {token22, set(aMint(18, 0, 0, 0), 165, 3)},
		"another program's mint":   {stranger, aMint()[:82]},
		"between the sizes":        {token22, make([]byte, 100)},
	} {
		if a, err := solana.ReadAccount(c.owner, c.data, false); err != nil || a.Kind != solana.Other || a.Program != c.owner {
			t.Errorf("%s: %v, %v; want an account of another kind", name, a, err)
		}
	}
	table := make([]byte, 56+64)
	table[0] = 1
	if keys, err := solana.ReadTable(table); err != nil || len(keys) != 2 {
		t.Errorf("table %v, %v", keys, err)
	}
	for name, b := range map[string][]byte{"empty": nil, "cut": table[:len(table)-1], "head alone, cut": table[:55], "257 addresses": append(set(make([]byte, 56), 0, 1), make([]byte, 257*32)...), "of state 0": make([]byte, 56), "of state 2": set(make([]byte, 56), 0, 2)} {
		if keys, err := solana.ReadTable(b); err == nil {
			t.Errorf("table, %s: %v", name, keys)
		}
	}
}

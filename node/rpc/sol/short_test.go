package sol_test

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// A stage is a chain on which a case of TestShort is set up.
type stage struct {
	*litesvm.Node
	t            *testing.T
	plain, taxed litesvm.Token
}

// has sets what a wallet holds.
func (s stage) has(k solana.Key, lamports uint64) {
	s.SetAccount(s.t, k, litesvm.Account{Lamports: lamports, Owner: solana.System})
}

func (s stage) at(of litesvm.Token, wallet solana.Key) solana.Key {
	k, err := solana.AssociatedAccount(wallet, of.Mint, of.Program)
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// sets changes the bytes of a token account that holds an amount, of Token.
func (s stage) sets(of litesvm.Token, amount uint64, change func(data []byte)) solana.Key {
	data := make([]byte, 165)
	copy(data, of.Mint[:])
	copy(data[32:], own[:])
	binary.LittleEndian.PutUint64(data[64:], amount)
	data[108] = 1
	change(data)
	k := s.at(of, own)
	s.SetAccount(s.t, k, litesvm.Account{Lamports: 2_039_280, Owner: solana.SPLToken, Data: data})
	return k
}

// wrapped is SOL as a token, of which the vault has so much.
func (s stage) wrapped(amount uint64) litesvm.Token {
	of := litesvm.Token{Mint: mustKey("So11111111111111111111111111111111111111112"), Program: solana.SPLToken, Decimals: 9}
	mint := make([]byte, 82)
	mint[44], mint[45] = 9, 1
	s.SetAccount(s.t, of.Mint, litesvm.Account{Lamports: 1e9, Owner: solana.SPLToken, Data: mint})
	k := s.sets(of, amount, func(data []byte) {
		data[109] = 1
		binary.LittleEndian.PutUint64(data[113:], 2_039_280)
	})
	data := make([]byte, 165)
	copy(data, of.Mint[:])
	copy(data[32:], own[:])
	binary.LittleEndian.PutUint64(data[64:], amount)
	data[108], data[109] = 1, 1
	binary.LittleEndian.PutUint64(data[113:], 2_039_280)
	s.SetAccount(s.t, k, litesvm.Account{Lamports: 2_039_280 + amount, Owner: solana.SPLToken, Data: data})
	return of
}

func (s stage) pays(of litesvm.Token, amount uint64, open bool, more ...solana.Step) []solana.Step {
	p := solana.TokenPayment{Program: of.Program, Mint: of.Mint, Owner: own, Wallet: payee, Amount: amount, Decimals: of.Decimals, Open: open}
	if of.Program == solana.Token2022 {
		fee := amount / 100
		p.Fee = &fee
	}
	steps, err := solana.Pay(p)
	if err != nil {
		s.t.Fatal(err)
	}
	return append(steps, more...)
}

// nonce makes the vault's nonce account, which holds so many lamports.
func (s stage) nonce(lamports uint64) solana.Key {
	k, err := solana.SeedAddress(own, "one")
	if err != nil {
		s.t.Fatal(err)
	}
	data := make([]byte, 80)
	data[0], data[4] = 1, 1
	copy(data[8:], own[:])
	data[40] = 9
	s.SetAccount(s.t, k, litesvm.Account{Lamports: lamports, Owner: solana.System, Data: data})
	return k
}

func (s stage) opens(lamports uint64) []solana.Step {
	_, steps, err := solana.CreateNonce(own, own, "one", own, lamports)
	if err != nil {
		s.t.Fatal(err)
	}
	return steps
}

const (
	least = 890_880   // an account without data holds at least
	rich  = 1_000_000 // of tokens
	fee   = 5_000 + 200_000*1_000/1_000_000
)

// What is said to be short the real runtime refuses, and what it takes is not: were it otherwise, a payment would wait for ever that could land, or what never lands would use up an emergency's caps.
func TestShort(t *testing.T) {
	either := map[string]bool{"little was there before": true, "the payee has little, and gets little": true} // releases of the chain differ
	for name, c := range map[string]struct {
		want string // empty: it lands
		set  func(s stage) []solana.Step
	}{
		"all that there is": {"", func(s stage) []solana.Step {
			s.has(own, 2_000_000)
			return []solana.Step{solana.Transfer(own, payee, 2_000_000-fee)}
		}},
		"a lamport more": {"lamports left where this node reads, and instruction 3 takes", func(s stage) []solana.Step {
			s.has(own, 2_000_000)
			return []solana.Step{solana.Transfer(own, payee, 2_000_000-fee+1)}
		}},
		"no fee": {"and the fee takes 5200", func(s stage) []solana.Step {
			s.has(own, 5_000)
			s.has(payee, least)
			return []solana.Step{solana.Transfer(own, payee, 1)}
		}},
		"little is left": {"would hold 494800 lamports in the end", func(s stage) []solana.Step {
			s.has(own, 2_000_000)
			return []solana.Step{solana.Transfer(own, payee, 1_500_000)}
		}},
		"just enough is left": {"", func(s stage) []solana.Step {
			s.has(own, 2_000_000+least)
			return []solana.Step{solana.Transfer(own, payee, 2_000_000-fee)}
		}},
		"the fee leaves little": {"once the fee is paid", func(s stage) []solana.Step {
			s.has(own, least+fee-1)
			s.has(payee, least)
			return []solana.Step{solana.Transfer(own, payee, least-1)}
		}},
		"little was there before": {"", func(s stage) []solana.Step {
			s.has(own, 500_000)
			s.has(payee, least)
			return []solana.Step{solana.Transfer(own, payee, 100_000)}
		}},
		"the payee gets little": {"would hold 889999 lamports in the end", func(s stage) []solana.Step {
			return []solana.Step{solana.Transfer(own, payee, 889_999)}
		}},
		"the payee has enough": {"", func(s stage) []solana.Step {
			s.has(payee, least)
			return []solana.Step{solana.Transfer(own, payee, 1)}
		}},
		"the payee has little, and gets little": {"", func(s stage) []solana.Step {
			s.has(payee, 500_000)
			return []solana.Step{solana.Transfer(own, payee, 1)}
		}},
		"all tokens, and the account's end": {"", func(s stage) []solana.Step {
			s.Give(t, s.plain, payee, 1)
			s.Give(t, s.plain, own, rich)
			return s.pays(s.plain, rich, false, solana.Close(solana.SPLToken, s.at(s.plain, own), own, own))
		}},
		"a token more": {"which holds 1000000 of its smallest unit where this node reads", func(s stage) []solana.Step {
			s.Give(t, s.plain, payee, 1)
			s.Give(t, s.plain, own, rich)
			return s.pays(s.plain, rich+1, false)
		}},
		"the payment twice": {"which holds 400000 of its smallest unit", func(s stage) []solana.Step {
			s.Give(t, s.plain, payee, 1)
			s.Give(t, s.plain, own, rich)
			return s.pays(s.plain, 600_000, false, s.pays(s.plain, 600_001, false)...)
		}},
		"an end with tokens in it": {"in which 1 of the token's smallest unit are left", func(s stage) []solana.Step {
			s.Give(t, s.plain, payee, 1)
			s.Give(t, s.plain, own, rich)
			return s.pays(s.plain, rich-1, false, solana.Close(solana.SPLToken, s.at(s.plain, own), own, own))
		}},
		"a frozen account": {"is frozen", func(s stage) []solana.Step {
			s.Give(t, s.plain, payee, 1)
			s.sets(s.plain, rich, func(data []byte) { data[108] = 2 })
			return s.pays(s.plain, rich, false)
		}},
		"an account that another closes": {"which another than its owner may close", func(s stage) []solana.Step {
			k := s.sets(s.plain, 0, func(data []byte) { data[129] = 1; copy(data[133:], nobody[:]) })
			return []solana.Step{solana.Close(solana.SPLToken, k, own, own)}
		}},
		"a token account is made": {"", func(s stage) []solana.Step {
			s.Give(t, s.plain, own, rich)
			s.has(own, 2_039_280+fee+least)
			return s.pays(s.plain, 5, true)
		}},
		"nothing to make it with": {"lamports left where this node reads, and instruction 3 takes 2039280", func(s stage) []solana.Step {
			s.Give(t, s.plain, own, rich)
			s.has(own, 2_039_279+fee)
			return s.pays(s.plain, 5, true)
		}},
		"somebody sent some of it": {"", func(s stage) []solana.Step {
			s.Give(t, s.plain, own, rich)
			s.has(s.at(s.plain, payee), 1_000_000)
			s.has(own, 1_039_280+fee)
			return s.pays(s.plain, 5, true)
		}},
		"it is there": {"", func(s stage) []solana.Step {
			s.Give(t, s.plain, payee, 1)
			s.Give(t, s.plain, own, rich)
			s.has(own, least+fee)
			return s.pays(s.plain, 5, true)
		}},
		"one of Token-2022 is made": {"", func(s stage) []solana.Step {
			s.Give(t, s.taxed, own, rich)
			s.has(own, (128+182)*6_960+fee)
			return s.pays(s.taxed, 500, true)
		}},
		"a lamport less": {"lamports left where this node reads", func(s stage) []solana.Step {
			s.Give(t, s.taxed, own, rich)
			s.has(own, (128+182)*6_960+fee-1)
			return s.pays(s.taxed, 500, true)
		}},
		"wrapped SOL, and the account's end": {"", func(s stage) []solana.Step {
			of := s.wrapped(rich)
			s.has(own, least+fee)
			k := s.at(of, own)
			return []solana.Step{solana.Close(solana.SPLToken, k, own, own), solana.Transfer(own, payee, rich+2_039_280)}
		}},
		"more wrapped SOL": {"which holds 1000000 of its smallest unit", func(s stage) []solana.Step {
			return s.pays(s.wrapped(rich), rich+1, true)
		}},
		"a nonce account":    {"", func(s stage) []solana.Step { return s.opens(solana.NonceRent) }},
		"too little for one": {"would hold 1447679 lamports in the end", func(s stage) []solana.Step { return s.opens(solana.NonceRent - 1) }},
		"a nonce account where something lies": {"where something lies already", func(s stage) []solana.Step {
			k, _ := solana.SeedAddress(own, "one")
			s.has(k, least)
			return s.opens(solana.NonceRent)
		}},
		"a nonce account's end": {"", func(s stage) []solana.Step {
			return []solana.Step{solana.WithdrawNonce(s.nonce(solana.NonceRent), own, own, solana.NonceRent)}
		}},
		"what lies there besides": {"", func(s stage) []solana.Step {
			return []solana.Step{solana.WithdrawNonce(s.nonce(solana.NonceRent+7), own, own, 7)}
		}},
		"more than that": {"leaves 1447679 lamports in nonce account", func(s stage) []solana.Step {
			return []solana.Step{solana.WithdrawNonce(s.nonce(solana.NonceRent+7), own, own, 8)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n := litesvm.Start(t)
			p := both(t, n)
			s := stage{n, t, n.Mint(t, 6), n.MintWithFee(t, 2, 100, 5_000)}
			s.has(own, 1e9)
			steps := c.set(s)
			tx, raw := decoded(t, p, solana.Request{Payer: own, Blockhash: n.Blockhash(t), UnitLimit: 200_000, UnitPrice: 1_000, Steps: steps})
			_, writes := tx.Execution()
			held, err := p.Holdings(t.Context(), writes)
			if err != nil {
				t.Fatal(err)
			}
			short := tx.Short(held)
			refusal := n.Try(t, nil, "sendTransaction", base64.StdEncoding.EncodeToString(raw), map[string]any{"encoding": "base64"})
			switch {
			case (short == nil) != (refusal == nil) && !either[name]:
				t.Fatalf("it is said to be short: %v; the runtime: %+v", short, refusal)
			case c.want == "" && short != nil, c.want != "" && (short == nil || !strings.Contains(short.Error(), c.want)):
				t.Errorf("%v; want %q", short, c.want)
			}
			if short != nil || either[name] {
				return
			}
			after, err := tx.Run(held)
			if err != nil {
				t.Fatal(err)
			}
			is, err := p.Holdings(t.Context(), writes)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range writes {
				if is.Of[k] != after.Of[k] {
					t.Errorf("%s holds %+v, and should hold %+v", k, is.Of[k], after.Of[k])
				}
			}
		})
	}
}

// Endpoints are some blocks apart: the least that any of them says counts, and one that lies that there is nothing makes a payment wait, no more.
func TestHoldingsOfTwo(t *testing.T) {
	a, b := litesvm.Start(t), litesvm.Start(t)
	p := dial(t, a.URL, strings.Replace(b.URL, "127.0.0.1", "localhost", 1))
	a.Airdrop(t, own, 3_000_000)
	b.Airdrop(t, own, 2_000_000)
	h, err := p.Holdings(t.Context(), []solana.Key{own, nobody})
	if err != nil || h.Of[own].Lamports != 2_000_000 || h.Of[nobody] != (solana.Holding{}) || h.Least != least {
		t.Errorf("%+v, %v", h, err)
	}
	var many []solana.Key
	for i := range sol.MaxAccounts {
		many = append(many, solana.Key{1, byte(i)})
	}
	if h, err := p.Holdings(t.Context(), append(many, own)); err != nil || len(h.Of) != sol.MaxAccounts+1 || h.Of[own].Lamports != 2_000_000 {
		t.Errorf("of many: %+v, %v", h, err)
	}
}

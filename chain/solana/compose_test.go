package solana_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
)

// What these tests write transactions with is theirs alone: it shares nothing with the code that they test.

type key = solana.Key

const chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

func keyOf(text string) key {
	k, err := solana.ParseKey(text)
	if err != nil {
		panic(err)
	}
	return k
}

// private is the key of seed n, 7, 7, … as testdata/vectors.mjs has it.
func private(n byte) ed25519.PrivateKey {
	seed := bytes.Repeat([]byte{7}, 32)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

func public(n byte) key { return key(private(n).Public().(ed25519.PublicKey)) }

var (
	payer, second, wallet, delegate = public(1), public(2), public(3), public(4)
	stranger, helper                = public(5), public(6)
	mint, taxed, odd                = public(10), public(11), public(12)
	block, nonceValue, oldNonce     = public(20), public(21), public(22)
	nonce                           = mustSeed(payer, "nonce-1")
	tableKey                        = public(30)

	systemProgram = key{}
	tokenProgram  = keyOf("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
	token22       = keyOf("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
	ataProgram    = keyOf("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
	budgetProgram = keyOf("ComputeBudget111111111111111111111111111111")
	memoProgram   = keyOf("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
	recentSysvar  = keyOf("SysvarRecentB1ockHashes11111111111111111111")
	rentSysvar    = keyOf("SysvarRent111111111111111111111111111111111")
)

func mustSeed(base key, seed string) key {
	k, err := solana.SeedAddress(base, seed)
	if err != nil {
		panic(err)
	}
	return k
}

var derived = map[[3]key]key{}

// ata is asked for the same few accounts all the time.
func ata(owner, mint, program key) key {
	if k, ok := derived[[3]key{owner, mint, program}]; ok {
		return k
	}
	k, err := solana.AssociatedAccount(owner, mint, program)
	if err != nil {
		panic(err)
	}
	derived[[3]key{owner, mint, program}] = k
	return k
}

func own(k key) ([3]uint32, bool) {
	switch k {
	case payer:
		return [3]uint32{1, 2, 3}, true
	case second:
		return [3]uint32{1, 2, 4}, true
	}
	return [3]uint32{}, false
}

// reading is what an honest node read.
func reading() solana.Readings {
	token := func(program, mint, owner key) solana.Account {
		return solana.Account{Kind: solana.TokenAccount, Program: program, Mint: mint, Owner: owner}
	}
	return solana.Readings{
		Recents: map[key]bool{block: true},
		Tables:  map[key][]key{tableKey: {public(31), wallet, mint, ata(wallet, mint, tokenProgram)}},
		Accounts: map[key]solana.Account{
			wallet: {}, delegate: {}, stranger: {},
			nonce:                             {Kind: solana.NonceAccount, Authority: payer, Nonce: nonceValue},
			mint:                              {Kind: solana.Mint, Program: tokenProgram, Decimals: 6},
			taxed:                             {Kind: solana.Mint, Program: token22, Decimals: 2, Extensions: []uint16{1, 18}},
			ata(payer, mint, tokenProgram):    token(tokenProgram, mint, payer),
			ata(wallet, mint, tokenProgram):   token(tokenProgram, mint, wallet),
			ata(payer, taxed, token22):        token(token22, taxed, payer),
			ata(wallet, taxed, token22):       token(token22, taxed, wallet),
			odd:                               token(token22, taxed, wallet),
			ata(second, mint, tokenProgram):   token(tokenProgram, mint, second),
			ata(stranger, mint, tokenProgram): token(tokenProgram, mint, stranger),
		},
	}
}

func context(w solana.World) solana.Context { return solana.Context{Chain: chain, Own: own, World: w} }

type meta struct {
	key              key
	signer, writable bool
}

type in struct {
	program  key
	accounts []meta
	data     []byte
}

// parts are a message before it is written, so that a test may spoil it.
type parts struct {
	prefix  []byte
	header  [3]byte
	keys    []key
	block   key
	ins     []part
	lookups []look
	tail    []byte
}

type part struct {
	program  byte
	accounts []byte
	data     []byte
}

type look struct {
	table              key
	writable, readonly []byte
}

// layOut orders the accounts of a message whose payer is payer, of version 0 or legacy.
func layOut(v0 bool, from key, block key, ins ...in) *parts {
	p := &parts{block: block}
	if v0 {
		p.prefix = []byte{0x80}
	}
	need := []meta{{from, true, true}}
	add := func(m meta) {
		for i := range need {
			if need[i].key == m.key {
				need[i].signer, need[i].writable = need[i].signer || m.signer, need[i].writable || m.writable
				return
			}
		}
		need = append(need, m)
	}
	for _, i := range ins {
		for _, m := range i.accounts {
			add(m)
		}
		add(meta{key: i.program})
	}
	for _, class := range []struct{ signer, writable bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		for _, m := range need {
			if m.signer != class.signer || m.writable != class.writable {
				continue
			}
			p.keys = append(p.keys, m.key)
			switch {
			case m.signer && m.writable:
				p.header[0]++
			case m.signer:
				p.header[0]++
				p.header[1]++
			case !m.writable:
				p.header[2]++
			}
		}
	}
	for _, i := range ins {
		q := part{program: byte(slices.Index(p.keys, i.program)), data: i.data}
		for _, m := range i.accounts {
			q.accounts = append(q.accounts, byte(slices.Index(p.keys, m.key)))
		}
		p.ins = append(p.ins, q)
	}
	return p
}

func compact(n int) []byte {
	switch {
	case n < 0x80:
		return []byte{byte(n)}
	case n < 0x4000:
		return []byte{byte(n) | 0x80, byte(n >> 7)}
	}
	return []byte{byte(n) | 0x80, byte(n>>7) | 0x80, byte(n >> 14)}
}

func (p *parts) bytes() []byte {
	b := append(slices.Clone(p.prefix), p.header[:]...)
	b = append(b, compact(len(p.keys))...)
	for _, k := range p.keys {
		b = append(b, k[:]...)
	}
	b = append(append(b, p.block[:]...), compact(len(p.ins))...)
	for _, i := range p.ins {
		b = append(append(append(b, i.program), compact(len(i.accounts))...), i.accounts...)
		b = append(append(b, compact(len(i.data))...), i.data...)
	}
	if len(p.prefix) == 1 && p.prefix[0] == 0x80 {
		b = append(b, compact(len(p.lookups))...)
		for _, l := range p.lookups {
			b = append(b, l.table[:]...)
			b = append(append(b, compact(len(l.writable))...), l.writable...)
			b = append(append(b, compact(len(l.readonly))...), l.readonly...)
		}
	}
	return append(b, p.tail...)
}

// Instructions, as the programs' documentation has them.

func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func sendSOL(from, to key, lamports uint64) in {
	return in{systemProgram, []meta{{from, true, true}, {to, false, true}}, join(u32(2), u64(lamports))}
}

func sendToken(program, source, mint, to, owner key, amount uint64, decimals byte) in {
	return in{program, []meta{{source, false, true}, {mint, false, false}, {to, false, true}, {owner, true, false}}, join([]byte{12}, u64(amount), []byte{decimals})}
}

func sendTaxed(source, mint, to, owner key, amount uint64, decimals byte, fee uint64) in {
	i := sendToken(token22, source, mint, to, owner, amount, decimals)
	i.data = join([]byte{26, 1}, u64(amount), []byte{decimals}, u64(fee))
	return i
}

func openToken(from, account, owner, mint, program key, data ...byte) in {
	return in{ataProgram, []meta{{from, true, true}, {account, false, true}, {owner, false, false}, {mint, false, false}, {systemProgram, false, false}, {program, false, false}}, data}
}

func advance(account, authority key) in {
	return in{systemProgram, []meta{{account, false, true}, {recentSysvar, false, false}, {authority, true, false}}, u32(4)}
}

func unitLimit(n uint32) in { return in{budgetProgram, nil, join([]byte{2}, u32(n))} }
func unitPrice(n uint64) in { return in{budgetProgram, nil, join([]byte{3}, u64(n))} }
func note(text string) in   { return in{memoProgram, nil, []byte(text)} }

func usual() in {
	return sendToken(tokenProgram, ata(payer, mint, tokenProgram), mint, ata(wallet, mint, tokenProgram), payer, 2500000, 6)
}

// recorder is a World that remembers what it was asked.
type recorder struct {
	solana.Readings
	accounts, tables []key
}

func (r *recorder) Account(k key) (solana.Account, bool) {
	if !slices.Contains(r.accounts, k) {
		r.accounts = append(r.accounts, k)
	}
	return r.Readings.Account(k)
}

func (r *recorder) Table(k key) ([]key, bool) {
	r.tables = append(r.tables, k)
	return r.Readings.Table(k)
}

func field(tag uint16, value []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, tag)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

func number(tag uint16, v uint64) []byte { return field(tag, binary.BigEndian.AppendUint64(nil, v)) }

func list(tag uint16, items ...[]byte) []byte {
	return field(tag, append(binary.BigEndian.AppendUint32(nil, uint32(len(items))), join(items...)...))
}

func enclosedOf(k key, a solana.Account) []byte {
	var body []byte
	switch a.Kind {
	case solana.NonceAccount:
		body = join(field(1, a.Authority[:]), field(2, a.Nonce[:]))
	case solana.Mint:
		var x []byte
		for _, n := range a.Extensions {
			x = binary.BigEndian.AppendUint16(x, n)
		}
		body = join(field(1, a.Program[:]), number(2, uint64(a.Decimals)), field(3, x), field(4, a.Hook[:]))
	case solana.TokenAccount:
		flags := uint64(0)
		if a.Frozen {
			flags |= 1
		}
		if a.MemoRequired {
			flags |= 2
		}
		if a.Closer {
			flags |= 4
		}
		body = join(field(1, a.Program[:]), field(2, a.Mint[:]), field(3, a.Owner[:]), number(4, flags))
	case solana.Other:
		body = field(1, a.Program[:])
	}
	return join(field(1, k[:]), number(2, uint64(a.Kind)), field(3, body))
}

// form writes an unsigned form.
func form(message []byte, tables [][]byte, enclosed [][]byte) []byte {
	return join(number(1, 1), field(2, message), list(3, tables...), list(4, enclosed...))
}

// sealed writes the unsigned form of any message with the readings that decoding asks for.
func sealed(message []byte, p *parts, w solana.Readings) []byte {
	r := &recorder{Readings: w}
	_, _ = solana.Wrap(message, context(r))
	var tables, enclosed [][]byte
	for _, l := range p.lookups {
		var all []byte
		for _, i := range slices.Concat(l.writable, l.readonly) {
			if t := w.Tables[l.table]; int(i) < len(t) {
				all = append(all, t[i][:]...)
			}
		}
		tables = append(tables, join(field(1, l.table[:]), field(2, all)))
	}
	for _, k := range r.accounts {
		if a, ok := w.Accounts[k]; ok {
			enclosed = append(enclosed, enclosedOf(k, a))
		}
	}
	return form(message, tables, enclosed)
}

// signAll signs as the quorum would.
func signAll(t testing.TB, tx *solana.Transaction) []effect.Signature {
	t.Helper()
	var all []effect.Signature
	for _, u := range tx.Uses() {
		for n := byte(1); n <= 2; n++ {
			if public(n).String() == u.Address {
				all = append(all, effect.Signature{Bytes: [64]byte(ed25519.Sign(private(n), u.Message))})
			}
		}
	}
	return all
}

// orderFour encodes a point of order 4: y = 0, and the other root for x than the System program's address, which is one too.
var orderFour = key{31: 0x80}

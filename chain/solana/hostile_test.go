package solana_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
)

type hostile struct {
	name    string
	payload []byte
	world   solana.Readings // what the node read
	field   string          // of the refusal
	reason  string          // part of it
}

func usualParts() *parts { return layOut(true, payer, block, usual()) }

// edit spoils a message.
func edit(p *parts, change func(*parts)) *parts { change(p); return p }

// row is an unsigned form with honest readings around any message.
func row(name string, p *parts, field, reason string) hostile {
	return hostile{name, sealed(p.bytes(), p, reading()), reading(), field, reason}
}

// in1 is a row of instructions alone.
func in1(name, reason string, ins ...in) hostile {
	return row(name, layOut(true, payer, block, ins...), "instruction 1", reason)
}

func raw(name string, message []byte, field, reason string) hostile {
	return hostile{name, form(message, nil, nil), reading(), field, reason}
}

// read is a node's reading with one account changed.
func read(k key, change func(*solana.Account)) solana.Readings {
	w := reading()
	a := w.Accounts[k]
	change(&a)
	w.Accounts[k] = a
	return w
}

func TestHostileBaselines(t *testing.T) {
	withTable := edit(layOut(true, payer, block, sendSOL(payer, stranger, 1)), func(p *parts) {
		p.keys = slices.DeleteFunc(p.keys, func(k key) bool { return k == stranger })
		p.lookups = []look{{tableKey, []byte{1}, nil}} // wallet
		p.ins = []part{{1, []byte{0, 2}, p.ins[0].data}}
	})
	for name, p := range map[string]*parts{
		"token": usualParts(), "legacy": layOut(false, payer, block, usual()), "sol": layOut(true, payer, block, sendSOL(payer, wallet, 5)),
		"table": withTable, "durable": layOut(false, payer, nonceValue, advance(nonce, payer), usual()),
		"taxed": layOut(true, payer, block, unitLimit(9), unitPrice(1), note("x"), sendTaxed(ata(payer, taxed, token22), taxed, ata(wallet, taxed, token22), payer, 50, 2, 1)),
	} {
		b := sealed(p.bytes(), p, reading())
		if tx, err := solana.Decode(b, context(reading())); err != nil {
			t.Errorf("%s: %v: the table of hostile payloads would prove nothing", name, err)
		} else if !bytes.Equal(tx.Unsigned(), b) {
			t.Errorf("%s: encodes as %x, not %x", name, tx.Unsigned(), b)
		}
	}
}

// TestHostile is the display-versus-bytes table: each payload would show one thing and be another, or be what nobody can judge.
func TestHostile(t *testing.T) {
	table := slices.Concat(hostileForms(), hostileReadings(), hostileTables(), hostileMessages(), hostileHeaders(), hostileSystem(), hostileNonces(),
		hostileTransfers(), hostileMints(), hostileTokens(), hostileOthers())
	if len(table) < 150 {
		t.Fatalf("only %d payloads", len(table))
	}
	seen := map[string]bool{}
	for _, h := range table {
		if seen[h.name] {
			t.Errorf("%s stands twice", h.name)
		}
		seen[h.name] = true
		t.Run(h.name, func(t *testing.T) {
			tx, err := solana.Decode(h.payload, context(h.world))
			var refused *solana.Refused
			if !errors.As(err, &refused) {
				t.Fatalf("accepted %x: %+v, %v", h.payload, tx, err)
			}
			if refused.Field != h.field || !strings.Contains(refused.Reason, h.reason) {
				t.Errorf("refused with %q, want field %q and %q", err, h.field, h.reason)
			}
		})
	}
}

func hostileForms() []hostile {
	p := usualParts()
	m, good := p.bytes(), sealed(p.bytes(), p, reading())
	r := reading()
	order := []key{mint, ata(payer, mint, tokenProgram), ata(wallet, mint, tokenProgram)}
	enclosed := func() (c [][]byte) {
		for _, k := range order {
			c = append(c, enclosedOf(k, r.Accounts[k]))
		}
		return c
	}
	f := func(name string, b []byte, reason string) hostile {
		return hostile{name, b, reading(), "unsigned form", reason}
	}
	with := func(i int, body []byte, kind uint64) []byte {
		c := enclosed()
		c[i] = join(field(1, order[i][:]), number(2, kind), field(3, body))
		return form(m, nil, c)
	}
	token := func(flags uint64, program key) []byte {
		return join(field(1, program[:]), field(2, mint[:]), field(3, payer[:]), number(4, flags))
	}
	aMint := func(decimals uint64, x []byte) []byte {
		return join(field(1, token22[:]), number(2, decimals), field(3, x), field(4, make([]byte, 32)))
	}
	swapped := enclosed()
	swapped[0], swapped[1] = swapped[1], swapped[0]
	many := [][]byte{}
	for i := range 65 {
		many = append(many, enclosedOf(public(byte(100+i)), solana.Account{}))
	}
	tables := [][]byte{}
	for range 9 {
		tables = append(tables, join(field(1, tableKey[:]), field(2, nil)))
	}
	return []hostile{
		f("empty", nil, "field 1: ends too early"),
		f("oversized", make([]byte, solana.MaxLen+1), "more than"),
		f("bare message", m, "found field"),
		f("a bare hash", bytes.Repeat([]byte{0x77}, 32), "found field"),
		f("form 0", join(number(1, 0), good[14:]), "version 0"),
		f("form 2", join(number(1, 2), good[14:]), "is 2"),
		f("no message", number(1, 1), "field 2"),
		f("message longer than a packet", form(make([]byte, 1233), nil, nil), "1233 bytes"),
		f("trailing byte", append(slices.Clone(good), 0), "1 bytes too many"),
		f("trailing second form", append(slices.Clone(good), good...), "bytes too many"),
		f("truncated", good[:len(good)-1], "ends too early"),
		f("tables after readings", join(number(1, 1), field(2, m), list(4), list(3)), "found field 4"),
		f("nine tables", form(m, tables, nil), "9 items"),
		f("half an address in a table", form(m, [][]byte{join(field(1, tableKey[:]), field(2, make([]byte, 33)))}, nil), "no addresses"),
		f("65 readings", form(m, nil, many), "65 items"),
		f("reading of kind 5", with(0, nil, 5), "at most 4"),
		f("reading with a short address", form(m, nil, [][]byte{join(field(1, mint[:31]), number(2, 0), field(3, nil))}), "31 bytes"),
		f("wallet with more", with(0, field(1, mint[:]), 0), "too many"),
		f("mint with 256 decimals", with(0, aMint(256, nil), 2), "256"),
		f("mint with extensions out of order", with(0, aMint(6, []byte{0, 18, 0, 1}), 2), "do not ascend"),
		f("mint with an extension twice", with(0, aMint(6, []byte{0, 18, 0, 18}), 2), "do not ascend"),
		f("mint with half an extension", with(0, aMint(6, []byte{0, 18, 0}), 2), "no extensions"),
		f("token account with an unknown flag", with(1, token(8, tokenProgram), 3), "at most 7"),
		f("token account of another program", with(1, token(0, memoProgram), 3), "not owned"),
		f("token account with a trailing byte", with(1, append(token(0, tokenProgram), 0), 3), "too many"),
		f("a reading too many", form(m, nil, append(enclosed(), enclosedOf(stranger, solana.Account{}))), "4 accounts, and 3 are needed"),
		{"a reading too few", form(m, nil, enclosed()[:2]), reading(), "account " + order[2].String(), "says nothing of it"},
		{"no readings", form(m, nil, nil), reading(), "account " + order[0].String(), "says nothing of it"},
		{"readings in another order", form(m, nil, swapped), reading(), "account " + order[0].String(), "says nothing of it"},
	}
}

// lie is an unsigned form whose initiator encloses what is not so: theirs is what they say, ours what this node read.
func lie(name string, p *parts, k key, theirs, ours func(*solana.Account), reason string) hostile {
	return hostile{name, sealed(p.bytes(), p, read(k, theirs)), read(k, ours), "account " + k.String(), reason}
}

func as(a solana.Account) func(*solana.Account) { return func(b *solana.Account) { *b = a } }
func honest(*solana.Account)                    {}

func hostileReadings() []hostile {
	from, to := ata(payer, mint, tokenProgram), ata(wallet, mint, tokenProgram)
	tax := layOut(true, payer, block, sendTaxed(ata(payer, taxed, token22), taxed, ata(wallet, taxed, token22), payer, 50, 2, 1))
	plain := layOut(true, payer, block, sendToken(token22, ata(payer, taxed, token22), taxed, odd, payer, 50, 2))
	durable := layOut(true, payer, nonceValue, advance(nonce, payer), sendSOL(payer, wallet, 1))
	token := func(k key) solana.Account { return reading().Accounts[k] }
	strangers := token(to)
	strangers.Owner = stranger
	untaxed := func(a *solana.Account) { a.Extensions = []uint16{18} }
	other := "the unsigned form encloses"
	rows := []hostile{
		lie("owner of the destination is another", usualParts(), to, honest, as(strangers), other),
		lie("look-alike token of other decimals", usualParts(), mint, honest, func(a *solana.Account) { a.Decimals = 9 }, other),
		lie("token of the other program", usualParts(), mint, honest, func(a *solana.Account) { a.Program = token22 }, other),
		lie("destination of another mint", usualParts(), to, honest, func(a *solana.Account) { a.Mint = taxed }, other),
		lie("destination is frozen", usualParts(), to, honest, func(a *solana.Account) { a.Frozen = true }, other),
		lie("destination wants a memo", usualParts(), to, honest, func(a *solana.Account) { a.MemoRequired = true }, other),
		lie("destination has a hidden closer", usualParts(), to, honest, func(a *solana.Account) { a.Closer = true }, other),
		lie("source is another's", usualParts(), from, honest, func(a *solana.Account) { a.Owner = stranger }, other),
		lie("destination is not there", usualParts(), to, honest, as(solana.Account{}), other),
		lie("mint is a program's account", usualParts(), mint, honest, as(solana.Account{Kind: solana.Other, Program: stranger}), other),
		lie("hidden transfer fee", plain, taxed, untaxed, honest, other),
		lie("hidden transfer hook", tax, taxed, honest, func(a *solana.Account) { a.Hook = stranger; a.Extensions = []uint16{1, 14, 18} }, other),
		lie("hidden permanent delegate", tax, taxed, honest, func(a *solana.Account) { a.Extensions = []uint16{1, 12, 18} }, other),
		lie("wallet that is a token account", layOut(true, payer, block, sendSOL(payer, wallet, 1)), wallet, honest, as(token(to)), other),
		lie("nonce that has moved on", durable, nonce, honest, func(a *solana.Account) { a.Nonce = oldNonce }, other),
		lie("nonce account of another", durable, nonce, honest, func(a *solana.Account) { a.Authority = stranger }, other),
		lie("nonce account that is gone", durable, nonce, honest, as(solana.Account{}), other),
		lie("reading with fields of another kind", usualParts(), to, honest, func(a *solana.Account) { a.Nonce = oldNonce }, "misread"),
		lie("reading of an unknown kind", usualParts(), to, honest, as(solana.Account{Kind: 9}), "misread"),
	}
	for _, k := range []key{mint, from, to} {
		h := row("account that was not read, "+k.String(), usualParts(), "account "+k.String(), "did not show it")
		h.world.Accounts = maps.Clone(h.world.Accounts)
		delete(h.world.Accounts, k)
		rows = append(rows, h)
	}
	return rows
}

// tabled pays the account at a place of the lookup table.
func tabled(place byte) *parts {
	return edit(layOut(true, payer, block, sendSOL(payer, stranger, 1)), func(p *parts) {
		p.keys = []key{payer, systemProgram}
		p.lookups = []look{{tableKey, []byte{place}, nil}}
		p.ins = []part{{1, []byte{0, 2}, p.ins[0].data}}
	})
}

func hostileTables() []hostile {
	field := "lookup table " + tableKey.String()
	good := sealed(tabled(1).bytes(), tabled(1), reading())
	h := func(name string, change func(*solana.Readings), field, reason string) hostile {
		w := reading()
		change(&w)
		return hostile{name, good, w, field, reason}
	}
	item := func(k key, all ...key) []byte {
		var b []byte
		for _, a := range all {
			b = append(b, a[:]...)
		}
		return join(fieldOf(1, k[:]), fieldOf(2, b))
	}
	enclosed := func(tables ...[]byte) []byte {
		return form(tabled(1).bytes(), tables, [][]byte{enclosedOf(wallet, solana.Account{})})
	}
	program := edit(tabled(1), func(p *parts) { p.ins[0].program = 2 })
	double := edit(tabled(1), func(p *parts) { p.lookups = append(p.lookups, p.lookups[0]) })
	none := edit(tabled(1), func(p *parts) { p.lookups = append(p.lookups, look{public(33), nil, nil}) })
	unread := edit(tabled(1), func(p *parts) { p.lookups[0].table = public(33) })
	static := edit(tabled(1), func(p *parts) { p.keys = append(p.keys, wallet); p.header[2] = 2 })
	legacy := edit(tabled(1), func(p *parts) { p.prefix = nil; p.ins[0].accounts = []byte{0, 2} })
	unused := edit(tabled(1), func(p *parts) { p.lookups[0].readonly = []byte{0} })
	again := edit(tabled(1), func(p *parts) { p.lookups[0].readonly = []byte{1} })
	permission := edit(tabled(1), func(p *parts) { p.lookups[0] = look{tableKey, nil, []byte{1}} })
	advanced := edit(layOut(true, payer, nonceValue, advance(nonce, payer)), func(p *parts) {
		i := byte(slices.Index(p.keys, nonce))
		last := byte(len(p.keys) - 1)
		p.keys = slices.Delete(p.keys, int(i), int(i)+1)
		for j, a := range p.ins[0].accounts {
			switch {
			case a == i:
				p.ins[0].accounts[j] = last
			case a > i:
				p.ins[0].accounts[j]--
			}
		}
		p.ins[0].program--
		p.lookups = []look{{tableKey, []byte{4}, nil}}
	})
	long := reading()
	long.Tables[tableKey] = append(long.Tables[tableKey], nonce)
	return []hostile{
		h("substituted table", func(w *solana.Readings) { w.Tables[tableKey] = []key{public(31), stranger} }, field, "where the unsigned form encloses"),
		h("table that cannot be read", func(w *solana.Readings) { w.Tables = nil }, field, "did not show it"),
		h("table that is shorter", func(w *solana.Readings) { w.Tables[tableKey] = w.Tables[tableKey][:1] }, field, "asks for number 1"),
		{"readings of no table", enclosed(), reading(), "lookup tables", "0 beside it"},
		{"readings of a second table", enclosed(item(tableKey, wallet), item(public(33), wallet)), reading(), "lookup tables", "2 beside it"},
		{"readings of another table", enclosed(item(public(33), wallet)), reading(), field, "speaks of"},
		{"readings of more places", enclosed(item(tableKey, wallet, mint)), reading(), field, "speaks of 2 places"},
		{"enclosed address is another", enclosed(item(tableKey, stranger)), reading(), field, "where the unsigned form encloses"},
		row("place behind the table's end", tabled(200), field, "asks for number 200"),
		row("program from a table", program, "instruction 1", "stand in the message itself"),
		row("table twice", double, "lookup table", "stands twice"),
		row("table for nothing", none, "lookup table", "is asked for no account"),
		row("table that nobody knows", unread, "lookup table "+public(33).String(), "did not show it"),
		row("account in message and table", static, "accounts", "stands twice"),
		row("legacy with a table's account", legacy, "instruction 1", "names account 2, of 2"),
		row("unused account of a table", unused, "account "+public(31).String(), "used by no instruction"),
		row("account of a table twice", again, "accounts", "stands twice"),
		row("account of a table without permission", permission, "account "+wallet.String(), "is read-only"),
		{"nonce account from a table", sealed(advanced.bytes(), advanced, long), long, "instruction 1", "comes from a lookup table"},
	}
}

func fieldOf(tag uint16, b []byte) []byte { return field(tag, b) }

func hostileMessages() []hostile {
	good := usualParts().bytes()
	legacy := layOut(false, payer, block, usual()).bytes()
	count := 4 // of accounts, in version 0
	replace := func(at, n int, by ...byte) []byte { return slices.Replace(slices.Clone(good), at, at+n, by...) }
	n := good[count]
	insAt := count + 1 + 32*int(n) + 32
	signed := append([]byte{1}, append(make([]byte, 64), good...)...)
	crowd := usualParts()
	for i := range 20 {
		crowd.keys = append(crowd.keys, public(byte(50+i)))
	}
	crowd.tail = nil
	var ins []in
	for i := range 41 {
		ins = append(ins, in{memoProgram, nil, []byte{byte('a' + i%26)}})
	}
	wide := edit(layOut(true, payer, block, sendSOL(payer, wallet, 1)), func(p *parts) {
		for i := range 3 {
			p.lookups = append(p.lookups, look{public(byte(60 + i)), bytes.Repeat([]byte{1}, 21), nil})
		}
	})
	return []hostile{
		raw("empty message", nil, "message", "is empty"),
		raw("message of a packet's whole size", make([]byte, 1200), "message", "beside its signatures"),
		raw("version 1", append([]byte{0x81}, good[1:]...), "version", "is 1"),
		raw("version 127, an off-chain message", append([]byte("\xffsolana offchain"), good...), "version", "off-chain"),
		raw("version 126", append([]byte{0xfe}, good[1:]...), "version", "is 126"),
		raw("signed transaction", signed, "message", "followed by"),
		raw("trailing zero", append(slices.Clone(good), 0), "message", "followed by 1"),
		raw("trailing second message", append(slices.Clone(good), good...), "message", "followed by"),
		raw("legacy with a trailing table list", append(slices.Clone(legacy), 0), "message", "followed by 1"),
		raw("version 0 without table list", good[:len(good)-1], "lookup tables", "ends within it"),
		raw("truncated header", good[:2], "read-only signers", "ends within it"),
		raw("truncated accounts", good[:40], "accounts", "more than the message has bytes for"),
		raw("truncated blockhash", good[:insAt-1], "blockhash", "ends within it"),
		raw("no instruction count", good[:insAt], "instructions", "ends within it"),
		raw("truncated instruction", good[:insAt+4], "instruction's accounts", "more than the message has bytes for"),
		raw("account count in two bytes", replace(count, 1, n|0x80, 0), "accounts", "shortest form"),
		raw("account count in three bytes", replace(count, 1, n|0x80, 0x80, 0), "accounts", "shortest form"),
		raw("account count in four bytes", replace(count, 1, n|0x80, 0x80, 0x80, 0), "accounts", "more than 3 bytes"),
		raw("account count above 65535", replace(count, 1, 0xff, 0xff, 0x7f), "accounts", "above 65535"),
		raw("account count of 65535", replace(count, 1, 0xff, 0xff, 0x03), "accounts", "more than the message has bytes for"),
		raw("instruction count in two bytes", replace(insAt, 1, 0x81, 0), "instructions", "shortest form"),
		raw("account list's length in two bytes", replace(insAt+2, 1, 0x84, 0), "instruction's accounts", "shortest form"),
		raw("data's length in two bytes", replace(insAt+7, 1, 0x8a, 0), "instruction's data", "shortest form"),
		raw("data's length one too large", replace(insAt+7, 1, 12), "instruction's data", "more than the message has bytes for"),
		raw("table count in two bytes", append(good[:len(good)-1:len(good)-1], 0x80, 0), "lookup tables", "shortest form"),
		raw("zero accounts", edit(usualParts(), func(p *parts) { p.keys = nil }).bytes(), "signers", "of 0 accounts"),
		raw("no instructions", edit(usualParts(), func(p *parts) { p.ins = nil }).bytes(), "instructions", "are none"),
		raw("41 instructions", layOut(true, payer, block, ins...).bytes(), "instructions", "are 41"),
		raw("program is the payer", edit(usualParts(), func(p *parts) { p.ins[0].program = 0 }).bytes(), "instruction 1", "fee payer"),
		raw("program that is not there", edit(usualParts(), func(p *parts) { p.ins[0].program = 9 }).bytes(), "instruction 1", "its program is account 9"),
		raw("account that is not there", edit(usualParts(), func(p *parts) { p.ins[0].accounts[2] = 9 }).bytes(), "instruction 1", "names account 9, of 5"),
		raw("more than a packet with its signatures", edit(crowd, func(p *parts) { p.header[0] = 4; p.ins[0].data = make([]byte, 1167-1007+30) }).bytes(), "message", "packet"),
		raw("more accounts than the chain locks", wide.bytes(), "accounts", "more than 64"),
	}
}

func hostileHeaders() []hostile {
	at := func(k key) string { return "account " + k.String() }
	head := func(name string, change func(*parts), field, reason string) hostile {
		return row(name, edit(usualParts(), change), field, reason)
	}
	from, to := ata(payer, mint, tokenProgram), ata(wallet, mint, tokenProgram)
	return []hostile{
		head("no signers", func(p *parts) { p.header[0] = 0 }, "signers", "are none"),
		head("five signers", func(p *parts) { p.header[0] = 5 }, "signers", "more than 4"),
		head("payer is read-only", func(p *parts) { p.header[1] = 1 }, "read-only signers", "must be writable"),
		head("more read-only than there are", func(p *parts) { p.header[2] = 5 }, "read-only accounts", "of 4"),
		head("another's key signs too", func(p *parts) { p.header[0] = 2 }, "signers", "signer "+from.String()+" is none of this vault's"),
		head("fee payer is a stranger", func(p *parts) { p.keys[0] = stranger }, "signers", "fee payer "+stranger.String()),
		head("mint is writable", func(p *parts) { p.header[2] = 1 }, at(mint), "is writable, and no instruction writes it"),
		head("destination is read-only", func(p *parts) { p.header[2] = 3 }, at(to), "is read-only, though"),
		head("account twice", func(p *parts) { p.keys[2] = p.keys[1] }, "accounts", "stands twice"),
		head("account for nothing", func(p *parts) { p.keys = append(p.keys, stranger); p.header[2]++ }, at(stranger), "used by no instruction"),
		row("the System program for nothing", edit(usualParts(), func(p *parts) { p.keys = append(p.keys, systemProgram); p.header[2]++ }), at(systemProgram), "used by no instruction"),
		row("own second key signs for nothing", edit(layOut(true, payer, block, sendSOL(payer, wallet, 1)), func(p *parts) {
			p.keys = slices.Insert(p.keys, 1, second)
			p.header = [3]byte{2, 1, 1}
			p.ins = []part{{3, []byte{0, 2}, p.ins[0].data}}
		}), at(second), "no instruction needs its signature"),
		row("owner does not sign", edit(layOut(true, payer, block, sendToken(tokenProgram, ata(second, mint, tokenProgram), mint, to, second, 1, 6)), func(p *parts) {
			i := slices.Index(p.keys, second)
			p.keys = append(slices.Delete(p.keys, i, i+1), second)
			p.header = [3]byte{1, 0, 3}
			p.ins = []part{{4, []byte{1, 3, 2, 5}, p.ins[0].data}}
		}), "instruction 1", "needs the signature of "+second.String()),
		row("payer of another path", layOut(true, wallet, block, sendSOL(wallet, stranger, 1)), "signers", "none of this vault's"),
	}
}

func hostileSystem() []hostile {
	sys := func(name, reason string, data []byte, accounts ...meta) hostile {
		return in1(name, reason, in{systemProgram, accounts, data})
	}
	w := meta{wallet, false, true}
	me := meta{payer, true, true}
	named := []hostile{
		sys("CreateAccount", "CreateAccount is not supported: a nonce account", join(u32(0), make([]byte, 48)), me, w),
		sys("Assign", "gives an account to a program", join(u32(1), stranger[:]), me),
		sys("AuthorizeNonceAccount", "gives the nonce account to another", join(u32(7), stranger[:]), meta{nonce, false, true}, me),
		sys("Allocate", "useless as a wallet", join(u32(8), u64(8)), me),
		sys("AllocateWithSeed", "AllocateWithSeed is not supported", u32(9), me),
		sys("AssignWithSeed", "AssignWithSeed is not supported", u32(10), me),
		sys("TransferWithSeed", "TransferWithSeed is not supported", u32(11), me, w),
		sys("UpgradeNonceAccount", "UpgradeNonceAccount is not supported", u32(12), w),
		sys("CreateAccountAllowPrefund", "CreateAccountAllowPrefund is not supported", u32(13), w),
		sys("System's instruction 14", "is unknown", u32(14), me),
		sys("System's instruction 2³²−1", "is unknown", u32(math.MaxUint32), me),
		sys("System without an instruction", "are no instruction", nil, me),
		sys("three bytes for System", "are no instruction", []byte{2, 0, 0}, me, w),
		sys("Transfer with 7 bytes of lamports", "has 11 bytes", join(u32(2), make([]byte, 7)), me, w),
		sys("Transfer with a trailing byte", "has 13 bytes", join(u32(2), make([]byte, 9)), me, w),
		sys("Transfer with a third account", "has 3 accounts", join(u32(2), u64(1)), me, w, meta{stranger, false, true}),
		sys("Transfer with one account", "has 1 accounts", join(u32(2), u64(1)), me),
	}
	to := func(name, reason string, k key) hostile { return in1(name, reason, sendSOL(payer, k, 1)) }
	lost := []hostile{
		to("SOL to a token account", "is a token account", ata(wallet, mint, tokenProgram)),
		to("SOL to a mint", "is a mint", mint),
		to("SOL to the Token program", "it would be lost", tokenProgram),
		to("SOL to a sysvar", "it would be lost", rentSysvar),
		to("SOL to the incinerator", "it would be lost", keyOf("1nc1nerator11111111111111111111111111111111")),
		to("SOL to wrapped SOL's mint", "it would be lost", keyOf("So11111111111111111111111111111111111111112")),
		to("SOL to the Stake program", "it would be lost", keyOf("Stake11111111111111111111111111111111111111")),
		to("SOL to the neutral point", "small or mixed order", key{1}),
		to("SOL to a point of order 4", "small or mixed order", orderFour),
		to("SOL to a program's account", "another kind", helper),
		row("sum of SOL wraps", layOut(true, payer, block, sendSOL(payer, wallet, math.MaxUint64), sendSOL(payer, wallet, 1)), "transaction", "together exceed"),
		row("SOL and fee wrap", layOut(true, payer, block, sendSOL(payer, wallet, math.MaxUint64-4999)), "transaction", "together exceed"),
	}
	for i := range lost {
		lost[i].world.Accounts[helper] = solana.Account{Kind: solana.Other, Program: stranger}
		lost[i].world.Accounts[keyOf("Stake11111111111111111111111111111111111111")] = solana.Account{Kind: solana.Other}
		if lost[i].name == "SOL to a program's account" {
			p := layOut(true, payer, block, sendSOL(payer, helper, 1))
			lost[i].payload = sealed(p.bytes(), p, lost[i].world)
		}
	}
	return append(named, lost...)
}

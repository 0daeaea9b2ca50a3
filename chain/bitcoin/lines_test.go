package bitcoin_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
)

// mutants are a packet with each byte changed in some ways, left out, and with bytes put in before each.
func mutants(b []byte, yield func(what string, mutant []byte)) {
	for at := range b {
		for _, by := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			m := bytes.Clone(b)
			m[at] ^= by
			yield(fmt.Sprintf("byte %d is 0x%02x", at, m[at]), m)
		}
		yield(fmt.Sprintf("byte %d is gone", at), slices.Delete(bytes.Clone(b), at, at+1))
		for _, x := range []byte{0, 1, 0xfd, 0xff} {
			yield(fmt.Sprintf("0x%02x before byte %d", x, at), slices.Insert(bytes.Clone(b), at, x))
		}
	}
}

// cached derives each key once: tests of many mutants ask for the same ones.
func cached(v bitcoin.Vault) bitcoin.Vault {
	type at struct {
		suite string
		path  [3]uint32
	}
	kept := map[at]bitcoin.Key{}
	v.Key = func(suite string, path [3]uint32) (bitcoin.Key, error) {
		k, ok := kept[at{suite, path}]
		if ok {
			return k, nil
		}
		k, err := keyOf(suite, path)
		if err == nil {
			kept[at{suite, path}] = k
		}
		return k, err
	}
	return v
}

// No byte of a packet changes but a line does, or the whole is refused.
func TestEveryByteChangesALine(t *testing.T) {
	v := cached(vault(t, true))
	d := mixed(t, v)
	d.Ins, d.Outs = d.Ins[:2], []bitcoin.Output{d.Outs[0], d.Outs[3], d.Outs[7]}
	d.Outs[2].Amount = 248_000
	d.Ins[0].WithOutput, d.Ins[1].WithSighash = true, true
	b := build(t, v, d)
	lines, read := decode(t, v, b).Lines(), 0
	mutants(b, func(what string, mutant []byte) {
		tx, err := bitcoin.Decode(mutant, v)
		if err != nil {
			return
		}
		read++
		if slices.Equal(tx.Lines(), lines) {
			t.Errorf("%s, and what is shown stays the same", what)
		}
		if !bytes.Equal(tx.Unsigned(), mutant) {
			t.Errorf("%s: encoded as another", what)
		}
	})
	if read < 100 {
		t.Errorf("only %d mutants are transactions: the rest proves little", read)
	}
}

// Whoever has the lines, the vault's keys and the previous transactions by their ids builds the same bytes.
func TestLinesSayAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		v := cached(vault(t, rng.IntN(2) == 0))
		d := randomDraft(t, v, rng)
		b := build(t, v, d)
		previous := map[string][]byte{}
		for _, in := range d.Ins {
			previous[in.Outpoint.ID.String()] = in.Previous
		}
		again, err := fromLines(decode(t, v, b), previous)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(build(t, v, again), b) {
			t.Errorf("the lines say another transaction: %+v", again)
		}
	}
}

// fromLines reads the draft out of the lines alone.
func fromLines(tx *bitcoin.Transaction, previous map[string][]byte) (d bitcoin.Draft, err error) {
	memo := ""
	readPlace := func(form string, a, b, c uint32, plain bool) bitcoin.Spot {
		suite := bitcoin.SuiteBIP340
		if form == "p2wpkh" {
			suite = bitcoin.SuiteECDSA
		}
		return bitcoin.Spot{Suite: suite, Path: [3]uint32{a, b, c}, Plain: plain}
	}
	for _, l := range tx.Lines() {
		name := strings.TrimRight(l.Name, "-0123456789") // "output-3" is an output
		value := strings.NewReplacer(",", "", "/", " ").Replace(l.Value)
		var amount uint64
		var form, id, address string
		var a, b, c uint32
		switch {
		case name == "lock-time" && value != "none":
			var kind string
			_, err = fmt.Sscanf(value, "%s %d", &kind, &d.LockTime)
		case name == "memo":
			memo = strings.TrimPrefix(strings.Fields(value)[0], "0x")
		case name == "output" && value == "memo":
			var m []byte
			if _, err = fmt.Sscanf(memo, "%x", &m); err == nil {
				d.Outs = append(d.Outs, bitcoin.Output{Memo: m})
			}
		case name == "output" && strings.Contains(value, "change"):
			_, err = fmt.Sscanf(value, "%d sat change to %s %s m %d %d %d", &amount, &address, &form, &a, &b, &c)
			d.Outs = append(d.Outs, bitcoin.Output{Amount: amount, Change: place(readPlace(form, a, b, c, false))})
		case name == "output":
			_, err = fmt.Sscanf(value, "%d sat to %s", &amount, &address)
			d.Outs = append(d.Outs, bitcoin.Output{Amount: amount, Address: address})
		case name == "input":
			in := bitcoin.Input{WithOutput: strings.Contains(value, "output named"), WithSighash: strings.Contains(value, "signature kind named")}
			plain := strings.Contains(value, " plain ")
			value = strings.Replace(value, " plain ", " ", 1)
			if _, err = fmt.Sscanf(value, "%d sat of %s m %d %d %d %s sequence 0x%x", &in.Amount, &form, &a, &b, &c, &id, &in.Sequence); err != nil {
				break
			}
			in.Spot = readPlace(form, a, b, c, plain)
			digits, index, _ := strings.Cut(id, ":")
			if in.Outpoint.ID, err = psbt.ParseID(digits); err == nil {
				_, err = fmt.Sscanf(index, "%d", &in.Outpoint.Index)
			}
			in.Previous = previous[digits]
			d.Ins = append(d.Ins, in)
		}
		if err != nil {
			return d, fmt.Errorf("line %s %q: %w", l.Name, l.Value, err)
		}
	}
	return d, nil
}

// The largest transactions have 64 lines at most, none longer than 2,000 bytes, so that a statement can say them, and every payee stands in one.
func TestLinesOfTheLargest(t *testing.T) {
	v := cached(vault(t, true))
	v.MaxRate = bitcoin.PerVByte(1_000_000)
	d := bitcoin.Draft{LockTime: 1<<32 - 1}
	for i := range bitcoin.MaxInputs {
		c := coin(t, v, bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{1<<31 - 1, 1<<31 - 1, 1<<31 - 1 - uint32(i%3)}}, 1_000_000_000_000)
		c.Outpoint.Index, c.WithSighash = 1<<32-1-uint32(i), true
		d.Ins = append(d.Ins, c)
	}
	for i := range bitcoin.MaxOutputs {
		out := bitcoin.Output{Amount: 1_000_000_000_000, Change: place(bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{1<<31 - 1, 1<<31 - 1, 1<<31 - 1 - uint32(i%3)}})}
		if i%10 == 0 {
			out = bitcoin.Output{Amount: 1_000_000_000_000 + uint64(i), Address: payee(t, bitcoin.PayTaproot)}
		}
		d.Outs = append(d.Outs, out)
	}
	d.Outs[1] = bitcoin.Output{Memo: bytes.Repeat([]byte{'"'}, bitcoin.MaxMemo)}
	// what the first output leaves is the fee
	d.Outs[0].Amount = uint64(len(d.Ins)) * 1_000_000_000_000
	for _, out := range d.Outs[1:] {
		d.Outs[0].Amount -= out.Amount
	}
	d.Outs[0].Amount -= 100_000
	b, err := bitcoin.Build(v, d)
	if err != nil {
		t.Fatal(err)
	}
	tx := decode(t, v, b)
	lines, whole := tx.Lines(), ""
	for _, l := range lines {
		if whole += l.Value + "\n"; len(l.Value) > 2000 || len(l.Name)+1+len(l.Value) > statement.MaxFact || l.Value == "" {
			t.Errorf("line %s has %d bytes", l.Name, len(l.Value))
		}
	}
	if len(lines) > 64 || len(d.Ins) != bitcoin.MaxInputs || len(d.Outs) != bitcoin.MaxOutputs {
		t.Errorf("%d lines of %d bytes, %d inputs", len(lines), len(b), len(d.Ins))
	}
	for i, out := range d.Outs {
		if out.Address != "" && !strings.Contains(whole, fmt.Sprintf("%d sat to %s", out.Amount, out.Address)) {
			t.Errorf("output %d is not shown", i)
		}
	}
	// of any mixture of the most parts, each as long as it can be, the lines suffice
	input := len("2100000000000000 sat of p2tr m/2147483647/2147483647/2147483647 plain, , sequence 0xffffffff, previous transaction named, signature kind named; ") + 64 + 1 + 10
	output := len("2100000000000000 sat to the vault's other account , p2tr m/2147483647/2147483647/2147483647; ") + 64
	perLine := func(size int) int { return (2000 + 2) / size }
	most := 11 + (bitcoin.MaxInputs+perLine(input)-1)/perLine(input) + (bitcoin.MaxOutputs+perLine(output)-1)/perLine(output)
	if most > 64 {
		t.Errorf("%d lines may be needed", most)
	}
}

func TestLinesRead(t *testing.T) {
	v := vault(t, true)
	var got []string
	for _, l := range decode(t, v, build(t, v, mixed(t, v))).Lines() {
		got = append(got, l.Name+": "+l.Value)
	}
	for _, want := range []string{
		"chain: " + regtest, "network: regtest", "payments: 5", "paid: 143000", "fee: 7000", "lock-time: height 840000", "replaceable: yes", `memo: 0x696e766f6963652037 "invoice 7"`, "output-3: memo",
		"output-0: 50000 sat to " + payee(t, bitcoin.PayWitnessKeyHash),
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
	d := mixed(t, v)
	d.Outs[3].Memo = []byte("pay\u202e\n: 1") // would turn or break what stands beside it
	for _, l := range decode(t, v, build(t, v, d)).Lines() {
		if l.Name == "memo" && l.Value != "0x706179e280ae0a3a2031" {
			t.Errorf("memo is shown as %q", l.Value)
		}
	}
}

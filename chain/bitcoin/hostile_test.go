package bitcoin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// honest has a P2WPKH and a Taproot input, a payment, and change of both kinds.
func honest(t testing.TB, v bitcoin.Vault) []byte {
	return build(t, v, bitcoin.Draft{
		Ins: []bitcoin.Input{coin(t, v, v0(1), 100_000), coin(t, v, v1(2), 200_000)},
		Outs: []bitcoin.Output{
			{Amount: 150_000, Address: payee(t, bitcoin.PayWitnessKeyHash)}, {Amount: 60_000, Change: place(v0(9))}, {Amount: 88_000, Change: place(v1(8))},
		},
	})
}

// edited is the honest packet with something else in it.
func edited(t testing.TB, v bitcoin.Vault, edit func(p *psbt.Packet)) []byte {
	t.Helper()
	p, err := psbt.Parse(honest(t, v))
	if err != nil {
		t.Fatal(err)
	}
	edit(p)
	return p.Bytes()
}

// put sets a field, in the order of keys.
func put(m *psbt.Map, key, value []byte) {
	drop(m, key)
	*m = append(*m, psbt.Field{Key: key, Value: value})
	m.Sort()
}

func drop(m *psbt.Map, key []byte) {
	*m = slices.DeleteFunc(*m, func(f psbt.Field) bool { return bytes.Equal(f.Key, key) })
}

// find is the field of a kind.
func find(m psbt.Map, kind byte) *psbt.Field {
	return &m[slices.IndexFunc(m, func(f psbt.Field) bool { return f.Key[0] == kind })]
}

func key(kind byte, data ...byte) []byte { return append([]byte{kind}, data...) }

func path(fingerprint [4]byte, steps ...uint32) []byte {
	b := fingerprint[:]
	for _, s := range steps {
		b = binary.LittleEndian.AppendUint32(b, s)
	}
	return b
}

func publicOf(suite string, at [3]uint32) []byte {
	k, err := keyOf(suite, at)
	if err != nil {
		panic(err)
	}
	return k.Public
}

type hostile struct {
	name   string
	packet []byte
	field  string // of the refusal
	reason string // part of it
}

func TestHostileBaseline(t *testing.T) {
	for _, recovery := range []bool{false, true} {
		v := vault(t, recovery)
		if b := edited(t, v, func(*psbt.Packet) {}); !bytes.Equal(b, honest(t, v)) || decode(t, v, b) == nil {
			t.Error("the honest packet changes without an edit: the table would prove nothing")
		}
	}
}

// Each packet would show one thing and be another, or be what nobody can judge.
func TestHostile(t *testing.T) {
	v := cached(vault(t, true))
	table := slices.Concat(hostileContainers(t, v), hostileTransactions(t, v), hostileFields(t, v), hostileWitnessV0(t, v), hostileTaproot(t, v), hostileChange(t, v), hostileScripts(t, v), hostileAmounts(t, v))
	if len(table) < 150 {
		t.Fatalf("only %d packets", len(table))
	}
	names := map[string]bool{}
	for _, h := range table {
		if names[h.name] {
			t.Errorf("%s: stands twice", h.name)
		}
		names[h.name] = true
		t.Run(h.name, func(t *testing.T) {
			tx, err := bitcoin.Decode(h.packet, v)
			var refused *bitcoin.Refused
			if !errors.As(err, &refused) {
				t.Fatalf("accepted %x: %+v, %v", h.packet, tx, err)
			}
			if refused.Field != h.field || !strings.Contains(refused.Reason, h.reason) {
				t.Errorf("refused for %q: %q, want %q: …%s…", refused.Field, refused.Reason, h.field, h.reason)
			}
		})
	}
}

func hostileContainers(t *testing.T, v bitcoin.Vault) []hostile {
	good := honest(t, v)
	global := func(key, value []byte) []byte {
		return edited(t, v, func(p *psbt.Packet) { put(&p.Global, key, value) })
	}
	p, err := psbt.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	bare := p.Tx.Bare()
	maps := good[len(psbt.Magic)+2+1+len(bare):] // key 01 00, length in one byte or three
	if len(bare) >= 0xfd {
		maps = maps[2:]
	}
	around := func(tx []byte) []byte {
		return slices.Concat([]byte(psbt.Magic), []byte{1, 0}, psbt.AppendCompact(nil, uint64(len(tx))), tx, maps)
	}
	if !bytes.Equal(around(bare), good) {
		t.Fatal("the packet is taken apart wrongly")
	}
	withWitness := *p.Tx
	withWitness.Ins = slices.Clone(p.Tx.Ins)
	withWitness.Ins[0].Witness = [][]byte{{1}}
	withScript := *p.Tx
	withScript.Ins = slices.Clone(p.Tx.Ins)
	withScript.Ins[0].Script = []byte{0x51}
	long := slices.Concat([]byte(psbt.Magic), []byte{0xfd, 1, 0, 0}, good[len(psbt.Magic)+2:])
	at := len(psbt.Magic) + 2
	var longValue []byte
	if len(bare) < 0xfd {
		longValue = slices.Concat(good[:at], []byte{0xfd, byte(len(bare)), 0}, good[at+1:])
	} else {
		longValue = slices.Concat(good[:at], []byte{0xfe, byte(len(bare)), byte(len(bare) >> 8), 0, 0}, good[at+3:])
	}
	return []hostile{
		{"empty", nil, "packet", "not 1 to"},
		{"too long", make([]byte, bitcoin.MaxLen+1), "packet", "not 1 to"},
		{"another magic", append([]byte("psbt\xfe"), good[5:]...), "packet", "begin"},
		{"base64", []byte(base64.StdEncoding.EncodeToString(good)), "packet", "begin"},
		{"the transaction alone", bare, "packet", "begin"},
		{"magic alone", good[:5], "packet", "too early"},
		{"one byte short", good[:len(good)-1], "packet", "too early"},
		{"one byte more", append(bytes.Clone(good), 0), "packet", "followed by 1 more"},
		{"a second packet behind it", append(bytes.Clone(good), good...), "packet", "more bytes"},
		{"key length in long form", long, "packet", "shortest"},
		{"value length in long form", longValue, "packet", "shortest"},
		{"length beyond the end", slices.Concat([]byte(psbt.Magic), []byte{1, 0, 0xff, 255, 255, 255, 255, 255, 255, 255, 255}), "packet", "too early"},
		{"no transaction", slices.Concat([]byte(psbt.Magic), []byte{0}, maps), "packet", "no unsigned transaction"},
		{"version 2", slices.Concat([]byte(psbt.Magic), []byte{1, 0xfb, 4, 2, 0, 0, 0, 1, 2, 4, 2, 0, 0, 0, 0}), "packet", "BIP 370"},
		{"global version", global(key(psbt.GlobalVersion), []byte{0, 0, 0, 0}), "packet", "global field"},
		{"global extended key", global(append(key(psbt.GlobalXPub), make([]byte, 78)...), make([]byte, 4)), "packet", "global field"},
		{"global proprietary", global(key(psbt.Proprietary, 1, 2), []byte{1}), "packet", "global field"},
		{"global unknown", global(key(0x55), []byte{1}), "packet", "global field"},
		{"transaction with witnesses", around(withWitness.Bytes()), "packet", "has witnesses"},
		{"transaction with a script", around(withScript.Bare()), "packet", "has a script"},
		{"transaction with a byte more", around(append(bytes.Clone(bare), 0)), "packet", "followed by 1"},
		{"transaction without inputs", around([]byte{2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x51, 0, 0, 0, 0}), "packet", "none"},
		{"transaction without outputs", around(slices.Concat([]byte{2, 0, 0, 0, 1}, bare[5:46], []byte{0, 0, 0, 0, 0})), "packet", "0 outputs"},
		{"transaction with a million inputs", around([]byte{2, 0, 0, 0, 0xfe, 0x40, 0x42, 0x0f, 0}), "packet", "too early"},
		{"one map less", edited(t, v, func(p *psbt.Packet) { p.Outs = p.Outs[:2] }), "packet", "too early"},
		{"one map more", edited(t, v, func(p *psbt.Packet) { p.Outs = append(p.Outs, nil) }), "packet", "followed by 1"},
		{"a key twice", edited(t, v, func(p *psbt.Packet) { p.Ins[0] = append(p.Ins[0], p.Ins[0][0]) }), "packet", "twice"},
		{"a key twice with another value", edited(t, v, func(p *psbt.Packet) {
			f := p.Ins[1][0]
			p.Ins[1] = append(p.Ins[1], psbt.Field{Key: f.Key, Value: []byte{1}})
		}), "packet", "twice"},
		{"fields in another order", edited(t, v, func(p *psbt.Packet) { slices.Reverse(p.Ins[1]) }), "input 1", "order"},
		{"fields of an output in another order", edited(t, v, func(p *psbt.Packet) { slices.Reverse(p.Outs[2]) }), "output 2", "order"},
	}
}

func hostileTransactions(t *testing.T, v bitcoin.Vault) (table []hostile) {
	tx := func(edit func(tx *psbt.Tx)) []byte {
		return edited(t, v, func(p *psbt.Packet) { edit(p.Tx) })
	}
	for _, version := range []uint32{0, 1, 3, 0xffffffff} {
		table = append(table, hostile{fmt.Sprintf("version %d", version), tx(func(tx *psbt.Tx) { tx.Version = version }), "version", "not 2"})
	}
	for _, s := range []uint32{0, 1, 144, 0x00400001, 0x7fffffff, 0x80000000, 0xfffffffc} {
		table = append(table, hostile{fmt.Sprintf("sequence %08x", s), tx(func(tx *psbt.Tx) { tx.Ins[1].Sequence = s }), "input 1", "relative lock time"})
	}
	many := func(ins, outs int) []byte {
		return edited(t, v, func(p *psbt.Packet) {
			for i := range ins {
				in := p.Tx.Ins[0]
				in.Index = uint32(i + 100)
				p.Tx.Ins, p.Ins = append(p.Tx.Ins, in), append(p.Ins, nil)
			}
			for range outs {
				p.Tx.Outs, p.Outs = append(p.Tx.Outs, p.Tx.Outs[0]), append(p.Outs, nil)
			}
		})
	}
	return append(table, []hostile{
		{"one coin twice", edited(t, v, func(p *psbt.Packet) { p.Tx.Ins, p.Ins = append(p.Tx.Ins, p.Tx.Ins[1]), append(p.Ins, p.Ins[1]) }), "input 2", "another input spends"},
		{"one coin twice with another sequence", edited(t, v, func(p *psbt.Packet) {
			again := p.Tx.Ins[1]
			again.Sequence = bitcoin.Final
			p.Tx.Ins, p.Ins = append(p.Tx.Ins, again), append(p.Ins, p.Ins[1])
		}), "input 2", "another input spends"},
		{"a coin of transaction 0", tx(func(tx *psbt.Tx) { tx.Ins[1].Outpoint = psbt.Outpoint{Index: 0xffffffff} }), "input 1", "transaction 0"},
		{"a lock time that nothing holds", tx(func(tx *psbt.Tx) {
			tx.LockTime = 900_000
			tx.Ins[0].Sequence, tx.Ins[1].Sequence = bitcoin.Final, bitcoin.Final
		}), "lock time", "void"},
		{"too many inputs", many(bitcoin.MaxInputs, 0), "packet", "more than"},
		{"too many outputs", many(0, bitcoin.MaxOutputs), "packet", "more than"},
	}...)
}

// Fields that say nothing, or too much, of an input and an output.
func hostileFields(t *testing.T, v bitcoin.Vault) (table []hostile) {
	for kind, what := range map[byte]string{
		psbt.InRedeem: "redeem script", psbt.InWitness: "witness script", psbt.InFinalSig: "final script", psbt.InFinal: "final witness", 0x09: "proof of reserves",
		0x0e: "BIP 370", 0x0f: "BIP 370", 0x10: "BIP 370", 0x11: "BIP 370", 0x12: "BIP 370", psbt.InKeySig: "signature", 0x19: "unknown", 0x55: "unknown", 0xfe: "unknown",
	} {
		for i := range 2 {
			b := edited(t, v, func(p *psbt.Packet) { put(&p.Ins[i], key(kind), bytes.Repeat([]byte{1}, 64)) })
			table = append(table, hostile{fmt.Sprintf("input %d with field %02x", i, kind), b, fmt.Sprintf("input %d", i), what})
		}
	}
	for kind, what := range map[byte]string{
		psbt.InPartial: "signature", 0x0a: "preimage", 0x0b: "preimage", 0x0c: "preimage", 0x0d: "preimage", psbt.InScriptSig: "signature", psbt.InLeaf: "leaf's script",
		0x1a: "MuSig2", 0x1b: "MuSig2", 0x1c: "MuSig2", psbt.Proprietary: "proprietary",
		psbt.InPrevious: "another length", psbt.InOutput: "another length", psbt.InSighash: "another length", psbt.InInternalKey: "another length", psbt.InRoot: "another length", psbt.InTapPath: "another length",
	} {
		b := edited(t, v, func(p *psbt.Packet) {
			put(&p.Ins[1], append(key(kind), publicOf(bitcoin.SuiteECDSA, v0(1).Path)...), []byte{1})
		})
		table = append(table, hostile{fmt.Sprintf("input with field %02x of a key", kind), b, "input 1", what})
	}
	for kind, what := range map[byte]string{
		psbt.OutRedeem: "redeem script", psbt.OutWitness: "witness script", 0x03: "BIP 370", 0x04: "BIP 370", 0x08: "MuSig2", 0x09: "silent", 0x0a: "silent",
		psbt.Proprietary: "proprietary", 0x35: "unknown", 0x55: "unknown", psbt.OutDerivation: "another length", psbt.OutTapPath: "another length",
	} {
		for i := range 2 {
			b := edited(t, v, func(p *psbt.Packet) { put(&p.Outs[i], key(kind), []byte{1}) })
			table = append(table, hostile{fmt.Sprintf("output %d with field %02x", i, kind), b, fmt.Sprintf("output %d", i), what})
		}
	}
	return table
}

func hostileWitnessV0(t *testing.T, v bitcoin.Vault) (table []hostile) {
	in := func(edit func(p *psbt.Packet, m *psbt.Map)) []byte {
		return edited(t, v, func(p *psbt.Packet) { edit(p, &p.Ins[0]) })
	}
	field := func(kind byte, edit func(f *psbt.Field)) []byte {
		return in(func(_ *psbt.Packet, m *psbt.Map) { edit(find(*m, kind)) })
	}
	// previous changes the transaction that made the coin, and lets the input follow if it should
	previous := func(follow bool, edit func(tx *psbt.Tx)) []byte {
		return in(func(p *psbt.Packet, m *psbt.Map) {
			f := find(*m, psbt.InPrevious)
			tx, err := psbt.ParseTx(f.Value)
			if err != nil {
				t.Fatal(err)
			}
			edit(tx)
			if f.Value = tx.Bytes(); follow {
				p.Tx.Ins[0].ID = tx.ID()
			}
		})
	}
	script, err := v.Script(v0(1))
	if err != nil {
		t.Fatal(err)
	}
	k, err := keyOf(bitcoin.SuiteECDSA, v0(1).Path)
	if err != nil {
		t.Fatal(err)
	}
	derivation := func(value []byte) []byte {
		return field(psbt.InDerivation, func(f *psbt.Field) { f.Value = value })
	}
	for name, kind := range map[string][]byte{
		"DEFAULT": {0, 0, 0, 0}, "NONE": {2, 0, 0, 0}, "SINGLE": {3, 0, 0, 0}, "ALL and anyone can pay": {0x81, 0, 0, 0}, "SINGLE and anyone can pay": {0x83, 0, 0, 0}, "in one byte": {1}, "in five bytes": {1, 0, 0, 0, 0},
		"with a high bit": {1, 0, 0, 0x80}, "empty": {},
	} {
		table = append(table, hostile{"sighash of P2WPKH " + name, in(func(_ *psbt.Packet, m *psbt.Map) { put(m, key(psbt.InSighash), kind) }), "input 0", "kind of signature"})
	}
	return append(table, []hostile{
		{"previous transaction missing", in(func(_ *psbt.Packet, m *psbt.Map) { drop(m, key(psbt.InPrevious)) }), "input 0", "anybody's word"},
		{"amount of the spent output alone", in(func(_ *psbt.Packet, m *psbt.Map) {
			drop(m, key(psbt.InPrevious))
			put(m, key(psbt.InOutput), psbt.Out{Amount: 100_000, Script: script}.Bytes())
		}), "input 0", "anybody's word"},
		{"fee lie: less in the previous transaction", previous(false, func(tx *psbt.Tx) { tx.Outs[1].Amount-- }), "input 0", "its id is"},
		{"fee lie: spent output of less", in(func(_ *psbt.Packet, m *psbt.Map) {
			put(m, key(psbt.InOutput), psbt.Out{Amount: 99_999, Script: script}.Bytes())
		}), "input 0", "is not the previous transaction's"},
		{"spent output of another script", in(func(_ *psbt.Packet, m *psbt.Map) {
			put(m, key(psbt.InOutput), psbt.Out{Amount: 100_000, Script: []byte{0x51}}.Bytes())
		}), "input 0", "is not the previous transaction's"},
		{"spent output with a byte more", in(func(_ *psbt.Packet, m *psbt.Map) {
			put(m, key(psbt.InOutput), append(psbt.Out{Amount: 100_000, Script: script}.Bytes(), 0))
		}), "input 0", "followed by 1"},
		{"previous transaction with witnesses", previous(false, func(tx *psbt.Tx) { tx.Ins[0].Witness = [][]byte{[]byte("hidden")} }), "input 0", "witnesses"},
		{"previous transaction of another coin", previous(false, func(tx *psbt.Tx) { tx.LockTime++ }), "input 0", "its id is"},
		{"previous transaction without that output", in(func(p *psbt.Packet, _ *psbt.Map) { p.Tx.Ins[0].Index = 2 }), "input 0", "2 outputs"},
		{"previous transaction without the highest output", in(func(p *psbt.Packet, _ *psbt.Map) { p.Tx.Ins[0].Index = 0xffffffff }), "input 0", "2 outputs"},
		{"another output of the previous transaction", in(func(p *psbt.Packet, _ *psbt.Map) { p.Tx.Ins[0].Index = 0 }), "input 0", "not the vault's"},
		{"previous transaction cut short", field(psbt.InPrevious, func(f *psbt.Field) { f.Value = f.Value[:20] }), "input 0", "too early"},
		{"previous transaction with a byte more", field(psbt.InPrevious, func(f *psbt.Field) { f.Value = append(bytes.Clone(f.Value), 0) }), "input 0", "followed by 1"},
		{"previous transaction empty", field(psbt.InPrevious, func(f *psbt.Field) { f.Value = nil }), "input 0", "too early"},
		{"coin of another's key", previous(true, func(tx *psbt.Tx) { tx.Outs[1].Script = append([]byte{0, 20}, make([]byte, 20)...) }), "input 0", "not the vault's"},
		{"coin of a bare script", previous(true, func(tx *psbt.Tx) { tx.Outs[1].Script = []byte{0x51} }), "input 0", "not the vault's"},
		{"coin of more than there is", previous(true, func(tx *psbt.Tx) { tx.Outs[1].Amount = bitcoin.MaxMoney + 1 }), "input 0", "more than the"},
		{"coin of 2⁶⁴−1", previous(true, func(tx *psbt.Tx) { tx.Outs[1].Amount = 1<<64 - 1 }), "input 0", "more than the"},
		{"no derivation", in(func(_ *psbt.Packet, m *psbt.Map) { drop(m, find(*m, psbt.InDerivation).Key) }), "input 0", "inputs of others"},
		{"no field at all", in(func(_ *psbt.Packet, m *psbt.Map) { *m = nil }), "input 0", "inputs of others"},
		{"derivation of another path", derivation(path(k.Fingerprint, 0, 5, 2)), "input 0", "holds key"},
		{"derivation of another account", derivation(path(k.Fingerprint, 0, 6, 1)), "input 0", "holds key"},
		{"derivation of another root", derivation(path([4]byte{1, 2, 3, 4}, 0, 5, 1)), "input 0", "fingerprint"},
		{"derivation with a hardened step", derivation(path(k.Fingerprint, 1<<31, 5, 1)), "input 0", "path has the step"},
		{"derivation of two steps", derivation(path(k.Fingerprint, 5, 1)), "input 0", "three steps"},
		{"derivation of four steps", derivation(path(k.Fingerprint, 0, 5, 1, 0)), "input 0", "three steps"},
		{"derivation empty", derivation(nil), "input 0", "three steps"},
		{"derivation of another's key", field(psbt.InDerivation, func(f *psbt.Field) {
			f.Key = append(key(psbt.InDerivation), private(77).PubKey().SerializeCompressed()...)
		}), "input 0", "holds key"},
		{"derivation with y of the other sign", field(psbt.InDerivation, func(f *psbt.Field) { f.Key = bytes.Clone(f.Key); f.Key[1] ^= 1 }), "input 0", "holds key"},
		{"two derivations", in(func(_ *psbt.Packet, m *psbt.Map) {
			put(m, append(key(psbt.InDerivation), publicOf(bitcoin.SuiteECDSA, v0(2).Path)...), path(k.Fingerprint, 0, 5, 2))
		}), "input 0", "2 derivations"},
		{"derivations of both suites", in(func(_ *psbt.Packet, m *psbt.Map) {
			put(m, append(key(psbt.InTapPath), publicOf(bitcoin.SuiteBIP340, v1(1).Path)[1:]...), append([]byte{0}, path(k.Fingerprint, 0, 5, 1)...))
		}), "input 0", "2 derivations"},
		{"internal key of P2WPKH", in(func(_ *psbt.Packet, m *psbt.Map) { put(m, key(psbt.InInternalKey), make([]byte, 32)) }), "input 0", "internal key"},
		{"empty internal key of P2WPKH", in(func(_ *psbt.Packet, m *psbt.Map) { put(m, key(psbt.InInternalKey), nil) }), "packet", "own encoding"},
		{"Merkle root of P2WPKH", in(func(_ *psbt.Packet, m *psbt.Map) { put(m, key(psbt.InRoot), make([]byte, 32)) }), "input 0", "Merkle root"},
	}...)
}

func hostileTaproot(t *testing.T, v bitcoin.Vault) (table []hostile) {
	in := func(edit func(p *psbt.Packet, m *psbt.Map)) []byte {
		return edited(t, v, func(p *psbt.Packet) { edit(p, &p.Ins[1]) })
	}
	value := func(kind byte, edit func(b []byte) []byte) []byte {
		return in(func(_ *psbt.Packet, m *psbt.Map) { f := find(*m, kind); f.Value = edit(bytes.Clone(f.Value)) })
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	for name, kind := range map[string][]byte{"ALL": {1, 0, 0, 0}, "NONE": {2, 0, 0, 0}, "SINGLE": {3, 0, 0, 0}, "anyone can pay": {0x81, 0, 0, 0}, "empty": {}} {
		table = append(table, hostile{"sighash of Taproot " + name, in(func(_ *psbt.Packet, m *psbt.Map) { put(m, key(psbt.InSighash), kind) }), "input 1", "kind of signature"})
	}
	plain := bitcoin.Vault{Network: v.Network, Key: v.Key, MaxRate: v.MaxRate}
	script, err := plain.Script(v1(2))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := v.Script(v1(2))
	if err != nil {
		t.Fatal(err)
	}
	lie := func(amount uint64) []byte { // the previous transaction is named, and the spent output says another amount
		return in(func(p *psbt.Packet, m *psbt.Map) {
			previous := &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{9}}}}, Outs: []psbt.Out{{Amount: 200_000, Script: whole}}}
			p.Tx.Ins[1].Outpoint = psbt.Outpoint{ID: previous.ID()}
			put(m, key(psbt.InPrevious), previous.Bare())
			put(m, key(psbt.InOutput), psbt.Out{Amount: amount, Script: whole}.Bytes())
		})
	}
	if _, err := bitcoin.Decode(lie(200_000), v); err != nil {
		t.Fatalf("a previous transaction that is true: %v", err)
	}
	return append(table, []hostile{
		{"spent output missing", in(func(_ *psbt.Packet, m *psbt.Map) { drop(m, key(psbt.InOutput)) }), "input 1", "spent output is missing"},
		{"spent output cut short", value(psbt.InOutput, func(b []byte) []byte { return b[:len(b)-1] }), "input 1", "too early"},
		{"spent output with more", value(psbt.InOutput, func(b []byte) []byte { return append(b, 0) }), "input 1", "followed by 1"},
		{"spent output of another key", value(psbt.InOutput, flip), "input 1", "not the vault's"},
		{"spent output of the untweaked key", value(psbt.InOutput, func([]byte) []byte {
			return psbt.Out{Amount: 200_000, Script: append([]byte{0x51, 32}, publicOf(bitcoin.SuiteBIP340, v1(2).Path)[1:]...)}.Bytes()
		}), "input 1", "not the vault's"},
		{"spent output without the leaf", value(psbt.InOutput, func([]byte) []byte { return psbt.Out{Amount: 200_000, Script: script}.Bytes() }), "input 1", "not the vault's"},
		{"fee lie: less than the previous transaction says", lie(199_999), "input 1", "is not the previous transaction's"},
		{"fee lie: more than the previous transaction says", lie(200_001), "input 1", "is not the previous transaction's"},
		{"spent output of more than there is", value(psbt.InOutput, func(b []byte) []byte { copy(b, bytes.Repeat([]byte{255}, 8)); return b }), "input 1", "more than the"},
		{"internal key missing", in(func(_ *psbt.Packet, m *psbt.Map) { drop(m, key(psbt.InInternalKey)) }), "input 1", "internal key"},
		{"internal key of another", value(psbt.InInternalKey, flip), "input 1", "internal key"},
		{"internal key with its sign", value(psbt.InInternalKey, func(b []byte) []byte { return append([]byte{2}, b...) }), "input 1", "internal key"},
		{"Merkle root missing", in(func(_ *psbt.Packet, m *psbt.Map) { drop(m, key(psbt.InRoot)) }), "input 1", "not the vault's"},
		{"Merkle root of another tree", value(psbt.InRoot, flip), "input 1", "Merkle root"},
		{"Merkle root of 31 bytes", value(psbt.InRoot, func(b []byte) []byte { return b[:31] }), "input 1", "Merkle root"},
		{"Merkle root empty", value(psbt.InRoot, func([]byte) []byte { return nil }), "input 1", "Merkle root"},
		{"derivation that names a leaf", value(psbt.InTapPath, func(b []byte) []byte {
			root := leaf.Root()
			return slices.Concat([]byte{1}, root[:], b[1:])
		}), "input 1", "names 1 leaves"},
		{"derivation that names 2³² leaves", value(psbt.InTapPath, func(b []byte) []byte {
			return append([]byte{0xfe, 255, 255, 255, 255}, b[1:]...)
		}), "input 1", "leaves"},
		{"Taproot derivation of another path", value(psbt.InTapPath, func(b []byte) []byte { b[13] ^= 1; return b }), "input 1", "holds key"},
		{"Taproot derivation of another root", value(psbt.InTapPath, func(b []byte) []byte { b[1] ^= 1; return b }), "input 1", "fingerprint"},
		{"Taproot derivation with a hardened step", value(psbt.InTapPath, func(b []byte) []byte { b[8] |= 0x80; return b }), "input 1", "path has the step"},
		{"Taproot derivation of the recovery key", in(func(_ *psbt.Packet, m *psbt.Map) {
			f := find(*m, psbt.InTapPath)
			f.Key = append(key(psbt.InTapPath), schnorr.SerializePubKey(recoveryKey.PubKey())...)
		}), "input 1", "holds key"},
		{"Taproot coin with the fields of P2WPKH", in(func(p *psbt.Packet, m *psbt.Map) { *m = p.Ins[0] }), "input 1", "its id is"},
	}...)
}

func hostileChange(t *testing.T, v bitcoin.Vault) []hostile {
	out := func(i int, edit func(o *psbt.Out, m *psbt.Map)) []byte {
		return edited(t, v, func(p *psbt.Packet) { edit(&p.Tx.Outs[i], &p.Outs[i]) })
	}
	value := func(i int, kind byte, edit func(b []byte) []byte) []byte {
		return out(i, func(_ *psbt.Out, m *psbt.Map) { f := find(*m, kind); f.Value = edit(bytes.Clone(f.Value)) })
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	theirs := []byte(append([]byte{0, 20}, bytes.Repeat([]byte{7}, 20)...))
	thief := bitcoin.Recovery{Key: [32]byte(schnorr.SerializePubKey(private(66).PubKey())), Blocks: 1}
	stolen := v
	stolen.Recovery = &thief
	stolenScript, err := stolen.Script(v1(8))
	if err != nil {
		t.Fatal(err)
	}
	tree := func(r bitcoin.Recovery) []byte {
		return slices.Concat([]byte{0, 0xc0, byte(len(r.Script()))}, r.Script())
	}
	plainScript, err := bitcoin.Vault{Network: v.Network, Key: v.Key}.Script(v1(8))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := keyOf(bitcoin.SuiteECDSA, v0(9).Path)
	if err != nil {
		t.Fatal(err)
	}
	return []hostile{
		{"wrong change: P2WPKH to another", out(1, func(o *psbt.Out, _ *psbt.Map) { o.Script = theirs }), "output 1", "wrong change: script"},
		{"wrong change: Taproot to another", out(2, func(o *psbt.Out, _ *psbt.Map) { o.Script = bytes.Clone(o.Script); o.Script[20] ^= 1 }), "output 2", "wrong change: script"},
		{"wrong change: the vault's key in P2SH", out(1, func(o *psbt.Out, _ *psbt.Map) { o.Script = append(append([]byte{0xa9, 20}, make([]byte, 20)...), 0x87) }), "output 1", "wrong change: script"},
		{"wrong change: the vault's key in P2PKH", out(1, func(o *psbt.Out, _ *psbt.Map) {
			o.Script = slices.Concat([]byte{0x76, 0xa9, 20}, o.Script[2:], []byte{0x88, 0xac})
		}), "output 1", "wrong change: script"},
		{"wrong change: a payment that claims to be change", out(0, func(_ *psbt.Out, m *psbt.Map) {
			put(m, append(key(psbt.OutDerivation), ours.Public...), path(ours.Fingerprint, 0, 5, 9))
		}), "output 0", "wrong change: script"},
		{"wrong change: a payment with the payee's key and the vault's path", out(0, func(_ *psbt.Out, m *psbt.Map) {
			put(m, append(key(psbt.OutDerivation), private(77).PubKey().SerializeCompressed()...), path(ours.Fingerprint, 0, 5, 9))
		}), "output 0", "wrong change: derivation"},
		{"wrong change: another index's script", out(1, func(o *psbt.Out, _ *psbt.Map) {
			s, err := v.Script(v0(10))
			if err != nil {
				t.Fatal(err)
			}
			o.Script = s
		}), "output 1", "wrong change: script"},
		{"wrong change: another path", value(1, psbt.OutDerivation, func(b []byte) []byte { b[12]++; return b }), "output 1", "wrong change: derivation"},
		{"wrong change: another root", value(1, psbt.OutDerivation, func(b []byte) []byte { b[0]++; return b }), "output 1", "fingerprint"},
		{"wrong change: a hardened path", value(1, psbt.OutDerivation, flipTop), "output 1", "path has the step"},
		{"wrong change: a path of two steps", value(1, psbt.OutDerivation, func(b []byte) []byte { return b[:12] }), "output 1", "three steps"},
		{"wrong change: the thief's leaf", out(2, func(o *psbt.Out, m *psbt.Map) { o.Script = stolenScript; put(m, key(psbt.OutTree), tree(thief)) }), "output 2", "script tree"},
		{"wrong change: the thief's leaf, the vault's in the packet", out(2, func(o *psbt.Out, _ *psbt.Map) { o.Script = stolenScript }), "output 2", "wrong change: script"},
		{"wrong change: the leaf is gone", out(2, func(o *psbt.Out, m *psbt.Map) { o.Script = plainScript; drop(m, key(psbt.OutTree)) }), "output 2", "script tree"},
		{"wrong change: the tree is not named", out(2, func(_ *psbt.Out, m *psbt.Map) { drop(m, key(psbt.OutTree)) }), "output 2", "script tree"},
		{"wrong change: the tree has another age", value(2, psbt.OutTree, func(b []byte) []byte { b[len(b)-2] ^= 1; return b }), "output 2", "script tree"},
		{"wrong change: the tree has a leaf more", value(2, psbt.OutTree, func(b []byte) []byte { return append(b, 1, 0xc0, 1, 0x51) }), "output 2", "script tree"},
		{"wrong change: a tree of P2WPKH", out(1, func(_ *psbt.Out, m *psbt.Map) { put(m, key(psbt.OutTree), tree(leaf)) }), "output 1", "script tree"},
		{"wrong change: an internal key of P2WPKH", out(1, func(_ *psbt.Out, m *psbt.Map) { put(m, key(psbt.OutInternalKey), make([]byte, 32)) }), "output 1", "internal key"},
		{"wrong change: an empty internal key of P2WPKH", out(1, func(_ *psbt.Out, m *psbt.Map) { put(m, key(psbt.OutInternalKey), nil) }), "packet", "own encoding"},
		{"wrong change: another internal key", value(2, psbt.OutInternalKey, flip), "output 2", "internal key"},
		{"wrong change: no internal key", out(2, func(_ *psbt.Out, m *psbt.Map) { drop(m, key(psbt.OutInternalKey)) }), "output 2", "internal key"},
		{"wrong change: no derivation", out(2, func(_ *psbt.Out, m *psbt.Map) { drop(m, find(*m, psbt.OutTapPath).Key) }), "output 2", "names no key"},
		{"wrong change: two derivations", out(1, func(_ *psbt.Out, m *psbt.Map) {
			put(m, append(key(psbt.OutDerivation), publicOf(bitcoin.SuiteECDSA, v0(3).Path)...), path(ours.Fingerprint, 0, 5, 3))
		}), "output 1", "2 derivations"},
		{"wrong change: named leaves", value(2, psbt.OutTapPath, func(b []byte) []byte { b[0] = 1; return b }), "output 2", "leaves"},
		{"wrong change: Taproot's claim over P2WPKH", edited(t, v, func(p *psbt.Packet) { p.Outs[1] = p.Outs[2] }), "output 1", "wrong change: script"},
		{"wrong change: the other output's claim", edited(t, v, func(p *psbt.Packet) { p.Outs[1], p.Outs[2] = p.Outs[2], p.Outs[1] }), "output 1", "wrong change: script"},
	}
}

func flipTop(b []byte) []byte { b[7] |= 0x80; return b }

func hostileScripts(t *testing.T, v bitcoin.Vault) (table []hostile) {
	pay := func(script ...byte) []byte {
		return edited(t, v, func(p *psbt.Packet) { p.Tx.Outs[0].Script = script })
	}
	memo := func(amount uint64, script ...byte) []byte {
		return edited(t, v, func(p *psbt.Packet) { p.Tx.Outs[0] = psbt.Out{Amount: amount, Script: script} })
	}
	n := func(count int) []byte { return bytes.Repeat([]byte{0x11}, count) }
	public := private(77).PubKey()
	for name, h := range map[string]struct {
		script []byte
		reason string
	}{
		"empty": {nil, "anybody"}, "OP_TRUE": {[]byte{0x51}, "no form"}, "bare key": {slices.Concat([]byte{33}, public.SerializeCompressed(), []byte{0xac}), "bare key"},
		"bare long key": {slices.Concat([]byte{65}, public.SerializeUncompressed(), []byte{0xac}), "bare key"},
		"bare multisig": {slices.Concat([]byte{0x51, 33}, public.SerializeCompressed(), []byte{0x51, 0xae}), "multisig"},
		"witness 2":     {append([]byte{0x52, 32}, n(32)...), "version 2"}, "witness 16": {append([]byte{0x60, 32}, n(32)...), "version 16"}, "witness 1 of 20 bytes": {append([]byte{0x51, 20}, n(20)...), "version 1"},
		"witness 1 of 33 bytes": {append([]byte{0x51, 33}, n(33)...), "version 1"}, "anchor": {[]byte{0x51, 2, 0x4e, 0x73}, "version 1"}, "witness 0 of 19 bytes": {append([]byte{0, 19}, n(19)...), "version 0"},
		"witness 0 of 33 bytes": {append([]byte{0, 33}, n(33)...), "version 0"}, "P2WPKH by a longer push": {append([]byte{0, 0x4c, 20}, n(20)...), "version 0"}, "P2WPKH with a byte more": {append([]byte{0, 20}, n(21)...), "version 0"},
		"P2TR with a byte more": {append([]byte{0x51, 32}, n(33)...), "no form"}, "P2PKH with OP_NOP": {slices.Concat([]byte{0x76, 0xa9, 20}, n(20), []byte{0x88, 0xac, 0x61}), "no form"},
		"P2SH of 19 bytes": {slices.Concat([]byte{0xa9, 19}, n(19), []byte{0x87}), "no form"}, "P2PKH of 21 bytes": {slices.Concat([]byte{0x76, 0xa9, 21}, n(21), []byte{0x88, 0xac}), "bare key"}, "timelock": {[]byte{1, 100, 0xb2}, "no form"},
	} {
		table = append(table, hostile{"payment to " + name, pay(h.script...), "output 0", h.reason})
	}
	return append(table, []hostile{
		{"memo with an amount", memo(1, 0x6a, 1, 'x'), "output 0", "would be lost"},
		{"memo with much", memo(150_000, 0x6a, 1, 'x'), "output 0", "would be lost"},
		{"memo of nothing", memo(0, 0x6a), "output 0", "anything else"},
		{"memo of an empty push", memo(0, 0x6a, 0), "output 0", "anything else"},
		{"memo of 81 bytes", memo(0, append([]byte{0x6a, 0x4c, 81}, n(81)...)...), "output 0", "anything else"},
		{"memo of 75 bytes by a longer push", memo(0, append([]byte{0x6a, 0x4c, 75}, n(75)...)...), "output 0", "anything else"},
		{"memo by a push of two bytes' length", memo(0, append([]byte{0x6a, 0x4d, 80, 0}, n(80)...)...), "output 0", "anything else"},
		{"memo of two pushes", memo(0, 0x6a, 1, 'x', 1, 'y'), "output 0", "anything else"},
		{"memo with a hidden opcode", memo(0, 0x6a, 1, 'x', 0xac), "output 0", "anything else"},
		{"memo of a number", memo(0, 0x6a, 0x51), "output 0", "anything else"},
		{"memo shorter than its push", memo(0, 0x6a, 3, 'x'), "output 0", "anything else"},
		{"runestone", memo(0, 0x6a, 0x5d, 2, 0, 1), "output 0", "anything else"},
		{"tokens of Omni", memo(0, append([]byte{0x6a, 20}, append([]byte("omni"), n(16)...)...)...), "output 0", "Omni"},
		{"two memos", edited(t, v, func(p *psbt.Packet) {
			m := psbt.Out{Script: []byte{0x6a, 1, 'x'}}
			p.Tx.Outs, p.Outs = append(p.Tx.Outs, m, m), append(p.Outs, nil, nil)
		}), "memo", "2 outputs"},
		{"memo that claims to be change", edited(t, v, func(p *psbt.Packet) { p.Tx.Outs[1] = psbt.Out{Script: []byte{0x6a, 1, 'x'}} }), "output 1", "wrong change: script"},
	}...)
}

func hostileAmounts(t *testing.T, v bitcoin.Vault) (table []hostile) {
	amount := func(i int, n uint64) []byte {
		return edited(t, v, func(p *psbt.Packet) { p.Tx.Outs[i].Amount = n })
	}
	for form, dust := range map[bitcoin.Form]uint64{bitcoin.PayKeyHash: 546, bitcoin.PayScriptHash: 540, bitcoin.PayWitnessKeyHash: 294, bitcoin.PayWitnessScriptHash: 330, bitcoin.PayTaproot: 330} {
		script, err := v.Network.ParseAddress(payee(t, form))
		if err != nil {
			t.Fatal(err)
		}
		dusty := func(n uint64) []byte {
			return edited(t, v, func(p *psbt.Packet) {
				p.Tx.Outs[0] = psbt.Out{Amount: n, Script: script}
				p.Tx.Outs[1].Amount += 150_000 - n
			})
		}
		if _, err := bitcoin.Decode(dusty(dust), v); err != nil {
			t.Errorf("%d sat to %s: %v", dust, form, err)
		}
		table = append(table, hostile{"dust to " + string(form), dusty(dust - 1), "output 0", "dust"})
	}
	return append(table, []hostile{
		{"payment of nothing", amount(0, 0), "output 0", "dust"},
		{"dust as change", amount(1, 293), "output 1", "dust"},
		{"dust as Taproot change", amount(2, 329), "output 2", "dust"},
		{"more out than in, by one", amount(0, 152_001), "fee", "more than the inputs'"},
		{"payment of more than there is", amount(0, bitcoin.MaxMoney+1), "output 0", "more than the"},
		{"payment of 2⁶³", amount(0, 1<<63), "output 0", "more than the"},
		{"payment of 2⁶⁴−1, which a sum would hide", amount(0, 1<<64-1), "output 0", "more than the"},
		{"change of 2⁶⁴−1", amount(2, 1<<64-1), "output 2", "more than the"},
		{"outputs that overflow together", edited(t, v, func(p *psbt.Packet) {
			p.Tx.Outs[0].Amount, p.Tx.Outs[1].Amount, p.Tx.Outs[2].Amount = bitcoin.MaxMoney, bitcoin.MaxMoney, bitcoin.MaxMoney
		}), "fee", "outputs hold more"},
		{"inputs that are more than there is", edited(t, v, func(p *psbt.Packet) {
			f := find(p.Ins[1], psbt.InOutput)
			s, err := v.Script(v1(2))
			if err != nil {
				t.Fatal(err)
			}
			f.Value = psbt.Out{Amount: bitcoin.MaxMoney, Script: s}.Bytes()
		}), "fee", "inputs hold more"},
		{"hidden fee: change is gone", edited(t, v, func(p *psbt.Packet) { p.Tx.Outs, p.Outs = p.Tx.Outs[:2], p.Outs[:2] }), "fee", "more than the limit"},
		{"hidden fee: change is less", amount(2, 500), "fee", "more than the limit"},
	}...)
}

// A node whose own context is wrong says so, and a key that the vault lacks is an error of its own.
func TestVaultMisuse(t *testing.T) {
	good := vault(t, true)
	b := honest(t, good)
	for name, spoil := range map[string]func(v *bitcoin.Vault){
		"no network": func(v *bitcoin.Vault) { v.Network = bitcoin.Network{} }, "no keys": func(v *bitcoin.Vault) { v.Key = nil },
		"age 0": func(v *bitcoin.Vault) { v.Recovery.Blocks = 0 }, "no point": func(v *bitcoin.Vault) { v.Recovery.Key = [32]byte{31: 5} },
		"no such key": func(v *bitcoin.Vault) {
			v.Key = func(string, [3]uint32) (bitcoin.Key, error) { return bitcoin.Key{}, errors.New("none") }
		},
		"a short key": func(v *bitcoin.Vault) {
			v.Key = func(string, [3]uint32) (bitcoin.Key, error) { return bitcoin.Key{Public: []byte{2}}, nil }
		},
		"no limit of the fee": func(v *bitcoin.Vault) { v.MaxRate = 0 },
		"another recovery":    func(v *bitcoin.Vault) { v.Recovery.Blocks++ },
		"no recovery":         func(v *bitcoin.Vault) { v.Recovery = nil },
	} {
		v := vault(t, true)
		spoil(&v)
		if _, err := bitcoin.Decode(b, v); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := bitcoin.Decode(b, good); err != nil {
		t.Error(err)
	}
}

package bitcoin_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// What other wallets say besides is left out: extended keys, witnesses of previous transactions, spent outputs, leaves, the recovery key's derivation, the payee's own.
func TestImport(t *testing.T) {
	v := vault(t, true)
	want := honest(t, v)
	k, err := keyOf(bitcoin.SuiteBIP340, v1(2).Path)
	if err != nil {
		t.Fatal(err)
	}
	script, err := v.Script(v0(1))
	if err != nil {
		t.Fatal(err)
	}
	root := leaf.Root()
	recovery := append(key(psbt.InTapPath), leaf.Key[:]...)
	full := edited(t, v, func(p *psbt.Packet) {
		put(&p.Global, append(key(psbt.GlobalXPub), make([]byte, 78)...), path(k.Fingerprint, 0, 5))
		put(&p.Global, key(psbt.GlobalVersion), make([]byte, 4))
		previous, err := psbt.ParseTx(find(p.Ins[0], psbt.InPrevious).Value)
		if err != nil {
			t.Fatal(err)
		}
		previous.Ins[0].Witness = [][]byte{make([]byte, 70)}
		put(&p.Ins[0], key(psbt.InPrevious), previous.Bytes())
		put(&p.Ins[0], key(psbt.InOutput), psbt.Out{Amount: 100_000, Script: script}.Bytes())
		put(&p.Ins[0], key(psbt.InSighash), []byte{1, 0, 0, 0})
		put(&p.Ins[0], key(psbt.Proprietary, 1), []byte{1})
		put(&p.Ins[1], append(key(psbt.InLeaf), make([]byte, 33)...), append(leaf.Script(), 0xc0))
		put(&p.Ins[1], recovery, slices.Concat([]byte{1}, root[:], path([4]byte{9, 9, 9, 9}, 1)))
		put(&p.Outs[0], append(key(psbt.OutDerivation), private(77).PubKey().SerializeCompressed()...), path([4]byte{8}, 1<<31, 0, 7))
		slices.Reverse(p.Ins[1])
	})
	got, err := bitcoin.Import(full, v)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("imported as %x, %v; want %x", got, err, want)
	}
	for name, c := range map[string]struct {
		edit   func(p *psbt.Packet)
		reason string
	}{
		"signed": {func(p *psbt.Packet) { put(&p.Ins[1], key(psbt.InKeySig), make([]byte, 64)) }, "signature"},
		"signed v0": {func(p *psbt.Packet) {
			put(&p.Ins[0], append(key(psbt.InPartial), make([]byte, 33)...), make([]byte, 71))
		}, "signature"},
		"final":          {func(p *psbt.Packet) { put(&p.Ins[0], key(psbt.InFinal), []byte{0}) }, "final"},
		"sighash":        {func(p *psbt.Packet) { put(&p.Ins[1], key(psbt.InSighash), []byte{3, 0, 0, 0}) }, "kind of signature"},
		"anyone can pay": {func(p *psbt.Packet) { put(&p.Ins[0], key(psbt.InSighash), []byte{0x81, 0, 0, 0}) }, "kind of signature"},
		"version 1":      {func(p *psbt.Packet) { put(&p.Global, key(psbt.GlobalVersion), []byte{1, 0, 0, 0}) }, "version"},
		"foreign input":  {func(p *psbt.Packet) { drop(&p.Ins[1], find(p.Ins[1], psbt.InTapPath).Key) }, "inputs of others"},
		"no amount":      {func(p *psbt.Packet) { drop(&p.Ins[1], key(psbt.InOutput)) }, "names no output"},
		"fee lie": {func(p *psbt.Packet) {
			put(&p.Ins[0], key(psbt.InOutput), psbt.Out{Amount: 99_000, Script: script}.Bytes())
		}, "is not the previous transaction's"},
		"another previous transaction": {func(p *psbt.Packet) {
			f := find(p.Ins[0], psbt.InPrevious)
			f.Value = bytes.Clone(f.Value)
			f.Value[0] ^= 1
		}, "its id is"},
		"amount alone": {func(p *psbt.Packet) {
			drop(&p.Ins[0], key(psbt.InPrevious))
			put(&p.Ins[0], key(psbt.InOutput), psbt.Out{Amount: 100_000, Script: script}.Bytes())
		}, "anybody's word"},
		"redeem script": {func(p *psbt.Packet) { put(&p.Ins[0], key(psbt.InRedeem), script) }, "redeem script"},
	} {
		if _, err := bitcoin.Import(edited(t, v, c.edit), v); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want …%s…", name, err, c.reason)
		}
	}
	// many derivations cost no more than a few
	tried := 0
	counting := cached(v)
	derive := counting.Key
	counting.Key = func(suite string, path [3]uint32) (bitcoin.Key, error) { tried++; return derive(suite, path) }
	if _, err := bitcoin.Import(edited(t, v, func(p *psbt.Packet) {
		drop(&p.Ins[1], find(p.Ins[1], psbt.InTapPath).Key)
		for i := range uint32(200) {
			p.Ins[1] = append(p.Ins[1], psbt.Field{Key: append(key(psbt.InTapPath), bytes.Repeat([]byte{byte(i)}, 32)...), Value: append([]byte{0}, path(k.Fingerprint, 0, 9, i)...)})
		}
	}), counting); err == nil || tried > 30 {
		t.Errorf("%d keys were derived, %v", tried, err)
	}
	if _, err := bitcoin.Import(make([]byte, 4*bitcoin.MaxLen+1), v); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a long packet: %v", err)
	}
	// a false claim of change becomes the payment that it is
	b, err := bitcoin.Import(edited(t, v, func(p *psbt.Packet) {
		p.Tx.Outs[1].Script = append([]byte{0, 20}, make([]byte, 20)...)
	}), v)
	if err != nil {
		t.Fatal(err)
	}
	if out := decode(t, v, b).Outputs()[1]; out.Change != nil || len(decode(t, v, b).Effects()) != 3 {
		t.Errorf("the claim is taken for change: %+v", out)
	}
}

// Parts that several wallets signed come together; two that differ do not.
func TestCombine(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, honest(t, v))
	sigs := signatures(t, tx)
	whole, err := tx.Export(sigs)
	if err != nil {
		t.Fatal(err)
	}
	part := func(in int) []byte {
		p, err := psbt.Parse(whole)
		if err != nil {
			t.Fatal(err)
		}
		drop(&p.Ins[0], append(key(psbt.InPartial), publicOf(bitcoin.SuiteECDSA, v0(1).Path)...))
		if in == 0 {
			if p, err = psbt.Parse(whole); err != nil {
				t.Fatal(err)
			}
			drop(&p.Ins[1], key(psbt.InKeySig))
		}
		return p.Bytes()
	}
	if _, err := tx.Signatures(part(0)); err == nil {
		t.Error("one part is enough")
	}
	got, err := tx.Signatures(part(0), part(1))
	if err != nil || !slices.Equal(got, sigs) {
		t.Errorf("%v", err)
	}
	p, err := psbt.Parse(part(1))
	if err != nil {
		t.Fatal(err)
	}
	put(&p.Ins[1], key(psbt.InKeySig), make([]byte, 64))
	if _, err := tx.Signatures(whole, p.Bytes()); err == nil || !strings.Contains(err.Error(), "two values") {
		t.Errorf("two signatures of one input: %v", err)
	}
	d := mixed(t, v)
	if _, err := tx.Signatures(whole, build(t, v, d)); err == nil || !strings.Contains(err.Error(), "of transaction") {
		t.Errorf("of another transaction: %v", err)
	}
	bad := slices.Clone(sigs)
	bad[0].Bytes[5] ^= 1
	if _, err := tx.Export(bad); err == nil {
		t.Error("a wrong signature is exported")
	}
	other, err := schnorr.Sign(recoveryKey, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	bad[0], bad[1].Bytes = sigs[0], [64]byte(other.Serialize())
	if _, err := tx.Export(bad); err == nil {
		t.Error("another's signature is exported")
	}
}

package bitcoin_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/hd"
)

// What cannot be decoded is not built.
func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(v *bitcoin.Vault, d *bitcoin.Draft)
		reason string
	}{
		"payment and memo": {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs[0].Memo = []byte("x") }, "more than one"},
		"change and memo":  {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs[7].Memo = []byte("x") }, "more than one"},
		"empty memo":       {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs[3].Memo = []byte{} }, "anything else"},
		"long memo":        {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs[3].Memo = make([]byte, 81) }, "anything else"},
		"no address":       {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs[0].Address = "" }, "address"},
		"main network": {func(_ *bitcoin.Vault, d *bitcoin.Draft) {
			d.Outs[0].Address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
		}, "regtest"},
		"suite of another":    {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Ins[0].Suite = "ed25519" }, "signs nothing"},
		"hardened input":      {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Ins[0].Path[1] = 1 << 31 }, "path has the step"},
		"hardened change":     {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs[7].Change.Path[0] = 1 << 31 }, "path has the step"},
		"no keys":             {func(v *bitcoin.Vault, _ *bitcoin.Draft) { v.Key = nil }, "no keys"},
		"no inputs":           {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Ins = nil }, "no inputs"},
		"no outputs":          {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Outs = nil }, "0 outputs"},
		"amount of another":   {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Ins[0].Amount++ }, "the draft says"},
		"previous of another": {func(_ *bitcoin.Vault, d *bitcoin.Draft) { d.Ins[1].Previous = d.Ins[0].Previous }, "its id is"},
	} {
		v := vault(t, true)
		d := mixed(t, v)
		d.Ins[0].WithOutput = false
		c.edit(&v, &d)
		_, err := bitcoin.Build(v, d)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want …%s…", name, err, c.reason)
		}
	}
}

// Witnesses of other forms are none of this transaction's.
func TestOtherWitnesses(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, honest(t, v))
	s, err := tx.Assemble(signatures(t, tx))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(tx *psbt.Tx){
		"Taproot with a kind of signature": func(tx *psbt.Tx) { tx.Ins[1].Witness[0] = append(bytes.Clone(tx.Ins[1].Witness[0]), 1) },
		"Taproot with an annex":            func(tx *psbt.Tx) { tx.Ins[1].Witness = append(tx.Ins[1].Witness, []byte{0x50}) },
		"Taproot by the leaf": func(tx *psbt.Tx) {
			tx.Ins[1].Witness = append(tx.Ins[1].Witness, leaf.Script(), make([]byte, 33))
		},
		"Taproot of nothing":    func(tx *psbt.Tx) { tx.Ins[1].Witness = nil },
		"P2WPKH of NONE":        func(tx *psbt.Tx) { w := tx.Ins[0].Witness; w[0] = append(bytes.Clone(w[0][:len(w[0])-1]), 2) },
		"P2WPKH of no DER":      func(tx *psbt.Tx) { tx.Ins[0].Witness[0] = []byte{0x30, 1, 1} },
		"P2WPKH of another key": func(tx *psbt.Tx) { tx.Ins[0].Witness[1] = private(66).PubKey().SerializeCompressed() },
		"P2WPKH of a long key":  func(tx *psbt.Tx) { tx.Ins[0].Witness[1] = private(66).PubKey().SerializeUncompressed() },
		"P2WPKH with more":      func(tx *psbt.Tx) { tx.Ins[0].Witness = append(tx.Ins[0].Witness, nil) },
		"P2WPKH of nothing":     func(tx *psbt.Tx) { tx.Ins[0].Witness = nil },
	} {
		published, err := psbt.ParseTx(bytes.Clone(s.Raw))
		if err != nil {
			t.Fatal(err)
		}
		edit(published)
		if _, _, err := tx.ParseSigned(published.Bytes()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Signatures in packets of other kinds or forms are none.
func TestOtherPacketSignatures(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, honest(t, v))
	whole, err := tx.Export(signatures(t, tx))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(p *psbt.Packet){
		"P2WPKH of NONE": func(p *psbt.Packet) {
			f := find(p.Ins[0], psbt.InPartial)
			f.Value = append(bytes.Clone(f.Value[:len(f.Value)-1]), 2)
		},
		"P2WPKH of no DER": func(p *psbt.Packet) { find(p.Ins[0], psbt.InPartial).Value = []byte{1, 2, 1} },
		"P2WPKH of another key": func(p *psbt.Packet) {
			find(p.Ins[0], psbt.InPartial).Key = append(key(psbt.InPartial), private(66).PubKey().SerializeCompressed()...)
		},
		"Taproot of 65 bytes": func(p *psbt.Packet) { f := find(p.Ins[1], psbt.InKeySig); f.Value = append(bytes.Clone(f.Value), 1) },
	} {
		p, err := psbt.Parse(bytes.Clone(whole))
		if err != nil {
			t.Fatal(err)
		}
		edit(p)
		if _, err := tx.Signatures(p.Bytes()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name, b := range map[string][]byte{"no packet": []byte("psbt"), "too long": make([]byte, 4*bitcoin.MaxLen+1)} {
		if _, err := tx.Signatures(b); err == nil {
			t.Errorf("%s: read", name)
		}
		if _, err := bitcoin.Import(b, v); err == nil {
			t.Errorf("%s: imported", name)
		}
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		rate  bitcoin.Rate
		vsize int
		fee   uint64
	}{{1000, 141, 141}, {1, 141, 1}, {1001, 1000, 1001}, {1500, 1, 2}, {0, 141, 0}, {math.MaxUint64, 2, math.MaxUint64}, {math.MaxUint64, 1, math.MaxUint64}} {
		if got := c.rate.Fee(c.vsize); got != c.fee {
			t.Errorf("%d for %d vB: %d, want %d", c.rate, c.vsize, got, c.fee)
		}
	}
	if bitcoin.PerVByte(1<<62) != math.MaxUint64 || bitcoin.PerVByte(7) != 7000 || bitcoin.RateOf(math.MaxUint64, 5) != math.MaxUint64 || bitcoin.RateOf(5, 0) != math.MaxUint64 || bitcoin.RateOf(1410, 141) != 10_000 {
		t.Error("rates overflow or are wrong")
	}
	if got := bitcoin.Rate(12_345).String(); got != "12.345 sat/vB" {
		t.Error(got)
	}
}

// Replacements are of one network; descriptors of our suites and forms.
func TestOtherContexts(t *testing.T) {
	v := vault(t, true)
	d := mixed(t, v)
	for i := range d.Outs {
		if d.Outs[i].Address != "" {
			d.Outs[i] = bitcoin.Output{Amount: d.Outs[i].Amount, Change: place(v0(40))}
		}
	}
	old := decode(t, v, build(t, v, d))
	b, err := old.Replacement(bitcoin.PerVByte(50), 0)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := v
	elsewhere.Network = network(t, "bip122:000000000933ea01ad0ee984209779ba")
	if err := decode(t, elsewhere, b).Replaces(old, 0); err == nil || !strings.Contains(err.Error(), "testnet") {
		t.Errorf("on another network: %v", err)
	}
	if _, err := v.Descriptor("ed25519", rootKey(bitcoin.SuiteECDSA), 0, 5); err == nil {
		t.Error("a descriptor of ed25519")
	}
	if _, err := v.Descriptor(bitcoin.SuiteECDSA, rootKey(bitcoin.SuiteECDSA), 1<<31, 5); err == nil {
		t.Error("a descriptor of a hardened account")
	}
	text, err := v.Descriptor(bitcoin.SuiteECDSA, rootKey(bitcoin.SuiteECDSA), 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	body, _, _ := strings.Cut(text, ")#")
	for _, bad := range []string{body + "," + leaf.String() + ")", "tr" + strings.TrimPrefix(body, "wpkh") + "," + leaf.String(), "tr" + strings.TrimPrefix(body, "wpkh") + ",pk(00))", "tr(xpub," + leaf.String() + ")"} {
		text, err := hd.Checksummed(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bitcoin.ParseDescriptor(text); err == nil {
			t.Errorf("%s: read", text)
		}
	}
}

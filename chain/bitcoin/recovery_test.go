package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	theirs "github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// The leaf is what btcd's script builder makes of it, for ages of each length, and so are root and control block.
func TestLeafBeforeBtcd(t *testing.T) {
	internal := publicOf(bitcoin.SuiteBIP340, v1(1).Path)
	p, err := secp256k1.DecodePoint(internal)
	if err != nil {
		t.Fatal(err)
	}
	public, err := btcec.ParsePubKey(internal)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint16{1, 2, 16, 17, 127, 128, 144, 255, 256, 1008, 32767, 32768, 52560, 65535} {
		r := bitcoin.Recovery{Key: leaf.Key, Blocks: n}
		want, err := txscript.NewScriptBuilder().AddData(r.Key[:]).AddOp(txscript.OP_CHECKSIGVERIFY).AddInt64(int64(n)).AddOp(txscript.OP_CHECKSEQUENCEVERIFY).Script()
		if err != nil || !bytes.Equal(r.Script(), want) {
			t.Errorf("%d blocks: leaf %x, btcd says %x, %v", n, r.Script(), want, err)
		}
		tree := txscript.AssembleTaprootScriptTree(txscript.NewBaseTapLeaf(want))
		root := tree.RootNode.TapHash()
		control := tree.LeafMerkleProofs[0].ToControlBlock(public)
		block, errBlock := control.ToBytes()
		ours, errOurs := r.ControlBlock(p)
		if got := r.Root(); !bytes.Equal(got[:], root[:]) || errBlock != nil || errOurs != nil || !bytes.Equal(ours, block) {
			t.Errorf("%d blocks: root %x and control block %x, btcd says %x and %x", n, got, ours, root, block)
		}
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
}

// R alone takes coins of several ages with btcd's engine; not with a sequence of less, nor with another key.
func TestReclaim(t *testing.T) {
	v := vault(t, true)
	var coins []bitcoin.Lost
	var spent []psbt.Out
	for i := range uint32(3) {
		s, err := v.Script(v1(i))
		if err != nil {
			t.Fatal(err)
		}
		coins = append(coins, bitcoin.Lost{Outpoint: psbt.Outpoint{ID: psbt.ID{1, byte(i)}, Index: i}, Amount: 10_000 * uint64(i+1), Internal: publicOf(bitcoin.SuiteBIP340, v1(i).Path)})
		spent = append(spent, psbt.Out{Amount: coins[i].Amount, Script: s})
	}
	r, err := leaf.Reclaim(v.Network, coins, payee(t, bitcoin.PayTaproot), bitcoin.PerVByte(5))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k *btcec.PrivateKey) (sigs [][64]byte) {
		for _, d := range r.Digests() {
			s, err := schnorr.Sign(k, d[:])
			if err != nil {
				t.Fatal(err)
			}
			sigs = append(sigs, [64]byte(s.Serialize()))
		}
		return sigs
	}
	s, err := r.Assemble(sign(recoveryKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := executes(t, s.Raw, spent); err != nil {
		t.Error(err)
	}
	if want := bitcoin.PerVByte(5).Fee(s.VSize); r.Fee() != want {
		t.Errorf("fee %d, want %d for %d vB", r.Fee(), want, s.VSize)
	}
	var w wire.MsgTx
	if err := w.Deserialize(bytes.NewReader(s.Raw)); err != nil || w.TxHash().String() != s.ID || w.Version != 2 || w.TxIn[0].Sequence != uint32(leaf.Blocks) {
		t.Errorf("%v: id %s, version %d, sequence %d", err, s.ID, w.Version, w.TxIn[0].Sequence)
	}
	w.TxIn[1].Sequence--
	var early bytes.Buffer
	if err := w.Serialize(&early); err != nil || executes(t, early.Bytes(), spent) == nil {
		t.Error("the leaf opens before its age")
	}
	if _, err := r.Assemble(sign(private(66))); err == nil {
		t.Error("another key's signatures are assembled")
	}
	if _, err := r.Assemble(sign(recoveryKey)[:2]); err == nil {
		t.Error("a signature may be missing")
	}
	p, err := theirs.NewFromRawBytes(bytes.NewReader(r.Packet()), false)
	if err != nil || len(p.Inputs) != 3 || !bytes.Equal(p.Inputs[2].TaprootLeafScript[0].Script, leaf.Script()) || !bytes.Equal(p.Inputs[2].WitnessUtxo.PkScript, spent[2].Script) {
		t.Errorf("btcd reads the packet as %+v, %v", p, err)
	}
}

func TestReclaimRefuses(t *testing.T) {
	v := vault(t, true)
	good := bitcoin.Lost{Outpoint: psbt.Outpoint{ID: psbt.ID{1}}, Amount: 10_000, Internal: publicOf(bitcoin.SuiteBIP340, v1(1).Path)}
	to := payee(t, bitcoin.PayTaproot)
	with := func(edit func(c *bitcoin.Lost)) []bitcoin.Lost {
		c := good
		edit(&c)
		return []bitcoin.Lost{c}
	}
	for name, c := range map[string]struct {
		recovery bitcoin.Recovery
		coins    []bitcoin.Lost
		to       string
		rate     bitcoin.Rate
	}{
		"no coins": {leaf, nil, to, 1000}, "too many": {leaf, make([]bitcoin.Lost, bitcoin.MaxInputs+1), to, 1000}, "a coin twice": {leaf, []bitcoin.Lost{good, good}, to, 1000},
		"no point": {leaf, with(func(c *bitcoin.Lost) { c.Internal = make([]byte, 33) }), to, 1000}, "x alone": {leaf, with(func(c *bitcoin.Lost) { c.Internal = c.Internal[1:] }), to, 1000},
		"more than there is": {leaf, with(func(c *bitcoin.Lost) { c.Amount = bitcoin.MaxMoney + 1 }), to, 1000}, "dust": {leaf, with(func(c *bitcoin.Lost) { c.Amount = 300 }), to, 1000},
		"a fee above all": {leaf, []bitcoin.Lost{good}, to, bitcoin.PerVByte(1000)}, "a fee that overflows": {leaf, []bitcoin.Lost{good}, to, 1<<64 - 1},
		"another network": {leaf, []bitcoin.Lost{good}, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1000}, "age 0": {bitcoin.Recovery{Key: leaf.Key}, []bitcoin.Lost{good}, to, 1000},
	} {
		if _, err := c.recovery.Reclaim(v.Network, c.coins, c.to, c.rate); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	if _, err := leaf.Reclaim(v.Network, []bitcoin.Lost{good}, to, 1000); err != nil {
		t.Error(err)
	}
}

func TestOpens(t *testing.T) {
	r := bitcoin.Recovery{Blocks: 10}
	for _, c := range []struct{ confirmed, tip, want uint32 }{
		{100, 100, 9}, {100, 99, 10}, {100, 108, 1}, {100, 109, 0}, {100, 110, 0}, {100, 1 << 31, 0}, {1<<32 - 1, 0, 1<<32 - 1}, {0, 1<<32 - 1, 0},
	} {
		if got := r.Opens(c.confirmed, c.tip); got != c.want {
			t.Errorf("coin of %d at %d: %d, want %d", c.confirmed, c.tip, got, c.want)
		}
	}
}

// Coins that lay at the address without the leaf are spent; change never goes there.
func TestPlainCoins(t *testing.T) {
	v := vault(t, true)
	p := v1(1)
	p.Plain = true
	d := bitcoin.Draft{Ins: []bitcoin.Input{coin(t, v, p, 50_000)}, Outs: []bitcoin.Output{{Amount: 49_000, Change: place(v1(1))}}}
	tx := decode(t, v, build(t, v, d))
	if tx.Uses()[0].Root != nil || !strings.Contains(tx.Lines()[len(tx.Lines())-1].Value, " plain,") {
		t.Errorf("%+v, %+v", tx.Uses()[0], tx.Lines())
	}
	s, err := tx.Assemble(signatures(t, tx))
	if err != nil {
		t.Fatal(err)
	}
	if err := executes(t, s.Raw, spentBy(t, v, tx)); err != nil {
		t.Error(err)
	}
	d.Outs[0].Change = &p
	if _, err := bitcoin.Build(v, d); err == nil || !strings.Contains(err.Error(), "script tree") {
		t.Errorf("change without the leaf: %v", err)
	}
}

// A descriptor gives the vault's own addresses, and comes back as it was; BIP 380's checksum holds, and no other text is read.
func TestDescriptors(t *testing.T) {
	for _, c := range []struct {
		recovery bool
		suite    string
		begins   string
		holds    string
	}{{false, bitcoin.SuiteECDSA, "wpkh([", "/0/5]tpub"}, {true, bitcoin.SuiteECDSA, "wpkh([", "/0/5]tpub"}, {false, bitcoin.SuiteBIP340, "tr([", "/*)#"}, {true, bitcoin.SuiteBIP340, "tr([", "/*,and_v(v:pk(" + hex.EncodeToString(leaf.Key[:]) + "),older(1008)))#"}} {
		v := vault(t, c.recovery)
		text, err := v.Descriptor(c.suite, rootKey(c.suite), 0, 5)
		if err != nil || !strings.HasPrefix(text, c.begins) || !strings.Contains(text, c.holds) {
			t.Fatalf("%s, %v", text, err)
		}
		d, r, err := bitcoin.ParseDescriptor(text)
		if err != nil || (r != nil) != (c.recovery && c.suite == bitcoin.SuiteBIP340) || r != nil && *r != leaf {
			t.Fatalf("%s: read as %+v, %v, %v", text, d, r, err)
		}
		child, _, err := d.Account.Derive(hd.Path{7})
		if err != nil {
			t.Fatal(err)
		}
		watching := bitcoin.Vault{Network: v.Network, Recovery: r, Key: func(string, [3]uint32) (bitcoin.Key, error) { return bitcoin.Key{Public: child.Point.Bytes()}, nil }}
		at := bitcoin.Spot{Suite: c.suite, Path: [3]uint32{0, 5, 7}}
		want, err := v.Address(at)
		if got, errGot := watching.Address(at); err != nil || errGot != nil || got != want {
			t.Errorf("%s: address %s, want %s", text, got, want)
		}
		for i := range text {
			bad := []byte(text)
			bad[i] ^= 1
			if _, _, err := bitcoin.ParseDescriptor(string(bad)); err == nil {
				t.Errorf("%s: read", bad)
			}
		}
		if _, _, err := bitcoin.ParseDescriptor(text + " "); err == nil {
			t.Error("a space behind it is read")
		}
	}
	for _, bad := range []string{
		"and_v(v:pk(" + hex.EncodeToString(leaf.Key[:]) + "),older(0))", "and_v(v:pk(" + hex.EncodeToString(leaf.Key[:]) + "),older(65536))", "and_v(v:pk(" + hex.EncodeToString(leaf.Key[:]) + "),older(010))",
		"and_v(v:pk(" + strings.ToUpper(hex.EncodeToString(leaf.Key[:])) + "),older(10))", "and_v(v:pk(00),older(10))", "and_v(v:pk(" + strings.Repeat("0", 63) + "5),older(10))", "pk(" + hex.EncodeToString(leaf.Key[:]) + ")", "",
	} {
		if _, err := bitcoin.ParseRecovery(bad); err == nil {
			t.Errorf("leaf %q is read", bad)
		}
	}
	if r, err := bitcoin.ParseRecovery(leaf.String()); err != nil || r != leaf {
		t.Errorf("%v, %v", r, err)
	}
}

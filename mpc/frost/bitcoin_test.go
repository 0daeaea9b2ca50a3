package frost

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// Bitcoin's own rules, as btcd has them, are a third opinion: an output of ours is spent by its key path, with
// and without a script tree, under derived keys; and the script path still opens the tree that Q commits to.
func TestBitcoinSpendsByKeyPath(t *testing.T) {
	d := newDeal(t, BIP340, 2, 3)
	leaf := txscript.NewBaseTapLeaf([]byte{txscript.OP_1})
	tree := txscript.AssembleTaprootScriptTree(leaf)
	root := [32]byte(tree.RootNode.TapHash())
	for name, tap := range map[string]Taproot{"key path": KeyPath(), "script tree": ScriptTree(root)} {
		for k := range uint64(8) {
			e := d.group.Scalar(k)
			key, err := KeyOf(BIP340, d.public, e, tap)
			if err != nil {
				t.Fatal(err)
			}
			script := append([]byte{txscript.OP_1, txscript.OP_DATA_32}, key.Bytes[:]...)
			const value = 50_000
			fetch := txscript.NewCannedPrevOutputFetcher(script, value)
			tx := wire.NewMsgTx(2)
			tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{byte(k)}, Index: 1}})
			tx.AddTxOut(wire.NewTxOut(value-200, script))
			hashes := txscript.NewTxSigHashes(tx, fetch)
			digest, err := txscript.CalcTaprootSignatureHash(hashes, txscript.SigHashDefault, tx, 0, fetch)
			if err != nil {
				t.Fatal(err)
			}
			params := d.params([]int{0, 2}, digest, e, tap)
			results, err := enginetest.Run(enginetest.Options{}, honest(t, params)...).Results()
			if err != nil {
				t.Fatal(err)
			}
			spend := func(witness ...[]byte) error {
				tx.TxIn[0].Witness = witness
				vm, err := txscript.NewEngine(script, tx, 0, txscript.StandardVerifyFlags, nil, hashes, value, fetch)
				if err != nil {
					return err
				}
				return vm.Execute()
			}
			if err := spend(results[0][:]); err != nil {
				t.Errorf("%s, tweak %d: %v", name, k, err)
			}
			bad := bytes.Clone(results[0][:])
			bad[40] ^= 1
			if spend(bad) == nil {
				t.Errorf("%s, tweak %d: a changed signature spends", name, k)
			}
			opens := spend(leaf.Script, controlBlock(t, d, params[0], tree)) == nil
			if opens != (name == "script tree") {
				t.Errorf("%s, tweak %d: script path opens: %v", name, k, opens)
			}
		}
	}
}

// controlBlock is btcd's, for the internal key P = X + e·G, whose output key it computes by itself.
func controlBlock(t *testing.T, d *deal, p Params, tree *txscript.IndexedTapScriptTree) []byte {
	t.Helper()
	internal := d.public.Add(d.group.BaseMul(p.Tweak)).(*secp256k1.Point)
	key, err := btcec.ParsePubKey(internal.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	block := tree.LeafMerkleProofs[0].ToControlBlock(key)
	root := [32]byte(tree.RootNode.TapHash())
	want := txscript.ComputeTaprootOutputKey(key, root[:])
	out, err := hd.TapTweak(internal, &root)
	if err != nil || !bytes.Equal(out.Point.Bytes(), want.SerializeCompressed()) {
		t.Errorf("output key is %v, btcd's %x: %v", out.Point, want.SerializeCompressed(), err)
	}
	b, err := block.ToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components/btcd"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
)

const regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"

// recoveryBlocks is how long a coin must lie still until recoveryKey alone spends it.
const recoveryBlocks = 12

func recoveryKey() *btcec.PrivateKey {
	k, _ := btcec.PrivKeyFromBytes([]byte("the key that recovers, of a test"))
	return k
}

// The circle's vault has a key for each kind of Bitcoin's addresses.
const bothKinds = "suites: [bip340-secp256k1, ecdsa-secp256k1]"

// What three operators' nodes do on a real chain of Bitcoin, told by the commands that people type.
func TestBitcoinStories(t *testing.T) { bitcoinStories(t, btcd.Start(t)) }

func bitcoinStories(t *testing.T, chain *btcd.Node) {
	c := settled(t, local.Config{
		Suite: charter.SuiteBIP340, Chain: regtest, RPC: map[string]string{regtest: chain.URL}, Threshold: 2,
		Assets: []charter.Asset{{Name: "btc", Chain: regtest, Decimals: 8, Unit: 5}},
		Amend: func(text string) string {
			return strings.Replace(text, "suites: [bip340-secp256k1]", fmt.Sprintf("%s\n    recovery:\n      key: \"%x\"\n      blocks: %d", bothKinds, schnorr.SerializePubKey(recoveryKey().PubKey()), recoveryBlocks), 1)
		},
	})
	w := &bitcoins{t, c, chain}
	tell(t, c, stories(t, "bitcoin"), w.commands(), map[string]string{
		"CHAIN": regtest, "MINER": btcd.Address, "RPC": regtest + "=" + chain.URL, "SECOND": regtest + "=" + strings.Replace(chain.URL, "127.0.0.1", "localhost", 1),
	})
}

// bitcoins are what the stories of testdata/bitcoin work with.
type bitcoins struct {
	t     *testing.T
	local *local.Circle
	chain *btcd.Node
}

func (w *bitcoins) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"pay":        w.pay,
		"mine":       w.mine,
		"coin":       w.coin,
		"mine-until": w.mineUntil,
		"reclaim":    w.reclaim,
		// unmine N throws out so many of the newest blocks, and sets $THROWN to the lowest of them.
		"unmine": func(ts *testscript.TestScript, _ bool, args []string) {
			n, err := strconv.Atoi(args[0])
			ts.Check(err)
			hash := w.chain.Hash(w.t, w.chain.Height(w.t)-n+1)
			w.chain.Invalidate(w.t, hash)
			ts.Setenv("THROWN", hash)
		},
		"halt": func(ts *testscript.TestScript, _ bool, args []string) {
			for _, o := range w.local.Operators {
				if o.Name == args[0] {
					w.local.Halt(o)
				}
			}
		},
	}
}

// pay ADDRESS SATOSHIS sends coins of the miner's.
func (w *bitcoins) pay(ts *testscript.TestScript, _ bool, args []string) {
	n, err := bitcoin.NetworkOf(regtest)
	ts.Check(err)
	script, err := n.ParseAddress(args[0])
	ts.Check(err)
	amount, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	w.chain.Pay(w.t, script, amount)
}

// mine N mines blocks.
func (w *bitcoins) mine(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	w.chain.Mine(w.t, n)
}

// mineUntil STATE mines a block a second until the intent in the file id is in a state: nodes look each second. What btcd throws out of a block it puts back into its pool by itself.
func (w *bitcoins) mineUntil(ts *testscript.TestScript, _ bool, args []string) {
	id := strings.TrimSpace(ts.ReadFile("id"))
	for range 60 {
		w.chain.Mine(w.t, 1)
		time.Sleep(time.Second)
		ts.Check(ts.Exec("ostraka", "tx", "show", "--json", id))
		var doc struct{ State string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
		if doc.State == args[0] {
			return
		}
	}
	ts.Check(ts.Exec("ostraka", "tx", "show", id))
	ts.Fatalf("intent %s is not %s", id, args[0])
}

// reclaim FILE signs a packet of `coin reclaim` as another wallet does that holds the recovery key, and sends it: with ! the chain must refuse it.
func (w *bitcoins) reclaim(ts *testscript.TestScript, neg bool, args []string) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	p, err := psbt.Parse(raw)
	ts.Check(err)
	var tx wire.MsgTx
	ts.Check(tx.DeserializeNoWitness(bytes.NewReader(p.Tx.Bare())))
	outs := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range tx.TxIn {
		spent, _ := p.Ins[i].Get(psbt.InOutput)
		o, err := psbt.ParseOut(spent)
		ts.Check(err)
		outs.AddPrevOut(in.PreviousOutPoint, wire.NewTxOut(int64(o.Amount), o.Script))
	}
	hashes := txscript.NewTxSigHashes(&tx, outs)
	for i, in := range tx.TxIn {
		at := slices.IndexFunc(p.Ins[i], func(f psbt.Field) bool { return f.Key[0] == psbt.InLeaf })
		leaf, script := p.Ins[i][at], p.Ins[i][at].Value[:len(p.Ins[i][at].Value)-1]
		out := outs.FetchPrevOutput(in.PreviousOutPoint)
		sig, err := txscript.RawTxInTapscriptSignature(&tx, hashes, i, out.Value, out.PkScript, txscript.NewBaseTapLeaf(script), txscript.SigHashDefault, recoveryKey())
		ts.Check(err)
		in.Witness = wire.TxWitness{sig, script, leaf.Key[1:]}
	}
	var b bytes.Buffer
	ts.Check(tx.Serialize(&b))
	c, err := coin.New(w.chain.URL, rpc.Options{})
	ts.Check(err)
	_, err = c.SendRaw(context.Background(), b.Bytes())
	switch {
	case neg && err == nil:
		ts.Fatalf("the chain takes it")
	case !neg:
		ts.Check(err)
	default:
		ts.Logf("refused: %v", err)
	}
}

// coin N waits until the account ops/main is shown to hold so many coins, and sets $COIN to the most valuable one.
func (w *bitcoins) coin(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var doc struct {
			Coins []struct{ Coin string }
		}
		if err := ts.Exec("ostraka", "coin", "list", "--json", local.VaultName, "ops/main"); err == nil { // else the nodes have read no block yet
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
		}
		if doc.Coins != nil && strconv.Itoa(len(doc.Coins)) == args[0] {
			if len(doc.Coins) > 0 {
				ts.Setenv("COIN", doc.Coins[0].Coin)
			}
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%d coins are shown, not %s", len(doc.Coins), args[0])
		}
	}
}

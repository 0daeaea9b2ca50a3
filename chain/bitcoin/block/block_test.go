package block_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/internal/cputime"
)

// Two blocks of the main network as everybody has them: the first, and the first that holds a payment.
const (
	first = "01000000" + "0000000000000000000000000000000000000000000000000000000000000000" + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a" + "29ab5f49ffff001d1dac2b7c" + "01" +
		"01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff" +
		"0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
	paid = "01000000" + "55bd840a78798ad0da853f68974f3d183e2bd1db6a842c1feecf222a00000000" + "ff104ccb05421ab93e63f8c3ce5c2c2e9dbb37de2764b3a3175c8166562cac7d" + "51b96a49ffff001d283e9e70" + "02" +
		"01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0102ffffffff0100f2052a01000000434104d46c4968bde02899d2aa0963367c7a6ce34eec332b32e42e5f3407e052d64ac625da6f0718e7b302140434bd725706957c092db53805b821a85b23a7ac61725bac00000000" +
		"0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac00000000"
)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublishedBlocks(t *testing.T) {
	for _, c := range []struct{ raw, id, last string }{
		{first, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"},
		{paid, "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee", "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"},
	} {
		raw := fromHex(t, c.raw)
		b, err := block.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if b.Hash.String() != c.id || b.Transactions[len(b.Transactions)-1].TxID.String() != c.last || !bytes.Equal(written(b), raw) {
			t.Errorf("block %s ends with %s", b.Hash, b.Transactions[len(b.Transactions)-1].TxID)
		}
	}
}

// written puts a block together again from its parts.
func written(b *block.Block) []byte {
	out := psbt.AppendCompact(b.Bytes(), uint64(len(b.Transactions)))
	for _, t := range b.Transactions {
		out = append(out, t.Raw...)
	}
	return out
}

func doubled(b ...byte) psbt.ID {
	once := sha256.Sum256(b)
	return sha256.Sum256(once[:])
}

// rootOf is the tree of ids in the shortest way to say it.
func rootOf(ids []psbt.ID) psbt.ID {
	if len(ids) == 1 {
		return ids[0]
	}
	var up []psbt.ID
	for ; len(ids) > 1; ids = ids[2:] {
		up = append(up, doubled(append(ids[0][:], ids[1][:]...)...))
	}
	if len(ids) == 1 {
		up = append(up, doubled(append(ids[0][:], ids[0][:]...)...))
	}
	return rootOf(up)
}

const easy = 0x207fffff

// mined is a block of these transactions, which meets the easiest target.
func mined(h block.Header, txs ...*psbt.Tx) []byte {
	body := psbt.AppendCompact(nil, uint64(len(txs)))
	ids := []psbt.ID{}
	for _, tx := range txs {
		ids, body = append(ids, tx.ID()), append(body, tx.Bytes()...)
	}
	if h.Bits == 0 {
		h.Bits = easy
	}
	if h.Root == (psbt.ID{}) && len(ids) > 0 {
		h.Root = rootOf(ids)
	}
	for id := h.ID(); id[31] > 0x7e; id = h.ID() {
		h.Nonce++
	}
	return append(h.Bytes(), body...)
}

func coinbase() *psbt.Tx {
	return &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{Index: 0xffffffff}, Script: []byte{1, 7}, Sequence: 9, Witness: [][]byte{make([]byte, 32)}}}, Outs: []psbt.Out{{Amount: 50, Script: []byte{0x51}}}}
}

func payment(n uint32) *psbt.Tx {
	return &psbt.Tx{Version: n, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{byte(n), byte(n >> 8)}}, Witness: [][]byte{make([]byte, n%80), {}}}}, Outs: []psbt.Out{{Amount: uint64(n), Script: make([]byte, n%40)}}}
}

// Of blocks with every number of transactions up to 40: our reading is btcd's, and its ids are ours.
func TestBlocksBeforeBtcd(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 40 {
		txs := []*psbt.Tx{coinbase()}
		for range n {
			txs = append(txs, payment(rng.Uint32()>>8))
		}
		raw := mined(block.Header{Version: rng.Uint32(), Previous: psbt.ID{1, 2}, Time: rng.Uint32(), Nonce: rng.Uint32()}, txs...)
		b, err := block.Parse(raw)
		if err != nil {
			t.Fatalf("%d transactions: %v", n+1, err)
		}
		var theirs wire.MsgBlock
		if err := theirs.Deserialize(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		hash := theirs.BlockHash()
		if hash.String() != b.Hash.String() || theirs.Header.PrevBlock.String() != b.Previous.String() || theirs.Header.Timestamp.Unix() != int64(b.Time) || !bytes.Equal(written(b), raw) {
			t.Errorf("btcd reads block %s, we %s", hash, b.Hash)
		}
		for i, tx := range theirs.Transactions {
			if id := tx.TxHash(); id.String() != b.Transactions[i].TxID.String() || b.Transactions[i].HasWitness() {
				t.Errorf("transaction %d is %s, we read %s", i, id, b.Transactions[i].TxID)
			}
		}
	}
}

func TestHostileBlocks(t *testing.T) {
	one := mined(block.Header{}, coinbase(), payment(3))
	flipped := func(at int) []byte {
		b := bytes.Clone(one)
		b[at] ^= 1
		return b
	}
	bits := func(n uint32) []byte {
		h := block.Header{Bits: n}
		return append(append(h.Bytes(), 1), coinbase().Bytes()...)
	}
	twice := coinbase()
	twice.Ins = append(twice.Ins, payment(1).Ins...)
	scriptless, wordy := coinbase(), coinbase()
	scriptless.Ins[0].Script, wordy.Ins[0].Script = []byte{1}, make([]byte, 101)
	rich, richer := payment(1), payment(1)
	rich.Outs[0].Amount = bitcoin.MaxMoney + 1
	richer.Outs = []psbt.Out{{Amount: bitcoin.MaxMoney}, {Amount: 1}}
	overflow := payment(1)
	overflow.Outs = []psbt.Out{{Amount: 1<<64 - 1}, {Amount: 2}}
	heavy := payment(1)
	heavy.Outs[0].Script = make([]byte, 999_900)
	big := payment(1)
	big.Ins[0].Witness = [][]byte{make([]byte, block.MaxBytes)}
	null := payment(2)
	null.Ins = append(null.Ins, psbt.In{Outpoint: psbt.Outpoint{Index: 0xffffffff}})
	long := append(bytes.Clone(one[:80]), append([]byte{0xfd, 2, 0}, one[81:]...)...)
	many := append(bytes.Clone(one[:80]), append([]byte{0xff, 0, 0, 0, 0, 0xff, 0, 0, 0}, one[81:]...)...)
	none := append(bytes.Clone(one[:80]), append([]byte{0}, one[81:]...)...)
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"nothing", nil, "has 0 bytes"},
		{"a header alone", one[:80], "has 80 bytes"},
		{"too many bytes", mined(block.Header{}, coinbase(), big), "bytes, not"},
		{"too heavy", mined(block.Header{}, coinbase(), heavy), "has a weight of"},
		{"cut off", one[:len(one)-1], "ends too early"},
		{"goes on", append(bytes.Clone(one), 0), "is followed by 1 more bytes"},
		{"a byte of a transaction", flipped(len(one) - 1), "have the Merkle root"},
		{"another root", mined(block.Header{Root: psbt.ID{1}}, coinbase()), "have the Merkle root"},
		{"no coinbase", mined(block.Header{}, payment(1)), "is the first and no coinbase"},
		{"a coinbase with another input", mined(block.Header{}, twice), "is the first and no coinbase"},
		{"two coinbases", mined(block.Header{}, coinbase(), coinbase()), "input 0 spends nothing"},
		{"an input of nothing", mined(block.Header{}, coinbase(), null), "input 1 spends nothing"},
		{"coinbase without script", mined(block.Header{}, scriptless), "1 bytes of script"},
		{"coinbase with a long script", mined(block.Header{}, wordy), "101 bytes of script"},
		{"too much money", mined(block.Header{}, coinbase(), rich), "more than there can be"},
		{"too much money in all", mined(block.Header{}, coinbase(), richer), "output 1 has 1 sat"},
		{"money that overflows", mined(block.Header{}, coinbase(), overflow), "output 0 has"},
		{"a count in a longer form", long, "says that it has 0 transactions"},
		{"a huge count", many, "transactions, and"},
		{"a count of none", none, "says that it has 0"},
		{"target not met", bits(0x1d00ffff), "hash is above its target"},
		{"target of zero", bits(0), "is zero"},
		{"target that is shifted away", bits(0x01003456), "is zero"},
		{"negative target", bits(0x04923456), "is negative"},
		{"target too large", bits(0xff123456), "more than 256 bits"},
		{"target a bit too large", bits(0x23000001), "more than 256 bits"},
	} {
		if _, err := block.Parse(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.300v, want %q", c.name, err, c.want)
		}
	}
}

// A list with its end doubled has the root of the one without: who takes it takes a block of which nobody else knows (CVE-2012-2459).
func TestDoubledEndIsRefused(t *testing.T) {
	c, p, q := coinbase(), payment(1), payment(2)
	honest, err := block.Parse(mined(block.Header{}, c, p, q))
	if err != nil {
		t.Fatal(err)
	}
	same := mined(honest.Header, c, p, q, q)
	if !bytes.Equal(same[:80], honest.Bytes()) || rootOf([]psbt.ID{c.ID(), p.ID(), q.ID(), q.ID()}) != honest.Root {
		t.Fatal("the two lists have different roots: nothing is tried here")
	}
	if _, err := block.Parse(same); err == nil || !strings.Contains(err.Error(), "CVE-2012-2459") {
		t.Errorf("doubled end: %v", err)
	}
	// A row higher: six leaves, of which the last two stand again.
	r, s := payment(3), payment(4)
	honest, err = block.Parse(mined(block.Header{}, c, p, q, r, s, payment(5)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := block.Parse(mined(honest.Header, c, p, q, r, s, payment(5), s, payment(5))); err == nil || !strings.Contains(err.Error(), "CVE-2012-2459") {
		t.Errorf("doubled pair: %v", err)
	}
}

func TestTargets(t *testing.T) {
	for compact, want := range map[uint32]string{
		0x1d00ffff: "00000000ffff" + strings.Repeat("00", 26),
		0x207fffff: "7fffff" + strings.Repeat("00", 29),
		0x1b0404cb: "00000000000404cb" + strings.Repeat("00", 24),
		0x01120000: strings.Repeat("00", 31) + "12",
		0x02123400: strings.Repeat("00", 30) + "1234",
		0x03123456: strings.Repeat("00", 29) + "123456",
		0x220000ff: "ff" + strings.Repeat("00", 31),
		0x2100ffff: "ffff" + strings.Repeat("00", 30),
	} {
		got, err := block.ParseTarget(compact)
		if err != nil || hex.EncodeToString(got[:]) != want {
			t.Errorf("%08x: %x, %v", compact, got, err)
		}
	}
}

func TestRules(t *testing.T) {
	rules := map[string]block.Rule{}
	for _, chain := range []string{"bip122:000000000019d6689c085ae165831e93", "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", "bip122:000000000933ea01ad0ee984209779ba"} {
		n, err := bitcoin.NetworkOf(chain)
		if err != nil {
			t.Fatal(err)
		}
		if rules[n.Name], err = block.RuleOf(n); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		network             string
		height, now, before uint32
		want                string // "": it is taken
	}{
		{"mainnet", 170, 0x1d00ffff, 0x1d00ffff, ""},
		{"mainnet", 170, 0x1d00ffff, 0, ""},
		{"mainnet", 32256, 0x1d00d86a, 0x1d00ffff, ""}, // the first that was harder
		{"mainnet", 32257, 0x1d00d86a, 0x1d00ffff, "moves with each 2016th block alone"},
		{"mainnet", 40320, 0x1c03fffc, 0x1c00ffff, ""},
		{"mainnet", 40320, 0x1c03fffd, 0x1c00ffff, "more than four times as easy"},
		{"mainnet", 40321, 0x1c00ffff, 0x1c00fffe, "moves with each 2016th block alone"},
		{"mainnet", 40320, 0x1d00ffff, 0x1c7fffff, ""},
		{"mainnet", 1, 0x207fffff, 0, "easier than the network takes"},
		{"mainnet", 1, 0x1d010000, 0, "easier than the network takes"},
		{"mainnet", 1, 0, 0, "is zero"},
		{"testnet", 170, 0x1d00ffff, 0x1c00ffff, ""},
		{"testnet", 170, 0x207fffff, 0x1c00ffff, "easier than the network takes"},
		{"regtest", 170, 0x207fffff, 0x207fffff, ""},
	} {
		err := rules[c.network].Check(c.height, c.now, c.before)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, height %d: %08x after %08x: %v, want %q", c.network, c.height, c.now, c.before, err, c.want)
		}
	}
	if _, err := block.RuleOf(bitcoin.Network{Name: "litecoin"}); err == nil {
		t.Error("litecoin has a rule")
	}
}

// FuzzParse reads what lies there, and then the same transactions under a header that fits: else no input would come past the work.
func FuzzParse(f *testing.F) {
	f.Add(fromHex(f, first))
	f.Add(fromHex(f, paid))
	f.Add(mined(block.Header{Version: 1}, coinbase(), payment(3), payment(4)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, b := range [][]byte{raw, mended(raw)} {
			got, err := block.Parse(b)
			if err != nil {
				continue
			}
			if !bytes.Equal(written(got), b) {
				t.Fatalf("%x: written as %x", b, written(got))
			}
			_ = got.Witnessed()
			for _, tx := range got.Transactions {
				whole, err := psbt.ParseTx(tx.Raw)
				if err != nil || whole.ID() != tx.TxID || !bytes.Equal(whole.Bytes(), tx.Raw) || tx.HasWitness() || !bytes.Equal(whole.Bare(), tx.Bare()) {
					t.Fatalf("transaction %x: %v", tx.Raw, err)
				}
			}
		}
	})
}

// mended has the root of the transactions that can be read, and work.
func mended(raw []byte) []byte {
	if len(raw) < 82 {
		return nil
	}
	n, rest, err := psbt.Compact(raw[80:])
	var ids []psbt.ID
	for range min(n, 1000) {
		var tx *psbt.Tx
		if tx, _, rest, err = psbt.NextTx(rest); err != nil {
			return nil
		}
		ids = append(ids, tx.ID())
	}
	if err != nil || len(ids) == 0 {
		return nil
	}
	h := block.Header{Version: binary.LittleEndian.Uint32(raw), Bits: easy, Root: rootOf(ids)}
	for id := h.ID(); id[31] > 0x7e; id = h.ID() {
		h.Nonce++
	}
	return append(h.Bytes(), raw[80:]...)
}

// A full block of small payments: what a node does for each ten minutes of the chain, and thousands of times while it catches up.
//
//	go test ./chain/bitcoin/block -run '^$' -bench Parse
func BenchmarkParse(b *testing.B) {
	txs := []*psbt.Tx{coinbase()}
	for i := range uint32(6000) {
		tx := payment(i)
		tx.Ins[0].Witness = [][]byte{make([]byte, 72), make([]byte, 33)}
		tx.Outs = []psbt.Out{{Amount: 1, Script: make([]byte, 22)}, {Amount: 2, Script: make([]byte, 34)}}
		txs = append(txs, tx)
	}
	raw := mined(block.Header{}, txs...)
	b.SetBytes(int64(len(raw)))
	var m cputime.Meter
	one := func() {
		if _, err := block.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		m.Run(one)
	}
	for m.Batches() < cputime.MinBatches {
		m.Run(one)
	}
	b.ReportMetric(m.Best().Seconds()*1e3, "cpu-ms/block")
}

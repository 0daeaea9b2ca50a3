package bitcoin

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// A Recovery is what a vault's Taproot outputs commit to besides their key: one leaf, and_v(v:pk(R),older(N)). R alone spends a coin
// that lay still for N blocks; until then, and after, the vault's key spends it too.
type Recovery struct {
	Key    [32]byte // R, x-only (BIP 340)
	Blocks uint16   // N, 1 to 65,535 blocks from each coin's own confirmation (BIP 68, BIP 112)
}

// leafVersion is BIP 342's, of tapscript.
const leafVersion = 0xc0

// Check refuses a key that is no x-coordinate of a point, and an age of 0.
func (r Recovery) Check() error {
	if r.Blocks == 0 {
		return errors.New("recovery: age is 0 blocks: the key would spend at once")
	}
	if _, err := secp256k1.DecodePoint(append([]byte{2}, r.Key[:]...)); err != nil {
		return fmt.Errorf("recovery: key %x: %w", r.Key, err)
	}
	return nil
}

// Script is the leaf: push of R, OP_CHECKSIGVERIFY, N in its shortest form, OP_CHECKSEQUENCEVERIFY.
func (r Recovery) Script() []byte {
	s := append(append([]byte{32}, r.Key[:]...), 0xad)
	return append(append(s, number(r.Blocks)...), 0xb2)
}

// number pushes a number as scripts must: OP_1 to OP_16, else the fewest bytes, the lower first, whose highest bit is the sign.
func number(n uint16) []byte {
	switch {
	case n >= 1 && n <= 16:
		return []byte{0x50 + byte(n)}
	case n < 0x80:
		return []byte{1, byte(n)}
	case n < 0x8000:
		return []byte{2, byte(n), byte(n >> 8)}
	}
	return []byte{3, byte(n), byte(n >> 8), 0}
}

// Root is the Merkle root of the tree: of one leaf, its TapLeaf hash (BIP 341).
func (r Recovery) Root() [32]byte { return leafHash(r.Script()) }

// leafHash is of a script shorter than 253 bytes.
func leafHash(s []byte) [32]byte { return tagged("TapLeaf", []byte{leafVersion, byte(len(s))}, s) }

// tree is BIP 371's PSBT_OUT_TAP_TREE: the leaf at depth 0.
func (r Recovery) tree() []byte {
	s := r.Script()
	return append([]byte{0, leafVersion, byte(len(s))}, s...)
}

// Output is the output key of an internal key whose tree has the leaf.
func (r Recovery) Output(internal *secp256k1.Point) (hd.OutputKey, error) {
	root := r.Root()
	return hd.TapTweak(internal, &root)
}

// ControlBlock shows that an output of an internal key holds the leaf: 33 bytes, for the tree has no other.
func (r Recovery) ControlBlock(internal *secp256k1.Point) ([]byte, error) {
	return controlBlock(internal, r.Root())
}

func controlBlock(internal *secp256k1.Point, leaf [32]byte) ([]byte, error) {
	out, err := hd.TapTweak(internal, &leaf)
	if err != nil {
		return nil, err
	}
	first := byte(leafVersion)
	if out.OutputOdd {
		first |= 1
	}
	x := hd.XOnly(internal)
	return append([]byte{first}, x[:]...), nil
}

// Opens is in how many more blocks R may spend a coin: confirmed is the height of the block that holds the coin, tip that of the newest. 0: now, in the
// next block. Whoever wants R to have nothing spends the coin before.
func (r Recovery) Opens(confirmed, tip uint32) (blocks uint32) {
	opens := uint64(confirmed) + uint64(r.Blocks)
	if next := uint64(tip) + 1; next < opens {
		return uint32(min(opens-next, 1<<32-1))
	}
	return 0
}

// A Lost coin is one whose vault cannot sign any more.
type Lost struct {
	Outpoint psbt.Outpoint
	Amount   uint64
	Internal []byte // the vault's key of it, 33 bytes, before the tweak
}

// A Reclaim spends lost coins by the recovery key alone.
type Reclaim struct {
	recovery Recovery
	coins    []Lost
	scripts  []Script
	controls [][]byte
	tx       *psbt.Tx
	digests  [][32]byte
	fee      uint64
}

// reclaimWitness is an input's witness in bytes: three items, signature, leaf and control block.
func (r Recovery) reclaimWitness() int { return 1 + 1 + 64 + 1 + len(r.Script()) + 1 + 33 }

// Reclaim makes a transaction that takes lost coins to one address, once each is old enough. All of them go, less the fee.
func (r Recovery) Reclaim(n Network, coins []Lost, to string, rate Rate) (*Reclaim, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if len(coins) == 0 || len(coins) > MaxInputs {
		return nil, fmt.Errorf("reclaim: %d coins, not 1 to %d", len(coins), MaxInputs)
	}
	script, err := n.ParseAddress(to)
	if err != nil {
		return nil, fmt.Errorf("reclaim: %w", err)
	}
	s := &Reclaim{recovery: r, coins: coins, tx: &psbt.Tx{Version: 2, Outs: []psbt.Out{{Script: script}}}}
	seen, sum := map[psbt.Outpoint]bool{}, uint64(0)
	for i, c := range coins {
		p, err := secp256k1.DecodePoint(c.Internal)
		if err != nil {
			return nil, fmt.Errorf("reclaim: coin %s: key: %w", c.Outpoint, err)
		}
		out, err := r.Output(p)
		if err != nil {
			return nil, fmt.Errorf("reclaim: coin %s: %w", c.Outpoint, err)
		}
		control, err := r.ControlBlock(p)
		if sum += c.Amount; err != nil || c.Amount > MaxMoney || sum > MaxMoney || seen[c.Outpoint] {
			return nil, fmt.Errorf("reclaim: coin %d, %s of %d sat: stands twice, or is more than there is: %w", i, c.Outpoint, c.Amount, err)
		}
		seen[c.Outpoint] = true
		s.scripts, s.controls = append(s.scripts, TaprootScript(out)), append(s.controls, control)
		s.tx.Ins = append(s.tx.Ins, psbt.In{Outpoint: c.Outpoint, Sequence: uint32(r.Blocks)})
	}
	s.fee = rate.Fee(psbt.VSize(4*len(s.tx.Bare()) + 2 + len(coins)*r.reclaimWitness()))
	if _, _, dust, _ := script.split(); sum < s.fee || sum-s.fee < dust {
		return nil, fmt.Errorf("reclaim: the coins hold %d sat, the fee is %d and the least that can be paid %d", sum, s.fee, dust)
	}
	s.tx.Outs[0].Amount = sum - s.fee
	spent := make([]psbt.Out, len(coins))
	for i, c := range coins {
		spent[i] = psbt.Out{Amount: c.Amount, Script: s.scripts[i]}
	}
	d, leaf := newDigests(s.tx, spent), r.Root()
	for i := range coins {
		s.digests = append(s.digests, d.taproot(i, &leaf))
	}
	return s, nil
}

// Digests are what R signs, 32 bytes for each coin in order (BIP 341 and 342, script path, SIGHASH_DEFAULT).
func (s *Reclaim) Digests() [][32]byte { return append([][32]byte(nil), s.digests...) }

// Fee is what the transaction pays, in satoshis.
func (s *Reclaim) Fee() uint64 { return s.fee }

// Packet is the transaction for a wallet that holds R (BIP 174, BIP 371).
func (s *Reclaim) Packet() []byte {
	p := &psbt.Packet{Tx: s.tx, Outs: make([]psbt.Map, 1)}
	for i, c := range s.coins {
		root := s.recovery.Root()
		p.Ins = append(p.Ins, psbt.Map{
			{Key: []byte{psbt.InOutput}, Value: psbt.Out{Amount: c.Amount, Script: s.scripts[i]}.Bytes()},
			{Key: append([]byte{psbt.InLeaf}, s.controls[i]...), Value: append(s.recovery.Script(), leafVersion)},
			{Key: []byte{psbt.InInternalKey}, Value: c.Internal[1:]},
			{Key: []byte{psbt.InRoot}, Value: root[:]},
		})
	}
	return p.Bytes()
}

// Assemble puts R's signatures in, x(R) ‖ s of BIP 340 in the order of Digests, and verifies each.
func (s *Reclaim) Assemble(sigs [][64]byte) (*Signed, error) {
	if len(sigs) != len(s.digests) {
		return nil, fmt.Errorf("assemble reclaim: %d signatures for %d coins", len(sigs), len(s.digests))
	}
	tx := bare(s.tx)
	for i, sig := range sigs {
		if err := verifySchnorr(s.recovery.Key[:], s.digests[i], sig[:]); err != nil {
			return nil, fmt.Errorf("assemble reclaim: coin %d: %w", i, err)
		}
		tx.Ins[i].Witness = [][]byte{sig[:], s.recovery.Script(), s.controls[i]}
	}
	return signed(tx), nil
}

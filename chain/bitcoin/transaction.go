package bitcoin

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
)

const (
	// MaxLen bounds an unsigned form in bytes.
	MaxLen = 120_000
	// MaxInputs and MaxOutputs bound what people are shown, in 64 lines, and what a vault signs at once.
	MaxInputs  = 300
	MaxOutputs = 220
)

// Sequences that an input may have (BIP 68, BIP 125).
const (
	Final       = 0xffffffff // cannot be replaced by the network's older rule, and makes nothing of a lock time
	Locked      = 0xfffffffe // the lock time holds
	Replaceable = 0xfffffffd // the lock time holds, and a higher fee may replace it
)

// An Input is a coin of the vault that a transaction spends.
type Input struct {
	Outpoint psbt.Outpoint
	Sequence uint32 // Final, Locked or Replaceable
	Spot
	Amount       uint64 // satoshis
	Previous     []byte // the transaction that made the coin, without witnesses: always of P2WPKH, whose digest shows one input's amount alone; of Taproot it may be left out
	WithOutput   bool   // the packet also names the spent output of P2WPKH
	WithSighash  bool   // the packet also names the kind of signature, the only one that is taken
	owned        owned
	digest       [32]byte
	spentAddress string
}

// An Output is one of three: change, which comes back to the vault; a memo; or else a payment.
type Output struct {
	Amount  uint64 // satoshis
	Address string // of a payment and of change; a draft's change may leave it out
	Change  *Spot
	Memo    []byte // 1 to MaxMemo bytes
	Moves   bool   // of decoded change: it goes to another account of the vault than some input's, and is an effect like a payment
	owned   owned
	script  Script
}

// A Draft is what Build builds.
type Draft struct {
	LockTime uint32 // below 500,000,000 the height of a block, else seconds since 1970; 0: none
	Ins      []Input
	Outs     []Output
}

// A Transaction is one that Decode understood in full. It does not change.
type Transaction struct {
	vault Vault
	tx    *psbt.Tx
	ins   []Input
	outs  []Output
	fee   uint64
	vsize int
}

// Build makes the unsigned form of a draft, and refuses what Decode would refuse.
func Build(v Vault, d Draft) (unsigned []byte, err error) {
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("build Bitcoin transaction: %w", err)
	}
	t := &Transaction{vault: v, tx: &psbt.Tx{Version: 2, LockTime: d.LockTime}, ins: slices.Clone(d.Ins), outs: slices.Clone(d.Outs)}
	for i := range t.ins {
		in := &t.ins[i]
		if in.owned, err = v.own(in.Spot); err != nil {
			return nil, fmt.Errorf("build Bitcoin transaction: input %d: %w", i, err)
		}
		t.tx.Ins = append(t.tx.Ins, psbt.In{Outpoint: in.Outpoint, Sequence: in.Sequence})
	}
	for i := range t.outs {
		out := &t.outs[i]
		switch {
		case out.Change != nil && out.Memo == nil:
			out.owned, err = v.own(*out.Change)
			out.script = out.owned.script
		case out.Memo != nil && out.Change == nil && out.Address == "":
			out.script = memoScript(out.Memo)
		case out.Memo == nil:
			out.script, err = v.Network.ParseAddress(out.Address)
		default:
			err = fmt.Errorf("is more than one of payment, change and memo")
		}
		if err != nil {
			return nil, fmt.Errorf("build Bitcoin transaction: output %d: %w", i, err)
		}
		t.tx.Outs = append(t.tx.Outs, psbt.Out{Amount: out.Amount, Script: out.script})
	}
	unsigned = t.Unsigned()
	built, err := Decode(unsigned, v)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	for i, in := range built.ins { // else whoever built on a wrong amount would pay another fee than they chose
		if in.Amount != d.Ins[i].Amount {
			return nil, fmt.Errorf("build Bitcoin transaction: input %d: the coin holds %d sat, the draft says %d", i, in.Amount, d.Ins[i].Amount)
		}
	}
	return unsigned, nil
}

// Unsigned is the packet, byte for byte what was decoded. spec/chain-bitcoin 4.1.
func (t *Transaction) Unsigned() []byte { return t.packet().Bytes() }

func (t *Transaction) packet() *psbt.Packet {
	p := &psbt.Packet{Tx: t.tx}
	for _, in := range t.ins {
		p.Ins = append(p.Ins, in.fields())
	}
	for _, out := range t.outs {
		var m psbt.Map
		if o := out.owned; out.Change != nil {
			m = psbt.Map{o.claim(psbt.OutDerivation, psbt.OutTapPath)}
			if o.Suite == SuiteBIP340 {
				m = append(m, psbt.Field{Key: []byte{psbt.OutInternalKey}, Value: o.key.Public[1:]})
			}
			if o.root != nil {
				m = append(m, psbt.Field{Key: []byte{psbt.OutTree}, Value: t.vault.Recovery.tree()})
			}
			m.Sort()
		}
		p.Outs = append(p.Outs, m)
	}
	return p
}

// fields are those of an input's map, in the order of their keys.
func (in Input) fields() (m psbt.Map) {
	add := func(kind byte, value []byte) { m = append(m, psbt.Field{Key: []byte{kind}, Value: value}) }
	ecdsa := in.Suite == SuiteECDSA
	if in.Previous != nil {
		add(psbt.InPrevious, in.Previous)
	}
	if !ecdsa || in.WithOutput {
		add(psbt.InOutput, psbt.Out{Amount: in.Amount, Script: in.owned.script}.Bytes())
	}
	if in.WithSighash {
		add(psbt.InSighash, four(in.sighash()))
	}
	m = append(m, in.owned.claim(psbt.InDerivation, psbt.InTapPath))
	if !ecdsa {
		add(psbt.InInternalKey, in.owned.key.Public[1:])
	}
	if in.owned.root != nil {
		add(psbt.InRoot, in.owned.root)
	}
	m.Sort()
	return m
}

// sighash is the only one that is signed: ALL of P2WPKH, DEFAULT of Taproot. Any other leaves parts of the transaction to whoever gets the signature.
func (in Input) sighash() uint32 {
	if in.Suite == SuiteECDSA {
		return 1
	}
	return 0
}

// ID is the transaction's id, which no signature of these inputs changes.
func (t *Transaction) ID() psbt.ID { return t.tx.ID() }

// Network is the one that it is read for: its bytes name none.
func (t *Transaction) Network() Network { return t.vault.Network }

// Fee is what goes to whoever makes the block, in satoshis.
func (t *Transaction) Fee() uint64 { return t.fee }

// VSize is the size of the signed transaction in virtual bytes at most: exact but for ECDSA signatures, which may be a byte shorter each.
func (t *Transaction) VSize() int { return t.vsize }

// Inputs are the coins that it spends.
func (t *Transaction) Inputs() []Input {
	all := slices.Clone(t.ins)
	for i := range all {
		all[i].Previous = bytes.Clone(all[i].Previous)
	}
	return all
}

// Spent are the outputs that its inputs spend, in their order.
func (t *Transaction) Spent() (all []psbt.Out) {
	for _, in := range t.ins {
		all = append(all, psbt.Out{Amount: in.Amount, Script: bytes.Clone(in.owned.script)})
	}
	return all
}

// Outputs are where they go, payments, change and memo, in order.
func (t *Transaction) Outputs() []Output {
	all := slices.Clone(t.outs)
	for i, out := range all {
		if all[i].Memo = bytes.Clone(out.Memo); out.Change != nil {
			p := *out.Change
			all[i].Change = &p
		}
	}
	return all
}

// LockTime is 0, the height of a block, or from 500,000,000 on seconds since 1970, before which no block takes it.
func (t *Transaction) LockTime() uint32 { return t.tx.LockTime }

// Replaceable says whether it signals that a higher fee may replace it (BIP 125).
func (t *Transaction) Replaceable() bool {
	return slices.ContainsFunc(t.ins, func(in Input) bool { return in.Sequence == Replaceable })
}

// Accounts are those whose coins it spends, department and account, each once in the order of the inputs. Who may spend is a matter of accounts: an intent that
// names one must not spend another's.
func (t *Transaction) Accounts() (all [][2]uint32) {
	for _, in := range t.ins {
		if a := in.account(); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

func (p Spot) account() [2]uint32 { return [2]uint32{p.Path[0], p.Path[1]} }

// markMoves finds change that is none: where not all coins are of its own account, value goes from one account of the vault to another.
func (t *Transaction) markMoves() {
	from := t.Accounts()
	for i, out := range t.outs {
		t.outs[i].Moves = out.Change != nil && (len(from) != 1 || from[0] != out.Change.account())
	}
}

// Effects are a transfer for each payment and for change that moves to another account, a message for a memo, and the fee. All other change is none.
//
// A memo is a Message, so that a rule must name it: services of others read memos as commands, such as where a swap pays to, and
// its amount of nothing says nothing of that. It is none of effect.Opaque: the node shows each byte of it.
func (t *Transaction) Effects() (all []effect.Effect) {
	chain := t.vault.Network.Chain
	for _, out := range t.outs {
		switch {
		case out.Memo != nil:
			all = append(all, effect.Effect{Operation: effect.Message, Chain: chain})
		case out.Change == nil || out.Moves:
			all = append(all, effect.Effect{Operation: effect.Transfer, Chain: chain, Amount: new(big.Int).SetUint64(out.Amount), Destination: out.Address})
		}
	}
	return append(all, effect.Effect{Operation: effect.Fee, Chain: chain, Amount: new(big.Int).SetUint64(t.fee)})
}

// Spends are the coins, each of which the chain gives once: chain, "/", transaction id, ":", index.
func (t *Transaction) Spends() (all []string) {
	for _, in := range t.ins {
		all = append(all, t.vault.Network.Chain+"/"+in.Outpoint.String())
	}
	return all
}

// Uses are the signatures it needs, one for each input in order.
func (t *Transaction) Uses() (all []effect.Use) {
	for _, in := range t.ins {
		all = append(all, effect.Use{
			Suite: in.Suite, Path: in.Path, Root: slices.Clone(in.owned.root), Address: in.spentAddress, Message: slices.Clone(in.digest[:]),
		})
	}
	return all
}

// Witnesses in bytes: of P2WPKH two items, a signature of at most 72 bytes and a key of 33; of Taproot one of 64.
const (
	witnessECDSA  = 1 + 1 + 72 + 1 + 33
	witnessBIP340 = 1 + 1 + 64
)

// InputWeight is what an input adds to a transaction's weight, with its witness.
func InputWeight(suite string) int {
	if suite == SuiteECDSA {
		return 4*41 + witnessECDSA
	}
	return 4*41 + witnessBIP340
}

// BaseWeight is the weight of all but the inputs: with how many of them, and the outputs' scripts.
func BaseWeight(inputs int, scripts ...Script) int {
	n := 4 + 4 + len(psbt.AppendCompact(nil, uint64(inputs))) + len(psbt.AppendCompact(nil, uint64(len(scripts))))
	for _, s := range scripts {
		n += len(psbt.Out{Script: s}.Bytes())
	}
	return 4*n + 2
}

// MemoScript is the script of a memo, 1 to MaxMemo bytes, for who estimates its size.
func MemoScript(memo []byte) Script { return memoScript(memo) }

// estimate is an upper bound.
func (t *Transaction) estimate() int {
	return psbt.VSize(4*len(t.tx.Bare()) + 2 + t.witnessWeight())
}

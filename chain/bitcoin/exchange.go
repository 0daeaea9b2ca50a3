package bitcoin

import (
	"bytes"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
)

const (
	// maxPacket bounds other wallets' packets in bytes: they say more than an unsigned form, witnesses of previous transactions too.
	maxPacket = 4 * MaxLen
	// maxTries bounds how many derivations of one map are tried: each costs a curve multiplication or two.
	maxTries = 8
)

// Import makes the unsigned form of another wallet's packet (BIP 174, BIP 371): what an intent does not hold is left out, the order becomes ours, and what an intent never says is
// refused: signatures, other scripts, other kinds of signature. An output that names no key of the vault becomes a payment.
func Import(packet []byte, v Vault) (unsigned []byte, err error) {
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("import packet: %w", err)
	}
	if len(packet) > maxPacket {
		return nil, fmt.Errorf("import packet: it has %d bytes, more than %d", len(packet), maxPacket)
	}
	p, err := psbt.Parse(bytes.Clone(packet))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if version, ok := p.Global.Get(psbt.GlobalVersion); ok && !bytes.Equal(version, four(0)) {
		return nil, fmt.Errorf("import packet: version is %x, and only 0 is read", version)
	}
	if err := checkTx(p.Tx); err != nil {
		return nil, fmt.Errorf("import packet: %w", err)
	}
	d := Draft{LockTime: p.Tx.LockTime}
	for i := range p.Tx.Ins {
		in, err := v.importInput(p.Tx.Ins[i], p.Ins[i])
		if err != nil {
			return nil, fmt.Errorf("import packet: input %d: %w", i, err)
		}
		d.Ins = append(d.Ins, in)
	}
	for i, out := range p.Tx.Outs {
		o, err := v.importOutput(out, p.Outs[i])
		if err != nil {
			return nil, fmt.Errorf("import packet: output %d: %w", i, err)
		}
		d.Outs = append(d.Outs, o)
	}
	unsigned, err = Build(v, d)
	if err != nil {
		return nil, fmt.Errorf("import packet: %w", err)
	}
	return unsigned, nil
}

// mine finds the derivation of a map that leads to a script of the vault.
func (v Vault) mine(m psbt.Map, derivation, tapPath byte, script Script) (p Spot, found bool) {
	tries := 0
	for _, f := range m {
		suite := SuiteECDSA
		switch {
		case f.Key[0] == derivation && len(f.Key) == 34:
		case f.Key[0] == tapPath && len(f.Key) == 33:
			suite = SuiteBIP340
		default:
			continue
		}
		_, path, err := readPath(suite, f)
		if err != nil {
			continue // another's key, deeper or in a leaf
		}
		if tries++; tries > maxTries {
			return p, false
		}
		for _, plain := range []bool{false, true} {
			if o, err := v.own(Spot{suite, path, plain}); err == nil && bytes.Equal(o.script, script) {
				return o.Spot, true
			}
		}
	}
	return p, false
}

func (v Vault) importInput(tx psbt.In, m psbt.Map) (in Input, err error) {
	var spent *psbt.Out
	in = Input{Outpoint: tx.Outpoint, Sequence: tx.Sequence}
	for _, f := range m {
		switch kind := f.Key[0]; {
		case kind == psbt.InPrevious:
			t, err := psbt.ParseTx(f.Value)
			if err != nil || uint64(tx.Index) >= uint64(len(t.Outs)) {
				return in, fmt.Errorf("previous transaction has no output %d: %w", tx.Index, err)
			}
			in.Previous, spent = t.Bare(), &t.Outs[tx.Index]
		case kind == psbt.InOutput:
			o, err := psbt.ParseOut(f.Value)
			if err != nil {
				return in, fmt.Errorf("spent output %w", err)
			}
			if spent == nil {
				spent = &o
			} else if spent.Amount != o.Amount || !bytes.Equal(spent.Script, o.Script) {
				return in, fmt.Errorf("spent output is not the previous transaction's")
			}
		case kind != psbt.InLeaf && kind != psbt.Proprietary && refusedIn[kind] != "":
			return in, fmt.Errorf("field 0x%02x is refused: %s", kind, refusedIn[kind])
		}
	}
	if spent == nil {
		return in, fmt.Errorf("names no output that it spends")
	}
	found := false
	if in.Spot, found = v.mine(m, psbt.InDerivation, psbt.InTapPath, spent.Script); !found {
		return in, fmt.Errorf("names no key of the vault that spends its output: inputs of others are not signed for")
	}
	kind, ok := m.Get(psbt.InSighash)
	if in.Amount = spent.Amount; ok && !bytes.Equal(kind, four(in.sighash())) && !bytes.Equal(kind, four(1)) {
		return in, fmt.Errorf("kind of signature is %x: any but ALL leaves parts of the transaction to whoever gets the signature", kind)
	}
	if in.Suite == SuiteBIP340 {
		in.Previous = nil // its digest covers all amounts
	}
	return in, nil
}

func (v Vault) importOutput(tx psbt.Out, m psbt.Map) (out Output, err error) {
	out.Amount = tx.Amount
	if p, ok := v.mine(m, psbt.OutDerivation, psbt.OutTapPath, tx.Script); ok && !p.Plain {
		out.Change = &p
		return out, nil
	}
	if len(tx.Script) > 0 && tx.Script[0] == opReturn {
		out.Memo, err = Script(tx.Script).memo()
	} else {
		out.Address, err = v.Network.Address(tx.Script)
	}
	return out, err
}

// Export is the packet with signatures in it, in the order of Uses, for a wallet that finalises it; each is verified. Without signatures the unsigned form is what other wallets read.
func (t *Transaction) Export(sigs []effect.Signature) ([]byte, error) {
	if _, err := t.Assemble(sigs); err != nil {
		return nil, err
	}
	p := t.packet()
	for i, in := range t.ins {
		f := psbt.Field{Key: []byte{psbt.InKeySig}, Value: bytes.Clone(sigs[i].Bytes[:])}
		if in.Suite == SuiteECDSA {
			s, err := independent.ParseCompact(sigs[i].Bytes[:])
			if err != nil {
				return nil, err
			}
			f = psbt.Field{Key: append([]byte{psbt.InPartial}, in.owned.key.Public...), Value: append(s.DER(), 1)}
		}
		p.Ins[i] = append(p.Ins[i], f)
		p.Ins[i].Sort()
	}
	return p.Bytes(), nil
}

// Signatures takes the signatures out of packets of this transaction that others signed in part (BIP 174, Combiner and Finalizer), in the order of Uses. All must be there; Assemble verifies them.
func (t *Transaction) Signatures(packets ...[]byte) ([]effect.Signature, error) {
	all := []*psbt.Packet{t.packet()}
	for n, b := range packets {
		if len(b) > maxPacket {
			return nil, fmt.Errorf("signatures of packet %d: it has %d bytes, more than %d", n, len(b), maxPacket)
		}
		p, err := psbt.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("signatures of packet %d: %w", n, err)
		}
		all = append(all, p)
	}
	whole, err := psbt.Combine(all...)
	if err != nil {
		return nil, err
	}
	sigs := make([]effect.Signature, len(t.ins))
	for i, in := range t.ins {
		found := false
		for _, f := range whole.Ins[i] {
			switch {
			case in.Suite == SuiteBIP340 && len(f.Key) == 1 && f.Key[0] == psbt.InKeySig && len(f.Value) == 64:
				sigs[i].Bytes, found = [64]byte(f.Value), true
			case in.Suite == SuiteECDSA && f.Key[0] == psbt.InPartial && bytes.Equal(f.Key[1:], in.owned.key.Public) && len(f.Value) > 1:
				s, err := independent.ParseDER(f.Value[:len(f.Value)-1])
				if err != nil || f.Value[len(f.Value)-1] != 1 {
					return nil, fmt.Errorf("signature of input %d is no DER with SIGHASH_ALL: %w", i, err)
				}
				sigs[i].Bytes, found = [64]byte(s.Compact()), true
			}
		}
		if !found {
			return nil, fmt.Errorf("input %d of %s has no signature in any packet", i, in.Spot)
		}
	}
	return sigs, nil
}

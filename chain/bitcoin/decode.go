package bitcoin

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// A Refused error says which field of a transaction cannot be signed, and why.
type Refused struct {
	Field  string // as named in spec/chain-bitcoin; "packet" for the whole
	Reason string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("decode Bitcoin transaction: %s: %s", e.Field, e.Reason)
}

func refuse(field, format string, args ...any) error {
	return &Refused{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Decode reads the unsigned form, a packet of BIP 174, strictly, as spec/chain-bitcoin 4 says. All inputs must be the vault's. Every error is a *Refused, but for a
// vault that is given wrongly.
func Decode(unsigned []byte, v Vault) (*Transaction, error) {
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("decode Bitcoin transaction: %w", err)
	}
	if len(unsigned) == 0 || len(unsigned) > MaxLen {
		return nil, refuse("packet", "has %d bytes, not 1 to %d", len(unsigned), MaxLen)
	}
	p, err := psbt.Parse(bytes.Clone(unsigned)) // what is decoded shares nothing with the caller's bytes
	if err != nil {
		return nil, refuse("packet", "%s", strings.TrimLeft(strings.TrimPrefix(err.Error(), "packet"), ": "))
	}
	if len(p.Global) > 0 {
		return nil, refuse("packet", "has the global field 0x%x, and none but the transaction is taken", short(p.Global[0].Key))
	}
	if err := checkTx(p.Tx); err != nil {
		return nil, err
	}
	t := &Transaction{vault: v, tx: p.Tx}
	for i, in := range p.Tx.Ins {
		read, err := v.readInput(in, p.Ins[i])
		if err != nil {
			return nil, refuse(fmt.Sprintf("input %d", i), "%v", err)
		}
		t.ins = append(t.ins, read)
	}
	for i, out := range p.Tx.Outs {
		read, err := v.readOutput(out, p.Outs[i])
		if err != nil {
			return nil, refuse(fmt.Sprintf("output %d", i), "%v", err)
		}
		t.outs = append(t.outs, read)
	}
	t.markMoves()
	if err := t.settle(); err != nil {
		return nil, err
	}
	// display versus bytes: what was understood is all there is
	if !bytes.Equal(t.Unsigned(), unsigned) {
		return nil, refuse("packet", "is not equal to its own encoding")
	}
	return t, nil
}

// checkTx judges what the transaction says without its fields.
func checkTx(tx *psbt.Tx) error {
	if tx.Version != 2 {
		return refuse("version", "is %d, not 2", tx.Version)
	}
	if len(tx.Ins) > MaxInputs || len(tx.Outs) > MaxOutputs {
		return refuse("packet", "has %d inputs and %d outputs, more than %d or %d", len(tx.Ins), len(tx.Outs), MaxInputs, MaxOutputs)
	}
	seen, final := map[psbt.Outpoint]bool{}, true
	for i, in := range tx.Ins {
		switch {
		case in.ID == psbt.ID{}:
			return refuse(fmt.Sprintf("input %d", i), "spends an output of transaction 0, which is none")
		case seen[in.Outpoint]:
			return refuse(fmt.Sprintf("input %d", i), "spends %s, which another input spends: one coin would be counted twice", in.Outpoint)
		case in.Sequence != Final && in.Sequence != Locked && in.Sequence != Replaceable:
			return refuse(fmt.Sprintf("input %d", i), "has the sequence 0x%08x, a relative lock time or an unknown form: want 0xffffffff, 0xfffffffe or 0xfffffffd", in.Sequence)
		}
		seen[in.Outpoint] = true
		final = final && in.Sequence == Final
	}
	if tx.LockTime > 0 && final { // shown as waiting, valid at once
		return refuse("lock time", "is %d, and the sequence of every input makes it void", tx.LockTime)
	}
	return nil
}

// settle checks the sums and computes what is signed.
func (t *Transaction) settle() error {
	var in, out uint64
	spent := make([]psbt.Out, len(t.ins))
	for i, x := range t.ins {
		in += x.Amount // each and the sum so far are at most MaxMoney
		if in > MaxMoney {
			return refuse("fee", "the inputs hold more than the %d sat that there can be", uint64(MaxMoney))
		}
		spent[i] = psbt.Out{Amount: x.Amount, Script: x.owned.script}
	}
	memos := 0
	for _, x := range t.outs {
		if x.Memo != nil {
			memos++
		}
		if out += x.Amount; out > MaxMoney {
			return refuse("fee", "the outputs hold more than the %d sat that there can be", uint64(MaxMoney))
		}
	}
	if memos > 1 { // nodes do not relay two
		return refuse("memo", "stands in %d outputs, and one may hold it", memos)
	}
	if out > in {
		return refuse("fee", "outputs of %d sat are more than the inputs' %d", out, in)
	}
	t.fee, t.vsize = in-out, t.estimate()
	if limit := t.vault.MaxRate.Fee(t.vsize); t.fee > limit {
		return refuse("fee", "%d sat for %d vB are %s, more than the limit of %s (%d sat): lower the fee, or raise the limit", t.fee, t.vsize, RateOf(t.fee, t.vsize), t.vault.MaxRate, limit)
	}
	d := newDigests(t.tx, spent)
	for i := range t.ins {
		if t.ins[i].Suite == SuiteECDSA {
			t.ins[i].digest = d.witnessKeyHash(i)
		} else {
			t.ins[i].digest = d.taproot(i, nil)
		}
	}
	return nil
}

func short(b []byte) []byte { return b[:min(len(b), 8)] }

// refusedIn and refusedOut name fields that are refused by what they are.
var (
	refusedIn = map[byte]string{
		psbt.InPartial: "a signature: the form is unsigned", psbt.InRedeem: "a redeem script: no address of a vault has one", psbt.InWitness: "a witness script: no address of a vault has one",
		psbt.InFinalSig: "a final script: the form is unsigned", psbt.InFinal: "a final witness: the form is unsigned", 0x09: "a proof of reserves", 0x0a: "a hash's preimage", 0x0b: "a hash's preimage",
		0x0c: "a hash's preimage", 0x0d: "a hash's preimage", 0x0e: "of version 2 (BIP 370)", 0x0f: "of version 2 (BIP 370)", 0x10: "of version 2 (BIP 370)", 0x11: "of version 2 (BIP 370)",
		0x12: "of version 2 (BIP 370)", psbt.InKeySig: "a signature: the form is unsigned", psbt.InScriptSig: "a signature: the form is unsigned", psbt.InLeaf: "a leaf's script: the vault spends by its key",
		0x1a: "of MuSig2", 0x1b: "of MuSig2", 0x1c: "of MuSig2", psbt.Proprietary: "proprietary",
	}
	refusedOut = map[byte]string{
		psbt.OutRedeem: "a redeem script: no address of a vault has one", psbt.OutWitness: "a witness script: no address of a vault has one", 0x03: "of version 2 (BIP 370)", 0x04: "of version 2 (BIP 370)",
		0x08: "of MuSig2", 0x09: "of silent payments", 0x0a: "of silent payments", psbt.Proprietary: "proprietary",
	}
)

// takeFields takes a map's fields apart: those whose key is their type alone, and those that say whose it is. The kinds must be of those that are known.
func takeFields(m psbt.Map, alone []byte, ecdsa, taproot byte, refused map[byte]string) (fields map[byte][]byte, claims []psbt.Field, err error) {
	if !m.Sorted() {
		return nil, nil, fmt.Errorf("its fields do not stand in the order of their keys")
	}
	fields = map[byte][]byte{}
	for _, f := range m {
		kind := f.Key[0]
		switch {
		case bytes.IndexByte(alone, kind) >= 0 && len(f.Key) == 1:
			fields[kind] = f.Value
		case kind == ecdsa && len(f.Key) == 34, kind == taproot && len(f.Key) == 33:
			claims = append(claims, f)
		case refused[kind] != "":
			return nil, nil, fmt.Errorf("field 0x%02x is refused: %s", kind, refused[kind])
		default:
			return nil, nil, fmt.Errorf("field 0x%x is unknown, or its key has another length", short(f.Key))
		}
	}
	if len(claims) > 1 {
		return nil, nil, fmt.Errorf("has %d derivations: one key spends it", len(claims))
	}
	return fields, claims, nil
}

// readInput reads spec/chain-bitcoin 4.3.
func (v Vault) readInput(tx psbt.In, m psbt.Map) (in Input, err error) {
	fields, claims, err := takeFields(m, []byte{psbt.InPrevious, psbt.InOutput, psbt.InSighash, psbt.InInternalKey, psbt.InRoot}, psbt.InDerivation, psbt.InTapPath, refusedIn)
	if err != nil {
		return in, err
	}
	if len(claims) == 0 {
		return in, fmt.Errorf("names no key of the vault: inputs of others are not signed for")
	}
	suite, root := SuiteECDSA, fields[psbt.InRoot]
	if claims[0].Key[0] == psbt.InTapPath {
		suite = SuiteBIP340
	}
	o, err := v.claimed(suite, claims[0], suite == SuiteBIP340 && root == nil)
	if err != nil {
		return in, fmt.Errorf("derivation %w", err)
	}
	in = Input{Outpoint: tx.Outpoint, Sequence: tx.Sequence, Spot: o.Spot, owned: o, Previous: fields[psbt.InPrevious]}
	if !bytes.Equal(root, o.root) {
		return in, fmt.Errorf("Merkle root is %x, and that of the vault's outputs %x", root, o.root)
	}
	want := []byte(nil)
	if suite == SuiteBIP340 {
		want = o.key.Public[1:]
	}
	if internal := fields[psbt.InInternalKey]; !bytes.Equal(internal, want) {
		return in, fmt.Errorf("internal key is %x, and the vault's %x", internal, want)
	}
	var kind []byte
	if kind, in.WithSighash = fields[psbt.InSighash]; in.WithSighash && !bytes.Equal(kind, four(in.sighash())) {
		return in, fmt.Errorf("kind of signature is %x, not %x: any other leaves parts of the transaction to whoever gets the signature", kind, four(in.sighash()))
	}
	return in, v.readSpent(&in, tx.Outpoint, fields)
}

// readSpent finds the output that is spent, and its amount.
func (v Vault) readSpent(in *Input, at psbt.Outpoint, fields map[byte][]byte) (err error) {
	var spent psbt.Out
	named, hasOutput := fields[psbt.InOutput]
	if hasOutput {
		if spent, err = psbt.ParseOut(named); err != nil {
			return fmt.Errorf("spent output %w", err)
		}
	}
	in.WithOutput = hasOutput && in.Suite == SuiteECDSA
	switch {
	case in.Suite == SuiteECDSA && in.Previous == nil: // the digest shows one amount alone: two requests with different lies make one fee of both
		return fmt.Errorf("the previous transaction is missing: without it the amount of a P2WPKH coin is anybody's word")
	case in.Suite == SuiteBIP340 && !hasOutput:
		return fmt.Errorf("the spent output is missing")
	case in.Previous != nil:
		previous, err := readPrevious(in.Previous, at)
		if err != nil {
			return fmt.Errorf("previous transaction: %w", err)
		}
		if hasOutput && (spent.Amount != previous.Amount || !bytes.Equal(spent.Script, previous.Script)) {
			return fmt.Errorf("spent output of %d sat to %x is not the previous transaction's, of %d sat to %x", spent.Amount, spent.Script, previous.Amount, previous.Script)
		}
		spent = previous
	}
	if spent.Amount > MaxMoney {
		return fmt.Errorf("amount %d is more than the %d sat that there can be", spent.Amount, uint64(MaxMoney))
	}
	if !bytes.Equal(spent.Script, in.owned.script) {
		return fmt.Errorf("its script %x is not the vault's at %s, %x", short64(spent.Script), in.Spot, []byte(in.owned.script))
	}
	in.Amount = spent.Amount
	in.spentAddress, err = v.Network.Address(in.owned.script)
	return err
}

func short64(b []byte) []byte { return b[:min(len(b), 64)] }

// readPrevious finds an output in the transaction that made it. Witnesses are refused: the id does not cover them, so that nobody would see what they hold.
func readPrevious(b []byte, at psbt.Outpoint) (psbt.Out, error) {
	tx, err := psbt.ParseTx(b)
	switch {
	case err != nil:
		return psbt.Out{}, err
	case tx.HasWitness():
		return psbt.Out{}, fmt.Errorf("it has witnesses, which its id does not cover: leave them out")
	case tx.ID() != at.ID:
		return psbt.Out{}, fmt.Errorf("its id is %s, and the input spends one of %s", tx.ID(), at.ID)
	case uint64(at.Index) >= uint64(len(tx.Outs)):
		return psbt.Out{}, fmt.Errorf("it has %d outputs, and the input spends number %d", len(tx.Outs), at.Index)
	}
	return tx.Outs[at.Index], nil
}

// readOutput reads spec/chain-bitcoin 4.4.
func (v Vault) readOutput(tx psbt.Out, m psbt.Map) (out Output, err error) {
	out = Output{Amount: tx.Amount, script: tx.Script}
	if tx.Amount > MaxMoney {
		return out, fmt.Errorf("amount %d is more than the %d sat that there can be", tx.Amount, uint64(MaxMoney))
	}
	if len(m) > 0 {
		out.Change, out.owned, err = v.readChange(tx, m)
		if err != nil {
			return out, err
		}
	} else if len(tx.Script) > 0 && tx.Script[0] == opReturn {
		if tx.Amount != 0 {
			return out, fmt.Errorf("%d sat go along with a memo and would be lost", tx.Amount)
		}
		if out.Memo, err = out.script.memo(); err != nil {
			return out, fmt.Errorf("script %w", err)
		}
		return out, nil
	}
	_, _, dust, err := out.script.split()
	if err != nil {
		return out, fmt.Errorf("script %w", err)
	}
	if tx.Amount < dust {
		return out, fmt.Errorf("%d sat are dust: nodes relay none below %d sat to such an address", tx.Amount, dust)
	}
	out.Address, err = v.Network.Address(out.script)
	return out, err
}

// readChange holds an output that claims to be the vault's own to the vault's keys. A false claim is refused, not shown as a payment: whoever made it wants it
// to be taken for change.
func (v Vault) readChange(tx psbt.Out, m psbt.Map) (*Spot, owned, error) {
	fields, claims, err := takeFields(m, []byte{psbt.OutInternalKey, psbt.OutTree}, psbt.OutDerivation, psbt.OutTapPath, refusedOut)
	if err != nil {
		return nil, owned{}, err
	}
	if len(claims) == 0 {
		return nil, owned{}, fmt.Errorf("has fields of change and names no key of the vault")
	}
	suite := SuiteECDSA
	if claims[0].Key[0] == psbt.OutTapPath {
		suite = SuiteBIP340
	}
	o, err := v.claimed(suite, claims[0], false)
	if err != nil {
		return nil, o, fmt.Errorf("wrong change: derivation %w", err)
	}
	var internal, tree []byte
	if suite == SuiteBIP340 {
		internal = o.key.Public[1:]
	}
	if o.root != nil {
		tree = v.Recovery.tree()
	}
	switch {
	case !bytes.Equal(fields[psbt.OutInternalKey], internal):
		return nil, o, fmt.Errorf("wrong change: internal key is %x, and the vault's %x", fields[psbt.OutInternalKey], internal)
	case !bytes.Equal(fields[psbt.OutTree], tree): // else change could hold a leaf of somebody else's, or lose the vault's
		return nil, o, fmt.Errorf("wrong change: script tree is %x, and the vault's %x", short64(fields[psbt.OutTree]), tree)
	case !bytes.Equal(tx.Script, o.script):
		return nil, o, fmt.Errorf("wrong change: script %x is not the vault's at %s, %x", short64(tx.Script), o.Spot, []byte(o.script))
	}
	return &o.Spot, o, nil
}

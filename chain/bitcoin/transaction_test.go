package bitcoin_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	theirs "github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
)

// A transaction of both kinds of inputs goes the whole way, and btcd's engine takes it.
func TestWholeWay(t *testing.T) {
	for _, recovery := range []bool{false, true} {
		v := vault(t, recovery)
		b := build(t, v, mixed(t, v))
		tx := decode(t, v, b)
		if !bytes.Equal(tx.Unsigned(), b) {
			t.Fatal("the unsigned form is another")
		}
		sigs := signatures(t, tx)
		s, err := tx.Assemble(sigs)
		if err != nil {
			t.Fatal(err)
		}
		if err := executes(t, s.Raw, spentBy(t, v, tx)); err != nil {
			t.Errorf("recovery %v: %v", recovery, err)
		}
		var w wire.MsgTx
		if err := w.Deserialize(bytes.NewReader(s.Raw)); err != nil || w.TxHash().String() != s.ID || s.ID != tx.ID().String() || w.WitnessHash().String() != s.WitnessID {
			t.Errorf("ids %s, %s, %v; btcd says %s, %s", s.ID, s.WitnessID, err, w.TxHash(), w.WitnessHash())
		}
		if weight := 3*w.SerializeSizeStripped() + w.SerializeSize(); (weight+3)/4 != s.VSize || s.VSize > tx.VSize() || tx.VSize() > s.VSize+1 {
			t.Errorf("size %d, at most %d; btcd says %d", s.VSize, tx.VSize(), (weight+3)/4)
		}
		again, read, err := tx.ParseSigned(s.Raw)
		if err != nil || again.ID != s.ID || !slices.Equal(read, sigs) {
			t.Errorf("read again: %+v, %v", again, err)
		}
		for i := range sigs {
			bad := slices.Clone(sigs)
			bad[i].Bytes[40] ^= 1
			if _, err := tx.Assemble(bad); err == nil {
				t.Errorf("signature %d may be wrong", i)
			}
		}
		if _, err := tx.Assemble(sigs[1:]); err == nil {
			t.Error("a signature may be missing")
		}
	}
}

// Of s and q − s only the smaller is taken: the other verifies as mathematics, and makes other bytes that say the same.
func TestHighS(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, build(t, v, mixed(t, v)))
	sigs := signatures(t, tx)
	low, err := tx.Assemble(sigs)
	if err != nil {
		t.Fatal(err)
	}
	var s btcec.ModNScalar
	s.SetByteSlice(sigs[0].Bytes[32:])
	high := s.Negate().Bytes()
	copy(sigs[0].Bytes[32:], high[:])
	if _, err := tx.Assemble(sigs); err == nil || !strings.Contains(err.Error(), "above q/2") {
		t.Errorf("high s: %v", err)
	}
	der := func(s []byte) []byte {
		if s[0] > 0x7f {
			s = append([]byte{0}, s...)
		}
		return append([]byte{2, byte(len(s))}, s...)
	}
	body := append(der(bytes.Clone(sigs[0].Bytes[:32])), der(high[:])...)
	published, err := psbt.ParseTx(bytes.Clone(low.Raw))
	if err != nil {
		t.Fatal(err)
	}
	published.Ins[0].Witness[0] = append(append([]byte{0x30, byte(len(body))}, body...), 1)
	if _, _, err := tx.ParseSigned(published.Bytes()); err == nil || !strings.Contains(err.Error(), "above q/2") {
		t.Errorf("published with high s: %v", err)
	}
}

// The estimate of a size is exact for Taproot, and for P2WPKH no more than a weight unit for each signature that is shorter.
func TestEstimates(t *testing.T) {
	v := cached(vault(t, true))
	for _, c := range []struct{ ecdsa, taproot int }{{1, 0}, {0, 1}, {0, 2}, {3, 2}, {0, 7}, {12, 0}, {0, 253}} {
		d := bitcoin.Draft{Outs: []bitcoin.Output{{Amount: 10_000, Address: payee(t, bitcoin.PayTaproot)}}}
		for i := range c.ecdsa {
			d.Ins = append(d.Ins, coin(t, v, v0(uint32(i)), 20_000))
		}
		for i := range c.taproot {
			d.Ins = append(d.Ins, coin(t, v, v1(uint32(i%9)), 10_100+uint64(i)))
		}
		v.MaxRate = bitcoin.PerVByte(1_000_000)
		tx := decode(t, v, build(t, v, d))
		s, err := tx.Assemble(signatures(t, tx))
		if err != nil {
			t.Fatal(err)
		}
		if slack := tx.VSize() - s.VSize; slack < 0 || slack > (2*c.ecdsa+3)/4 || c.ecdsa == 0 && slack != 0 {
			t.Errorf("%+v: %d vB, estimated %d", c, s.VSize, tx.VSize())
		}
	}
}

func TestEffects(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, build(t, v, mixed(t, v)))
	var got []string
	for _, e := range tx.Effects() {
		if e.Chain != regtest {
			t.Errorf("effect of chain %s", e.Chain)
		}
		amount := "-"
		if e.Amount != nil {
			amount = e.Amount.String()
		}
		got = append(got, string(e.Operation)+" "+amount+" "+e.Destination)
	}
	want := []string{
		"transfer 50000 " + payee(t, bitcoin.PayWitnessKeyHash), "transfer 60000 " + payee(t, bitcoin.PayTaproot), "transfer 10000 " + payee(t, bitcoin.PayKeyHash), "message - ",
		"transfer 11000 " + payee(t, bitcoin.PayScriptHash), "transfer 12000 " + payee(t, bitcoin.PayWitnessScriptHash), "fee 7000 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("effects are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, in := range tx.Inputs() {
		u := tx.Uses()[i]
		address, err := v.Address(in.Spot)
		if want := regtest + "/" + in.Outpoint.String(); err != nil || tx.Spends()[i] != want || u.Address != address || u.Path != in.Path || u.Suite != in.Suite || len(u.Message) != 32 {
			t.Errorf("input %d: spends %s, use %+v, %v", i, tx.Spends()[i], u, err)
		}
		if root := leaf.Root(); (u.Root == nil) != (u.Suite == bitcoin.SuiteECDSA) || u.Root != nil && !bytes.Equal(u.Root, root[:]) {
			t.Errorf("input %d: root %x", i, u.Root)
		}
	}
}

// Change is none only in the account that all coins come from: what goes to another account is shown and weighed like a payment.
func TestChangeOfAnotherAccount(t *testing.T) {
	v := vault(t, true)
	other := bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{0, 6, 1}}
	for _, c := range []struct {
		ins   []bitcoin.Spot
		to    bitcoin.Spot
		moves bool
	}{{[]bitcoin.Spot{v0(1), v1(2)}, v1(3), false}, {[]bitcoin.Spot{v0(1), v1(2)}, other, true}, {[]bitcoin.Spot{v0(1), other}, other, true}, {[]bitcoin.Spot{other}, other, false}} {
		d := bitcoin.Draft{Outs: []bitcoin.Output{{Amount: 10_000, Address: payee(t, bitcoin.PayTaproot)}, {Amount: 20_000, Change: place(c.to)}}}
		accounts := map[[2]uint32]bool{}
		for _, p := range c.ins {
			d.Ins = append(d.Ins, coin(t, v, p, 34_000/uint64(len(c.ins))))
			accounts[[2]uint32{p.Path[0], p.Path[1]}] = true
		}
		tx := decode(t, v, build(t, v, d))
		address, err := v.Address(c.to)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(tx.Effects(), func(e effect.Effect) bool {
			return e.Operation == effect.Transfer && e.Destination == address && e.Amount.Uint64() == 20_000
		})
		shown := slices.ContainsFunc(tx.Lines(), func(l effect.Line) bool { return strings.Contains(l.Value, "other account") })
		if found != c.moves || shown != c.moves || tx.Outputs()[1].Moves != c.moves || len(tx.Accounts()) != len(accounts) {
			t.Errorf("%v to %v: effect %v, shown %v, want %v; accounts %v", c.ins, c.to, found, shown, c.moves, tx.Accounts())
		}
		if _, err := tx.Replacement(bitcoin.PerVByte(50), 0); (err != nil) != c.moves {
			t.Errorf("%v to %v: a higher fee out of it: %v", c.ins, c.to, err)
		}
	}
}

// What is handed out shares nothing with the transaction: who writes into it changes nothing of what is signed.
func TestNothingIsShared(t *testing.T) {
	v := vault(t, true)
	b := build(t, v, mixed(t, v))
	want := bytes.Clone(b)
	tx := decode(t, v, b)
	clear(b)
	digest := bytes.Clone(tx.Uses()[0].Message)
	for _, in := range tx.Inputs() {
		clear(in.Previous)
	}
	for _, out := range tx.Outputs() {
		if clear(out.Memo); out.Change != nil {
			out.Change.Path[2] = 12345
		}
	}
	for _, u := range tx.Uses() {
		clear(u.Message)
		clear(u.Root)
	}
	for _, e := range tx.Effects() {
		if e.Amount != nil {
			e.Amount.SetUint64(1)
		}
	}
	clear(tx.Unsigned())
	s, err := tx.Assemble(signatures(t, tx))
	if err != nil {
		t.Fatal(err)
	}
	clear(s.Raw)
	if again, err := tx.Assemble(signatures(t, tx)); err != nil || again.ID != s.ID || !bytes.Equal(tx.Unsigned(), want) || !bytes.Equal(tx.Uses()[0].Message, digest) {
		t.Errorf("the transaction changed: %v", err)
	}
}

// btcd's reader of packets reads ours, and its finaliser makes the same transaction of our signed packet.
func TestPacketsBeforeBtcd(t *testing.T) {
	v := vault(t, true)
	b := build(t, v, mixed(t, v))
	tx := decode(t, v, b)
	p, err := theirs.NewFromRawBytes(bytes.NewReader(b), false)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := p.Serialize(&again); err != nil {
		t.Fatal(err)
	}
	if ours, err := bitcoin.Import(again.Bytes(), v); err != nil || !bytes.Equal(ours, b) {
		t.Errorf("what btcd writes of it is imported as another: %v", err)
	}
	sigs := signatures(t, tx)
	signed, err := tx.Export(sigs)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tx.Assemble(sigs)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = theirs.NewFromRawBytes(bytes.NewReader(signed), false); err != nil {
		t.Fatal(err)
	}
	for i := range p.Inputs { // its finaliser wants the spent output of every input
		if p.Inputs[i].WitnessUtxo == nil {
			p.Inputs[i].WitnessUtxo = p.Inputs[i].NonWitnessUtxo.TxOut[p.UnsignedTx.TxIn[i].PreviousOutPoint.Index]
		}
	}
	if err := theirs.MaybeFinalizeAll(p); err != nil {
		t.Fatal(err)
	}
	final, err := theirs.Extract(p)
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if err := final.Serialize(&raw); err != nil || !bytes.Equal(raw.Bytes(), s.Raw) {
		t.Errorf("btcd makes %x of it, %v; we made %x", raw.Bytes(), err, s.Raw)
	}
	got, err := tx.Signatures(signed)
	if err != nil || !slices.Equal(got, sigs) {
		t.Errorf("signatures out of the packet: %v", err)
	}
	if _, err := tx.Signatures(b); err == nil || !strings.Contains(err.Error(), "no signature") {
		t.Errorf("signatures out of an unsigned packet: %v", err)
	}
}

// A draft that was built is decoded as what it was: all its facts come back.
func TestBuildDecode(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		v := cached(vault(t, rng.IntN(2) == 0))
		v.MaxRate = bitcoin.PerVByte(1_000_000)
		d := randomDraft(t, v, rng)
		tx := decode(t, v, build(t, v, d))
		if tx.LockTime() != d.LockTime || len(tx.Inputs()) != len(d.Ins) || len(tx.Outputs()) != len(d.Outs) {
			t.Fatalf("%+v: other counts", d)
		}
		in, out := uint64(0), uint64(0)
		for i, got := range tx.Inputs() {
			want := d.Ins[i]
			in += want.Amount
			if got.Outpoint != want.Outpoint || got.Sequence != want.Sequence || got.Spot != want.Spot || got.Amount != want.Amount || !bytes.Equal(got.Previous, want.Previous) {
				t.Errorf("input %d is %+v, want %+v", i, got, want)
			}
		}
		for i, got := range tx.Outputs() {
			want := d.Outs[i]
			out += want.Amount
			if got.Amount != want.Amount || !bytes.Equal(got.Memo, want.Memo) || (got.Change == nil) != (want.Change == nil) || got.Change != nil && *got.Change != *want.Change || want.Address != "" && got.Address != want.Address {
				t.Errorf("output %d is %+v, want %+v", i, got, want)
			}
		}
		if tx.Fee() != in-out {
			t.Errorf("fee %d, want %d", tx.Fee(), in-out)
		}
	}
}

func randomDraft(t testing.TB, v bitcoin.Vault, rng *rand.Rand) (d bitcoin.Draft) {
	sum := uint64(0)
	for i := range 1 + rng.IntN(5) {
		p := v0(uint32(rng.IntN(1 << 31)))
		if rng.IntN(2) == 0 {
			p = v1(uint32(rng.IntN(1 << 31)))
			p.Plain = v.Recovery != nil && rng.IntN(3) == 0
		}
		c := coin(t, v, p, 100_000+rng.Uint64N(1e12))
		c.Sequence = []uint32{bitcoin.Final, bitcoin.Locked, bitcoin.Replaceable}[rng.IntN(3)]
		if i == 0 {
			c.Sequence = bitcoin.Replaceable
		}
		if c.WithSighash = rng.IntN(4) == 0; p.Suite == bitcoin.SuiteECDSA {
			c.WithOutput = rng.IntN(3) == 0
		}
		sum += c.Amount
		d.Ins = append(d.Ins, c)
	}
	d.LockTime = []uint32{0, 1, 840_000, 1_700_000_000}[rng.IntN(4)]
	memo := false
	for n := 1 + rng.IntN(6); n > 0; n-- {
		amount := 600 + rng.Uint64N(sum/uint64(n+1))
		out := bitcoin.Output{Amount: amount, Address: payee(t, []bitcoin.Form{bitcoin.PayKeyHash, bitcoin.PayScriptHash, bitcoin.PayWitnessKeyHash, bitcoin.PayWitnessScriptHash, bitcoin.PayTaproot}[rng.IntN(5)])}
		switch rng.IntN(4) {
		case 0:
			out = bitcoin.Output{Amount: amount, Change: place(v0(rng.Uint32N(1 << 31)))}
		case 1:
			out = bitcoin.Output{Amount: amount, Change: place(v1(rng.Uint32N(1 << 31)))}
		case 2:
			if !memo {
				out, memo = bitcoin.Output{Memo: bytes.Repeat([]byte{'m'}, 1+rng.IntN(80))}, true
			}
		}
		if sum < out.Amount+2000 {
			break
		}
		sum -= out.Amount
		d.Outs = append(d.Outs, out)
	}
	d.Outs = append(d.Outs, bitcoin.Output{Amount: sum - 1000, Change: place(v1(0))})
	return d
}

// What somebody published is this transaction only with these very signatures in this one form.
func TestParseSignedRefuses(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, build(t, v, mixed(t, v)))
	s, err := tx.Assemble(signatures(t, tx))
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Raw {
		bad := bytes.Clone(s.Raw)
		bad[i] ^= 1
		if _, _, err := tx.ParseSigned(bad); err == nil {
			t.Errorf("byte %d may be flipped", i)
		}
	}
	for name, bad := range map[string][]byte{"empty": nil, "short": s.Raw[:len(s.Raw)-1], "more": append(bytes.Clone(s.Raw), 0), "too long": make([]byte, bitcoin.MaxLen+1)} {
		if _, _, err := tx.ParseSigned(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d := mixed(t, v)
	d.Outs[0].Amount++
	other := decode(t, v, build(t, v, d))
	if _, _, err := other.ParseSigned(s.Raw); err == nil || !strings.Contains(err.Error(), "is another than") {
		t.Errorf("another transaction's: %v", err)
	}
	var none []effect.Signature
	if _, err := tx.Assemble(none); err == nil {
		t.Error("no signatures")
	}
}

package bitcoin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
)

func draftOf(tx *bitcoin.Transaction) bitcoin.Draft {
	return bitcoin.Draft{LockTime: tx.LockTime(), Ins: tx.Inputs(), Outs: drafted(tx.Outputs())}
}

// A replacement pays more out of change; everything else stays.
func TestReplacement(t *testing.T) {
	v := vault(t, true)
	old := decode(t, v, build(t, v, mixed(t, v)))
	for _, c := range []struct {
		rate    bitcoin.Rate
		evicted uint64
	}{{bitcoin.PerVByte(50), 0}, {0, 0}, {bitcoin.PerVByte(20), 9000}} {
		b, err := old.Replacement(c.rate, c.evicted)
		if err != nil {
			t.Fatal(err)
		}
		next := decode(t, v, b)
		least := max(c.rate.Fee(next.VSize()), old.Fee()+c.evicted+bitcoin.PerVByte(1).Fee(next.VSize()))
		if next.Fee() != least || next.VSize() != old.VSize() {
			t.Errorf("%+v: fee %d for %d vB, want %d", c, next.Fee(), next.VSize(), least)
		}
		if err := next.Replaces(old, c.evicted); err != nil {
			t.Error(err)
		}
		if err := old.Replaces(next, 0); !errors.Is(err, bitcoin.ErrNoReplacement) {
			t.Errorf("the old one replaces the new: %v", err)
		}
		if !slices.Equal(next.Spends(), old.Spends()) {
			t.Error("it spends other coins")
		}
	}
}

// Change that a higher fee makes dust goes to the fee, whole.
func TestReplacementWithoutChange(t *testing.T) {
	v := vault(t, true)
	d := bitcoin.Draft{Ins: []bitcoin.Input{coin(t, v, v1(1), 50_000)}, Outs: []bitcoin.Output{{Amount: 45_000, Address: payee(t, bitcoin.PayTaproot)}, {Amount: 4_000, Change: place(v1(2))}}}
	old := decode(t, v, build(t, v, d))
	b, err := old.Replacement(bitcoin.PerVByte(31), 0)
	if err != nil {
		t.Fatal(err)
	}
	if next := decode(t, v, b); len(next.Outputs()) != 1 || next.Fee() != 5000 || next.Outputs()[0].Amount != 45_000 {
		t.Errorf("%+v, fee %d", next.Outputs(), next.Fee())
	}
	if _, err := old.Replacement(bitcoin.PerVByte(60), 0); err == nil || !strings.Contains(err.Error(), "costs") {
		t.Errorf("a fee above fee and change: %v", err)
	}
	d.Outs = []bitcoin.Output{{Amount: 49_000, Change: place(v1(2))}}
	if _, err := decode(t, v, build(t, v, d)).Replacement(bitcoin.PerVByte(280), 1<<63); err == nil {
		t.Error("nothing is left of the only output")
	}
	d.Outs = []bitcoin.Output{{Amount: 49_000, Address: payee(t, bitcoin.PayTaproot)}}
	if _, err := decode(t, v, build(t, v, d)).Replacement(bitcoin.PerVByte(20), 0); err == nil || !strings.Contains(err.Error(), "no change") {
		t.Errorf("out of a payment: %v", err)
	}
	d.Outs[0] = bitcoin.Output{Amount: 49_000, Change: place(v1(2))}
	d.Ins[0].Sequence = bitcoin.Final
	if _, err := decode(t, v, build(t, v, d)).Replacement(bitcoin.PerVByte(20), 0); err == nil || !strings.Contains(err.Error(), "may be replaced") {
		t.Errorf("of a final one: %v", err)
	}
}

// What is no replacement, by its reason.
func TestReplacesRefuses(t *testing.T) {
	v := vault(t, true)
	old := decode(t, v, build(t, v, mixed(t, v)))
	good, err := old.Replacement(bitcoin.PerVByte(50), 0)
	if err != nil {
		t.Fatal(err)
	}
	next := decode(t, v, good)
	for name, c := range map[string]struct {
		edit   func(d *bitcoin.Draft)
		reason string
	}{
		"another payee":     {func(d *bitcoin.Draft) { d.Outs[0].Address = payee(t, bitcoin.PayTaproot) }, "output 0"},
		"a payment of more": {func(d *bitcoin.Draft) { d.Outs[0].Amount++ }, "output 0"},
		"a payment of less": {func(d *bitcoin.Draft) { d.Outs[0].Amount-- }, "output 0"},
		"a payment gone":    {func(d *bitcoin.Draft) { d.Outs = d.Outs[1:] }, "output 0"},
		"a payment more": {func(d *bitcoin.Draft) {
			d.Outs[7].Amount = 250_000
			d.Outs = append(d.Outs, bitcoin.Output{Amount: 1000, Address: payee(t, bitcoin.PayTaproot)})
		}, "outputs more"},
		"another memo":     {func(d *bitcoin.Draft) { d.Outs[3].Memo = []byte("invoice 8") }, "output 3"},
		"another order":    {func(d *bitcoin.Draft) { d.Outs[0], d.Outs[1] = d.Outs[1], d.Outs[0] }, "output 0"},
		"both changes":     {func(d *bitcoin.Draft) { d.Outs[6].Amount -= 5 }, "output 7"},
		"change elsewhere": {func(d *bitcoin.Draft) { d.Outs[7].Change = place(v1(99)) }, "output 7"},
		"change paid to another": {func(d *bitcoin.Draft) {
			d.Outs[7] = bitcoin.Output{Amount: d.Outs[7].Amount, Address: payee(t, bitcoin.PayTaproot)}
		}, "output 7"},
		"change named as payment": {func(d *bitcoin.Draft) {
			a, _ := v.Address(v1(8))
			d.Outs[7] = bitcoin.Output{Amount: d.Outs[7].Amount, Address: a}
		}, "output 7"},
		"a coin less":       {func(d *bitcoin.Draft) { d.Ins = d.Ins[1:]; d.Outs[6].Amount -= 100_000 }, "inputs"},
		"another coin":      {func(d *bitcoin.Draft) { d.Ins[2] = coin(t, v, v1(44), 300_000) }, "input 2"},
		"another sequence":  {func(d *bitcoin.Draft) { d.Ins[2].Sequence = bitcoin.Locked }, "input 2"},
		"another lock time": {func(d *bitcoin.Draft) { d.LockTime++ }, "lock time"},
		"no higher fee":     {func(d *bitcoin.Draft) { d.Outs[7].Amount = 250_000 - 10 }, "the least"},
	} {
		d := draftOf(next)
		c.edit(&d)
		err := decode(t, v, build(t, v, d)).Replaces(old, 0)
		if !errors.Is(err, bitcoin.ErrNoReplacement) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want …%s…", name, err, c.reason)
		}
	}
	if err := next.Replaces(old, next.Fee()); !errors.Is(err, bitcoin.ErrNoReplacement) {
		t.Errorf("what it evicts paid more: %v", err)
	}
}

// A cancellation spends the same coins to the vault alone, for more; anything else keeps nothing off the chain, or does more than that.
func TestCancellation(t *testing.T) {
	v := vault(t, true)
	old := decode(t, v, build(t, v, mixed(t, v)))
	to := bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{0, 5, 9}}
	b, err := old.Cancellation(to, bitcoin.PerVByte(40), 0)
	if err != nil {
		t.Fatal(err)
	}
	next := decode(t, v, b)
	if err := next.Cancels(old, 0); err != nil {
		t.Error(err)
	}
	if e := next.Effects(); len(e) != 1 || !slices.Equal(next.Spends(), old.Spends()) || next.Fee() < bitcoin.PerVByte(40).Fee(next.VSize()) {
		t.Errorf("effects %v, fee %d of %d vB", e, next.Fee(), next.VSize())
	}
	if _, err := old.Cancellation(to, bitcoin.PerVByte(100_000), 0); err == nil {
		t.Error("a fee above all that the coins hold is built")
	}
	for name, change := range map[string]func(*bitcoin.Draft){
		"a payment beside": func(d *bitcoin.Draft) {
			d.Outs = append(d.Outs, bitcoin.Output{Amount: 1000, Address: payee(t, bitcoin.PayTaproot)})
			d.Outs[0].Amount -= 1000
		},
		"a memo beside": func(d *bitcoin.Draft) { d.Outs = append(d.Outs, bitcoin.Output{Memo: []byte("x")}) },
		"another account": func(d *bitcoin.Draft) {
			d.Outs[0].Change = &bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{0, 6, 9}}
		},
		"fewer coins":           func(d *bitcoin.Draft) { d.Outs[0].Amount -= d.Ins[0].Amount; d.Ins = d.Ins[1:] },
		"a fee that is too low": func(d *bitcoin.Draft) { d.Outs[0].Amount += next.Fee() - old.Fee() },
	} {
		d := draftOf(next)
		change(&d)
		if err := decode(t, v, build(t, v, d)).Cancels(old, 0); !errors.Is(err, bitcoin.ErrNoReplacement) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What pays one address all it has is replaced by the same for more out of that one payment, and by nothing else; outside a sweep it is no replacement.
func TestDearerSweep(t *testing.T) {
	v := vault(t, true)
	d := bitcoin.Draft{
		Ins:  []bitcoin.Input{coin(t, v, v1(1), 50_000), coin(t, v, v1(2), 30_000)},
		Outs: []bitcoin.Output{{Amount: 79_000, Address: payee(t, bitcoin.PayTaproot)}},
	}
	old := decode(t, v, build(t, v, d))
	for rate, least := range map[bitcoin.Rate]uint64{0: old.Fee() + bitcoin.PerVByte(1).Fee(old.VSize()), bitcoin.PerVByte(40): bitcoin.PerVByte(40).Fee(old.VSize())} {
		b, err := old.DearerSweep(rate, 0)
		if err != nil {
			t.Fatal(err)
		}
		next := decode(t, v, b)
		if next.Fee() != least || next.Outputs()[0].Amount+next.Fee() != 80_000 || !slices.Equal(next.Spends(), old.Spends()) {
			t.Errorf("at %s: fee %d, want %d; %+v", rate, next.Fee(), least, next.Outputs())
		}
		if err := next.ReplacesSweep(old, 0); err != nil {
			t.Error(err)
		}
		if err := next.Replaces(old, 0); !errors.Is(err, bitcoin.ErrNoReplacement) {
			t.Errorf("outside a sweep a payee gets less: %v", err)
		}
		for name, change := range map[string]func(*bitcoin.Draft){
			"another payee":   func(d *bitcoin.Draft) { d.Outs[0].Address = payee(t, bitcoin.PayScriptHash) },
			"the vault's own": func(d *bitcoin.Draft) { d.Outs[0] = bitcoin.Output{Amount: d.Outs[0].Amount, Change: place(v1(3))} },
			"change beside": func(d *bitcoin.Draft) {
				d.Outs[0].Amount -= 2000
				d.Outs = append(d.Outs, bitcoin.Output{Amount: 2000, Change: place(v1(3))})
			},
			"a memo beside":         func(d *bitcoin.Draft) { d.Outs = append(d.Outs, bitcoin.Output{Memo: []byte("x")}) },
			"a coin less":           func(d *bitcoin.Draft) { d.Ins = d.Ins[:1]; d.Outs[0].Amount -= 30_000 },
			"a fee that is too low": func(d *bitcoin.Draft) { d.Outs[0].Amount += next.Fee() - old.Fee() - 5 },
		} {
			d := draftOf(next)
			change(&d)
			if err := decode(t, v, build(t, v, d)).ReplacesSweep(old, 0); !errors.Is(err, bitcoin.ErrNoReplacement) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := old.DearerSweep(bitcoin.PerVByte(900), 0); err == nil {
		t.Error("a fee above all that the coins hold is built")
	}
	if _, err := decode(t, v, build(t, v, mixed(t, v))).DearerSweep(bitcoin.PerVByte(50), 0); err == nil {
		t.Error("a transaction with change is taken for a sweep")
	}
	d.Ins[0].Sequence, d.Ins[1].Sequence = bitcoin.Final, bitcoin.Final
	if _, err := decode(t, v, build(t, v, d)).DearerSweep(bitcoin.PerVByte(50), 0); err == nil {
		t.Error("one that says that nothing replaces it is replaced")
	}
}

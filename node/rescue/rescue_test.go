package rescue

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

var basis = Basis{Vault: [32]byte{1}, Charter: [32]byte{2}, Roster: [32]byte{3}, Name: "treasury", Threshold: 2, Committee: []string{"acme", "bolt"}}

func heard() silence {
	at := time.Unix(1_800_000_000, 0).UTC()
	return silence{clock: sos.StartClock(sos.Reading{Boot: [16]byte{4}, Wall: at, Mono: time.Minute}), beat: at}
}

// What the desk keeps is read back as it was; cut or with a byte more it is not read.
func TestRowsRoundTrip(t *testing.T) {
	b, err := decodeBasis(basis.bytes())
	if err != nil || !reflect.DeepEqual(b, basis) {
		t.Errorf("%+v, %v", b, err)
	}
	s, err := decodeSilence(heard().bytes())
	if err != nil || !bytes.Equal(s.bytes(), heard().bytes()) {
		t.Errorf("%+v, %v", s, err)
	}
	c, err := decodeCalling(called.bytes())
	if err != nil || !reflect.DeepEqual(c.by, called.by) {
		t.Errorf("%+v, %v", c, err)
	}
	for name, row := range map[string][]byte{"basis": basis.bytes(), "silence": heard().bytes(), "calling": called.bytes()} {
		read := func(raw []byte) (err error) {
			switch name {
			case "basis":
				_, err = decodeBasis(raw)
			case "silence":
				_, err = decodeSilence(raw)
			default:
				_, err = decodeCalling(raw)
			}
			return err
		}
		for n := range row {
			if read(row[:n]) == nil {
				t.Errorf("%s: %d bytes are read", name, n)
			}
		}
		if read(append(bytes.Clone(row), 0)) == nil {
			t.Errorf("%s: a byte more is read", name)
		}
	}
}

var called = calling{heard().clock, map[string]statement.ID{"guardian gail": {1}, "operator acme": {2}}}

func FuzzRows(f *testing.F) {
	f.Add(called.bytes())
	f.Add(basis.bytes())
	f.Add(heard().bytes())
	f.Add(stand{7, false}.bytes())
	f.Add(stand{7, true}.bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := decodeBasis(raw); err == nil && !bytes.Equal(b.bytes(), raw) {
			t.Errorf("basis %x became %x", raw, b.bytes())
		}
		if s, err := decodeSilence(raw); err == nil && !bytes.Equal(s.bytes(), raw) {
			t.Errorf("silence %x became %x", raw, s.bytes())
		}
		if c, err := decodeCalling(raw); err == nil && !bytes.Equal(c.bytes(), raw) {
			t.Errorf("calling %x became %x", raw, c.bytes())
		}
		if s, err := decodeStand(raw); err == nil && !bytes.Equal(s.bytes(), raw) {
			t.Errorf("stand %x became %x", raw, s.bytes())
		}
	})
}

// A question is 32 bytes three times, and nothing else.
func FuzzQuestion(f *testing.F) {
	f.Add(encodeQuestion([32]byte{1}, [32]byte{2}, [32]byte{3}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if vault, request, nonce, err := decodeQuestion(raw); err == nil && !bytes.Equal(encodeQuestion(vault, request, nonce), raw) {
			t.Errorf("%x is read, and written otherwise", raw)
		}
	})
}

// A kept word is a statement, a signature and a name.
func FuzzWord(f *testing.F) {
	s, err := statement.Parse([]byte(saidVeto))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(newWord(s, "", []byte("armor")).bytes())
	f.Add(newWord(s, "acme", nil).bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if w, err := decodeWord(raw); err == nil && !bytes.Equal(w.bytes(), raw) {
			t.Errorf("%x is read, and written otherwise", raw)
		}
	})
}

// Who says the same again, or another veto of the same request, has one place; another guardian and another request have others.
func TestPlaces(t *testing.T) {
	parse := func(swap ...string) [32]byte {
		s, err := statement.Parse([]byte(strings.NewReplacer(swap...).Replace(saidVeto)))
		if err != nil {
			t.Fatal(err)
		}
		return placeOf(s, "")
	}
	if parse() != parse("reason: no", "reason: never") {
		t.Error("a second veto of one guardian has a place of its own")
	}
	if parse() == parse("by: gene", "by: gina") || parse() == parse("request: 04", "request: 05") {
		t.Error("another's veto, or one of another request, has the same place")
	}
}

var saidVeto = "ostraka/1 sos-veto\nmode: drill\ncharter: " + strings.Repeat("01", 32) + "\nvault: " + strings.Repeat("02", 32) + "\nrequest: " + strings.Repeat("04", 32) +
	"\nby: gene\nreason: no\ncreated: 2026-11-28T12:00:00Z\nsalt: " + strings.Repeat("07", 32) + "\n"

// The clocks of all operators, and of all refusals at every vault, are more rows than one write may have: they are written in parts, and an operator that left the
// circle has none any more.
func TestClocksOfManyFit(t *testing.T) {
	j, err := journal.Open(t.Context(), memory.New())
	if err != nil {
		t.Fatal(err)
	}
	beats := map[string]time.Time{}
	for i := range 150 {
		beats[fmt.Sprintf("operator-%d", i)] = time.Unix(1_800_000_000, 0).UTC()
	}
	d := &Desk{cfg: Config{Operator: "operator-0", Journal: j, Beats: func() map[string]time.Time { return beats }}, silence: map[string]silence{"left": heard()}, refuses: map[refusal]calling{}}
	for i := range 150 {
		d.refuses[refusalOf(statement.ID{byte(i)}, "operator-1")] = called
	}
	at := time.Unix(1_800_000_000, 0).UTC()
	if err := d.listen(t.Context(), at, sos.Reading{Boot: [16]byte{4}, Wall: at}); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{kindSilence: 149, kindRefuse: 150} {
		n := 0
		if err := d.each(t.Context(), kind, func(name string, _ []byte) error { n++; return nil }); err != nil || n != want {
			t.Errorf("%d rows of %s, %v", n, kind, err)
		}
	}
	if _, still := d.silence["left"]; still {
		t.Error("a clock of who left is kept")
	}
}

// A docket goes into one write of the store, with the words that change it: whatever members bring about, an emergency can be written.
func TestDocketHasRoomInAWrite(t *testing.T) {
	a := act.Activation{Head: act.Head{Charter: statement.ID{1}, Vault: statement.ID{2}, Request: statement.ID{3}}, Key: act.Key{Key: [32]byte{4}, Epoch: [32]byte{5}}, Attempt: statement.MaxSOSAttempt, Threshold: 16, Created: time.Unix(1_800_000_000, 0)} // no word of an emergency is larger
	for i := range statement.MaxOperators {
		name := fmt.Sprintf("o%02d-%s", i, strings.Repeat("x", 60))
		a.Members = append(a.Members, act.Member{Operator: name, Party: [16]byte{byte(i)}, Index: 1<<16 - 1 - uint16(i), Encryption: [32]byte{byte(i + 1)}})
		if i < statement.MaxOperators-1 {
			a.Contributors = append(a.Contributors, name)
		}
	}
	s, err := a.Statement(statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	const words = 16 // with their leaves, and on their way to the others
	if n := sos.MaxBytes + words*len(s.Bytes()); n > store.MaxBytes {
		t.Errorf("a docket and %d words of %d bytes have %d bytes, a write %d", words, len(s.Bytes()), n, store.MaxBytes)
	}
}

package rescue

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
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
	for name, row := range map[string][]byte{"basis": basis.bytes(), "silence": heard().bytes()} {
		read := func(raw []byte) (err error) {
			if name == "basis" {
				_, err = decodeBasis(raw)
			} else {
				_, err = decodeSilence(raw)
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

func FuzzRows(f *testing.F) {
	f.Add(basis.bytes())
	f.Add(heard().bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := decodeBasis(raw); err == nil && !bytes.Equal(b.bytes(), raw) {
			t.Errorf("basis %x became %x", raw, b.bytes())
		}
		if s, err := decodeSilence(raw); err == nil && !bytes.Equal(s.bytes(), raw) {
			t.Errorf("silence %x became %x", raw, s.bytes())
		}
	})
}

package carry

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/ostraka/ostraka/custody/statement"
)

func sample() Case {
	s := func(text string) Signed { return Signed{[]byte(text), [][]byte{[]byte("a"), []byte("b")}} }
	return Case{
		Rosters: []Signed{s("roster 0"), s("roster 1")}, Charters: [][]byte{[]byte("charter")}, Revocations: []Signed{s("revoke")}, Vault: []byte("vault"),
		Reshares: [][]byte{[]byte("reshare")}, Roots: []Root{{"ecdsa-secp256k1", []byte("certificate")}}, Intent: s("intent"),
		Votes: []Vote{{"bob", "approve", []byte("sig")}}, Decisions: []Signed{s("decision")}, Raw: []byte("raw"),
	}
}

func answer() Answer { return Answer{statement.ID{1}, "approve", []byte("sig")} }

func TestRoundTrip(t *testing.T) {
	got, err := DecodeCase(sample().Bytes())
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
	a, err := DecodeAnswer(answer().Bytes())
	if err != nil || !reflect.DeepEqual(a, answer()) {
		t.Errorf("%+v, %v", a, err)
	}
	if !IsAnswer(answer().Bytes()) || IsAnswer(sample().Bytes()) {
		t.Error("a case and an answer are taken for each other")
	}
	if _, err := DecodeCase(answer().Bytes()); err == nil {
		t.Error("an answer was read as a case")
	}
	odd := answer()
	odd.Verb = "cancel"
	if _, err := DecodeAnswer(odd.Bytes()); err == nil {
		t.Error("an answer of another verb was read")
	}
	none := sample()
	none.Raw = bytes.Repeat([]byte{1}, maxRaw+1)
	if _, err := DecodeCase(none.Bytes()); err == nil {
		t.Error("more than the bound was read")
	}
}

// Each byte that is altered, and each cut, is found.
func TestAltered(t *testing.T) {
	for _, file := range [][]byte{sample().Bytes(), answer().Bytes()} {
		read := func(b []byte) error {
			_, err := DecodeCase(b)
			if IsAnswer(file) {
				_, err = DecodeAnswer(b)
			}
			return err
		}
		for i := range file {
			other := bytes.Clone(file)
			other[i] ^= 1
			if read(other) == nil || read(file[:i]) == nil {
				t.Fatalf("byte %d altered, or all from it cut off, is read", i)
			}
		}
		if read(append(bytes.Clone(file), 0)) == nil {
			t.Error("a byte more is read")
		}
	}
}

func FuzzDecodeCase(f *testing.F) {
	f.Add(sample().Bytes()[len(CaseBegins) : len(sample().Bytes())-32])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) { // the hash is counted anew, as who alters a file may
		file := seal(CaseBegins, body)
		c, err := DecodeCase(file)
		if err == nil && !bytes.Equal(c.Bytes(), file) {
			t.Fatalf("%x is not the one encoding of what it says", body)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(answer().Bytes()[len(AnswerBegins) : len(answer().Bytes())-32])
	f.Fuzz(func(t *testing.T, body []byte) {
		file := seal(AnswerBegins, body)
		a, err := DecodeAnswer(file)
		if err == nil && !bytes.Equal(a.Bytes(), file) {
			t.Fatalf("%x is not the one encoding of what it says", body)
		}
	})
}

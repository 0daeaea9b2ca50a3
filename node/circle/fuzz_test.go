package circle

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
)

func sample(t testing.TB) charter.Operator {
	t.Helper()
	k, err := signet.ParseKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEaCqJLoAhBGA6IFKpoYVSN+WEzPplXJmk7RSHEiGlaG")
	if err != nil {
		t.Fatal(err)
	}
	return charter.Operator{
		Name: "acme", Entity: "Acme Ltd", Identity: ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey),
		Address: "acme.example:7000", Officers: []signet.Key{k},
	}
}

func FuzzDecodeOperator(f *testing.F) {
	f.Add(encodeOperator(sample(f)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := decodeOperator(in)
		if err != nil {
			return
		}
		again, err := decodeOperator(encodeOperator(o))
		if err != nil || !bytes.Equal(encodeOperator(again), encodeOperator(o)) {
			t.Fatalf("%x decodes to an operator that does not come back: %v", in, err)
		}
	})
}

func FuzzParseInvitation(f *testing.F) {
	i := Invitation{Address: "acme.example:7000", Identity: sample(f).Identity, Expires: time.Unix(1_800_000_000, 0)}
	f.Add(i.Line())
	f.Add("ostraka-invite-v1,,,,")
	f.Fuzz(func(t *testing.T, line string) {
		i, err := ParseInvitation(line)
		if err != nil {
			return
		}
		again, err := ParseInvitation(i.Line())
		if err != nil || again.Line() != i.Line() {
			t.Fatalf("%q does not come back: %q, %v", line, i.Line(), err)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(encodeAnswer(sample(f), nil))
	f.Add(encodeAnswer(sample(f), bytes.Repeat([]byte{7}, 32)))
	f.Fuzz(func(t *testing.T, in []byte) {
		o, genesis, err := decodeAnswer(in)
		if err != nil {
			return
		}
		id := genesis[:]
		if genesis.IsZero() {
			id = nil
		}
		again, same, err := decodeAnswer(encodeAnswer(o, id))
		if err != nil || same != genesis || !bytes.Equal(encodeOperator(again), encodeOperator(o)) {
			t.Fatalf("%x decodes to an answer that does not come back: %v", in, err)
		}
	})
}

func TestDecodeAnswerRefuses(t *testing.T) {
	good := encodeAnswer(sample(t), bytes.Repeat([]byte{7}, 32))
	for name, in := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "an operator alone": encodeOperator(sample(t)),
		"short id": encodeAnswer(sample(t), make([]byte, 31)), "long id": encodeAnswer(sample(t), bytes.Repeat([]byte{7}, 33)),
		"id of nothing": encodeAnswer(sample(t), make([]byte, 32)),
	} {
		if _, _, err := decodeAnswer(in); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

package solana_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
)

// mainnetRaw is a transaction of mainnet: two signers, a durable nonce, USDT.
func mainnetRaw(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/mainnet-usdt.base64")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What this package signs it reads from the chain as the same transaction, filed under the same id.
func TestReadLanded(t *testing.T) {
	for _, c := range load(t).Transactions {
		raw, message := unhex(t, c.Signed), unhex(t, c.Message)
		unsigned, err := solana.Wrap(message, context(reading()))
		if err != nil {
			t.Fatal(err)
		}
		tx, err := solana.Decode(unsigned, context(reading()))
		if err != nil {
			t.Fatal(err)
		}
		l, err := solana.ReadLanded(raw)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		s, _ := solana.ParseSigned(raw)
		slot := ""
		if _, _, durable := tx.Durable(); durable {
			slot = strings.TrimPrefix(tx.Spends()[0], chain+" nonce ")
		}
		if l.ID != s.ID || l.Message != sha256.Sum256(message) || !slices.Equal(l.Signers, s.Signers) || l.Slot != slot {
			t.Errorf("%s: %+v; want id %s, signers %v, slot %q", c.Name, l, s.ID, s.Signers, slot)
		}
	}
	l, err := solana.ReadLanded(mainnetRaw(t))
	if err != nil || len(l.Signers) != 2 || !strings.HasSuffix(l.Slot, " 9xp5Jz2v7ZsE3Xn5SVGkRisjo7h16vzF1ducwhWnc5n9") {
		t.Errorf("of mainnet: %+v, %v", l, err)
	}
}

// What nobody here would sign is read all the same: else a key that is stolen hides behind it.
func TestReadLandedOfOthers(t *testing.T) {
	strange := in{stranger, nil, bytes.Repeat([]byte{9}, 300)}
	for name, p := range map[string]*parts{
		"an unknown program": layOut(true, payer, block, strange),
		"five signers": edit(layOut(false, payer, block, usual()), func(p *parts) {
			var extra []key
			for i := byte(20); i < 24; i++ {
				extra = append(extra, key(private(i).Public().(ed25519.PublicKey)))
			}
			p.keys = slices.Concat(p.keys[:1], extra, p.keys[1:])
			p.header[0] += 4
		}),
	} {
		m := p.bytes()
		raw := []byte{p.header[0]}
		signers := []ed25519.PrivateKey{private(1)}
		for i := byte(20); len(signers) < int(p.header[0]); i++ {
			signers = append(signers, private(i))
		}
		for _, k := range signers {
			raw = append(raw, ed25519.Sign(k, m)...)
		}
		raw = append(raw, m...)
		if l, err := solana.ReadLanded(raw); err != nil || l.Signers[0] != payer || len(l.Signers) != len(signers) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

// Nobody makes up who signed, nor what.
func TestReadLandedRefuses(t *testing.T) {
	good := mainnetRaw(t)
	change := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 1; return b }
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"nothing":                 {nil, "has 0 bytes"},
		"larger than a packet":    {make([]byte, solana.MaxPacket+1), "has 1233 bytes"},
		"no signature":            {append([]byte{0}, good[1:]...), "signatures: are 0"},
		"more than fit":           {append([]byte{13}, good[1:]...), "signatures: are 13"},
		"fewer than signers":      {append([]byte{1}, good[65:]...), "signatures: are 1, of 2 signers"},
		"a signature's bit":       {change(9), "number 1 does not verify"},
		"the second's bit":        {change(70), "number 2 does not verify"},
		"the message's last bit":  {change(len(good) - 1), "number 1 does not verify"},
		"signatures in disorder":  {slices.Concat(good[:1], good[65:129], good[1:65], good[129:]), "number 1 does not verify"},
		"a byte more":             {append(bytes.Clone(good), 0), "followed by 1 more bytes"},
		"half of it":              {good[:300], "more than the message has bytes for"},
		"a version of the future": {slices.Concat(good[:129], []byte{0x81}, good[129:]), "version: is 1"},
	} {
		if l, err := solana.ReadLanded(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want %q", name, l, err, c.want)
		}
	}
}

// Whatever an endpoint shows is read as what the strict reader reads, or is signed by all that it names.
func FuzzReadLanded(f *testing.F) {
	f.Add(mainnetRaw(f))
	f.Add([]byte{1})
	f.Add(append(append([]byte{1}, make([]byte, 64)...), usualParts().bytes()...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := solana.ReadLanded(raw)
		s, strict := solana.ParseSigned(raw)
		if strict == nil && (err != nil || l.ID != s.ID || !slices.Equal(l.Signers, s.Signers) || l.Message != sha256.Sum256(s.Message)) {
			t.Fatalf("%+v, %v; the strict reader has %+v", l, err, s)
		}
		if err == nil && (len(l.Signers) == 0 || len(l.Signers) != int(raw[0]) || l.Message != sha256.Sum256(raw[1+64*len(l.Signers):])) {
			t.Fatalf("%+v", l)
		}
	})
}

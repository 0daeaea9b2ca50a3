package share

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

func TestDealt(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		f := sample(t, g, 3, nil, 1)
		d, err := Deal(f, 7, source(2))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Commit().Check(7, d.Value); err != nil || d.Blind == [32]byte{} {
			t.Errorf("share %v, blind %x", err, d.Blind)
		}
		if len(d.Bytes()) != DealtSize {
			t.Errorf("%d bytes", len(d.Bytes()))
		}
		e, err := DecodeDealt(g, d.Bytes())
		if err != nil || !e.Value.Equal(d.Value) || e.Blind != d.Blind {
			t.Errorf("decoded another share: %v", err)
		}
		v := e.Value
		e.Wipe()
		if !v.IsZero() || e.Blind != [32]byte{} {
			t.Error("not wiped")
		}
		(&Dealt{}).Wipe()
		if _, err := Deal(f, 7, io.LimitReader(source(2), 31)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("short source: %v", err)
		}
	})
}

// Every part of what a share hash is about changes it, and no part can be moved into the next.
func TestDealtHash(t *testing.T) {
	g := secp256k1.Group{}
	d, err := Deal(sample(t, g, 2, nil, 1), 7, source(2))
	if err != nil {
		t.Fatal(err)
	}
	other, blind := d, d
	other.Value = other.Value.Add(g.Scalar(1))
	blind.Blind[31] ^= 1
	seen := map[[32]byte]string{}
	for name, h := range map[string][32]byte{
		"it":               d.Hash(transcript.KeygenShareHash, []byte("sid"), []byte("a"), []byte("b")),
		"another protocol": d.Hash(transcript.ReshareShareHash, []byte("sid"), []byte("a"), []byte("b")),
		"another session":  d.Hash(transcript.KeygenShareHash, []byte("sie"), []byte("a"), []byte("b")),
		"roles exchanged":  d.Hash(transcript.KeygenShareHash, []byte("sid"), []byte("b"), []byte("a")),
		"border moved":     d.Hash(transcript.KeygenShareHash, []byte("si"), []byte("da"), []byte("b")),
		"another share":    other.Hash(transcript.KeygenShareHash, []byte("sid"), []byte("a"), []byte("b")),
		"another blind":    blind.Hash(transcript.KeygenShareHash, []byte("sid"), []byte("a"), []byte("b")),
	} {
		if seen[h] != "" {
			t.Errorf("%s has the hash of %s", name, seen[h])
		}
		seen[h] = name
	}
}

func TestDecodeDealtRefuses(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		for name, b := range map[string][]byte{
			"empty": nil, "short": make([]byte, 63), "long": make([]byte, 65), "no scalar": bytes.Repeat([]byte{0xff}, 64),
		} {
			if _, err := DecodeDealt(g, b); err == nil || strings.Contains(err.Error(), "ff") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestDealtRedacts(t *testing.T) {
	d, err := Deal(sample(t, secp256k1.Group{}, 2, nil, 1), 7, source(2))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"d": d})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v", d), fmt.Sprintf("%+v", &d), fmt.Sprintf("%#v", d), fmt.Sprintf("%x", d), d.String(), string(text)} {
		if !strings.Contains(s, secret.Redacted) || strings.Contains(s, hex.EncodeToString(d.Blind[:4])) {
			t.Errorf("prints %s", s)
		}
	}
}

func FuzzDecodeDealt(f *testing.F) {
	d, err := Deal(sample(f, groups[0], 2, nil, 1), 7, source(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(false, d.Bytes())
	f.Add(true, make([]byte, 64))
	f.Fuzz(func(t *testing.T, second bool, in []byte) {
		g := groups[0]
		if second {
			g = groups[1]
		}
		if d, err := DecodeDealt(g, in); err == nil && !bytes.Equal(d.Bytes(), in) {
			t.Fatal("decode then encode changed a share")
		}
	})
}

// k times a commitment commits to k times the polynomial.
func TestCommitmentTimes(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		f, k := sample(t, g, 3, nil, 1), g.Scalar(99).Neg()
		c := f.Commit().MulVarTime(k)
		for _, i := range indices {
			if err := c.Check(i, k.Mul(f.Eval(i))); err != nil {
				t.Errorf("index %d: %v", i, err)
			}
			if err := c.Check(i, f.Eval(i)); err == nil {
				t.Errorf("index %d: the polynomial itself passes", i)
			}
		}
	})
}

type frostParty struct {
	Signing     string            `json:"signing_key"`
	Coefficient string            `json:"coefficient"`
	Commitments []string          `json:"vss_commitments"`
	Dealt       map[string]string `json:"signing_shares"`
	Public      string            `json:"verifying_share"`
	Share       string            `json:"signing_share"`
}

// Another implementation's distributed key generation, 2-of-3: Feldman commitments, the shares that
// each party deals, the sums, the public shares and the key (ZcashFoundation/frost; testdata/SOURCES.md). Its
// proofs and hashes are of another protocol.
func TestFROSTDealing(t *testing.T) {
	g := secp256k1.Group{}
	text, err := os.ReadFile("testdata/frost-zcash-dkg-secp256k1.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Inputs map[string]json.RawMessage }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	raw := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	scalar := func(s string) group.Scalar {
		v, err := g.DecodeScalar(raw(s))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var key string
	if err := json.Unmarshal(file.Inputs["verifying_key"], &key); err != nil {
		t.Fatal(err)
	}
	var parties [3]frostParty
	var polys [3]Polynomial
	var sum Commitment
	for i := range parties {
		if err := json.Unmarshal(file.Inputs[fmt.Sprint(i+1)], &parties[i]); err != nil {
			t.Fatal(err)
		}
		p := parties[i]
		polys[i] = Polynomial{g: g, a: []group.Scalar{scalar(p.Signing), scalar(p.Coefficient)}}
		c, err := DecodeCommitment(g, [][]byte{raw(p.Commitments[0]), raw(p.Commitments[1])}, 2)
		if err != nil {
			t.Fatal(err)
		}
		for k, point := range polys[i].Commit() {
			if !point.Equal(c[k]) {
				t.Errorf("party %d commits to another coefficient %d", i+1, k)
			}
		}
		if sum == nil {
			sum = c
		} else {
			sum = sum.Add(c)
		}
	}
	if !bytes.Equal(sum[0].Bytes(), raw(key)) {
		t.Error("another key")
	}
	var shares []group.Scalar
	for j, p := range parties {
		at, total := Index(j+1), g.Scalar(0)
		for i, f := range polys {
			v := f.Eval(at)
			if i != j && !v.Equal(scalar(p.Dealt[fmt.Sprint(i+1)])) {
				t.Errorf("party %d deals another share to %d", i+1, j+1)
			}
			total = total.Add(v)
		}
		if !total.Equal(scalar(p.Share)) || !bytes.Equal(sum.Eval(at).Bytes(), raw(p.Public)) {
			t.Errorf("party %d has another share", j+1)
		}
		shares = append(shares, total)
	}
	x, err := Interpolate(g, []Index{1, 3}, []group.Scalar{shares[0], shares[2]})
	if err != nil || !bytes.Equal(g.BaseMul(x).Bytes(), raw(key)) {
		t.Errorf("shares 1 and 3 give another key: %v", err)
	}
}

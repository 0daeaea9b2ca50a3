package tlog

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func ownKeys(t testing.TB) (Keys, statement.Statement, []byte, ed25519.PrivateKey) {
	t.Helper()
	identity := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	k := KeysFor("acme", identity, 3, time.Unix(1_900_000_000, 0).UTC())
	s, err := k.Statement([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signet.SignNode(identity, s)
	if err != nil {
		t.Fatal(err)
	}
	return k, s, sig, identity
}

func TestKeysOfALog(t *testing.T) {
	k, s, sig, identity := ownKeys(t)
	file := EncodeKeys(s, sig)
	got, again, signature, err := DecodeKeys(file)
	if err != nil || again.ID() != s.ID() || !bytes.Equal(signature, sig) || got.Origin != k.Origin || !got.Log.Equal(k.Log) || !got.Witness.Equal(k.Witness) {
		t.Fatalf("%+v, %v", got, err)
	}
	if n, err := got.Generation(); n != 3 || err != nil {
		t.Errorf("generation %d, %v", n, err)
	}
	equal := func(a, b crypto.Signer) bool { return a.Public().(ed25519.PublicKey).Equal(b.Public()) }
	if l, w := Derive(identity, 3); equal(l, w) || equal(l, identity) || equal(w, identity) {
		t.Error("one key has two uses")
	}
	before, seen := Derive(identity, 2)
	if l, w := Derive(identity, 3); equal(before, l) || equal(seen, w) {
		t.Error("a key outlives its store: it would sign what it has forgotten to have signed otherwise")
	}
	for i := range file {
		damaged := slices.Clone(file)
		damaged[i] ^= 0x20
		if _, _, _, err := DecodeKeys(damaged); err == nil {
			t.Errorf("damaged at byte %d: read", i)
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "cut": file[:len(file)-1], "more": append(slices.Clone(file), '\n'), "no signature": s.Bytes()} {
		if _, _, _, err := DecodeKeys(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)).Public().(ed25519.PublicKey)
	for name, change := range map[string]func(*Keys){
		"another's origin":  func(k *Keys) { k.Origin = Origin(other, 3) },
		"a padded number":   func(k *Keys) { k.Origin = k.Origin[:len(k.Origin)-1] + "03" },
		"another's witness": func(k *Keys) { k.Name = WitnessName(other, 3) },
		"an older witness":  func(k *Keys) { k.Name = WitnessName(k.Identity, 2) },
		"one key twice":     func(k *Keys) { k.Witness = k.Log },
		"the identity":      func(k *Keys) { k.Log = k.Identity },
		"a key of order 1":  func(k *Keys) { k.Log = append([]byte{1}, make([]byte, 31)...) },
		"no operator":       func(k *Keys) { k.Operator = "" },
		"no proof":          func(k *Keys) { k.LogProof = nil },
		"proofs turned":     func(k *Keys) { k.LogProof, k.WitnessProof = k.WitnessProof, k.LogProof },
		"another time":      func(k *Keys) { k.Created = k.Created.Add(time.Second) },
		"another operator":  func(k *Keys) { k.Operator = "bolt" },
	} {
		x := k
		if change(&x); x.Origin == k.Origin && name == "a padded number" {
			t.Fatal("nothing changed")
		}
		if s, err := x.Statement([32]byte{1}); err == nil {
			t.Errorf("%s: written:\n%s", name, s.Text())
		}
	}
}

// Nobody names a key as its own that it does not have: what is named in another's place would have honest lists refused for a doubled key.
func TestKeysOfOthersAreNamedByNobody(t *testing.T) {
	k, _, _, identity := ownKeys(t)
	others := KeysFor("bolt", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)), 0, k.Created)
	log, witness := Derive(identity, 3)
	for name, change := range map[string]func(*Keys){
		"its log key as a witness's": func(k *Keys) { k.Witness = others.Log },
		"its witness key":            func(k *Keys) { k.Witness = others.Witness },
		"its identity as a log's":    func(k *Keys) { k.Log = others.Identity },
		"its keys, with its proofs":  func(k *Keys) { k.Log, k.Witness = others.Log, others.Witness },
	} {
		for _, proof := range []func(Keys) Keys{
			func(k Keys) Keys { return k.Prove(log, witness) },
			func(k Keys) Keys { k.LogProof, k.WitnessProof = others.LogProof, others.WitnessProof; return k },
		} {
			x := k
			change(&x)
			if _, err := proof(x).Statement([32]byte{1}); err == nil {
				t.Errorf("%s: written", name)
			}
		}
	}
	for name, x := range map[string]Keys{
		"itself": k, "its log key": {Identity: others.Identity, Log: k.Log, Witness: others.Witness}, "its identity": {Identity: others.Identity, Log: k.Identity, Witness: others.Witness},
		"its witness key as a log's": {Identity: others.Identity, Log: k.Witness, Witness: others.Witness}, "its witness key as an identity": {Identity: k.Witness, Log: others.Log, Witness: others.Witness},
	} {
		if !k.Shares(x) || !x.Shares(k) {
			t.Errorf("%s: no key in common", name)
		}
	}
	if k.Shares(others) || k.Shares(KeysFor("acme", identity, 4, k.Created)) {
		t.Error("keys that differ are held for one")
	}
}

// What the log's keys sign to be named is nothing that they sign besides: no checkpoint, and no message that is cosigned.
func TestProofsOfPossessionServeNothingElse(t *testing.T) {
	k, _, _, _ := ownKeys(t)
	for _, label := range []transcript.Label{transcript.LogPossession, transcript.WitnessPossession} {
		b := k.possession(label)
		if _, err := ParseCheckpoint(b); err == nil || bytes.HasPrefix(b, []byte("cosignature/")) || b[0] >= ' ' {
			t.Errorf("%q may be read as another message", b)
		}
	}
	if bytes.Equal(k.possession(transcript.LogPossession), k.possession(transcript.WitnessPossession)) {
		t.Error("one proof serves both keys")
	}
}

func TestBodyBundles(t *testing.T) {
	all := []Body{{Content: []byte("one"), Signatures: [][]byte{[]byte("sig")}}, {}, {Content: []byte("three")}}
	raw := EncodeBodies(all)
	got, err := DecodeBodies(raw, 3)
	if err != nil || string(got[0].Content) != "one" || got[1].Content != nil || string(got[2].Content) != "three" {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, try := range map[string]struct {
		b []byte
		n int
	}{"fewer": {raw, 4}, "more": {raw, 2}, "cut": {raw[:len(raw)-1], 3}, "a body that is none": {[]byte{0, 0, 0, 1, 7}, 1}, "a huge length": {[]byte{255, 255, 255, 255}, 1}} {
		if got, err := DecodeBodies(try.b, try.n); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for path, tile := range map[string]Tile{"body/x001/234": {Entries, 1234, 256}, "body/000.p/7": {Entries, 0, 7}} {
		if got := tile.BodyPath(); got != path {
			t.Errorf("path %s, not %s", got, path)
		}
		if got, err := ParseBodyPath(path); err != nil || got != tile {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	for _, path := range []string{"body/", "body/0", "tile/entries/000", "body/000.p/256", "body/entries/000"} {
		if got, err := ParseBodyPath(path); err == nil {
			t.Errorf("%s: read as %v", path, got)
		}
	}
}

func TestSeen(t *testing.T) {
	raw := EncodeSeen([][]byte{[]byte("one"), []byte("two")})
	got, err := DecodeSeen(raw)
	if err != nil || len(got) != 2 || string(got[1]) != "two" {
		t.Errorf("%q, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "cut": raw[:len(raw)-1], "more": append(slices.Clone(raw), 0), "many": EncodeSeen(make([][]byte, MaxSeen+1)), "a long one": EncodeSeen([][]byte{make([]byte, MaxNote+1)}),
	} {
		if got, err := DecodeSeen(b); err == nil {
			t.Errorf("%s: %d", name, len(got))
		}
	}
}

func FuzzSeen(f *testing.F) {
	f.Add(EncodeSeen([][]byte{[]byte("one")}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := DecodeSeen(raw); err == nil && !bytes.Equal(EncodeSeen(s), raw) {
			t.Errorf("%x became %x", raw, EncodeSeen(s))
		}
	})
}

func TestWitnessesOfALog(t *testing.T) {
	var all []Witness
	for i := range MaxWitnesses {
		w, err := NewWitness(fmt.Sprint("witness.example/", i), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)).Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	for _, want := range [][]Witness{nil, all[:1], all} {
		if got, err := DecodeWitnesses(EncodeWitnesses(want)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d became %d: %v", len(want), len(got), err)
		}
	}
	one := EncodeWitnesses(all[:1])
	for name, b := range map[string][]byte{
		"no newline": one[:len(one)-1], "an empty line": append(slices.Clone(one), '\n'), "a carriage return": bytes.Replace(one, []byte("\n"), []byte("\r\n"), 1),
		"too many": append(EncodeWitnesses(all), one...), "no key": []byte("witness.example/0\n"), "no UTF-8": []byte("\xff+00000000+AAAA\n"),
	} {
		if got, err := DecodeWitnesses(b); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzWitnessesOfALog(f *testing.F) {
	f.Add([]byte("witness.example/w1+0abc1234+BAAA\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if w, err := DecodeWitnesses(raw); err == nil && !bytes.Equal(EncodeWitnesses(w), raw) {
			t.Errorf("%q became %q", raw, EncodeWitnesses(w))
		}
	})
}

func FuzzBodies(f *testing.F) {
	f.Add(EncodeBodies([]Body{{Content: []byte("one")}, {}}), uint8(2))
	f.Fuzz(func(t *testing.T, raw []byte, n uint8) {
		if b, err := DecodeBodies(raw, int(n)); err == nil && !bytes.Equal(EncodeBodies(b), raw) {
			t.Errorf("%x became %x", raw, EncodeBodies(b))
		}
	})
}

func FuzzKeysOfALog(f *testing.F) {
	_, s, sig, _ := ownKeys(f)
	f.Add(EncodeKeys(s, sig))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, s, sig, err := DecodeKeys(raw); err == nil && !bytes.Equal(EncodeKeys(s, sig), raw) {
			t.Errorf("%q became %q", raw, EncodeKeys(s, sig))
		}
	})
}

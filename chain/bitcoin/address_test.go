package bitcoin

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

func mainnet(t testing.TB) Network {
	t.Helper()
	n, err := NetworkOf("bip122:000000000019d6689c085ae165831e93")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// BIP 341's wallet vectors: internal key and script tree give the address.
func TestTaprootVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/bip341-wallet-test-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		ScriptPubKey []struct {
			Given        struct{ InternalPubkey string }
			Intermediary struct{ MerkleRoot *string }
			Expected     struct{ Bip350Address string }
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.ScriptPubKey) != 7 {
		t.Fatalf("%d vectors, want 7", len(file.ScriptPubKey))
	}
	for _, v := range file.ScriptPubKey {
		p, err := secp256k1.DecodePoint(unhex(t, "02"+v.Given.InternalPubkey))
		if err != nil {
			t.Fatal(err)
		}
		var root *[32]byte
		if v.Intermediary.MerkleRoot != nil {
			r := [32]byte(unhex(t, *v.Intermediary.MerkleRoot))
			root = &r
		}
		out, err := hd.TapTweak(p, root)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := mainnet(t).Taproot(out); err != nil || got != v.Expected.Bip350Address {
			t.Errorf("%s: %s, %v; want %s", v.Given.InternalPubkey, got, err, v.Expected.Bip350Address)
		}
	}
}

// BIP 173's examples, of the key 1·G.
func TestWitnessKeyHash(t *testing.T) {
	key := secp256k1.BaseMul(secp256k1.NewScalar(1)).Bytes()
	for chain, want := range map[string]string{
		"bip122:000000000019d6689c085ae165831e93": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
		"bip122:000000000933ea01ad0ee984209779ba": "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
		"bip122:0f9188f13cb7b2c71f2a335e3a4fc328": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
	} {
		n, err := NetworkOf(chain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := n.WitnessKeyHash(key); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", n.Name, got, err, want)
		}
	}
	for name, bad := range map[string][]byte{"empty": nil, "uncompressed": append([]byte{4}, key...), "off the curve": append([]byte{2}, make([]byte, 32)...)} {
		if _, err := mainnet(t).WitnessKeyHash(bad); err == nil {
			t.Errorf("%s: an address", name)
		}
	}
}

func TestUnknownNetwork(t *testing.T) {
	if _, err := NetworkOf("bip122:00000000000000000000000000000000"); err == nil || !strings.Contains(err.Error(), "mainnet") {
		t.Errorf("error is %v", err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

package evm_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		t.Fatalf("hex %.80q: %v", text, err)
	}
	return b
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// sign signs with a plain key, as the quorum would.
func sign(t testing.TB, tx *evm.Transaction, key *ecdsa.PrivateKey) *evm.Signed {
	t.Helper()
	digest := tx.Digest()
	sig, err := crypto.Sign(digest[:], key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := tx.Assemble(addressOf(t, key), [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func addressOf(t testing.TB, key *ecdsa.PrivateKey) evm.Address {
	t.Helper()
	a, err := evm.AddressOf(crypto.CompressPubkey(&key.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEIP155Example(t *testing.T) {
	var v struct {
		Payload string `json:"signing_data"`
		Digest  string `json:"signing_hash"`
		Key     string `json:"private_key"`
		Raw     string `json:"signed_tx"`
	}
	readJSON(t, "eip155.json", &v)
	amount, _ := new(big.Int).SetString("1000000000000000000", 10)
	unsigned, err := evm.Build(evm.Request{
		Kind: evm.Legacy, ChainID: 1, Nonce: 9, Gas: 21000, FeeCap: big.NewInt(20_000_000_000),
		To: evm.Address(bytes.Repeat([]byte{0x35}, 20)), Amount: amount,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, v.Payload); !bytes.Equal(unsigned, want) {
		t.Fatalf("payload %x, want %x", unsigned, want)
	}
	tx, err := evm.Decode(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	if digest := tx.Digest(); !bytes.Equal(digest[:], unhex(t, v.Digest)) {
		t.Errorf("digest %x, want %s", digest, v.Digest)
	}
	key, err := crypto.ToECDSA(unhex(t, v.Key))
	if err != nil {
		t.Fatal(err)
	}
	if signed := sign(t, tx, key); !bytes.Equal(signed.Raw, unhex(t, v.Raw)) {
		t.Errorf("signed %x, want %s", signed.Raw, v.Raw)
	}
}

type ethersVector struct {
	Name        string
	Transaction struct {
		To, ChainID, GasLimit, GasPrice    string
		MaxFeePerGas, MaxPriorityFeePerGas string
		AccessList                         []any
	}
	PrivateKey                     string
	UnsignedLegacy, UnsignedBerlin string
	UnsignedEip155, SignedEip155   string
	UnsignedLondon, SignedLondon   string
	SignedBerlin                   string
	UnsignedCancun                 string
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	if text == "" {
		return new(big.Int)
	}
	x, ok := new(big.Int).SetString(text, 0)
	if !ok {
		t.Fatalf("number %q", text)
	}
	return x
}

// supported says from the vector's own description whether it is a plain transfer of ours.
func (v ethersVector) supported(t *testing.T) bool {
	tx := v.Transaction
	to := strings.Trim(tx.To, "0x")
	return to != "" && number(t, tx.ChainID).Sign() > 0 && number(t, tx.GasLimit).Sign() > 0
}

func TestEthersVectors(t *testing.T) {
	var vectors []ethersVector
	readJSON(t, "ethers-transactions.json", &vectors)
	accepted := map[evm.Kind]int{}
	for _, v := range vectors {
		key, err := crypto.ToECDSA(unhex(t, v.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		tx := v.Transaction
		legacy := v.supported(t)
		london := v.supported(t) && len(tx.AccessList) == 0 &&
			number(t, tx.MaxPriorityFeePerGas).Cmp(number(t, tx.MaxFeePerGas)) <= 0
		accepted[evm.Legacy] += judge(t, v.Name+" eip155", v.UnsignedEip155, v.SignedEip155, key, legacy)
		accepted[evm.Dynamic] += judge(t, v.Name+" london", v.UnsignedLondon, v.SignedLondon, key, london)
		for _, other := range []string{v.UnsignedLegacy, v.UnsignedBerlin, v.UnsignedCancun} {
			judge(t, v.Name+" other", other, "", key, false)
		}
	}
	t.Logf("accepted %d legacy, %d dynamic of %d", accepted[evm.Legacy], accepted[evm.Dynamic], len(vectors))
	if accepted[evm.Legacy] < 20 || accepted[evm.Dynamic] < 20 {
		t.Errorf("accepted %v of %d vectors: too few to mean anything", accepted, len(vectors))
	}
}

// judge decodes one form of a vector and compares the form that its key signs.
func judge(t *testing.T, name, unsigned, signed string, key *ecdsa.PrivateKey, want bool) int {
	t.Helper()
	if unsigned == "" {
		return 0
	}
	payload := unhex(t, unsigned)
	tx, err := evm.Decode(payload)
	var refused *evm.Refused
	switch {
	case err != nil && !errors.As(err, &refused):
		t.Errorf("%s: %v is no Refused", name, err)
	case (err == nil) != want:
		t.Errorf("%s: decode: %v, want accepted: %v\n%s", name, err, want, unsigned)
	case err == nil:
		got := sign(t, tx, key)
		if !bytes.Equal(got.Raw, unhex(t, signed)) {
			t.Errorf("%s: signed %x, want %s", name, got.Raw, signed)
		}
		parsed, err := evm.ParseSigned(got.Raw)
		if err != nil || parsed.From != got.From || parsed.Hash != got.Hash {
			t.Errorf("%s: parse signed: %+v, %v", name, parsed, err)
		}
		return 1
	}
	return 0
}

func TestAddress(t *testing.T) {
	// EIP-55's own examples
	for _, text := range []string{
		"0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	} {
		for _, form := range []string{text, strings.ToLower(text)} {
			if a, err := evm.ParseAddress(form); err != nil || a.String() != text {
				t.Errorf("parse %s: %s, %v", form, a, err)
			}
		}
	}
	for _, text := range []string{
		"", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
		"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd",
		"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg", " 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
	} {
		if a, err := evm.ParseAddress(text); err == nil {
			t.Errorf("parse %q: accepted as %s", text, a)
		}
	}
	// the key 1: the curve's generator
	one, _ := crypto.ToECDSA(append(make([]byte, 31), 1))
	if a := addressOf(t, one); a.String() != "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf" {
		t.Errorf("address of key 1 is %s", a)
	}
	compressed := crypto.CompressPubkey(&one.PublicKey)
	for name, key := range map[string][]byte{
		"empty": nil, "uncompressed": crypto.FromECDSAPub(&one.PublicKey), "short": compressed[:32],
		"prefix 4": append([]byte{4}, compressed[1:]...), "x is p": append([]byte{2}, common.FromHex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f")...),
		"x 5 is off the curve": append([]byte{2}, append(make([]byte, 31), 5)...),
	} {
		if a, err := evm.AddressOf(key); err == nil {
			t.Errorf("%s: accepted as %s", name, a)
		}
	}
}

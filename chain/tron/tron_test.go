package tron_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/tron"
)

const chain = "tron:0x2b6653dc"

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func private(n byte) *secp256k1.PrivateKey {
	return secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{n}, 32))
}

func addressOf(n byte) tron.Address {
	a, err := tron.AddressOf(private(n).PubKey().SerializeCompressed())
	if err != nil {
		panic(err)
	}
	return a
}

var (
	owner, to = addressOf(7), addressOf(8)
	usdt, _   = tron.ParseAddress("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")
	refBytes  = [2]byte{0xfd, 0xf6}
	refHash   = [8]byte{0x4c, 0xd8, 0x98, 0xae, 0xd8, 0xce, 0x5d, 0x14}
)

func context() tron.Context {
	return tron.Context{
		Chain:  chain,
		Own:    func(a tron.Address) ([3]uint32, bool) { return [3]uint32{1, 2, 3}, a == owner || a == addressOf(9) },
		Recent: func(b [2]byte, h [8]byte) bool { return b == refBytes && h == refHash },
	}
}

func say(effects []effect.Effect) string {
	var all []string
	for _, e := range effects {
		all = append(all, fmt.Sprintf("%s %v %s %s", e.Operation, e.Amount, e.Contract, e.Destination))
	}
	return strings.Join(all, "; ")
}

// What tronweb builds is decoded, means this, and is assembled with the same id and signature.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/tronweb.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Owner, To    string
		Transactions []struct{ Name, Raw, ID, Signature string }
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Transactions) != 3 || v.Owner != owner.String() || v.To != to.String() {
		t.Fatal(v, err)
	}
	want := []string{ // 267, 285 and 345 bytes of bandwidth
		fmt.Sprintf("transfer 1500000  %s; fee %d  ", to, 267*1000+1100000),
		fmt.Sprintf("transfer 9007199254740991  %s; fee %d  ", to, 285*1000+1100000+1000000),
		fmt.Sprintf("token 2500000 %s %s; fee %d  ", usdt, to, 345*1000+30000000),
	}
	for i, c := range v.Transactions {
		tx, err := tron.Decode(unhex(t, c.Raw), context())
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if got := say(tx.Effects()); got != want[i] {
			t.Errorf("%s: does %q, want %q", c.Name, got, want[i])
		}
		sig := unhex(t, c.Signature)
		s, err := tx.Assemble([]effect.Signature{{Bytes: [64]byte(sig[:64]), Recovery: sig[64] - 27}})
		if err != nil || s.ID != c.ID || hex.EncodeToString(s.Signature[:]) != c.Signature || s.From != owner {
			t.Fatalf("%s: %v, %v", c.Name, s, err)
		}
		if again, err := tx.Published(s.Raw); err != nil || again.ID != c.ID {
			t.Errorf("%s: published %v, %v", c.Name, again, err)
		}
		if u := tx.Uses()[0]; hex.EncodeToString(u.Message) != c.ID || u.Address != v.Owner || u.Suite != "ecdsa-secp256k1" || u.Path != [3]uint32{1, 2, 3} {
			t.Errorf("%s: uses %v", c.Name, u)
		}
	}
}

// Transactions of the main network, by others' software; bandwidth is what the chain counted.
func TestMainnet(t *testing.T) {
	for _, c := range []struct {
		id, raw, sig string
		amount       int64
		bandwidth    int
	}{
		{"47086db397eac45d2fe7dacedcb6f77267d6895dce645210e495e64f8a2a7910", "0a02fdf622084cd898aed8ce5d1440f0d2ccf1fd315a65080112610a2d747970652e676f6f676c65617069732e636f6d2f70726f746f636f6c2e5472616e73666572436f6e747261637412300a15419b3281a60ab7a44f351ef2896c653f134972ad2212154105cc125604448afeb6867eb688efb7e80411d57a1805709c91c9f1fd31", "c1c0b1ad18f56248ebc6820c611cd65683cef6b5deed8002246cc00df7e79f9f73d48c35b8c2e41694ef23c8020ab8c578c0aa57b7e079683f322e45c88b0e0700", 5, 265},
		{"adc3f1c4cf23d4adfcf25d3cdae5378d86a209b7b9d49d69db47cae7f838c5f0", "0a0229382208d1bf54ec9e8dec0140a0d7ffcef9315a67080112630a2d747970652e676f6f676c65617069732e636f6d2f70726f746f636f6c2e5472616e73666572436f6e747261637412320a154105cc125604448afeb6867eb688efb7e80411d57a121541a2ff80f95ce3740235dc46a4dffe00d9f9b91f371880897a7085b5d7cef931", "74f4f6c98b412ee5b0689e34c7434c5f55ac0a228da5abfc6fe03cae21c273aa27fba3aa70eb081604b4438d9615bd30f426705299b1c42f73b4a381dbb55b0201", 2000000, 267},
	} {
		raw := join(field(1, unhex(t, c.raw)), field(2, unhex(t, c.sig)))
		s, err := tron.ParseSigned(raw)
		if err != nil || s.ID != c.id || !bytes.Equal(s.Data, unhex(t, c.raw)) {
			t.Fatalf("%v, %v", s, err)
		}
		x := context()
		x.Own = func(a tron.Address) ([3]uint32, bool) { return [3]uint32{}, a == s.From }
		x.Recent = func([2]byte, [8]byte) bool { return true }
		tx, err := tron.Decode(s.Data, x)
		if err != nil {
			t.Fatal(err)
		}
		e := tx.Effects()
		if e[0].Amount.Int64() != c.amount || e[1].Amount.Int64() != int64(c.bandwidth)*1000+1100000 {
			t.Errorf("does %s", say(e))
		}
		if again, err := tx.Published(raw); err != nil || again.ID != c.id {
			t.Errorf("published %v, %v", again, err)
		}
	}
}

// Fields as protobuf writes them; these tests' own.

func varint(v uint64) []byte {
	var b []byte
	for ; v > 0x7f; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func field(n int, b []byte) []byte {
	return slices.Concat(varint(uint64(n)<<3|2), varint(uint64(len(b))), b)
}
func number(n int, v uint64) []byte { return slices.Concat(varint(uint64(n)<<3), varint(v)) }
func join(parts ...[]byte) []byte   { return bytes.Join(parts, nil) }
func at(a tron.Address) []byte      { return append([]byte{0x41}, a[:]...) }
func call(a tron.Address, n byte) []byte {
	return join([]byte{0xa9, 0x05, 0x9c, 0xbb}, make([]byte, 12), a[:], make([]byte, 31), []byte{n})
}

// parts are raw_data before it is written, so that a test may spoil it.
type parts struct {
	f        map[int][]byte // fields of raw_data, whole
	kind     uint64
	url      string
	v        map[int][]byte // fields of the contract's value, whole
	contract []byte         // further fields of the contract
	twice    bool
	tail     []byte
}

func transfer() *parts {
	return &parts{
		f:    map[int][]byte{1: field(1, refBytes[:]), 4: field(4, refHash[:]), 8: number(8, 1717419846000), 14: number(14, 1717419788444)},
		kind: 1, url: "type.googleapis.com/protocol.TransferContract",
		v: map[int][]byte{1: field(1, at(owner)), 2: field(2, at(to)), 3: number(3, 5)},
	}
}

func token(data []byte) *parts {
	p := transfer()
	p.f[18] = number(18, 1000)
	p.kind, p.url = 31, "type.googleapis.com/protocol.TriggerSmartContract"
	p.v = map[int][]byte{1: field(1, at(owner)), 2: field(2, at(usdt)), 4: field(4, data)}
	return p
}

func ordered(m map[int][]byte) (b []byte) {
	for n := range 100 {
		b = append(b, m[n]...)
	}
	return b
}

func (p *parts) bytes() []byte {
	contract := field(11, join(number(1, p.kind), field(2, join(field(1, []byte(p.url)), field(2, ordered(p.v)))), p.contract))
	if p.twice {
		contract = append(contract, contract...)
	}
	if p.f[11] == nil {
		p.f[11] = contract
	}
	return append(ordered(p.f), p.tail...)
}

func TestHostile(t *testing.T) {
	good := call(to, 9)
	for _, p := range []*parts{transfer(), token(good)} {
		if tx, err := tron.Decode(p.bytes(), context()); err != nil || !bytes.Equal(tx.Unsigned(), p.bytes()) {
			t.Fatalf("%v: the table would prove nothing", err)
		}
	}
	type row struct {
		name          string
		p             *parts
		field, reason string
	}
	raw := func(name string, n int, b []byte, field, reason string) row {
		p := transfer()
		p.f[n] = b
		return row{name, p, field, reason}
	}
	val := func(name string, n int, b []byte, field, reason string) row {
		p := transfer()
		p.v[n] = b
		return row{name, p, "contract." + field, reason}
	}
	tok := func(name string, n int, b []byte, field, reason string) row {
		p := token(good)
		p.v[n] = b
		return row{name, p, "contract." + field, reason}
	}
	data := func(name string, b []byte, reason string) row { return row{name, token(b), "contract.data", reason} }
	kind := func(n uint64, reason string) row {
		p := transfer()
		p.kind = n
		return row{fmt.Sprintf("contract of type %d", n), p, "contract.type", reason}
	}
	more := func(name string, b []byte, field, reason string) row {
		p := transfer()
		p.contract = b
		return row{name, p, "contract." + field, reason}
	}
	spoiled := func(at int, c byte) []byte { b := slices.Clone(good); b[at] = c; return b }
	other := transfer()
	other.url = token(nil).url
	two := transfer()
	two.twice = true
	energy := token(good)
	energy.f[18] = nil
	rows := []row{
		raw("no block", 1, nil, "raw_data.ref_block_bytes", "has 0 bytes"),
		raw("block of one byte", 1, field(1, []byte{1}), "raw_data.ref_block_bytes", "has 1 bytes"),
		raw("no block's hash", 4, nil, "raw_data.ref_block_hash", "has 0 bytes"),
		raw("block of another chain", 4, field(4, make([]byte, 8)), "raw_data.ref_block", "no recent block of "+chain),
		raw("another number of the block", 1, field(1, []byte{1, 2}), "raw_data.ref_block", "no recent block"),
		raw("block's number in full", 3, number(3, 5), "raw_data.ref_block_num", "not supported"),
		raw("no expiry", 8, nil, "raw_data.expiration", "is missing"),
		raw("expiry before 1970", 8, number(8, 1<<63), "raw_data.expiration", "negative"),
		raw("expiry in long form", 8, []byte{0x40, 0x81, 0}, "raw_data.expiration", "shortest"),
		raw("authorities", 9, field(9, []byte("x")), "raw_data.auths", "not supported"),
		raw("memo with a line of its own", 10, field(10, []byte("x\namount: 0")), "raw_data.data", "cannot be printed"),
		raw("memo that runs backwards", 10, field(10, []byte("\u202e5")), "raw_data.data", "cannot be printed"),
		raw("memo of 201 bytes", 10, field(10, make([]byte, 201)), "raw_data.data", "201 bytes"),
		raw("empty memo", 10, field(10, nil), "raw_data.data", "absence"),
		raw("no contract", 11, []byte{}, "raw_data.contract", "is missing"),
		{"two contracts", two, "raw_data.contract", "more than 1"},
		raw("scripts", 12, field(12, []byte("x")), "raw_data.scripts", "not supported"),
		raw("negative time", 14, number(14, 1<<63), "raw_data.timestamp", "negative"),
		raw("fee limit of a transfer", 18, number(18, 5), "raw_data.fee_limit", "calls nothing"),
		raw("unknown field", 19, number(19, 5), "raw_data.field 19", "is unknown"),
		raw("field twice", 14, join(number(14, 5), number(14, 6)), "raw_data.field 14", "stands twice"),
		kind(0, "absence"), kind(2, "TRC-10"), kind(4, "VoteWitness"), kind(30, "CreateSmartContract"), kind(46, "gives the account to others"), kind(54, "FreezeBalanceV2"), kind(57, "DelegateResource"), kind(99, "99 is not supported"),
		{"transfer that is called a call", other, "contract.parameter", "in a contract of type TransferContract"},
		more("permission of another key", number(5, 2), "Permission_id", "the owner's key signs"),
		more("provider", field(3, []byte("x")), "provider", "not supported"),
		more("contract's name", field(4, []byte("x")), "ContractName", "not supported"),
		more("sixth field of the contract", field(6, []byte("x")), "field 6", "is unknown"),
		val("another's account", 1, field(1, at(addressOf(10))), "owner_address", "none of this vault's"),
		val("owner of another version", 1, field(1, append([]byte{0xa0}, owner[:]...)), "owner_address", "0x41"),
		val("owner without a version", 1, field(1, owner[:]), "owner_address", "0x41"),
		val("no owner", 1, nil, "owner_address", "0x41"),
		val("no destination", 2, nil, "to_address", "0x41"),
		val("TRX to the zero address", 2, field(2, at(tron.Address{})), "to_address", "burnt"),
		val("TRX to the sender", 2, field(2, at(owner)), "to_address", "is the sender"),
		val("destination of 22 bytes", 2, field(2, append(at(to), 0)), "to_address", "22 bytes"),
		val("no amount", 3, nil, "amount", "is missing"),
		val("negative amount", 3, number(3, 1<<64-5), "amount", "negative"),
		val("fourth field of a transfer", 4, number(4, 1), "field 4", "is unknown"),
		{"call without energy", energy, "raw_data.fee_limit", "no energy"},
		tok("TRX along with tokens", 3, number(3, 5), "call_value", "would be lost"),
		tok("TRC-10 along with tokens", 5, number(5, 5), "call_token_value", "not supported"),
		tok("token id", 6, number(6, 5), "token_id", "not supported"),
		tok("seventh field of a call", 7, number(7, 5), "field 7", "is unknown"),
		tok("token of another version", 2, field(2, append([]byte{0xa0}, usdt[:]...)), "contract_address", "0x41"),
		tok("token at the zero address", 2, field(2, at(tron.Address{})), "contract_address", "no token"),
		tok("call without data", 4, nil, "data", "alone is supported"),
		data("approve", append([]byte{0x09, 0x5e, 0xa7, 0xb3}, good[4:]...), "calls 095ea7b3"),
		data("transferFrom", append([]byte{0x23, 0xb8, 0x72, 0xdd}, good[4:]...), "alone is supported"),
		data("selector one bit off", spoiled(3, 0xba), "alone is supported"),
		data("three bytes", good[:3], "alone is supported"),
		data("data one byte short", good[:67], "67 bytes"),
		data("trailing byte", append(slices.Clone(good), 0), "69 bytes"),
		data("second call", append(slices.Clone(good), good...), "136 bytes"),
		data("0x41 before the address", spoiled(15, 0x41), "padded"),
		data("dirty first byte", spoiled(4, 1), "padded"),
		data("tokens to the zero address", call(tron.Address{}, 1), "burnt"),
		data("tokens to the token", call(usdt, 1), "lost"),
	}
	for _, c := range rows {
		tx, err := tron.Decode(c.p.bytes(), context())
		var refused *tron.Refused
		if !errors.As(err, &refused) {
			t.Errorf("%s: accepted: %v, %v", c.name, tx, err)
		} else if refused.Field != c.field || !strings.Contains(refused.Reason, c.reason) {
			t.Errorf("%s: refused with %q, want field %q and %q", c.name, err, c.field, c.reason)
		}
	}
	b := transfer().bytes()
	for name, b := range map[string][]byte{"empty": nil, "oversized": make([]byte, tron.MaxLen+1), "truncated": b[:len(b)-1], "trailing": append(slices.Clone(b), 0), "doubled": append(slices.Clone(b), b...), "a bare hash": bytes.Repeat([]byte{0x77}, 32)} {
		if _, err := tron.Decode(b, context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := tron.Decode(make([]byte, tron.MaxLen+1), context()); err == nil || !strings.Contains(err.Error(), "want 1 to") {
		t.Errorf("oversized: %v", err)
	}
	for _, c := range []string{"", "tron:", "eip155:1", "tron:0x2B6653DC", "tron:a b"} {
		x := context()
		x.Chain = c
		if _, err := tron.Decode(b, x); err == nil || !strings.Contains(err.Error(), "context") {
			t.Errorf("chain %q: %v", c, err)
		}
	}
}

func TestBuild(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 500 {
		r := tron.Request{From: owner, To: to, Amount: big.NewInt(1 + rng.Int64N(1<<uint(1+rng.IntN(62)))), RefBytes: refBytes, RefHash: refHash, Expires: 1 + rng.Int64N(1<<42), Timestamp: rng.Int64N(2)}
		own := rng.IntN(4) == 0
		if own {
			r.To = addressOf(9)
		}
		want := fmt.Sprintf("transfer %v  %s; ", r.Amount, to)
		if rng.IntN(2) == 0 {
			r.Token, r.FeeLimit = &usdt, 1+rng.Int64N(1<<40)
			r.Amount.Lsh(r.Amount, uint(rng.IntN(190)))
			want = fmt.Sprintf("token %v %s %s; ", r.Amount, usdt, to)
		}
		if own {
			want = ""
		}
		if rng.IntN(2) == 0 {
			r.Memo = "Rechnung ü"
		}
		unsigned, err := tron.Build(r, context())
		if err != nil {
			t.Fatal(i, r, err)
		}
		tx, err := tron.Decode(unsigned, context())
		if err != nil || !bytes.Equal(tx.Unsigned(), unsigned) {
			t.Fatal(i, err)
		}
		if got := say(tx.Effects()); !strings.HasPrefix(got, want+"fee ") {
			t.Fatalf("%d: does %q, want %q", i, got, want)
		}
		d := sha256.Sum256(unsigned)
		lines := tx.Lines()
		if lines[len(lines)-1].Value != hex.EncodeToString(d[:]) || tx.Digest() != d || tx.Spends()[0] != fmt.Sprintf("%s transaction %x", chain, d) {
			t.Fatalf("%d: %v", i, lines)
		}
	}
	for name, r := range map[string]tron.Request{
		"no amount": {From: owner, To: to}, "negative": {From: owner, To: to, Amount: big.NewInt(-1)}, "2⁶³ sun": {From: owner, To: to, Amount: new(big.Int).Lsh(big.NewInt(1), 63)},
		"no expiry": {From: owner, To: to, Amount: big.NewInt(1), RefBytes: refBytes, RefHash: refHash}, "2²⁵⁶ tokens": {From: owner, To: to, Token: &usdt, Amount: new(big.Int).Lsh(big.NewInt(1), 256)},
	} {
		if _, err := tron.Build(r, context()); err == nil {
			t.Errorf("%s: built", name)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	tx, err := tron.Decode(transfer().bytes(), context())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(n byte, d []byte) effect.Signature {
		b := ecdsa.SignCompact(private(n), d, false)
		return effect.Signature{Bytes: [64]byte(b[1:]), Recovery: b[0] - 27}
	}
	d := tx.Digest()
	good := sign(7, d[:])
	high := good
	var s secp256k1.ModNScalar
	s.SetByteSlice(good.Bytes[32:])
	negated := s.Negate().Bytes()
	copy(high.Bytes[32:], negated[:])
	high.Recovery ^= 1
	wrong := good
	wrong.Recovery ^= 1
	for name, all := range map[string][]effect.Signature{
		"none": nil, "two": {good, good}, "high s": {high}, "another's": {sign(8, d[:])}, "of another message": {sign(7, make([]byte, 32))}, "another recovery id": {wrong},
		"recovery id 2": {{Bytes: good.Bytes, Recovery: 2}}, "recovery id that wraps": {{Bytes: good.Bytes, Recovery: good.Recovery + 229}}, "zeros": {{}}, "all ones": {{Bytes: [64]byte(bytes.Repeat([]byte{0xff}, 64))}},
	} {
		if s, err := tx.Assemble(all); err == nil {
			t.Errorf("%s: assembled %x", name, s.Raw)
		}
	}
	signed, err := tx.Assemble([]effect.Signature{good})
	if err != nil {
		t.Fatal(err)
	}
	sig := signed.Signature[:]
	raw := transfer().bytes()
	foreign := transfer()
	foreign.v[1] = field(1, at(to))
	foreign.v[2] = field(2, at(owner))
	for name, b := range map[string][]byte{
		"empty": nil, "trailing": append(slices.Clone(signed.Raw), 0), "cut": signed.Raw[:len(signed.Raw)-1], "two signatures": append(slices.Clone(signed.Raw), field(2, sig)...), "oversized": make([]byte, 1<<20),
		"no signature": field(1, raw), "with the chain's answer": append(slices.Clone(signed.Raw), field(5, []byte("x"))...), "v of 29": join(field(1, raw), field(2, append(slices.Clone(sig[:64]), 29))),
		"signature of 64 bytes": join(field(1, raw), field(2, sig[:64])), "another's transaction": join(field(1, foreign.bytes()), field(2, sig)),
	} {
		if _, err := tron.ParseSigned(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	p := transfer()
	p.v[3] = number(3, 6)
	another, err := tron.Decode(p.bytes(), context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := another.Published(signed.Raw); err == nil || !strings.Contains(err.Error(), "is another") {
		t.Errorf("another transaction is found published: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	if usdt.String() != "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t" || hex.EncodeToString(usdt[:]) != "a614f803b6fd780986a42c78ec9c7f77e6ded13c" {
		t.Errorf("USDT is %s, %x", usdt, usdt)
	}
	for _, text := range []string{"", "T", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T", "tR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "41a614f803b6fd780986a42c78ec9c7f77"} {
		if a, err := tron.ParseAddress(text); err == nil {
			t.Errorf("%q is %s", text, a)
		}
	}
	if _, err := tron.AddressOf(make([]byte, 33)); err == nil {
		t.Error("an address of no key")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(transfer().bytes())
	f.Add(token(call(to, 9)).bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if tx, err := tron.Decode(b, context()); err == nil && (!bytes.Equal(tx.Unsigned(), b) || len(tx.Lines()) > 64) {
			t.Fatalf("decoded %x, encodes as %x", b, tx.Unsigned())
		}
	})
}

func FuzzParseSigned(f *testing.F) {
	tx, err := tron.Decode(transfer().bytes(), context())
	if err != nil {
		f.Fatal(err)
	}
	d := tx.Digest()
	sig := ecdsa.SignCompact(private(7), d[:], false)
	f.Add(join(field(1, transfer().bytes()), field(2, append(slices.Clone(sig[1:]), sig[0]))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := tron.ParseSigned(b); err == nil && !bytes.Equal(join(field(1, s.Data), field(2, s.Signature[:])), b) {
			t.Fatalf("read %x as %x", b, s.Data)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := token(call(to, 9)).bytes()
	for b.Loop() {
		if tx, err := tron.Decode(raw, context()); err != nil || tx.Digest() == [32]byte{} {
			b.Fatal(err)
		}
	}
}

// An address that is read is written as it was: there is one form of each.
func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"TJRabPrwbZy45sbavfcjinPJC18kjpRTv8", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := tron.ParseAddress(text); err == nil && a.String() != text {
			t.Fatalf("%q is read as %s", text, a)
		}
	})
}

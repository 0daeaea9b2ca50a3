package cosmos_test

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

	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/chain/cosmos"
	"github.com/ostraka/ostraka/chain/effect"
)

var hub = cosmos.Network{Chain: "cosmos:cosmoshub-4", Prefix: "cosmos", Native: "uatom"}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func private() *secp256k1.PrivateKey {
	return secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
}

func context(t testing.TB, n cosmos.Network, key []byte) cosmos.Context {
	t.Helper()
	mine, err := n.Address(key)
	if err != nil {
		t.Fatal(err)
	}
	return cosmos.Context{Network: n, Own: func(a string) ([3]uint32, bool) { return [3]uint32{1, 2, 3}, a == mine }}
}

func say(effects []effect.Effect) string {
	var all []string
	for _, e := range effects {
		all = append(all, fmt.Sprintf("%s %v %s %s", e.Operation, e.Amount, e.Contract, e.Destination))
	}
	return strings.Join(all, "; ")
}

// What cosmjs builds is decoded, means this, and is assembled to the same bytes.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/cosmjs.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Name, Chain, Prefix, Native, From, To1, To2, Key, SignDoc, Signature, Raw, ID string }
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 3 {
		t.Fatal(len(all), err)
	}
	const atom = "ibc/27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2"
	want := []string{
		"transfer 1500000  " + all[0].To1 + "; fee 500  ",
		"transfer 1  " + all[1].To1 + "; fee 0  ",
		"token 25 " + atom + " " + all[2].To1 + "; transfer 9  " + all[2].To1 + "; transfer 340282366920938463463374607431768211456  " + all[2].To2 + "; fee 2500  ",
	}
	for i, c := range all {
		n := cosmos.Network{Chain: c.Chain, Prefix: c.Prefix, Native: c.Native}
		x := context(t, n, unhex(t, c.Key))
		tx, err := cosmos.Decode(unhex(t, c.SignDoc), x)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if got := say(tx.Effects()); got != want[i] {
			t.Errorf("%s: does %q, want %q", c.Name, got, want[i])
		}
		if u := tx.Uses()[0]; u.Address != c.From || u.Path != [3]uint32{1, 2, 3} || !bytes.Equal(u.Message, sum(unhex(t, c.SignDoc))) {
			t.Errorf("%s: uses %v", c.Name, u)
		}
		s, err := tx.Assemble([]effect.Signature{{Bytes: [64]byte(unhex(t, c.Signature))}})
		if err != nil || hex.EncodeToString(s.Raw) != c.Raw || s.ID != c.ID {
			t.Fatalf("%s: %v, %v", c.Name, s, err)
		}
		if again, err := tx.Published(s.Raw); err != nil || again.ID != c.ID {
			t.Errorf("%s: published %v, %v", c.Name, again, err)
		}
	}
}

func sum(b []byte) []byte { d := sha256.Sum256(b); return d[:] }

// A vector that the Cosmos SDK's own command line made, from cosmjs's tests.
func TestSDKVector(t *testing.T) {
	doc := unhex(t, "0a93010a90010a1c2f636f736d6f732e62616e6b2e763162657461312e4d736753656e6412700a2d636f736d6f7331706b707472653766646b6c366766727a6c65736a6a766878686c63337234676d6d6b38727336122d636f736d6f7331717970717870713971637273737a673270767871367273307a716733797963356c7a763778751a100a0575636f736d12073132333435363712650a4e0a460a1f2f636f736d6f732e63727970746f2e736563703235366b312e5075624b657912230a21034f04181eeba35391b858633a765c4a0c189697b40d216354d50890d350c7029012040a02080112130a0d0a0575636f736d12043230303010c09a0c1a0c73696d642d74657374696e672001")
	key := unhex(t, "034f04181eeba35391b858633a765c4a0c189697b40d216354d50890d350c70290")
	n := cosmos.Network{Chain: "cosmos:simd-testing", Prefix: "cosmos", Native: "ucosm"}
	tx, err := cosmos.Decode(doc, context(t, n, key))
	if err != nil {
		t.Fatal(err)
	}
	if got := say(tx.Effects()); got != "transfer 1234567  cosmos1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu; fee 2000  " {
		t.Error(got)
	}
	if got := tx.Spends()[0]; got != "cosmos:simd-testing account cosmos1pkptre7fdkl6gfrzlesjjvhxhlc3r4gmmk8rs6 sequence 0" {
		t.Error(got)
	}
	sig := unhex(t, "c9dd20e07464d3a688ff4b710b1fbc027e495e797cfa0b4804da2ed117959227772de059808f765aa29b8f92edf30f4c2c5a438e30d3fe6897daa7141e3ce6f9")
	if _, err := tx.Assemble([]effect.Signature{{Bytes: [64]byte(sig)}}); err != nil {
		t.Error(err)
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
func text(n int, s string) []byte      { return field(n, []byte(s)) }
func number(n int, v uint64) []byte    { return slices.Concat(varint(uint64(n)<<3), varint(v)) }
func join(parts ...[]byte) []byte      { return bytes.Join(parts, nil) }
func coin(denom, amount string) []byte { return join(text(1, denom), text(2, amount)) }
func anything(url string, value []byte) []byte {
	return join(text(1, url), field(2, value))
}

// parts are a SignDoc before it is written, so that a test may spoil it.
type parts struct {
	send               [][]byte // fields of MsgSend
	url                string
	messages           [][]byte // in the place of send
	body               []byte   // further fields of TxBody
	keyURL             string
	key, mode          []byte
	info               []byte // further fields of SignerInfo
	infos              int
	fee, auth          []byte
	chain              string
	number, afterwards []byte
}

func key() []byte { return private().PubKey().SerializeCompressed() }

func good(t testing.TB) *parts {
	t.Helper()
	from, err := hub.Address(key())
	if err != nil {
		t.Fatal(err)
	}
	return &parts{
		send: [][]byte{text(1, from), text(2, to), field(3, coin("uatom", "5"))}, url: "/cosmos.bank.v1beta1.MsgSend",
		keyURL: "/cosmos.crypto.secp256k1.PubKey", key: field(1, key()), mode: field(1, number(1, 1)), info: number(3, 9), infos: 1,
		fee: join(field(1, coin("uatom", "7")), number(2, 1000)), chain: "cosmoshub-4", number: number(4, 12),
	}
}

const to = "cosmos1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"

func (p *parts) bytes() []byte {
	if p.messages == nil {
		p.messages = [][]byte{anything(p.url, join(p.send...))}
	}
	var body, auth []byte
	for _, m := range p.messages {
		body = append(body, field(1, m)...)
	}
	for range p.infos {
		auth = append(auth, field(1, join(field(1, anything(p.keyURL, p.key)), field(2, p.mode), p.info))...)
	}
	auth = join(auth, field(2, p.fee), p.auth)
	return join(field(1, append(body, p.body...)), field(2, auth), text(3, p.chain), p.number, p.afterwards)
}

func TestHostile(t *testing.T) {
	x := context(t, hub, key())
	if tx, err := cosmos.Decode(good(t).bytes(), x); err != nil || !bytes.Equal(tx.Unsigned(), good(t).bytes()) {
		t.Fatalf("%v: the table would prove nothing", err)
	}
	m := join(good(t).send...)
	rows := []struct {
		name          string
		change        func(*parts)
		field, reason string
	}{
		{"another chain", func(p *parts) { p.chain = "cosmoshub-3" }, "SignDoc.chain_id", "another chain"},
		{"no chain", func(p *parts) { p.chain = "" }, "SignDoc.chain_id", "is empty"},
		{"account number in long form", func(p *parts) { p.number = []byte{0x20, 0x8c, 0} }, "SignDoc.account_number", "shortest form"},
		{"account number 0, written", func(p *parts) { p.number = number(4, 0) }, "SignDoc.account_number", "absence"},
		{"account number as bytes", func(p *parts) { p.number = text(4, "x") }, "SignDoc.account_number", "wire type"},
		{"fifth field of SignDoc", func(p *parts) { p.afterwards = text(5, "hidden") }, "SignDoc.field 5", "is unknown"},
		{"account number twice", func(p *parts) { p.afterwards = number(4, 13) }, "SignDoc.field 4", "stands twice"},
		{"trailing zero", func(p *parts) { p.afterwards = []byte{0} }, "SignDoc.field 0", "is unknown"},
		{"trailing byte", func(p *parts) { p.afterwards = []byte{0xff} }, "SignDoc.end", "no field"},
		{"message of many", func(p *parts) { p.url = "/cosmos.bank.v1beta1.MsgMultiSend" }, "message 1.type_url", "many senders"},
		{"leave for another to sign", func(p *parts) { p.url = "/cosmos.authz.v1beta1.MsgGrant" }, "message 1.type_url", "leave for another"},
		{"messages in a message", func(p *parts) { p.url = "/cosmos.authz.v1beta1.MsgExec" }, "message 1.type_url", "within a message"},
		{"contract call", func(p *parts) { p.url = "/cosmwasm.wasm.v1.MsgExecuteContract" }, "message 1.type_url", "call of a contract"},
		{"transfer to another chain", func(p *parts) { p.url = "/ibc.applications.transfer.v1.MsgTransfer" }, "message 1.type_url", "another chain"},
		{"unknown message", func(p *parts) { p.url = "/cosmos.bank.v1beta1.MsgSend2" }, "message 1.type_url", "is unknown"},
		{"type without its slash", func(p *parts) { p.url = "cosmos.bank.v1beta1.MsgSend" }, "message 1.type_url", "is unknown"},
		{"no messages", func(p *parts) { p.messages = [][]byte{}; p.body = text(2, "x") }, "TxBody.messages", "there is none"},
		{"17 messages", func(p *parts) { p.messages = slices.Repeat([][]byte{anything(p.url, m)}, 17) }, "TxBody.messages", "more than 16"},
		{"message with a third field", func(p *parts) { p.messages = [][]byte{append(anything(p.url, m), text(3, "x")...)} }, "message 1.field 3", "is unknown"},
		{"second message from another", func(p *parts) {
			p.messages = [][]byte{anything(p.url, m), anything(p.url, join(text(1, to), p.send[1], p.send[2]))}
		}, "message 2.from_address", "not the signer"},
		{"from another", func(p *parts) { p.send[0] = text(1, to) }, "message 1.from_address", "not the signer"},
		{"from nobody", func(p *parts) { p.send[0] = nil }, "message 1.from_address", "not the signer"},
		{"to nobody", func(p *parts) { p.send[1] = nil }, "message 1.to_address", "address"},
		{"to twice", func(p *parts) { p.send[1] = join(p.send[1], p.send[1]) }, "message 1.field 2", "stands twice"},
		{"to another chain's address", func(p *parts) { p.send[1] = text(2, "osmo1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5z5tpwxqergd3c8g7rusqqqqqqq") }, "message 1.to_address", "address"},
		{"to a validator's address", func(p *parts) { p.send[1] = text(2, bech("cosmosvaloper", 20)) }, "message 1.to_address", "begins with"},
		{"to an address in upper case", func(p *parts) { p.send[1] = text(2, strings.ToUpper(to)) }, "message 1.to_address", "one form"},
		{"to a mistyped address", func(p *parts) { p.send[1] = text(2, strings.Replace(to, "xpq9", "xpq8", 1)) }, "message 1.to_address", "address"},
		{"to 19 bytes", func(p *parts) { p.send[1] = text(2, bech("cosmos", 19)) }, "message 1.to_address", "19 bytes"},
		{"to the zero address", func(p *parts) { p.send[1] = text(2, zero()) }, "message 1.to_address", "burnt"},
		{"no coins", func(p *parts) { p.send[2] = nil }, "message 1.amount", "there is none"},
		{"five coins", func(p *parts) {
			p.send[2] = join(field(3, coin("aaa", "1")), field(3, coin("bbb", "1")), field(3, coin("ccc", "1")), field(3, coin("ddd", "1")), field(3, coin("eee", "1")))
		}, "message 1.amount", "more than 4"},
		{"coins out of order", func(p *parts) { p.send[2] = join(field(3, coin("uatom", "1")), field(3, coin("aaa", "1"))) }, "message 1.amount", "ascend"},
		{"coin twice", func(p *parts) { p.send[2] = join(p.send[2], p.send[2]) }, "message 1.amount", "none stands twice"},
		{"amount 0", func(p *parts) { p.send[2] = field(3, coin("uatom", "0")) }, "message 1.amount.amount", "above 0"},
		{"amount with a leading zero", func(p *parts) { p.send[2] = field(3, coin("uatom", "05")) }, "message 1.amount.amount", "shortest"},
		{"amount with a sign", func(p *parts) { p.send[2] = field(3, coin("uatom", "+5")) }, "message 1.amount.amount", "whole number"},
		{"negative amount", func(p *parts) { p.send[2] = field(3, coin("uatom", "-5")) }, "message 1.amount.amount", "whole number"},
		{"amount with a fraction", func(p *parts) { p.send[2] = field(3, coin("uatom", "5.0")) }, "message 1.amount.amount", "whole number"},
		{"amount with an exponent", func(p *parts) { p.send[2] = field(3, coin("uatom", "5e3")) }, "message 1.amount.amount", "whole number"},
		{"amount 2²⁵⁶", func(p *parts) { p.send[2] = field(3, coin("uatom", two256.String())) }, "message 1.amount.amount", "2²⁵⁶"},
		{"amount and fee wrap", func(p *parts) { p.send[2] = field(3, coin("uatom", most.String())) }, "SignDoc", "together exceed"},
		{"denomination with a space", func(p *parts) { p.send[2] = field(3, coin("uatom 5", "1")) }, "message 1.amount.denom", "is none"},
		{"denomination with a line", func(p *parts) { p.send[2] = field(3, coin("uatom\n5", "1")) }, "message 1.amount.denom", "is none"},
		{"denomination in other letters", func(p *parts) { p.send[2] = field(3, coin("u\u0430tom", "1")) }, "message 1.amount.denom", "is none"},
		{"coin with a third field", func(p *parts) { p.send[2] = field(3, join(coin("uatom", "1"), number(3, 1))) }, "message 1.amount.field 3", "is unknown"},
		{"fourth field of MsgSend", func(p *parts) { p.send = append(p.send, number(4, 1)) }, "message 1.field 4", "is unknown"},
		{"memo with a line of its own", func(p *parts) { p.body = text(2, "x\nfee: 0") }, "TxBody.memo", "cannot be printed"},
		{"memo that runs backwards", func(p *parts) { p.body = text(2, "\u202e5") }, "TxBody.memo", "cannot be printed"},
		{"memo of 257 bytes", func(p *parts) { p.body = text(2, strings.Repeat("x", 257)) }, "TxBody.memo", "257 bytes"},
		{"memo, empty but written", func(p *parts) { p.body = text(2, "") }, "TxBody.memo", "absence"},
		{"unordered", func(p *parts) { p.body = number(4, 1) }, "TxBody.unordered", "beside another"},
		{"timeout by time", func(p *parts) { p.body = text(5, "x") }, "TxBody.timeout_timestamp", "not supported"},
		{"extension options", func(p *parts) { p.body = text(1023, "x") }, "TxBody.extension_options", "not supported"},
		{"hidden extension options", func(p *parts) { p.body = text(2047, "x") }, "TxBody.non_critical_extension_options", "nobody would be shown"},
		{"unknown field of TxBody", func(p *parts) { p.body = text(2000, "x") }, "TxBody.field 2000", "is unknown"},
		{"two signers", func(p *parts) { p.infos = 2 }, "AuthInfo.signer_infos", "more than 1"},
		{"no signer", func(p *parts) { p.infos = 0 }, "AuthInfo.signer_infos", "there is none"},
		{"another's key", func(p *parts) { p.key = field(1, other()) }, "SignerInfo.public_key", "none of this vault's"},
		{"key of another kind", func(p *parts) { p.keyURL = "/ethermint.crypto.v1.ethsecp256k1.PubKey" }, "SignerInfo.public_key", "is of type"},
		{"key off the curve", func(p *parts) { p.key = field(1, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)) }, "SignerInfo.public_key", "key"},
		{"uncompressed key", func(p *parts) { p.key = field(1, private().PubKey().SerializeUncompressed()) }, "SignerInfo.public_key.value", "67 bytes"},
		{"mode for JSON", func(p *parts) { p.mode = field(1, number(1, 127)) }, "SignerInfo.mode_info", "is 127"},
		{"mode for texts", func(p *parts) { p.mode = field(1, number(1, 2)) }, "SignerInfo.mode_info", "is 2"},
		{"several keys", func(p *parts) { p.mode = field(2, number(1, 1)) }, "ModeInfo.multi", "several keys"},
		{"fourth field of SignerInfo", func(p *parts) { p.info = join(number(3, 9), number(4, 1)) }, "SignerInfo.field 4", "is unknown"},
		{"sequence in long form", func(p *parts) { p.info = []byte{0x18, 0x89, 0} }, "SignerInfo.sequence", "shortest form"},
		{"two fees", func(p *parts) { p.fee = join(field(1, coin("aaa", "7")), field(1, coin("uatom", "7")), number(2, 1)) }, "Fee.amount", "more than 1"},
		{"no gas", func(p *parts) { p.fee = field(1, coin("uatom", "7")) }, "Fee.gas_limit", "is 0"},
		{"another pays", func(p *parts) { p.fee = join(p.fee, text(3, to)) }, "Fee.payer", "the signer pays"},
		{"another granted", func(p *parts) { p.fee = join(p.fee, text(4, to)) }, "Fee.granter", "the signer pays"},
		{"tip", func(p *parts) { p.auth = text(3, "x") }, "AuthInfo.tip", "not supported"},
		{"fee twice", func(p *parts) { p.auth = field(2, p.fee) }, "AuthInfo.field 2", "stands twice"},
	}
	for _, c := range rows {
		p := good(t)
		c.change(p)
		tx, err := cosmos.Decode(p.bytes(), x)
		var refused *cosmos.Refused
		if !errors.As(err, &refused) {
			t.Errorf("%s: accepted: %v, %v", c.name, tx, err)
		} else if refused.Field != c.field || !strings.Contains(refused.Reason, c.reason) {
			t.Errorf("%s: refused with %q, want field %q and %q", c.name, err, c.field, c.reason)
		}
	}
	b := good(t).bytes()
	for name, b := range map[string][]byte{"empty": nil, "oversized": make([]byte, cosmos.MaxLen+1), "truncated": b[:len(b)-1], "a bare hash": bytes.Repeat([]byte{0x77}, 32), "doubled": append(slices.Clone(b), b...), "field in long form": append([]byte{0x8a, 0}, b[1:]...)} {
		if _, err := cosmos.Decode(b, x); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

var (
	two256 = new(big.Int).Lsh(big.NewInt(1), 256)
	most   = new(big.Int).Sub(two256, big.NewInt(1))
)

func other() []byte {
	return secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{8}, 32)).PubKey().SerializeCompressed()
}

func TestBuild(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	x := context(t, hub, key())
	from, _ := hub.Address(key())
	theirs, _ := hub.Address(other())
	for i := range 500 {
		amount := func() *big.Int {
			return new(big.Int).Add(new(big.Int).Rsh(new(big.Int).SetUint64(rng.Uint64()), uint(rng.IntN(64))), big.NewInt(1))
		}
		r := cosmos.Request{Key: key(), AccountNumber: rng.Uint64N(1 << 20), Sequence: rng.Uint64N(3), Gas: 1 + rng.Uint64N(1<<30), TimeoutHeight: rng.Uint64N(2)}
		if rng.IntN(2) == 0 {
			r.Fee, r.Memo = &cosmos.Coin{Denom: "ibc/AB", Amount: amount()}, "Memo ü"
		}
		want := ""
		for range 1 + rng.IntN(3) {
			a, b := amount(), amount()
			r.Sends = append(r.Sends, cosmos.Send{To: theirs, Coins: []cosmos.Coin{{"ibc/AB", a}, {"uatom", b}}}, cosmos.Send{To: from, Coins: []cosmos.Coin{{"uatom", a}}})
			want += fmt.Sprintf("token %v ibc/AB %s; transfer %v  %s; ", a, theirs, b, theirs)
		}
		unsigned, err := cosmos.Build(r, x)
		if err != nil {
			t.Fatal(i, err)
		}
		tx, err := cosmos.Decode(unsigned, x)
		if err != nil || !bytes.Equal(tx.Unsigned(), unsigned) {
			t.Fatal(i, err)
		}
		fee := "fee 0  "
		if r.Fee != nil {
			fee = fmt.Sprintf("fee %v ibc/AB ", r.Fee.Amount)
		}
		if got := say(tx.Effects()); got != want+fee {
			t.Fatalf("%d: does %q, want %q", i, got, want+fee)
		}
		lines := tx.Lines()
		if last := lines[len(lines)-1]; len(lines) > 64 || last.Value != hex.EncodeToString(sum(unsigned)) {
			t.Fatalf("%d: %v", i, lines)
		}
	}
	if _, err := cosmos.Decode(good(t).bytes(), cosmos.Context{Network: hub}); err == nil {
		t.Error("decoded without the vault's addresses")
	}
	if _, err := cosmos.Decode(make([]byte, cosmos.MaxLen+1), x); err == nil || !strings.Contains(err.Error(), "want 1 to") {
		t.Errorf("oversized: %v", err)
	}
	for name, r := range map[string]cosmos.Request{"no fee's amount": {Key: key(), Gas: 1, Fee: &cosmos.Coin{Denom: "uatom"}, Sends: []cosmos.Send{{to, []cosmos.Coin{{"uatom", big.NewInt(1)}}}}}, "no key": {}, "no sends": {Key: key(), Gas: 1}, "no amount": {Key: key(), Gas: 1, Sends: []cosmos.Send{{to, []cosmos.Coin{{"uatom", nil}}}}}, "negative": {Key: key(), Gas: 1, Sends: []cosmos.Send{{to, []cosmos.Coin{{"uatom", big.NewInt(-1)}}}}}} {
		if _, err := cosmos.Build(r, x); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	for _, n := range []cosmos.Network{{}, {"eip155:1", "cosmos", "uatom"}, {"cosmos:" + strings.Repeat("x", 33), "cosmos", "uatom"}, {"cosmos:x", "Cosmos", "uatom"}, {"cosmos:x", "cosmos", ""}} {
		if _, err := cosmos.Decode(good(t).bytes(), cosmos.Context{Network: n, Own: x.Own}); err == nil || !strings.Contains(err.Error(), "want CAIP-2") {
			t.Errorf("network %v is known: %v", n, err)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	x := context(t, hub, key())
	tx, err := cosmos.Decode(good(t).bytes(), x)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k *secp256k1.PrivateKey, b []byte) effect.Signature {
		return effect.Signature{Bytes: [64]byte(ecdsa.SignCompact(k, b, true)[1:])}
	}
	d := tx.Digest()
	sig := sign(private(), d[:])
	high := sig
	var s secp256k1.ModNScalar
	s.SetByteSlice(sig.Bytes[32:])
	negated := s.Negate().Bytes()
	copy(high.Bytes[32:], negated[:])
	for name, all := range map[string][]effect.Signature{
		"none": nil, "two": {sig, sig}, "high s": {high}, "another's": {sign(secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{8}, 32)), d[:])},
		"of another message": {sign(private(), make([]byte, 32))}, "zeros": {{}}, "all ones": {{Bytes: [64]byte(bytes.Repeat([]byte{0xff}, 64))}},
	} {
		if s, err := tx.Assemble(all); err == nil {
			t.Errorf("%s: assembled %x", name, s.Raw)
		}
	}
	signed, err := tx.Assemble([]effect.Signature{sig})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"empty": nil, "trailing": append(slices.Clone(signed.Raw), 0), "cut": signed.Raw[:len(signed.Raw)-1], "two signatures": append(slices.Clone(signed.Raw), field(3, sig.Bytes[:])...), "oversized": make([]byte, 1<<20), "signature of 63 bytes": slices.Concat(signed.Raw[:len(signed.Raw)-66], field(3, sig.Bytes[:63]))} {
		if _, err := tx.Published(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	p := good(t)
	p.send[2] = field(3, coin("uatom", "6"))
	another, err := cosmos.Decode(p.bytes(), x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := another.Published(signed.Raw); err == nil || !strings.Contains(err.Error(), "another transaction") {
		t.Errorf("another transaction is found published: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(good(f).bytes())
	x := context(f, hub, key())
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := cosmos.Decode(b, x)
		if err != nil {
			return
		}
		if !bytes.Equal(tx.Unsigned(), b) {
			t.Fatalf("decoded %x, encodes as %x", b, tx.Unsigned())
		}
		if n := len(tx.Lines()); n > 64 {
			t.Fatalf("%d lines", n)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	x := context(b, hub, key())
	doc := good(b).bytes()
	for b.Loop() {
		if tx, err := cosmos.Decode(doc, x); err != nil || tx.Digest() == [32]byte{} {
			b.Fatal(err)
		}
	}
}

func bech(prefix string, n int) string {
	words, _ := bech32.ConvertBits(bytes.Repeat([]byte{9}, n), 8, 5, true)
	s, _ := bech32.Encode(prefix, words)
	return s
}

func zero() string {
	s, _ := bech32.Encode("cosmos", make([]byte, 32))
	return s
}

// An address that holds for one network holds for none with another prefix, and has one form.
func FuzzCheckAddress(f *testing.F) {
	own, err := hub.Address(key())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add(strings.ToUpper(own))
	f.Add("")
	other := hub
	other.Prefix = "juno"
	f.Fuzz(func(t *testing.T, text string) {
		if hub.CheckAddress(text) == nil && (other.CheckAddress(text) == nil || strings.ToLower(text) != text) {
			t.Fatalf("%q holds for two networks, or in two forms", text)
		}
	})
}

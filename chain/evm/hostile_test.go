package evm_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/evm"
)

var (
	payee = bytes.Repeat([]byte{0x35}, 20)
	token = bytes.Repeat([]byte{0x70}, 20)
)

// raw is an item that stands in the list as it is.
type raw = rlp.RawValue

func encode(t testing.TB, fields []any) []byte {
	t.Helper()
	b, err := rlp.EncodeToBytes(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Fields by position, as spec/chain-evm 1 has them.
const (
	dChain, dNonce, dTip, dCap, dGas, dTo, dValue, dData, dAccess = 0, 1, 2, 3, 4, 5, 6, 7, 8
	lNonce, lPrice, lGas, lTo, lValue, lData, lChain, lR, lS      = 0, 1, 2, 3, 4, 5, 6, 7, 8
)

func dynamicFields() []any {
	return []any{uint(1), uint(7), uint(2), uint(30), uint(21000), payee, uint(1000), []byte{}, []any{}}
}

func legacyFields() []any {
	return []any{uint(7), uint(30), uint(21000), payee, uint(1000), []byte{}, uint(1), uint(0), uint(0)}
}

func dynamic(t testing.TB, fields []any) []byte { return append([]byte{2}, encode(t, fields)...) }

func with(fields []any, at int, value any) []any {
	fields[at] = value
	return fields
}

// transfer is ERC-20 calldata; edit may spoil it.
func transfer(edit func(data []byte) []byte) []byte {
	data := append([]byte{0xa9, 0x05, 0x9c, 0xbb}, make([]byte, 12)...)
	data = append(append(data, payee...), make([]byte, 31)...)
	data = append(data, 99)
	if edit == nil {
		return data
	}
	return edit(data)
}

func tokenFields(data []byte) []any {
	return with(with(with(dynamicFields(), dTo, token), dValue, uint(0)), dData, data)
}

func set(at int, value byte) func([]byte) []byte {
	return func(b []byte) []byte { b[at] = value; return b }
}

func selector(b ...byte) []byte { return transfer(func(d []byte) []byte { copy(d, b); return d }) }

type hostile struct {
	name    string
	payload []byte
	field   string // of the refusal
	reason  string // part of it
}

func TestHostileBaselines(t *testing.T) {
	for name, b := range map[string][]byte{
		"dynamic": dynamic(t, dynamicFields()), "legacy": encode(t, legacyFields()),
		"token": dynamic(t, tokenFields(transfer(nil))),
	} {
		tx, err := evm.Decode(b)
		if err != nil {
			t.Errorf("%s: %v: the table of hostile payloads would prove nothing", name, err)
		} else if !bytes.Equal(tx.Unsigned(), b) {
			t.Errorf("%s: encodes as %x, not %x", name, tx.Unsigned(), b)
		}
	}
}

// TestHostile is the display-versus-bytes table: each payload would show one thing and be
// another, or be what nobody can judge.
func TestHostile(t *testing.T) {
	table := slices.Concat(hostileEnvelopes(t), hostileNumbers(t), hostileFields(t), hostileCalls(t))
	if len(table) < 60 {
		t.Fatalf("only %d payloads", len(table))
	}
	for _, h := range table {
		t.Run(h.name, func(t *testing.T) {
			tx, err := evm.Decode(h.payload)
			var refused *evm.Refused
			if !errors.As(err, &refused) {
				t.Fatalf("accepted %x: %+v, %v", h.payload, tx, err)
			}
			if refused.Field != h.field || !strings.Contains(refused.Reason, h.reason) {
				t.Errorf("refused with %q, want field %q and %q", err, h.field, h.reason)
			}
		})
	}
}

func hostileEnvelopes(t *testing.T) []hostile {
	good, legacy := dynamic(t, dynamicFields()), encode(t, legacyFields())
	typed := func(b byte) []byte { return append([]byte{b}, good[1:]...) }
	longList := append([]byte{2, 0xf8, byte(len(good) - 2)}, good[2:]...)
	lying := slices.Clone(good)
	lying[1]++
	return []hostile{
		{"empty", nil, "transaction", "is empty"},
		{"oversized", make([]byte, evm.MaxLen+1), "transaction", "more than"},
		{"a bare hash", bytes.Repeat([]byte{0x77}, 32), "type", "unknown"},
		{"type 0", typed(0), "type", "unknown"},
		{"access-list transaction", typed(1), "type", "EIP-2930"},
		{"blob transaction", typed(3), "type", "EIP-4844"},
		{"set-code transaction", typed(4), "type", "EIP-7702"},
		{"EIP-7702 authorization", typed(5), "type", "EIP-7702"},
		{"type 6", typed(6), "type", "unknown"},
		{"EIP-712 message", append([]byte{0x19, 0x01}, make([]byte, 64)...), "type", "EIP-712"},
		{"EIP-191 message", []byte("\x19Ethereum Signed Message:\n2hi"), "type", "EIP-191"},
		{"RLP string for a list", []byte{0x83, 1, 2, 3}, "type", "unknown"},
		{"type without body", []byte{2}, "transaction", "no RLP list"},
		{"string in a type-2 envelope", []byte{2, 0x83, 1, 2, 3}, "transaction", "no RLP list"},
		{"doubled type byte", append([]byte{2}, good...), "transaction", "no RLP list"},
		{"trailing zero", append(slices.Clone(good), 0), "transaction", "followed by 1"},
		{"trailing second transaction", append(slices.Clone(good), good...), "transaction", "followed by"},
		{"legacy with trailing byte", append(slices.Clone(legacy), 0x80), "transaction", "followed by 1"},
		{"truncated", good[:len(good)-1], "transaction", "longer than what follows"},
		{"length one too large", lying, "transaction", "longer than what follows"},
		{"long form of a short list", longList, "transaction", "shortest"},
		{"length of 2⁶⁴−1", append([]byte{2, 0xff}, bytes.Repeat([]byte{0xff}, 8)...), "transaction", "RLP"},
		{"empty list", []byte{0xc0}, "nonce", "missing"},
		{"empty type-2 list", []byte{2, 0xc0}, "chain id", "missing"},
		{"before EIP-155", encode(t, legacyFields()[:6]), "chain id", "every chain"},
		{"legacy without r and s", encode(t, legacyFields()[:7]), "r", "missing"},
		{"legacy without s", encode(t, legacyFields()[:8]), "s", "missing"},
		{"legacy, signed", encode(t, with(with(with(legacyFields(), lChain, uint(37)), lR, uint(5)), lS, uint(5))), "r", "signed"},
		{"legacy with s only", encode(t, with(legacyFields(), lS, uint(5))), "s", "signed"},
		{"legacy with a tenth field", encode(t, append(legacyFields(), uint(0))), "transaction", "more than 9"},
		{"dynamic, signed", dynamic(t, append(dynamicFields(), uint(1), uint(5), uint(5))), "transaction", "signed"},
		{"dynamic with a tenth field", dynamic(t, append(dynamicFields(), []byte("hidden"))), "transaction", "more than 9"},
		{"dynamic without access list", dynamic(t, dynamicFields()[:8]), "access list", "missing"},
		{"dynamic fields as legacy", encode(t, dynamicFields()), "to", "not 20"},
	}
}

func hostileNumbers(t *testing.T) []hostile {
	two256 := new(big.Int).Lsh(big.NewInt(1), 256)
	most := new(big.Int).Sub(two256, big.NewInt(1))
	table := []hostile{
		{"chain 0", dynamic(t, with(dynamicFields(), dChain, uint(0))), "chain id", "every chain"},
		{"legacy chain 0", encode(t, with(legacyFields(), lChain, uint(0))), "chain id", "every chain"},
		{"chain above EIP-2294", dynamic(t, with(dynamicFields(), dChain, uint64(math.MaxUint64/2-35))), "chain id", "EIP-2294"},
		{"chain id of 9 bytes", dynamic(t, with(dynamicFields(), dChain, new(big.Int).Lsh(big.NewInt(1), 64))), "chain id", "2⁶⁴"},
		{"last nonce", dynamic(t, with(dynamicFields(), dNonce, uint64(math.MaxUint64))), "nonce", "EIP-2681"},
		{"nonce of 9 bytes", dynamic(t, with(dynamicFields(), dNonce, new(big.Int).Lsh(big.NewInt(7), 64))), "nonce", "2⁶⁴"},
		{"gas 0", dynamic(t, with(dynamicFields(), dGas, uint(0))), "gas limit", "is 0"},
		{"gas of 9 bytes", encode(t, with(legacyFields(), lGas, new(big.Int).Lsh(big.NewInt(1), 64))), "gas limit", "2⁶⁴"},
		{"tip above cap", dynamic(t, with(dynamicFields(), dTip, uint(31))), "tip cap", "above the fee cap"},
		{"value of 33 bytes", dynamic(t, with(dynamicFields(), dValue, two256)), "value", "2²⁵⁶"},
		{"value wraps with the fee", dynamic(t, with(dynamicFields(), dValue, most)), "transaction", "together exceed"},
		{"legacy value wraps with the fee", encode(t, with(legacyFields(), lValue, most)), "transaction", "together exceed"},
		{"fee wraps", dynamic(t, with(dynamicFields(), dCap, most)), "transaction", "together exceed"},
		{"gas price wraps", encode(t, with(legacyFields(), lPrice, most)), "transaction", "together exceed"},
		{"fee cap of 33 bytes", dynamic(t, with(dynamicFields(), dCap, two256)), "fee cap", "2²⁵⁶"},
	}
	for _, f := range []struct {
		at   int
		name string
	}{{dChain, "chain id"}, {dNonce, "nonce"}, {dTip, "tip cap"}, {dCap, "fee cap"}, {dGas, "gas limit"}, {dValue, "value"}} {
		table = append(table,
			hostile{f.name + " as byte 0", dynamic(t, with(dynamicFields(), f.at, raw{0})), f.name, "leading zero"},
			hostile{f.name + " with leading zero", dynamic(t, with(dynamicFields(), f.at, raw{0x82, 0, 1})), f.name, "leading zero"},
			hostile{f.name + " in long form", dynamic(t, with(dynamicFields(), f.at, raw{0x81, 1})), f.name, "shortest"},
			hostile{f.name + " as a list", dynamic(t, with(dynamicFields(), f.at, []any{uint(1)})), f.name, "list"})
	}
	for _, f := range []struct {
		at   int
		name string
	}{{lNonce, "nonce"}, {lPrice, "gas price"}, {lGas, "gas limit"}, {lValue, "value"}, {lChain, "chain id"}, {lR, "r"}, {lS, "s"}} {
		table = append(table,
			hostile{"legacy " + f.name + " with leading zero", encode(t, with(legacyFields(), f.at, raw{0x82, 0, 1})), f.name, "leading zero"},
			hostile{"legacy " + f.name + " in long form", encode(t, with(legacyFields(), f.at, raw{0x81, 1})), f.name, "shortest"})
	}
	return table
}

func hostileFields(t *testing.T) []hostile {
	key := [32]byte{1}
	entry := []any{[]any{payee, []any{key}}}
	return []hostile{
		{"contract creation", dynamic(t, with(with(dynamicFields(), dTo, []byte{}), dData, []byte{0x60, 0})), "to", "contract creation"},
		{"legacy contract creation", encode(t, with(legacyFields(), lTo, []byte{})), "to", "contract creation"},
		{"address of 19 bytes", dynamic(t, with(dynamicFields(), dTo, payee[:19])), "to", "not 20"},
		{"address of 21 bytes", dynamic(t, with(dynamicFields(), dTo, append(slices.Clone(payee), 1))), "to", "not 20"},
		{"address of 32 bytes", dynamic(t, with(dynamicFields(), dTo, append(make([]byte, 12), payee...))), "to", "not 20"},
		{"address as a list", dynamic(t, with(dynamicFields(), dTo, []any{payee})), "to", "list"},
		{"zero address", dynamic(t, with(dynamicFields(), dTo, make([]byte, 20))), "to", "burnt"},
		{"data as a list", dynamic(t, with(dynamicFields(), dData, []any{})), "data", "list"},
		{"data of one byte in long form", dynamic(t, with(dynamicFields(), dData, raw{0x81, 5})), "data", "shortest"},
		{"data longer than the list", dynamic(t, with(dynamicFields(), dData, raw{0xb7})), "data", "longer than what follows"},
		{"access list with an entry", dynamic(t, with(dynamicFields(), dAccess, entry)), "access list", "not supported"},
		{"access list as an empty string", dynamic(t, with(dynamicFields(), dAccess, []byte{})), "access list", "no list"},
		{"access list in long form", dynamic(t, with(dynamicFields(), dAccess, raw{0xf8, 0})), "access list", "shortest"},
	}
}

func hostileCalls(t *testing.T) []hostile {
	call := func(data []byte) []byte { return dynamic(t, tokenFields(data)) }
	to := func(address []byte) []byte {
		return transfer(func(d []byte) []byte { copy(d[16:36], address); return d })
	}
	return []hostile{
		{"memo", call([]byte{1}), "data", "no call"},
		{"three bytes", call([]byte{0xa9, 0x05, 0x9c}), "data", "no call"},
		{"selector alone", call(transfer(nil)[:4]), "data", "not 68"},
		{"amount one byte short", call(transfer(nil)[:67]), "data", "not 68"},
		{"trailing zero byte", call(append(transfer(nil), 0)), "data", "not 68"},
		{"trailing word", call(append(transfer(nil), make([]byte, 32)...)), "data", "not 68"},
		{"trailing second call", call(append(transfer(nil), transfer(nil)...)), "data", "not 68"},
		{"dirty first padding byte", call(transfer(set(4, 1))), "data", "padded"},
		{"dirty last padding byte", call(transfer(set(15, 0x80))), "data", "padded"},
		{"padding all ones", call(transfer(func(d []byte) []byte { copy(d[4:16], bytes.Repeat([]byte{0xff}, 12)); return d })), "data", "padded"},
		{"tokens to the zero address", call(to(make([]byte, 20))), "data", "burnt"},
		{"tokens to the token", call(to(token)), "data", "lost"},
		{"token at the zero address", dynamic(t, with(tokenFields(transfer(nil)), dTo, make([]byte, 20))), "to", "no token"},
		{"coins along with tokens", dynamic(t, with(tokenFields(transfer(nil)), dValue, uint(1))), "value", "lost"},
		{"approve", call(selector(0x09, 0x5e, 0xa7, 0xb3)), "data", "approve"},
		{"increaseAllowance", call(selector(0x39, 0x50, 0x93, 0x51)), "data", "increaseAllowance"},
		{"transferFrom", call(selector(0x23, 0xb8, 0x72, 0xdd)), "data", "transferFrom"},
		{"permit", call(selector(0xd5, 0x05, 0xac, 0xcf)), "data", "permit"},
		{"setApprovalForAll", call(selector(0xa2, 0x2c, 0xb4, 0x65)), "data", "setApprovalForAll"},
		{"safeTransferFrom", call(selector(0x42, 0x84, 0x2e, 0x0e)), "data", "safeTransferFrom"},
		{"multicall", call(selector(0xac, 0x96, 0x50, 0xd8)), "data", "multicall"},
		{"execTransaction", call(selector(0x6a, 0x76, 0x12, 0x02)), "data", "execTransaction(address,uint256,bytes,uint8,"},
		{"transferOwnership", call(selector(0xf2, 0xfd, 0xe3, 0x8b)), "data", "transferOwnership"},
		{"upgradeTo", call(selector(0x36, 0x59, 0xcf, 0xe6)), "data", "upgradeTo"},
		{"upgradeToAndCall", call(selector(0x4f, 0x1e, 0xf2, 0x86)), "data", "upgradeToAndCall"},
		{"setImplementation", call(selector(0xd7, 0x84, 0xd4, 0x26)), "data", "setImplementation"},
		{"multiSend", call(selector(0x8d, 0x80, 0xff, 0x0a)), "data", "multiSend"},
		{"aggregate3", call(selector(0x82, 0xad, 0x56, 0xcb)), "data", "aggregate3"},
		{"permit of Permit2", call(selector(0x2b, 0x67, 0xb5, 0x70)), "data", "permit(address,((address,uint160"},
		{"permit of DAI", call(selector(0x8f, 0xcb, 0xaf, 0x0c)), "data", "bool,uint8,bytes32"},
		{"transferWithAuthorization", call(selector(0xe3, 0xee, 0x16, 0x0e)), "data", "transferWithAuthorization"},
		{"enableModule", call(selector(0x61, 0x0b, 0x59, 0x25)), "data", "enableModule"},
		{"diamondCut", call(selector(0x1f, 0x93, 0x1c, 0x1c)), "data", "diamondCut"},
		{"selector one bit off", call(selector(0xa9, 0x05, 0x9c, 0xba)), "data", "unknown selector"},
		{"fallback call", call(selector(0, 0, 0, 0)), "data", "unknown selector"},
		{"legacy call of approve", encode(t, with(with(legacyFields(), lTo, token), lData, selector(0x09, 0x5e, 0xa7, 0xb3))), "data", "approve"},
	}
}

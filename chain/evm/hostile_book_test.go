package evm_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
)

// TestHostileInContext: what the book does not name, or names otherwise, and what would show one thing and be another.
func TestHostileInContext(t *testing.T) {
	c := testContext(t)
	table := slices.Concat(hostileAllowances(t), hostileMoves(t), hostileItems(t), hostileRegistered(t), hostileTypes(t), hostileDocuments(t), hostileAuthorizations(t), hostileSafes(t))
	if len(table) < 150 {
		t.Fatalf("only %d payloads", len(table))
	}
	for _, h := range table {
		p, err := evm.DecodeIn(h.payload, c)
		var refused *evm.Refused
		if !errors.As(err, &refused) {
			t.Errorf("%s: accepted %x: %+v, %v", h.name, h.payload, p, err)
		} else if refused.Field != h.field || !strings.Contains(refused.Reason, h.reason) {
			t.Errorf("%s: refused with %q, want field %q and %q", h.name, err, h.field, h.reason)
		}
	}
	t.Logf("%d payloads", len(table))
}

// Whatever Decode refuses but for what a book may allow is refused in a context too, in the same words.
func TestHostileAlsoInContext(t *testing.T) {
	c := testContext(t)
	may := map[string]bool{"access-list transaction": true, "set-code transaction": true, "EIP-7702 authorization": true, "access list with an entry": true, "approve": true, "increaseAllowance": true, "transferFrom": true, "legacy call of approve": true}
	for _, h := range slices.Concat(hostileEnvelopes(t), hostileNumbers(t), hostileFields(t), hostileCalls(t)) {
		_, err := evm.DecodeIn(h.payload, c)
		var refused *evm.Refused
		switch {
		case may[h.name]: // with transfer's arguments, or the fields of another type
		case !errors.As(err, &refused):
			t.Errorf("%s: accepted, %v", h.name, err)
		case refused.Field != h.field:
			t.Errorf("%s: refused with %q, want field %q", h.name, err, h.field)
		}
	}
}

// spoil gives calldata with one word written over.
func spoil(data []byte, word int, with []byte) []byte {
	b := bytes.Clone(data)
	copy(b[4+32*word+32-len(with):], with)
	return b
}

func ones(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }

// called is calldata of a function that no table has, with words of zeros.
func called(signature string, words int) []byte {
	return append(crypto.Keccak256([]byte(signature))[:4], make([]byte, 32*words)...)
}

func hostileAllowances(t *testing.T) []hostile {
	approve := assetData(t, evm.ERC20Approve, spender, 5)
	to := func(data []byte) []byte { return callTo(t, coinToken, 0, data) }
	own := owner(t)
	return []hostile{
		{"approve of an unknown token", callTo(t, nobody, 0, approve), "data", "approve(address,uint256), which is not supported here"},
		{"approve with coins", callTo(t, coinToken, 1, approve), "value", "would be lost"},
		{"approve for the zero address", to(assetData(t, evm.ERC20Approve, evm.Address{}, 5)), "data", "zero address"},
		{"approve for the token", to(assetData(t, evm.ERC20Approve, coinToken, 5)), "data", "own contract"},
		{"approve for the account", to(assetData(t, evm.ERC20Approve, own, 5)), "data", "account itself"},
		{"approve, short", to(approve[:67]), "data", "arguments of approve"},
		{"approve, trailing byte", to(append(bytes.Clone(approve), 0)), "data", "after its arguments"},
		{"approve, trailing word", to(append(bytes.Clone(approve), make([]byte, 32)...)), "data", "after its arguments"},
		{"approve, dirty spender", to(spoil(approve, 0, append([]byte{1}, make([]byte, 20)...))), "data", "padded"},
		{"approve, selector alone", to(approve[:4]), "data", "fewer than"},
		{"increase for nobody", to(assetData(t, evm.ERC20Increase, evm.Address{}, 5)), "data", "zero address"},
		{"increase of an unknown token", callTo(t, nobody, 0, assetData(t, evm.ERC20Increase, spender, 5)), "data", "increaseAllowance"},
		{"increase with coins", callTo(t, coinToken, 1, assetData(t, evm.ERC20Increase, spender, 5)), "value", "would be lost"},
		{"decrease for nobody", to(assetData(t, evm.ERC20Decrease, evm.Address{}, 5)), "data", "zero address"},
		{"decrease, trailing", to(append(assetData(t, evm.ERC20Decrease, spender, 5), 1)), "data", "after its arguments"},
		{"increaseApproval", to(called("increaseApproval(address,uint256)", 2)), "data", "increaseApproval(address,uint256), which is not supported for"},
		{"approveAndCall", to(called("approveAndCall(address,uint256,bytes)", 4)), "data", "approveAndCall"},
		{"permit on chain", to(called("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", 7)), "data", "permit("},
		{"setApprovalForAll of a token", to(assetData(t, evm.ApprovalForAll, spender, true)), "data", "setApprovalForAll"},
		{"transferOwnership of a token", to(called("transferOwnership(address)", 1)), "data", "transferOwnership"},
		{"upgradeTo of a token", to(called("upgradeTo(address)", 1)), "data", "upgradeTo"},
		{"multicall of a token", to(called("multicall(bytes[])", 2)), "data", "multicall"},
		{"burn of a token", to(called("burn(uint256)", 1)), "data", "unknown selector"},
		{"mint of a token", to(called("mint(address,uint256)", 2)), "data", "unknown selector"},
		{"safeTransferFrom of a token", to(assetData(t, evm.ERC721Safe, own, spender, 1)), "data", "safeTransferFrom"},
		{"approve on a chain of which the book has no token", dynamic(t, with(with(with(with(dynamicFields(), dChain, uint(10)), dTo, otherToken[:]), dValue, uint(0)), dData, approve)), "data", "approve"},
	}
}

func hostileMoves(t *testing.T) []hostile {
	own := owner(t)
	from := func(a, b evm.Address) []byte { return assetData(t, evm.ERC20TransferFrom, a, b, 5) }
	to := func(data []byte) []byte { return callTo(t, coinToken, 0, data) }
	return []hostile{
		{"a look-alike token", callTo(t, at(0x6f), 0, transfer(nil)), "to", "no token of the book"},
		{"the token on another chain", dynamic(t, with(with(with(with(dynamicFields(), dChain, uint(10)), dTo, otherToken[:]), dValue, uint(0)), dData, transfer(nil))), "to", "no token of the book"},
		{"transfer of a collection", callTo(t, items, 0, transfer(nil)), "data", "transfer(address,uint256), which is not supported for eip155:1/erc721"},
		{"transfer of bundles", callTo(t, bundles, 0, transfer(nil)), "data", "not supported for eip155:1/erc1155"},
		{"transfer of a registered contract", callTo(t, router, 0, transfer(nil)), "data", "not registered for ROUTER"},
		{"coins along with a token", callTo(t, coinToken, 1, transfer(nil)), "value", "lost"},
		{"transfer to the token", to(transfer(func(d []byte) []byte { copy(d[16:], coinToken[:]); return d })), "data", "lost"},
		{"transfer to nobody", to(transfer(func(d []byte) []byte { copy(d[16:], make([]byte, 20)); return d })), "data", "burnt"},
		{"transfer, dirty", to(transfer(set(4, 1))), "data", "padded"},
		{"transfer, trailing", to(append(transfer(nil), 0)), "data", "not 68"},
		{"transferFrom of another's", to(from(spender, evm.Address(payee))), "data", "which is not the account"},
		{"transferFrom of another's to the account", to(from(spender, own)), "data", "which is not the account"},
		{"transferFrom of nobody's", to(from(evm.Address{}, own)), "data", "which is not the account"},
		{"transferFrom of the vault's other account", to(from(sponsored(t), own)), "data", "which is not the account"},
		{"transferFrom to nobody", to(from(own, evm.Address{})), "data", "burnt"},
		{"transferFrom to the token", to(from(own, coinToken)), "data", "lost"},
		{"transferFrom, dirty from", to(spoil(from(own, spender), 0, append([]byte{1}, own[:]...))), "data", "padded"},
		{"transferFrom, dirty to", to(spoil(from(own, spender), 1, append([]byte{1}, spender[:]...))), "data", "padded"},
		{"transferFrom, trailing", to(append(from(own, spender), 0)), "data", "after its arguments"},
		{"transferFrom, short", to(from(own, spender)[:99]), "data", "fewer than"},
		{"transferFrom with coins", callTo(t, coinToken, 1, from(own, spender)), "value", "lost"},
		{"transferFrom of an unknown token", callTo(t, nobody, 0, from(own, spender)), "data", "transferFrom"},
		{"memo to the account", callTo(t, own, 0, []byte("hi")), "data", "no call"},
		{"memo to a payee", callTo(t, evm.Address(payee), 1, []byte("invoice 77")), "data", "unknown selector"},
		{"coins to nobody", callTo(t, evm.Address{}, 1, nil), "to", "burnt"},
		{"transferAndCall", to(called("transferAndCall(address,uint256,bytes)", 4)), "data", "unknown selector"},
		{"transferWithAuthorization on chain", to(called("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", 9)), "data", "transferWithAuthorization"},
	}
}

func hostileItems(t *testing.T) []hostile {
	own, who := owner(t), evm.Address(payee)
	item := func(data []byte) []byte { return callTo(t, items, 0, data) }
	bundle := func(data []byte) []byte { return callTo(t, bundles, 0, data) }
	safely := assetData(t, evm.ERC721SafeData, own, who, 77, "0x")
	many := func(n int) []string { return slices.Repeat([]string{"1"}, n) }
	return []hostile{
		{"another's item", item(assetData(t, evm.ERC721TransferFrom, spender, who, 77)), "data", "which is not the account"},
		{"another's item, safely", item(assetData(t, evm.ERC721Safe, spender, who, 77)), "data", "which is not the account"},
		{"item to nobody", item(assetData(t, evm.ERC721TransferFrom, own, evm.Address{}, 77)), "data", "burnt"},
		{"item to its collection", item(assetData(t, evm.ERC721Safe, own, items, 77)), "data", "lost"},
		{"item with a note", item(assetData(t, evm.ERC721SafeData, own, who, 77, "0x01")), "data", "carries 1 bytes"},
		{"item with a call", item(assetData(t, evm.ERC721SafeData, own, who, 77, "0x095ea7b3")), "data", "carries 4 bytes"},
		{"item with data elsewhere", item(spoil(safely, 3, []byte{0xa0})), "data", "does not lie"},
		{"item with data in its heads", item(spoil(safely, 3, []byte{0})), "data", "does not lie"},
		{"item with data beyond the end", item(spoil(safely, 4, []byte{0x20})), "data", "longer than what follows"},
		{"item with hidden data", item(append(bytes.Clone(safely), ones(32)...)), "data", "after its arguments"},
		{"item, dirty to", item(spoil(safely, 1, append([]byte{1}, who[:]...))), "data", "padded"},
		{"item, short", item(safely[:len(safely)-32]), "data", "missing"},
		{"item with coins", callTo(t, items, 1, safely), "value", "lost"},
		{"item of an unknown collection", callTo(t, nobody, 0, safely), "data", "safeTransferFrom(address,address,uint256,bytes)"},
		{"item lent to its collection", item(assetData(t, evm.ERC721Approve, items, 77)), "data", "own contract"},
		{"item lent to the account", item(assetData(t, evm.ERC721Approve, own, 77)), "data", "account itself"},
		{"all items lent to nobody", item(assetData(t, evm.ApprovalForAll, evm.Address{}, true)), "data", "zero address"},
		{"all items lent to the account", item(assetData(t, evm.ApprovalForAll, own, true)), "data", "account itself"},
		{"approved is 2", item(spoil(assetData(t, evm.ApprovalForAll, spender, true), 1, []byte{2})), "data", "out of the range"},
		{"approved is 2²⁵⁶−1", item(spoil(assetData(t, evm.ApprovalForAll, spender, true), 1, ones(32))), "data", "out of the range"},
		{"approved is 256", item(spoil(assetData(t, evm.ApprovalForAll, spender, true), 1, []byte{1, 0})), "data", "out of the range"},
		{"all items of an unknown collection", callTo(t, nobody, 0, assetData(t, evm.ApprovalForAll, spender, true)), "data", "setApprovalForAll"},
		{"a bundle's call on items", item(assetData(t, evm.ERC1155Safe, own, who, 7, 5, "0x")), "data", "not supported for"},
		{"an item's call on bundles", bundle(assetData(t, evm.ERC721Safe, own, who, 7)), "data", "not supported for"},
		{"transferFrom on bundles", bundle(assetData(t, evm.ERC721TransferFrom, own, who, 7)), "data", "not supported for"},
		{"approve on bundles", bundle(assetData(t, evm.ERC721Approve, spender, 7)), "data", "not supported for"},
		{"another's bundle", bundle(assetData(t, evm.ERC1155Safe, spender, who, 7, 5, "0x")), "data", "which is not the account"},
		{"bundle to nobody", bundle(assetData(t, evm.ERC1155Safe, own, evm.Address{}, 7, 5, "0x")), "data", "burnt"},
		{"bundle with a note", bundle(assetData(t, evm.ERC1155Safe, own, who, 7, 5, "0x00")), "data", "carries 1 bytes"},
		{"bundles without an item", bundle(assetData(t, evm.ERC1155Batch, own, who, []string{}, []string{}, "0x")), "data", "moves 0 items"},
		{"bundles with fewer amounts", bundle(assetData(t, evm.ERC1155Batch, own, who, many(2), many(1), "0x")), "data", "moves 2 items in 1"},
		{"bundles with more amounts", bundle(assetData(t, evm.ERC1155Batch, own, who, many(1), many(2), "0x")), "data", "moves 1 items in 2"},
		{"very many bundles", bundle(assetData(t, evm.ERC1155Batch, own, who, many(17), many(17), "0x")), "data", "moves 17"},
		{"bundles with a note", bundle(assetData(t, evm.ERC1155Batch, own, who, many(1), many(1), "0x01")), "data", "carries"},
		{"another's bundles", bundle(assetData(t, evm.ERC1155Batch, spender, who, many(1), many(1), "0x")), "data", "which is not the account"},
		{"bundles with one list for both", bundle(spoil(assetData(t, evm.ERC1155Batch, own, who, many(1), many(1), "0x"), 3, []byte{0xa0})), "data", "does not lie"},
		{"bundles with a list of 2²⁵⁶−1", bundle(spoil(assetData(t, evm.ERC1155Batch, own, who, many(1), many(1), "0x"), 5, ones(32))), "data", "longer than what follows"},
	}
}

func hostileRegistered(t *testing.T) []hostile {
	good := functionData(t, swap, spender, 5, "0x0102")
	lists := functionData(t, batch, []string{spender.String()}, []string{"1"})
	to := func(data []byte) []byte { return callTo(t, router, 0, data) }
	table := []hostile{
		{"another contract's function", callTo(t, safe, 0, good), "data", "not registered for SAFE"},
		{"a registered function of nobody", callTo(t, nobody, 0, good), "data", "not in the book"},
		{"the contract on another chain", dynamic(t, with(with(with(with(dynamicFields(), dChain, uint(10)), dTo, router[:]), dValue, uint(0)), dData, good)), "data", "not in the book"},
		{"coins to a function that takes none", callTo(t, router, 1, good), "value", "not payable"},
		{"a function that a Safe may run", to(functionData(t, "function migrate(address to)", spender)), "data", "nobody may call"},
		{"an unknown function", to(called("sweep(address)", 1)), "data", "unknown selector"},
		{"selector one bit off", to(append([]byte{good[0], good[1], good[2], good[3] ^ 1}, good[4:]...)), "data", "unknown selector"},
		{"dirty address", to(spoil(good, 0, append([]byte{1}, spender[:]...))), "data", "to: an address is padded"},
		{"address of ones", to(spoil(good, 0, ones(32))), "data", "to: an address is padded"},
		{"offset to its own head", to(spoil(good, 2, []byte{0x40})), "data", "note: does not lie"},
		{"offset one word on", to(spoil(good, 2, []byte{0x80})), "data", "note: does not lie"},
		{"offset of 2²⁵⁶−1", to(spoil(good, 2, ones(32))), "data", "note: does not lie"},
		{"offset that wraps", to(spoil(good, 2, append(ones(31), 0x60))), "data", "note: does not lie"},
		{"bytes longer than all", to(spoil(good, 3, []byte{0x21})), "data", "longer than what follows"},
		{"bytes of 2²⁵⁶−1", to(spoil(good, 3, ones(32))), "data", "longer than what follows"},
		{"bytes of 2⁶³", to(spoil(good, 3, append([]byte{0x80}, make([]byte, 7)...))), "data", "longer than what follows"},
		{"bytes that hide one in the padding", to(spoil(good, 3, []byte{1})), "data", "padded with other bytes"},
		{"padding missing", to(good[:len(good)-30]), "data", "padding of bytes is missing"},
		{"dirty last padding byte", to(spoil(good, 4, []byte{1})), "data", "padded with other bytes"},
		{"trailing word", to(append(bytes.Clone(good), make([]byte, 32)...)), "data", "after its arguments"},
		{"trailing call", to(append(bytes.Clone(good), good...)), "data", "after its arguments"},
		{"heads alone", to(good[:4+96]), "data", "length of bytes is missing"},
		{"heads cut", to(good[:4+95]), "data", "fewer than"},
		{"one list for both", to(spoil(lists, 1, []byte{0x40})), "data", "amounts: does not lie"},
		{"lists exchanged", to(spoil(spoil(lists, 0, []byte{0x80}), 1, []byte{0x40})), "data", "tos: does not lie"},
		{"a list of 2³²", to(spoil(lists, 2, []byte{1, 0, 0, 0, 0})), "data", "longer than what follows"},
		{"a list of one more", to(spoil(lists, 2, []byte{2})), "data", ""},
		{"dirty address in a list", to(spoil(lists, 3, append([]byte{1}, spender[:]...))), "data", "[0]: an address is padded"},
	}
	for _, f := range []string{
		"multicall(bytes[])", "execute(address,bytes)", "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)", "upgradeToAndCall(address,bytes)",
		"diamondCut((address,uint8,bytes4[])[],address,bytes)", "enableModule(address)", "setGuard(address)", "changeAdmin(address)",
	} {
		name, _, _ := strings.Cut(f, "(")
		table = append(table, hostile{name + " of a registered contract", to(called(f, 4)), "data", name}, hostile{name + " of nobody", callTo(t, nobody, 0, called(f, 4)), "data", name})
	}
	return table
}

func hostileTypes(t *testing.T) []hostile {
	listed := func(list any) []byte { return dynamic(t, with(dynamicFields(), dAccess, list)) }
	key := func(n int) []any { return []any{make([]byte, n)} }
	typed := func(b byte, fields []any) []byte { return append([]byte{b}, encode(t, fields)...) }
	one := func() []any {
		return []any{uint(1), uint(7), uint(30), uint(21000), payee, uint(1000), []byte{}, []any{}}
	}
	keys := make([]any, 65)
	for i := range keys {
		keys[i] = [32]byte{byte(i)}
	}
	return []hostile{
		{"blob transaction", typed(3, dynamicFields()), "type", "EIP-4844"},
		{"a chain that is not in the book", dynamic(t, with(dynamicFields(), dChain, uint(5))), "chain id", "not in the book"},
		{"legacy on a chain that is not in the book", encode(t, with(legacyFields(), lChain, uint(5))), "chain id", "not in the book"},
		{"EIP-1559 where there is none", dynamic(t, with(dynamicFields(), dChain, uint(56))), "type", "no EIP-1559"},
		{"access list where there is none", dynamic(t, with(with(dynamicFields(), dChain, uint(10)), dAccess, []any{[]any{payee, []any{}}})), "access list", "no access lists"},
		{"EIP-2930 where there is none", typed(1, with(one(), 0, uint(10))), "type", "no access lists"},
		{"EIP-2930 with a tip", typed(1, append(one(), uint(1))), "transaction", "more than 8 fields"},
		{"EIP-2930, signed", typed(1, append(one(), uint(1), uint(5), uint(5))), "transaction", "more than 8 fields"},
		{"EIP-2930 without a list", typed(1, one()[:7]), "access list", "missing"},
		{"EIP-2930 of chain 0", typed(1, with(one(), 0, uint(0))), "chain id", "every chain"},
		{"EIP-2930 that creates", typed(1, with(one(), 4, []byte{})), "to", "contract creation"},
		{"list as a string", listed([]byte{}), "access list", "no list"},
		{"entry as a string", listed([]any{payee}), "access list", "no list"},
		{"entry without keys", listed([]any{[]any{payee}}), "access list", "missing"},
		{"entry with a third part", listed([]any{[]any{payee, []any{}, []byte{1}}}), "access list", "more parts"},
		{"entry of 19 bytes", listed([]any{[]any{payee[:19], []any{}}}), "access list", "19 bytes, not 20"},
		{"keys as a string", listed([]any{[]any{payee, []byte{}}}), "access list", "no list"},
		{"key of 31 bytes", listed([]any{[]any{payee, key(31)}}), "access list", "31 bytes, not 32"},
		{"key as a list", listed([]any{[]any{payee, []any{[]any{}}}}), "access list", "is a list"},
		{"33 addresses", listed(slices.Repeat([]any{[]any{payee, []any{}}}, 33)), "access list", "more parts"},
		{"65 keys", listed([]any{[]any{payee, keys}}), "access list", "more parts"},
		{"list in long form", listed(raw{0xf8, 0}), "access list", "shortest"},
		{"Celo's fee currency", append([]byte{0x7b}, encode(t, dynamicFields())...), "typed data", ""},
		{"set code where there is none", typed(4, with(append(dynamicFields(), []any{tupleOf(t, testKey(t), 1, delegates, 8)}), dChain, uint(10))), "type", "no EIP-7702"},
		{"set code that creates", typed(4, with(append(dynamicFields(), []any{tupleOf(t, testKey(t), 1, delegates, 8)}), dTo, []byte{})), "to", "contract creation"},
		{"set code, tip above cap", typed(4, with(append(dynamicFields(), []any{tupleOf(t, testKey(t), 1, delegates, 8)}), dTip, uint(31))), "tip cap", "above the fee cap"},
	}
}

func hostileAuthorizations(t *testing.T) []hostile {
	own, other := testKey(t), bytes.Repeat([]byte{0x48}, 32)
	stranger, err := crypto.ToECDSA(other)
	if err != nil {
		t.Fatal(err)
	}
	order := crypto.S256().Params().N
	edit := func(at int, v any) func([]any) []any {
		return func(list []any) []any { list[0].([]any)[at] = v; return list }
	}
	tx := func(f func([]any) []any) []byte { return setCode(t, own, 8, f) }
	signedS := tupleOf(t, own, 1, delegates, 8)[5].(*big.Int)
	alone := func(fields ...any) []byte { return append([]byte{5}, encode(t, fields)...) }
	return []hostile{
		{"no authorization", tx(func([]any) []any { return []any{} }), "authorization list", "is empty"},
		{"the list is a string", append([]byte{4}, encode(t, append(dynamicFields(), []byte{}))...), "authorization list", "no list"},
		{"no list", append([]byte{4}, encode(t, dynamicFields())...), "authorization list", "missing"},
		{"9 authorizations", tx(func(l []any) []any { return slices.Repeat(l, 9) }), "authorization list", "more parts"},
		{"twice the same", tx(func(l []any) []any { return slices.Repeat(l, 2) }), "authorization list", "twice"},
		{"signed for chain 0", tx(func([]any) []any { return []any{tupleOf(t, own, 0, delegates, 8)} }), "authorization chain id", "every chain"},
		{"signed for another chain", tx(func([]any) []any { return []any{tupleOf(t, own, 10, delegates, 8)} }), "authorization chain id", "not the transaction's"},
		{"code of nobody", tx(func([]any) []any { return []any{tupleOf(t, own, 1, nobody, 8)} }), "authorization address", "not in the book"},
		{"a token as code", tx(func([]any) []any { return []any{tupleOf(t, own, 1, coinToken, 8)} }), "authorization address", "not in the book"},
		{"by a stranger", setCode(t, stranger, 8, nil), "authorization signature", "no account of the vault"},
		{"with the transaction's nonce", setCode(t, own, 7, nil), "authorization nonce", "must be 8"},
		{"with a later nonce", setCode(t, own, 9, nil), "authorization nonce", "must be 8"},
		{"with another nonce than was signed", tx(edit(2, uint(9))), "authorization signature", "no account of the vault"},
		{"with another code than was signed", tx(edit(1, evm.Address{})), "authorization signature", "no account of the vault"},
		{"code of 19 bytes", tx(edit(1, delegates[:19])), "authorization list", "19 bytes"},
		{"y parity 2", tx(edit(3, uint(2))), "authorization y parity", "neither 0 nor 1"},
		{"y parity 27", tx(edit(3, uint(27))), "authorization y parity", "neither 0 nor 1"},
		{"s in the upper half", tx(edit(5, new(big.Int).Sub(order, signedS))), "authorization signature", "out of range"},
		{"r is 0", tx(edit(4, uint(0))), "authorization signature", "out of range"},
		{"s is q", tx(edit(5, order)), "authorization signature", "out of range"},
		{"s of 33 bytes", tx(edit(5, new(big.Int).Lsh(order, 1))), "authorization s", "above 2²⁵⁶"},
		{"a seventh field", tx(func(l []any) []any { return []any{append(l[0].([]any), uint(1))} }), "authorization list", "more parts"},
		{"five fields", tx(func(l []any) []any { return []any{l[0].([]any)[:5]} }), "authorization s", "missing"},
		{"chain id with a leading zero", tx(edit(0, raw{0x82, 0, 1})), "authorization chain id", "leading zero"},
		{"set code, signed", append([]byte{4}, encode(t, append(dynamicFields(), []any{tupleOf(t, own, 1, delegates, 8)}, uint(1), uint(5), uint(5)))...), "transaction", "more than 10 fields"},

		{"alone: chain 0", alone(uint(0), delegates, uint(8)), "authorization chain id", "every chain"},
		{"alone: a chain without a book", alone(uint(5), delegates, uint(8)), "chain id", "not in the book"},
		{"alone: a chain without EIP-7702", alone(uint(10), delegates, uint(8)), "type", "no EIP-7702"},
		{"alone: code of nobody", alone(uint(1), nobody, uint(8)), "authorization address", "not in the book"},
		{"alone: last nonce", alone(uint(1), delegates, uint64(1<<64-1)), "authorization nonce", "EIP-2681"},
		{"alone: two fields", alone(uint(1), delegates), "authorization nonce", "missing"},
		{"alone: signed", alone(tupleOf(t, own, 1, delegates, 8)...), "authorization", "more than 3 fields"},
		{"alone: trailing byte", append(authorizationOf(t, 1, delegates, 8), 0), "authorization", "followed by"},
		{"alone: no list", []byte{5, 0x80}, "authorization", "no RLP list"},
		{"alone: nothing", []byte{5}, "authorization", "no RLP list"},
		{"alone: code of 32 bytes", alone(uint(1), make([]byte, 32), uint(8)), "authorization address", "not 20"},
		{"alone: nonce with a leading zero", alone(uint(1), delegates, raw{0x82, 0, 8}), "authorization nonce", "leading zero"},
		{"alone: nonce of 9 bytes", alone(uint(1), delegates, new(big.Int).Lsh(big.NewInt(1), 64)), "authorization nonce", "2⁶⁴"},
		{"alone: a list of lists", alone([]any{}, delegates, uint(8)), "authorization chain id", "list"},
	}
}

// spoiledText is a document with a piece of its text written over.
func spoiledText(t testing.TB, document []byte, old, new string) []byte {
	t.Helper()
	out := bytes.Replace(document, []byte(old), []byte(new), 1)
	if bytes.Equal(out, document) {
		t.Fatalf("%q is not in %s", old, document)
	}
	return out
}

func hostileDocuments(t *testing.T) []hostile {
	permit := typedData(t, coinToken, permitType, permitMessage(t))
	dai := typedData(t, otherToken, permitDAIType, map[string]any{"holder": owner(t).String(), "spender": spender.String(), "nonce": 0, "expiry": 0, "allowed": true})
	order := typedData(t, router, orderType, orderMessage(t))
	give := typedData(t, coinToken, giveType, giveMessage(t))
	single := typedData(t, permit2, permitOneType, map[string]any{"details": map[string]any{"token": coinToken.String(), "amount": "9", "expiration": "1800000000", "nonce": "1"}, "spender": spender.String(), "sigDeadline": 5})
	edit := func(old, new string) []byte { return spoiledText(t, permit, old, new) }
	own := owner(t).String()
	return []hostile{
		{"another chain", edit(`"chainId":"1"`, `"chainId":"10"`), "primaryType", "not in the book"},
		{"a chain that is not in the book", edit(`"chainId":"1"`, `"chainId":"5"`), "chain id", "not in the book"},
		{"chain 0", edit(`"chainId":"1"`, `"chainId":"0"`), "domain", "no chain's"},
		{"chain of 2⁶⁴", edit(`"chainId":"1"`, `"chainId":"18446744073709551616"`), "domain", "no chain's"},
		{"chain 2⁶⁴+1", edit(`"chainId":"1"`, `"chainId":"18446744073709551617"`), "domain", "no chain's"},
		{"no chain", spoiledText(t, edit(`{"name":"chainId","type":"uint256"},`, ``), `"chainId":"1",`, ``), "domain", "every chain"},
		{"no contract", spoiledText(t, edit(`,{"name":"verifyingContract","type":"address"}`, ``), `,"verifyingContract":"`+coinToken.String()+`"`, ``), "domain", "any contract"},
		{"another contract", edit(`"verifyingContract":"`+coinToken.String(), `"verifyingContract":"`+nobody.String()), "primaryType", "not in the book"},
		{"another token's contract", edit(`"verifyingContract":"`+coinToken.String(), `"verifyingContract":"`+otherToken.String()), "primaryType", "not in the book"},
		{"another name", edit(`"name":"Coin"`, `"name":"Coin2"`), "domain", `name is "Coin2"`},
		{"a name that looks alike", edit(`"name":"Coin"`, `"name":"Сoin"`), "domain", "name is"},
		{"another version", edit(`"version":"2"`, `"version":"1"`), "domain", "version is"},
		{"no version", spoiledText(t, edit(`{"name":"version","type":"string"},`, ``), `"version":"2",`, ``), "domain", "no version"},
		{"a salt", spoiledText(t, spoiledText(t, permit, `{"name":"verifyingContract","type":"address"}`, `{"name":"verifyingContract","type":"address"},{"name":"salt","type":"bytes32"}`), `"verifyingContract":"`+coinToken.String()+`"`, `"verifyingContract":"`+coinToken.String()+`","salt":"0x`+strings.Repeat("07", 32)+`"`), "domain", "salt"},
		{"another salt", spoiledText(t, order, `"salt":"0x07`, `"salt":"0x08`), "domain", "salt"},
		{"another type of the same name", edit(`{"name":"nonce","type":"uint256"}`, `{"name":"nonce","type":"uint128"}`), "primaryType", "not in the book"},
		{"members in another order", edit(`{"name":"owner","type":"address"},{"name":"spender","type":"address"}`, `{"name":"spender","type":"address"},{"name":"owner","type":"address"}`), "typed data", "canonical"},
		{"another primary type", spoiledText(t, order, `"primaryType":"Order"`, `"primaryType":"Part"`), "typed data", "use"},
		{"another's tokens", edit(`"owner":"`+own, `"owner":"`+nobody.String()), "message", "owner is"},
		{"the vault's other account's tokens", edit(`"owner":"`+own, `"owner":"`+sponsored(t).String()), "message", "owner is"},
		{"spender is nobody", edit(`"spender":"`+spender.String(), `"spender":"`+evm.Address{}.String()), "message", "zero address"},
		{"spender is the token", edit(`"spender":"`+spender.String(), `"spender":"`+coinToken.String()), "message", "the token or the account"},
		{"spender is the account", edit(`"spender":"`+spender.String(), `"spender":"`+own), "message", "the account itself"},
		{"amount of 2²⁵⁶", edit(`"value":"500"`, `"value":"`+new(big.Int).Lsh(big.NewInt(1), 256).String()+`"`), "typed data", "out of the range"},
		{"amount below 0", edit(`"value":"500"`, `"value":"-1"`), "typed data", "out of the range"},
		{"amount in hex", edit(`"value":"500"`, `"value":"0x1f4"`), "typed data", "canonical"},
		{"amount with an exponent", edit(`"value":"500"`, `"value":5e2`), "typed data", "no integer"},
		{"a key twice", edit(`"value":"500"`, `"value":"1","value":"500"`), "typed data", "twice"},
		{"a hidden member", edit(`"value":"500"`, `"value":"500","memo":"x"`), "typed data", "not in its type"},
		{"a hidden type", edit(`"Permit":[`, `"Hidden":[{"name":"a","type":"bool"}],"Permit":[`), "typed data", "use"},
		{"a trailing space", append(bytes.Clone(permit), ' '), "typed data", "canonical"},
		{"a trailing document", append(bytes.Clone(permit), permit...), "typed data", "followed by more"},
		{"cut", permit[:len(permit)-1], "typed data", "no JSON"},
		{"nothing", []byte("{"), "typed data", "no JSON"},
		{"DAI of another", spoiledText(t, dai, own, nobody.String()), "message", "holder is"},
		{"DAI for nobody", spoiledText(t, dai, spender.String(), evm.Address{}.String()), "message", "zero address"},
		{"gift of another's", spoiledText(t, give, `"from":"`+own, `"from":"`+nobody.String()), "message", "from is"},
		{"gift to nobody", spoiledText(t, give, `"to":"`+evm.Address(payee).String(), `"to":"`+evm.Address{}.String()), "message", "zero address"},
		{"gift to the token", spoiledText(t, give, `"to":"`+evm.Address(payee).String(), `"to":"`+coinToken.String()), "message", "own contract"},
		{"Permit2 of an unknown token", spoiledText(t, single, `"token":"`+coinToken.String(), `"token":"`+nobody.String()), "message", "not in the book"},
		{"Permit2 for the token", spoiledText(t, single, `"spender":"`+spender.String(), `"spender":"`+coinToken.String()), "message", "the token"},
		{"Permit2 of 2¹⁶⁰", spoiledText(t, single, `"amount":"9"`, `"amount":"1461501637330902918203684832716283019655932542976"`), "typed data", "out of the range"},
		{"Permit2 of none", func() []byte {
			many := typedData(t, permit2, permitManyType, map[string]any{"details": []any{map[string]any{"token": coinToken.String(), "amount": "9", "expiration": "5", "nonce": "1"}}, "spender": spender.String(), "sigDeadline": 5})
			return spoiledText(t, many, fmt.Sprintf(`[{"token":"%s","amount":"9","expiration":"5","nonce":"1"}]`, coinToken), `[]`)
		}(), "message", "0 tokens"},
	}
}

func hostileSafes(t *testing.T) []hostile {
	inner := func(to evm.Address, value string, data []byte, pairs ...any) []byte {
		// built by hand: the builder refuses what DecodeIn refuses
		good := typedData(t, safe, safeType, safeMessage(safe, "0", nil))
		m := change(safeMessage(to, value, data), pairs...)
		at := bytes.Index(good, []byte(`"message":`))
		text := fmt.Sprintf(`"message":{"to":"%v","value":"%v","data":"%v","operation":"%v","safeTxGas":"%v","baseGas":"%v","gasPrice":"%v","gasToken":"%v","refundReceiver":"%v","nonce":"%v"}}`,
			m["to"], m["value"], m["data"], m["operation"], m["safeTxGas"], m["baseGas"], m["gasPrice"], m["gasToken"], m["refundReceiver"], m["nonce"])
		return append(bytes.Clone(good[:at]), text...)
	}
	run := func(to evm.Address, data []byte) []byte { return inner(to, "0", data, "operation", 1) }
	migrate := functionData(t, "function migrate(address to)", spender)
	own := owner(t)
	return []hostile{
		{"Safe pays gas in coins", inner(evm.Address(payee), "5", nil, "gasPrice", 1), "message", "would pay whoever brings it"},
		{"Safe pays gas in tokens", inner(evm.Address(payee), "5", nil, "gasToken", coinToken.String()), "message", "would pay"},
		{"Safe refunds somebody", inner(evm.Address(payee), "5", nil, "refundReceiver", spender.String()), "message", "would pay"},
		{"operation 2", inner(evm.Address(payee), "5", nil, "operation", 2), "message", "neither 0 nor 1"},
		{"operation 256", inner(evm.Address(payee), "5", nil, "operation", 256), "typed data", "out of the range"},
		{"Safe runs a stranger's code", run(nobody, migrate), "message", "operation: is 1"},
		{"Safe runs code without a call", run(router, nil), "message", "operation: is 1"},
		{"Safe runs a token's code", run(coinToken, transfer(nil)), "message", "operation: is 1"},
		{"Safe runs a function that may be called only", run(router, functionData(t, swap, spender, 5, "0x")), "message", "not registered for that"},
		{"Safe runs multiSend", run(router, called("multiSend(bytes)", 3)), "message", "not registered for that"},
		{"Safe runs a transfer of ownership", run(router, called("transferOwnership(address)", 1)), "message", "not registered for that"},
		{"Safe runs code and sends coins", inner(router, "1", migrate, "operation", 1), "message", "does not send"},
		{"Safe runs code with dirty arguments", run(router, spoil(migrate, 0, ones(32))), "message", "padded"},
		{"Safe runs code with trailing bytes", run(router, append(bytes.Clone(migrate), 0)), "message", "after its arguments"},
		{"Safe calls what it may run only", inner(router, "0", migrate), "message", "nobody may call"},
		{"Safe calls a stranger", inner(nobody, "0", called("sweep(address)", 1)), "message", "not in the book"},
		{"Safe calls multiSend", inner(nobody, "0", called("multiSend(bytes)", 3)), "message", "multiSend"},
		{"Safe enables a module", inner(safe, "0", called("enableModule(address)", 1)), "message", "enableModule"},
		{"Safe sets a guard", inner(safe, "0", called("setGuard(address)", 1)), "message", "setGuard"},
		{"Safe changes its code", inner(safe, "0", called("changeMasterCopy(address)", 1)), "message", "changeMasterCopy"},
		{"Safe takes another owner", inner(safe, "0", called("addOwnerWithThreshold(address,uint256)", 2)), "message", "unknown selector"},
		{"Safe sends an unknown token", inner(nobody, "0", transfer(nil)), "message", "no token of the book"},
		{"Safe sends dirty tokens", inner(coinToken, "0", transfer(set(4, 1))), "message", "padded"},
		{"Safe sends tokens with coins", inner(coinToken, "1", transfer(nil)), "message", "lost"},
		{"Safe sends coins to nobody", inner(evm.Address{}, "1", nil), "message", "burnt"},
		{"Safe sends a memo", inner(evm.Address(payee), "1", []byte("hi")), "message", "no call"},
		{"Safe lends to nobody", inner(coinToken, "0", assetData(t, evm.ERC20Approve, evm.Address{}, 5)), "message", "zero address"},
		{"Safe lends to itself", inner(coinToken, "0", assetData(t, evm.ERC20Approve, safe, 5)), "message", "account itself"},
		{"Safe takes the account's item", inner(items, "0", assetData(t, evm.ERC721TransferFrom, own, evm.Address(payee), 77)), "message", "which is not the account"},
		{"Safe executes another Safe", inner(nobody, "0", called("execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)", 10)), "message", "execTransaction"},
		{"value of 2²⁵⁶", inner(evm.Address(payee), new(big.Int).Lsh(big.NewInt(1), 256).String(), nil), "typed data", "out of the range"},
		{"data in capitals", inner(evm.Address(payee), "1", nil, "data", "0xAB"), "typed data", "canonical"},
	}
}

package node_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
)

// Payloads that other encoders make, and no node understands. The words beside each say that a dollar is paid.

var (
	unlimited = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	multiSend = addressOf("0x38869bf66a61cf6bdb996a6ae40d5853fd43b526")
	deadline  = big.NewInt(4102444800)
)

// word is a value of 32 bytes in calldata.
func word(v any) []byte {
	var n big.Int
	switch v := v.(type) {
	case int:
		n.SetInt64(int64(v))
	case bool:
		if v {
			n.SetInt64(1)
		}
	case *big.Int:
		n.Set(v)
	case evm.Address:
		n.SetBytes(v[:])
	case [32]byte:
		n.SetBytes(v[:])
	default:
		panic(fmt.Sprintf("no word: %T", v))
	}
	return n.FillBytes(make([]byte, 32))
}

// tail is what stands behind the heads for a value of any length: bytes, or a list of bytes.
func tail(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return append(word(len(v)), append(bytes.Clone(v), make([]byte, -len(v)&31)...)...)
	case [][]byte:
		args := make([]any, len(v))
		for i := range v {
			args[i] = v[i]
		}
		return append(word(len(v)), arguments(args...)...)
	}
	return nil
}

func arguments(args ...any) []byte {
	var heads, tails []byte
	for _, a := range args {
		if t := tail(a); t != nil {
			heads = append(heads, word(32*len(args)+len(tails))...)
			tails = append(tails, t...)
		} else {
			heads = append(heads, word(a)...)
		}
	}
	return append(heads, tails...)
}

// call is calldata of a function, named as its selector is made. Structures stand in it field by field: the selector is what
// decides.
func call(function string, args ...any) []byte {
	return append(crypto.Keccak256([]byte(function))[:4:4], arguments(args...)...)
}

// dollar is calldata of the honest transfer.
func dollar() []byte { return call("transfer(address,uint256)", payee, big.NewInt(1e6)) }

func encoded(v any) []byte {
	b, err := rlp.EncodeToBytes(v)
	if err != nil {
		panic(err)
	}
	return b
}

// fields are those of the honest transfer of a dollar, by EIP-1559.
func fields() []any {
	r := dollars()
	return []any{r.ChainID, r.Nonce, r.TipCap, r.FeeCap, r.Gas, usdc[:], new(big.Int), dollar(), []any{}}
}

// asks is the payload of a call to a contract.
func asks(to evm.Address, wei int64, data []byte) []byte {
	f := fields()
	f[5], f[6], f[7] = to[:], big.NewInt(wei), data
	return typed(2, f)
}

func typed(kind byte, f []any) []byte { return append([]byte{kind}, encoded(f)...) }

// calls are lies of one class: the token's contract is called with other data than a transfer's.
func calls(class string, named map[string][]byte) (out []lie) {
	for name, data := range named {
		l := otherThing(class, name, asks(usdc, 0, data))
		// These are understood of a token that the charter names: the words beside them say something else.
		if slices.Contains([]string{"decreaseAllowance(address,uint256)", "approve", "approve, half of all", "approve, one dollar", "approve, nothing", "increaseAllowance"}, name) {
			l.rule = intent.RuleShown
		}
		out = append(out, l)
	}
	return out
}

func selectors() []lie {
	named := map[string][]byte{}
	for _, f := range []string{
		"mint(address,uint256)", "burnFrom(address,uint256)", "withdrawTo(address,uint256)", "safeTransfer(address,uint256)", "send(address,uint256)", "transferAndCall(address,uint256)", "redeem(address,uint256)",
		"delegate(address,uint256)", "setBalance(address,uint256)", "decreaseAllowance(address,uint256)", "transferTo(address,uint256)", "Transfer(address,uint256)", "transfer(address,uint)", "transfer(address,uint128)", "transfer(uint256,address)",
	} {
		named[f] = call(f, payee, big.NewInt(1e6))
	}
	for bit := range 32 {
		if data := dollar(); bit%3 == 0 {
			data[bit/8] ^= 1 << (bit % 8)
			named[fmt.Sprintf("transfer's with bit %d the other way", bit)] = data
		}
	}
	named["none"] = dollar()[4:]
	named["its bytes mirrored"] = append([]byte{0xbb, 0x9c, 0x05, 0xa9}, dollar()[4:]...)
	named["zero"] = append(make([]byte, 4), dollar()[4:]...)
	named["alone"] = dollar()[:4]
	named["three bytes of it"] = dollar()[:3]
	named["twice"] = append(dollar()[:4:4], dollar()...)
	return calls("selector", named)
}

// safe is execTransaction of a Safe.
func safe(to evm.Address, data []byte, operation int) []byte {
	return call("execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
		to, 0, data, operation, 0, 0, 0, evm.Address{}, evm.Address{}, bytes.Repeat([]byte{0x1b}, 65))
}

// packed is one entry of multiSend(bytes).
func packed(operation byte, to evm.Address, data []byte) []byte {
	b := append([]byte{operation}, to[:]...)
	b = append(append(b, make([]byte, 32)...), word(len(data))...)
	return append(b, data...)
}

func delegatecalls() []lie {
	evil := call("transfer(address,uint256)", thief, 0) // what Bybit's Safe was told to do: its slot 0 is the implementation
	mode := [32]byte{0: 0xff}                           // ERC-7579: delegatecall
	out := calls("delegatecall", map[string][]byte{
		"execTransaction, operation 1":              safe(thief, evil, 1),
		"execTransaction of a transfer":             safe(usdc, dollar(), 0),
		"execTransaction of multiSend":              safe(multiSend, call("multiSend(bytes)", slices.Concat(packed(0, usdc, dollar()), packed(1, thief, evil))), 1),
		"multiSend with a delegatecall behind":      call("multiSend(bytes)", slices.Concat(packed(0, usdc, dollar()), packed(1, thief, evil))),
		"execTransactionFromModule":                 call("execTransactionFromModule(address,uint256,bytes,uint8)", thief, 0, evil, 1),
		"execTransactionFromModuleReturnData":       call("execTransactionFromModuleReturnData(address,uint256,bytes,uint8)", thief, 0, evil, 1),
		"DSProxy execute":                           call("execute(address,bytes)", thief, evil),
		"delegatecall by name":                      call("delegatecall(address,bytes)", thief, evil),
		"functionDelegateCall":                      call("functionDelegateCall(address,bytes)", thief, evil),
		"simulateAndRevert":                         call("simulateAndRevert(address,bytes)", thief, evil),
		"ERC-7579 execute":                          call("execute(bytes32,bytes)", mode, append(bytes.Clone(thief[:]), evil...)),
		"ERC-7579 executeFromExecutor":              call("executeFromExecutor(bytes32,bytes)", mode, append(bytes.Clone(thief[:]), evil...)),
		"setup of a Safe":                           call("setup(address,bytes)", thief, evil),
		"installModule":                             call("installModule(uint256,address,bytes)", 2, thief, []byte{}),
		"a diamond's cut with init":                 call("diamondCut(bytes,address,bytes)", []byte{1}, thief, evil),
		"transfer and execTransaction behind it":    append(dollar(), safe(thief, evil, 1)...),
		"execTransaction's selector on a transfer":  append(safe(thief, evil, 1)[:4:4], dollar()[4:]...),
		"handleOps of account abstraction":          call("handleOps(bytes,address)", evil, thief),
		"executeUserOp of account abstraction":      call("executeUserOp(bytes,bytes32)", evil, mode),
		"transfer's selector on a delegatecall":     append(dollar()[:4:4], safe(thief, evil, 1)[4:]...),
		"transfer whose recipient has dirty bytes":  func() []byte { d := dollar(); d[4] = 1; return d }(),
		"transfer whose recipient is in high bytes": append(append(dollar()[:4:4], append(bytes.Clone(payee[:]), make([]byte, 12)...)...), dollar()[36:]...),
	})
	return append(out, otherThing("delegatecall", "execTransaction at the payee", asks(payee, 0, safe(thief, evil, 1))), otherThing("delegatecall", "execTransaction with coins", asks(payee, 1, safe(thief, evil, 1))))
}

func approvals() []lie {
	half := new(big.Int).Rsh(unlimited, 1)
	named := map[string][]byte{
		"approve": call("approve(address,uint256)", thief, unlimited), "approve, half of all": call("approve(address,uint256)", thief, half), "approve, one dollar": call("approve(address,uint256)", payee, big.NewInt(1e6)),
		"approve, nothing": call("approve(address,uint256)", thief, 0), "approve to the token": call("approve(address,uint256)", usdc, unlimited), "increaseAllowance": call("increaseAllowance(address,uint256)", thief, unlimited),
		"increaseApproval": call("increaseApproval(address,uint256)", thief, unlimited), "approveAndCall": call("approveAndCall(address,uint256,bytes)", thief, unlimited, dollar()), "setApprovalForAll": call("setApprovalForAll(address,bool)", thief, true),
		"authorizeOperator": call("authorizeOperator(address)", thief), "approve of Permit2": call("approve(address,address,uint160,uint48)", usdc, thief, new(big.Int).Rsh(unlimited, 96), deadline), "safeApprove": call("safeApprove(address,uint256)", thief, unlimited),
		"setOperator": call("setOperator(address,bool)", thief, true), "approve and a transfer behind it": append(call("approve(address,uint256)", thief, unlimited), dollar()...), "a transfer and approve behind it": append(dollar(), call("approve(address,uint256)", thief, unlimited)...),
		"transferFrom": call("transferFrom(address,address,uint256)", payee, thief, unlimited),
	}
	return append(calls("unlimited approve", named), otherThing("unlimited approve", "legacy", encoded([]any{uint(0), big.NewInt(30e9), uint(65000), usdc[:], uint(0), call("approve(address,uint256)", thief, unlimited), uint(1), uint(0), uint(0)})).by(intent.RuleShown))
}

func permits() []lie {
	r, s := [32]byte{1}, [32]byte{2}
	return calls("permit", map[string][]byte{
		"ERC-2612":                    call("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", payee, thief, unlimited, deadline, 27, r, s),
		"with bytes":                  call("permit(address,address,uint256,uint256,bytes)", payee, thief, unlimited, deadline, make([]byte, 65)),
		"of DAI":                      call("permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)", payee, thief, 0, deadline, true, 27, r, s),
		"of an NFT":                   call("permit(address,uint256,uint256,uint8,bytes32,bytes32)", thief, 1, deadline, 27, r, s),
		"of Permit2":                  call("permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)", payee, usdc, unlimited, thief, deadline, make([]byte, 65)),
		"permitBatch":                 call("permitBatch(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)", payee, usdc, unlimited, thief, deadline, make([]byte, 65)),
		"permitTransferFrom":          call("permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)", usdc, unlimited, 0, deadline, thief, unlimited, payee, make([]byte, 65)),
		"permitAll":                   call("permitAll(address,address,uint256,uint8,bytes32,bytes32)", payee, thief, deadline, 27, r, s),
		"selfPermit":                  call("selfPermit(address,uint256,uint256,uint8,bytes32,bytes32)", usdc, unlimited, deadline, 27, r, s),
		"transferWithAuthorization":   call("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", payee, thief, unlimited, 0, deadline, r, 27, r, s),
		"receiveWithAuthorization":    call("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", payee, thief, unlimited, 0, deadline, r, 27, r, s),
		"delegateBySig":               call("delegateBySig(address,uint256,uint256,uint8,bytes32,bytes32)", thief, 0, deadline, 27, r, s),
		"permit's selector, transfer": append(call("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)")[:4:4], dollar()[4:]...),
		"transfer and permit behind":  append(dollar(), call("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", payee, thief, unlimited, deadline, 27, r, s)...),
	})
}

func upgrades() []lie {
	role := [32]byte{}
	return calls("setImplementation", map[string][]byte{
		"setImplementation": call("setImplementation(address)", thief), "upgradeTo": call("upgradeTo(address)", thief), "upgradeToAndCall": call("upgradeToAndCall(address,bytes)", thief, dollar()), "upgrade of a ProxyAdmin": call("upgrade(address,address)", usdc, thief),
		"changeMasterCopy": call("changeMasterCopy(address)", thief), "changeAdmin": call("changeAdmin(address)", thief), "setOwner": call("setOwner(address)", thief), "transferOwnership": call("transferOwnership(address)", thief), "renounceOwnership": call("renounceOwnership()"),
		"setFallbackHandler": call("setFallbackHandler(address)", thief), "enableModule": call("enableModule(address)", thief), "setGuard": call("setGuard(address)", thief), "addOwnerWithThreshold": call("addOwnerWithThreshold(address,uint256)", thief, 1),
		"swapOwner": call("swapOwner(address,address,address)", evm.Address{19: 1}, payee, thief), "changeThreshold": call("changeThreshold(uint256)", 1), "grantRole": call("grantRole(bytes32,address)", role, thief), "initialize": call("initialize(address)", thief),
		"diamondCut": call("diamondCut((address,uint8,bytes4[])[],address,bytes)", []byte{1}, thief, dollar()), "selfdestruct by name": call("destroy(address)", thief), "updateBlacklister": call("updateBlacklister(address)", thief),
	})
}

func setCodes() (out []lie) {
	signed := func(chain, nonce uint64, to evm.Address) []any {
		return []any{chain, to[:], nonce, uint(1), []byte{1}, []byte{2}}
	}
	with := func(authorizations ...any) []byte { return typed(4, append(fields(), []any(authorizations))) }
	authorization := func(chain uint64) []byte { return append([]byte{5}, encoded([]any{chain, thief[:], uint64(0)})...) }
	raw := fields()
	raw[8] = []any{signed(1, 0, thief)}
	for name, payload := range map[string][]byte{
		"one authorization": with(signed(1, 0, thief)), "for every chain": with(signed(0, 0, thief)), "two of them": with(signed(1, 0, thief), signed(1, 1, thief)), "none": with(), "to no code": with(signed(1, 0, evm.Address{})),
		"for the next nonce": with(signed(1, 1, thief)), "without a list": typed(4, fields()), "with coins": typed(4, append(func() []any { f := fields(); f[6], f[7] = big.NewInt(1), []byte{}; return f }(), []any{signed(1, 0, thief)})),
		"to itself, with a batch": typed(4, append(func() []any { f := fields(); f[7] = call("execute(bytes)", dollar()); return f }(), []any{signed(1, 0, thief)})),
		"an authorization alone":  authorization(1), "an authorization alone, for every chain": authorization(0), "an authorization with a transfer behind": append(authorization(1), typed(2, fields())...),
		"authorizations in the access list": typed(2, raw), "a list behind an EIP-1559 transaction": typed(2, append(fields(), []any{signed(1, 0, thief)})),
	} {
		out = append(out, otherThing("7702", name, payload))
	}
	return out
}

// typedData are messages that are no transactions, and look like some.
func typedData() (out []lie) {
	domain, message := crypto.Keccak256([]byte("domain")), crypto.Keccak256([]byte("message"))
	personal := func(text []byte) []byte {
		return append(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(text)), text...)
	}
	transfer := typed(2, fields())
	for name, payload := range map[string][]byte{
		"EIP-712": slices.Concat([]byte{0x19, 1}, domain, message), "EIP-712 without a message": append([]byte{0x19, 1}, domain...), "EIP-712 with a transfer for domain": slices.Concat([]byte{0x19, 1}, transfer), "EIP-191 for a validator": slices.Concat([]byte{0x19, 0}, thief[:], transfer),
		"a personal message": personal([]byte("pay 1 USDC")), "a personal message of a transfer": personal(transfer), "a personal message of a hash": personal(crypto.Keccak256(transfer)), "a transfer's hash": crypto.Keccak256(transfer), "EIP-712's own hash": crypto.Keccak256([]byte{0x19, 1}, domain, message),
		"typed data as JSON": []byte(`{"types":{"Permit":[{"name":"owner","type":"address"}]},"primaryType":"Permit","message":{"value":"1000000"}}`), "a transfer in hex": fmt.Appendf(nil, "0x%x", transfer), "a transfer in base64": []byte("AvhuAYCEO5rKAIUG"),
		"a transfer in a list": encoded([]any{transfer}), "a transfer in a string": encoded(transfer), "typed data behind a transfer": slices.Concat(transfer, []byte{0x19, 1}, domain, message), "typed data that begins as a transfer": slices.Concat([]byte{2, 0x19, 1}, domain, message),
		"an authorization's message": slices.Concat([]byte{0x19, 5}, domain), "a typed hash as calldata": asks(usdc, 0, slices.Concat([]byte{0x19, 1}, domain, message)), "a Safe's message as calldata": asks(usdc, 0, call("signMessage(bytes)", slices.Concat([]byte{0x19, 1}, domain, message))),
		"an order that is approved on chain": asks(usdc, 0, call("approveHash(bytes32)", [32]byte(message))),
	} {
		out = append(out, otherThing("typed data", name, payload))
	}
	return out
}

func multicalls() []lie {
	both := [][]byte{dollar(), call("approve(address,uint256)", thief, unlimited)}
	joined := slices.Concat(both...)
	entry := func(to evm.Address, data []byte) []byte { return append(word(to), tail(data)...) }
	return calls("multicall", map[string][]byte{
		"multicall": call("multicall(bytes[])", both), "multicall of one transfer": call("multicall(bytes[])", both[:1]), "multicall of nothing": call("multicall(bytes[])", [][]byte{}), "multicall with a deadline": call("multicall(uint256,bytes[])", deadline, both),
		"multicall with a block": call("multicall(bytes32,bytes[])", [32]byte{1}, both), "Multicall3 aggregate": call("aggregate((address,bytes)[])", [][]byte{entry(usdc, both[0]), entry(usdc, both[1])}), "Multicall3 aggregate3": call("aggregate3((address,bool,bytes)[])", both),
		"Multicall3 aggregate3Value": call("aggregate3Value((address,bool,uint256,bytes)[])", both), "tryAggregate": call("tryAggregate(bool,(address,bytes)[])", false, both), "batch": call("batch(bytes[],bool)", both, true), "executeBatch": call("executeBatch(address[],bytes[])", word(usdc), both),
		"executeBatch with values": call("executeBatch(address[],uint256[],bytes[])", word(usdc), word(0), both), "Uniswap's router": call("execute(bytes,bytes[],uint256)", []byte{0x0a, 5}, both, deadline), "batchTransfer": call("batchTransfer(address[],uint256)", slices.Concat(word(payee), word(thief)), big.NewInt(1e6)),
		"disperseToken": call("disperseToken(address,address[],uint256[])", usdc, slices.Concat(word(payee), word(thief)), slices.Concat(word(1), word(2))), "two transfers, one behind the other": append(dollar(), call("transfer(address,uint256)", thief, big.NewInt(1e12))...),
		"transfer and its approval joined": joined, "transferMultiple": call("transfer(address[],uint256[])", slices.Concat(word(payee), word(thief)), slices.Concat(word(1), word(2))),
	})
}

// hiddenBytes are transfers with more to them than the words of one, or in another form.
func hiddenBytes() (out []lie) {
	honest := typed(2, fields())
	edit := func(change func([]any)) []byte { f := fields(); change(f); return typed(2, f) }
	long := func(b []byte) rlp.RawValue { return append([]byte{0xb8, byte(len(b))}, b...) }
	legacy := []any{uint(0), big.NewInt(30e9), uint(65000), usdc[:], uint(0), dollar(), uint(1), uint(0), uint(0)}
	var length [2]byte
	binary.BigEndian.PutUint16(length[:], uint16(len(honest)-3))
	for name, payload := range map[string][]byte{
		"a zero behind": append(bytes.Clone(honest), 0), "itself behind": append(bytes.Clone(honest), honest...), "a tenth field": typed(2, append(fields(), []byte("hidden"))), "signed already": typed(2, append(fields(), uint(1), []byte{1}, []byte{2})),
		"an access list": edit(func(f []any) { f[8] = []any{[]any{thief[:], []any{make([]byte, 32)}}} }), "an access list of nothing": edit(func(f []any) { f[8] = []any{[]any{}} }), "calldata one byte longer": edit(func(f []any) { f[7] = append(dollar(), 0) }),
		"calldata one word longer": edit(func(f []any) { f[7] = append(dollar(), word(thief)...) }), "calldata one byte shorter": edit(func(f []any) { f[7] = dollar()[:67] }), "coins with it": edit(func(f []any) { f[6] = big.NewInt(1e18) }),
		"a contract that is made": edit(func(f []any) { f[5] = []byte{} }), "coins with a note": edit(func(f []any) { f[5], f[6], f[7] = payee[:], big.NewInt(1e18), []byte("rent") }), "coins with a zero byte": edit(func(f []any) { f[5], f[6], f[7] = payee[:], big.NewInt(1e18), []byte{0} }),
		"EIP-2930": typed(1, fields()), "a blob transaction": typed(3, append(fields(), big.NewInt(1), []any{make([]byte, 32)})), "of type 6": typed(6, fields()), "of type 0": typed(0, fields()), "of two types": append([]byte{2}, honest...),
		"chain 0": edit(func(f []any) { f[0] = uint(0) }), "before EIP-155": encoded(legacy[:6]), "legacy, chain 0": encoded(append(slices.Clone(legacy[:6]), uint(0), uint(0), uint(0))), "legacy, signed": encoded(append(slices.Clone(legacy[:6]), uint(37), []byte{1}, []byte{2})),
		"nonce with a leading zero": edit(func(f []any) { f[1] = rlp.RawValue{0} }), "gas in long form": edit(func(f []any) { f[4] = rlp.RawValue{0x83, 0, 0xfd, 0xe8} }), "a recipient of 21 bytes": edit(func(f []any) { f[5] = append(usdc[:20:20], 0) }),
		"a list in long form": slices.Concat([]byte{2, 0xf9}, length[:], honest[3:]), "an address in long form": edit(func(f []any) { f[5] = long(usdc[:]) }), "cut short": honest[:len(honest)-1], "dollars to the token": edit(func(f []any) { f[7] = call("transfer(address,uint256)", usdc, big.NewInt(1e6)) }),
		"dollars to nobody": edit(func(f []any) { f[7] = call("transfer(address,uint256)", evm.Address{}, big.NewInt(1e6)) }), "a tip above the fee": edit(func(f []any) { f[2] = big.NewInt(31e9) }), "a cost above all numbers": edit(func(f []any) { f[3] = unlimited }),
		"text": []byte(strings.Repeat("transfer 1 USDC ", 8)),
	} {
		out = append(out, otherThing("hidden bytes", name, payload))
	}
	return out
}

package evm_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/statement"
)

// callTo is a transaction of type 2 that calls a contract on chain 1.
func callTo(t testing.TB, to evm.Address, value uint, data []byte) []byte {
	t.Helper()
	return dynamic(t, with(with(with(dynamicFields(), dTo, to[:]), dValue, value), dData, data))
}

// arguments is a JSON list of texts.
func arguments(args ...any) []byte {
	for i, a := range args {
		switch x := a.(type) {
		case evm.Address:
			args[i] = x.String()
		case int:
			args[i] = fmt.Sprint(x)
		case *big.Int:
			args[i] = x.String()
		}
	}
	b, _ := json.Marshal(args)
	return b
}

func assetData(t testing.TB, op evm.Operation, args ...any) []byte {
	t.Helper()
	data, err := evm.AssetCalldata(op, arguments(args...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func functionData(t testing.TB, signature string, args ...any) []byte {
	t.Helper()
	data, err := evm.Calldata(signature, arguments(args...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// document is typed data of the book with a message.
func typedData(t testing.TB, contract evm.Address, of string, message map[string]any) []byte {
	t.Helper()
	b, err := evm.BuildDocument(1, contract, of, messageJSON(message), testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func messageJSON(message map[string]any) []byte {
	b, _ := json.Marshal(message)
	return b
}

func permitMessage(t testing.TB) map[string]any {
	return map[string]any{"owner": owner(t).String(), "spender": spender.String(), "value": "500", "nonce": "3", "deadline": "1800000000"}
}

func safeMessage(to evm.Address, value string, data []byte) map[string]any {
	zero := evm.Address{}.String()
	return map[string]any{
		"to": to.String(), "value": value, "data": fmt.Sprintf("0x%x", data), "operation": 0, "safeTxGas": 0, "baseGas": 0, "gasPrice": 0, "gasToken": zero, "refundReceiver": zero, "nonce": 9,
	}
}

func text(effects []effect.Effect) string {
	var parts []string
	for _, e := range effects {
		amount := "-"
		if e.Amount != nil {
			amount = e.Amount.String()
		}
		name := func(a string) string {
			for n, x := range map[string]evm.Address{
				"COIN": coinToken, "OTHER": otherToken, "ITEMS": items, "BUNDLES": bundles, "ROUTER": router, "SAFE": safe, "CODE": delegates, "spender": spender, "payee": evm.Address(payee), "permit2": permit2, "0": {},
			} {
				if a == x.String() {
					return n
				}
			}
			return a
		}
		parts = append(parts, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s > %s", e.Operation, name(e.Contract), e.Item, amount, name(e.Destination))), " "))
	}
	return strings.Join(parts, "; ")
}

type good struct {
	name    string
	payload []byte
	op      evm.Operation
	effects string
	shows   []string // of its lines, each as name: value
}

// goods are payloads that the book lets be understood, of every kind.
func goods(t testing.TB) []good {
	own := owner(t)
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	fee := "; fee 630000 >"
	p2 := func(amount string) map[string]any {
		return map[string]any{"token": coinToken.String(), "amount": amount, "expiration": "1800000000", "nonce": "1"}
	}
	out := []good{
		{"coins", callTo(t, evm.Address(payee), 7, nil), evm.NativeTransfer, "transfer 7 > payee" + fee, []string{"asset: eip155:1/slip44:60", "known-as: ETH"}},
		{"coins to itself", callTo(t, own, 7, nil), evm.NativeTransfer, "fee 630000 >", nil},
		{"token", callTo(t, coinToken, 0, transfer(nil)), evm.ERC20Transfer, "token COIN 99 > payee" + fee, []string{"known-as: COIN"}},
		{"token to itself", callTo(t, coinToken, 0, assetData(t, evm.ERC20Transfer, own, 5)), evm.ERC20Transfer, "fee 630000 >", nil},
		{"approve", callTo(t, coinToken, 0, assetData(t, evm.ERC20Approve, spender, 1_000_000)), evm.ERC20Approve, "allowance COIN 1000000 > spender" + fee, []string{"allowance: limited", "amount: 1000000"}},
		{"approve nothing", callTo(t, otherToken, 0, assetData(t, evm.ERC20Approve, spender, 0)), evm.ERC20Approve, "allowance OTHER 0 > spender" + fee, nil},
		{"approve above the cap", callTo(t, coinToken, 0, assetData(t, evm.ERC20Approve, spender, 1_000_001)), evm.ERC20Approve, "unlimited COIN 1000001 > spender" + fee, []string{"allowance: unlimited"}},
		{"approve without a cap", callTo(t, otherToken, 0, assetData(t, evm.ERC20Approve, spender, 1)), evm.ERC20Approve, "unlimited OTHER 1 > spender" + fee, nil},
		{"approve all", callTo(t, coinToken, 0, assetData(t, evm.ERC20Approve, spender, most)), evm.ERC20Approve, "unlimited COIN " + most.String() + " > spender" + fee, nil},
		{"increase", callTo(t, coinToken, 0, assetData(t, evm.ERC20Increase, spender, 5)), evm.ERC20Increase, "allowance COIN 5 > spender" + fee, nil},
		{"increase above the cap", callTo(t, coinToken, 0, assetData(t, evm.ERC20Increase, spender, 1_000_001)), evm.ERC20Increase, "unlimited COIN 1000001 > spender" + fee, nil},
		{"decrease", callTo(t, coinToken, 0, assetData(t, evm.ERC20Decrease, spender, most)), evm.ERC20Decrease, "allowance COIN 0 > spender" + fee, []string{"amount: " + most.String()}},
		{"transferFrom", callTo(t, coinToken, 0, assetData(t, evm.ERC20TransferFrom, own, evm.Address(payee), 5)), evm.ERC20TransferFrom, "token COIN 5 > payee" + fee, nil},
		{"item", callTo(t, items, 0, assetData(t, evm.ERC721TransferFrom, own, evm.Address(payee), 77)), evm.ERC721TransferFrom, "token ITEMS 77 1 > payee" + fee, []string{"item.1: 1 of item 77"}},
		{"item, safely", callTo(t, items, 0, assetData(t, evm.ERC721Safe, own, evm.Address(payee), 77)), evm.ERC721Safe, "token ITEMS 77 1 > payee" + fee, nil},
		{"item, with empty data", callTo(t, items, 0, assetData(t, evm.ERC721SafeData, own, evm.Address(payee), 77, "0x")), evm.ERC721SafeData, "token ITEMS 77 1 > payee" + fee, nil},
		{"item lent", callTo(t, items, 0, assetData(t, evm.ERC721Approve, spender, 77)), evm.ERC721Approve, "allowance ITEMS 77 1 > spender" + fee, nil},
		{"item taken back", callTo(t, items, 0, assetData(t, evm.ERC721Approve, evm.Address{}, 77)), evm.ERC721Approve, "allowance ITEMS 77 0 > 0" + fee, nil},
		{"all items lent", callTo(t, items, 0, assetData(t, evm.ApprovalForAll, spender, true)), evm.ApprovalForAll, "unlimited ITEMS - > spender" + fee, []string{"allowance: unlimited"}},
		{"all bundles lent", callTo(t, bundles, 0, assetData(t, evm.ApprovalForAll, spender, true)), evm.ApprovalForAll, "unlimited BUNDLES - > spender" + fee, nil},
		{"no item lent", callTo(t, items, 0, assetData(t, evm.ApprovalForAll, spender, false)), evm.ApprovalForAll, "allowance ITEMS 0 > spender" + fee, []string{"allowance: none"}},
		{"bundle", callTo(t, bundles, 0, assetData(t, evm.ERC1155Safe, own, evm.Address(payee), 7, 5, "0x")), evm.ERC1155Safe, "token BUNDLES 7 5 > payee" + fee, nil},
		{"bundles", callTo(t, bundles, 0, assetData(t, evm.ERC1155Batch, own, evm.Address(payee), []string{"7", "8"}, []string{"1", "2"}, "0x")), evm.ERC1155Batch, "token BUNDLES 7 1 > payee; token BUNDLES 8 2 > payee" + fee, []string{"amount: 3"}},
		{"call", callTo(t, router, 0, functionData(t, swap, spender, 5, "0x0102")), evm.RegisteredCall, "call ROUTER - > ROUTER" + fee, []string{"known-as: ROUTER", "function: swap(address,uint256,bytes)", "arg.to: address " + spender.String(), "arg.amount: uint256 5", "arg.note: bytes 0x0102"}},
		{"call with coins", callTo(t, router, 9, functionData(t, wrap, spender)), evm.RegisteredCall, "call ROUTER 9 > ROUTER" + fee, []string{"amount: 9"}},
		{"call with lists", callTo(t, router, 0, functionData(t, batch, []string{spender.String()}, []string{"1"})), evm.RegisteredCall, "call ROUTER - > ROUTER" + fee, []string{"arg.tos: address[] [" + spender.String() + "]"}},
		{"access list", dynamic(t, with(dynamicFields(), dAccess, []any{[]any{payee, []any{[32]byte{1}}}})), evm.NativeTransfer, "transfer 1000 > payee" + fee, nil},
		{"listed", append([]byte{1}, encode(t, []any{uint(1), uint(7), uint(30), uint(21000), payee, uint(1000), []byte{}, []any{}})...), evm.NativeTransfer, "transfer 1000 > payee" + fee, []string{"transaction-type: eip2930"}},
		{"data fee", dynamic(t, with(dynamicFields(), dChain, uint(10))), evm.NativeTransfer, "transfer 1000 > payee; fee 630500 >", []string{"data-fee: 500"}},
		{"another coin", encode(t, with(legacyFields(), lChain, uint(56))), evm.NativeTransfer, "transfer 1000 > payee" + fee, []string{"asset: eip155:56/slip44:714", "known-as: BNB"}},
		{"set code", setCode(t, testKey(t), 8, nil), evm.NativeTransfer, "transfer 1000 > payee; authorise CODE - > CODE" + fee, []string{"transaction-type: eip7702"}},
		{"authorization", authorizationOf(t, 1, delegates, 8), evm.SetCodeAuthorization, "authorise CODE - > CODE", []string{"code: " + delegates.String(), "known-as: SOS"}},
		{"code taken away", authorizationOf(t, 1, evm.Address{}, 8), evm.SetCodeAuthorization, "authorise 0 - > 0", nil},
		{"permit", typedData(t, coinToken, permitType, permitMessage(t)), evm.Permit, "allowance COIN 500 > spender", []string{"allowance: limited", "deadline: 2027-01-15T08:00:00Z", "domain-name: \"Coin\"", "message.nonce: uint256 3"}},
		{"permit of all", typedData(t, coinToken, permitType, change(permitMessage(t), "value", most.String(), "deadline", most.String())), evm.Permit, "unlimited COIN " + most.String() + " > spender", []string{"allowance: unlimited", "deadline: never ends"}},
		{"permit of DAI", typedData(t, otherToken, permitDAIType, map[string]any{"holder": own.String(), "spender": spender.String(), "nonce": 0, "expiry": 0, "allowed": true}), evm.PermitDAI, "unlimited OTHER - > spender", []string{"deadline: never ends"}},
		{"permit of DAI taken back", typedData(t, otherToken, permitDAIType, map[string]any{"holder": own.String(), "spender": spender.String(), "nonce": 0, "expiry": 5, "allowed": false}), evm.PermitDAI, "allowance OTHER 0 > spender", nil},
		{"Permit2", typedData(t, permit2, permitOneType, map[string]any{"details": p2("9"), "spender": spender.String(), "sigDeadline": 5}), evm.Permit2, "allowance COIN 9 > spender", nil},
		{"Permit2 of all", typedData(t, permit2, permitOneType, map[string]any{"details": p2(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 160), big.NewInt(1)).String()), "spender": spender.String(), "sigDeadline": 5}), evm.Permit2, "unlimited COIN 1461501637330902918203684832716283019655932542975 > spender", nil},
		{"Permit2 of several", typedData(t, permit2, permitManyType, map[string]any{"details": []any{p2("9"), p2("1000001")}, "spender": spender.String(), "sigDeadline": 5}), evm.Permit2Batch, "allowance COIN 9 > spender; unlimited COIN 1000001 > spender", nil},
		{"Permit2, once", typedData(t, permit2, permitMoveType, map[string]any{"permitted": map[string]any{"token": coinToken.String(), "amount": "9"}, "spender": spender.String(), "nonce": 4, "deadline": 5}), evm.Permit2Transfer, "allowance COIN 9 > spender", nil},
		{"given by others", typedData(t, coinToken, giveType, giveMessage(t)), evm.TransferByOthers, "token COIN 5 > payee", nil},
		{"Safe sends coins", typedData(t, safe, safeType, safeMessage(evm.Address(payee), "5", nil)), evm.SafeTransaction, "transfer 5 > payee", []string{"safe.operation: native-transfer", "safe.destination: 0x3535353535353535353535353535353535353535", "message.safe-tx-gas: uint256 0"}},
		{"Safe sends tokens", typedData(t, safe, safeType, safeMessage(coinToken, "0", transfer(nil))), evm.SafeTransaction, "token COIN 99 > payee", []string{"safe.amount: 99"}},
		{"Safe lends tokens", typedData(t, safe, safeType, safeMessage(coinToken, "0", assetData(t, evm.ERC20Approve, spender, most))), evm.SafeTransaction, "unlimited COIN " + most.String() + " > spender", nil},
		{"Safe moves its item", typedData(t, safe, safeType, safeMessage(items, "0", assetData(t, evm.ERC721TransferFrom, safe, evm.Address(payee), 77))), evm.SafeTransaction, "token ITEMS 77 1 > payee", nil},
		{"Safe does nothing", typedData(t, safe, safeType, safeMessage(safe, "0", nil)), evm.SafeTransaction, "message SAFE - > SAFE", nil},
		{"Safe changes itself", typedData(t, safe, safeType, safeMessage(safe, "0", functionData(t, "function changeThreshold(uint256 threshold)", 2))), evm.SafeTransaction, "call SAFE - > SAFE", []string{"safe.arg.threshold: uint256 2"}},
		{"Safe runs another's code", typedData(t, safe, safeType, change(safeMessage(router, "0", functionData(t, "function migrate(address to)", spender)), "operation", 1)), evm.SafeTransaction, "delegate-call ROUTER - > ROUTER", nil},
		{"order", typedData(t, router, orderType, orderMessage(t)), evm.TypedData, "message ROUTER - > ROUTER", []string{"message.note: string \"a\\nb\"", "message.parts: Part[] [(asset=" + coinToken.String() + ",amount=5)]", "type: " + orderType}},
	}
	return out
}

func giveMessage(t testing.TB) map[string]any {
	return map[string]any{"from": owner(t).String(), "to": evm.Address(payee).String(), "value": "5", "validAfter": 0, "validBefore": 1800000000, "nonce": fmt.Sprintf("0x%064x", 7)}
}

func orderMessage(t testing.TB) map[string]any {
	return map[string]any{"maker": owner(t).String(), "parts": []any{map[string]any{"asset": coinToken.String(), "amount": 5}}, "note": "a\nb"}
}

func change(message map[string]any, pairs ...any) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		message[pairs[i].(string)] = pairs[i+1]
	}
	return message
}

func authorizationOf(t testing.TB, chain uint64, code evm.Address, nonce uint64) []byte {
	t.Helper()
	return append([]byte{5}, encode(t, []any{chain, code, nonce})...)
}

// tupleOf is a signed authorization by a key, as a list's item; edit may spoil it before or after it is signed.
func tupleOf(t testing.TB, key *ecdsa.PrivateKey, chain uint64, code evm.Address, nonce uint64) []any {
	t.Helper()
	sig, err := crypto.Sign(crypto.Keccak256(authorizationOf(t, chain, code, nonce)), key)
	if err != nil {
		t.Fatal(err)
	}
	return []any{chain, code, nonce, uint(sig[64]), new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])}
}

// setCode is a transaction of type 4 with one authorization.
func setCode(t testing.TB, key *ecdsa.PrivateKey, nonce uint64, edit func([]any) []any) []byte {
	t.Helper()
	list := []any{tupleOf(t, key, 1, delegates, nonce)}
	if edit != nil {
		list = edit(list)
	}
	return append([]byte{4}, encode(t, append(dynamicFields(), list))...)
}

func TestEffects(t *testing.T) {
	c := testContext(t)
	for _, g := range goods(t) {
		p, err := evm.DecodeIn(g.payload, c)
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		if p.Operation() != g.op || text(p.Effects()) != g.effects {
			t.Errorf("%s: %s, effects %q, want %s, %q", g.name, p.Operation(), text(p.Effects()), g.op, g.effects)
		}
		var lines []string
		seen := map[string]bool{}
		for _, l := range p.Lines() {
			lines = append(lines, l.Name+": "+l.Value)
			if seen[l.Name] {
				t.Errorf("%s: line %s is there twice", g.name, l.Name)
			}
			seen[l.Name] = true
		}
		if lines[0] != "operation: "+string(g.op) || len(lines) > 64 {
			t.Errorf("%s: %d lines, the first %s", g.name, len(lines), lines[0])
		}
		for _, want := range g.shows {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", g.name, want, strings.Join(lines, "\n"))
			}
		}
		sayable(t, g.name, p)
		if !bytes.Equal(p.Unsigned(), g.payload) {
			t.Errorf("%s: unsigned form %x, want %x", g.name, p.Unsigned(), g.payload)
		}
		serves(t, g.name, p)
	}
}

// sayable wants that a statement can say each line: what it cannot is never proposed, or denied by every node.
func sayable(t testing.TB, name string, p *evm.Payload) {
	t.Helper()
	if n := len(p.Lines()); n > statement.MaxFacts {
		t.Errorf("%s: %d lines", name, n)
	}
	for _, l := range p.Lines() {
		if err := statement.CheckLabel(l.Name); err != nil {
			t.Errorf("%s: line %s: the name %v", name, l.Name, err)
		}
		if len(l.Value) > 2000 || len(l.Name)+1+len(l.Value) > statement.MaxFact {
			t.Errorf("%s: line %s has %d bytes", name, l.Name, len(l.Value))
		}
	}
}

// serves signs a payload with the test's key, and reads it back.
func serves(t *testing.T, name string, p *evm.Payload) {
	t.Helper()
	uses := p.Uses()
	if len(uses) != 1 || uses[0].Suite != evm.Suite || uses[0].Path != [3]uint32{1, 2, 3} || uses[0].Address != owner(t).String() {
		t.Fatalf("%s: uses %+v", name, uses)
	}
	if want := secondDigest(t, p.Unsigned()); !bytes.Equal(uses[0].Message, want) {
		t.Fatalf("%s: digest %x, go-ethereum has %x", name, uses[0].Message, want)
	}
	signed, err := p.Assemble([]effect.Signature{signatureOf(t, uses[0].Message)})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	again, err := p.ParseSigned(signed.Raw)
	if err != nil || again.ID != signed.ID || !bytes.Equal(again.Raw, signed.Raw) {
		t.Errorf("%s: read back %+v, %v", name, again, err)
	}
	if _, err := p.ParseSigned(append(bytes.Clone(signed.Raw), 0)); err == nil {
		t.Errorf("%s: read back with a trailing byte", name)
	}
	for at := range signed.Raw {
		b := bytes.Clone(signed.Raw)
		b[at] ^= 1
		if _, err := p.ParseSigned(b); err == nil {
			t.Errorf("%s: read back with byte %d changed", name, at)
		}
	}
	if _, ok := transactionID(signed.Raw, signed.ID); !ok && (p.Unsigned()[0] < 5 || p.Unsigned()[0] > 0xbf) {
		t.Errorf("%s: go-ethereum does not read %x as %s", name, signed.Raw, signed.ID)
	}
}

func signatureOf(t testing.TB, digest []byte) effect.Signature {
	t.Helper()
	sig, err := crypto.Sign(digest, testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return effect.Signature{Bytes: [64]byte(sig[:64]), Recovery: sig[64]}
}

// transactionID says whether go-ethereum reads a signed transaction, by its hash, and by the owner.
func transactionID(raw []byte, id evm.Hash) (*types.Transaction, bool) {
	var tx types.Transaction
	if tx.UnmarshalBinary(raw) != nil {
		return nil, false
	}
	from, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx)
	return &tx, err == nil && common.Hash(id) == tx.Hash() && from == crypto.PubkeyToAddress(ownerKey.PublicKey)
}

var ownerKey, _ = crypto.ToECDSA(bytes.Repeat([]byte{0x46}, 32))

// secondDigest is go-ethereum's.
func secondDigest(t testing.TB, unsigned []byte) []byte {
	t.Helper()
	switch unsigned[0] {
	case '{':
		var d apitypes.TypedData
		if err := json.Unmarshal(unsigned, &d); err != nil {
			t.Fatal(err)
		}
		digest, _, err := apitypes.TypedDataAndHash(d)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	case 5:
		p, err := evm.DecodeIn(unsigned, testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string]string{}
		for _, l := range p.Lines() {
			lines[l.Name] = l.Value
		}
		var chain, nonce uint64
		fmt.Sscan(lines["chain-id"], &chain)
		fmt.Sscan(lines["nonce"], &nonce)
		a := types.SetCodeAuthorization{Address: common.HexToAddress(lines["code"]), Nonce: nonce}
		a.ChainID.SetUint64(chain)
		h := a.SigHash()
		return h[:]
	}
	return crypto.Keccak256(unsigned)
}

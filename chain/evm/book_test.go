package evm_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
)

// at is an address of one byte repeated.
func at(b byte) (a evm.Address) {
	copy(a[:], bytes.Repeat([]byte{b}, 20))
	return a
}

// Who stands in the tests' book.
var (
	coinToken  = evm.Address(token) // 0x70…
	otherToken = at(0x71)
	permit2    = at(0x72)
	items      = at(0x81) // ERC-721
	bundles    = at(0x82) // ERC-1155
	router     = at(0x91)
	safe       = at(0xa1)
	delegates  = at(0xb1) // code of EIP-7702
	spender    = at(0xc1)
	nobody     = at(0xee) // in no book
)

const (
	permitType     = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
	permitDAIType  = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)"
	permitOneType  = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	permitManyType = "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	permitMoveType = "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
	giveType       = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
	safeType       = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
	orderType      = "Order(address maker,Part[] parts,string note)Part(address asset,uint256 amount)"

	swap  = "function swap(address to,uint256 amount,bytes note)"
	wrap  = "function wrap(address to) payable"
	batch = "function batch(address[] tos,uint256[] amounts)"
)

func testBook() evm.Book {
	b := evm.Book{
		Chains: []evm.Chain{
			{ID: 1, Coin: "ETH", SLIP44: 60, Dynamic: true, SetCode: true, AccessLists: true},
			{ID: 10, Coin: "ETH", SLIP44: 60, Dynamic: true, DataFee: big.NewInt(500)},
			{ID: 56, Coin: "BNB", SLIP44: 714},
			{ID: 100, Coin: "xDAI", SLIP44: 700, Dynamic: true, AccessLists: true},
		},
		Collections: []evm.Collection{{ChainID: 1, Address: items, Name: "ITEMS", Standard: evm.ERC721}, {ChainID: 1, Address: bundles, Name: "BUNDLES", Standard: evm.ERC1155}},
		Contracts: []evm.Contract{
			{ChainID: 1, Address: router, Name: "ROUTER", Functions: []evm.Function{{Signature: swap}, {Signature: wrap}, {Signature: batch}, {Signature: "function migrate(address to)", Delegate: true}}},
			{ChainID: 1, Address: safe, Name: "SAFE", Functions: []evm.Function{{Signature: "function changeThreshold(uint256 threshold)"}}},
		},
		Documents: []evm.Document{
			{ChainID: 1, Contract: coinToken, Name: "Coin", Version: "2", Type: permitType},
			{ChainID: 1, Contract: coinToken, Name: "Coin", Version: "2", Type: giveType},
			{ChainID: 1, Contract: otherToken, Name: "Other", Version: "1", Type: permitDAIType},
			{ChainID: 1, Contract: permit2, Name: "Permit2", Type: permitOneType},
			{ChainID: 1, Contract: permit2, Name: "Permit2", Type: permitManyType},
			{ChainID: 1, Contract: permit2, Name: "Permit2", Type: permitMoveType},
			{ChainID: 1, Contract: safe, Type: safeType},
			{ChainID: 1, Contract: router, Name: "Router", Salt: &[32]byte{7}, Type: orderType},
		},
		Codes: []evm.Code{{ChainID: 1, Address: delegates, Name: "SOS"}, {ChainID: 1, Name: "none"}},
	}
	for _, chain := range []uint64{1, 10, 56, 100} {
		b.Tokens = append(b.Tokens, evm.Token{ChainID: chain, Address: coinToken, Name: "COIN", Cap: big.NewInt(1_000_000)})
	}
	b.Tokens = append(b.Tokens, evm.Token{ChainID: 1, Address: otherToken, Name: "OTHER"})
	return b
}

// owner is the account of testKey.
func owner(t testing.TB) evm.Address { return addressOf(t, testKey(t)) }

// sponsored is another account of the vault.
func sponsored(t testing.TB) evm.Address {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{0x47}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return addressOf(t, key)
}

func testContext(t testing.TB) evm.Context {
	t.Helper()
	allowed, err := evm.Compile(testBook())
	if err != nil {
		t.Fatal(err)
	}
	return evm.Context{Account: evm.Account{Address: owner(t), Path: [3]uint32{1, 2, 3}}, Vault: []evm.Address{sponsored(t)}, Allowed: allowed}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(*evm.Book)
		reason string
	}{
		"chain 0":                  {func(b *evm.Book) { b.Chains[0].ID = 0 }, "not in 1"},
		"chain above EIP-2294":     {func(b *evm.Book) { b.Chains[0].ID = evm.MaxChainID + 1 }, "not in 1"},
		"chain twice":              {func(b *evm.Book) { b.Chains[1].ID = 1 }, "twice"},
		"coin of Bitcoin":          {func(b *evm.Book) { b.Chains[0].SLIP44 = 0 }, "SLIP 44"},
		"hardened coin":            {func(b *evm.Book) { b.Chains[0].SLIP44 = 1 << 31 }, "SLIP 44"},
		"7702 without 1559":        {func(b *evm.Book) { b.Chains[0].Dynamic = false }, "without EIP-1559"},
		"data fee below 0":         {func(b *evm.Book) { b.Chains[0].DataFee = big.NewInt(-1) }, "data fee"},
		"coin of two words":        {func(b *evm.Book) { b.Chains[0].Coin = "two words" }, "printable ASCII without spaces"},
		"coin with a line feed":    {func(b *evm.Book) { b.Chains[0].Coin = "E\nT" }, "printable"},
		"coin that looks like ETH": {func(b *evm.Book) { b.Chains[0].Coin = "ЕTH" }, "printable"},
		"token of no chain":        {func(b *evm.Book) { b.Tokens[0].ChainID = 5 }, "no chain 5"},
		"token twice":              {func(b *evm.Book) { b.Tokens[0].Address = otherToken }, "another part"},
		"token at 0":               {func(b *evm.Book) { b.Tokens[0].Address = evm.Address{} }, "zero address"},
		"cap of 2²⁵⁵":              {func(b *evm.Book) { b.Tokens[0].Cap = new(big.Int).Lsh(big.NewInt(1), 255) }, "cap"},
		"cap below 0":              {func(b *evm.Book) { b.Tokens[0].Cap = big.NewInt(-1) }, "cap"},
		"token as a collection":    {func(b *evm.Book) { b.Collections[0].Address = coinToken }, "another part"},
		"collection of no kind":    {func(b *evm.Book) { b.Collections[0].Standard = 3 }, "neither"},
		"token as a contract":      {func(b *evm.Book) { b.Contracts[0].Address = coinToken }, "another part"},
		"collection as a contract": {func(b *evm.Book) { b.Contracts[0].Address = items }, "another part"},
		"no functions":             {func(b *evm.Book) { b.Contracts[0].Functions = nil }, "0 functions"},
		"a function twice":         {func(b *evm.Book) { b.Contracts[0].Functions[1].Signature = swap }, "selector"},
		"a wrong function":         {func(b *evm.Book) { b.Contracts[0].Functions[1].Signature = "function f(uint x)" }, "no type"},
		"approve registered": {func(b *evm.Book) {
			b.Contracts[0].Functions[1].Signature = "function approve(address a,uint256 b)"
		}, "cannot be registered"},
		"transfer registered": {func(b *evm.Book) {
			b.Contracts[0].Functions[1].Signature = "function transfer(address a,uint256 b)"
		}, "cannot be registered"},
		"multicall registered": {func(b *evm.Book) { b.Contracts[0].Functions[1].Signature = "function multicall(bytes[] a)" }, "cannot be registered"},
		"upgradeTo registered": {func(b *evm.Book) { b.Contracts[0].Functions[1].Signature = "function upgradeTo(address a)" }, "cannot be registered"},
		"setApprovalForAll registered": {func(b *evm.Book) {
			b.Contracts[0].Functions[1].Signature = "function setApprovalForAll(address a,bool b)"
		}, "cannot be registered"},
		"payable and delegate":          {func(b *evm.Book) { b.Contracts[0].Functions[1].Delegate = true }, "gets no coins"},
		"document of no chain":          {func(b *evm.Book) { b.Documents[0].ChainID = 5 }, "no chain 5"},
		"document twice":                {func(b *evm.Book) { b.Documents[1].Type = permitType }, "twice"},
		"document of nobody":            {func(b *evm.Book) { b.Documents[0].Contract = evm.Address{} }, "zero address"},
		"document of no type":           {func(b *evm.Book) { b.Documents[0].Type = "" }, "1 to 2,048"},
		"document with a typing error":  {func(b *evm.Book) { b.Documents[0].Type = permitType + " " }, "encodeType"},
		"document in another order":     {func(b *evm.Book) { b.Documents[7].Type = "Order(B b,A a)B(bool x)A(bool x)" }, "encodeType"},
		"permit of an unknown token":    {func(b *evm.Book) { b.Documents[0].Contract = nobody }, "does not name"},
		"code where no chain has it":    {func(b *evm.Book) { b.Codes[0].ChainID = 10 }, "no EIP-7702"},
		"code twice":                    {func(b *evm.Book) { b.Codes[1].Address = delegates }, "twice"},
		"code without a name":           {func(b *evm.Book) { b.Codes[0].Name = "" }, "1 to 64"},
		"contract without a name":       {func(b *evm.Book) { b.Contracts[0].Name = "" }, "1 to 64"},
		"collection without a name":     {func(b *evm.Book) { b.Collections[0].Name = "" }, "1 to 64"},
		"more tokens than a book holds": {func(b *evm.Book) { b.Tokens = make([]evm.Token, 1025) }, "more than 1024"},
	} {
		b := testBook()
		c.edit(&b)
		_, err := evm.Compile(b)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v; want %q", name, err, c.reason)
		}
	}
}

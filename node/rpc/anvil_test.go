package rpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/node/rpc"
)

// ether is 10¹⁸ wei in hexadecimal.
const ether = "0xde0b6b3a7640000"

// fixture is a real anvil and a funded plain key in the quorum's place.
type fixture struct {
	node   *anvil.Node
	client *rpc.EVM
	key    *ecdsa.PrivateKey
	from   evm.Address
}

func start(t *testing.T, args ...string) *fixture {
	t.Helper()
	f := plainKey(t)
	f.node = anvil.Start(t, args...)
	f.client = dial(t, f.node.URL, rpc.Options{})
	f.node.SetBalance(t, f.from.String(), ether)
	return f
}

// plainKey is a fixture without a node.
func plainKey(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	var err error
	if f.key, err = crypto.ToECDSA(bytes.Repeat([]byte{0x46}, 32)); err != nil {
		t.Fatal(err)
	}
	if f.from, err = evm.AddressOf(crypto.CompressPubkey(&f.key.PublicKey)); err != nil {
		t.Fatal(err)
	}
	return f
}

func dial(t testing.TB, url string, o rpc.Options) *rpc.EVM {
	t.Helper()
	client, err := rpc.NewEVM(url, o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

var payee = evm.Address(bytes.Repeat([]byte{0x35}, 20))

// complete fills a request in from the chain, or fails the test.
func (f *fixture) complete(t *testing.T, r evm.Request) evm.Request {
	t.Helper()
	r, err := f.client.Complete(t.Context(), f.from, r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decode(t *testing.T, r evm.Request) *evm.Transaction {
	t.Helper()
	unsigned, err := evm.Build(r)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := evm.Decode(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func (f *fixture) sign(t *testing.T, r evm.Request) *evm.Signed {
	t.Helper()
	tx := decode(t, r)
	digest := tx.Digest()
	sig, err := crypto.Sign(digest[:], f.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := tx.Assemble(f.from, [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// ticker polls fast: anvil mines at once.
func ticker(t *testing.T) <-chan time.Time {
	ticks := time.NewTicker(2 * time.Millisecond)
	t.Cleanup(ticks.Stop)
	return ticks.C
}

// settle broadcasts twice, which is success twice, and waits for the receipt.
func (f *fixture) settle(t *testing.T, signed *evm.Signed) rpc.Receipt {
	t.Helper()
	for range 2 {
		hash, err := f.client.SendRaw(t.Context(), signed.Raw)
		if err != nil || hash != signed.Hash {
			t.Fatalf("send: %s, %v; want %s", hash, err, signed.Hash)
		}
	}
	receipt, err := f.client.Wait(t.Context(), signed.Hash, 1, ticker(t))
	if err != nil {
		t.Fatal(err)
	}
	if !receipt.Success || receipt.Hash != signed.Hash || receipt.Block == 0 || receipt.GasUsed == 0 {
		t.Fatalf("receipt %+v", receipt)
	}
	return receipt
}

func TestNativeTransfer(t *testing.T) {
	f := start(t)
	for _, kind := range []evm.Kind{evm.Dynamic, evm.Legacy} {
		t.Run(kind.String(), func(t *testing.T) {
			before, err := f.client.Balance(t.Context(), payee)
			if err != nil {
				t.Fatal(err)
			}
			r := f.complete(t, evm.Request{Kind: kind, To: payee, Amount: big.NewInt(12345)})
			if r.ChainID != 31337 || r.Gas != 21000 {
				t.Errorf("completed as %+v", r)
			}
			if err := f.client.Check(t.Context(), f.from, decode(t, r).Facts(), rpc.Limits{FeeCap: r.FeeCap}); err != nil {
				t.Errorf("check: %v", err)
			}
			signed := f.sign(t, r)
			f.settle(t, signed)
			after, err := f.client.Balance(t.Context(), payee)
			if err != nil || new(big.Int).Sub(after, before).Int64() != 12345 {
				t.Errorf("payee has %v after %v, %v", after, before, err)
			}
			known, found, err := f.client.TransactionByHash(t.Context(), signed.Hash)
			if err != nil || !found || known.From != f.from || known.Nonce != r.Nonce || known.Block == nil {
				t.Errorf("looked up: %+v, %v, %v", known, found, err)
			}
		})
	}
}

// A real chain's blocks: that of a receipt, the latest, one ahead, and another hash.
func TestBlocks(t *testing.T) {
	f := start(t)
	receipt := f.settle(t, f.sign(t, f.complete(t, evm.Request{To: payee, Amount: big.NewInt(1)})))
	is := rpc.Block{Height: receipt.Block, Hash: receipt.BlockHash}
	if b, found, err := f.client.Block(t.Context(), &is.Height); err != nil || !found || b != is {
		t.Errorf("block of the receipt: %+v, %v, %v; want %+v", b, found, err, is)
	}
	if b, found, err := f.client.Block(t.Context(), nil); err != nil || !found || b.Height < is.Height {
		t.Errorf("latest: %+v, %v, %v", b, found, err)
	}
	if err := f.client.CheckBlock(t.Context(), 31337, is); err != nil {
		t.Error(err)
	}
	var mismatch *rpc.Mismatch
	other := rpc.Block{Height: is.Height, Hash: evm.Hash{1}}
	if err := f.client.CheckBlock(t.Context(), 31337, other); !errors.As(err, &mismatch) || mismatch.Field != rpc.FieldBlock {
		t.Errorf("another hash: %v", err)
	}
	var behind *rpc.Behind
	if err := f.client.CheckBlock(t.Context(), 31337, rpc.Block{Height: 1 << 40, Hash: is.Hash}); !errors.As(err, &behind) {
		t.Errorf("ahead: %v", err)
	}
}

func TestTokenTransfer(t *testing.T) {
	f := start(t)
	token, err := evm.ParseAddress(f.node.DeployToken(t, big.NewInt(1_000_000)))
	if err != nil {
		t.Fatal(err)
	}
	f.node.GiveToken(t, token.String(), f.from.String(), big.NewInt(500))
	ctx := t.Context()

	if decimals, err := f.client.TokenDecimals(ctx, token); err != nil || decimals != anvil.TokenDecimals {
		t.Errorf("decimals %d, %v", decimals, err)
	}
	r := f.complete(t, evm.Request{Token: &token, To: payee, Amount: big.NewInt(120)})
	if err := f.client.Check(ctx, f.from, decode(t, r).Facts(), rpc.Limits{}); err != nil {
		t.Errorf("check: %v", err)
	}
	if receipt := f.settle(t, f.sign(t, r)); receipt.GasUsed >= r.Gas {
		t.Errorf("used %d of %d gas: the estimate leaves no margin", receipt.GasUsed, r.Gas)
	}
	for account, want := range map[evm.Address]int64{payee: 120, f.from: 380} {
		if balance, err := f.client.TokenBalance(ctx, token, account); err != nil || balance.Int64() != want {
			t.Errorf("token balance of %s: %v, %v; want %d", account, balance, err, want)
		}
	}

	r.Nonce, r.Amount = r.Nonce+1, big.NewInt(381)
	wantMismatch(t, f.client.Check(ctx, f.from, decode(t, r).Facts(), rpc.Limits{}), rpc.FieldToken, "at least 381", "380")
	if _, err := f.client.Complete(ctx, f.from, r); !isCallError(err) {
		t.Errorf("estimate of a transfer that reverts: %v", err)
	}
	// an address without code is no token
	r.Token, r.Amount = &payee, big.NewInt(1)
	r.To = f.from
	wantMismatch(t, f.client.Check(ctx, f.from, decode(t, r).Facts(), rpc.Limits{}), rpc.FieldToken, "an ERC-20 contract", "0 bytes")
}

func isCallError(err error) bool {
	var refusal *rpc.CallError
	return errors.As(err, &refusal)
}

// wantMismatch wants exactly one Mismatch, about field.
func wantMismatch(t *testing.T, err error, field rpc.Field, expected, found string) {
	t.Helper()
	var m *rpc.Mismatch
	if !errors.As(err, &m) {
		t.Fatalf("%v is no mismatch of %s", err, field)
	}
	if m.Field != field || !strings.Contains(m.Expected, expected) || !strings.Contains(m.Found, found) || m.Next == "" {
		t.Errorf("mismatch %q, want field %s, expected %q, found %q", m, field, expected, found)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one mismatch: %v", err)
	}
}

func TestCheckMismatches(t *testing.T) {
	f := start(t)
	good := f.complete(t, evm.Request{To: payee, Amount: big.NewInt(1)})
	limit := new(big.Int).Sub(good.FeeCap, big.NewInt(1))
	huge, _ := new(big.Int).SetString(ether[2:], 16)
	for _, c := range []struct {
		name            string
		edit            func(*evm.Request)
		limits          rpc.Limits
		field           rpc.Field
		expected, found string
	}{
		{"chain id", func(r *evm.Request) { r.ChainID = 1 }, rpc.Limits{}, rpc.FieldChainID, "31337", "1"},
		{"fee cap above the limit", func(*evm.Request) {}, rpc.Limits{FeeCap: limit}, rpc.FieldFeeCap, limit.String(), good.FeeCap.String()},
		{"fee cap below the base fee", func(r *evm.Request) { r.FeeCap, r.TipCap = big.NewInt(7), nil }, rpc.Limits{}, rpc.FieldFeeCap, "base fee", "7 wei"},
		{"balance", func(r *evm.Request) { r.Amount = huge }, rpc.Limits{}, rpc.FieldBalance, "1000", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good
			c.edit(&r)
			wantMismatch(t, f.client.Check(t.Context(), f.from, decode(t, r).Facts(), c.limits), c.field, c.expected, c.found)
		})
	}
	later := good
	later.Nonce, later.Amount = 7, huge // what else does not fit is looked at when its turn has come
	var ahead *rpc.Ahead
	if err := f.client.Check(t.Context(), f.from, decode(t, later).Facts(), rpc.Limits{}); !errors.As(err, &ahead) || ahead.Nonce != 7 || ahead.Next != 0 ||
		!strings.HasPrefix(err.Error(), fmt.Sprintf("awaits nonce 7: the account %s is at 0; ", f.from)) {
		t.Errorf("a nonce that is not reached yet: %v", err)
	}
	f.settle(t, f.sign(t, good))
	wantMismatch(t, f.client.Check(t.Context(), f.from, decode(t, good).Facts(), rpc.Limits{}), rpc.FieldNonce, "1", "0")
	wantMismatch(t, f.client.Check(t.Context(), f.from, decode(t, good).Facts(), rpc.Limits{Replacing: true}), rpc.FieldNonce, "1 at least", "0")
	if err := f.client.Check(t.Context(), f.from, decode(t, later).Facts(), rpc.Limits{Replacing: true}); !errors.As(err, &ahead) || ahead.Next != 1 {
		t.Errorf("a replacement whose nonce is not reached yet: %v", err)
	}
	f.replaced(t, good)

	both := good
	both.Amount = huge // wrong nonce and short balance: both are named
	err := f.client.Check(t.Context(), f.from, decode(t, both).Facts(), rpc.Limits{})
	if err == nil || !strings.Contains(err.Error(), "nonce: ") || !strings.Contains(err.Error(), "balance: ") {
		t.Errorf("two mismatches: %v", err)
	}
}

// replaced: a transaction that waits keeps its nonce from an ordinary one, and from none that replaces it.
func (f *fixture) replaced(t *testing.T, r evm.Request) {
	t.Helper()
	f.node.Call(t, nil, "evm_setAutomine", false)
	r.Nonce = 1
	if _, err := f.client.SendRaw(t.Context(), f.sign(t, r).Raw); err != nil {
		t.Fatal(err)
	}
	r.FeeCap, r.TipCap = evm.Bumped(r.FeeCap), evm.Bumped(r.TipCap)
	wantMismatch(t, f.client.Check(t.Context(), f.from, decode(t, r).Facts(), rpc.Limits{}), rpc.FieldNonce, "2", "1")
	if err := f.client.Check(t.Context(), f.from, decode(t, r).Facts(), rpc.Limits{Replacing: true}); err != nil {
		t.Error(err)
	}
	f.node.Call(t, nil, "anvil_mine", "0x1")
	f.node.Call(t, nil, "evm_setAutomine", true)
	wantMismatch(t, f.client.Check(t.Context(), f.from, decode(t, r).Facts(), rpc.Limits{Replacing: true}), rpc.FieldNonce, "2 at least", "1")
}

func TestSendRejected(t *testing.T) {
	f := start(t)
	first := f.complete(t, evm.Request{To: payee, Amount: big.NewInt(1)})
	f.settle(t, f.sign(t, first))

	t.Run("nonce used", func(t *testing.T) {
		again := first
		again.Amount = big.NewInt(2)
		_, err := f.client.SendRaw(t.Context(), f.sign(t, again).Raw)
		wantRejected(t, err)
		wantMismatch(t, err, rpc.FieldNonce, "1 or more", "0")
	})
	t.Run("balance too small", func(t *testing.T) {
		short := first
		short.Nonce++
		short.Amount, _ = new(big.Int).SetString(ether[2:], 16)
		_, err := f.client.SendRaw(t.Context(), f.sign(t, short).Raw)
		wantRejected(t, err)
		wantMismatch(t, err, rpc.FieldBalance, "at least", "wei")
	})
	t.Run("another chain", func(t *testing.T) {
		foreign := first
		foreign.ChainID = 1
		_, err := f.client.SendRaw(t.Context(), f.sign(t, foreign).Raw)
		wantMismatch(t, err, rpc.FieldChainID, "31337", "1")
		if isCallError(err) {
			t.Errorf("%v: the bytes left", err)
		}
	})
	t.Run("not a transaction of ours", func(t *testing.T) {
		var refused *evm.Refused
		if _, err := f.client.SendRaw(t.Context(), []byte{1, 2, 3}); !errors.As(err, &refused) {
			t.Errorf("sent rubbish: %v", err)
		}
	})
}

func wantRejected(t *testing.T, err error) {
	t.Helper()
	var rejected *rpc.Rejected
	if !errors.As(err, &rejected) || !isCallError(err) {
		t.Fatalf("%v is no rejection", err)
	}
}

func TestWait(t *testing.T) {
	f := start(t, "--no-mining")
	signed := f.sign(t, f.complete(t, evm.Request{To: payee, Amount: big.NewInt(1)}))
	for range 2 { // in the pool it is known as well
		if _, err := f.client.SendRaw(t.Context(), signed.Raw); err != nil {
			t.Fatal(err)
		}
	}
	if nonce, err := f.client.PendingNonce(t.Context(), f.from); err != nil || nonce != 1 {
		t.Errorf("pending nonce %d, %v", nonce, err)
	}
	if nonce, err := f.client.MinedNonce(t.Context(), f.from); err != nil || nonce != 0 {
		t.Errorf("mined nonce %d, %v", nonce, err)
	}
	if known, found, err := f.client.TransactionByHash(t.Context(), signed.Hash); err != nil || !found || known.Block != nil {
		t.Errorf("in the pool: %+v, %v, %v", known, found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.client.Wait(ctx, signed.Hash, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled wait: %v", err)
	}

	ticks := make(chan time.Time)
	type outcome struct {
		receipt rpc.Receipt
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		receipt, err := f.client.Wait(t.Context(), signed.Hash, 3, ticks)
		done <- outcome{receipt, err}
	}()
	ticks <- time.Time{} // taken after a poll that saw nothing mined
	f.node.Mine(t, 2)
	ticks <- time.Time{} // taken after a poll that saw two of three at most
	f.node.Mine(t, 1)
	var got outcome
	select {
	case ticks <- time.Time{}: // taken after a poll that still saw two
		got = <-done
	case got = <-done:
	}
	if got.err != nil || got.receipt.Block != 1 || !got.receipt.Success {
		t.Errorf("waited: %+v", got)
	}
	if head, err := f.client.BlockNumber(t.Context()); err != nil || head != 3 {
		t.Errorf("head %d, %v", head, err)
	}
}

func TestFaucet(t *testing.T) {
	f := start(t)
	accounts, err := f.client.Accounts(t.Context())
	if err != nil || len(accounts) == 0 {
		t.Fatalf("accounts %v, %v", accounts, err)
	}
	hash, err := f.client.SendTransaction(t.Context(), rpc.Message{From: accounts[0], To: payee, Value: big.NewInt(77)})
	if err != nil {
		t.Fatal(err)
	}
	if receipt, err := f.client.Wait(t.Context(), hash, 1, ticker(t)); err != nil || !receipt.Success {
		t.Errorf("receipt %+v, %v", receipt, err)
	}
	if balance, err := f.client.Balance(t.Context(), payee); err != nil || balance.Int64() != 77 {
		t.Errorf("balance %v, %v", balance, err)
	}
	if _, found, err := f.client.Receipt(t.Context(), evm.Hash{1}); found || err != nil {
		t.Errorf("receipt of nothing: %v, %v", found, err)
	}
}

func TestUnreachable(t *testing.T) {
	f := start(t)
	f.node.Stop()
	var endpoint *rpc.EndpointError
	_, err := f.client.ChainID(t.Context())
	if !errors.As(err, &endpoint) || !strings.Contains(err.Error(), f.node.URL) || endpoint.Next == "" {
		t.Errorf("stopped node: %v", err)
	}
}

package sol_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

const mainnet = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

var (
	vault, payee, nobody = litesvm.Private("vault"), solana.Key(litesvm.Address(litesvm.Private("payee"))), solana.Key(litesvm.Address(litesvm.Private("nobody")))
	own                  = solana.Key(litesvm.Address(vault))
)

func dial(t testing.TB, urls ...string) *sol.Panel {
	t.Helper()
	p, err := sol.NewPanel(urls, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// both is one node under two names: a panel of two that agree.
func both(t testing.TB, n *litesvm.Node) *sol.Panel {
	t.Helper()
	return dial(t, n.URL, strings.Replace(n.URL, "127.0.0.1", "localhost", 1))
}

// table is the data of a lookup table that is in use.
func table(keys ...solana.Key) []byte {
	b := make([]byte, 56)
	binary.LittleEndian.PutUint32(b, 1)
	binary.LittleEndian.PutUint64(b[4:], ^uint64(0)) // not being closed
	for _, k := range keys {
		b = append(b, k[:]...)
	}
	return b
}

var (
	tables    = mustKey("AddressLookupTab1e1111111111111111111111111")
	tableAt   = solana.Key(litesvm.Address(litesvm.Private("table")))
	largeAt   = solana.Key(litesvm.Address(litesvm.Private("large")))
	strangeAt = solana.Key(litesvm.Address(litesvm.Private("strange")))
)

func mustKey(text string) solana.Key {
	k, err := solana.ParseKey(text)
	if err != nil {
		panic(err)
	}
	return k
}

func TestChain(t *testing.T) {
	n := litesvm.Start(t)
	p, ctx := both(t, n), t.Context()
	if err := p.CheckChain(ctx, litesvm.Chain); err != nil {
		t.Error(err)
	}
	var m *rpc.Mismatch
	if err := p.CheckChain(ctx, mainnet); !errors.As(err, &m) || m.Field != rpc.FieldChainID || !strings.Contains(err.Error(), litesvm.Chain) || m.Next == "" {
		t.Errorf("another chain: %v", err)
	}
	slot := n.Warp(t, 7)
	if h, err := p.Height(ctx); err != nil || h != slot-litesvm.Empty {
		t.Errorf("height %d, %v at slot %d", h, err, slot)
	}
	h, err := p.Members()[0].Health(ctx)
	if err != nil || h.Chain != litesvm.Chain || h.Height != slot-litesvm.Empty || h.At.Unix() != n.Time(t) {
		t.Errorf("health %+v, %v", h, err)
	}
	for size, want := range map[uint64]uint64{0: 890_880, 80: solana.NonceRent, 165: (128 + 165) * 6_960} {
		if rent, err := p.MinimumRent(ctx, size); err != nil || rent != want {
			t.Errorf("%d bytes must hold %d, %v; want %d", size, rent, err, want)
		}
	}
	if rent, err := p.MinimumRent(ctx, 10<<20+1); err == nil {
		t.Errorf("more bytes than any account has: %d", rent)
	}
}

func TestBlockhash(t *testing.T) {
	n := litesvm.Start(t)
	p, ctx := both(t, n), t.Context()
	b, err := p.LatestBlockhash(ctx)
	if height, _ := p.Height(ctx); err != nil || b.Hash != n.Blockhash(t) || b.Last != height+150 {
		t.Errorf("latest %+v, %v", b, err)
	}
	for _, want := range []bool{true, false} {
		if valid, err := p.BlockhashValid(ctx, b.Hash); err != nil || valid != want {
			t.Errorf("valid: %t, %v; want %t", valid, err, want)
		}
		n.ExpireBlockhash(t)
	}
	if next, err := p.LatestBlockhash(ctx); err != nil || next.Hash == b.Hash {
		t.Errorf("the next: %+v, %v", next, err)
	}
}

// Accounts are read as decoding needs them; balances are one endpoint's word, and not what many agree on.
func TestAccounts(t *testing.T) {
	n := litesvm.Start(t)
	p, ctx := both(t, n), t.Context()
	n.Airdrop(t, payee, 1_234_567)
	plain, taxed := n.Mint(t, 6), n.MintWithFee(t, 2, 100, 5_000)
	held, heldTaxed := n.Give(t, plain, payee, 987_654), n.Give(t, taxed, payee, 321)
	n.SetAccount(t, tableAt, litesvm.Account{Lamports: 1e9, Owner: tables, Data: table(payee, own)})
	n.SetAccount(t, largeAt, litesvm.Account{Lamports: 1e9, Owner: solana.System, Data: make([]byte, sol.MaxData+1)})
	broken := append(bytes.Repeat([]byte{0}, 165), 1, 14, 0, 255, 0) // a mint whose transfer hook is longer than it
	broken[45] = 1
	n.SetAccount(t, strangeAt, litesvm.Account{Lamports: 1e9, Owner: solana.Token2022, Data: broken})
	keys := []solana.Key{payee, nobody, plain.Mint, taxed.Mint, held, heldTaxed, solana.SPLToken, tableAt, largeAt}
	one, err := p.Members()[0].Accounts(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Accounts(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"a wallet", "a wallet", "a mint of spl-token with 6 decimals", "a mint of token-2022 with 2 decimals and transfer-fee",
		"a token account of spl-token for mint " + litesvm.Text(plain.Mint) + ", owned by " + payee.String(),
		"a token account of token-2022 for mint " + litesvm.Text(taxed.Mint) + ", owned by " + payee.String(),
		"an account of another kind, owned by BPFLoaderUpgradeab1e11111111111111111111111", "an account of another kind, owned by " + tables.String(),
		"an account of another kind, owned by " + solana.System.String(),
	} {
		a, err := one[i].Read()
		b, panelErr := all[i].Read()
		if err != nil || panelErr != nil || a.String() != want || b.String() != want || all[i].Lamports != one[i].Lamports || all[i].Size != one[i].Size {
			t.Errorf("%s is %s, %v, and %s, %v to all; want %s", keys[i], a, err, b, panelErr, want)
		}
	}
	amount := func(a sol.Account, at int) uint64 { return binary.LittleEndian.Uint64(a.Data[at:]) }
	if one[0].Lamports != 1_234_567 || one[1].Lamports != 0 || amount(one[2], 36) != 987_654 || amount(one[4], 64) != 987_654 || amount(one[5], 64) != 321 {
		t.Error("one endpoint's balances are not there")
	}
	if amount(all[2], 36) != 0 || amount(all[4], 64) != 0 || amount(all[5], 64) != 0 || all[6].Data != nil || one[8].Data != nil || one[8].Size != sol.MaxData+1 {
		t.Error("something stands where nothing is agreed on")
	}
	if keys, err := all[7].Table(); err != nil || len(keys) != 2 || keys[1] != own {
		t.Errorf("the table has %v, %v", keys, err)
	}
	if keys, err := all[2].Table(); err == nil {
		t.Errorf("a mint is a table of %v", keys)
	}
	forged := sol.Account{Owner: payee, Size: 56, Data: table()}
	if keys, err := forged.Table(); err == nil || !strings.Contains(err.Error(), "is none") {
		t.Errorf("anybody's account is a table of %v: %v", keys, err)
	}
	for _, many := range []int{0, sol.MaxAccounts + 1} {
		if _, err := p.Accounts(ctx, make([]solana.Key, many)); err == nil || !strings.Contains(err.Error(), "want 1 to 100") {
			t.Errorf("%d accounts are read: %v", many, err)
		}
	}

	hash, old := n.ExpireBlockhash(t), n.Blockhash(t)
	r, err := p.Readings(ctx, []solana.Read{{Address: plain.Mint}, {Address: tableAt, Table: true}, {Address: plain.Mint, Table: true}, {Address: strangeAt}}, hash)
	if err != nil || !r.Recent(hash) || r.Recent(solana.Key{1}) || hash != old {
		t.Errorf("readings %+v, %v", r, err)
	}
	if a, ok := r.Account(plain.Mint); !ok || a.Decimals != 6 {
		t.Errorf("the mint is %s, %t", a, ok)
	}
	if a, ok := r.Account(strangeAt); ok {
		t.Errorf("what contradicts itself is %s", a)
	}
	_, is := r.Table(tableAt)
	if _, no := r.Table(plain.Mint); !is || no {
		t.Errorf("tables %v", r.Tables)
	}
	if r, err := p.Readings(ctx, nil, solana.Key{}); err != nil || len(r.Recents) != 0 {
		t.Errorf("nothing is asked, and answered with %+v, %v", r, err)
	}
}

// build builds a request as an initiator does, reading what is asked for, decodes it as every node does, and signs it.
func build(t *testing.T, p *sol.Panel, r solana.Request) (raw []byte) {
	t.Helper()
	_, raw = decoded(t, p, r)
	return raw
}

// decoded is build, with what nodes decode.
func decoded(t *testing.T, p *sol.Panel, r solana.Request) (*solana.Transaction, []byte) {
	t.Helper()
	c := solana.Context{Chain: litesvm.Chain, Own: func(k solana.Key) ([3]uint32, bool) { return [3]uint32{}, k == own }}
	hash := r.Blockhash
	if r.Nonce != nil {
		hash = solana.Key{}
	}
	var unsigned []byte
	for needs := []solana.Read(nil); unsigned == nil; {
		world, err := p.Readings(t.Context(), needs, hash)
		if err != nil {
			t.Fatal(err)
		}
		c.World = world
		unsigned, err = solana.Build(r, c)
		need, unread := solana.IsUnread(err)
		if err != nil && !unread {
			t.Fatal(err)
		}
		needs = append(needs, need)
	}
	needs, err := solana.Needs(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	if c.World, err = p.Readings(t.Context(), needs, hash); err != nil {
		t.Fatal(err)
	}
	tx, err := solana.Decode(unsigned, c)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := tx.Assemble([]effect.Signature{{Bytes: [64]byte(ed25519.Sign(vault, tx.Message()))}})
	if err != nil {
		t.Fatal(err)
	}
	return tx, signed.Raw
}

// lands sends twice, and finds what was sent.
func lands(t *testing.T, p *sol.Panel, raw []byte) {
	t.Helper()
	var id sol.Signature
	for range 2 {
		var err error
		if id, err = p.Send(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := p.Status(t.Context(), id); err != nil || s.Level != sol.Finalized || s.Err != "" || s.Slot == 0 {
		t.Fatalf("%s: %+v, %v", id, s, err)
	}
}

// What the room builds and every node decodes by its own readings lands on the real runtime, and does there what its lines say.
func TestPayments(t *testing.T) {
	n := litesvm.Start(t)
	p := both(t, n)
	n.Airdrop(t, own, 10_000_000_000)
	plain, taxed := n.Mint(t, 6), n.MintWithFee(t, 2, 100, 5_000)
	n.Give(t, plain, own, 1_000)
	n.Give(t, taxed, own, 1_000)
	account := func(of litesvm.Token, wallet solana.Key) solana.Key {
		k, err := solana.AssociatedAccount(wallet, of.Mint, of.Program)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	holds := func(of litesvm.Token) uint64 {
		t.Helper()
		all, err := p.Members()[1].Accounts(t.Context(), []solana.Key{account(of, payee)})
		if err != nil || len(all[0].Data) < 72 {
			t.Fatalf("the payee has no account: %v", err)
		}
		return binary.LittleEndian.Uint64(all[0].Data[64:])
	}
	tokens := func(of litesvm.Token, fee *uint64) []solana.Step {
		steps, err := solana.Pay(solana.TokenPayment{Program: of.Program, Mint: of.Mint, Owner: own, Wallet: payee, Amount: 400, Decimals: of.Decimals, Fee: fee, Open: true})
		if err != nil {
			t.Fatal(err)
		}
		return steps
	}
	request := func(steps ...solana.Step) solana.Request {
		return solana.Request{Payer: own, Blockhash: n.Blockhash(t), UnitLimit: 200_000, UnitPrice: 1_000, Steps: steps}
	}
	r := request(solana.Transfer(own, payee, 3_000_000))
	r.Memo = "Rechnung 17"
	lands(t, p, build(t, p, r))
	if has := n.Balance(t, payee); has != 3_000_000 {
		t.Errorf("the payee has %d lamports", has)
	}
	r = request(tokens(plain, nil)...)
	n.SetAccount(t, tableAt, litesvm.Account{Lamports: 1e9, Owner: tables, Data: table(plain.Mint, payee, account(plain, payee))})
	n.Warp(t, 1)
	r.Blockhash, r.Tables = n.Blockhash(t), map[solana.Key][]solana.Key{tableAt: {plain.Mint, payee, account(plain, payee)}}
	raw := build(t, p, r)
	if lands(t, p, raw); holds(plain) != 400 || !bytes.Contains(raw, tableAt[:]) || bytes.Contains(raw, plain.Mint[:]) {
		t.Errorf("the payee has %d tokens", holds(plain))
	}
	fee := uint64(4)
	if lands(t, p, build(t, p, request(tokens(taxed, &fee)...))); holds(taxed) != 396 {
		t.Errorf("the payee has %d tokens less the fee", holds(taxed))
	}
	nonce, steps, err := solana.CreateNonce(own, own, "nonce-1", own, solana.NonceRent)
	if err != nil {
		t.Fatal(err)
	}
	lands(t, p, build(t, p, request(steps...)))
	made, err := p.Accounts(t.Context(), []solana.Key{nonce})
	if err != nil {
		t.Fatal(err)
	}
	is, err := made[0].Read()
	if err != nil || is.Kind != solana.NonceAccount {
		t.Fatalf("%s, %v", is, err)
	}
	r = request(solana.Transfer(own, payee, 1))
	r.Blockhash, r.Nonce, r.Authority = is.Nonce, &nonce, own
	durable := build(t, p, r)
	n.Warp(t, 1_000)
	lands(t, p, durable)
	if all, err := p.Accounts(t.Context(), []solana.Key{nonce}); err != nil || bytes.Equal(all[0].Data, made[0].Data) || n.Balance(t, payee) != 3_000_001 {
		t.Errorf("the nonce did not move on: %v", err)
	}
}

// transfer is a payment of SOL by the vault.
func transfer(hash solana.Key, lamports, price uint64) []byte {
	data := binary.LittleEndian.AppendUint64([]byte{2, 0, 0, 0}, lamports)
	return litesvm.Sign(hash, []ed25519.PrivateKey{vault},
		litesvm.Instruction{Program: solana.ComputeBudget, Data: binary.LittleEndian.AppendUint64([]byte{3}, price)},
		litesvm.Instruction{Program: solana.System, Accounts: []litesvm.Meta{{Key: own, Signer: true, Writable: true}, {Key: payee, Writable: true}}, Data: data})
}

// What the chain refuses is Rejected, and a dead blockhash is told as what it is.
func TestSendRefused(t *testing.T) {
	n := litesvm.Start(t)
	p, ctx := both(t, n), t.Context()
	n.Airdrop(t, own, 5_000_000_000)
	var rejected *rpc.Rejected
	var m *rpc.Mismatch
	if id, err := p.Send(ctx, transfer(n.Blockhash(t), 6_000_000_000, 0)); !errors.As(err, &rejected) || rejected.Why != nil || !strings.Contains(err.Error(), "Custom") {
		t.Errorf("more than there is: %s, %v", id, err)
	}
	dead := solana.Key{7}
	if id, err := p.Send(ctx, transfer(dead, 1, 0)); !errors.As(err, &rejected) || !errors.As(err, &m) || m.Field != sol.FieldBlockhash || m.Found != dead.String() {
		t.Errorf("another blockhash: %s, %v", id, err)
	}
	good := transfer(n.Blockhash(t), 2_000_000, 70_000)
	lands(t, p, good)
	n.ExpireBlockhash(t)
	if lands(t, p, good); n.Balance(t, payee) != 2_000_000 { // it is known, though it could not land any more
		t.Errorf("the payee has %d", n.Balance(t, payee))
	}
	forged := bytes.Clone(good)
	forged[5] ^= 1
	if id, err := p.Send(ctx, forged); err == nil || errors.As(err, &rejected) {
		t.Errorf("a forged signature leaves as %s: %v", id, err)
	}
	if s, err := p.Status(ctx, sol.Signature{5}); err != nil || s != (sol.Status{}) {
		t.Errorf("nobody's: %+v, %v", s, err)
	}
	var id sol.Signature
	n.Call(t, &id, "sendTransaction", base64.StdEncoding.EncodeToString(transfer(n.Blockhash(t), 6_000_000_000, 90_000)), map[string]any{"encoding": "base64", "skipPreflight": true})
	if s, err := p.Status(ctx, id); err != nil || s.Level != sol.Finalized || s.Err != `{"InstructionError":[1,{"Custom":1}]}` {
		t.Errorf("what failed on the chain: %+v, %v", s, err)
	}
}

func TestPriorityFee(t *testing.T) {
	n := litesvm.Start(t)
	p, ctx := both(t, n), t.Context()
	n.Airdrop(t, own, 5_000_000_000)
	if price, err := p.Members()[0].PriorityFee(ctx, []solana.Key{own}); !errors.Is(err, sol.ErrSilent) {
		t.Errorf("nobody paid: %d, %v", price, err)
	}
	for i, c := range []struct{ paid, want uint64 }{{0, sol.FallbackPrice}, {70_000, 70_000}, {30_000, 30_000}, {50_000, 50_000}, {1, 30_000}, {2, 30_000}, {3, 3}} {
		n.Send(t, transfer(n.Blockhash(t), uint64(1_000_000+i), c.paid))
		if price, err := p.PriorityFee(ctx, []solana.Key{own, payee}); err != nil || price != max(c.want, sol.FallbackPrice) {
			t.Errorf("after %d: %d, %v; want %d", c.paid, price, err, c.want)
		}
	}
	if price, err := p.Members()[1].PriorityFee(ctx, nil); err != nil || price != 3 {
		t.Errorf("of one endpoint: %d, %v", price, err)
	}
	if price, err := p.PriorityFee(ctx, make([]solana.Key, sol.MaxAccounts+1)); err == nil {
		t.Errorf("of too many accounts: %d", price)
	}
}

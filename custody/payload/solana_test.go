package payload

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
)

const devnet = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

func keyOf(t *testing.T, text string) solana.Key {
	t.Helper()
	k, err := solana.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// asked is the payload of a request, by what its initiator read.
func asked(t *testing.T, r solana.Request, world solana.Readings) *Solana {
	t.Helper()
	raw, err := solana.Build(r, SolanaContext(devnet, r.Payer, [3]uint32{}, world))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(intent.Intent{Chain: devnet, Address: r.Payer.String(), Purpose: intent.PurposeTransaction, Transaction: raw}, "", Context{})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Solana)
}

// A table whose last place that is asked for is System's key, which is zero, is waited for like any other.
func TestTableThatEndsWithSystem(t *testing.T) {
	own, payee, mint, table := keyOf(t, "4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS"), keyOf(t, "9B5XszUGdMaxCZ7uSQhPzdks5ZQSmWxrmzCSvtJ6Ns6g"), keyOf(t, "SysvarC1ock11111111111111111111111111111111"), keyOf(t, "Sysvar1111111111111111111111111111111111111")
	open, err := solana.Open(own, payee, mint, solana.SPLToken)
	if err != nil {
		t.Fatal(err)
	}
	world := func(all ...solana.Key) solana.Readings {
		return solana.Readings{Accounts: map[solana.Key]solana.Account{payee: {}, mint: {Kind: solana.Mint, Program: solana.SPLToken}}, Tables: map[solana.Key][]solana.Key{table: all}, Recents: map[solana.Key]bool{{5}: true}}
	}
	all := []solana.Key{payee, mint, solana.System}
	s := asked(t, solana.Request{Payer: own, Blockhash: solana.Key{5}, Steps: []solana.Step{open}, Tables: map[solana.Key][]solana.Key{table: all}}, world(all...))
	if err := s.Early(world(all...)); err != nil {
		t.Errorf("as it is: %v", err)
	}
	if err := s.Compare(world(all...)); err != nil {
		t.Errorf("as it is: %v", err)
	}
	if err := s.Early(world(all[:2]...)); err == nil || !strings.Contains(err.Error(), "has not all of its addresses yet") {
		t.Errorf("as it was: %v", err)
	}
}

// What was thawed a moment ago is frozen where a node reads that is some blocks behind, and the other way round: it waits. Another owner, or mint, is a lie.
func TestThawedAMomentAgo(t *testing.T) {
	own, payee, mint := keyOf(t, "4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS"), keyOf(t, "9B5XszUGdMaxCZ7uSQhPzdks5ZQSmWxrmzCSvtJ6Ns6g"), keyOf(t, "SysvarC1ock11111111111111111111111111111111")
	steps, err := solana.Pay(solana.TokenPayment{Program: solana.SPLToken, Mint: mint, Owner: own, Wallet: payee, Amount: 5})
	if err != nil {
		t.Fatal(err)
	}
	at := func(wallet solana.Key) solana.Key {
		k, err := solana.AssociatedAccount(wallet, mint, solana.SPLToken)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	world := func(change func(a *solana.Account)) solana.Readings {
		theirs := solana.Account{Kind: solana.TokenAccount, Program: solana.SPLToken, Mint: mint, Owner: payee}
		change(&theirs)
		return solana.Readings{Recents: map[solana.Key]bool{{5}: true}, Accounts: map[solana.Key]solana.Account{
			payee: {}, mint: {Kind: solana.Mint, Program: solana.SPLToken}, at(own): {Kind: solana.TokenAccount, Program: solana.SPLToken, Mint: mint, Owner: own}, at(payee): theirs,
		}}
	}
	s := asked(t, solana.Request{Payer: own, Blockhash: solana.Key{5}, Steps: steps}, world(func(*solana.Account) {}))
	for name, c := range map[string]struct {
		change func(a *solana.Account)
		waits  bool
	}{
		"frozen": {func(a *solana.Account) { a.Frozen = true }, true}, "a memo is wanted": {func(a *solana.Account) { a.MemoRequired = true }, true},
		"another may close it": {func(a *solana.Account) { a.Closer = true }, true}, "another owner": {func(a *solana.Account) { a.Owner = mint }, false},
		"another owner, frozen": {func(a *solana.Account) { a.Owner, a.Frozen = mint, true }, false}, "the same": {func(*solana.Account) {}, false},
	} {
		err := s.Early(world(c.change))
		if (err != nil) != c.waits || c.waits && !strings.Contains(err.Error(), "it waits until the two are alike") {
			t.Errorf("%s: %v", name, err)
		}
		if !c.waits && (s.Compare(world(c.change)) == nil) != (name == "the same") {
			t.Errorf("%s: it is the same", name)
		}
	}
}

// A lookup table that has grown is waited for by who reads it as it was: a denial is for good, and endpoints are some blocks apart. Another address in it is a lie.
func TestTableThatGrows(t *testing.T) {
	const chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	wallet := func(text string) solana.Key {
		k, err := solana.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	own, payee, table := wallet("4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS"), wallet("9B5XszUGdMaxCZ7uSQhPzdks5ZQSmWxrmzCSvtJ6Ns6g"), wallet("Sysvar1111111111111111111111111111111111111")
	world := func(all ...solana.Key) solana.Readings {
		return solana.Readings{Accounts: map[solana.Key]solana.Account{payee: {}}, Tables: map[solana.Key][]solana.Key{table: all}, Recents: map[solana.Key]bool{{5}: true}}
	}
	whole := world(own, own, payee)
	raw, err := solana.Build(solana.Request{Payer: own, Blockhash: solana.Key{5}, Steps: []solana.Step{solana.Transfer(own, payee, 7)}, Tables: map[solana.Key][]solana.Key{table: {own, own, payee}}},
		SolanaContext(chain, own, [3]uint32{}, whole))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(intent.Intent{Chain: chain, Address: own.String(), Purpose: intent.PurposeTransaction, Transaction: raw}, "", Context{})
	if err != nil {
		t.Fatal(err)
	}
	s := p.(*Solana)
	if err := s.Early(whole); err != nil {
		t.Errorf("as it is: %v", err)
	}
	if err := s.Early(world(own, own)); err == nil || !strings.Contains(err.Error(), "has not all of its addresses yet") {
		t.Errorf("as it was: %v", err)
	}
	lie := world(own, own, own)
	if err := s.Early(lie); err != nil {
		t.Errorf("with another address it would be waited for: %v", err)
	}
	if s.Compare(lie) == nil {
		t.Error("with another address it is the same")
	}
}

package payload

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
)

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

package rehearse

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var bybit = Story{
	Name:     "bybit",
	Incident: "February 2025, about 1.46 billion dollars: the wallet's web page was altered; what it showed as a transfer was a delegatecall that replaced the wallet's implementation",
	tell:     tellBybit,
}

// safe is the wallet contract that the forged calls are for.
const safe = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"

func tellBybit(ctx context.Context, t *tale) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	if err := t.dressed(ctx); err != nil {
		return err
	}
	if err := t.console(ctx); err != nil {
		return err
	}
	return t.pays(ctx, "alice asks for a plain payment with her own program; bob and carol approve it")
}

// dressed: calls that give the wallet away, said to be a payment.
func (t *tale) dressed(ctx context.Context) error {
	plain := call{to: payee, value: milliether(100)}
	inner := calldata("transfer(address,uint256)", common.FromHex(thief), nil)
	for _, try := range []struct {
		what string
		is   call
	}{
		{"a delegatecall through the wallet, dressed as a payment", call{to: safe, data: delegated(thief, inner)}},
		{"a change of the implementation (changeMasterCopy), dressed as a payment", call{to: safe, data: calldata("changeMasterCopy(address)", common.FromHex(thief))}},
		{"a change of the implementation (upgradeTo), dressed as a payment", call{to: safe, data: calldata("upgradeTo(address)", common.FromHex(thief))}},
	} {
		s, err := t.forgery(ctx, try.is, plain)
		if err == nil {
			err = t.denied(ctx, try.what, s, intent.RuleDecoded)
		}
		if err != nil {
			return err
		}
	}
	// What ran in the wallet looked like a token's transfer. Sent by itself it is one, of a token that nobody listed.
	alone := call{to: thief, data: calldata("transfer(address,uint256)", common.FromHex(payee), []byte{1})}
	s, err := t.forgery(ctx, alone, alone)
	if err != nil {
		return err
	}
	return t.denied(ctx, "a token's transfer, truly told, at a contract that the charter does not list", s, intent.RuleDecoded)
}

// console: whoever rules the page that people look at has no key of theirs.
func (t *tale) console(ctx context.Context) error {
	own, err := t.newSigner()
	if err != nil {
		return err
	}
	loot, err := t.transfer(ctx, thief, milliether(100), 0)
	if err != nil {
		return err
	}
	answers, err := t.handAs(ctx, own, loot)
	if err != nil {
		return err
	}
	t.refusedBy("the altered page asks for money with a key of its own", answers, intent.ErrNoInitiator)
	seen, err := t.asked(ctx, payee, milliether(100))
	if err != nil {
		return err
	}
	if err := t.propose(ctx, loot); err != nil { // alice's own key: she was deceived too
		return err
	}
	sig, err := t.sign(ctx, bob, signet.Approve, seen)
	if err != nil {
		return err
	}
	if answers, err = t.vote(ctx, loot.ID(), sig); err != nil {
		return err
	}
	t.refusedBy("the page shows bob a payment, and hands his approval in for another", answers, intent.ErrOtherBytes)
	if sig, err = own.Sign(ctx, signet.Approve, loot.Bytes()); err != nil {
		return err
	}
	if answers, err = t.vote(ctx, loot.ID(), sig); err != nil {
		return err
	}
	t.refusedBy("the page approves by itself", answers, intent.ErrStranger)
	for _, s := range []statement.Statement{seen, loot} {
		if err := t.cancel(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// handAs hands in an intent that a key signed.
func (t *tale) handAs(ctx context.Context, by *client.Signer, s statement.Statement) (client.Answers[client.Taken], error) {
	sig, err := by.Sign(ctx, signet.Makes(s.Kind()), s.Bytes())
	if err != nil {
		return nil, err
	}
	return t.hand(ctx, s, sig)
}

package intent

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Vote is one approver's verified answer to one intent. Only VerifyVote makes votes.
type Vote struct {
	Intent statement.ID
	Person string // the approver's label
	Verb   signet.Verb
	Key    signet.Key
	Flags  signet.Flags
}

// VerifyVote checks an approval (signet.Approve) or rejection (signet.Reject) over the
// intent's own bytes. Each failure has its own error: ErrExpired, ErrFuture,
// ErrStranger, ErrOtherBytes, ErrOtherUse, ErrMalformed, ErrOwnProposal. That a person
// is counted once, Life holds.
func VerifyVote(s statement.Statement, v charter.Vault, verb signet.Verb, armored []byte, now time.Time) (Vote, error) {
	vote, err := verifyVote(s, v, verb, armored, now)
	if err != nil {
		return Vote{}, fmt.Errorf("%s intent %s: %w", verb, s.ID().Short(), err)
	}
	return vote, nil
}

func verifyVote(s statement.Statement, v charter.Vault, verb signet.Verb, armored []byte, now time.Time) (Vote, error) {
	if verb != signet.Approve && verb != signet.Reject {
		return Vote{}, fmt.Errorf("%w: %q is neither approve nor reject", ErrOtherUse, verb)
	}
	it, err := Of(s)
	if err != nil {
		return Vote{}, err
	}
	if err := it.checkVault(v); err != nil {
		return Vote{}, err
	}
	if err := it.CheckTime(now); err != nil {
		return Vote{}, err
	}
	var keys []signet.Key
	var owner []string
	for _, p := range v.Approvers {
		for _, k := range p.Keys {
			keys, owner = append(keys, k), append(owner, p.Name)
		}
	}
	signer, err := signet.Verify(armored, verb, s.Bytes(), keys)
	if err != nil {
		return Vote{}, translate(err)
	}
	person := owner[signer.Index]
	if verb == signet.Approve && person == it.Initiator && !v.InitiatorApproves {
		return Vote{}, fmt.Errorf("%w: %s", ErrOwnProposal, person)
	}
	return Vote{Intent: s.ID(), Person: person, Verb: verb, Key: signer.Key, Flags: signer.Flags}, nil
}

// A Tally counts votes: each person once, and only those whom the vault lists now. A
// rejection outweighs the same person's approval.
type Tally struct {
	Approved []string // ascending
	Rejected []string // ascending
	Awaited  []string // approvers who may still answer, ascending
	Need     int      // approvals that are still missing
	Spread   int      // further organisations that approvals must come from
	few      bool     // those who are awaited are of fewer
}

// Count tallies the votes on an intent that initiator proposed. Votes on other intents
// and by people whom the vault does not list count for nothing; nor does an approval by a key that the vault lists no more, or one whose
// device did not check who touched it, where the vault asks for that. A rejection stands whatever becomes of its key: who revokes that
// cannot make an earlier approval count again.
func Count(id statement.ID, initiator string, v charter.Vault, votes []Vote) Tally {
	var t Tally
	have, could := map[string]bool{}, map[string]bool{}
	for _, p := range v.Approvers {
		own := p.Name == initiator && !v.InitiatorApproves
		switch {
		case slices.ContainsFunc(votes, func(v Vote) bool { return v.Intent == id && v.Person == p.Name && v.Verb == signet.Reject }):
			t.Rejected = append(t.Rejected, p.Name)
			continue
		case own:
			continue
		case approved(votes, id, p, v.UserVerification):
			t.Approved = append(t.Approved, p.Name)
			have[p.Organisation] = true
		default:
			t.Awaited = append(t.Awaited, p.Name)
		}
		could[p.Organisation] = true
	}
	t.Need = max(0, v.Quorum-len(t.Approved))
	if v.Organisations > 1 { // one is there with the first approval
		t.Spread = max(0, v.Organisations-len(have))
	}
	t.few = len(could) < v.Organisations
	return t
}

func approved(votes []Vote, id statement.ID, p charter.Person, verified bool) bool {
	return slices.ContainsFunc(votes, func(v Vote) bool {
		return v.Intent == id && v.Person == p.Name && v.Verb == signet.Approve && slices.ContainsFunc(p.Keys, v.Key.Equal) && (v.Flags.Verified || !verified)
	})
}

// Met says that the quorum is there.
func (t Tally) Met() bool { return t.Need == 0 && t.Spread == 0 }

// Hopeless says that the quorum can no longer be met.
func (t Tally) Hopeless() bool { return t.few || max(t.Need, t.Spread) > len(t.Awaited) }

// Missing says in words what the quorum still needs, "" if nothing.
func (t Tally) Missing() string {
	switch {
	case t.Met():
		return ""
	case t.Spread > 0:
		return fmt.Sprintf("%d more of %v must approve, from %d further organisations", max(t.Need, t.Spread), t.Awaited, t.Spread)
	}
	return fmt.Sprintf("%d more of %v must approve", t.Need, t.Awaited)
}

// A Cancellation takes an intent back before it is signed.
type Cancellation struct {
	Charter   statement.ID
	Vault     statement.ID
	Intent    statement.ID
	Initiator string
	Reason    string // may be empty
	Created   time.Time
}

// Statement writes the cancellation.
func (c Cancellation) Statement(salt statement.Salt) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("charter", c.Charter).AddID("vault", c.Vault).AddID("intent", c.Intent)
	b = b.Add("initiator", c.Initiator).Add("reason", c.Reason).AddTime("created", c.Created)
	return statement.Build(statement.Cancel, b, salt)
}

// CancellationOf gives a cancel statement its meaning.
func CancellationOf(s statement.Statement) (Cancellation, error) {
	if err := s.Require(statement.Cancel); err != nil {
		return Cancellation{}, err
	}
	f := s.Fields()
	return Cancellation{
		Charter: f.ID("charter"), Vault: f.ID("vault"), Intent: f.ID("intent"),
		Initiator: f.Get("initiator"), Reason: f.Get("reason"), Created: f.Time("created"),
	}, nil
}

// VerifyCancel checks that the initiator of the intent takes that intent back
// ("cancel@ostraka/v1" over the cancel statement).
func VerifyCancel(cancel, intent statement.Statement, v charter.Vault, armored []byte) (Cancellation, error) {
	c, err := CancellationOf(cancel)
	if err != nil {
		return Cancellation{}, err
	}
	it, err := Of(intent)
	if err != nil {
		return Cancellation{}, err
	}
	if c.Intent != intent.ID() || c.Vault != it.Vault || c.Charter != it.Charter {
		return Cancellation{}, fmt.Errorf("cancel %s: it names intent %s, not %s in its vault", cancel.ID().Short(), c.Intent.Short(), intent.ID().Short())
	}
	if c.Initiator != it.Initiator {
		return Cancellation{}, fmt.Errorf("cancel %s: %w of this intent: %s", cancel.ID().Short(), ErrNoInitiator, c.Initiator)
	}
	if err := it.checkVault(v); err != nil {
		return Cancellation{}, fmt.Errorf("cancel %s: %w", cancel.ID().Short(), err)
	}
	return c, verifyInitiator(cancel, armored, c.Initiator, v)
}

package intent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// MaxAttempts bounds the sessions of one intent: each failure could teach a liar
// something.
const MaxAttempts = 8

// A Life is one node's view of one intent. Values never change: Apply makes a new one.
type Life struct {
	id    statement.ID
	it    Intent
	vault charter.Vault

	state     State
	changed   time.Time // of the last event that was taken, whole seconds
	closed    time.Time // when a signature appeared; without one, when it came to its end; zero: neither
	votes     []Vote
	decisions map[string]Verdict
	both      []string // operators that said both, ascending
	session   [32]byte // the last one
	signers   []string // of that session
	attempts  int
	unknown   bool   // a session failed after our last message left: others may hold what it made
	hash      string // of the signed transaction; empty while none is known
	overrode  State  // closed state in which a signature appeared; Proposed for none
	height    uint64 // of the block
	block     string
	reverted  bool
	by        string // what replaced it
}

// New begins the life of a proposal that VerifyProposal accepted.
func New(s statement.Statement, v charter.Vault, now time.Time) (Life, error) {
	it, err := Of(s)
	if err != nil {
		return Life{}, err
	}
	if err := it.checkVault(v); err != nil {
		return Life{}, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	return Life{id: s.ID(), it: it, vault: v, changed: now.UTC().Truncate(time.Second)}, nil
}

// Past is the life of an intent whose time, or whose charter's, was over when this node heard that these operators had allowed it: it may be
// signed, and nothing else comes of it here.
func Past(s statement.Statement, v charter.Vault, allowed []string, now time.Time) (Life, error) {
	l, err := New(s, v, now)
	if err != nil {
		return Life{}, err
	}
	l.decisions = map[string]Verdict{}
	for _, name := range allowed {
		if err := note(&l, Decided{Operator: name, Verdict: Allow}, now); err != nil {
			return Life{}, fmt.Errorf("intent %s: %w", l.id.Short(), err)
		}
	}
	l.state, l.closed = Expired, l.latest()
	return l, nil
}

// latest is until when a signature that is known or suspected now was made: whoever is honest holds no session after the intent's time.
func (l Life) latest() time.Time {
	if end := l.it.Expires.Add(Skew); end.Before(l.changed) {
		return end
	}
	return l.changed
}

// Apply takes one event, or refuses it with an error that names why; then the life is
// unchanged. Repeated news of what is already known is taken and changes nothing.
func (l Life) Apply(e Event, now time.Time) (Life, error) {
	next := l
	next.votes, next.both = slices.Clone(l.votes), slices.Clone(l.both)
	next.decisions = maps.Clone(l.decisions)
	if next.decisions == nil {
		next.decisions = map[string]Verdict{}
	}
	if err := moves[l.state][e.column()].do(&next, e, now); err != nil {
		return l, fmt.Errorf("%s: intent %s is %s: %w", columnNames[e.column()], l.id.Short(), l.state, err)
	}
	next.changed = now.UTC().Truncate(time.Second)
	// News of what is over moves nothing in a window (custody/ledger).
	if next.hash != l.hash || next.hash == "" && next.state.ends() && !l.state.ends() {
		next.closed = next.latest()
	}
	return next, nil
}

func (l Life) ID() statement.ID   { return l.id }
func (l Life) Intent() Intent     { return l.it }
func (l Life) State() State       { return l.state }
func (l Life) Changed() time.Time { return l.changed }
func (l Life) Closed() time.Time  { return l.closed }
func (l Life) Session() [32]byte  { return l.session }
func (l Life) Signers() []string  { return slices.Clone(l.signers) }
func (l Life) Attempts() int      { return l.attempts }
func (l Life) Hash() string       { return l.hash }
func (l Life) ReplacedBy() string { return l.by }
func (l Life) Votes() []Vote      { return slices.Clone(l.votes) }
func (l Life) Reverted() bool     { return l.reverted }
func (l Life) Tally() Tally       { return Count(l.id, l.it.Initiator, l.vault, l.votes) }

// PossiblySigned says that it came to its end without a signature here, and that others may hold what makes it whole. Of several signatures each counts: who sat in two sessions may hold
// what two honest nodes each missed one of.
func (l Life) PossiblySigned() bool { return l.unknown && l.hash == "" && l.state.ends() }

// Lapsed says that it is signed, and that no block takes it any more.
func (l Life) Lapsed() bool { return l.state == Failed && l.hash != "" && !l.reverted }

// Block is where the transaction stands, height 0 if nowhere.
func (l Life) Block() (height uint64, hash string) { return l.height, l.block }

// Verdict is what an operator decided, Wait if nothing is known.
func (l Life) Verdict(operator string) Verdict { return l.decisions[operator] }

// Decided lists the operators whose decision is known, in ascending order.
func (l Life) Decided() []string { return slices.Sorted(maps.Keys(l.decisions)) }

// Both lists the operators that are known to have said ALLOW and DENY, in ascending order. The first word of each stands.
func (l Life) Both() []string { return slices.Clone(l.both) }

// Suffices says whether operators enough for a signature allowed the intent, as far as is known: it may be signed without this node.
func (l Life) Suffices() bool { return l.Allowing() >= l.vault.Threshold }

// Allowing counts the operators that are known to have allowed the intent, also those that said DENY first: others may have heard the ALLOW.
func (l Life) Allowing() int {
	n := l.Count(Allow)
	for _, name := range l.both {
		if l.decisions[name] == Deny {
			n++
		}
	}
	return n
}

// Undecided lists the operators of the committee whose decision is not known.
func (l Life) Undecided() []string {
	var out []string
	for _, name := range l.vault.Committee {
		if l.decisions[name] == Wait {
			out = append(out, name)
		}
	}
	return out
}

// Unallowed says that fewer operators are known to have allowed what is signed than it takes, and nothing else is wrong with it: who was away may hear of them yet.
func (l Life) Unallowed() bool {
	return l.hash != "" && l.overrode != Denied && l.Allowing() < l.vault.Threshold
}

// Alarm says in words why the known signature should not exist, "" if all is well. A
// decision that arrives late may end it.
func (l Life) Alarm() string {
	switch allowed := l.Allowing(); {
	case l.hash == "":
		return ""
	case l.overrode == Denied:
		return fmt.Sprintf("intent %s is signed, and was denied here before", l.id.Short())
	case allowed < l.vault.Threshold:
		return fmt.Sprintf("intent %s is signed, and %d operators are known to allow it; it needs %d", l.id.Short(), allowed, l.vault.Threshold)
	}
	return ""
}

// CheckSign says whether this operator's node may take part in a session now: the
// circle allows the intent, so did this node itself, and it is alive.
func (l Life) CheckSign(operator string, now time.Time) error {
	switch {
	case l.state != Allowed && l.state != Signing:
		return fmt.Errorf("intent %s is %s: %w", l.id.Short(), l.state, ErrNotAllowed)
	case l.decisions[operator] != Allow:
		return fmt.Errorf("intent %s: %w: %s has not", l.id.Short(), ErrNotAllowed, operator)
	}
	return l.it.CheckTime(now)
}

// Count is how many operators are known to have decided so.
func (l Life) Count(v Verdict) (n int) {
	for _, d := range l.decisions {
		if d == v {
			n++
		}
	}
	return n
}

// answer records an approval or rejection.
func answer(l *Life, e Event, now time.Time) error {
	v := e.(Answer).Vote
	if v.Intent != l.id {
		return fmt.Errorf("%w: %s", ErrForeign, v.Intent.Short())
	}
	if err := l.it.CheckTime(now); err != nil {
		return err
	}
	p, ok := l.vault.Approver(v.Person)
	if !ok || !slices.ContainsFunc(p.Keys, v.Key.Equal) {
		return fmt.Errorf("%w: %s", ErrStranger, v.Person)
	}
	if v.Verb == signet.Approve && v.Person == l.it.Initiator && !l.vault.InitiatorApproves {
		return fmt.Errorf("%w: %s", ErrOwnProposal, v.Person)
	}
	for _, old := range l.votes {
		// Who approved may still reject; who rejected has spoken.
		if old.Person == v.Person && (old.Verb == v.Verb || old.Verb == signet.Reject) {
			return fmt.Errorf("%w: %s did %s", ErrDuplicate, v.Person, old.Verb)
		}
	}
	l.votes = append(l.votes, v)
	if l.state == Proposed {
		l.state = Approving
	}
	return nil
}

// takeBack records a rejection after operators have allowed the intent: if it breaks the quorum that
// they counted, the intent is denied here.
func takeBack(l *Life, e Event, now time.Time) error {
	before := l.Tally()
	if err := answer(l, e, now); err != nil {
		return err
	}
	if t := l.Tally(); t.Need > before.Need || t.Spread > before.Spread || t.Hopeless() {
		l.state = Denied
	}
	return nil
}

// note records a decision that changes the state no more.
func note(l *Life, e Event, _ time.Time) error {
	d := e.(Decided)
	if d.Verdict != Allow && d.Verdict != Deny {
		return fmt.Errorf("%w: verdict %q", ErrMalformed, d.Verdict)
	}
	if !slices.Contains(l.vault.Committee, d.Operator) {
		return fmt.Errorf("%w: %s", ErrOutsider, d.Operator)
	}
	if old := l.decisions[d.Operator]; old == Wait {
		l.decisions[d.Operator] = d.Verdict
	} else if i, known := slices.BinarySearch(l.both, d.Operator); old != d.Verdict && !known {
		l.both = slices.Insert(l.both, i, d.Operator)
	}
	return nil
}

// weigh records a decision: t ALLOWs allow, more than n − t DENYs deny.
func weigh(l *Life, e Event, now time.Time) error {
	if err := note(l, e, now); err != nil {
		return err
	}
	t, n := l.vault.Threshold, len(l.vault.Committee)
	switch {
	case l.Count(Deny) > n-t:
		l.state = Denied
	case l.Count(Allow) >= t:
		l.state = Allowed
	}
	return nil
}

func expire(l *Life, _ Event, now time.Time) error {
	if now.Before(l.it.Expires) {
		return fmt.Errorf("%w: it does at %s", ErrAlive, statement.FormatTime(l.it.Expires))
	}
	l.state = Expired
	return nil
}

func start(l *Life, e Event, now time.Time) error {
	s := e.(SessionStarted)
	if err := l.it.CheckTime(now); err != nil {
		return err
	}
	signers := slices.Sorted(slices.Values(s.Signers))
	if len(signers) < l.vault.Threshold || len(slices.Compact(slices.Clone(signers))) != len(signers) {
		return fmt.Errorf("%w: %v", ErrSigners, s.Signers)
	}
	for _, name := range signers {
		if !slices.Contains(l.vault.Committee, name) {
			return fmt.Errorf("%w: %s is not", ErrSigners, name)
		}
		if l.decisions[name] != Allow {
			return fmt.Errorf("%w: %s has not", ErrNotAllowed, name)
		}
	}
	l.state, l.session, l.signers = Signing, s.Session, signers
	l.attempts++
	return nil
}

// settle ends a session without signature. Only silence lets the same intent try again, before our
// last message left, or while another signature is missing; any other failure burns its approvals, or they could
// be harvested over many attempts (WazirX, 2024).
func settle(l *Life, e Event, now time.Time) error {
	f := e.(SessionFailed)
	if f.Session != l.session {
		return fmt.Errorf("%w: %x…", ErrNoSession, f.Session[:4])
	}
	l.unknown = l.unknown || f.PossiblySigned
	if f.Idle {
		l.attempts--
	}
	switch {
	case f.PossiblySigned && !f.Partial || f.Class != Transient || l.attempts >= MaxAttempts:
		l.state = Failed
	case !now.Before(l.it.Expires):
		l.state = Expired
	default:
		l.state = Allowed
	}
	return nil
}

// goOn ends a session that made one of several signatures: the next may begin. It failed nobody, so it is no attempt.
func goOn(l *Life, e Event, now time.Time) error {
	if s := e.(PartMade).Session; s != l.session {
		return fmt.Errorf("%w: %x…", ErrNoSession, s[:4])
	}
	l.attempts--
	l.state = Allowed
	if !now.Before(l.it.Expires) {
		l.state = Expired
	}
	return nil
}

// sign takes the first signature, or one that is known already.
func sign(l *Life, e Event, _ time.Time) error {
	s := e.(SignatureMade)
	if err := statement.CheckText(s.Hash, maxName); err != nil {
		return fmt.Errorf("%w: hash %w", ErrMalformed, err)
	}
	if l.hash != "" && l.hash != s.Hash {
		return fmt.Errorf("%w: %s, now %s", ErrOtherHash, l.hash, s.Hash)
	}
	if l.hash == "" {
		l.hash, l.state = s.Hash, Signed
	}
	return nil
}

// override follows reality where this node had closed the intent: a signature that
// exists is signed, whatever was decided here.
func override(l *Life, e Event, now time.Time) error {
	was, known := l.state, l.hash != ""
	if err := sign(l, e, now); err != nil {
		return err
	}
	if !known {
		l.overrode = was
	}
	return nil
}

func confirm(l *Life, e Event, _ time.Time) error {
	c := e.(WasConfirmed)
	if err := statement.CheckText(c.Block, maxName); err != nil {
		return fmt.Errorf("%w: block hash %w", ErrMalformed, err)
	}
	// Two blocks in a row without a reorg between: the endpoint contradicts itself.
	if l.state == Confirmed && (c.Height != l.height || c.Block != l.block || c.Reverted != l.reverted) {
		return fmt.Errorf("%w: %d %s, now %d %s", ErrInBlock, l.height, l.block, c.Height, c.Block)
	}
	l.state, l.height, l.block, l.reverted = Confirmed, c.Height, c.Block, c.Reverted
	return nil
}

func finish(l *Life, _ Event, _ time.Time) error {
	l.state = Final
	if l.reverted {
		l.state = Failed
	}
	return nil
}

// reorg takes the transaction, or the one that replaced it, out of its block.
func reorg(l *Life, _ Event, _ time.Time) error {
	if l.hash == "" {
		return ErrUnsigned
	}
	l.state, l.height, l.block, l.reverted, l.by = Reorged, 0, "", false, ""
	return nil
}

func lapse(l *Life, _ Event, _ time.Time) error {
	l.state, l.height, l.block = Failed, 0, ""
	return nil
}

func replace(l *Life, e Event, _ time.Time) error {
	by := e.(WasReplaced).By
	if err := statement.CheckText(by, maxName); err != nil {
		return fmt.Errorf("%w: what replaced it %w", ErrMalformed, err)
	}
	if l.state == Failed && l.reverted {
		return ErrInBlock
	}
	l.state, l.by = Replaced, by
	return nil
}

package verify

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A request is what all logs tell of one intent.
type request struct {
	id     statement.ID
	vault  *vault
	intent intent.Intent
	stmt   statement.Statement
	shown  bool // its body is

	decisions map[string]intent.Decision // by operator: the first of each
	ids       map[string]statement.ID    // of these
	approved  []string
	signed    map[[32]byte]bool // ids of signatures, as logs tell
	tells     map[string]int    // by operator: the leaf of its log that tells of the signature
	decided   map[string]int    // by operator: the leaf of its own log with its decision
	first     time.Time
}

// checkRequests follows every intent of every vault.
func (v *verifier) checkRequests() {
	all := v.gather()
	for _, x := range v.vaults {
		var mine []*request
		for _, q := range all {
			if q.vault == x {
				mine = append(mine, q)
			}
		}
		slices.SortFunc(mine, func(a, b *request) int {
			return cmp.Or(a.first.Compare(b.first), strings.Compare(a.id.String(), b.id.String()))
		})
		good, before := 0, len(v.report.Claims)
		for _, q := range mine {
			v.checkRequest(q)
			if len(q.signed) > 0 {
				x.out.Signed++
				if q.shown {
					good++
				}
			}
		}
		if good > 0 && len(v.report.Claims) == before {
			v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s asked for, approved and allowed as its charter says", count(good, "signature was", "signatures were")),
				"each statement's signature was checked here, each transaction decoded here, and each decision stands in its own node's log before the signature")
		}
		if hidden := x.out.Signed - good; hidden > 0 {
			v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s in the logs of those who signed", count(hidden, "further signature stands", "further signatures stand")), "what they are for is withheld: auditors may open it")
		}
		v.proofs(x, mine)
	}
}

// gather finds intents by what leaves are about.
func (v *verifier) gather() map[statement.ID]*request {
	all := map[statement.ID]*request{}
	of := func(l tlog.Leaf, id statement.ID) *request {
		q := all[id]
		if q == nil {
			i := slices.IndexFunc(v.vaults, func(x *vault) bool { return [32]byte(x.ID) == l.Vault })
			if i < 0 {
				return nil
			}
			q = &request{id: id, vault: v.vaults[i], decisions: map[string]intent.Decision{}, ids: map[string]statement.ID{}, signed: map[[32]byte]bool{}, tells: map[string]int{}, decided: map[string]int{}}
			all[id] = q
		}
		if q.first.IsZero() || l.Time.Before(q.first) {
			q.first = l.Time
		}
		return q
	}
	for _, h := range v.logs {
		for n, l := range h.leaves {
			switch l.Kind {
			case tlog.KindDecision, tlog.KindHeard, tlog.KindVote:
				q := of(l, l.About)
				if q == nil {
					continue
				}
				if l.Kind == tlog.KindDecision {
					q.decided[h.operator] = n
				}
				v.decidedFirst(q, l.ID)
			case tlog.KindSigned:
				if q := of(l, l.About); q != nil {
					q.signed[l.ID] = true
					if _, told := q.tells[h.operator]; !told {
						q.tells[h.operator] = n
					}
					v.signedFirst(q, l.ID)
				}
			}
		}
	}
	for _, d := range v.statements(statement.Intent) {
		it, err := intent.Of(d.statement)
		if err != nil {
			continue
		}
		if q := of(tlog.Leaf{Vault: it.Vault, Time: d.at}, d.statement.ID()); q != nil {
			q.intent, q.stmt, q.shown = it, d.statement, true
		}
	}
	return all
}

// decidedFirst finds a decision in logs of the first release: their leaves say neither whose it is nor on what, which others' logs do. Where the
// decision is shown, readDecisions knows whose it is; else the first on this request that stands in a log passes for its node's own.
func (v *verifier) decidedFirst(q *request, id [32]byte) {
	for _, h := range v.logs {
		n, told := h.toldFirst(tlog.KindDecision, id)
		if old, own := q.decided[h.operator]; told && (!own || n < old) {
			q.decided[h.operator] = n
		}
	}
}

// signedFirst does so for a signature.
func (v *verifier) signedFirst(q *request, id [32]byte) {
	for _, h := range v.logs {
		n, told := h.toldFirst(tlog.KindSigned, id)
		if _, tells := q.tells[h.operator]; told && !tells {
			q.tells[h.operator] = n
		}
	}
}

// checkRequest checks one intent as far as it is shown.
func (v *verifier) checkRequest(q *request) {
	out := Request{ID: q.id, Created: q.first}
	subject := fmt.Sprintf("request %s of vault %s", q.id.Short(), q.vault.Name)
	for id := range q.signed {
		out.Signed = hex.EncodeToString(id[:])
	}
	if len(q.signed) > 1 {
		v.report.fail(subject, "it was signed once", fmt.Sprintf("logs tell of %d signatures", len(q.signed)))
	}
	if q.shown {
		if err := v.checkShown(q, &out); err != nil {
			v.report.fail(subject, "it was asked for, approved and allowed as the charter says", err.Error())
		}
	}
	rec := v.recordOf(q)
	v.inLogs(q, rec, subject, &out)
	v.noteSigned(q)
	if len(q.signed) == 0 && slices.ContainsFunc(out.Decisions, func(d Decision) bool { return d.Verdict == string(intent.Deny) }) {
		q.vault.out.Refused++
	}
	q.vault.out.Requests = append(q.vault.out.Requests, out)
}

// recordOf is the record of the epoch that an intent names. Of one that is withheld it is that of its time, the present one if no log tells.
func (v *verifier) recordOf(q *request) *epoch.Record {
	for _, k := range q.vault.keys {
		if q.shown && k.id == q.intent.Key {
			if rec := k.records[q.intent.Epoch]; rec != nil {
				return rec
			}
			return k.current()
		}
	}
	if len(q.vault.keys) == 0 {
		return nil
	}
	k := q.vault.keys[0]
	links, best, most := k.chain.Links(), k.current(), -1
	for i, f := range links {
		from, to := k.since[f.Record.Hash()].Add(-intent.Skew), q.first
		if i+1 < len(links) {
			to = k.since[links[i+1].Record.Hash()].Add(intent.Skew)
		}
		tell := 0
		for _, name := range v.committee(f.Record) {
			if _, told := q.tells[name]; told {
				tell++
			}
		}
		if !q.first.Before(from) && !q.first.After(to) && tell >= most {
			best, most = f.Record, tell
		}
	}
	return best
}

// committee are the operators that hold a record's shares.
func (v *verifier) committee(rec *epoch.Record) (names []string) {
	if rec == nil {
		return nil
	}
	for _, m := range rec.Members {
		o, _ := v.rosters.Identity(m.Identity)
		names = append(names, o.Name)
	}
	return names
}

// inLogs wants a signature to stand in the logs of t of those who hold the key, in each behind the node's own decision.
func (v *verifier) inLogs(q *request, rec *epoch.Record, subject string, out *Request) {
	if len(q.signed) == 0 || rec == nil {
		return
	}
	for _, name := range v.committee(rec) {
		n, told := q.tells[name]
		if !told {
			continue
		}
		out.InLogs++
		if t := v.log(name).leaves[n].Time; out.At.IsZero() || t.Before(out.At) {
			out.At = t
		}
	}
	if out.InLogs < rec.Threshold && v.settled(q, rec) {
		v.report.fail(subject, fmt.Sprintf("its signature stands in the logs of %d who hold the key", rec.Threshold), fmt.Sprintf("it stands in %d", out.InLogs))
	}
	own := 0
	for _, name := range v.committee(rec) {
		n, decided := q.decided[name]
		if t, told := q.tells[name]; decided && (!told || n < t) && (!q.shown || v.allowed(q, name)) {
			own++
		}
	}
	if own < rec.Threshold {
		v.report.fail(subject, fmt.Sprintf("%d nodes allowed it, each in its own log, before it was signed", rec.Threshold), fmt.Sprintf("%d did, as their logs show", own))
	}
}

// allowed says whether an operator's shown decision is ALLOW.
func (v *verifier) allowed(q *request, name string) bool {
	d, shown := q.decisions[name]
	return !shown || d.Verdict == intent.Allow
}

// settled says whether the logs of those who hold the key have gone on for long enough that what one tells must stand in all.
func (v *verifier) settled(q *request, rec *epoch.Record) bool {
	for _, name := range v.committee(rec) {
		if h := v.log(name); h != nil && !h.lastTime().After(q.first.Add(v.Grace)) {
			return false
		}
	}
	return true
}

// checkShown checks an intent whose body is shown: who asked, who approved, what each node decided, and what was signed.
func (v *verifier) checkShown(q *request, out *Request) error {
	it := q.intent
	out.Created, out.Initiator, out.What = it.Created, it.Initiator, words(it)
	terms, ok := v.terms(q)
	if !ok {
		return fmt.Errorf("it names charter %s, which was never in force", it.Charter.Short())
	}
	p, ok := terms.Initiator(it.Initiator)
	if !ok {
		return fmt.Errorf("%s was no initiator", it.Initiator)
	}
	if !v.signedBy(q.stmt, v.docs[q.id].signatures, signet.Makes(statement.Intent), p.Keys) {
		return fmt.Errorf("%s did not sign it", it.Initiator)
	}
	approvals := v.readVotes(q, terms)
	var tallyErr error
	if t := intent.Count(q.id, it.Initiator, terms, approvals); len(q.signed) > 0 && !t.Met() {
		tallyErr = errors.New("it was signed without its quorum: " + t.Missing())
	} else {
		out.Approved = t.Approved
	}
	if err := v.readDecisions(q, terms, out); err != nil {
		return err
	}
	if len(q.signed) == 0 {
		return nil
	}
	return errors.Join(tallyErr, v.checkSigned(q, out))
}

// terms are the vault's under the charter that the intent names, as they were then: what was revoked later does not count against it.
func (v *verifier) terms(q *request) (charter.Vault, bool) {
	c, ok := v.history.Version(q.intent.Charter)
	if !ok {
		return charter.Vault{}, false
	}
	then := func(k signet.Key) bool {
		at, revoked := v.revoked[k.String()]
		return revoked && at.Before(q.intent.Created.Add(-intent.Skew))
	}
	t := c.Terms(q.vault.Vault, q.intent.Created, then)
	if rec := v.recordOf(q); rec != nil {
		t.Committee, t.Threshold = slices.Sorted(slices.Values(v.committee(rec))), rec.Threshold
	}
	return t, true
}

func (v *verifier) signedBy(s statement.Statement, signatures [][]byte, verb signet.Verb, keys []signet.Key) bool {
	for _, sig := range signatures {
		v.signatures++
		if _, err := signet.Verify(sig, verb, s.Bytes(), keys); err == nil {
			return true
		}
	}
	return false
}

// readVotes verifies every vote that is shown.
func (v *verifier) readVotes(q *request, terms charter.Vault) (votes []intent.Vote) {
	for _, id := range v.about[q.id] {
		d := v.docs[id]
		if d == nil || d.kind != tlog.KindVote {
			continue
		}
		for _, verb := range []signet.Verb{signet.Approve, signet.Reject} {
			v.signatures++
			if vote, err := intent.VerifyVote(q.stmt, terms, verb, d.content, q.intent.Created); err == nil {
				votes = append(votes, vote)
				break
			}
		}
	}
	return votes
}

// readDecisions verifies every decision that is shown: one of each operator, or two that say the same.
func (v *verifier) readDecisions(q *request, terms charter.Vault, out *Request) error {
	reach, _ := v.rosters.Reach(q.vault.Roster)
	for _, id := range v.about[q.id] {
		d := v.docs[id]
		if d == nil || d.kind != tlog.KindDecision && d.kind != tlog.KindHeard {
			continue
		}
		if _, ok := d.as(statement.Decision); !ok {
			return fmt.Errorf("what is shown as a decision is none")
		}
		var made intent.Decision
		err := errors.New("it bears no signature")
		for _, sig := range d.signatures {
			v.signatures++
			if made, err = intent.VerifyDecision(d.statement, sig, terms, reach); err == nil {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("a decision on it: %w", err)
		}
		if old, twice := q.decisions[made.Operator]; twice && old.Verdict != made.Verdict {
			v.report.fail("operator "+made.Operator, "it says of each request one thing", fmt.Sprintf("it signed both ALLOW and DENY of request %s", q.id.Short()))
			continue
		}
		q.decisions[made.Operator], q.ids[made.Operator] = made, d.statement.ID()
		if h := v.log(made.Operator); h != nil {
			if n, told := h.toldFirst(tlog.KindDecision, d.statement.ID()); told {
				q.decided[made.Operator] = n
			}
		}
		v.ownDecision(q, made.Operator, d.statement.ID(), made.Created)
		out.Decisions = append(out.Decisions, Decision{made.Operator, string(made.Verdict), made.Rule, made.Reason})
	}
	slices.SortFunc(out.Decisions, func(a, b Decision) int { return strings.Compare(a.Operator, b.Operator) })
	return nil
}

// ownDecision wants a decision that any log tells to stand in the log of the node that made it: it is written there before it leaves.
func (v *verifier) ownDecision(q *request, operator string, id statement.ID, created time.Time) {
	h := v.log(operator)
	if h == nil || h.lastTime().Before(created) { // its log is shown as it was before
		return
	}
	if _, told := h.has(tlog.KindDecision, id); !told {
		v.report.fail("operator "+operator, "what it decided stands in its own log",
			fmt.Sprintf("others have its decision %s on request %s, signed at %s; its own log, shown to %s, lacks it", id.Short(), q.id.Short(), statement.FormatTime(created), statement.FormatTime(h.lastTime())))
	}
}

// checkSigned verifies what came out: it is exactly what the intent asked for, by the key at its path.
func (v *verifier) checkSigned(q *request, out *Request) error {
	child, err := q.vault.child(q.suite(), hd.Path(q.intent.Path[:]))
	if err != nil {
		return err
	}
	for id := range q.signed {
		err = errors.New("the signature itself is not shown")
		for _, raw := range v.named[id] {
			v.signatures++
			if q.intent.Purpose == intent.PurposeProof {
				err = q.checkProof(id, raw, child)
			} else {
				err = q.checkTransaction(id, raw)
			}
			if err == nil {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("what was signed: %w", err)
		}
	}
	return nil
}

// suite is that of the key that the intent names.
func (q *request) suite() string {
	for _, k := range q.vault.keys {
		if k.id == q.intent.Key {
			return k.suite
		}
	}
	return ""
}

func (q *request) checkTransaction(id [32]byte, raw []byte) error {
	signed, err := evm.ParseSigned(raw)
	if err != nil {
		return err
	}
	tx, err := evm.Decode(q.intent.Transaction)
	switch {
	case err != nil:
		return err
	case signed.Transaction.Digest() != tx.Digest():
		return errors.New("it is not the transaction that was asked for")
	case signed.From.String() != q.intent.Address:
		return fmt.Errorf("%s signed it, not %s", signed.From, q.intent.Address)
	case [32]byte(signed.Hash) != id:
		return fmt.Errorf("its id is %s, the logs tell of %x", signed.Hash, id)
	}
	return nil
}

// checkProof checks a proof of control against the statement that follows from the intent.
func (q *request) checkProof(id [32]byte, raw []byte, child group.Point) error {
	p, err := intent.ProofOf(q.stmt, q.suite())
	if err != nil {
		return err
	}
	s, err := p.Statement()
	if err != nil {
		return err
	}
	if s.ID() != statement.ID(id) {
		return fmt.Errorf("it is over statement %s, the logs tell of %x", s.ID(), id)
	}
	return chain.CheckProof(p.Suite, p.Chain, child, s.Bytes(), raw)
}

// words say in short what an intent asks for.
func words(it intent.Intent) string {
	var parts []string
	for _, f := range it.Facts {
		switch f.Name {
		case "operation", "asset", "amount", "destination", "address", "entity", "text":
			parts = append(parts, f.Value)
		}
		if len(parts) == 4 {
			break
		}
	}
	return strings.Join(parts, " ")
}

func controlOf(it intent.Intent) *Control {
	c := &Control{Entity: it.Entity, Text: it.Text, Created: it.Created, Expires: it.Expires}
	if it.AsOf != nil {
		c.Height, c.Block = it.AsOf.Height, fmt.Sprintf("%x", it.AsOf.Hash[:])
	}
	return c
}

// proofs puts the newest proof of control to each address.
func (v *verifier) proofs(x *vault, all []*request) {
	shown := 0
	for _, q := range all {
		if !q.shown || q.intent.Purpose != intent.PurposeProof || len(q.signed) == 0 {
			continue
		}
		for i := range x.out.Addresses {
			if a := &x.out.Addresses[i]; a.Address == q.intent.Address && (a.Proof == nil || a.Proof.Created.Before(q.intent.Created)) {
				a.Proof = controlOf(q.intent)
				shown++
			}
		}
	}
	if shown > 0 {
		v.report.claim(Proved, "vault "+x.Name, "its holders showed that they control "+count(shown, "of its addresses", "of its addresses"), "the key at the address signed a statement of theirs")
	}
}

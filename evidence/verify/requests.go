package verify

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A request is what all logs tell of one intent.
type request struct {
	id     statement.ID
	vault  *vault
	doc    *doc // of the intent, if its body is shown
	intent intent.Intent
	stmt   statement.Statement
	shown  bool // its body is, and those of all votes and decisions on it

	vaults    map[string]statement.ID    // by operator: the vault that its log says it is of
	decisions map[string]intent.Decision // by operator: the first of each
	approved  []string
	signed    map[[32]byte]bool // ids of signatures, as logs tell
	tells     map[string]int    // by operator: the leaf of its log that tells of the signature
	taken     map[string]int    // by operator: the leaf of its own log that says that a chain took it for good
	sessions  map[string][]int  // by operator: leaves of its log that tell of sessions over it
	decided   map[string]int    // by operator: the leaf of its own log with its decision
	times     []time.Time       // when each log first told of it
	first     time.Time         // the middle of these
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
		good, hidden := 0, 0
		var held []*request
		for _, q := range mine {
			holds := v.checkRequest(q)
			if len(q.signed) == 0 {
				continue
			}
			x.out.Signed++
			v.went = append(v.went, q)
			switch {
			case !holds: // that is said of itself
			case q.shown:
				good++
				held = append(held, q)
			default:
				hidden++
			}
		}
		if good > 0 {
			v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s asked for, approved by its quorum, and allowed by those who signed", count(good, "signature was", "signatures were")),
				"each statement's signature was checked here, each transaction decoded here, and each decision stands in its own node's log before the signature; policy, limits, freezes and expiry were those nodes' to judge")
		}
		if hidden > 0 {
			v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s in the logs of those who signed", count(hidden, "further signature stands", "further signatures stand")), "what they are for is withheld: auditors may open it")
		}
		v.proofs(x, held)
	}
}

// gather finds intents by what leaves are about.
func (v *verifier) gather() map[statement.ID]*request {
	all, alien := map[statement.ID]*request{}, map[statement.ID][]string{}
	for _, h := range v.logs {
		mine := map[statement.ID]bool{}
		for n, l := range h.leaves {
			switch l.Kind {
			case tlog.KindSession:
				all[statement.ID(l.About)].sessionAt(h.operator, n)
				continue
			case tlog.KindDecision, tlog.KindHeard, tlog.KindVote, tlog.KindSigned, tlog.KindTaken:
			default:
				continue
			}
			if id := statement.ID(l.Vault); v.vault(id) == nil {
				if !slices.Contains(alien[id], h.operator) {
					alien[id] = append(alien[id], h.operator)
				}
				continue
			}
			id := statement.ID(l.About)
			q := all[id]
			if q == nil {
				q = newRequest(id)
				all[id] = q
			}
			if !mine[id] {
				mine[id] = true
				q.times, q.vaults[h.operator] = append(q.times, h.times[n]), statement.ID(l.Vault)
			} else if q.vaults[h.operator] != statement.ID(l.Vault) {
				v.report.fail("operator "+h.operator, "its log tells of each request as one vault's", fmt.Sprintf("leaf %d tells of request %s as another vault's than before", n, id.Short()))
			}
			switch l.Kind {
			case tlog.KindDecision:
				if _, before := q.decided[h.operator]; !before {
					q.decided[h.operator] = n
				}
				v.decidedFirst(q, l.ID)
			case tlog.KindHeard:
				v.decidedFirst(q, l.ID)
			case tlog.KindTaken:
				if _, told := q.taken[h.operator]; !told {
					q.taken[h.operator] = n
				}
			case tlog.KindSigned:
				q.signed[l.ID] = true
				if _, told := q.tells[h.operator]; !told {
					q.tells[h.operator] = n
				}
				v.signedFirst(q, l.ID)
			}
		}
	}
	for _, d := range v.statements(statement.Intent) {
		it, err := intent.Of(d.statement)
		if err != nil || v.vault(it.Vault) == nil {
			continue
		}
		q := all[d.statement.ID()]
		if q == nil {
			q = newRequest(d.statement.ID())
			all[q.id] = q
			at, _ := v.told(d.id, tellsOf...)
			q.times = append(q.times, at)
		}
		q.intent, q.stmt, q.doc, q.vault = it, d.statement, d, v.vault(it.Vault)
	}
	for _, q := range all {
		q.first = middle(q.times)
		v.placed(q)
	}
	for _, id := range slices.SortedFunc(maps.Keys(alien), func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) }) {
		v.report.fail("circle", "each vault that its logs tell of is shown", fmt.Sprintf("the logs of %s tell of requests of vault %s, which no log shows", strings.Join(alien[id], ", "), id.Short()))
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

// sessionAt keeps that a log tells of a session over it; none is over what a ceremony's session is about, a key.
func (q *request) sessionAt(operator string, leaf int) {
	if q != nil {
		q.sessions[operator] = append(q.sessions[operator], leaf)
	}
}

func newRequest(id statement.ID) *request {
	return &request{
		id: id, vaults: map[string]statement.ID{}, decisions: map[string]intent.Decision{}, signed: map[[32]byte]bool{}, tells: map[string]int{}, taken: map[string]int{}, sessions: map[string][]int{}, decided: map[string]int{},
	}
}

// placed finds whose request one is: as its intent says, or as most logs do; and whether all that was said of it is shown.
func (v *verifier) placed(q *request) {
	if q.doc == nil {
		votes := map[statement.ID]int{}
		for _, id := range q.vaults {
			votes[id]++
		}
		var most statement.ID
		for id, n := range votes {
			if n > votes[most] || n == votes[most] && bytes.Compare(id[:], most[:]) < 0 {
				most = id
			}
		}
		q.vault = v.vault(most)
	}
	for _, name := range slices.Sorted(maps.Keys(q.vaults)) {
		if q.vaults[name] != q.vault.ID {
			v.report.fail("operator "+name, "its log tells of each request as its vault's", fmt.Sprintf("it tells of request %s as one of vault %s, and it is of vault %s", q.id.Short(), v.vault(q.vaults[name]).Name, q.vault.Name))
		}
	}
	q.shown = q.doc != nil && !v.bare[[32]byte(q.id)]
}

// vault finds one by its statement.
func (v *verifier) vault(id statement.ID) *vault {
	i := slices.IndexFunc(v.vaults, func(x *vault) bool { return x.ID == id })
	if i < 0 {
		return nil
	}
	return v.vaults[i]
}

// checkRequest checks one intent as far as it is shown, and says whether all of that holds.
func (v *verifier) checkRequest(q *request) bool {
	out, before := Request{ID: q.id, Created: q.first}, len(v.report.Claims)
	subject := fmt.Sprintf("request %s of vault %s", q.id.Short(), q.vault.Name)
	for id := range q.signed {
		out.Signed = hex.EncodeToString(id[:])
	}
	if len(q.signed) > 1 {
		v.report.fail(subject, "it was signed once", fmt.Sprintf("logs tell of %d signatures", len(q.signed)))
	}
	if q.doc != nil {
		if err := v.checkShown(q, &out); err != nil {
			v.report.fail(subject, "it was asked for, approved and allowed as the charter says", err.Error())
		}
	}
	whole := v.inLogs(q, v.recordOf(q), subject, &out)
	v.noteSigned(q)
	if len(q.signed) == 0 && slices.ContainsFunc(out.Decisions, func(d Decision) bool { return d.Verdict == string(intent.Deny) }) {
		q.vault.out.Refused++
	}
	q.vault.out.Requests = append(q.vault.out.Requests, out)
	return whole && !slices.ContainsFunc(v.report.Claims[before:], func(c Claim) bool { return c.Failed != "" })
}

// recordOf is the record of the epoch that an intent names. Of one that is withheld it is that of its time, the present one if no log tells.
func (v *verifier) recordOf(q *request) *epoch.Record {
	for _, k := range q.vault.keys {
		if q.doc != nil && k.id == q.intent.Key {
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

// inLogs wants a signature to stand in the logs of t of those who hold the key, in each behind the node's own decision. It says whether it does.
func (v *verifier) inLogs(q *request, rec *epoch.Record, subject string, out *Request) bool {
	if len(q.signed) == 0 {
		return true
	}
	if rec == nil {
		v.report.fail(subject, "its signature stands in the logs of those who hold the key", "who holds the key is not shown")
		return false
	}
	may, own, ahead, unseen := 0, 0, 0, 0 // logs that may still tell of it; that allowed it before; that may still tell that; that are not shown, or were begun anew since
	var times []time.Time
	for _, name := range v.committee(rec) {
		h := v.log(name)
		n, told := q.tells[name]
		d, decided := q.decided[name]
		if decided && (!told || d < n) && (q.doc == nil || v.allowed(q, name)) {
			own++
		}
		switch {
		case h != nil && h.excused(q.first) && !(told && decided):
			h.lost++
			unseen++
		case h == nil: // that is said of its operator
			unseen++
		case !told && !v.gone(h, q.first): // shown as it was before
			if may++; !decided {
				ahead++
			}
		}
		if told {
			out.InLogs++
			times = append(times, h.times[n])
		}
	}
	out.At = middle(times)
	need := rec.Threshold - unseen
	if out.InLogs+may < need {
		v.report.fail(subject, fmt.Sprintf("its signature stands in the logs of %d who hold the key", rec.Threshold), fmt.Sprintf("it stands in %d", out.InLogs))
	}
	if own+ahead < need {
		v.report.fail(subject, fmt.Sprintf("%d nodes allowed it, each in its own log, before it was signed", rec.Threshold), fmt.Sprintf("%d did, as their logs show", own))
	}
	if out.InLogs < rec.Threshold || own < rec.Threshold {
		v.report.attend(fmt.Sprintf("%s was signed, and stands in the logs of %d of the %d who had to: the others' are not shown so far", subject, min(out.InLogs, own), rec.Threshold))
		return false
	}
	return true
}

// allowed says whether an operator's decision is shown, and is ALLOW. Of one that is withheld no more can be said than that there is one.
func (v *verifier) allowed(q *request, name string) bool {
	d, shown := q.decisions[name]
	return !shown && !q.shown || d.Verdict == intent.Allow
}

// checkShown checks an intent whose body is shown: who asked, who approved, what each node decided, and what was signed.
func (v *verifier) checkShown(q *request, out *Request) error {
	it := q.intent
	out.Created, out.Initiator, out.What = it.Created, it.Initiator, words(it)
	terms, ok := v.terms(q)
	if !ok {
		return fmt.Errorf("it names charter %s, which was never in force", it.Charter.Short())
	}
	p, officer, ok := v.asker(q, terms, it.Initiator)
	if !ok {
		return fmt.Errorf("%s was no initiator", it.Initiator)
	}
	if !v.signedBy(q.doc, signet.Makes(statement.Intent), p.Keys) {
		return fmt.Errorf("%s did not sign it", it.Initiator)
	}
	approvals := v.readVotes(q, terms)
	if err := v.readDecisions(q, terms, out); err != nil {
		return err
	}
	ruled, tallyErr := v.swept(q, terms)
	switch t := intent.Count(q.id, it.Initiator, terms, approvals); {
	case ruled:
	case len(q.signed) > 0 && officer:
		tallyErr = fmt.Errorf("%s was no initiator, and no plan of an emergency ruled", it.Initiator)
	case len(q.signed) > 0 && !t.Met():
		tallyErr = errors.New("it was signed without its quorum: " + t.Missing())
	default:
		out.Approved = t.Approved
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

func (v *verifier) signedBy(d *doc, verb signet.Verb, keys []signet.Key) (by bool) {
	for _, sig := range d.signatures {
		v.signatures++
		if _, err := signet.Verify(sig.bytes, verb, d.statement.Bytes(), keys); err == nil {
			sig.holds, by = true, true
		}
	}
	return by
}

// readVotes verifies every vote that is shown.
func (v *verifier) readVotes(q *request, terms charter.Vault) (votes []intent.Vote) {
	for _, id := range v.about[q.id] {
		d := v.docs[id]
		if d == nil || !d.is(tlog.KindVote) {
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

// readDecisions verifies every decision that is shown: one of each operator, or two that say the same. What a decision is on it says itself.
func (v *verifier) readDecisions(q *request, terms charter.Vault, out *Request) error {
	reach, _ := v.rosters.Reach(q.vault.Roster)
	for _, id := range v.about[q.id] {
		d := v.docs[id]
		if d == nil || !d.is(tlog.KindDecision, tlog.KindHeard) {
			continue
		}
		if _, ok := d.as(statement.Decision); !ok {
			return fmt.Errorf("what is shown as a decision is none")
		}
		var made intent.Decision
		err := errors.New("it bears no signature")
		for _, sig := range d.signatures {
			v.signatures++
			var e error
			if made, e = intent.VerifyDecision(d.statement, sig.bytes, terms, reach); e == nil {
				sig.holds, err = true, nil
				break
			}
			err = e
		}
		if err != nil {
			return fmt.Errorf("a decision on it: %w", err)
		}
		if made.Intent != q.id {
			v.elsewhere(q, d, made)
			continue
		}
		if old, twice := q.decisions[made.Operator]; twice && old.Verdict != made.Verdict {
			v.report.fail("operator "+made.Operator, "it says of each request one thing", fmt.Sprintf("it signed both ALLOW and DENY of request %s", q.id.Short()))
			continue
		}
		q.decisions[made.Operator] = made
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

// elsewhere names the logs that tell of a decision as one on another request.
func (v *verifier) elsewhere(q *request, d *doc, made intent.Decision) {
	if v.decisions == nil {
		v.decisions = map[[2][32]byte][]spot{}
		for _, h := range v.logs {
			for n, l := range h.leaves {
				if l.Kind == tlog.KindDecision || l.Kind == tlog.KindHeard {
					v.decisions[[2][32]byte{l.About, l.ID}] = append(v.decisions[[2][32]byte{l.About, l.ID}], spot{h, n})
				}
			}
		}
	}
	for _, at := range v.decisions[[2][32]byte{q.id, d.id}] {
		v.report.fail("operator "+at.log.operator, "its log tells of each decision as what it is",
			fmt.Sprintf("leaf %d tells of a decision of %s on request %s as one on request %s", at.leaf, made.Operator, made.Intent.Short(), q.id.Short()))
	}
}

// A spot is one leaf of one log.
type spot struct {
	log  *history
	leaf int
}

// ownDecision wants a decision that any log tells to stand in the log of the node that signed it: it is written there before it leaves. Of that log a
// little less may be shown: it was read first, and its checkpoint cut before it was cosigned.
func (v *verifier) ownDecision(q *request, operator string, id statement.ID, created time.Time) {
	h := v.log(operator)
	if h == nil || !v.gone(h, created) {
		return
	}
	if _, told := h.has(tlog.KindDecision, id); told {
		return
	}
	if h.excused(created) {
		h.lost++
		return
	}
	v.report.fail("operator "+operator, "what it decided stands in its own log",
		fmt.Sprintf("others have its decision %s on request %s, signed at %s; its own log, shown to %s, lacks it", id.Short(), q.id.Short(), statement.FormatTime(created), statement.FormatTime(h.reach)))
}

// checkSigned verifies what came out: it is exactly what the intent asked for, by the key at its path.
func (v *verifier) checkSigned(q *request, out *Request) error {
	child, err := q.vault.child(q.suite(), hd.Path(q.intent.Path[:]))
	if err != nil {
		return err
	}
	// What came out is compared with the intent's address below: so that has to be the key's.
	address, err := chain.Address(q.suite(), q.intent.Chain, child, policy.Tree(q.vault.Vault, q.suite()))
	if err != nil {
		return err
	}
	if address != q.intent.Address {
		return fmt.Errorf("it names address %s, and the vault's key has %s at its path", q.intent.Address, address)
	}
	for id := range q.signed {
		err = errors.New("the signature itself is not shown")
		for _, shown := range v.named[id] {
			v.signatures++
			var e error
			switch {
			case q.intent.Purpose == intent.PurposeProof:
				e = q.checkProof(id, shown.raw, child)
			case q.intent.Purpose == intent.PurposeMessage:
				e = q.checkMessage(id, shown.raw)
			case elsewhere(q.intent):
				e = q.checkElsewhere(id, shown.raw)
			default:
				e = q.checkTransaction(id, shown.raw)
			}
			if e != nil {
				v.spoilt("log at "+shown.from, fmt.Sprintf("what came out of request %s: %v", q.id.Short(), e))
			}
			if err != nil {
				err = e
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
	signed, err := evm.ParseAny(raw)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(signed.Transaction.Unsigned(), q.intent.Transaction):
		return errors.New("it is not the transaction that was asked for")
	case signed.From.String() != q.intent.Address:
		return fmt.Errorf("%s signed it, not %s", signed.From, q.intent.Address)
	case [32]byte(signed.Hash) != id:
		return fmt.Errorf("its id is %s, the logs tell of %x", signed.Hash, id)
	}
	return nil
}

// checkMessage checks typed data or an authorization.
func (q *request) checkMessage(id [32]byte, raw []byte) error {
	digest, from, err := evm.CheckMessage(q.intent.Transaction, raw)
	switch {
	case err != nil:
		return err
	case from.String() != q.intent.Address:
		return fmt.Errorf("%s signed it, not %s", from, q.intent.Address)
	case [32]byte(digest) != id:
		return fmt.Errorf("its digest is %s, the logs tell of %x", digest, id)
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
	return chain.CheckProof(p.Suite, p.Chain, child, policy.Tree(q.vault.Vault, p.Suite), s.Bytes(), raw)
}

// words say in short what an intent asks for.
func words(it intent.Intent) string {
	var parts []string
	for _, f := range it.Facts {
		switch f.Name {
		case "operation", "asset", "amount", "destination", "address", "entity", "text":
			parts = append(parts, f.Value)
		default:
			if payload.Telling(f.Name, f.Value) {
				parts = append(parts, f.Value)
			}
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

// proofs puts the newest proof of control to each address. What it shows it shows until it expires.
func (v *verifier) proofs(x *vault, held []*request) {
	for _, q := range held {
		if q.intent.Purpose != intent.PurposeProof {
			continue
		}
		for i := range x.out.Addresses {
			if a := &x.out.Addresses[i]; a.Address == q.intent.Address && a.Chain == q.intent.Chain && (a.Proof == nil || a.Proof.Created.Before(q.intent.Created)) {
				a.Proof = controlOf(q.intent)
			}
		}
	}
	shown, until := map[string]bool{}, time.Time{}
	for _, a := range x.out.Addresses {
		if a.Proof == nil {
			continue
		}
		if shown[a.Address] = true; until.IsZero() || a.Proof.Expires.Before(until) {
			until = a.Proof.Expires
		}
		if !v.Now.Before(a.Proof.Expires) {
			v.report.attend(fmt.Sprintf("the proof of control of %s on %s has expired, on %s", a.Address, a.Chain, statement.FormatTime(a.Proof.Expires)))
		}
	}
	if n := len(shown); n > 0 {
		v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("its holders showed that they control %s, until %s or longer", count(n, "of its addresses", "of its addresses"), statement.FormatTime(until)), "the key at the address signed a statement of theirs")
	}
}

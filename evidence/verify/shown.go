package verify

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// The tree of a log does not hold bodies and signatures: who serves a log may leave them out, or change them, and no hash says so. What everybody must
// be shown, and is not, is a finding against where the log is shown, not against its operator.

// bodied are the kinds whose leaves stand for a body.
var bodied = map[string]bool{
	tlog.KindStatement: true, tlog.KindPrivate: true, tlog.KindSignature: true, tlog.KindVote: true, tlog.KindDecision: true, tlog.KindHeard: true, tlog.KindWord: true,
	tlog.KindRecord: true, tlog.KindCert: true, tlog.KindFinal: true, tlog.KindFinalCert: true, tlog.KindSigned: true, tlog.KindHeartbeat: true, tlog.KindAddress: true,
	tlog.KindAlarm: true, tlog.KindFence: true,
}

// open are those that are shown of every vault (spec/log 10.2).
var open = map[string]bool{
	tlog.KindStatement: true, tlog.KindSignature: true, tlog.KindWord: true, tlog.KindRecord: true, tlog.KindCert: true, tlog.KindFinal: true, tlog.KindFinalCert: true,
	tlog.KindHeartbeat: true, tlog.KindFence: true,
}

// checkShown wants each body that everybody may see to be shown by some log.
func (v *verifier) checkBodies() {
	v.report.Withheld = 0
	for _, h := range v.logs {
		var wanting, elsewhere, before int
		first := -1
		since := v.publishedSince(h)
		for _, n := range h.bare {
			l := h.leaves[n]
			if v.docs[l.ID] != nil || v.named[l.ID] != nil {
				elsewhere++
				continue
			}
			v.bare[l.About] = true
			if l.Kind == tlog.KindPrivate {
				v.bare[l.ID] = true
			}
			from, published := since[l.Vault]
			switch {
			case open[l.Kind] || l.Vault == [32]byte{} || published && n > from:
				if wanting++; first < 0 {
					first = n
				}
			case published:
				before++
				fallthrough
			default:
				v.report.Withheld++
			}
		}
		if wanting > 0 {
			v.report.fail("log at "+h.source, "it shows everything that everybody may see", fmt.Sprintf("%s without a body, which no other log shows either; the first is leaf %d (%s)", count(wanting, "entry stands there", "entries stand there"), first, h.leaves[first].Kind))
		}
		if before > 0 {
			v.report.attend(fmt.Sprintf("%s of vaults from before the charter published them are not shown at %s", count(before, "entry", "entries"), h.source))
		}
		if open := elsewhere; open > 0 && len(h.bare) == v.bodies(h) {
			v.report.attend(fmt.Sprintf("no entry's body is shown at %s: %s were read from other logs", h.source, count(open, "one", "of them")))
		}
	}
}

// bodies counts a log's leaves that stand for a body.
func (v *verifier) bodies(h *history) (n int) {
	for _, l := range h.leaves {
		if bodied[l.Kind] {
			n++
		}
	}
	return n
}

// publishedSince says, of each vault that the charter in force has shown, behind which leaf of a log it did: where the first of the versions came into
// force that say so up to now.
func (v *verifier) publishedSince(h *history) map[[32]byte]int {
	out := map[[32]byte]int{}
	for _, x := range v.vaults {
		if !x.out.Published {
			continue
		}
		from := -1
		for i := len(v.history) - 1; i >= 0; i-- {
			c := v.history[i]
			if !c.Terms(x.Vault, v.Now, v.isRevoked).Publish {
				break
			}
			if n, told := h.has(tlog.KindInForce, c.ID); told {
				from = n
			}
		}
		if from >= 0 {
			out[[32]byte(x.ID)] = from
		}
	}
	return out
}

// spoilt says that a log shows what nobody signed.
func (v *verifier) spoilt(where, what string) {
	v.report.fail(where, "each signature that it shows holds", what)
}

// checkSignatures wants each signature that stands beside a body to be somebody's: those that nothing above asked for too.
func (v *verifier) checkSignatures() {
	for _, d := range v.order {
		for _, sig := range d.signatures {
			if sig.holds || v.sound(d, sig.bytes) {
				continue
			}
			v.spoilt("log at "+sig.from, fmt.Sprintf("one that it shows beside %s %x does not", what(d), d.id[:6]))
		}
		if k, ok := v.unsigned(d); ok {
			v.spoilt("log at "+strings.Join(v.whoTells(d), ", "), fmt.Sprintf("%s %x is shown without the signature by which it counts", k, d.id[:6]))
		}
	}
}

func what(d *doc) string {
	if d.parsed && d.statement.Kind() != "" {
		return string(d.statement.Kind())
	}
	return strings.Join(d.kinds, ", ")
}

// sound says whether a signature is by the key that it names, or by the node of an operator, whatever that key may sign.
func (v *verifier) sound(d *doc, raw []byte) bool {
	s, err := statement.Parse(d.content)
	if err != nil {
		return false
	}
	v.signatures++
	if len(raw) == nodeSignature {
		return v.someNode(s, raw)
	}
	sig, err := signet.Parse(raw)
	if err != nil {
		return false
	}
	_, err = sig.Verify(signet.Makes(s.Kind()), s.Bytes(), []signet.Key{sig.Key()})
	return err == nil
}

func (v *verifier) someNode(s statement.Statement, raw []byte) bool {
	return slices.ContainsFunc(v.rosters, func(r charter.Roster) bool {
		return slices.ContainsFunc(r.Operators, func(o charter.Operator) bool {
			return signet.VerifyNode(ed25519.PublicKey(o.Identity), s, raw) == nil
		})
	})
}

// unsigned says whether a statement that one signature makes count has none that holds.
func (v *verifier) unsigned(d *doc) (statement.Kind, bool) {
	if !d.is(tlog.KindStatement) || !d.parsed {
		return "", false
	}
	switch k := d.statement.Kind(); k {
	case statement.Revoke, statement.Freeze, statement.Unfreeze, statement.Veto:
		return k, !slices.ContainsFunc(v.signaturesOf(d, tlog.KindSignature), func(s *signature) bool { return s.holds || v.sound(d, s.bytes) })
	}
	return "", false
}

// whoTells are the sources of the logs that tell of a statement.
func (v *verifier) whoTells(d *doc) (names []string) {
	for _, h := range v.logs {
		if _, ok := h.has(tlog.KindStatement, d.id); ok {
			names = append(names, h.source)
		}
	}
	return names
}

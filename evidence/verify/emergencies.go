package verify

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/rescue"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// emergencyKinds are all statements of SOS.
var emergencyKinds = []statement.Kind{
	statement.SOSRequest, statement.SOSSupport, statement.SOSVeto, statement.SOSChallenge, statement.SOSAlive, statement.SOSSigned, statement.SOSStep,
	statement.SOSNoVeto, statement.SOSSeat, statement.SOSActivation, statement.SOSReleased, statement.SOSClose, statement.SOSEarlyRelease,
}

// checkEmergencies replays each vault's from all logs (evidence/rescue), and says what its plan lets whom do.
func (v *verifier) checkEmergencies() {
	said := v.saidOfEmergencies()
	for _, x := range v.vaults {
		v.describePlan(x)
		epochs := v.epochsOf(x)
		if len(said[x.ID]) == 0 && !slices.ContainsFunc(epochs, func(e rescue.Epoch) bool { return e.Locked }) {
			continue
		}
		verdict := rescue.Judge(v.story(x, said[x.ID], epochs))
		for _, f := range verdict.Findings {
			v.report.fail(f.Subject, f.Claim, f.Why)
		}
		for _, what := range verdict.Attention {
			v.report.attend(what)
		}
		v.describeCases(x, verdict)
	}
	for _, id := range slices.SortedFunc(maps.Keys(said), func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) }) {
		if all := said[id]; v.vault(id) == nil {
			v.report.fail("circle", "each vault that its logs tell of is shown", fmt.Sprintf("%s tell of an emergency of vault %s, which no log shows", count(len(all), "statement", "statements"), id.Short()))
		}
	}
}

// saidOfEmergencies are all statements of SOS, by vault, with whatever signatures any log shows of them.
func (v *verifier) saidOfEmergencies() map[statement.ID][]rescue.Said {
	out := map[statement.ID][]rescue.Said{}
	for _, k := range emergencyKinds {
		for _, d := range v.statements(k) {
			s := rescue.Said{Statement: d.statement, Told: v.places(tlog.KindStatement, d.id)}
			if len(s.Told) == 0 {
				continue // only a copy of a log that was left out tells of it
			}
			for _, sig := range v.signaturesOf(d, tlog.KindSignature) {
				s.Signatures = append(s.Signatures, sig.bytes)
			}
			v.signatures += len(s.Signatures)
			vault := d.statement.Fields().ID("vault")
			out[vault] = append(out[vault], s)
		}
	}
	return out
}

// places are where each operator's log first tells of something.
func (v *verifier) places(kind string, id [32]byte) map[string]rescue.Place {
	out := map[string]rescue.Place{}
	for _, h := range v.logs {
		if n, ok := h.has(kind, id); ok {
			out[h.operator] = rescue.Place{Leaf: n, At: h.times[n]}
		}
	}
	return out
}

func (v *verifier) story(x *vault, said []rescue.Said, epochs []rescue.Epoch) rescue.Story {
	s := rescue.Story{
		Now: v.Now, Grace: v.Grace, Vault: x.ID, Name: x.Name, Said: said, Epochs: epochs, Outflows: v.outflows(x, said), Withheld: v.withheldOf(x),
		Plan: func(q act.Request) (plan.Plan, error) { return v.planOf(x, q) }, Charter: v.charterAt(), Current: v.epochAt(x), Heard: v.heardAt(),
		Party: func(name string) [16]byte {
			if o, ok := v.rosters.Operator(name); ok {
				return session.IDOf(o.Identity)
			}
			return [16]byte{}
		},
		Point: func(k act.Key, name string) ([16]byte, group.Point, error) { return v.pointOf(x, k, name) },
		Signed: func(k act.Key, digest [32]byte, sig []byte) error {
			key, rec := x.recordOf(k)
			if rec == nil {
				return errors.New("no log shows this epoch of the key")
			}
			return chain.CheckDigest(key.suite, rec.Public, digest, sig)
		},
	}
	for _, h := range v.logs {
		l := rescue.Log{Operator: h.operator, Reach: h.reach, Joined: v.joined(h.operator)}
		if h.generation > 0 {
			l.Renewed = h.renewed
		}
		s.Logs = append(s.Logs, l)
	}
	return s
}

// joined is when an operator came to the circle, as the logs of all tell; zero if it was there from the beginning.
func (v *verifier) joined(name string) (at time.Time) {
	for i, r := range v.rosters {
		_, in := r.Operator(name)
		if _, was := v.rosters[max(0, i-1)].Operator(name); in && !was {
			at, _ = v.told(r.ID, tlog.KindInForce)
		}
	}
	return at
}

// withheldOf says whether some log has a statement of a vault that no log shows: any of SOS would be shown to everybody.
func (v *verifier) withheldOf(x *vault) bool {
	for _, h := range v.logs {
		for _, n := range h.bare {
			l := h.leaves[n]
			if (l.Kind == tlog.KindStatement || l.Kind == tlog.KindSignature) && l.Vault == [32]byte(x.ID) && v.docs[l.ID] == nil {
				return true
			}
		}
	}
	return false
}

func (x *vault) recordOf(k act.Key) (*key, *epoch.Record) {
	for _, key := range x.keys {
		if key.id == k.Key {
			return key, key.records[k.Epoch]
		}
	}
	return nil, nil
}

// planOf is the plan that a request is under: of the charter that it names, for who held its keys in the epochs that it names.
func (v *verifier) planOf(x *vault, q act.Request) (plan.Plan, error) {
	c, ok := v.history.Version(q.Charter)
	if !ok {
		return plan.Plan{}, fmt.Errorf("it names charter %s, which was never in force", q.Charter.Short())
	}
	_, rec := x.recordOf(q.Keys[0])
	if rec == nil {
		return plan.Plan{}, fmt.Errorf("it names an epoch of key %x that no log shows in force", q.Keys[0].Key[:6])
	}
	return v.planUnder(x, c, rec)
}

func (v *verifier) planUnder(x *vault, c charter.Charter, rec *epoch.Record) (plan.Plan, error) {
	r, ok := v.rosters.Reach(c.Roster)
	if !ok {
		return plan.Plan{}, fmt.Errorf("the roster of charter %s is not shown", c.ID.Short())
	}
	names := slices.Sorted(slices.Values(v.committee(rec)))
	p, err := plan.Of(c, r, charter.Vault{ID: x.ID, Name: x.Name, Threshold: rec.Threshold, Committee: names})
	if err == nil {
		err = p.Validate()
	}
	return p, err
}

func (v *verifier) pointOf(x *vault, k act.Key, name string) ([16]byte, group.Point, error) {
	_, rec := x.recordOf(k)
	if rec == nil {
		return [16]byte{}, nil, errors.New("no log shows this epoch of the key")
	}
	for _, m := range rec.Members {
		if o, _ := v.rosters.Identity(m.Identity); o.Name == name {
			return m.ID, m.Public, nil
		}
	}
	return [16]byte{}, nil, fmt.Errorf("%s holds no share of it", name)
}

// epochsOf are all epochs of a vault's keys that certificates lead to.
func (v *verifier) epochsOf(x *vault) (out []rescue.Epoch) {
	for _, k := range x.keys {
		for _, f := range k.chain.Links() {
			r := f.Record
			e := rescue.Epoch{Key: act.Key{Key: k.id, Epoch: r.Hash()}, Number: r.Epoch, Prev: r.Prev, Threshold: r.Threshold, Backups: r.Backups, Rescued: r.Rescued(), Locked: r.Rescue != nil}
			if r.Rescue != nil {
				e.Activation, e.Until = r.Rescue.Activation, time.Unix(int64(r.Rescue.Until), 0).UTC()
			}
			if f.Cert != nil && f.Cert.Rescue != nil {
				for _, g := range f.Cert.Rescue.Guardians {
					e.Guardians = append(e.Guardians, keyLine(g.Signer))
				}
			}
			for _, m := range r.Members {
				o, _ := v.rosters.Identity(m.Identity)
				e.Members = append(e.Members, rescue.Seat{Operator: o.Name, Party: m.ID, Index: uint16(m.Index)})
			}
			e.Told = map[string]rescue.Place{}
			for _, h := range v.logs {
				for n, l := range h.leaves {
					if l.Kind == tlog.KindFinalCert && l.About == r.Hash() {
						e.Told[h.operator] = rescue.Place{Leaf: n, At: h.times[n]}
						break
					}
				}
			}
			out = append(out, e)
		}
	}
	return out
}

// keyLine is a guardian's signing key as charters write it.
func keyLine(signer ed25519.PublicKey) string {
	k, err := ssh.NewPublicKey(signer)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// latest gives, for a log, what its leaves of a kind told last before a leaf, as pick sees them.
func (v *verifier) latest(kind string, pick func(tlog.Leaf) ([32]byte, bool)) func(log string, leaf int) [32]byte {
	type at struct {
		leaf int
		id   [32]byte
	}
	told := map[string][]at{}
	for _, h := range v.logs {
		for n, l := range h.leaves {
			if l.Kind != kind {
				continue
			}
			if id, ok := pick(l); ok {
				told[h.operator] = append(told[h.operator], at{n, id})
			}
		}
	}
	return func(log string, leaf int) (id [32]byte) {
		for _, t := range told[log] {
			if t.leaf < leaf {
				id = t.id
			}
		}
		return id
	}
}

// charterAt is which charter was in force in a log before a leaf.
func (v *verifier) charterAt() func(string, int) statement.ID {
	at := v.latest(tlog.KindInForce, func(l tlog.Leaf) ([32]byte, bool) {
		_, ok := v.history.Version(l.ID)
		return l.ID, ok
	})
	return func(log string, leaf int) statement.ID { return at(log, leaf) }
}

// epochAt is which epoch of a key was.
func (v *verifier) epochAt(x *vault) func(string, [32]byte, int) [32]byte {
	by := map[[32]byte]func(string, int) [32]byte{}
	for _, k := range x.keys {
		by[k.id] = v.latest(tlog.KindFinalCert, func(l tlog.Leaf) ([32]byte, bool) { return l.About, k.records[l.About] != nil })
	}
	return func(log string, key [32]byte, leaf int) [32]byte {
		if at := by[key]; at != nil {
			return at(log, leaf)
		}
		return [32]byte{}
	}
}

// heardAt is when a log took the last sign of life of an operator before a leaf.
func (v *verifier) heardAt() func(log, subject string, leaf int) time.Time {
	by := map[[32]byte]string{}
	for _, d := range v.statements(statement.Heartbeat) {
		if b, err := pulse.Of(d.statement); err == nil && d.alive {
			by[d.id] = b.Operator
		}
	}
	return func(log, subject string, leaf int) (at time.Time) {
		h := v.log(log)
		if h == nil {
			return at
		}
		for n, l := range h.leaves[:min(leaf, len(h.leaves))] {
			if l.Kind == tlog.KindHeartbeat && by[l.ID] == subject {
				at = h.times[n]
			}
		}
		return at
	}
}

// NoPlan is what is claimed of a vault without a plan for emergencies.
const NoPlan = "it has no rescue plan (SOS): if more operators lose their shares than it can spare, it is lost"

// describePlan says who could rescue a vault, by the charter in force: r and k beside the steal number, with the limit.
func (v *verifier) describePlan(x *vault) {
	c, ok := v.history.Newest()
	if !ok || len(x.keys) == 0 {
		return
	}
	b, listed := c.Vault(x.Name)
	if !listed || b.Rescue == nil || !b.Rescue.Planned() {
		v.report.claim(Declared, "vault "+x.Name, NoPlan, "the charter in force names none")
		return
	}
	p, err := v.planUnder(x, c, x.keys[0].current())
	if err != nil {
		v.report.attend(fmt.Sprintf("vault %s is NOT READY for an emergency: %v", x.Name, err))
		return
	}
	steal := 0
	for _, f := range x.out.Control {
		if f.Kind == "person" {
			steal = f.Steal
		}
	}
	out := &RescuePlan{
		Threshold: p.Threshold, Operators: len(p.Operators), Live: p.Live, Quorum: p.Quorum, Guardians: len(p.Guardians), Together: p.Live + p.Quorum, Steal: steal,
		Limit: p.Limit(steal), Window: p.Window.String(), LockUp: p.LockUp.String(), Successors: p.Successors, Vetoes: p.Vetoes(),
	}
	for _, r := range p.Table() {
		out.Rows = append(out.Rows, PlanRow{r.Operators, r.Guardians, r.Before.String(), r.After.String()})
	}
	for _, t := range p.Triggers {
		row := PlanTrigger{Name: t.Name, Delay: t.Delay.String()}
		if t.After > 0 {
			row.After = t.After.String()
		}
		out.Triggers = append(out.Triggers, row)
	}
	for _, d := range p.Destinations {
		out.Destinations = append(out.Destinations, PlanDestination{d.Name, d.Chain, d.Address, d.Vault})
	}
	x.out.Plan = out
	v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("its plan for an emergency (SOS) lets %d operators and %d of %d guardians make new shares, after the delay: %d together, beside the %d persons who could steal its key", p.Live, p.Quorum, len(p.Guardians), p.Live+p.Quorum, steal),
		"the charter in force says so, which every operator signed; "+p.Limit(steal))
}

// broken says why the certificate of an epoch that an emergency is said to have made does not hold.
func (v *verifier) broken(x *vault, k *key, certs []*epoch.FinalCert) {
	for _, f := range certs {
		h := f.Record.Hash()
		if !f.Record.Rescued() || k.records[h] != nil || !slices.ContainsFunc(k.chain.Links(), func(o *epoch.FinalCert) bool { p := o.Record.Hash(); return bytes.Equal(p[:], f.Record.Prev[:]) }) {
			continue
		}
		if _, err := k.chain.Extend(f); err != nil {
			v.report.fail("vault "+x.Name, "each epoch that an emergency made has the agreement of its contributors and the approvals of its guardians", err.Error())
		}
	}
}

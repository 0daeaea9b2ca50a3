package rescue

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// open finds the requests: each under the plan of the charter and the epochs that it names, signed by whom that plan knows.
func (j *judge) open() {
	for _, s := range j.Said {
		if s.Statement.Kind() != statement.SOSRequest {
			continue
		}
		q, err := act.RequestOf(s.Statement)
		c := &inquiry{id: s.Statement.ID(), said: s, noVetoes: map[statement.ID]said[act.NoVeto]{}, unsure: map[string]bool{}, again: j.again}
		if err == nil && q.Vault != j.Vault {
			continue
		}
		if err == nil {
			c.Plan, err = j.Plan(q)
		}
		if err == nil {
			err = signedBy(s.Signatures, func(sig []byte) error { _, err := act.VerifyRequest(s.Statement, sig, c.Plan); return err })
		}
		if err == nil && q.Drill != c.Plan.Drill {
			err = fmt.Errorf("it says that a drill is %t, and its charter that %t", q.Drill, c.Plan.Drill)
		}
		if err != nil {
			j.find(c.subject(j.Story), claimWho, "the logs of %s take the request: %v", tellers(s.Told), err)
			continue
		}
		c.Request = q
		j.cases = append(j.cases, c)
	}
	slices.SortFunc(j.cases, func(a, b *inquiry) int { return a.Request.Created.Compare(b.Request.Created) })
}

// signedBy says whether one of these signatures holds.
func signedBy(all [][]byte, verify func([]byte) error) error {
	err := fmt.Errorf("no signature of it is shown")
	for _, sig := range all {
		if err = verify(sig); err == nil {
			return nil
		}
	}
	return err
}

// file puts each statement to its request, if it is by whom the plan lets speak, and about exactly this request (S3).
func (j *judge) file() {
	for _, s := range j.Said {
		k := s.Statement.Kind()
		if k == statement.SOSRequest || k == statement.SOSChallenge {
			continue
		}
		id := s.Statement.Fields().ID("request")
		i := slices.IndexFunc(j.cases, func(c *inquiry) bool { return c.id == id })
		if i < 0 {
			j.find(fmt.Sprintf("emergency %s of vault %s", id.Short(), j.Name), claimWho, "the logs of %s take a %s about it, and no log shows the request, well signed", tellers(s.Told), k)
			continue
		}
		if err := j.put(j.cases[i], s); err != nil {
			for name := range s.Told {
				j.cases[i].unsure[name] = true
			}
			j.find(j.cases[i].subject(j.Story), claimWho, "the logs of %s take a %s: %v", tellers(s.Told), k, err)
		}
	}
}

// put verifies a statement and keeps it.
func (j *judge) put(c *inquiry, s Said) error {
	p, st := c.Plan, s.Statement
	switch st.Kind() {
	case statement.SOSSupport:
		return keep(&c.supports, c, s, func(v act.Support) act.Head { return v.Head }, func(sig []byte) (act.Support, error) { return act.VerifySupport(st, sig, p) })
	case statement.SOSVeto:
		return keep(&c.vetoes, c, s, func(v act.Veto) act.Head { return v.Head }, func(sig []byte) (act.Veto, error) { return act.VerifyVeto(st, sig, p) })
	case statement.SOSStep:
		return keep(&c.steps, c, s, func(v act.Step) act.Head { return v.Head }, func(sig []byte) (act.Step, error) { return act.VerifyStep(st, sig, p) })
	case statement.SOSSeat:
		return keep(&c.seats, c, s, func(v act.Seat) act.Head { return v.Head }, func(sig []byte) (act.Seat, error) { return act.VerifySeat(st, sig, p) })
	case statement.SOSReleased:
		return keep(&c.released, c, s, func(v act.Released) act.Head { return v.Head }, func(sig []byte) (act.Released, error) { return act.VerifyReleased(st, sig, p) })
	case statement.SOSNoVeto:
		var one []said[act.NoVeto]
		err := keep(&one, c, s, func(v act.NoVeto) act.Head { return v.Head }, func(sig []byte) (act.NoVeto, error) { return act.VerifyNoVeto(st, sig, p) })
		for _, v := range one {
			c.noVetoes[v.id] = v
		}
		return err
	case statement.SOSAlive, statement.SOSSigned:
		return j.putProof(c, s)
	}
	return j.putShared(c, s)
}

func keep[T any](to *[]said[T], c *inquiry, s Said, head func(T) act.Head, verify func([]byte) (T, error)) error {
	var out T
	err := signedBy(s.Signatures, func(sig []byte) (err error) { out, err = verify(sig); return err })
	if err == nil {
		err = head(out).Of(c.Request)
	}
	if err == nil {
		*to = append(*to, said[T]{out, s.Statement.ID(), s.Told})
	}
	return err
}

// putProof keeps what proves itself, whoever carried it.
func (j *judge) putProof(c *inquiry, s Said) error {
	if s.Statement.Kind() == statement.SOSAlive {
		v, err := act.AliveOf(s.Statement)
		if err == nil {
			err = act.CheckAlive(v, c.Request, j.Point)
		}
		if err == nil {
			c.alive = append(c.alive, said[act.Alive]{v, v.ID, s.Told})
		}
		return err
	}
	v, err := act.SignedOf(s.Statement)
	if err == nil {
		err = act.CheckSigned(v, c.Request, j.Signed)
	}
	if err == nil {
		c.signed = append(c.signed, said[act.Signed]{v, v.ID, s.Told})
	}
	return err
}

// putShared keeps what several sign over the same bytes, if all of them did: what some have not signed yet waits, and nothing may rest on it.
func (j *judge) putShared(c *inquiry, s Said) error {
	st := s.Statement
	switch st.Kind() {
	case statement.SOSActivation:
		a, err := act.ActivationOf(st)
		if err != nil {
			return err
		}
		_, err = act.VerifyActivation(st, byNode(st, s.Signatures, c.Plan), c.Plan)
		return shared(j, &c.activations, c, s, a, a.Head, err)
	case statement.SOSClose:
		v, err := act.CloseOf(st)
		if err != nil {
			return err
		}
		_, signed, err := act.VerifyClose(st, byOfficer(st, s.Signatures, c.Plan), c.Plan, j.committee(c))
		if err == nil {
			err = j.enough(c, v, signed)
		}
		if err == nil {
			c.ClosedBy = signed
		}
		return shared(j, &c.closes, c, s, v, v.Head, err)
	case statement.SOSEarlyRelease:
		v, err := act.EarlyReleaseOf(st)
		if err != nil {
			return err
		}
		_, err = act.VerifyEarlyRelease(st, byOfficer(st, s.Signatures, c.Plan), c.Plan, j.committee(c))
		return shared(j, &c.freed, c, s, v, v.Head, err)
	}
	return fmt.Errorf("no rule is known here for this kind")
}

func shared[T any](j *judge, to *[]said[T], c *inquiry, s Said, what T, head act.Head, incomplete error) error {
	if err := head.Of(c.Request); err != nil {
		return err
	}
	if incomplete != nil {
		j.out.Attention = append(j.out.Attention, fmt.Sprintf("of the emergency of vault %s, a %s is not signed by enough: %v", j.Name, s.Statement.Kind(), incomplete))
		return nil
	}
	*to = append(*to, said[T]{what, s.Statement.ID(), s.Told})
	return nil
}

// enough says of which key fewer of the new committee signed a closing than sign with it (spec/sos 3.6). An epoch that the emergency did not make has nobody, and judgeClosings
// says so.
func (j *judge) enough(c *inquiry, v act.Close, signed []string) error {
	for _, k := range v.Keys {
		e, ok := j.epoch(k.Key)
		n := 0
		for _, m := range e.Members {
			if slices.Contains(signed, m.Operator) {
				n++
			}
		}
		if ok && slices.ContainsFunc(j.made(c), func(o Epoch) bool { return o.Key == k.Key }) && n < e.Threshold {
			return fmt.Errorf("of key %x's new committee %d signed it (%s), %d must", k.Key.Key[:6], n, strings.Join(signed, ", "), e.Threshold)
		}
	}
	all := j.committee(c)
	for _, k := range v.Keys { // one that names what was not made is a false word of whoever signed it, and a finding only if all did
		if !slices.ContainsFunc(j.made(c), func(o Epoch) bool { return o.Key == k.Key }) && len(signed) < len(all) {
			return fmt.Errorf("it names an epoch of key %x that the emergency did not make, and is signed by %s alone", k.Key.Key[:6], strings.Join(signed, ", "))
		}
	}
	if len(signed) == 0 {
		return errors.New("nobody of the new committees signed it")
	}
	return nil
}

// made are the epochs that an activation of the request made.
func (j *judge) made(c *inquiry) (out []Epoch) {
	for _, e := range j.Epochs {
		if !e.Rescued {
			continue
		}
		if slices.ContainsFunc(j.Said, func(s Said) bool {
			return s.Statement.ID() == e.Activation && s.Statement.Kind() == statement.SOSActivation && s.Statement.Fields().ID("request") == c.id
		}) {
			out = append(out, e)
		}
	}
	return out
}

// committee is who holds the keys since: of all of them together.
func (j *judge) committee(c *inquiry) (names []string) {
	for _, e := range j.made(c) {
		for _, m := range e.Members {
			if !slices.Contains(names, m.Operator) {
				names = append(names, m.Operator)
			}
		}
	}
	if len(names) == 0 { // nothing came of it yet: the one in force
		for _, o := range c.Plan.Operators {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	return names
}

func everybody(p plan.Plan) []plan.Operator { return slices.Concat(p.Operators, p.Others) }

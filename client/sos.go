package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Rescue is a vault's SOS, as the nodes show it. What all must say alike is compared; how far a request is, each node says for itself.
type Rescue struct {
	Vault                statement.ID
	Name                 string
	Charter              statement.ID // in force
	Drill                bool
	Keys                 []act.Key
	Holders              map[[32]byte]sos.Holders // of each key, its committee in force
	Operators, Guardians []string
	Triggers             []string     // that the plan serves; none: the node does not say
	Seats                []Seat       // guardians' parties, by their cards
	Declared             int          // declarations in the 90 days before: the most that a node knows
	Previous             statement.ID // the last of them, by that node
	Views                []RescueView
	Requests             []RescueRequest // ascending by when they were made
	Apart                error           // *Difference: nodes contradict one another about the plan's ground; nil
}

// A RescueView is what one node says of a vault.
type RescueView struct {
	Node       string
	State      string   // of the vault; empty: the node does not say
	Missing    []string // why it is NOT READY, of what the node knows
	Needs      []Need   // the same, with what to do
	RolledBack bool
	basis      []byte // what must be alike
}

// A Seat is a guardian's party in the epochs that are made under the plan.
type Seat struct {
	Name  string
	Party [16]byte
}

// A Need is what a vault is missing for SOS.
type Need struct {
	What  string `json:"what"`
	Do    string `json:"do"`
	Stops bool   `json:"stops"` // a declaration could come to nothing; else it is overdue
	Drill bool   `json:"drill"` // a drill is overdue
}

// A RescueRequest is a request, by node.
type RescueRequest struct {
	act.Request
	Statement statement.Statement
	Views     []RequestView
	Hidden    []string // nodes that show the vault, and not this request
}

// A RequestView is how far one node has a request.
type RequestView struct {
	Node                                string
	State                               string
	Since, FirstSeen                    time.Time
	Credited, Remaining                 time.Duration
	Consents, Supports, Vetoes, Waiting []string
	Late                                bool
	Activations                         []Activated
	Quorum                              int        // so many contributions it takes; 0: the node does not say
	Reshared                            [][32]byte // keys that have new shares by it
	Mute                                []Mute
}

// An Activated is an activation, as one node has it.
type Activated struct {
	ID                    statement.ID
	Key                   [32]byte
	Contributors, Members []string
	Signed                []string // contributors whose signature the node has
	Whole                 bool     // all signed, and the node took it
	Given                 []string // guardians whose contribution the node has
	Gave                  []string // contributors that gave their part
}

// A Mute is a guardian whose support does not count, and why.
type Mute struct {
	Guardian string `json:"guardian"`
	Why      string `json:"why"`
}

// Bounds of what one node may show of a vault.
const (
	maxRescueNames = 64 // a committee, guardians, reasons
	maxVaultKeys   = 16
	hiddenAfter    = time.Minute // a node that does not show a declaration may not have had it for so long
)

// Rescues asks every node for its SOS. No key is needed: all of it is public.
func (c *Circle) Rescues(ctx context.Context) ([]Rescue, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]Rescue, error) {
		res, err := m.SOS(ctx, connect.NewRequest(&v1.SOSRequest{}))
		if err != nil {
			return nil, err
		}
		var out []Rescue
		for _, r := range res.Msg.Vaults {
			x, err := readRescue(m.Name, r)
			if err != nil {
				return nil, &VerifyError{m.Name, fmt.Errorf("SOS of vault %.64q: %w", r.Name, err)}
			}
			out = append(out, x)
		}
		return out, nil
	})
	// One node that shows what does not hold must not keep a person from seeing, supporting or vetoing at the others: it is named.
	good := answers.Good()
	if len(good) == 0 {
		return nil, nil, &NodesError{"ask for SOS", 1, answers.Failures()}
	}
	return MergeRescues(good), answers.Failures(), nil
}

func readRescue(node string, m *v1.Rescue) (r Rescue, err error) {
	if len(m.Vault) != 32 || len(m.Charter) != 32 && len(m.Missing) == 0 || len(m.Previous) != 0 && len(m.Previous) != 32 {
		return r, errors.New("vault, charter or the declaration before is not 32 bytes")
	}
	if len(m.Needs) > maxRescueNames || len(m.Seats) > maxRescueNames || len(m.State) > 64 {
		return r, fmt.Errorf("%d needs and %d guardians, at most %d each are read", len(m.Needs), len(m.Seats), maxRescueNames)
	}
	if len(m.Cases) > sos.MaxCases || len(m.Keys) > maxVaultKeys || len(m.Name) > 64 {
		return r, fmt.Errorf("%d requests and %d keys, at most %d and %d are read", len(m.Cases), len(m.Keys), sos.MaxCases, maxVaultKeys)
	}
	for _, names := range [][]string{m.Missing, m.Operators, m.Guardians, m.Triggers} {
		if len(names) > maxRescueNames {
			return r, fmt.Errorf("a list of %d, at most %d are read", len(names), maxRescueNames)
		}
	}
	r = Rescue{Vault: statement.ID(m.Vault), Name: m.Name, Drill: m.Drill, Operators: m.Operators, Guardians: m.Guardians, Triggers: m.Triggers, Declared: int(m.Declared), Holders: map[[32]byte]sos.Holders{}}
	copy(r.Charter[:], m.Charter)
	copy(r.Previous[:], m.Previous)
	if (r.Declared == 0) != r.Previous.IsZero() {
		return r, errors.New("it counts declarations and does not name the last, or names one and counts none")
	}
	for _, k := range m.Keys {
		if len(k.Key) != 32 || len(k.Epoch) != 32 || len(k.Holders) > maxRescueNames || int64(k.Threshold) > int64(len(k.Holders)) {
			return r, errors.New("a key or its epoch is not 32 bytes, too many hold it, or more sign than hold it")
		}
		if len(k.Holders) > 0 {
			r.Holders[[32]byte(k.Key)] = sos.Holders{Operators: k.Holders, Threshold: int(k.Threshold)}
		}
		r.Keys = append(r.Keys, act.Key{Key: [32]byte(k.Key), Epoch: [32]byte(k.Epoch)})
	}
	for _, c := range m.Cases {
		q, err := readRequest(node, r.Vault, c)
		if err != nil {
			return r, err
		}
		r.Requests = append(r.Requests, q)
	}
	for _, x := range m.Seats {
		if statement.CheckLabel(x.Name) != nil || len(x.Party) != 16 {
			return r, errors.New("a guardian's name is no label, or its party not 16 bytes")
		}
		r.Seats = append(r.Seats, Seat{x.Name, [16]byte(x.Party)})
	}
	v := RescueView{Node: node, State: m.State, Missing: m.Missing, RolledBack: m.RolledBack, basis: r.basis()}
	for _, x := range m.Needs {
		v.Needs = append(v.Needs, Need{x.What, x.Do, x.Stops, x.Drill})
	}
	r.Views = []RescueView{v}
	return r, nil
}

// readRequest holds a case to its own bytes: its id is theirs, and it is of the vault.
func readRequest(node string, vault statement.ID, c *v1.RescueCase) (q RescueRequest, err error) {
	if q.Statement, err = statement.ParseKind(c.Request, statement.SOSRequest); err != nil {
		return q, err
	}
	if q.Request, err = act.RequestOf(q.Statement); err != nil {
		return q, err
	}
	if !bytes.Equal(q.ID[:], c.Id) || q.Vault != vault {
		return q, fmt.Errorf("request %s is shown under another id or vault", q.ID.Short())
	}
	v := RequestView{Node: node, State: c.State, Credited: time.Duration(c.Credited) * time.Second, Remaining: time.Duration(c.Remaining) * time.Second, Late: c.Late}
	for _, names := range []struct {
		to   *[]string
		from []string
	}{{&v.Consents, c.Consents}, {&v.Supports, c.Supports}, {&v.Vetoes, c.Vetoes}, {&v.Waiting, c.Lacks}} {
		if len(names.from) > maxRescueNames {
			return q, fmt.Errorf("request %s: a list of %d, at most %d are read", q.ID.Short(), len(names.from), maxRescueNames)
		}
		*names.to = names.from
	}
	const most = int64(1 << 32) // seconds: what is more would overflow
	if c.Credited < 0 || c.Credited > most || c.Remaining < 0 || c.Remaining > most {
		return q, fmt.Errorf("request %s: %d s credited and %d s left are no spans", q.ID.Short(), c.Credited, c.Remaining)
	}
	if v.Since, err = time.Parse(time.RFC3339, c.Since); err != nil {
		return q, fmt.Errorf("request %s: since: %w", q.ID.Short(), err)
	}
	if c.FirstSeen != "" {
		if v.FirstSeen, err = time.Parse(time.RFC3339, c.FirstSeen); err != nil {
			return q, fmt.Errorf("request %s: first seen: %w", q.ID.Short(), err)
		}
	}
	err = v.readDoings(c)
	q.Views = []RequestView{v}
	return q, err
}

// readDoings reads how far the activations of a request are.
func (v *RequestView) readDoings(c *v1.RescueCase) error {
	if len(c.Activations) > 2*maxVaultKeys || len(c.Reshared) > maxVaultKeys || len(c.Mute) > maxRescueNames || c.Quorum > maxRescueNames {
		return fmt.Errorf("%d activations, %d keys with new shares, %d supports that do not count and %d contributions are more than are read", len(c.Activations), len(c.Reshared), len(c.Mute), c.Quorum)
	}
	v.Quorum = int(c.Quorum)
	for _, x := range c.Activations {
		if len(x.Id) != 32 || len(x.Key) != 32 {
			return errors.New("an activation or its key is not 32 bytes")
		}
		for _, names := range [][]string{x.Contributors, x.Members, x.Signed, x.Given, x.Gave} {
			if len(names) > maxRescueNames {
				return fmt.Errorf("activation %x: a list of %d, at most %d are read", x.Id[:4], len(names), maxRescueNames)
			}
		}
		v.Activations = append(v.Activations, Activated{statement.ID(x.Id), [32]byte(x.Key), x.Contributors, x.Members, x.Signed, x.Whole, x.Given, x.Gave})
	}
	for _, k := range c.Reshared {
		if len(k) != 32 {
			return errors.New("a key with new shares is not 32 bytes")
		}
		v.Reshared = append(v.Reshared, [32]byte(k))
	}
	for _, m := range c.Mute {
		v.Mute = append(v.Mute, Mute{m.Guardian, m.Why})
	}
	return nil
}

// basis is what all nodes must say alike: what a request is made from.
func (r Rescue) basis() []byte {
	text := fmt.Sprintf("charter %s, drill %t, vault %s", r.Charter, r.Drill, r.Name)
	for _, k := range r.Keys {
		text += fmt.Sprintf(", key %x in epoch %x of %d of %s", k.Key, k.Epoch, r.Holders[k.Key].Threshold, strings.Join(r.Holders[k.Key].Operators, " "))
	}
	return []byte(text)
}

// MergeRescues puts together what nodes show, by vault, and says what they contradict one another about and hide.
func MergeRescues(answers Answers[[]Rescue]) (out []Rescue) {
	for _, a := range answers {
		for _, r := range a.Value {
			i := slices.IndexFunc(out, func(o Rescue) bool { return o.Vault == r.Vault })
			if i < 0 {
				out = append(out, r)
				continue
			}
			out[i].merge(r)
		}
	}
	for i := range out {
		out[i].settle()
	}
	slices.SortFunc(out, func(a, b Rescue) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (r *Rescue) merge(o Rescue) {
	r.Views = append(r.Views, o.Views...)
	if o.Declared > r.Declared {
		r.Declared, r.Previous = o.Declared, o.Previous
	}
	for _, q := range o.Requests {
		i := slices.IndexFunc(r.Requests, func(x RescueRequest) bool { return x.ID == q.ID })
		if i < 0 {
			r.Requests = append(r.Requests, q)
			continue
		}
		r.Requests[i].Views = append(r.Requests[i].Views, q.Views...)
	}
}

// settle compares, once all nodes' words are in.
func (r *Rescue) settle() {
	var copies []Copy
	for _, v := range r.Views {
		copies = append(copies, Copy{v.Node, v.basis})
	}
	r.Apart = Compare("charter, mode and keys of the SOS of vault "+r.Name, copies)
	slices.SortFunc(r.Requests, func(a, b RescueRequest) int {
		if n := a.Created.Compare(b.Created); n != 0 {
			return n
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	for i := range r.Requests {
		q := &r.Requests[i]
		for _, v := range r.Views {
			if !slices.ContainsFunc(q.Views, func(x RequestView) bool { return x.Node == v.Node }) {
				q.Hidden = append(q.Hidden, v.Node)
			}
		}
	}
}

// holding are the states in which a declaration holds its vault.
var holding = []string{sos.Declared.String(), sos.Contest.String(), sos.Active.String(), sos.LockUp.String()}

// Holds says whether a node has the request declared, and not over.
func (q RescueRequest) Holds() bool {
	return slices.ContainsFunc(q.Views, func(v RequestView) bool { return slices.Contains(holding, v.State) })
}

// Concealed names nodes that do not show a declaration which others have had for a minute and longer (spec/sos 9, S10).
func (q RescueRequest) Concealed(now time.Time) []string {
	old := slices.ContainsFunc(q.Views, func(v RequestView) bool {
		return slices.Contains(holding, v.State) && !v.FirstSeen.IsZero() && now.Sub(v.FirstSeen) > hiddenAfter
	})
	if !old {
		return nil
	}
	return q.Hidden
}

// FindRescue finds a vault by its name.
func FindRescue(all []Rescue, name string) (Rescue, error) {
	i := slices.IndexFunc(all, func(r Rescue) bool { return r.Name == name })
	if i < 0 {
		return Rescue{}, fmt.Errorf("vault %.64q with an SOS plan: %w; there are: %s", name, ErrUnknown, planned(all))
	}
	return all[i], nil
}

// planned names the vaults that nodes show a plan of.
func planned(all []Rescue) string {
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// FindRequest finds a request by its id, or by 8 or more digits that the id begins with.
func FindRequest(all []Rescue, id string) (r Rescue, q RescueRequest, err error) {
	if !IDBegins(id) {
		return r, q, fmt.Errorf("%w SOS request %.80q: give 8 or more hex digits of its id, as `ostraka sos status` shows them", ErrMalformed, id)
	}
	found := 0
	for _, v := range all {
		for _, x := range v.Requests {
			if strings.HasPrefix(x.ID.String(), id) {
				r, q, found = v, x, found+1
			}
		}
	}
	switch found {
	case 0:
		return r, q, fmt.Errorf("SOS request %q: %w", id, ErrUnknown)
	case 1:
		return r, q, nil
	}
	return r, q, fmt.Errorf("SOS request %q: %d ids begin so: give more digits", id, found)
}

// Drafts begin a request because of these operators for each committee that one of them sits in, about those of them that do: under what at least two nodes say alike, for one alone could have a
// person sign for another epoch or count. Each names that committee's keys. One is declared at a time, and says how many came before: the next is drafted once the first is over. trigger and
// all that follows is the caller's.
func (r Rescue) Drafts(now time.Time, subjects []string) (all []act.Request, err error) {
	if r.Apart != nil {
		return nil, r.Apart
	}
	if len(r.Views) < 2 {
		return nil, &EarlyError{fmt.Sprintf("only node %s shows the SOS of vault %s: a request is made from the equal answers of two", r.Views[0].Node, r.Name)}
	}
	groups := sos.View{Keys: r.Keys, Holders: r.Holders}.Of(subjects)
	for _, keys := range groups {
		of := subjects
		if len(groups) > 1 {
			of = slices.DeleteFunc(slices.Clone(subjects), func(name string) bool {
				return !slices.ContainsFunc(keys, func(k act.Key) bool { return slices.Contains(r.Holders[k.Key].Operators, name) })
			})
		}
		all = append(all, act.Request{
			Drill: r.Drill, Charter: r.Charter, Vault: r.Vault, Subjects: of, Number: r.Declared, Previous: r.Previous, Keys: keys, Created: now, Expires: now.Add(act.Gather),
		})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %s holds no share of vault %s; its operators: %s", ErrMalformed, strings.Join(subjects, ", "), r.Name, strings.Join(r.Operators, ", "))
	}
	return all, nil
}

package sos

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// Grounds holds an activation to the plan that its request was made under, for who took no part in the emergency, or came after it (spec/node 12.24): the request as its maker signed
// it, and the activation as all its contributors' nodes did. parties are whose node each operator's is. That contributors and guardians gave their parts is for the
// certificate of the epoch to show; whether delays were kept, for logs.
func Grounds(p plan.Plan, request statement.Statement, armored []byte, activation statement.Statement, sigs map[string][]byte, parties map[string][16]byte) (act.Activation, error) {
	r, err := act.VerifyRequest(request, armored, p)
	if err != nil {
		return act.Activation{}, err
	}
	if r.Drill != p.Drill || r.Charter != p.Charter || r.Vault != p.Vault {
		return act.Activation{}, fmt.Errorf("SOS request %s: %w: another mode, charter or vault than the plan's", r.ID.Short(), ErrForeign)
	}
	a, err := act.VerifyActivation(activation, sigs, p)
	if err != nil {
		return a, err
	}
	for name := range sigs {
		if !slices.Contains(a.Contributors, name) {
			return a, fmt.Errorf("activation %s: signatures: %s contributes to nothing", a.ID.Short(), name)
		}
	}
	c := Case{plan: p, request: r}
	for _, name := range a.Contributors {
		if !slices.Contains(p.Contributors(r.Subjects), name) { // S8: nobody who is lost, or bound to who is, gives anything
			return a, fmt.Errorf("activation %s: %w: contributor: %s may not contribute", a.ID.Short(), ErrPlan, name)
		}
	}
	if err := c.planned(Activated{Activation: a, Party: parties}); err != nil {
		return a, fmt.Errorf("activation %s: %w", a.ID.Short(), err)
	}
	return a, nil
}

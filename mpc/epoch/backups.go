package epoch

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/mpc/guard"
)

// ErrUnguarded says that a record has no second sharing: its vault had no SOS plan when it was made, or not all guardians had keys.
var ErrUnguarded = errors.New("this epoch has no backups with guardians")

// Terms are what the record's backup set is held to. The plan must be the record's.
func (r *Record) Terms(p *guard.Plan) (guard.Terms, error) {
	switch {
	case r.Guardians == [32]byte{}:
		return guard.Terms{}, ErrUnguarded
	case p == nil || p.Hash() != r.Guardians:
		return guard.Terms{}, errors.New("the guardians' plan is not the one that the epoch was made under")
	}
	t := guard.Terms{Group: r.Public.Group(), KeyID: r.KeyID, Partial: r.PartialHash(), Threshold: r.Threshold, Plan: p}
	for _, m := range r.Members {
		t.Members = append(t.Members, guard.Member{Party: m.Party, Public: m.Public})
	}
	return t, nil
}

// CheckBackups reads the record's backup set and checks all that can be seen of it without a secret: that it is the record's, and that r operators
// and k guardians could bring the key back from it (spec/guard 3.1). It costs about 13 ms for each dealer and guardian.
func (r *Record) CheckBackups(p *guard.Plan, set []byte) (*guard.Set, error) {
	s, t, err := r.OpenBackups(p, set)
	if err != nil {
		return nil, err
	}
	if err := s.Verify(t); err != nil {
		return nil, fmt.Errorf("record %v: %w", r.Hash(), err)
	}
	return s, nil
}

// OpenBackups reads a set that was verified before: it checks that it is the record's.
func (r *Record) OpenBackups(p *guard.Plan, set []byte) (*guard.Set, guard.Terms, error) {
	t, err := r.Terms(p)
	if err == nil && guard.HashSet(set) != r.Backups {
		err = errors.New("the backup set is of another epoch, or damaged")
	}
	if err != nil {
		return nil, t, fmt.Errorf("record %v: %w", r.Hash(), err)
	}
	s, err := guard.DecodeSet(t, set)
	if err != nil {
		return nil, t, fmt.Errorf("record %v: %w", r.Hash(), err)
	}
	return s, t, nil
}

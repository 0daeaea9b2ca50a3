package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
)

// CreateAccount makes an account of a vault with the next free numbers that the nodes know,
// signed by the circle's person, who must be an initiator.
func CreateAccount(ctx context.Context, c *Circle, v Vault, department, name string) (Account, Answers[Taken], error) {
	if c.signer == nil {
		return Account{}, nil, ErrNoKey
	}
	if _, err := v.initiator(c.signer); err != nil {
		return Account{}, nil, err
	}
	all, _, err := c.Accounts(ctx, v)
	if err != nil {
		return Account{}, nil, err
	}
	path, err := nextPath(all, department, name)
	if err != nil {
		return Account{}, nil, err
	}
	a := charter.Account{Charter: v.Charter, Vault: v.ID, Department: department, Name: name, Path: path, Created: Now()}
	s, err := a.Statement(NewSalt())
	if err != nil {
		return Account{}, nil, err
	}
	taken, err := c.SubmitStatement(ctx, s)
	if err != nil {
		return Account{}, nil, err
	}
	_, err = taken.Need(fmt.Sprintf("make account %s/%s", department, name), 1)
	return Account{a, s.ID(), map[string]map[string]int{}}, taken, err
}

// nextPath is the department's number, or a new one, and the first account number below it
// that no node knows to be taken.
func nextPath(all []Account, department, name string) (path [2]uint32, err error) {
	known := false
	for _, a := range all {
		switch {
		case a.Department == department && a.Name == name:
			return path, fmt.Errorf("account %s/%s %w", department, name, ErrExists)
		case a.Department == department:
			path[0], known = a.Path[0], true
		}
	}
	taken := func(level int, n uint32) bool {
		return slices.ContainsFunc(all, func(a Account) bool { return a.Path[level] == n && (level == 0 || a.Path[0] == path[0]) })
	}
	for !known && taken(0, path[0]) {
		path[0]++
	}
	for taken(1, path[1]) {
		path[1]++
	}
	return path, nil
}

// ErrExists says that something of that name was made before.
var ErrExists = errors.New("exists already")

// A RefusedError says that the vault's rules forbid something; no node needs to be asked.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// initiator names the person whose key it is, if they may propose.
func (v Vault) initiator(s *Signer) (string, error) {
	for _, p := range v.Initiators {
		if slices.ContainsFunc(p.Keys, s.Key().Equal) {
			return p.Name, nil
		}
	}
	return "", &RefusedError{fmt.Sprintf("key %s is no initiator's of vault %s", s.Key().Fingerprint(), v.Name)}
}

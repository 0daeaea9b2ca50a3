package charter

import (
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// An Account is a department's account below a vault's root: BIP32 path m/D/A, none
// hardened. An initiator of the vault signs it.
type Account struct {
	Charter    statement.ID
	Vault      statement.ID
	Department string // label
	Name       string // label, unique in the department
	Path       [2]uint32
	Created    time.Time
}

// Statement writes the account.
func (a Account) Statement(salt statement.Salt) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("charter", a.Charter).AddID("vault", a.Vault)
	b = b.Add("department", a.Department).Add("account", a.Name)
	b = b.Add("path", statement.FormatPath(a.Path[:]...)).AddTime("created", a.Created)
	return statement.Build(statement.Account, b, salt)
}

// AccountOf gives an account statement its meaning.
func AccountOf(s statement.Statement) (Account, error) {
	if err := s.Require(statement.Account); err != nil {
		return Account{}, err
	}
	f := s.Fields()
	levels, err := statement.ParsePath(f.Get("path"))
	if err != nil || len(levels) != 2 {
		return Account{}, fmt.Errorf("account %s: path %q has not two levels", s.ID().Short(), f.Get("path"))
	}
	return Account{
		Charter: f.ID("charter"), Vault: f.ID("vault"),
		Department: f.Get("department"), Name: f.Get("account"),
		Path: [2]uint32(levels), Created: f.Time("created"),
	}, nil
}

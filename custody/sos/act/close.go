package act

import (
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Close says that the new committee stands: its backups are cut, a drill is passed, a report is published. All of it sign.
type Close struct {
	ID statement.ID
	Head
	Keys    []Backed // all of the request, ascending
	Drill   [32]byte // SHA-256 of the evidence
	Report  [32]byte // SHA-256
	Created time.Time
}

// A Backed is a key in its new epoch, and the backups of that.
type Backed struct {
	Key
	Backups [32]byte // hash of the backup set
}

// Statement writes it.
func (c Close) Statement(salt statement.Salt) (statement.Statement, error) {
	b := c.block()
	for _, k := range c.Keys {
		var sub statement.Block
		b = addKey(b, k.Key, sub.AddHex("backups", k.Backups[:]))
	}
	b = b.AddHex("drill", c.Drill[:]).AddHex("report", c.Report[:])
	return build(statement.SOSClose, b.AddTime("created", c.Created), salt, c.check())
}

// CloseOf gives its statement its meaning.
func CloseOf(s statement.Statement) (Close, error) {
	return read(s, statement.SOSClose, func(f statement.Block) Close {
		c := Close{ID: s.ID(), Head: headOf(f), Drill: f.ID("drill"), Report: f.ID("report"), Created: f.Time("created")}
		for _, k := range f.Each("key") {
			c.Keys = append(c.Keys, Backed{keyOf(k), k.Block.ID("backups")})
		}
		return c
	}, Close.check)
}

func (c Close) check() error {
	var keys []Key
	for _, k := range c.Keys {
		keys = append(keys, k.Key)
	}
	return ascendingKeys(keys)
}

// VerifyClose checks that an officer of each of these operators signed it: the new committee's. armored is by operator.
func VerifyClose(s statement.Statement, armored map[string][]byte, p plan.Plan, committee []string) (Close, error) {
	c, err := CloseOf(s)
	if err != nil {
		return c, err
	}
	return c, everyone(s, armored, p, committee)
}

// An EarlyRelease ends the lock-up and the tranches before their time. Every operator of the committee in force signs.
type EarlyRelease struct {
	ID statement.ID
	Head
	Reason  string
	Created time.Time
}

// Statement writes it.
func (v EarlyRelease) Statement(salt statement.Salt) (statement.Statement, error) {
	return build(statement.SOSEarlyRelease, v.block().Add("reason", v.Reason).AddTime("created", v.Created), salt, nil)
}

// EarlyReleaseOf gives its statement its meaning.
func EarlyReleaseOf(s statement.Statement) (EarlyRelease, error) {
	return read(s, statement.SOSEarlyRelease, func(f statement.Block) EarlyRelease {
		return EarlyRelease{s.ID(), headOf(f), f.Get("reason"), f.Time("created")}
	}, func(EarlyRelease) error { return nil })
}

// VerifyEarlyRelease checks that an officer of each of these operators signed it.
func VerifyEarlyRelease(s statement.Statement, armored map[string][]byte, p plan.Plan, committee []string) (EarlyRelease, error) {
	v, err := EarlyReleaseOf(s)
	if err != nil {
		return v, err
	}
	return v, everyone(s, armored, p, committee)
}

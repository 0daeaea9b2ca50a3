package act

import (
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Close says that the new shares stand: their backups are cut, a drill is passed, a report is published. It counts when, for each key, as many of its
// new committee signed it as sign with the key: so neither a lost nor a hostile one of them holds the vault for ever.
type Close struct {
	ID statement.ID
	Head
	Keys    []Backed // exactly those that have new shares by the request, ascending
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

// VerifyClose says of which of these operators an officer signed it, in their order; whose signature does not hold has not signed. Whether they are enough
// is for who knows the keys' new committees. armored is by operator.
func VerifyClose(s statement.Statement, armored map[string][]byte, p plan.Plan, committee []string) (c Close, signed []string, err error) {
	if c, err = CloseOf(s); err != nil {
		return c, nil, err
	}
	for _, name := range committee {
		if everyone(s, armored, p, []string{name}) == nil {
			signed = append(signed, name)
		}
	}
	return c, signed, nil
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

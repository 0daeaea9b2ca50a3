package charters

import (
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// takeVeto keeps an operator's veto: our node does not enact what somebody vetoed before.
func (c *Charters) takeVeto(now time.Time, s statement.Statement, armored []byte, must string, write writer) error {
	p := c.known[s.Fields().ID("charter")]
	if p == nil {
		return fmt.Errorf("%w: charter %s is not known here", outbox.ErrLater, s.Fields().ID("charter").Short())
	}
	r, _ := c.cfg.Rosters().Version(p.Roster)
	v, err := charter.VerifyVeto(s, armored, p.Charter, r)
	if err == nil {
		err = c.stillOfficer("veto", v.Operator, armored)
	}
	if err != nil {
		return later(err)
	}
	_, inForce := c.history.Version(p.id())
	switch {
	case c.vetoes[p.id()][v.Operator].Signature != nil:
		return outbox.ErrOld
	case must != "" && v.Operator != must:
		return fmt.Errorf("the veto is operator %s's, this node is operator %s's", v.Operator, must)
	case must != "" && inForce:
		return fmt.Errorf("%s is in force: it is too late for a veto; propose another version", p.Title())
	case inForce:
		return outbox.ErrOld
	}
	x := Signed{s, armored}
	key := store.Key(kindVeto, store.ID(idBytes(p.id())), store.Name(v.Operator))
	err = write(journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: key, Value: encodeSigned(x)}}, Reserve: true},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, statement.ID{}, s.Bytes(), armored)},
	})
	if err == nil {
		c.keepVeto(x)
		c.cfg.Log.Warn("a version of the charter was vetoed", "version", p.Version, "id", p.id().Short(), "by", v.Operator, "reason", v.Reason)
	}
	return err
}

// takeRevocation ends a person's key, for good. Nodes that hear revocations in another order, or after the officer who signed was replaced, must
// take the same: one that was signed with a key which was revoked itself counts, and so does one by an officer of any roster so far. It takes
// a right away and gives none.
func (c *Charters) takeRevocation(now time.Time, s statement.Statement, armored []byte, must string, write writer) error {
	x, ok := c.history.Version(s.Fields().ID("charter"))
	if !ok {
		return fmt.Errorf("%w: charter %s is not in force here", outbox.ErrLater, s.Fields().ID("charter").Short())
	}
	if c.revoked[s.Get("key")].Signature != nil {
		return outbox.ErrOld
	}
	rosters := c.cfg.Rosters()
	v, err := charter.VerifyRevocation(s, armored, x, rosters.Newest())
	for i := len(rosters) - 2; i >= 0 && must == "" && errors.Is(err, signet.ErrStranger); i-- {
		v, err = charter.VerifyRevocation(s, armored, x, rosters[i])
	}
	if err != nil {
		return later(err)
	}
	text := Signed{s, armored}
	err = write(journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: revokeKey(v.Key.String()), Value: encodeSigned(text)}}, Reserve: true},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, statement.ID{}, s.Bytes(), armored)},
	})
	if err == nil {
		c.revoked[v.Key.String()] = text
		clear(c.live)
		c.cfg.Log.Warn("a key was revoked", "person", v.Person, "key", v.Key.Fingerprint(), "reason", v.Reason)
	}
	return err
}

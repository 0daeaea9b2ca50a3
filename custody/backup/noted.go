package backup

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Noted is a node's word that its operator cut a backup.
type Noted struct {
	ID       statement.ID // of its statement
	Roster   statement.ID
	Operator string
	Level    charter.Level
	Place    string
	Header   [32]byte // names the backup
	Cut      time.Time
	Keys     []NotedKey // by key id, ascending
	Created  time.Time
}

// A NotedKey is one of its keys.
type NotedKey struct {
	KeyID  [32]byte
	Vault  statement.ID
	Epoch  uint64
	Record [32]byte
	Mask   bool // it holds the mask too
}

// NotedOf is what a node says of a backup with this header.
func NotedOf(signed []byte, h Header, now time.Time) Noted {
	n := Noted{Roster: h.Roster, Operator: h.Operator, Level: h.Level, Place: h.Place, Header: Hash(signed), Cut: h.Created, Created: now.UTC().Truncate(time.Second)}
	for _, k := range h.Keys {
		n.Keys = append(n.Keys, NotedKey{k.KeyID, k.Vault, k.Epoch, k.Record, k.Mask != nil})
	}
	return n
}

// Statement writes it.
func (n Noted) Statement(salt statement.Salt) (statement.Statement, error) {
	if err := n.check(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.AddID("roster", n.Roster).Add("operator", n.Operator).Add("level", string(n.Level)).Add("place", n.Place)
	b = b.AddHex("header", n.Header[:]).AddTime("cut", n.Cut)
	for _, k := range n.Keys {
		var sub statement.Block
		mask := "no"
		if k.Mask {
			mask = "yes"
		}
		b = b.AddBlock("key", hex.EncodeToString(k.KeyID[:]), sub.AddID("vault", k.Vault).AddUint("number", k.Epoch).AddHex("epoch", k.Record[:]).Add("mask", mask))
	}
	return statement.Build(statement.Backup, b.AddTime("created", n.Created), salt)
}

// Of gives a backup statement its meaning and checks its form. Whether its node signed it the caller checks.
func Of(s statement.Statement) (Noted, error) {
	if err := s.Require(statement.Backup); err != nil {
		return Noted{}, err
	}
	f := s.Fields()
	n := Noted{
		ID: s.ID(), Roster: f.ID("roster"), Operator: f.Get("operator"), Level: charter.Level(f.Get("level")), Place: f.Get("place"),
		Header: [32]byte(f.Hex("header")), Cut: f.Time("cut"), Created: f.Time("created"),
	}
	for _, x := range f.Each("key") {
		id, err := hex.DecodeString(x.Value)
		if err != nil {
			return Noted{}, fmt.Errorf("backup: key: %w", err)
		}
		n.Keys = append(n.Keys, NotedKey{[32]byte(id), x.Block.ID("vault"), x.Block.Uint("number"), [32]byte(x.Block.Hex("epoch")), x.Block.Get("mask") == "yes"})
	}
	return n, n.check()
}

func (n Noted) check() error {
	for i, k := range n.Keys {
		if i > 0 && string(k.KeyID[:]) <= string(n.Keys[i-1].KeyID[:]) {
			return fmt.Errorf("backup: key: %x is not the next in ascending order", k.KeyID[:6])
		}
	}
	if n.Cut.After(n.Created) {
		return fmt.Errorf("backup: cut: %s is after it was noted", statement.FormatTime(n.Cut))
	}
	return nil
}

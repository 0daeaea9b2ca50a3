package frost

import (
	"io"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)
const MaxMessage = 1<<16
type Params struct {
	Session   engine.SessionID
	KeyID     [32]byte
	Suite     string
	Self      session.Party
	Signers   []session.Party
	Threshold int
	Share     group.Scalar
	Publics   map[engine.PartyID]group.Point
	Public    group.Point
	Tweak     group.Scalar
	Taproot   Taproot
	Message   []byte
	Rand      io.Reader
}
type Signature [64]byte
func Sign(p Params) (engine.Stage[Signature], error) { panic("stub") }

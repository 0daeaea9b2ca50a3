package session

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// KindFault is the kind of rows that keep faults: fault/<setup>/<hash>.
const KindFault = "fault"

const (
	fieldFaultCheck transcript.Tag = iota + 1
	fieldFaultClass
	fieldFaultStrength
	fieldFaultRound
	fieldFaultAccused
	fieldFaultEvidence
	fieldFaultOpened
	fieldFaultPublic
)

// maxEvidence bounds what one fault keeps, in bytes.
const maxEvidence = 512 << 10

// shown is an error that carries public bytes which a third party needs besides the accused's envelopes.
type shown interface {
	error
	Public() [][]byte
}

// encodeFault keeps what happened and the signed envelopes that show it. Where a fault of a ceremony that makes
// shares is proved, the private messages among them stand opened beside: a third party needs
// the share of a complaint. It is the accused's, and the shares that it belonged to come to nothing.
func encodeFault(f *engine.Fault, making bool) []byte {
	var e transcript.Encoder
	e.String(fieldFaultCheck, f.Check).Uint(fieldFaultClass, uint64(f.Class)).Uint(fieldFaultStrength, uint64(f.Strength))
	e.Uint(fieldFaultRound, uint64(f.Round))
	e.List(fieldFaultAccused, len(f.Accused), func(i int, e *transcript.Encoder) { e.Bytes(1, f.Accused[i][:]) })
	var signed, opened [][]byte
	size := 0
	for _, m := range f.Evidence {
		if size += len(m.Signed) + len(m.Body); len(m.Signed) == 0 || size > maxEvidence {
			continue
		}
		signed = append(signed, m.Signed)
		if making && f.Class == engine.Blame && f.Strength == engine.Proved && m.To != engine.Everyone {
			opened = append(opened, m.Body)
		}
	}
	e.List(fieldFaultEvidence, len(signed), func(i int, e *transcript.Encoder) { e.Bytes(1, signed[i]) })
	e.List(fieldFaultOpened, len(opened), func(i int, e *transcript.Encoder) { e.Bytes(1, opened[i]) })
	var public [][]byte
	var besides shown
	if errors.As(f, &besides) {
		public = besides.Public()
	}
	return e.List(fieldFaultPublic, len(public), func(i int, e *transcript.Encoder) { e.Bytes(1, public[i]) }).Sum()
}

func faultEntry(now time.Time, r *run, f *engine.Fault) journal.Entry {
	row := encodeFault(f, ceremony.Makes(r.setup.Protocol))
	id := sha256.Sum256(row)
	key := store.Key(KindFault, store.ID(r.hash[:]), store.ID(id[:8]))
	e := journal.Entry{
		Batch:  sanction(now, r.setup, f, key),
		Leaves: []tlog.Filed{tlog.Notes(tlog.KindFault, now, [32]byte{}, id).On(r.hash)},
	}
	e.Put = append(e.Put, store.Entry{Key: key, Value: row})
	return e
}

func sortedLinks(m map[engine.PartyID]*orphanage) []engine.PartyID {
	return slices.SortedFunc(maps.Keys(m), func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
}

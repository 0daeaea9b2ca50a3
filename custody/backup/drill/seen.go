package drill

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
)

// How old a drill's ground may be, and how far clocks may differ.
const (
	Fresh = 24 * time.Hour
	Skew  = 5 * time.Minute
)

// ErrUnknownLog says that a checkpoint is of a log that the checker does not know, or not yet.
var ErrUnknownLog = errors.New("its log is not known")

// A Seen is a drill's checkpoint, verified.
type Seen struct {
	Operator string // whose log it is
	Origin   string
	Head     tlog.Head
	At       time.Time // of the latest cosignature that counts
}

// Seen verifies a drill's checkpoint (spec/backups 8.3): of a log of the circle, and cosigned by the node of an operator who is neither the log's nor
// the one who drills: alone, either could have made it beforehand. The prover cannot have known the cosignature before it was given, so the proof is no older.
func (d Drill) Seen(logs []tlog.Keys) (Seen, error) {
	origin := tlog.Request{Checkpoint: d.Checkpoint}.Origin()
	i := slices.IndexFunc(logs, func(k tlog.Keys) bool { return k.Origin == origin })
	if i < 0 {
		return Seen{}, fmt.Errorf("checkpoint: %w: %.100q", ErrUnknownLog, origin)
	}
	log, err := tlog.NewLogVerifier(origin, logs[i].Log)
	if err != nil {
		return Seen{}, fmt.Errorf("checkpoint: %w", err)
	}
	var witnesses []tlog.Witness
	for _, k := range logs {
		if k.Operator == logs[i].Operator || d.Role == Operator && k.Operator == d.By {
			continue
		}
		if w, err := tlog.NewWitness(k.Name, k.Witness); err == nil {
			witnesses = append(witnesses, w)
		}
	}
	c, by, err := tlog.OpenCheckpoint(d.Checkpoint, log, tlog.Distinct(log, witnesses))
	if err != nil {
		return Seen{}, fmt.Errorf("checkpoint: %w", err)
	}
	s := Seen{Operator: logs[i].Operator, Origin: origin, Head: c.Head}
	for _, x := range by {
		if x.Time.After(s.At) {
			s.At = x.Time
		}
	}
	if s.At.IsZero() {
		return Seen{}, fmt.Errorf("checkpoint: no node of another operator cosigned it: it could have been made long before, for this proof")
	}
	return s, nil
}

// Timely says why a drill is not of now, by the checker's clock; nil if it is (spec/backups 8.3).
func (d Drill) Timely(s Seen, now time.Time) error {
	switch {
	case s.At.Sub(now) > Skew:
		return fmt.Errorf("checkpoint: it was cosigned at %s, which is in the future: one of the clocks is wrong", s.At.Format(time.RFC3339))
	case now.Sub(s.At) > Fresh:
		return fmt.Errorf("checkpoint: it was cosigned at %s, more than %s ago: make the drill over a newer one", s.At.Format(time.RFC3339), Fresh)
	case d.Created.Sub(now) > Skew:
		return fmt.Errorf("created: %s is in the future: one of the clocks is wrong", d.Created.Format(time.RFC3339))
	case s.At.Sub(d.Created) > Skew:
		return fmt.Errorf("created: %s is before its checkpoint was cosigned: one of the clocks is wrong", d.Created.Format(time.RFC3339))
	}
	return nil
}

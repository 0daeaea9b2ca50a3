package malice

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
)

// A Result is what an attempt comes to, over all honest parties: the strongest of theirs
// (reliability.md section 4).
type Result uint8

const (
	// Unaffected: every honest party has its output.
	Unaffected Result = iota + 1
	// Timeout: some honest party waits for ever; nobody found anything wrong.
	Timeout
	// Unattributed: an honest party aborted and named nobody.
	Unattributed
	// Blame: an honest party accused the corrupt one.
	Blame
	// Burn: an honest party accused the corrupt one and burned their pair.
	Burn
)

func (r Result) String() string {
	if names := []string{"none", "unaffected", "timeout", "unattributed", "blame", "burn"}; int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("result(%d)", uint8(r))
}

// An End is how one honest party's session ended.
type End struct {
	Party  engine.PartyID
	Done   bool  // it has an output
	Err    error // what ended the session otherwise; nil while it waits
	Burned []engine.Token
}

// Judge makes one result of the honest parties' ends. The error says what may never
// happen: an honest party accused, an output beside an error, an error that is no fault,
// a burn without a fault that says so, a burned pair of two honest parties.
func Judge(corrupt engine.PartyID, honest []End) (Result, error) {
	worst := Unaffected
	for _, e := range honest {
		r, err := e.result(corrupt)
		if err != nil {
			return 0, fmt.Errorf("party %v: %w", e.Party, err)
		}
		worst = max(worst, r)
	}
	return worst, nil
}

func (e End) result(corrupt engine.PartyID) (Result, error) {
	for _, t := range e.Burned {
		if t.Peer != corrupt {
			return 0, fmt.Errorf("burned the pair with honest party %v", t.Peer)
		}
	}
	var f *engine.Fault
	switch {
	case e.Err == nil && len(e.Burned) > 0:
		return 0, errors.New("burned a pair and went on")
	case e.Err == nil && e.Done:
		return Unaffected, nil
	case e.Err == nil:
		return Timeout, nil
	case e.Done:
		return 0, fmt.Errorf("has an output beside an error: %w", e.Err)
	case !errors.As(e.Err, &f):
		return 0, fmt.Errorf("ended with an error that is no fault: %w", e.Err)
	case slices.ContainsFunc(f.Accused, func(id engine.PartyID) bool { return id != corrupt }):
		return 0, fmt.Errorf("accused an honest party: %w", f)
	}
	switch f.Class {
	case engine.Unattributed:
		if len(f.Accused) > 0 {
			return 0, fmt.Errorf("names a party in a fault that may not: %w", f)
		}
		return Unattributed, nil
	case engine.Blame, engine.BurnPair:
		if len(f.Accused) == 0 {
			return 0, fmt.Errorf("names nobody in a fault that must: %w", f)
		}
		if (f.Class == engine.BurnPair) != (len(e.Burned) > 0) {
			return 0, fmt.Errorf("burned %d pairs with: %w", len(e.Burned), f)
		}
		if f.Class == engine.BurnPair {
			return Burn, nil
		}
		return Blame, nil
	}
	return 0, fmt.Errorf("ended with a fault of class %s: %w", f.Class, f)
}

package places

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest"
)

// MaxSighters bounds a file of sighters, in bytes.
const MaxSighters = 64 << 10

const sightingHead = "ostraka/1 sighting\n"

// IsSighting tells a sighting from a cloud's document.
func IsSighting(file []byte) bool { return bytes.HasPrefix(file, []byte(sightingHead)) }

// SplitSighting splits a file into the statement, and behind it the armored signature.
func SplitSighting(file []byte) (s statement.Statement, armored []byte, err error) {
	text, armor, ok := strings.Cut(string(file), "\n-----BEGIN ")
	if !ok {
		return s, nil, errors.New("no signature stands behind the statement")
	}
	s, err = statement.ParseKind([]byte(text+"\n"), statement.Sighting)
	return s, []byte("-----BEGIN " + armor), err
}

// ReadSighters reads whom the reader trusts to say what they saw: lines NAME KEY, a key as in a charter. Empty lines, and those that begin with #,
// are passed over.
func ReadSighters(text string) (map[string][]signet.Key, error) {
	out := map[string][]signet.Key{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		key, err := signet.ParseKey(rest)
		if err == nil {
			err = statement.CheckLabel(name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: it is not NAME KEY: %w", i+1, err)
		}
		out[name] = append(out[name], key)
	}
	return out, nil
}

// sighting judges what somebody independent saw. Its signature is judged as of when it was made, and it counts until it says.
func (t Trust) sighting(x *Finding, f File, d charter.Document, p charter.Place, c clock) {
	s, armored, err := SplitSighting(f.Content)
	if err != nil {
		x.fails(err)
		return
	}
	saw, err := charter.SightingOf(s)
	if err != nil {
		x.fails(err)
		return
	}
	x.By = saw.Witness + " of " + saw.Entity
	x.within(saw.Created, saw.Expires)
	if len(t.Sighters[saw.Witness]) == 0 {
		x.unjudged(fmt.Sprintf("%s (%s), who signed it, is not listed among those whom you trust", saw.Witness, saw.Entity), "if you trust that sighter, list it: --sighters FILE")
		return
	}
	now := c.time()
	if expired := !now.Before(saw.Expires); expired {
		now = saw.Created // whether it held at all
		x.old(fmt.Sprintf("it counted until %s: have it looked at again", statement.FormatTime(saw.Expires)))
	}
	if _, err = charter.VerifySighting(s, armored, t.Sighters, d, now); err != nil {
		x.fails(err)
		return
	}
	if saw.Operator != f.Operator || saw.Place.Name != f.Place {
		x.fails(fmt.Errorf("it is of %s/%s", saw.Operator, saw.Place.Name))
		return
	}
	if x.State != Holds {
		return
	}
	seen := attest.Claim{Provider: strings.ToLower(saw.Place.Provider), Account: saw.Place.Account, Region: saw.Place.Region}
	agree, differ := seen.Match(attest.Place{Provider: p.Provider, Account: p.Account, Region: p.Region})
	more, other := saw.Compare(p)
	if differ = append(differ, other...); len(differ) > 0 {
		x.drifts(differ, saw.Place, p)
		return
	}
	x.agrees(append(agree, more...))
}

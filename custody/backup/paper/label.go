package paper

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Label says what a set of sheets holds (spec/paper 1.1).
type Label struct {
	Circle   string      // text of 1 to 64 bytes, as in the charter
	Vault    string      // label
	Operator string      // label: whose share it is
	Key      [32]byte    // keyID
	Suite    string      // what the key signs with
	Epoch    uint64      // e
	Record   [32]byte    // eh, hash of the epoch's record
	Party    share.Index // index of the share within the key
	Created  time.Time   // UTC, whole seconds
}

const (
	maxCircle  = 64
	maxName    = 64
	maxSuite   = 32
	maxSeconds = 253402300799 // the last of year 9999
)

// groupOf is where the suite's shares live.
func groupOf(suite string) (group.Group, error) {
	switch suite {
	case charter.SuiteECDSA, charter.SuiteBIP340:
		return secp256k1.Group{}, nil
	case charter.SuiteEd25519:
		return edwards25519.Group{}, nil
	}
	return nil, fmt.Errorf("%.40q is none that this program knows: %q, %q and %q are", suite, charter.SuiteECDSA, charter.SuiteBIP340, charter.SuiteEd25519)
}

func (l Label) check() error {
	if err := statement.CheckText(l.Circle, maxCircle); err != nil {
		return fmt.Errorf("circle: %w", err)
	}
	if err := statement.CheckLabel(l.Vault); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if err := statement.CheckLabel(l.Operator); err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	if _, err := groupOf(l.Suite); err != nil {
		return fmt.Errorf("suite: %w", err)
	}
	switch {
	case l.Key == [32]byte{}:
		return errors.New("key: is zero")
	case l.Record == [32]byte{}:
		return errors.New("record: is zero")
	case l.Party == 0:
		return errors.New("party: is 0: shares begin at 1")
	case l.Created.Nanosecond() != 0 || l.Created.Location() != time.UTC || l.Created.Unix() < 0 || l.Created.Unix() > maxSeconds:
		return errors.New("created: is not in whole seconds of UTC from 1970 to 9999")
	}
	return nil
}

// A Fact is one line of a label as a sheet shows it.
type Fact struct{ Name, Value string }

// Facts are the lines of the label, in the sheet's order: ASCII, what is beyond it escaped as Go does (spec/paper 2.2).
func (l Label) Facts() []Fact {
	return []Fact{
		{"circle", toASCII(l.Circle)}, {"vault", l.Vault}, {"operator", l.Operator}, {"key", hex.EncodeToString(l.Key[:])}, {"suite", l.Suite},
		{"epoch", strconv.FormatUint(l.Epoch, 10)}, {"record", hex.EncodeToString(l.Record[:])}, {"party", strconv.Itoa(int(l.Party))},
		{"created", statement.FormatTime(l.Created)},
	}
}

// toASCII writes what a printer's plain font has not as \u…, and then backslashes and quotes too.
func toASCII(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r > '~' || r == '\\' }) {
		return s
	}
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}

// fromASCII reads what toASCII wrote, and what people write who have the letters.
func fromASCII(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	return strconv.Unquote(`"` + s + `"`)
}

// differences names the facts in which two lists differ, with both values.
func differences(a, b []Fact) string {
	var all []string
	for i := range a {
		if a[i].Value != b[i].Value {
			all = append(all, fmt.Sprintf("%s (%s and %s)", a[i].Name, shortened(a[i].Value), shortened(b[i].Value)))
		}
	}
	return strings.Join(all, ", ")
}

func shortened(v string) string {
	if len(v) == 64 {
		return v[:8] + "…"
	}
	return v
}

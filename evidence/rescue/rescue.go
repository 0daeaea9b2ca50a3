package rescue

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Story is all that is known of one vault's emergencies.
type Story struct {
	Now      time.Time
	Grace    time.Duration // what one log tells may be missing in another for so long
	Vault    statement.ID
	Name     string
	Logs     []Log
	Said     []Said
	Epochs   []Epoch // of all its keys
	Outflows []Outflow
	// Withheld says that something of it stands in a log and nobody shows it: then no node is accused of what that could explain.
	Withheld bool

	Plan    func(act.Request) (plan.Plan, error)                             // of the charter and the epochs that it names
	Charter func(log string, leaf int) statement.ID                          // in force in a log before this leaf; zero: it does not say
	Current func(log string, key [32]byte, leaf int) [32]byte                // record in force there of a key; zero: it does not say
	Heard   func(log, subject string, leaf int) time.Time                    // when it took the last sign of life before; zero: never
	Party   func(operator string) [16]byte                                   // of its identity
	Point   func(act.Key, string) (party [16]byte, p group.Point, err error) // public share in an epoch
	Signed  func(k act.Key, digest [32]byte, signature []byte) error         // checks a signature under a vault's root
}

// A Log is one operator's, as far as it is shown.
type Log struct {
	Operator string
	Reach    time.Time // up to when
	Renewed  time.Time // when it was begun anew from a copy; zero: never. It may lack what was before
	Joined   time.Time // when its operator came to the circle, by the logs of all; zero: it was there from the beginning. It may lack what was before
}

// A Place is where a log tells of something.
type Place struct {
	Leaf int
	At   time.Time
}

// A Said is a statement, with all signatures that any log shows beside it, and each log's first leaf that tells of it, by operator.
type Said struct {
	Statement  statement.Statement
	Signatures [][]byte
	Told       map[string]Place
}

// An Epoch is a key's record that is in force, or was. Its certificate holds, the approvals of k guardians in it too.
type Epoch struct {
	act.Key
	Number     uint64
	Prev       [32]byte
	Threshold  int
	Members    []Seat
	Backups    [32]byte
	Rescued    bool         // a guarded reshare made it
	Activation statement.ID // that it names
	Locked     bool         // an emergency led here: its members keep to the rescue addresses
	Until      time.Time    // when its record lets go of that
	Guardians  []string     // signing keys of those whose approvals its certificate bears
	Told       map[string]Place
}

// A Seat is one member's of an epoch.
type Seat struct {
	Operator string
	Party    [16]byte
	Index    uint16
}

// A Finding is a rule that does not hold.
type Finding struct{ Subject, Claim, Why string }

// A Verdict is what came of it.
type Verdict struct {
	Cases     []Case
	Findings  []Finding
	Attention []string
	Judged    int // outflows that left under a lock, and are the plan's
}

// A Case is one request, and what became of it.
type Case struct {
	Request     act.Request
	Plan        plan.Plan
	Supports    []string // "guardian gail", "operator acme", who count by the plan
	Vetoes      []string // guardians
	Lived       []string // subjects with a proof of life and a live signature
	Nodes       []Node   // that took a step
	State       string   // that most of the nodes that go on are in: the furthest of these; "" while it gathers support
	Activations []act.Activation
	Gave        []string  // operators whose nodes gave a part
	Guardians   []string  // who gave a part, by the certificates
	Epochs      []uint64  // that it made
	KeysLeft    []act.Key // of the request, that have no new shares by it
	Committee   []string  // of those
	Until       time.Time // the lock-up's end, by the record; zero: there are no new shares
	Went        []Went    // what left meanwhile
	Left        []Left    // and how much that is, of what may leave
	Closed      *act.Close
	ClosedBy    []string // operators whose officers signed that
	Freed       bool
	FreedBy     []string
}

// A Node is where one node stands, and how it came there.
type Node struct {
	Operator string
	State    string
	Since    time.Time     // its own log's
	Credited time.Duration // as it signed
	Steps    []Stage
}

// A Stage is one step of a node.
type Stage struct {
	State    string
	At       time.Time     // its own log's
	Credited time.Duration // of the delay, as it signed
	Why      string
}

// Claims that a finding denies.
const (
	claimWho      = "each statement about it is by whom the plan lets speak, for this vault and in this mode"
	claimSteps    = "its node takes the steps of an emergency in their order"
	claimCalled   = "a refusal is one of a challenge that stands in the logs"
	claimStart    = "its node declares an emergency only with those whom the plan wants"
	claimTime     = "its node lets the whole time pass"
	claimVeto     = "its node heeds vetoes and proofs of life"
	claimOne      = "its node has one emergency of a vault at a time"
	claimPart     = "its node gives its part only for an activation of the plan, with consent and everybody's no-veto"
	claimFollow   = "whoever is to hold new shares is whom the plan names"
	claimEpoch    = "each epoch that an emergency made follows from what its contributors signed"
	claimLock     = "what leaves meanwhile goes to rescue addresses, or is a protective call of the plan"
	claimCaps     = "all that leaves meanwhile is under the caps of the plan"
	claimTranches = "what leaves after it was closed leaves in the tranches of the plan"
	claimClose    = "it is closed by as many of each new committee as sign, for exactly the keys with new shares, with new backups, a drill and a report"
	claimAll      = "every live operator's log tells of it"
)

const skew = time.Second // statements bear whole seconds

// said is a statement of one kind that holds.
type said[T any] struct {
	what T
	id   statement.ID
	told map[string]Place
}

// before says whether a log tells of it before a leaf.
func (s said[T]) before(log string, leaf int) bool {
	at, ok := s.told[log]
	return ok && at.Leaf < leaf
}

// inquiry is one request with all that is about it.
type inquiry struct {
	Case
	id          statement.ID
	said        Said
	vetoes      []said[act.Veto]
	supports    []said[act.Support]
	alive       []said[act.Alive]
	signed      []said[act.Signed]
	steps       []said[act.Step]
	noVetoes    map[statement.ID]said[act.NoVeto]
	seats       []said[act.Seat]
	activations []said[act.Activation]
	released    []said[act.Released]
	closes      []said[act.Close]
	freed       []said[act.EarlyRelease]
	left        []Outflow // under its lock
	again       func(log string, told map[string]Place) bool
	unsure      map[string]bool // logs that tell of something about it of which no signature that holds is shown: that could be who shows it, and not who did it
}

func (c *inquiry) subject(s Story) string {
	return fmt.Sprintf("emergency %s of vault %s", c.id.Short(), s.Name)
}

type judge struct {
	Story
	out        Verdict
	cases      []*inquiry
	challenges []said[act.Challenge]
}

// Judge reads the whole story.
func Judge(s Story) Verdict {
	j := &judge{Story: s}
	sort.Slice(j.Logs, func(i, k int) bool { return j.Logs[i].Operator < j.Logs[k].Operator })
	sort.Slice(j.Epochs, func(i, k int) bool {
		a, b := j.Epochs[i], j.Epochs[k]
		return cmp.Or(bytes.Compare(a.Key.Key[:], b.Key.Key[:]), cmp.Compare(a.Number, b.Number)) < 0
	})
	j.open()
	j.file()
	j.fileChallenges()
	for _, c := range j.cases {
		for _, l := range j.Logs {
			j.walk(c, l)
		}
		j.judgeChallenge(c)
		j.judgeActivations(c)
		j.judgeReleases(c)
		j.judgeClosings(c)
		j.everywhere(c)
	}
	for _, l := range j.Logs {
		j.oneAtATime(l)
	}
	j.judgeEpochs()
	j.judgeOutflows()
	for _, c := range j.cases {
		c.conclude(j)
		j.out.Cases = append(j.out.Cases, c.Case)
	}
	return j.out
}

func (j *judge) find(subject, claim, format string, args ...any) {
	j.out.Findings = append(j.out.Findings, Finding{subject, claim, fmt.Sprintf(format, args...)})
}

func (j *judge) attend(format string, args ...any) {
	j.out.Attention = append(j.out.Attention, fmt.Sprintf(format, args...))
}

// accuse says what a node itself signed, or what its own log shows; unless something is withheld that could explain it.
func (j *judge) accuse(c *inquiry, operator, claim, format string, args ...any) {
	text := fmt.Sprintf("emergency %s of vault %s: ", c.id.Short(), j.Name) + fmt.Sprintf(format, args...)
	l, shown := j.log(operator)
	if j.Withheld || c.unsure[operator] || len(c.unsure) > 0 && (!shown || !l.Renewed.IsZero()) { // one log's garbage excuses nobody else
		j.find(c.subject(j.Story), "what it tells is complete", "%s, as far as is shown: %s", operator, text)
		return
	}
	j.find("operator "+operator, claim, "%s", text)
}

func (j *judge) log(operator string) (Log, bool) {
	i := slices.IndexFunc(j.Logs, func(l Log) bool { return l.Operator == operator })
	if i < 0 {
		return Log{}, false
	}
	return j.Logs[i], true
}

func (j *judge) epoch(k act.Key) (Epoch, bool) {
	i := slices.IndexFunc(j.Epochs, func(e Epoch) bool { return e.Key == k })
	if i < 0 {
		return Epoch{}, false
	}
	return j.Epochs[i], true
}

func tellers(told map[string]Place) string {
	var names []string
	for name := range told {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

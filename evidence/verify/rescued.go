package verify

import (
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// A RescuePlan is who could rescue a vault, by the charter in force.
type RescuePlan struct {
	Threshold    int               `json:"threshold"`
	Operators    int               `json:"operators"`
	Live         int               `json:"live"`      // r
	Quorum       int               `json:"quorum"`    // k
	Guardians    int               `json:"guardians"` // m
	Together     int               `json:"together"`  // r + k
	Steal        int               `json:"steal"`     // persons
	Vetoes       int               `json:"vetoes"`    // guardians that end a request
	Rows         []PlanRow         `json:"rows"`
	Limit        string            `json:"limit"` // what no delay, veto or cap stops
	Triggers     []PlanTrigger     `json:"triggers"`
	Window       string            `json:"window"`
	LockUp       string            `json:"lock_up"`
	Successors   []string          `json:"successors"`
	Destinations []PlanDestination `json:"destinations"`
}

// A PlanRow is what coalitions of so many operators and guardians can do.
type PlanRow struct {
	Operators [2]int `json:"operators"` // from, to
	Guardians [2]int `json:"guardians"`
	Before    string `json:"before"` // the delay
	After     string `json:"after"`
}

// A PlanTrigger is a reason that the plan serves.
type PlanTrigger struct {
	Name  string `json:"name"`
	After string `json:"after,omitempty"`
	Delay string `json:"delay"`
}

// A PlanDestination is a rescue address.
type PlanDestination struct {
	Name    string `json:"name"`
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Vault   string `json:"vault,omitempty"`
}

// An Emergency is one request for SOS, and what became of it, as all logs tell.
type Emergency struct {
	ID            statement.ID          `json:"id"`
	Drill         bool                  `json:"drill"`
	Trigger       string                `json:"trigger"`
	Subjects      []string              `json:"subjects"`
	Reason        string                `json:"reason"`
	By            string                `json:"by"`
	Created       time.Time             `json:"created"`
	Delay         string                `json:"delay,omitempty"` // from the declaration to ACTIVE, by the plan
	State         string                `json:"state"`           // that most nodes are in
	Nodes         []EmergencyNode       `json:"nodes"`
	Supports      []string              `json:"supports"`
	Vetoes        []string              `json:"vetoes"`
	Lived         []string              `json:"lived,omitempty"` // subjects that proved life, and signed
	Activations   []EmergencyActivation `json:"activations"`
	Gave          []string              `json:"gave"`
	Guardians     []string              `json:"guardians"` // whose parts the certificates of new shares bear
	Epochs        []uint64              `json:"epochs"`
	KeysLeft      []string              `json:"keys_left,omitempty"`    // keys of it that have no new shares: they stay in their epochs
	Committee     []string              `json:"committee"`              // that has new ones
	Locked        *time.Time            `json:"locked_until,omitempty"` // by the record of the new epoch
	Outflows      []EmergencyOutflow    `json:"outflows"`
	Totals        []EmergencyTotal      `json:"totals"`
	Released      bool                  `json:"released_early,omitempty"`
	ReleasedBy    []string              `json:"released_by,omitempty"`
	ClosedBy      []string              `json:"closed_by,omitempty"`
	DrillEvidence string                `json:"drill_evidence,omitempty"` // SHA-256, by the closing
	Report        string                `json:"report,omitempty"`
}

// lists makes none of its lists null.
func (e *Emergency) lists() {
	for _, l := range []*[]string{&e.Subjects, &e.Supports, &e.Vetoes, &e.Gave, &e.Guardians, &e.Committee} {
		*l = orEmpty(*l)
	}
	e.Nodes, e.Activations, e.Epochs, e.Outflows, e.Totals = orEmpty(e.Nodes), orEmpty(e.Activations), orEmpty(e.Epochs), orEmpty(e.Outflows), orEmpty(e.Totals)
}

func orEmpty[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// An EmergencyNode is where one node stands.
type EmergencyNode struct {
	Operator string          `json:"operator"`
	State    string          `json:"state"`
	Since    time.Time       `json:"since"`
	Credited int64           `json:"credited"` // seconds, as it signed
	Steps    []EmergencyStep `json:"steps"`
}

// An EmergencyStep is one that a node took, as its own log tells.
type EmergencyStep struct {
	State    string    `json:"state"`
	At       time.Time `json:"at"`
	Credited int64     `json:"credited"` // seconds
	Why      string    `json:"why"`
}

// An EmergencyOutflow is what left while an emergency held its vault.
type EmergencyOutflow struct {
	Request statement.ID     `json:"request"`
	At      time.Time        `json:"at"`
	Chain   string           `json:"chain"`
	To      string           `json:"to"`
	Name    string           `json:"name"` // of the rescue address, or of the protective call
	Call    bool             `json:"call"`
	Moves   map[string]int64 `json:"moves"` // by asset, in the charter's units, fees included
}

// An EmergencyTotal is how much of an asset left in all. Of what has one nonce a chain takes one: it counts once.
type EmergencyTotal struct {
	Asset  string `json:"asset"`
	Amount int64  `json:"amount"` // in the charter's units, fees included
	Cap    *int64 `json:"cap,omitempty"`
}

// An EmergencyActivation names who gave parts, and to whom.
type EmergencyActivation struct {
	ID           statement.ID `json:"id"`
	Contributors []string     `json:"contributors"`
	Threshold    int          `json:"threshold"`
	Members      []string     `json:"members"`
}

// A Coverage is what backups there are of one key in the epoch in force.
type Coverage struct {
	Suite     string   `json:"suite"`
	Epoch     uint64   `json:"epoch"`
	Guardians int      `json:"guardians"` // m; 0: there is no second sharing
	Quorum    int      `json:"quorum"`    // k
	Live      int      `json:"live"`      // r
	Class     Class    `json:"class"`     // of the second sharing: proved, or declared where it was not checked here
	Unchecked string   `json:"unchecked,omitempty"`
	Masks     []Holder `json:"masks"`  // operators that proved their masks
	Copies    []Backup `json:"copies"` // that operators say they cut
}

// A Backup is one that an operator says it cut: its own word.
type Backup struct {
	Operator string    `json:"operator"`
	Level    string    `json:"level"`
	Place    string    `json:"place"`
	Cut      time.Time `json:"cut"`
	Epoch    uint64    `json:"epoch"`
	Mask     bool      `json:"mask"`
	Old      bool      `json:"old,omitempty"` // of an epoch that is over: void
}

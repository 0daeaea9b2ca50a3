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
	State         string                `json:"state"` // that most nodes are in
	Nodes         []EmergencyNode       `json:"nodes"`
	Supports      []string              `json:"supports"`
	Vetoes        []string              `json:"vetoes"`
	Lived         []string              `json:"lived,omitempty"` // subjects that proved life, and signed
	Activations   []EmergencyActivation `json:"activations"`
	Gave          []string              `json:"gave"`
	Epochs        []uint64              `json:"epochs"`
	Left          []string              `json:"left,omitempty"` // keys of it that have no new shares: they stay in their epochs
	Released      bool                  `json:"released_early,omitempty"`
	DrillEvidence string                `json:"drill_evidence,omitempty"` // SHA-256, by the closing
	Report        string                `json:"report,omitempty"`
}

// An EmergencyNode is where one node stands.
type EmergencyNode struct {
	Operator string    `json:"operator"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Credited int64     `json:"credited"` // seconds, as it signed
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

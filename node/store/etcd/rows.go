package etcd

import (
	"encoding/json"
	"fmt"
	"time"
)

// Keys below ostraka/<name>/ (spec/store.md 7.2).
const (
	tagRecord  = "r/"       // r/<key>: a frame
	tagLane    = "lane/"    // lane/<2 digits>: id of the last batch that went through it
	rowOwner   = "owner"    // Info, under the owner's lease
	rowTenures = "tenures"  // list of Change
	tagReplica = "replica/" // replica/<name>: Replica, under a lease of its own
	rowMark    = "mark"     // Mark, of a store that no node may run over
)

const (
	lanes      = 16
	maxTenures = 20 // that are remembered
	maxRow     = 64 << 10
)

// Info is what a replica says of itself. None of it is secret, and nothing is decided by it.
type Info struct {
	Name    string    `json:"name"`             // of the replica
	Link    string    `json:"link,omitempty"`   // host:port at which it answers other nodes while it is the owner
	People  string    `json:"people,omitempty"` // host:port at which it answers people while it is the owner
	Version string    `json:"version,omitempty"`
	Since   time.Time `json:"since"` // when its process began
}

func (i Info) check() error {
	if !nameForm.MatchString(i.Name) {
		return fmt.Errorf("replica's name %q: give 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first", i.Name)
	}
	return nil
}

// A Replica is what one of them last told.
type Replica struct {
	Info
	Seen   int64     `json:"seen"`    // the cluster's revision that it had seen
	SeenAt time.Time `json:"seen_at"` // when, by its own clock
	Behind int64     `json:"-"`       // how many revisions have come since
}

// Why a tenure began.
const (
	WhyFirst    = "first"    // nobody is known to have owned the store before
	WhyResigned = "resigned" // the one before handed over
	WhyExpired  = "expired"  // the one before was not heard of for the time of its lease
)

// A Change is one replica following another as the owner.
type Change struct {
	At    time.Time `json:"at"` // by the clock of the one that follows
	Token uint64    `json:"-"`
	From  string    `json:"from,omitempty"`
	To    string    `json:"to"`
	Why   string    `json:"why"`

	Resigned bool `json:"resigned,omitempty"` // the one that followed here handed over in its turn
}

func decode(key string, raw []byte, into any) error {
	if len(raw) > maxRow {
		return fmt.Errorf("row %s of the cluster has %d bytes", key, len(raw))
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("row %s of the cluster: %w", key, err)
	}
	return nil
}

package etcd

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
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

// Info is what a replica says of itself. None of it is secret, and nothing is decided by it but where connections are passed on, by Proof alone.
type Info struct {
	Name    string    `json:"name"`             // of the replica
	Link    string    `json:"link,omitempty"`   // host:port at which it answers other nodes while it is the owner
	People  string    `json:"people,omitempty"` // host:port at which it answers people while it is the owner
	Version string    `json:"version,omitempty"`
	Since   time.Time `json:"since"`           // when its process began
	Proof   string    `json:"proof,omitempty"` // the node's signature of name and addresses (spec/replicas 5.1), in hex
}

// maxSaid bounds what a replica says of its addresses and its version, bytes.
const maxSaid = 300

func (i Info) form() error {
	if !nameForm.MatchString(i.Name) {
		return fmt.Errorf("replica's name %.80q: give 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first", i.Name)
	}
	for field, said := range map[string]string{"link": i.Link, "people": i.People, "version": i.Version} {
		if len(said) > maxSaid || said != printable(said) {
			return fmt.Errorf("replica %s: %s %.80q: give at most %d bytes that can be printed", i.Name, field, said, maxSaid)
		}
	}
	return nil
}

// printable makes a member's words safe for a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, s[:min(len(s), maxWords)])
}

// maxWords bounds what is shown of a member's words, bytes.
const maxWords = 512

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

func (r Replica) form() error {
	if r.Seen < 0 {
		return fmt.Errorf("replica %s has seen revision %d", r.Name, r.Seen)
	}
	return r.Info.form()
}

type changes []Change

var whyForm = regexp.MustCompile(`^[a-z]{1,20}$`) // a newer program may have other reasons

func (l changes) form() error {
	if len(l) > maxTenures {
		return fmt.Errorf("%d changes of owner, at most %d are kept", len(l), maxTenures)
	}
	for _, c := range l {
		if !nameForm.MatchString(c.To) || c.From != "" && !nameForm.MatchString(c.From) || !whyForm.MatchString(c.Why) {
			return fmt.Errorf("a change of owner from %.80q to %.80q, for %.80q", c.From, c.To, c.Why)
		}
	}
	return nil
}

// A formed value knows what it must look like.
type formed interface{ form() error }

// decode reads a row that is not a record. It says nothing that is believed of more than names and addresses; its size and form are held, since any
// member can give it.
func decode[T formed](key string, raw []byte) (*T, error) {
	if len(raw) > maxRow {
		return nil, wrong("row %s of the cluster has %d bytes", key, len(raw))
	}
	var into T
	if err := json.Unmarshal(raw, &into); err != nil {
		return nil, wrong("row %s of the cluster: %v", key, err)
	}
	if err := into.form(); err != nil {
		return nil, wrong("row %s of the cluster: %v", key, err)
	}
	return &into, nil
}

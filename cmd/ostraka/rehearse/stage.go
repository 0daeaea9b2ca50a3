package rehearse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
)

// A Stage is where stories are told: a folder, this program, and the circle of three that is started when a story first wants it. Stories
// that alter nothing share it, if they want the same: a plain one, or one with guardians and places for backups.
type Stage struct {
	binary   string
	dir      string
	endpoint string // of a development chain; empty: there is none

	circle  *local.Circle
	guards  *guards // nil: the circle is a plain one
	people  map[string]*client.Circle
	account client.Account
	nonce   uint64
	made    int // folders

	// For tests alone.
	said        func(result)        // hears how every command ended; nil: nobody does
	environment map[string][]string // by operator: what its node's environment has besides; "": that of commands
}

// NewStage takes the program's path, a folder that exists and is empty, whose path must be short, and the endpoint of a development chain with an
// unlocked account; without one, stories leave out what a chain shows, and say so.
func NewStage(binary, dir, endpoint string) *Stage {
	return &Stage{binary: binary, dir: dir, endpoint: endpoint}
}

// Close stops the nodes.
func (s *Stage) Close() { s.leave() }

func (s *Stage) leave() {
	for _, c := range s.people {
		c.Close()
	}
	if s.circle != nil {
		s.circle.Stop()
	}
	s.circle, s.guards, s.people, s.nonce = nil, nil, nil, 0
}

// folder makes a new one.
func (s *Stage) folder() (string, error) {
	s.made++
	dir := filepath.Join(s.dir, fmt.Sprintf("f%d", s.made))
	return dir, os.Mkdir(dir, 0o700)
}

const (
	chainID = "eip155:31337"
	payee   = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	thief   = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	// delay is the charter's, before what is looser takes effect.
	delay = 8 * time.Second
)

// The circle's people: alice proposes; bob, carol and, by a delegation, dave approve, two of them.
const (
	alice, bob, carol, dave = "alice", "bob", "carol", "dave"
)

var (
	approversLine = regexp.MustCompile(`(?m)^    approvers: \[approvers\]$`)
	delayLine     = regexp.MustCompile(`(?m)^delay: \d+$`)
)

// proper adds to the charter of a circle on one machine what the stories need: a delegation that ends in a month, and a delay that one
// can watch.
func proper(file string) string {
	ends := time.Now().UTC().Add(30 * 24 * time.Hour).Format(time.RFC3339)
	file = strings.Replace(file, "  - name: finance\n", fmt.Sprintf("  - name: delegates\n    people: [%s]\n    expires: %q\n  - name: finance\n", dave, ends), 1)
	file = approversLine.ReplaceAllLiteralString(file, "    approvers: [approvers, delegates]")
	return delayLine.ReplaceAllLiteralString(file, fmt.Sprintf("delay: %d", int(delay.Seconds())))
}

// open starts the circle, unless it runs: three operators, a vault that two of them sign for, an account with an address.
func (t *tale) open(ctx context.Context) error {
	if t.circle != nil && t.guards == nil {
		return nil
	}
	t.leave()
	t.to.Busy("three operators start their nodes and make a vault's key")
	dir, err := t.folder()
	if err != nil {
		return err
	}
	t.people = map[string]*client.Circle{}
	t.circle, err = local.Start(ctx, local.Config{
		Binary: t.binary, Dir: dir, Chain: chainID, Suite: charter.SuiteECDSA, Initiator: alice, Approvers: []string{bob, carol}, Others: []string{dave},
		Quorum: 2, Threshold: 2, Amend: proper,
	})
	for _, step := range []func(context.Context) error{t.circle.Found, t.circle.CreateVault, t.circle.AwaitVault, t.give} {
		if err == nil {
			err = step(ctx)
		}
	}
	return err
}

// give makes the account ops/main and its first address.
func (t *tale) give(ctx context.Context) error {
	c, err := t.as(alice)
	if err != nil {
		return err
	}
	v, err := t.vault(ctx)
	if err != nil {
		return err
	}
	r, err := v.Root("")
	if err != nil {
		return err
	}
	if t.account, _, err = client.CreateAccount(ctx, c, v, "ops", "main"); err != nil {
		return err
	}
	_, _, err = c.NewAddress(ctx, v, r, t.account, len(t.circle.Operators))
	t.account.Addresses[t.circle.Operators[0].Name] = map[string]int{r.Suite: 1}
	return err
}

// as talks to all nodes as somebody of the charter.
func (t *tale) as(person string) (*client.Circle, error) {
	if c := t.people[person]; c != nil {
		return c, nil
	}
	c, err := t.circle.As(person)
	if err == nil {
		t.people[person] = c
	}
	return c, err
}

// vault is the vault as it is now, with the charter in force.
func (t *tale) vault(ctx context.Context) (client.Vault, error) {
	c, err := t.as(alice)
	if err != nil {
		return client.Vault{}, err
	}
	v, _, err := c.Vault(ctx, local.VaultName)
	return v, err
}

func (t *tale) operator(name string) *local.Operator {
	i := slices.IndexFunc(t.circle.Operators, func(o *local.Operator) bool { return o.Name == name })
	return t.circle.Operators[i]
}

// poll asks until done, at most for so long. That it took too long is no error.
func poll(ctx context.Context, limit time.Duration, done func() (bool, error)) (bool, error) {
	for end := time.Now().Add(limit); ; {
		ok, err := done()
		if ok || err != nil {
			return ok, err
		}
		if time.Now().After(end) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

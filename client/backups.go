package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
)

// Backups are what the nodes of a circle show of its backups (spec/backups 4). It takes no token.
type Backups struct {
	Noted []backup.Noted // by operator, level and place: the newest that any node shows; each signed by its operator's node
	Keys  []BackedKey    // by vault and suite
	// Drills are the newest of each key and person. Those of the epoch in force were verified, where the set was fetched; of earlier ones the nodes' word is taken.
	Drills []Drilled
}

// A Drilled is a drill as nodes show it.
type Drilled struct {
	drill.Drill
	At       time.Time // its time: when its checkpoint was cosigned, by the node that says the earliest
	Verified bool      // in the epoch in force
}

// A BackedKey is a key whose epoch in force is known.
type BackedKey struct {
	Vault  statement.ID
	Name   string
	Record *epoch.Record        // of the epoch in force: its final certificate was verified
	Cert   []byte               // that certificate
	Moved  time.Time            // since when, as some node says
	Nodes  []string             // that show this epoch
	Behind []string             // and those that show an earlier one
	Proved map[string]time.Time // by operator: when another's node last saw its share prove itself

	Plan     *guard.Plan // who guards it; nil: nobody
	Set      []byte
	SetError error // why what the guardians have is of no use, or nil. Of a key without guardians: nil
}

// Backups asks every node, verifies what each says of itself, and holds them to one another. With sets, what is encrypted to the guardians is
// fetched and checked unopened (13 ms for each dealer and guardian).
func (c *Circle) Backups(ctx context.Context, sets bool) (Backups, []Failure, error) {
	chain, failed, err := c.Chain(ctx)
	if err != nil {
		return Backups{}, failed, err
	}
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (*v1.BackupsResponse, error) {
		res, err := m.Backups(ctx, connect.NewRequest(&v1.BackupsRequest{}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	})
	good, err := answers.Need("read which backups there are", 1)
	if err != nil {
		return Backups{}, failed, err
	}
	var out Backups
	if out.Noted, err = notedOf(chain, good); err != nil {
		return out, failed, err
	}
	for _, x := range keysOf(good) {
		k, more, err := c.backedKey(ctx, chain, x, good, sets)
		failed = append(failed, more...)
		if err != nil {
			return out, failed, err
		}
		out.Keys = append(out.Keys, k)
	}
	out.Drills, err = drilledOf(good, out.Keys)
	return out, failed, err
}

// maxShownDrills is how many one node may show: those of all keys and people of a circle.
const maxShownDrills = 1 << 14

// drilledOf takes the newest drill of each key and person.
func drilledOf(good Answers[*v1.BackupsResponse], keys []BackedKey) ([]Drilled, error) {
	type of struct {
		key      [32]byte
		role, by string
	}
	newest := map[of]Drilled{}
	for _, a := range good {
		for _, x := range a.Value.Drills[:min(len(a.Value.Drills), maxShownDrills)] {
			d, err := readDrilled(x, keys)
			if err != nil {
				return nil, &VerifyError{a.Node, err}
			}
			at := of{d.Key, d.Role, d.By}
			switch old, ok := newest[at]; {
			case !ok, d.Created.After(old.Created):
				newest[at] = d
			case d.ID == old.ID && d.At.Before(old.At):
				newest[at] = d
			}
		}
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b Drilled) int {
		return cmp.Or(bytes.Compare(a.Key[:], b.Key[:]), cmp.Compare(a.Role, b.Role), cmp.Compare(a.By, b.By))
	}), nil
}

func readDrilled(x *v1.ShownDrill, keys []BackedKey) (d Drilled, err error) {
	s, err := statement.ParseKind(x.Statement, statement.BackupDrill)
	if err != nil {
		return d, err
	}
	if d.Drill, err = drill.Of(s); err != nil {
		return d, err
	}
	if d.At, err = time.Parse(time.RFC3339, x.At); err != nil {
		return d, fmt.Errorf("drill of %s %s: its time: %w", d.Role, d.By, err)
	}
	i := slices.IndexFunc(keys, func(k BackedKey) bool { return k.Record.KeyID == d.Key && k.Record.Hash() == d.Epoch })
	if i < 0 {
		return d, nil
	}
	p, ok := keys[i].points(d.Drill)
	if !ok {
		return d, nil // its set was not fetched, or is of no use: that is said there
	}
	d.Verified = true
	return d, d.Check(p)
}

// points are those that a drill of the epoch in force is held to. Who a guardian's name is, the charter says; here its party's seat is.
func (k BackedKey) points(d drill.Drill) (p drill.Points, ok bool) {
	p.Party = d.Party
	var set *guard.Set
	if k.Record.Backups != [32]byte{} {
		if k.Plan == nil || k.SetError != nil {
			return p, false
		}
		var err error
		if set, _, err = k.Record.OpenBackups(k.Plan, k.Set); err != nil {
			return p, false
		}
	}
	if d.Role == drill.Guardian {
		if set == nil {
			return p, false
		}
		at, seated := k.Plan.At(d.Party)
		if seated {
			p.Value = set.ValuePoint(at)
		}
		return p, seated
	}
	m, seated := k.Record.Member(d.Party)
	if !seated {
		return p, false
	}
	if p.Value = m.Public; set != nil {
		p.Mask = set.MaskPoint(m.Index)
	}
	return p, true
}

// notedOf takes the newest word about each place. Older ones are what a node shows that has not heard of it yet.
func notedOf(chain charter.Chain, good Answers[*v1.BackupsResponse]) ([]backup.Noted, error) {
	type place struct{ operator, level, name string }
	newest := map[place]backup.Noted{}
	for _, a := range good {
		for _, x := range a.Value.Backups {
			n, err := readNoted(chain, x)
			if err != nil {
				return nil, &VerifyError{a.Node, err}
			}
			at := place{n.Operator, string(n.Level), n.Place}
			if old, ok := newest[at]; !ok || n.Created.After(old.Created) {
				newest[at] = n
			}
		}
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b backup.Noted) int {
		return cmp.Or(cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.Level, b.Level), cmp.Compare(a.Place, b.Place))
	}), nil
}

func readNoted(chain charter.Chain, x *v1.NotedBackup) (backup.Noted, error) {
	s, err := statement.ParseKind(x.Statement, statement.Backup)
	if err != nil {
		return backup.Noted{}, err
	}
	n, err := backup.Of(s)
	if err != nil {
		return n, err
	}
	r, ok := chain.Version(n.Roster)
	if !ok {
		return n, fmt.Errorf("backup of %s: the roster that it names was never in force", n.Operator)
	}
	o, ok := r.Operator(n.Operator)
	if !ok {
		return n, fmt.Errorf("backup of %s: the roster that it names lists no such operator", n.Operator)
	}
	return n, signet.VerifyNode(o.Identity, s, x.Signature)
}

// keysOf lists every key that a node shows, once.
func keysOf(good Answers[*v1.BackupsResponse]) []*v1.BackedKey {
	keys := map[string]*v1.BackedKey{}
	for _, a := range good {
		for _, k := range a.Value.Keys {
			if old := keys[string(k.Key)]; old == nil || k.Epoch > old.Epoch {
				keys[string(k.Key)] = k
			}
		}
	}
	return slices.SortedFunc(maps.Values(keys), func(a, b *v1.BackedKey) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Suite, b.Suite), bytes.Compare(a.Key, b.Key))
	})
}

// maxSetTime is how long one node may take to give a set.
const maxSetTime = time.Minute

// shownSet is what a node shows of a key.
type shownSet struct {
	cert *epoch.FinalCert
	plan *guard.Plan
	set  []byte
}

func (c *Circle) backedKey(ctx context.Context, chain charter.Chain, x *v1.BackedKey, said Answers[*v1.BackupsResponse], check bool) (BackedKey, []Failure, error) {
	k := BackedKey{Name: x.Name, Proved: map[string]time.Time{}}
	if len(x.Vault) != 32 || len(x.Key) != 32 {
		return k, nil, &VerifyError{"", errors.New("a key is shown with ids that are none")}
	}
	k.Vault = statement.ID(x.Vault)
	answers := AskFor(ctx, c, maxSetTime, func(ctx context.Context, m *Member) (shownSet, error) {
		res, err := m.BackupSet(ctx, connect.NewRequest(&v1.BackupSetRequest{Key: x.Key}))
		if connect.CodeOf(err) == connect.CodeNotFound {
			return shownSet{}, &LagError{"it does not know this key"}
		}
		if err != nil {
			return shownSet{}, err
		}
		s, err := readSet(chain, [32]byte(x.Key), res.Msg)
		if err != nil {
			err = &VerifyError{m.Name, fmt.Errorf("key %x: %w", x.Key[:6], err)}
		}
		return s, err
	})
	good := answers.Good()
	for _, f := range answers.Failures() {
		if Classify(f.Err) == Unverified {
			return k, nil, f.Err
		}
	}
	if len(good) == 0 {
		_, err := answers.Need("read the epoch of vault "+x.Name, 1)
		return k, nil, err
	}
	newest := slices.MaxFunc(good, func(a, b Answer[shownSet]) int {
		return cmp.Compare(a.Value.cert.Record.Epoch, b.Value.cert.Record.Epoch)
	}).Value
	k.Record, k.Cert = newest.cert.Record, newest.cert.Encode()
	for _, a := range good {
		switch r := a.Value.cert.Record; {
		case r.Epoch < k.Record.Epoch:
			k.Behind = append(k.Behind, a.Node)
		case r.Hash() != k.Record.Hash():
			return k, nil, &VerifyError{a.Node, fmt.Errorf("vault %s: it shows another record of epoch %d than %s does", x.Name, r.Epoch, k.Nodes[0])}
		default:
			k.Nodes = append(k.Nodes, a.Node)
			if a.Value.plan != nil {
				k.Plan, k.Set = a.Value.plan, a.Value.set
			}
		}
	}
	k.readShares(c, x.Key, said)
	if k.Record.Backups != [32]byte{} {
		k.SetError = k.checkSet(check)
	}
	return k, answers.Failures(), nil
}

// checkSet says why what the guardians have is of no use.
func (k BackedKey) checkSet(all bool) (err error) {
	if k.Plan == nil {
		return errors.New("no node shows who guards this epoch")
	}
	if all {
		_, err = k.Record.CheckBackups(k.Plan, k.Set)
	} else {
		_, _, err = k.Record.OpenBackups(k.Plan, k.Set)
	}
	return err
}

// readShares takes when others last saw each share prove itself: nobody is believed about its own.
func (k *BackedKey) readShares(c *Circle, key []byte, said Answers[*v1.BackupsResponse]) {
	eh := k.Record.Hash()
	for _, a := range said {
		own := c.Operator(a.Node)
		for _, x := range a.Value.Keys {
			if !bytes.Equal(x.Key, key) || !bytes.Equal(x.Record, eh[:]) {
				continue
			}
			if t, err := time.Parse(time.RFC3339, x.Moved); err == nil && t.After(k.Moved) {
				k.Moved = t
			}
			for _, s := range x.Shares {
				if t, err := time.Parse(time.RFC3339, s.Proved); err == nil && s.Operator != own && t.After(k.Proved[s.Operator]) {
					k.Proved[s.Operator] = t
				}
			}
		}
	}
}

// readSet verifies a final certificate: its signatures, and that its members are operators whom the circle knows or knew.
func readSet(chain charter.Chain, key [32]byte, m *v1.BackupSetResponse) (s shownSet, err error) {
	if s.cert, err = epoch.DecodeFinalCert(m.Certificate); err != nil {
		return s, err
	}
	if s.cert.Record.KeyID != key {
		return s, errors.New("the certificate is of another key")
	}
	for _, p := range s.cert.Record.Members {
		if _, ok := chain.Identity(p.Identity); !ok {
			return s, fmt.Errorf("member %v of epoch %d is no operator of this circle", p.ID, s.cert.Record.Epoch)
		}
	}
	if len(m.Plan) == 0 {
		return s, nil
	}
	if s.plan, err = guard.DecodePlan(m.Plan); err != nil {
		return s, err
	}
	if s.plan.Hash() != s.cert.Record.Guardians {
		return s, errors.New("the guardians that it shows are not those of the record")
	}
	s.set = m.Set
	return s, nil
}

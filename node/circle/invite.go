package circle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

const invitePrefix = "ostraka-invite-v1"

// An Invitation is the line that an operator sends to another: where to knock, whose
// identity to expect there, a secret that opens once, and until when.
type Invitation struct {
	Address  string
	Identity ed25519.PublicKey
	Secret   [32]byte
	Expires  time.Time // whole seconds
}

// Line is the form that travels: fields parted by commas.
func (i Invitation) Line() string {
	return strings.Join([]string{
		invitePrefix, i.Address, hex.EncodeToString(i.Identity), hex.EncodeToString(i.Secret[:]), i.Expires.UTC().Format(time.RFC3339),
	}, ",")
}

// ParseInvitation reads a line.
func ParseInvitation(line string) (Invitation, error) {
	f := strings.Split(strings.TrimSpace(line), ",")
	if len(f) != 5 || f[0] != invitePrefix {
		return Invitation{}, errors.New("this is not an invitation's line: copy the whole line that `ostraka operator invite` printed")
	}
	identity, err1 := hex.DecodeString(f[2])
	secret, err2 := hex.DecodeString(f[3])
	expires, err3 := time.Parse(time.RFC3339, f[4])
	if err1 != nil || err2 != nil || err3 != nil || len(identity) != ed25519.PublicKeySize || len(secret) != 32 {
		return Invitation{}, errors.New("the invitation's line is damaged: copy it again, whole")
	}
	return Invitation{Address: f[1], Identity: identity, Secret: [32]byte(secret), Expires: expires.UTC()}, nil
}

func inviteKey(secret []byte) string {
	h := sha256.Sum256(secret)
	return store.Key(kindInvite, store.ID(h[:]))
}

// Invite makes an invitation for one operator, by its name, good once until it expires. Only the hash of its
// secret is kept, with that name.
func (c *Circle) Invite(ctx context.Context, now time.Time, name string, life time.Duration) (Invitation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayInvite(name); err != nil {
		return Invitation{}, err
	}
	if st := c.standing(); st != Founding && st != Member {
		return Invitation{}, fmt.Errorf("this node's operator is not in circle %q: only its operators invite", c.chain.Newest().Circle)
	}
	if life < time.Minute || life > 30*24*time.Hour {
		return Invitation{}, fmt.Errorf("an invitation lives from 1 minute to 30 days, not %s", life)
	}
	i := Invitation{Address: c.cfg.Own.Address, Identity: c.cfg.Own.Identity, Expires: now.Add(life).UTC().Truncate(time.Second)}
	if _, err := io.ReadFull(c.cfg.Rand, i.Secret[:]); err != nil {
		return Invitation{}, fmt.Errorf("draw a secret: %w", err)
	}
	e := journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: inviteKey(i.Secret[:]), Value: invited{expires: i.Expires, name: name}.row()}}}}
	return i, c.cfg.Journal.Write(ctx, e)
}

// mayInvite refuses names that nobody could join under.
func (c *Circle) mayInvite(name string) error {
	if err := statement.CheckLabel(name); err != nil {
		return fmt.Errorf("operator %q: %w: give the name that the guest's node has (`ostraka node init --operator NAME`)", name, err)
	}
	if name == c.cfg.Own.Name {
		return fmt.Errorf("this node's own operator is %s: the guest's node needs another name", name)
	}
	if _, in := c.chain.Newest().Operator(name); in {
		return fmt.Errorf("operator %s is in the roster already", name)
	}
	return nil
}

// invited is an invitation as its maker keeps it.
type invited struct {
	expires time.Time
	name    string            // whom it is for; empty in rows of an older form: anybody
	used    ed25519.PublicKey // by whom; then the rest is gone
}

const usedMark = "used"

func (i invited) row() []byte {
	if i.used != nil {
		return append([]byte(usedMark), i.used...)
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(i.expires.Unix())), i.name...)
}

// readInvited reads a row. One that makes no sense ran out long ago.
func readInvited(row []byte) (i invited) {
	if used, ok := bytes.CutPrefix(row, []byte(usedMark)); ok && len(used) == ed25519.PublicKeySize {
		i.used = used
	} else if len(row) >= 8 {
		i.expires, i.name = time.Unix(int64(binary.BigEndian.Uint64(row)), 0), string(row[8:])
	}
	return i
}

const (
	fieldSecret transcript.Tag = iota + 1
	fieldOperator
)

const (
	fieldInviter transcript.Tag = iota + 1
	fieldGenesis
)

// encodeAnswer is the inviter, and the id of version 0 of its circle's roster if there is one.
func encodeAnswer(o charter.Operator, genesis []byte) []byte {
	var e transcript.Encoder
	return e.Bytes(fieldInviter, encodeOperator(o)).Bytes(fieldGenesis, genesis).Sum()
}

func decodeAnswer(b []byte) (o charter.Operator, genesis statement.ID, err error) {
	d := transcript.NewDecoder(b)
	raw, id := d.Bytes(fieldInviter, 64<<10), d.Bytes(fieldGenesis, len(genesis))
	if err := d.Done(); err != nil {
		return o, genesis, fmt.Errorf("decode answer: %w", err)
	}
	if copy(genesis[:], id); len(id) != 0 && (len(id) != len(genesis) || genesis.IsZero()) {
		return o, genesis, fmt.Errorf("decode answer: charter: %d bytes", len(id))
	}
	o, err = decodeOperator(raw)
	return o, genesis, err
}

const (
	fieldName transcript.Tag = iota + 1
	fieldEntity
	fieldIdentity
	fieldAddress
	fieldOfficers
)

func encodeOperator(o charter.Operator) []byte {
	var e transcript.Encoder
	e.String(fieldName, o.Name).String(fieldEntity, o.Entity).Bytes(fieldIdentity, o.Identity).String(fieldAddress, o.Address)
	officers := make([]string, len(o.Officers))
	for i, k := range o.Officers {
		officers[i] = k.String()
	}
	slices.Sort(officers)
	return e.List(fieldOfficers, len(officers), func(i int, e *transcript.Encoder) { e.String(1, officers[i]) }).Sum()
}

func decodeOperator(b []byte) (charter.Operator, error) {
	d, o := transcript.NewDecoder(b), charter.Operator{}
	o.Name, o.Entity = d.String(fieldName, 64), d.String(fieldEntity, 256)
	o.Identity = bytes.Clone(d.Fixed(fieldIdentity, ed25519.PublicKeySize))
	o.Address = d.String(fieldAddress, 300)
	d.List(fieldOfficers, 1, 8, func(_ int, d *transcript.Decoder) {
		line := d.String(1, 4096)
		if d.Err() != nil {
			return
		}
		k, err := signet.ParseKey(line)
		if err != nil {
			d.Fail(1, err)
		}
		o.Officers = append(o.Officers, k)
	})
	if err := d.Done(); err != nil {
		return charter.Operator{}, fmt.Errorf("decode operator: %w", err)
	}
	return o, nil
}

// Join knocks at the inviter's node and pins it.
func (c *Circle) Join(ctx context.Context, now time.Time, line string) (charter.Operator, error) {
	i, err := ParseInvitation(line)
	if err != nil {
		return charter.Operator{}, err
	}
	if now.After(i.Expires) {
		return charter.Operator{}, fmt.Errorf("the invitation ran out at %s: ask for a new one", i.Expires.Format(time.RFC3339))
	}
	var request transcript.Encoder
	request.Bytes(fieldSecret, i.Secret[:]).Bytes(fieldOperator, encodeOperator(c.cfg.Own))
	answer, err := c.cfg.Knock(ctx, i.Address, i.Identity, request.Sum())
	if err != nil {
		return charter.Operator{}, fmt.Errorf("knock at %s: %w", i.Address, err)
	}
	o, genesis, err := decodeAnswer(answer)
	if err != nil {
		return charter.Operator{}, fmt.Errorf("answer of %s: %w", i.Address, err)
	}
	if !bytes.Equal(o.Identity, i.Identity) {
		return charter.Operator{}, fmt.Errorf("answer of %s: names another identity than the invitation", i.Address)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chain) > 0 && (c.member() || genesis != c.chain[0].ID) {
		return charter.Operator{}, fmt.Errorf("this node belongs to circle %q already", c.chain.Newest().Circle)
	}
	if len(c.draft) > 0 && genesis != c.genesis {
		return charter.Operator{}, errors.New("this node joined operators of another circle before: make a new node for this one")
	}
	var e journal.Entry
	if !genesis.IsZero() {
		e.Put = append(e.Put, store.Entry{Key: keyGenesis, Value: genesis[:]})
	}
	return o, c.addDraft(ctx, now, o, genesis, e)
}

// Admit answers a knock: the bearer of an unused, living invitation is taken into the draft.
func (c *Circle) Admit(ctx context.Context, now time.Time, from ed25519.PublicKey, body []byte) ([]byte, error) {
	d := transcript.NewDecoder(body)
	secret, raw := d.Fixed(fieldSecret, 32), d.Bytes(fieldOperator, 64<<10)
	if err := d.Done(); err != nil {
		return nil, errors.New("the request is malformed")
	}
	o, err := decodeOperator(raw)
	if err != nil || !bytes.Equal(o.Identity, from) {
		return nil, errors.New("the request does not describe its sender")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := inviteKey(secret)
	it, err := c.cfg.Journal.Store().Get(ctx, key)
	if err != nil {
		return nil, errors.New("the invitation is not known here: ask for a new one")
	}
	i := readInvited(it.Value)
	switch {
	case bytes.Equal(i.used, from):
		return c.answer(), c.welcome(ctx, now, from) // our answer was lost
	case i.used != nil:
		return nil, errors.New("the invitation was used before: ask for a new one")
	case now.Unix() > i.expires.Unix():
		return nil, errors.New("the invitation ran out: ask for a new one")
	case i.name != "" && i.name != o.Name:
		return nil, fmt.Errorf("the invitation is for operator %s, this node's is %s: ask for one for that name", i.name, o.Name)
	}
	use := journal.Entry{Batch: store.Batch{
		If: []store.Cond{store.Unchanged(it)}, Put: []store.Entry{{Key: key, Value: invited{used: from}.row()}},
	}}
	if err := c.addDraft(ctx, now, o, c.genesis, use); err != nil {
		return nil, err
	}
	return c.answer(), c.welcome(ctx, now, from)
}

// welcomeGap is how often who knocks again is sent the circle's rosters again.
const welcomeGap = time.Minute

// welcome sends a guest what officers said before it came. Knocks cost the guest nothing, so they repeat it once in a while alone.
func (c *Circle) welcome(ctx context.Context, now time.Time, guest ed25519.PublicKey) error {
	i := slices.IndexFunc(c.guests(), func(o charter.Operator) bool { return o.Identity.Equal(guest) })
	if i < 0 {
		return nil
	}
	o := c.guests()[i]
	if since := now.Sub(c.welcomed[o.Name]); since >= 0 && since < welcomeGap { // a clock set back must not keep it away
		return nil
	}
	err := c.tellVersions(ctx, now, []charter.Operator{o})
	if err == nil {
		c.welcomed[o.Name] = now
	}
	return err
}

// guests are who joined here and waits to be taken into the roster.
func (c *Circle) guests() []charter.Operator {
	if c.standing() != Member {
		return nil
	}
	return c.joined()
}

// inviteKept is how long an invitation that ran out is kept, so that its bearer is told so.
const inviteKept = 24 * time.Hour

// Sweep erases invitations that ran out, and used ones whose bearer waits no more to be taken in.
func (c *Circle) Sweep(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.invites.Step(ctx, c.cfg.Journal, func(it store.Item) []string {
		i := readInvited(it.Value)
		old := i.used == nil && now.Sub(i.expires) > inviteKept
		if i.used != nil {
			old = true
			for _, o := range c.draft {
				old = old && !o.Identity.Equal(i.used)
			}
		}
		if old {
			return []string{it.Key}
		}
		return nil
	})
}

func (c *Circle) answer() []byte {
	if len(c.chain) == 0 {
		return encodeAnswer(c.cfg.Own, nil)
	}
	return encodeAnswer(c.cfg.Own, c.chain[0].ID[:])
}

// addDraft keeps an operator for the roster to be, and pins it. genesis is the circle's that it is
// of, if we are not.
func (c *Circle) addDraft(ctx context.Context, now time.Time, o charter.Operator, genesis statement.ID, e journal.Entry) error {
	if o.Name == c.cfg.Own.Name {
		return fmt.Errorf("both nodes call themselves %s: give one of them another operator name", o.Name)
	}
	if old, ok := c.draft[o.Name]; ok && !bytes.Equal(encodeOperator(old), encodeOperator(o)) {
		return fmt.Errorf("another node joined as operator %s before; `ostraka operator drop %s` lets that one go", o.Name, o.Name)
	}
	if err := c.sound(now, o); err != nil {
		return err
	}
	raw := encodeOperator(o)
	e.Put = append(e.Put, store.Entry{Key: store.Key(kindDraft, store.Name(o.Name)), Value: raw})
	e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindJoined, now, [32]byte{}, sha256.Sum256(raw)))
	if err := c.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	c.draft[o.Name], c.genesis = o, genesis
	c.cfg.OnPeers(c.pins())
	return nil
}

// sound says whether a roster with an operator could be: names, addresses, keys. Before there is
// a charter it has all that joined; afterwards it may have this one in place of another.
func (c *Circle) sound(now time.Time, o charter.Operator) error {
	if c.standing() == Member {
		if _, in := c.chain.Newest().Operator(o.Name); in {
			return fmt.Errorf("operator %s is in the roster already", o.Name)
		}
		r := c.next(now, "")
		r.Operators = byName([]charter.Operator{c.cfg.Own, o})
		return c.chain.CheckNext(r)
	}
	r := charter.Roster{Circle: "draft", Created: now.UTC().Truncate(time.Second), Operators: []charter.Operator{c.cfg.Own, o}}
	for name, other := range c.draft {
		if name != o.Name {
			r.Operators = append(r.Operators, other)
		}
	}
	_, err := r.Statement([32]byte{})
	return err
}

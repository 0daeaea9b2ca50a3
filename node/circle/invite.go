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

// Invite makes an invitation, good once until it expires. Only the hash of its secret is
// kept.
func (c *Circle) Invite(ctx context.Context, now time.Time, life time.Duration) (Invitation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.charter.IsZero() {
		return Invitation{}, fmt.Errorf("the charter of circle %q is in force: adding an operator to it is not possible in this version", c.roster.Circle)
	}
	if life < time.Minute || life > 30*24*time.Hour {
		return Invitation{}, fmt.Errorf("an invitation lives from 1 minute to 30 days, not %s", life)
	}
	i := Invitation{Address: c.cfg.Own.Address, Identity: c.cfg.Own.Identity, Expires: now.Add(life).UTC().Truncate(time.Second)}
	if _, err := io.ReadFull(c.cfg.Rand, i.Secret[:]); err != nil {
		return Invitation{}, fmt.Errorf("draw a secret: %w", err)
	}
	row := binary.BigEndian.AppendUint64(nil, uint64(i.Expires.Unix()))
	e := journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: inviteKey(i.Secret[:]), Value: row}}}}
	return i, c.cfg.Journal.Write(ctx, e)
}

const (
	fieldSecret transcript.Tag = iota + 1
	fieldOperator
)

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
	var e transcript.Encoder
	e.Bytes(fieldSecret, i.Secret[:]).Bytes(fieldOperator, encodeOperator(c.cfg.Own))
	answer, err := c.cfg.Knock(ctx, i.Address, i.Identity, e.Sum())
	if err != nil {
		return charter.Operator{}, fmt.Errorf("knock at %s: %w", i.Address, err)
	}
	o, err := decodeOperator(answer)
	if err != nil {
		return charter.Operator{}, fmt.Errorf("answer of %s: %w", i.Address, err)
	}
	if !bytes.Equal(o.Identity, i.Identity) {
		return charter.Operator{}, fmt.Errorf("answer of %s: names another identity than the invitation", i.Address)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return o, c.addDraft(ctx, now, o, journal.Entry{})
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
	if used, ok := bytes.CutPrefix(it.Value, []byte("used")); ok {
		if bytes.Equal(used, from) {
			return encodeOperator(c.cfg.Own), nil // our answer was lost
		}
		return nil, errors.New("the invitation was used before: ask for a new one")
	}
	if len(it.Value) != 8 || now.Unix() > int64(binary.BigEndian.Uint64(it.Value)) {
		return nil, errors.New("the invitation ran out: ask for a new one")
	}
	use := journal.Entry{Batch: store.Batch{
		If: []store.Cond{store.Unchanged(it)}, Put: []store.Entry{{Key: key, Value: append([]byte("used"), from...)}},
	}}
	if err := c.addDraft(ctx, now, o, use); err != nil {
		return nil, err
	}
	return encodeOperator(c.cfg.Own), nil
}

// inviteKept is how long an invitation that ran out is kept, so that its bearer is told so.
const inviteKept = 24 * time.Hour

// Sweep erases invitations that ran out and, once the charter is in force, all that was to lead
// to it: its roster says who the operators are, and nobody joins any more.
func (c *Circle) Sweep(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	founded := !c.charter.IsZero()
	err := c.invites.Step(ctx, c.cfg.Journal, func(it store.Item) []string {
		if founded || len(it.Value) == 8 && now.Sub(time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0)) > inviteKept {
			return []string{it.Key}
		}
		return nil
	})
	if !founded || err != nil {
		return err
	}
	clear(c.draft)
	return c.drafts.Step(ctx, c.cfg.Journal, func(it store.Item) []string { return []string{it.Key} })
}

// addDraft keeps an operator for the roster to be, and pins it.
func (c *Circle) addDraft(ctx context.Context, now time.Time, o charter.Operator, e journal.Entry) error {
	if !c.charter.IsZero() {
		return fmt.Errorf("circle %q has its charter already", c.roster.Circle)
	}
	if o.Name == c.cfg.Own.Name {
		return fmt.Errorf("both nodes call themselves %s: give one of them another operator name", o.Name)
	}
	if old, ok := c.draft[o.Name]; ok && !bytes.Equal(encodeOperator(old), encodeOperator(o)) {
		return fmt.Errorf("another node joined as operator %s before", o.Name)
	}
	// The roster that this draft would give must be sound: names, addresses, keys.
	r := charter.Roster{Circle: "draft", Created: now.UTC().Truncate(time.Second), Operators: []charter.Operator{c.cfg.Own, o}}
	for name, other := range c.draft {
		if name != o.Name {
			r.Operators = append(r.Operators, other)
		}
	}
	if _, err := r.Statement([32]byte{}); err != nil {
		return err
	}
	raw := encodeOperator(o)
	e.Put = append(e.Put, store.Entry{Key: store.Key(kindDraft, store.Name(o.Name)), Value: raw})
	e.Leaves = append(e.Leaves, tlog.Leaf{Kind: tlog.KindStatement, Time: now, ID: sha256.Sum256(raw)})
	if err := c.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	c.draft[o.Name] = o
	c.cfg.OnPeers(c.peers())
	return nil
}

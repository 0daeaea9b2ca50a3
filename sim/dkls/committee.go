package dkls

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// A Committee is n operators with a key, any t of whom can sign.
type Committee struct {
	Parties []mpc.Party // by index: member i has index i + 1
	Record  *epoch.Record
	keys    map[engine.PartyID]ed25519.PrivateKey
	rows    []map[string][]byte // what each member kept
}

var committees sync.Map // kind → func() *Committee

type kind struct {
	suite string
	t, n  int
}

// Make runs the key generation of a committee that signs by DKLs23, once in the life of the process. The same t
// and n give the same keys.
func Make(t, n int) *Committee { return MakeOf(epoch.SuiteECDSA, t, n) }

// MakeOf is Make of a suite of secp256k1: there a request's digest is the message.
func MakeOf(suite string, t, n int) *Committee {
	once, _ := committees.LoadOrStore(kind{suite, t, n}, sync.OnceValue(func() *Committee {
		c, err := generate(suite, t, n)
		if err != nil {
			panic(fmt.Sprintf("generate keys of a committee %d of %d: %v", t, n, err)) // honest parties in memory
		}
		return c
	}))
	return once.(func() *Committee)()
}

func generate(suite string, t, n int) (*Committee, error) {
	c := &Committee{keys: map[engine.PartyID]ed25519.PrivateKey{}}
	for i := range n {
		seed := sha256.Sum256(fmt.Appendf(nil, "member %d of %d of %d", i, t, n))
		key := ed25519.NewKeyFromSeed(seed[:])
		public := key.Public().(ed25519.PublicKey)
		id := mpc.IDOf(public)
		c.keys[id], c.Parties = key, append(c.Parties, mpc.Party{ID: id, Identity: public})
	}
	c.Parties = ceremony.Seats(c.Parties)
	seats, err := c.seats(&mpc.Setup{
		Protocol: ceremony.ProtocolKeygen, Suite: suite, KeyID: [32]byte{byte(t), byte(n)}, Threshold: t, Parties: c.Parties,
		Opener: c.Parties[0].ID, NotAfter: time.Unix(1_900_000_000, 0).UTC(),
	})
	if err != nil {
		return nil, err
	}
	var machines []*engine.Session[ceremony.Prepared]
	for _, s := range seats {
		stage, err := ceremony.Keygen(s, nil)
		if err != nil {
			return nil, err
		}
		m, err := ceremony.Engine(s, stage)
		if err != nil {
			return nil, err
		}
		machines = append(machines, m)
	}
	run := enginetest.Run(enginetest.Options{Seed: 1}, machines...)
	results, err := run.Results()
	if err != nil {
		return nil, err
	}
	for _, p := range c.Parties {
		rows := map[string][]byte{}
		for _, r := range run.Party(p.ID).Saved {
			rows[r.Name] = r.Value
		}
		c.rows = append(c.rows, rows)
	}
	c.Record = results[0].Record
	return c, nil
}

// seats opens a session: Setup, Joins and coins.
func (c *Committee) seats(s *mpc.Setup) ([]ceremony.Seat, error) {
	joins, frames := make([]*mpc.Joining, len(s.Parties)), make([][]byte, len(s.Parties))
	for i, p := range s.Parties {
		var err error
		if joins[i], frames[i], err = mpc.NewJoin(s, p.ID, mpc.Standing{}, enginetest.Reader(uint64(i)), c.Signer(p.ID)); err != nil {
			return nil, err
		}
	}
	var seats []ceremony.Seat
	for i, p := range s.Parties {
		for j, f := range frames {
			if i == j {
				continue
			}
			if err := joins[i].Add(f); err != nil {
				return nil, err
			}
		}
		channel, err := joins[i].Complete()
		if err != nil {
			return nil, err
		}
		coins, err := mpc.Coins(enginetest.Reader(uint64(100+i)), nil, channel.Session(), nil)
		if err != nil {
			return nil, err
		}
		seats = append(seats, ceremony.Seat{Session: channel.Session(), Setup: s, Self: p.ID, Sign: c.Signer(p.ID), Rand: coins})
	}
	return seats, nil
}

// Signer signs with a member's identity key.
func (c *Committee) Signer(id engine.PartyID) mpc.Signer { return mpc.NewSigner(c.keys[id]) }

// Member is the position of a party, −1 for a stranger.
func (c *Committee) Member(id engine.PartyID) int {
	for i, p := range c.Parties {
		if p.ID == id {
			return i
		}
	}
	return -1
}

// Keys are a member's secrets, a copy for one session.
func (c *Committee) Keys(member int) (*ceremony.Keys, error) {
	return ceremony.Load(c.Record, c.Parties[member].ID, func(name string) (secret.Bytes, error) {
		row, ok := c.rows[member][name]
		if !ok {
			return secret.Bytes{}, fmt.Errorf("no row %q", name)
		}
		return secret.Copy(row), nil
	})
}

// Setup proposes that these members sign a digest.
func (c *Committee) Setup(members []int, intent, digest [32]byte, now time.Time) *mpc.Setup {
	r := c.Record
	req := ceremony.Request{Purpose: "transaction", Intent: intent, Digest: digest}
	s := &mpc.Setup{
		Protocol: ceremony.ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Payload: req.Encode(), NotAfter: now.Add(5 * time.Minute).UTC().Truncate(time.Second),
	}
	for _, i := range members {
		s.Parties = append(s.Parties, c.Parties[i])
	}
	return s
}

// AllowKey is the row that a Task keeps before its Join leaves.
func AllowKey(setup [32]byte) string { return store.Key("allow", store.ID(setup[:])) }

// SignedKey is the row that a Task keeps before anybody is told of a signature.
func SignedKey(setup [32]byte) string { return store.Key("signed", store.ID(setup[:])) }

// Hooks are what a test adds to a Task. All may be nil.
type Hooks struct {
	Timeout time.Duration // 0: 20 s
	Begin   func(ceremony.Seat)
	Wrap    func(session.Machine) session.Machine
	Signed  func(*ceremony.Signature)
	Done    func(err error, sentLast bool)
}

// Task signs as a member: allowed by a row that is written with the mark of the setup, the
// signature kept before Signed is told.
func (c *Committee) Task(j *journal.Journal, member int, now time.Time, s *mpc.Setup, h Hooks) (*session.Task, error) {
	seat := ceremony.Seat{Setup: s, Self: c.Parties[member].ID}
	if err := ceremony.CheckSigners(seat, c.Record); err != nil {
		return nil, err
	}
	req, err := ceremony.DecodeRequest(s.Payload)
	if err != nil {
		return nil, err
	}
	keys, err := c.Keys(member)
	if err != nil {
		return nil, err
	}
	hash := s.Hash()
	t := &session.Task{
		Standing: mpc.Standing{Record: c.Record.Hash()}, Pairs: c.Record.Hash(), Hedge: secret.New(keys.Share.Bytes()), Title: "sign", Timeout: 20 * time.Second,
		Admit: journal.Entry{
			Batch:  store.Batch{Put: []store.Entry{{Key: AllowKey(hash), Value: s.Payload}}},
			Leaves: []tlog.Filed{{Leaf: tlog.Leaf{Kind: tlog.KindSession, Time: now, ID: hash}}},
		},
		Done: func(_ context.Context, _ time.Time, err error, sentLast bool) {
			keys.Wipe()
			if h.Done != nil {
				h.Done(err, sentLast)
			}
		},
	}
	if h.Timeout > 0 {
		t.Timeout = h.Timeout
	}
	t.Begin = func(seat ceremony.Seat) (session.Machine, error) {
		if h.Begin != nil {
			h.Begin(seat)
		}
		stage, err := ceremony.Sign(seat, keys, req.Digest[:])
		if err != nil {
			return nil, err
		}
		es, err := ceremony.Engine(seat, stage)
		if err != nil {
			return nil, err
		}
		m := session.NewMachine(es, ceremony.SignRounds(c.Record.Suite), func(ctx context.Context, now time.Time, sig *ceremony.Signature) error {
			return keep(ctx, j, now, hash, sig, h.Signed)
		})
		if h.Wrap != nil {
			m = h.Wrap(m)
		}
		return m, nil
	}
	return t, nil
}

func keep(ctx context.Context, j *journal.Journal, now time.Time, setup [32]byte, sig *ceremony.Signature, told func(*ceremony.Signature)) error {
	err := j.Write(ctx, journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: SignedKey(setup), Value: []byte(sig.String())}}},
		Leaves: []tlog.Filed{{Leaf: tlog.Leaf{Kind: tlog.KindSigned, Time: now, ID: setup}}},
	})
	if err == nil && told != nil {
		told(sig)
	}
	return err
}

// Bend makes a machine corrupt: edit sees every message before it is sealed.
func Bend(m session.Machine, edit func(*engine.Msg)) session.Machine { return &bent{m, edit} }

type bent struct {
	session.Machine
	edit func(*engine.Msg)
}

func (b *bent) adapt(e session.Effects, err error) (session.Effects, error) {
	for i := range e.Send {
		e.Send[i].Body = append([]byte(nil), e.Send[i].Body...)
		b.edit(&e.Send[i])
	}
	return e, err
}

func (b *bent) Start() (session.Effects, error)             { return b.adapt(b.Machine.Start()) }
func (b *bent) Step(in engine.Msg) (session.Effects, error) { return b.adapt(b.Machine.Step(in)) }
func (b *bent) Judge() (session.Effects, error)             { return b.adapt(b.Machine.Judge()) }

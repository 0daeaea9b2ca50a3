package decide

import (
	"context"
	"errors"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// A part is what a signing session differs in: three rounds over our share, or one broadcast with a presignature.
type part struct {
	how     string // for people, after what is signed
	timeout time.Duration
	rounds  uint8        // after our message of the last one, an abort means "possibly signed"
	hedge   secret.Bytes // into the session's coins
	admit   journal.Entry
	first   func(protocol.Seat, []byte) (engine.Stage[protocol.Signature], error)
	save    func(time.Time, []engine.Record) (journal.Entry, error) // nil: the protocol keeps nothing
	done    func(context.Context, time.Time, error)
}

// onlineTimeout bounds an online session, from our Join on: the Joins of all, and one broadcast. Who took a presignature and
// waits for others in vain is free again soon, to sign in three rounds.
const onlineTimeout = 5 * time.Second

// part makes ours of a session. It is the last thing that may refuse: a presignature that was taken serves nothing else.
func (d *Desk) part(ctx context.Context, now time.Time, v ceremony.View, s *mpc.Setup, req *protocol.OnlineRequest) (*part, error) {
	r := v.Current.Record
	if s.Protocol != protocol.ProtocolOnline {
		keys, err := d.cfg.Keys(ctx, r.KeyID, r.Hash())
		if err != nil {
			return nil, err
		}
		return &part{
			timeout: signTimeout, rounds: protocol.SignRounds(s.Suite), hedge: secret.New(keys.Share.Bytes()),
			first: func(seat protocol.Seat, message []byte) (engine.Stage[protocol.Signature], error) {
				return protocol.Sign(seat, keys, message)
			},
			done: func(context.Context, time.Time, error) { keys.Wipe() },
		}, nil
	}
	taken, err := d.cfg.Presignatures.Take(ctx, v, s, req.Presignature, req.Digest)
	if err != nil {
		return nil, err
	}
	return &part{
		how: " with a presignature", timeout: onlineTimeout, rounds: protocol.OnlineRounds, admit: taken.Entry(now),
		first: func(seat protocol.Seat, message []byte) (engine.Stage[protocol.Signature], error) {
			return protocol.Online(seat, r, taken.Presignature, message)
		},
		save: func(_ time.Time, rows []engine.Record) (journal.Entry, error) {
			return taken.Save(context.WithoutCancel(ctx), rows)
		},
		done: func(ctx context.Context, now time.Time, err error) {
			taken.Done(ctx, now, err)
			var notBegun *session.NotBegunError
			d.cfg.Presignatures.Used(protocol.PairKey(r), r.Hash(), s.Parties, req.Presignature, !errors.As(err, &notBegun))
		},
	}, nil
}

// idled says that a session was online and never began: at least one signer lacked the presignature, was silent, or would not
// sign. Nothing but the presignature is lost, and nobody is thought the worse of: three rounds will show who is silent.
func idled(s *mpc.Setup, err error) bool {
	var notBegun *session.NotBegunError
	return s.Protocol == protocol.ProtocolOnline && errors.As(err, &notBegun)
}

// fallBack leaves an intent to the three rounds. No attempt is lost by it, and no second online session of this intent is
// opened or joined here: who lets one idle gains nothing by doing so again.
func (d *Desk) fallBack(ctx context.Context, now time.Time, f *file, s *mpc.Setup, cause error) error {
	f.plain = true
	err := d.settled(ctx, now, f, intent.SessionFailed{Session: s.Hash(), Class: intent.Transient, Idle: true}, cause, store.Batch{})
	if err == nil {
		f.next = afterIdle(now, s, cause)
	}
	return err
}

// afterIdle is when the three rounds may begin: at once if we and one other were all, who declined; else when those who have
// joined have given up too.
func afterIdle(now time.Time, s *mpc.Setup, err error) time.Time {
	var declined *session.DeclinedError
	switch {
	case !errors.As(err, &declined):
		return now.Add(time.Second)
	case len(s.Parties) == 2:
		return now
	}
	return now.Add(onlineTimeout + time.Second)
}

const (
	// pressFor is how long an intent that may be signed keeps presignatures from being made: if it is not in a session by then,
	// it waits for somebody.
	pressFor = 10 * time.Second
	// stirFor is how long any news of an intent does: what people wait for goes first.
	stirFor = 2 * time.Second
)

// Pressed says whether intents of a key are being signed in three rounds, or wait for it, or moved just now: then no presignature is
// made.
func (d *Desk) Pressed(now time.Time, key [32]byte) bool {
	for _, f := range d.moving() {
		if f.presses(now, key) {
			return true
		}
	}
	return false
}

func (f *file) presses(now time.Time, key [32]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.gone || f.life.Intent().Key != key:
		return false
	case f.life.State() == intent.Signing && !f.online:
		return true
	case f.life.State() != intent.Allowed:
		return now.Sub(f.life.Changed()) < stirFor
	}
	since := f.allowedAt
	if f.next.After(since) {
		since = f.next
	}
	return now.Sub(since) < pressFor
}

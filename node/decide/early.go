package decide

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// A vault may demand that other operators have cosigned a node's log with its ALLOW before the node signs (spec/node 6.5): then no node can sign,
// and afterwards show a log in which it never decided.

// note remembers how large our log is at least, now that it holds our ALLOW. Should it not be read it is looked at when it is needed.
func (d *Desk) note(f *file) {
	head, err := d.cfg.Journal.Head(context.Background())
	if err == nil {
		f.logged = head.Size
	}
}

// cosigned refuses to sign before others enough have cosigned our log with our ALLOW. After a restart that log is what was read then.
func (d *Desk) cosigned(f *file, v ceremony.View) error {
	if v.Vault.Witnesses == 0 {
		return nil
	}
	if f.logged == 0 {
		d.note(f)
	}
	e := &uncosignedError{need: v.Vault.Witnesses}
	if f.logged > 0 {
		e.have = d.cfg.Cosigned(f.logged)
	}
	if e.have >= e.need {
		return nil
	}
	return e
}

// uncosignedError says how many others have cosigned our log with our ALLOW.
type uncosignedError struct{ need, have int }

func (e *uncosignedError) Error() string {
	return fmt.Sprintf("waits for %d other operators to cosign the log: %d have", e.need, e.have)
}

func (e *uncosignedError) Is(target error) bool { return target == session.ErrNotYet }

// tooEarly says that a session ended because a party's log was not cosigned far enough, a node had not shown yet what it runs on, or its operator holds it to limits. Where the
// charter demands neither of the first two it may be said so often for one intent, and then counts as any refusal: who says it without end holds an intent up for a quarter of an
// hour, where nobody can stand in.
func (d *Desk) tooEarly(v ceremony.View, f *file, err error) bool {
	if !errors.Is(err, session.ErrNotYet) {
		return false
	}
	may := v.Vault.Witnesses > 0 || d.cfg.Demands != nil && d.cfg.Demands()
	f.mu.Lock()
	defer f.mu.Unlock()
	return may || f.early < maxLimited
}

const (
	earlyFor   = 2 * time.Second // a session that was opened too early may be opened again after that, doubled each time, eightfold at most
	maxLimited = 64              // so many of one intent are no attempts
	maxEarly   = 8               // so many of others' put our own turn off: who opens without end holds nobody up
)

// comeBack ends a session that was opened too early. It is no attempt, and nobody is thought the worse of; others, if t are there, sign meanwhile.
func (d *Desk) comeBack(ctx context.Context, now time.Time, f *file, s *mpc.Setup, cause error) error {
	for _, p := range session.Culprits(cause) {
		f.skip = with(f.skip, p, now.Add(skipFor))
	}
	wait, own := earlyFor<<min(f.early, 3), s.Opener == d.cfg.Self
	if f.early++; !own {
		f.idle = with(f.idle, s.Opener, now.Add(wait))
	}
	err := d.settled(ctx, now, f, intent.SessionFailed{Session: s.Hash(), Class: intent.Transient, Idle: true}, cause, store.Batch{})
	if err == nil && (own || f.early <= maxEarly) {
		f.next = now.Add(wait + time.Second) // before that others refuse who opens
	}
	return err
}

// heldBack refuses to sign with a release that the charter holds back (spec/node 11).
func (d *Desk) heldBack(now time.Time, v ceremony.View) error {
	if d.cfg.HeldBack == nil {
		return nil
	}
	if why := d.cfg.HeldBack(now, v); why != "" {
		return errors.New(why)
	}
	return nil
}

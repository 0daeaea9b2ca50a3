package pulse

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// due says whether it is time: the charter's interval is over, this process has not shown yet that it lives, or it holds other shares
// than it proved.
func (p *Pulse) due(now time.Time) bool {
	last, ok := p.beats[p.cfg.Operator]
	switch since := now.Sub(last.Taken); {
	case !ok:
		return true
	case since >= 0 && since < minGap:
		return false
	case !p.began, since < 0, since >= p.cfg.Every():
		return true
	}
	if since := now.Sub(p.looked); since >= 0 && since < minGap {
		return false
	}
	p.looked = now
	all := p.cfg.Shares()
	if len(all) > statement.MaxShares {
		return now.Sub(last.Taken) >= p.gap()+p.gap()/4 // the next ones' turn, no sooner than others take it
	}
	return !slices.EqualFunc(all, last.Shares, sameShare)
}

func sameShare(a, b pulse.Share) bool { return a.Key == b.Key && a.Epoch == b.Epoch }

// window are the shares that the next heartbeat proves: all, or of more than one holds as many as it holds, those that follow the last one's, round and
// round. One that holds as many as it can speaks of no key below its first or above its last (spec/log 9.3).
func window(all, last []pulse.Share) []pulse.Share {
	const most = statement.MaxShares
	if len(all) <= most {
		return all
	}
	first := 0
	if len(last) == most {
		after := last[most-1].Key
		first = slices.IndexFunc(all, func(s pulse.Share) bool { return bytes.Compare(s.Key[:], after[:]) > 0 })
	}
	first = min(max(first, 0), len(all)-most)
	return all[first : first+most]
}

func (p *Pulse) beat(ctx context.Context, now time.Time, r charter.Roster) error {
	salt, err := p.salt()
	if err != nil {
		return err
	}
	h := pulse.Heartbeat{
		Roster: r.ID, Operator: p.cfg.Operator, Version: p.cfg.Version, Binary: p.cfg.Binary, Created: now.UTC().Truncate(time.Second),
	}
	for _, o := range r.Operators {
		if head, generation, ok := p.cfg.Head(o.Identity); ok && o.Name != p.cfg.Operator {
			h.Peers = append(h.Peers, pulse.Peer{Operator: o.Name, Origin: tlog.Origin(o.Identity, generation), Log: head})
		}
	}
	if len(h.Peers) == 0 {
		return nil // it would prove nothing about the time
	}
	shares := window(p.cfg.Shares(), p.beats[p.cfg.Operator].Shares)
	if h, err = p.cfg.Prove(ctx, pulse.Draft(h, salt), shares); err != nil {
		return err
	}
	s, err := h.Statement()
	if err != nil {
		return err
	}
	sig, err := signet.SignNode(p.cfg.Identity, s)
	if err != nil {
		return err
	}
	h.ID = s.ID()
	b := Beat{h, s, sig, now}
	own := p.cfg.Party(p.cfg.Identity.Public().(ed25519.PublicKey))
	err = p.cfg.Proved(ctx, now, h, own, p.entry(now, b), func(e journal.Entry) error { return p.cfg.Post(ctx, now, e, b.note()) })
	if err == nil {
		p.keepBeat(b)
		p.began = true
	}
	return err
}

func (p *Pulse) entry(now time.Time, b Beat) journal.Entry {
	return journal.Entry{
		Batch: store.Batch{Put: []store.Entry{
			{Key: store.Key(kindBeat, store.Name(b.Operator)), Value: encodeRow(now, b.Statement, b.Signature)},
			{Key: store.Key(kindRuns, store.Name(b.Operator)), Value: encodePrograms(b.Operator, p.ran(b))},
		}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindHeartbeat, now, [32]byte{}, b.Statement.Bytes(), b.Signature)},
	}
}

// keepBeat makes a heartbeat its operator's last. Who lacks the one before needs it no more.
func (p *Pulse) keepBeat(b Beat) {
	if old, ok := p.beats[b.Operator]; ok {
		p.cfg.Superseded(old.note().ID())
	}
	p.runs[b.Operator] = p.ran(b)
	p.beats[b.Operator] = b
}

func (p *Pulse) takeBeat(ctx context.Context, now time.Time, s statement.Statement, sig []byte, write func(journal.Entry) error) error {
	h, err := pulse.Of(s)
	if err != nil {
		return err
	}
	o, err := p.signer(h.Operator, s, sig)
	if err != nil {
		return err
	}
	if err := p.timely(now, h); err != nil {
		return err
	}
	if !p.room(now, h.Operator) {
		return fmt.Errorf("%w: operator %s has shown more heartbeats than its share of this node's log holds", outbox.ErrLater, h.Operator)
	}
	strange := 0
	for _, x := range h.Shares {
		if !p.cfg.Known(x.Key) {
			strange++
		}
	}
	if strange > unknown {
		return fmt.Errorf("%w: the heartbeat of %s names shares of %d keys that are not known here", outbox.ErrLater, h.Operator, strange)
	}
	fresh, err := p.fresh(ctx, now, h)
	if err != nil {
		return err
	}
	if !fresh {
		return outbox.ErrOld // it was true once; here it shows nothing
	}
	b := Beat{h, s, sig, now}
	e := p.entry(now, b)
	found, err := p.contradictions(ctx, now, b, &e)
	if err != nil {
		return err
	}
	if err := p.proved(ctx, now, h, p.cfg.Party(o.Identity), e, write); err != nil {
		return err
	}
	maps.Copy(p.quoted, found)
	p.spend(now, h.Operator)
	p.keepBeat(b)
	return nil
}

// proved has a heartbeat's proofs verified, and writes it, without our lock: with 256 shares that takes a moment, in which the node goes on. Of one operator one is
// taken at a time.
func (p *Pulse) proved(ctx context.Context, now time.Time, h pulse.Heartbeat, by engine.PartyID, e journal.Entry, write func(journal.Entry) error) error {
	if p.taking[h.Operator] {
		return fmt.Errorf("%w: another heartbeat of %s is being taken", outbox.ErrLater, h.Operator)
	}
	p.taking[h.Operator] = true
	defer delete(p.taking, h.Operator)
	p.mu.Unlock()
	defer p.mu.Lock()
	return p.cfg.Proved(ctx, now, h, by, e, write)
}

// timely says whether a heartbeat is later than its operator's last, and not of the future. One that was taken while its node's clock ran ahead
// makes none old that comes before that time has come.
func (p *Pulse) timely(now time.Time, h pulse.Heartbeat) error {
	if h.Created.Sub(now) > intent.Skew {
		return fmt.Errorf("the heartbeat of %s is of %s, which is in the future: one of the two clocks is wrong", h.Operator, statement.FormatTime(h.Created))
	}
	last, ok := p.beats[h.Operator]
	if ok && !last.Created.After(now) && !h.Created.After(last.Created) {
		return outbox.ErrOld
	}
	return nil
}

// gap is how long one heartbeat of another operator counts in what it may fill of our log.
func (p *Pulse) gap() time.Duration { return min(p.cfg.Every()/4, gapMost) }

// room says whether one more fits.
func (p *Pulse) room(now time.Time, operator string) bool {
	since := p.spent[operator].Sub(now)
	return since <= (burst-1)*p.gap() || since > burst*p.gap() // our clock was set back, or the charter has another interval since
}

func (p *Pulse) spend(now time.Time, operator string) {
	from := p.spent[operator]
	if from.Before(now) || from.Sub(now) > burst*p.gap() {
		from = now
	}
	p.spent[operator] = from.Add(p.gap())
}

// contradictions holds the heads that a heartbeat names to what this node itself cosigned of those logs. One of the same size and another root
// accuses neither: the quote bears its quoter's signature alone. Both are kept, once for each quoter and log in a process's life.
func (p *Pulse) contradictions(ctx context.Context, now time.Time, b Beat, e *journal.Entry) (map[[2]string]string, error) {
	found := map[[2]string]string{}
	for _, q := range b.Peers {
		which := [2]string{b.Operator, q.Origin}
		if q.Operator == p.cfg.Operator || p.quoted[which] != "" {
			continue
		}
		head, signed, err := p.cfg.Witnessed(ctx, q.Origin)
		if err != nil {
			return nil, err
		}
		if signed == nil || head.Size != q.Log.Size || head.Root == q.Log.Root {
			continue
		}
		found[which] = fmt.Sprintf("%s says that the log of %s had another root at %d entries than this node cosigned: one of the two shows different histories to different people", b.Operator, q.Operator, head.Size)
		var evidence transcript.Encoder
		evidence.Bytes(1, signed).Bytes(2, b.Statement.Bytes()).Bytes(3, b.Signature)
		e.Leaves = append(e.Leaves, tlog.Says(tlog.KindAlarm, now, [32]byte{}, evidence.Sum()).On(b.ID))
		p.cfg.Log.Error("what an operator says of another's log is not what this node cosigned", "quoter", b.Operator, "log", q.Origin, "size", head.Size)
	}
	return found, nil
}

// Contradictions are what was found so, in words, since this process began.
func (p *Pulse) Contradictions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Values(p.quoted))
}

// fresh says whether a heartbeat was made lately: it names a head of our own log, which nobody knew before it was one, and
// our log has not had a later one for longer than a heartbeat may take.
func (p *Pulse) fresh(ctx context.Context, now time.Time, h pulse.Heartbeat) (bool, error) {
	said, ok := h.Peer(p.cfg.Operator)
	if !ok || said.Origin != tlog.Origin(p.cfg.Identity.Public().(ed25519.PublicKey), p.cfg.Generation()) {
		return false, nil // of none, or of the log that was kept here before our store was set back
	}
	seen := said.Log
	head, err := p.cfg.Journal.Head(ctx)
	if err != nil {
		return false, err
	}
	if seen.Size > head.Size {
		return false, fmt.Errorf("%w: the heartbeat of %s names %d entries of this node's log, which has %d", outbox.ErrLater, h.Operator, seen.Size, head.Size)
	}
	then, err := p.cfg.Journal.HeadAt(ctx, seen.Size)
	if err != nil {
		return false, err
	}
	if then != seen {
		return false, fmt.Errorf("the heartbeat of %s names root %v of this node's log at size %d, which had %v", h.Operator, seen.Root, seen.Size, then.Root)
	}
	if seen.Size == head.Size {
		return true, nil
	}
	next, err := p.cfg.Journal.Leaf(ctx, seen.Size)
	return now.Sub(next.Time) <= p.cfg.Every()+slack, err
}

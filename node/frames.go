package node

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/vet"
	"github.com/ostraka/ostraka/node/wallet"
	"github.com/ostraka/ostraka/node/witness"
)

// Frames between nodes begin with one byte. 1 to 3 are sessions' (mpc/session).
const (
	frameNote      = 16 // an encoded note
	frameVerdict   = 17 // note id ‖ verdict
	frameDecline   = 18 // setup hash, reason
	frameChallenge = 19 // key id ‖ challenge: prove your share of this key now
	frameLife      = 20 // a hail: the sender's life, and what it holds of ours
	frameOther     = 21 // identity ‖ life of a third node
	frameCosign    = 22 // a request for a cosignature: the body of add-checkpoint
	frameCosigned  = 23 // its answer: status, body
	frameAsk       = 24 // vault, request, nonce: do you know of a veto?
	frameAnswer    = 25 // an encoded note: a no-veto
	frameAskSet    = 26 // key id ‖ eh: send me its backup set
	frameSet       = 27 // a part of it
	frameAskAll    = 28 // as frameAsk, without a request: what do you know of this vault's requests? I was set back
	frameAll       = 29 // the question again: that was all
	frameVet       = 30 // and the four after it: what a node runs on (node/vet)
	frameVetLast   = frameVet + byte(vet.FrameStanding)
	frameRest      = 40 // empty: begin nothing with me until I, or my next process, say that I am there
	frameRests     = 41 // empty: I begin nothing with you
	framePresent   = 42 // empty: I am there
)

// Deliver takes one frame of a peer's link, in the order in which the peer sent it. What
// does not authenticate or make sense is dropped and logged, at a pace; it never ends the link.
func (n *Node) Deliver(ctx context.Context, now time.Time, from ed25519.PublicKey, frame []byte) {
	link := mpc.IDOf(from)
	if _, ok := n.pinned(link); !ok || len(frame) == 0 {
		n.drop(now, engine.PartyID{}, "from", link, "error", ErrStranger)
		return
	}
	if n.guest(link) && frame[0] != frameNote && frame[0] != frameVerdict {
		n.drop(now, link, "from", n.Name(link), "type", frame[0], "error", ErrGuest)
		return
	}
	if err := n.deliver(ctx, now, link, frame); err != nil {
		n.drop(now, link, "from", n.Name(link), "type", frame[0], "error", err)
	}
}

func (n *Node) deliver(ctx context.Context, now time.Time, link engine.PartyID, frame []byte) error {
	switch frame[0] {
	case frameNote:
		return n.note(ctx, now, link, frame[1:])
	case frameVerdict:
		if len(frame) != 1+32+1 || frame[33] < byte(outbox.Taken) || frame[33] > byte(outbox.Refused) {
			return fmt.Errorf("decode verdict: %d bytes", len(frame))
		}
		n.Outbox.Settle(link, outbox.ID(frame[1:33]), outbox.Verdict(frame[33]))
		return nil
	case frameDecline:
		hash, reason, notYet, err := decodeDecline(frame[1:])
		if err != nil {
			return err
		}
		others := n.Sessions.Joined(hash)
		n.Sessions.Declined(ctx, now, link, hash, reason, notYet)
		if slices.Contains(others, link) { // else those who joined would wait for the end of their time
			for _, p := range others {
				if p != link {
					n.send(p, encodeDecline(hash, reason, notYet && n.wireNow(p) >= WireLogs))
				}
			}
		}
		return nil
	case frameChallenge:
		if len(frame) != 1+32+32 {
			return fmt.Errorf("decode challenge: %d bytes", len(frame))
		}
		return n.Keeper.TakeChallenge(ctx, now, link, [32]byte(frame[1:33]), [32]byte(frame[33:]))
	case frameLife:
		o, _ := n.peer(link)
		return n.Fence.Take(ctx, now, link, o.Identity, frame[1:])
	case frameCosign:
		o, _ := n.peer(link)
		status, _, answer := n.cosign(ctx, now, o.Identity, frame[1:])
		n.send(link, append([]byte{frameCosigned}, witness.EncodeAnswer(status, answer)...))
		return nil
	case frameCosigned:
		status, answer, err := witness.DecodeAnswer(frame[1:])
		if err != nil {
			return err
		}
		o, _ := n.peer(link)
		return n.Witness.Answer(ctx, o.Identity, status, answer)
	case frameAsk, frameAnswer, frameAskSet, frameSet, frameAskAll, frameAll:
		return n.emergency(ctx, now, link, frame)
	case frameVet, frameVet + 1, frameVet + 2, frameVet + 3, frameVetLast:
		return n.Vet.Take(ctx, now, link, vet.Frame(frame[0]-frameVet), frame[1:])
	case frameRest:
		return n.takeRest(now, link, frame[1:])
	case frameRests:
		return n.takeRests(link, frame[1:])
	case framePresent:
		return n.takePresent(link, frame[1:])
	case frameOther:
		return n.takeOther(ctx, now, frame[1:])
	case byte(mpc.SetupFrame):
		n.evidence(ctx, now, epoch.Evidence{Setup: frame})
	case byte(mpc.JoinFrame):
		n.evidence(ctx, now, epoch.Evidence{Join: frame})
	}
	err := n.Sessions.Deliver(ctx, now, link, frame)
	var behind *mpc.StandingError
	if errors.As(err, &behind) {
		n.help(behind.From, frame)
	}
	if errors.Is(err, session.ErrRefused) {
		n.decline(link, frame, err)
	}
	return err
}

// emergency takes a frame of SOS.
func (n *Node) emergency(ctx context.Context, now time.Time, link engine.PartyID, frame []byte) error {
	switch frame[0] {
	case frameAsk:
		return n.asked(ctx, now, link, frame[1:])
	case frameAnswer:
		note, err := outbox.Decode(frame[1:])
		if err != nil {
			return err
		}
		return n.Rescue.TakeAnswer(ctx, now, note)
	case frameAskAll:
		return n.askedAll(ctx, now, link, frame[1:])
	case frameAll:
		return n.Rescue.TakeAll(n.Name(link), frame[1:])
	case frameAskSet:
		return n.sendSet(ctx, now, link, frame[1:])
	case frameSet:
		p, err := ceremony.DecodeSetPart(frame[1:])
		if err != nil {
			return err
		}
		return n.Keeper.TakeSetPart(ctx, link, p)
	}
	return nil
}

// Session says whether a frame belongs to a session: such frames may be handled beside one
// another, all others in order.
func Session(frame []byte) bool { return len(frame) > 0 && frame[0] < frameNote }

// help sends the final certificate to a peer that lags behind.
func (n *Node) help(peer engine.PartyID, joinFrame []byte) {
	hash, _, err := mpc.JoinSetup(joinFrame)
	if err != nil {
		return
	}
	for _, s := range n.Sessions.Sessions() {
		if s.Setup != hash {
			continue
		}
		if note, ok := n.Keeper.FinalCert(s.Key); ok {
			n.send(peer, append([]byte{frameNote}, note.Encode()...))
		}
	}
}

// challenge asks all peers to prove their shares of a key.
func (n *Node) challenge(key, challenge [32]byte) {
	for _, p := range n.Peers() {
		n.send(p, append(append([]byte{frameChallenge}, key[:]...), challenge[:]...))
	}
}

const (
	fieldDeclineSetup transcript.Tag = iota + 1
	fieldDeclineReason
	fieldDeclineNotYet
)

// decline tells an opener why we take no part. The reason is for people.
func (n *Node) decline(link engine.PartyID, frame []byte, cause error) {
	s, err := mpc.OpenSetup(frame)
	if err != nil || s.Opener != link {
		return
	}
	n.send(link, encodeDecline(s.Hash(), cause.Error(), errors.Is(cause, session.ErrNotYet) && n.wireNow(link) >= WireLogs))
}

func encodeDecline(hash [32]byte, reason string, notYet bool) []byte {
	var e transcript.Encoder
	e.Bytes(fieldDeclineSetup, hash[:]).String(fieldDeclineReason, reason[:min(len(reason), 512)])
	if notYet {
		e.Uint(fieldDeclineNotYet, 1)
	}
	return append([]byte{frameDecline}, e.Sum()...)
}

func decodeDecline(b []byte) (hash [32]byte, reason string, notYet bool, err error) {
	d := transcript.NewDecoder(b)
	copy(hash[:], d.Fixed(fieldDeclineSetup, 32))
	reason = d.String(fieldDeclineReason, 512)
	if notYet = d.More(); notYet && d.Uint(fieldDeclineNotYet, 1) != 1 {
		d.Fail(fieldDeclineNotYet, errors.New("it is left out, or 1"))
	}
	if err := d.Done(); err != nil {
		return hash, "", false, fmt.Errorf("decode decline: %w", err)
	}
	return hash, reason, notYet, nil
}

// note takes a peer's note and answers it.
func (n *Node) note(ctx context.Context, now time.Time, link engine.PartyID, raw []byte) error {
	note, err := outbox.Decode(raw)
	if err != nil {
		return err
	}
	if n.guest(link) && !n.fromGuest(note.Kind) {
		if n.hasLeft() { // it was meant for a member: it need not be sent again
			id := note.ID()
			n.send(link, append(append([]byte{frameVerdict}, id[:]...), byte(outbox.Refused)))
		}
		return fmt.Errorf("note of kind %#x: %w", uint8(note.Kind), ErrGuest)
	}
	id := note.ID()
	n.Outbox.Settle(link, id, outbox.Taken) // who shows a note has it
	verdict, err := n.take(ctx, now, link, note)
	if note.Kind == decide.NotePast && verdict != outbox.Taken && verdict != outbox.Refused && n.Rescue != nil {
		n.Rescue.Missed(n.Name(link))
	}
	if errors.Is(err, errKnown) {
		err = nil
	}
	if verdict != 0 {
		n.send(link, append(append([]byte{frameVerdict}, id[:]...), byte(verdict)))
	}
	return err
}

var errKnown = errors.New("the note was taken before")

// take checks a note and makes it durable, with rows for all other peers, and passes it on.
// The verdict 0 means: no answer, the store is in trouble.
func (n *Node) take(ctx context.Context, now time.Time, from engine.PartyID, note outbox.Note) (outbox.Verdict, error) {
	known, err := n.Outbox.Has(ctx, note.ID())
	if err != nil {
		return 0, err
	}
	if known {
		return outbox.Taken, errKnown
	}
	to := n.listening(note.Kind, n.audience(note.Kind))
	to = slices.DeleteFunc(to, func(p engine.PartyID) bool { return p == from })
	wrote, unwritten := false, error(nil)
	write := func(e journal.Entry) error {
		if wrote {
			return errors.New("a note's entry is written once")
		}
		e.Add(n.Outbox.Rows(now, note, to))
		failpoint.Hit("note-before-take")
		if err := n.Journal.Write(ctx, e); err != nil {
			unwritten = err
			return err
		}
		failpoint.Hit("note-after-take")
		wrote = true
		n.Outbox.Post(now, note, to)
		return nil
	}
	if n.hasLeft() && (note.Kind == ceremony.NoteFinalCert || note.Kind == ceremony.NoteRescued) && !n.Keeper.Knows(note) {
		return outbox.Taken, nil // of a vault that was made since: its statement will never come
	}
	n.noteEvidence(ctx, now, note)
	err = n.route(ctx, now, note, write)
	n.cloned(ctx, now, err)
	if wrote && n.cfg.Wake != nil {
		n.cfg.Wake()
	}
	switch {
	case wrote && err != nil:
		// The note is taken; what followed from it is our own trouble.
		n.cfg.Log.Error("after taking a note", "kind", note.Kind, "error", err)
		return outbox.Taken, nil
	case err == nil, errors.Is(err, outbox.ErrOld):
		return outbox.Taken, nil
	case outbox.Noted(err, note.ID()):
		return outbox.Taken, errKnown
	case errors.Is(err, store.ErrConflict):
		return outbox.Later, err // something else changed meanwhile: look again
	case errors.Is(err, outbox.ErrLater):
		return outbox.Later, err
	case ctx.Err() != nil, store.Troubled(err), errors.Is(err, journal.ErrUnlogged), unwritten != nil && !errors.Is(unwritten, store.ErrInvalid):
		return 0, err // a refusal would make the sender let go of the note for good
	}
	return outbox.Refused, err
}

func (n *Node) route(ctx context.Context, now time.Time, note outbox.Note, write func(journal.Entry) error) error {
	switch k := note.Kind; {
	case ceremony.Takes(k):
		return n.Keeper.Take(ctx, now, note, write)
	case decide.Takes(k):
		return n.Desk.Take(ctx, now, note, write)
	case circle.Takes(k):
		return n.Circle.Take(ctx, now, note, write)
	case charters.Takes(k):
		return n.Charters.Take(ctx, now, note, write)
	case witness.Takes(k):
		return n.Witness.Take(ctx, now, note, write)
	case pulse.Takes(k):
		return n.Pulse.Take(ctx, now, note, write)
	case rescue.Takes(k):
		return n.Rescue.Take(ctx, now, note, write)
	case backup.Takes(k):
		return n.Backups.Take(ctx, now, note, write)
	case wallet.Takes(k):
		return n.Accounts.Take(ctx, now, note, write)
	}
	return fmt.Errorf("note of kind %#x is not known to this version", uint8(note.Kind))
}

// post makes an entry and a note of our own durable together, and sends the note.
func (n *Node) post(ctx context.Context, now time.Time, e journal.Entry, note outbox.Note) error {
	if err := n.Fence.Fenced(); err != nil {
		return err // nothing is said under our key
	}
	switch note.Kind {
	case ceremony.NoteFinal, ceremony.NoteChoice, decide.NoteDecision, charters.NoteEnact: // what is said once
		if err := cmp.Or(n.Fence.Settled(now), n.Journal.Sound()); err != nil {
			return err
		}
	}
	to := n.listening(note.Kind, n.audience(note.Kind))
	e.Add(n.Outbox.Rows(now, note, to))
	failpoint.Hit("note-before-post")
	if err := n.Journal.Write(ctx, e); err != nil {
		if outbox.Noted(err, note.ID()) {
			// A peer made the same note, a certificate for instance, and it came first: taking it
			// did what this entry would do.
			return nil
		}
		if errors.Is(err, store.ErrUnknown) {
			// Made again it would have other bytes, and both might come out: we would seem to
			// say two things. What is durable is read back after a restart.
			n.cfg.Fatal(fmt.Errorf("whether a statement of our own is durable is not known: %w", err))
		}
		return err
	}
	failpoint.Hit("note-after-post")
	n.Outbox.Post(now, note, to)
	failpoint.Hit("note-posted")
	return nil
}

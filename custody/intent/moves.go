package intent

import "time"

// A move is what a state does with an event: take it, or refuse it.
type move struct {
	name string // for the table in testdata and the spec page
	do   func(l *Life, e Event, now time.Time) error
}

func to(s State) move {
	return move{s.String(), func(l *Life, _ Event, _ time.Time) error { l.state = s; return nil }}
}

func no(name string, err error) move {
	return move{"no: " + name, func(*Life, Event, time.Time) error { return err }}
}

var (
	mAnswer   = move{"count", answer}
	mTakeBack = move{"take back", takeBack}
	mWeigh    = move{"weigh", weigh}
	mNote     = move{"note", note}
	mExpire   = move{"expire", expire}
	mStart    = move{"start", start}
	mSettle   = move{"settle", settle}
	mGoOn     = move{"go on", goOn}
	mSign     = move{"sign", sign}
	mOverride = move{"override", override}
	mConfirm  = move{"confirm", confirm}
	mFinish   = move{"finish", finish}
	mReorg    = move{"reorg", reorg}
	mReplace  = move{"replace", replace}
	mLapse    = move{"lapse", lapse}
	mStay     = move{"stay", func(*Life, Event, time.Time) error { return nil }}
	// mKnown stays when a signature is known: a reverted, lapsed or replaced transaction.
	mKnown = move{"stay if signed", func(l *Life, _ Event, _ time.Time) error {
		if l.hash == "" {
			return ErrUnsigned
		}
		return nil
	}}

	nClosed   = no("closed", ErrClosed)
	nBurned   = no("burned", ErrBurned)
	nExpired  = no("expired", ErrExpired)
	nLate     = no("too late", ErrTooLate)
	nAllow    = no("not allowed", ErrNotAllowed)
	nRuns     = no("session runs", ErrSessionRuns)
	nSession  = no("no session", ErrNoSession)
	nSigned   = no("signed", ErrAlreadySigned)
	nUnsigned = no("unsigned", ErrUnsigned)
	nBlock    = no("unconfirmed", ErrUnconfirmed)
	nPool     = no("not broadcast", ErrNotBroadcast)
	nInBlock  = no("in a block", ErrInBlock)

	bcast = to(Broadcast)
	seen  = to(Seen)
	drop  = to(Dropped)
)

// unsigned is the end of a row in which no signature is known.
func unsigned(first [9]move, replaced move) [numColumns]move {
	u := nUnsigned
	var row [numColumns]move
	copy(row[:], first[:])
	copy(row[9:], []move{u, u, u, u, u, u, replaced, u})
	return row
}

// onChain is a row in which the transaction is signed: it only moves on the chain.
func onChain(rest [8]move) [numColumns]move {
	var row [numColumns]move
	copy(row[:], []move{nClosed, nClosed, mNote, nLate, nLate, nSigned, nSession, nSession, mSign})
	copy(row[9:], rest[:])
	return row
}

// moves is the whole machine. First half of a row: approve, reject, decide, cancel,
// expire, start, fail, part, sign. Second half: broadcast, see, confirm, final, drop, reorg,
// replace, lapse.
var moves = [numStates][numColumns]move{
	Proposed:  unsigned([9]move{mAnswer, mAnswer, mWeigh, to(Cancelled), mExpire, nAllow, nSession, nSession, mSign}, mReplace),
	Approving: unsigned([9]move{mAnswer, mAnswer, mWeigh, to(Cancelled), mExpire, nAllow, nSession, nSession, mSign}, mReplace),
	Allowed:   unsigned([9]move{mAnswer, mTakeBack, mWeigh, to(Cancelled), mExpire, mStart, nSession, nSession, mSign}, mReplace),
	Signing:   unsigned([9]move{nClosed, nClosed, mNote, nLate, nLate, nRuns, mSettle, mGoOn, mSign}, nLate),

	Signed:    onChain([8]move{bcast, seen, mConfirm, nBlock, nPool, nBlock, mReplace, mLapse}),
	Broadcast: onChain([8]move{mStay, seen, mConfirm, nBlock, drop, nBlock, mReplace, mLapse}),
	Seen:      onChain([8]move{mStay, mStay, mConfirm, nBlock, drop, nBlock, mReplace, mLapse}),
	Confirmed: onChain([8]move{mStay, mStay, mConfirm, mFinish, nInBlock, mReorg, nInBlock, nInBlock}),
	Final:     onChain([8]move{mStay, mStay, mStay, mStay, nInBlock, mReorg, nInBlock, nInBlock}),
	Dropped:   onChain([8]move{bcast, seen, mConfirm, nBlock, mStay, nBlock, mReplace, mLapse}),
	Reorged:   onChain([8]move{bcast, seen, mConfirm, nBlock, drop, mStay, mReplace, mLapse}),

	Denied:    unsigned([9]move{nClosed, nClosed, mNote, nClosed, nClosed, nAllow, nSession, nSession, mOverride}, nClosed),
	Expired:   unsigned([9]move{nExpired, nExpired, mNote, nExpired, mStay, nExpired, nSession, nSession, mOverride}, nExpired),
	Cancelled: unsigned([9]move{nClosed, nClosed, mNote, mStay, nClosed, nAllow, nSession, nSession, mOverride}, nClosed),

	// Replaced and Failed may hold a signature or not.
	Replaced: {nClosed, nClosed, mNote, nClosed, nClosed, nClosed, nSession, nSession, mOverride,
		mKnown, mKnown, nInBlock, nInBlock, mKnown, mReorg, mReplace, mKnown},
	Failed: {nBurned, nBurned, mNote, nBurned, nBurned, nBurned, nSession, nSession, mOverride,
		mKnown, mKnown, mKnown, mKnown, mKnown, mReorg, mReplace, mKnown},
}

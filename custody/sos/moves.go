package sos

// A move is what a state does with an event: take it, or refuse it.
type move struct {
	name string // for the table in testdata and the spec page
	do   func(t *turn, e Event) error
}

func no(name string, err error) move {
	return move{"no: " + name, func(*turn, Event) error { return err }}
}

var (
	mCount    = move{"count", count}       // keep a support
	mObject   = move{"object", object}     // keep a veto; enough of them end it
	mRefute   = move{"refute", refute}     // keep a proof of life or a live signature; both end it
	mHeed     = move{"heed", heed}         // keep another node's last word
	mGift     = move{"gift", gift1}        // keep that another gave its part
	mTold     = move{"told", told}         // the notices went out
	mActivate = move{"activate", activate} // keep who contributes
	mTardy    = move{"tardy", tardy}       // all may have given for one that comes late
	mFollow   = move{"follow", follow}     // the key has new shares: lock-up will come, whatever was thought before
	mLapse    = move{"lapse", lapse}       // the epoch is another: what was backed up for it is void
	mYield    = move{"yield", yield}       // another emergency led its keys on: an unclosed lock-up is over
	mClose    = move{"close", closes}      // the new committee stands
	mFree     = move{"free", free}         // all operators release early
	mAgain    = move{"again", again}       // after a roll-back, the delay is counted anew
	mRelock   = move{"relock", relock}     // and so is the lock-up
	mGather   = move{"gather", gather}     // is it a declaration now?
	mContest  = move{"contest", contest}   // does the delay begin?
	mMature   = move{"mature", mature}     // is it over?
	mWindow   = move{"window", window}     // is the window over?
	mLock     = move{"lock", lock}         // is the lock-up over?
	mStay     = move{"stay", func(*turn, Event) error { return nil }}

	nOver  = no("over", ErrOver)
	nEarly = no("early", ErrEarly)
)

// moves is the whole machine. Columns: support, veto, alive, signed, step, released, told, activate, reshare, move, close, free,
// rollback, tick. NotReady is of the vault, never of a request.
var moves = [numStates][numColumns]move{
	NotReady: {nOver, nOver, nOver, nOver, nOver, nOver, nOver, nOver, nOver, mStay, nOver, nOver, mStay, mStay},
	Armed:    {mCount, mObject, mRefute, mRefute, mHeed, mGift, nEarly, nEarly, mFollow, mLapse, nEarly, nEarly, mStay, mGather},
	Declared: {mCount, mObject, mRefute, mRefute, mHeed, mGift, mTold, nEarly, mFollow, mLapse, nEarly, nEarly, mAgain, mContest},
	Contest:  {mCount, mObject, mRefute, mRefute, mHeed, mGift, mStay, nEarly, mFollow, mLapse, nEarly, nEarly, mAgain, mMature},
	Active:   {mCount, mObject, mRefute, mRefute, mHeed, mGift, mStay, mActivate, mFollow, mLapse, nEarly, nEarly, mAgain, mWindow},
	LockUp:   {nOver, mObject, mRefute, mRefute, mHeed, mGift, mStay, mTardy, mFollow, mYield, mClose, mFree, mRelock, mLock},
	Closed:   {nOver, nOver, nOver, nOver, mHeed, nOver, mStay, nOver, mFollow, mStay, mStay, mFree, mRelock, mStay},
	Vetoed:   {nOver, nOver, nOver, nOver, mHeed, mGift, mStay, mTardy, mFollow, mStay, nOver, nOver, mStay, mStay},
	Expired:  {nOver, nOver, nOver, nOver, mHeed, mGift, mStay, mTardy, mFollow, mStay, nOver, nOver, mStay, mStay},
}

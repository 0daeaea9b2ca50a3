package session

// IdleBefore is how long a pair has had no session when it is out of use.
const IdleBefore = idleBefore

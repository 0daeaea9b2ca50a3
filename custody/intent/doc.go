// Package intent asks for signatures and follows them: the intent that an initiator
// signs, the approvals and rejections over its bytes, each node's decision, and the
// state machine of an intent's life (spec/statements 5 and 6).
//
// All is pure: time, facts and what happened on the chain are arguments. A node checks
// every approval itself (VerifyVote), rules by itself (Decide), publishes its own
// Decision, and moves its own copy of the Life by what it saw. The circle's view
// follows: an intent is allowed when t operators allow it, denied when so many deny it
// that t cannot be reached.
package intent

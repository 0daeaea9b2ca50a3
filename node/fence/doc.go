// Package fence keeps a node that was restored from an older copy, or that runs twice, from
// signing (protocols.md 1.5 step 8; spec/node 8).
//
// Every process draws an instance id and raises the start counter, durably, before it answers
// anything. It tells every peer its *life*: both, with the size and root of its log, signed by
// the identity key. Peers keep the highest life of each node. Who is shown a life of its own
// that its store cannot have come to is an older copy, or not the only one: it drops all
// sessions, burns all pairs and signs nothing until its operator has spoken. Nothing but a
// signature by our own key can make us believe it.
//
// Locks: act is held by whoever changes anything; it is taken before every other lock of the
// node, and never under one. What others ask (Fenced, Wary) reads an atomic pointer or takes
// mu, under which nothing is called.
package fence

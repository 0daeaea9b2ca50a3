// Package vet asks other operators' nodes for evidence of the machines that they run on, where the charter demands it, judges it, and answers when
// others ask (spec/node 13). Nobody's verdict counts but one's own: each node asks each other itself, with a nonce of its own.
//
// A record of what was found is durable, with a leaf in the log, before it counts. It counts for one process of the peer, under one demand, and for so
// long as the charter says.
//
// Locks: mu guards everything and is a leaf: nothing is asked, sent, made or written under it but for rows of this room. Making evidence takes
// seconds: it is done one at a time, beside the frames.
package vet

// Package etcd keeps a node's records in an etcd cluster, so that several replicas of one operator's node can stand ready over the
// same records (spec/store.md 7). It is a client alone: members run elsewhere (cmd/ostraka-store, or any cluster of etcd 3.6 or later).
//
// One replica at a time is the *owner*: it holds a lease, and the key `…/owner` under it. The create revision of that key is the
// *fencing token*. Every batch is one transaction that holds only while the key still has that revision: a replica that was paused,
// cut off or thought dead writes nothing once another has taken over, whatever it believes itself.
//
// What it adds to etcd (spec/store.md 7.4):
//   - An answer that was lost is found out. Each batch goes through one of a few *lanes*, keys of their own. Its transaction holds only
//     while the lane is as the last batch left it, and moves the lane on: so it can be written once at most, however often it arrives,
//     and the lane tells afterwards whether it was.
//   - A member that does not answer costs one short try. Each member has a connection of its own, and whoever fails is asked last.
//   - What a member answers is held against what it was asked (answers.go): who is broken is passed over. A lie that is well formed is
//     believed, as a disk is (spec/replicas.md 6).
//   - Frames (spec/store.md 3): a damaged value shows when it is read.
//   - Room is kept for deny, freeze and veto before etcd's quota ends all writing.
//
// The client library's own retries are switched off (dial): this room alone decides what is sent again, and why that is safe.
package etcd

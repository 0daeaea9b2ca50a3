// Package replica lets several processes of one operator's node stand over one shared store: one, the *owner*, works;
// the others stand by, and pass on whoever comes to their ports (spec/replicas).
//
// It knows bytes and addresses. Who owns the node is decided by the store (node/store/etcd); what an owner does is the
// daemon's (package node).
package replica

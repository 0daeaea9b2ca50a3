// Package client is how people talk to nodes: it asks every node of a circle, and compares
// what they answer. No node is believed alone (product.md, trust rule 1).
//
// A Context names a circle's nodes, each with its address and its pinned Ed25519 identity
// (spec/people 2). Dial makes a Circle of it; Ask calls all nodes at once and keeps each
// answer and each error beside the node's name. What nodes must agree on is compared byte for
// byte, and what a person can derive, such as an address from the key's record, is derived
// here: a difference is a *Difference that names the nodes. A node that is down is named and
// stops nothing.
//
// Operator is the other side: the local socket of one's own node.
package client

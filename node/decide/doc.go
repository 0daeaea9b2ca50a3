// Package decide is a node's desk: it takes proposals, votes and other nodes' decisions,
// decodes every transaction itself, rules on it by itself, publishes its own signed ALLOW or
// DENY, and says which signing sessions this node opens or joins (product.md, trust rules 1
// and 3). Nothing another node says is believed but its own decision.
//
// Locks. Desk.mu guards the table of files. Each file has its own lock, so intents do not
// wait for one another. Code that holds a file's lock never calls the session host, which
// calls the desk under its sessions' locks.
package decide

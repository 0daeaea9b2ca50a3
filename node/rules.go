package node

import (
	"fmt"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// policy reads the rules of a version of the charter.
func (n *Node) policy(id statement.ID) (*policy.Policy, error) {
	x, ok := n.Charters.Version(id)
	if !ok {
		return nil, fmt.Errorf("charter %s is not in force here", id.Short())
	}
	return policy.Of(x.Document)
}

// book is what a version of the charter names of EVM chains.
func (n *Node) book(id statement.ID) (*evm.Allowed, error) {
	x, ok := n.Charters.Version(id)
	if !ok {
		return nil, fmt.Errorf("charter %s is not in force here", id.Short())
	}
	return policy.BookOf(x.Document)
}

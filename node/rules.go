package node

import (
	"fmt"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// policy reads the rules of a version of the charter.
func (n *Node) policy(id statement.ID) (*policy.Policy, error) {
	x, err := n.version(id)
	if err != nil {
		return nil, err
	}
	return policy.Of(x.Document)
}

// book is what a version of the charter says of chains.
func (n *Node) book(id statement.ID) (*policy.Book, error) {
	x, err := n.version(id)
	if err != nil {
		return nil, err
	}
	return policy.BookOf(x.Document)
}

// version is one that is or was in force here.
func (n *Node) version(id statement.ID) (charter.Charter, error) {
	x, ok := n.Charters.Version(id)
	if !ok {
		return x, fmt.Errorf("charter %s is not in force here", id.Short())
	}
	return x, nil
}

// Package circle is how operators come together on one node: invitations, the roster that
// every operator's officer signs and that becomes charter version 0, and the vault
// statements that every operator of a committee signs (product.md; spec/circle).
//
// Before there is a charter, a node is pinned to whom it invited or who invited it;
// afterwards to the operators of the roster, and to nobody else.
//
// Circle.mu guards everything here. Rooms that are called under it never call back.
package circle

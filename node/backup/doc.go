// Package backup cuts what an operator keeps outside its node, opens it again, and keeps who said to have cut what (spec/backups).
//
// An export is a snapshot of the store without pair states and whatever else may serve once alone, and what opens it: the identity key and the
// data key. It leaves the node encrypted with age, and nothing of it is ever in plain on a disk (product.md, rule 6; protocols.md 5.2, 5.3).
//
// Locks: Book's mu guards its maps; nothing is called under it but the journal.
package backup

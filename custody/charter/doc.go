// Package charter gives meaning to the statements that set a circle up: the roster
// (charter version 0), the vaults and their accounts, the choice of a vault's key, and
// the hello by which a person shows who they are.
//
// A roster or vault counts when one officer of every operator concerned has signed the
// same bytes: Accepted collects those signatures. Because a statement's time and salt
// are part of its bytes, the first operator makes the statement and the others sign
// that one: on each node "vault create -f FILE" reads the operator's own file with
// ReadVault, looks for a pending statement of that name, and either signs it (SameAs
// finds no difference) or refuses, naming the field that differs. Lists stand in
// ascending order, so that two people who write them in another order agree.
package charter

// Package charter gives meaning to the statements that set a circle up: the roster, the
// charter with its versions, vetoes, revocations and freezes, the vaults and their accounts, the choice of a vault's key, and
// the hello by which a person shows who they are.
//
// A roster or vault counts when one officer of every operator concerned has signed the
// same bytes: Accepted collects those signatures. Because a statement's time and salt
// are part of its bytes, the first operator makes the statement and the others sign
// that one: each node makes what its own operator means, from the roster's members, the
// charter's folder or the charter in force, looks for a pending statement that says the
// same, and either signs it or refuses, naming the field that differs. Lists stand in
// ascending order, so that two people who write them in another order agree.
package charter

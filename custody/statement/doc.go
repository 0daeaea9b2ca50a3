// Package statement is the canonical text form of all that people sign and of what
// nodes decide (spec/statements).
//
// A statement is text that a person can read and exactly one byte string: line 1 is
// "ostraka/1 <kind>", then "name: value" lines in the kind's order, last the salt. Its
// id is SHA-256 of its bytes; the salt makes the id hide what it names. A parsed
// statement keeps the bytes it was parsed from and is never encoded again.
//
// What each kind holds is one table, schema.go; spec/statements.md is checked against
// it. What the values mean together is said by the rooms that own them: charter and
// intent.
package statement

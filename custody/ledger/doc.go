// Package ledger counts what a vault gave out, for limits over windows of time (spec/policy 4).
//
// One node's ledger, of what that node decided: a debit is made before an ALLOW leaves, so whatever may have been signed counts: signed,
// in flight, and of unknown outcome. It is released only when the node knows that no signature can exist. Amounts are whole numbers in
// the asset's policy unit; a sum that does not fit is an error, never a smaller sum.
package ledger

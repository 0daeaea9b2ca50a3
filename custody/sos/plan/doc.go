// Package plan is a vault's SOS plan: who may be called on, how many of them, for which reasons, after how long, and what may
// be done then (spec/sos 1, 2). It is data and arithmetic. What happens when is custody/sos's.
//
// Words: an operator that is lost is a *subject* of a request. t operators sign. r live operators and k of m guardians act for the
// subjects in a guarded reshare; fewer of either can do nothing, and table.go computes just that.
package plan

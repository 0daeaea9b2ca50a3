// Package policy rules on what a transaction does, by the charter's own rules (spec/policy).
//
// Rules are Cedar: default deny, and a forbid overrides every permit. The node supplies the Facts; nothing of them comes from the
// intent's words. Every Effect of a transaction, its fee included, is asked about by itself, and all must be permitted.
//
// Cedar skips a rule that errs, so a forbid that overflows would allow: here any error in its diagnostics is a denial. Read refuses
// rules that name a fact, person, group, label, asset, chain or operation which is not declared, by Cedar's own type checker over a
// schema made from the charter's Vocabulary.
package policy

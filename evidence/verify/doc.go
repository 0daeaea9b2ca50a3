// Package verify checks what a circle's nodes publish, as an outsider who trusts none of them (product.md: transparency).
//
// It is given logs, as they are published (spec/log 8), of as many operators as there are, from wherever they were fetched. It
// reads each whole, checks every leaf to the root that the log signed and others cosigned, every statement to its id, and every
// signature once, however many logs tell of it. From the statements it follows by itself who belongs to the circle and by which charter, which
// keys the vaults have and who holds their shares, what was asked, decided and signed. Then it holds the logs to one another: what one
// shows and another lacks, denies or shows otherwise is a finding. What cannot be checked is given its class, and never more.
//
// It is pure: the clock is an argument, files come by a function, so that the same code runs in a command and in a browser.
package verify

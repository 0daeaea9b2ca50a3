package coins

import "github.com/ostraka/ostraka/chain/bitcoin/block"

// Steady makes the book's network one whose target stays, with work that a test can do.
func (b *Book) Steady() { b.rule = block.Rule{Limit: 0x207fffff, Steady: true} }

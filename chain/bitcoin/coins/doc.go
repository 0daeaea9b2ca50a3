// Package coins chooses which coins of a vault a transaction of Bitcoin spends, and builds what chain/bitcoin decodes: payments with change, consolidations,
// sweeps in batches, and children that pay for their parents (spec/chain-bitcoin 8). It decides nothing: nodes decode what it made like anybody's.
//
// The same coins and numbers give the same bytes. Where coins are drawn, the seed is an argument.
package coins

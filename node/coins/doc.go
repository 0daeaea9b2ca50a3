// Package coins keeps the book of what a vault's addresses hold on one of Bitcoin's chains: coins, what spent them, and a history (spec/coins).
//
// It reads every block from a height on, through this node's own endpoints, and asks nothing else of them: no wallet, no index of transactions or addresses; pruned nodes
// serve, as long as they have the blocks that are not read yet. Coins of scripts that are watched later than their block was read are not found; Rescan finds them.
//
// Everything stands in rows of the store, and can be read again from the chain at any time. The row of the tip alone says how far the book goes: what lies above it is what a crash or a
// reorganisation left, and goes before anything else is done. A block that does not follow the last one undoes up to 288 blocks.
//
// What the book says is what the endpoints say, as far as work stands behind it: a block is taken whole, with a target that its network allows after the one before. It decides
// nothing: a node asks its endpoints for each coin again before it signs (spec/chain-bitcoin 7).
package coins

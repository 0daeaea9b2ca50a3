// Package block reads Bitcoin's blocks as bytes: the header with its proof of work, and the transactions that its Merkle root names (spec/coins 1).
//
// What Parse returns is whole: every transaction without its witnesses is what the header commits to, none is left out or stands twice. Witnesses are held to their form and
// their weight alone, since no id covers them here; whoever reads a block for what it pays and spends needs none of them.
//
// A header that meets its own target is cheap where the target is easy. Which targets a network takes, and which may follow one another, is Rules; which chain has the most
// work is for endpoints to say.
package block

// Package bitcoin decodes, digests and assembles Bitcoin transactions: what every node does by itself before it signs (trust
// rule 3). It has no network.
//
// The unsigned form is a packet of BIP 174 (with BIP 371), which other wallets read. Decode takes it and the vault: whose keys the inputs, and the outputs that claim to be
// change, are derived from again. Every input is the vault's, by P2WPKH or by Taproot's key; what a packet says of others, of itself or besides is refused by name. A digest exists only
// in a decoded Transaction, and Decode encodes again and compares: what was shown is what is signed.
//
// Beside that: addresses, BIP 322's digest of a signed statement, the recovery leaf of a vault's Taproot outputs and its spending, replacements by a higher fee,
// descriptors for watching, packets to and from other wallets. Which coins are spent is chosen in chain/bitcoin/coins. Formats and rules are spec/chain-bitcoin.
//
// Networks are named by CAIP-2: "bip122:" and the first 32 digits of the genesis block's hash. No digest names one: a node finds each coin on its own endpoint of the chain.
package bitcoin

// Package payload reads what an intent asks to be signed, as every node does, and every program that shows it to people: by the charter that the intent names, and by the keys
// of its vault. Nothing of it comes from the intent's own words. What is not understood in full is an error, and nobody signs it.
//
// Each chain's room (chain/evm, chain/bitcoin) decodes; this one gives all of them one face.
package payload

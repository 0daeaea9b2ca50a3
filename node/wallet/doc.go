// Package wallet keeps what a vault's keys are used for on chains: accounts and the
// addresses given out below them, and the life of signed transactions: broadcast, receipt,
// confirmations (product.md: propose, approve, sign).
package wallet

//go:build !nightly

package ceremony

// Consecutive epochs of one key.
const frostEpochs, ecdsaEpochs = 100, 20

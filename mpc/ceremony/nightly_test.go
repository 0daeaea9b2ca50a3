//go:build nightly

package ceremony

// Consecutive epochs of one key.
const frostEpochs, ecdsaEpochs = 600, 150

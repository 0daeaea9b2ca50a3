// Package storetest is the suite that every driver of node/store passes: races,
// conditions, atomicity, order, bounds, unknown outcomes, reopening, kill −9 and bit
// rot. A driver's test calls Run, and Child first in its TestMain.
package storetest

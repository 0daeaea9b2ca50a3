package node

import (
	"context"
	"io"
	"path/filepath"

	"github.com/ostraka/ostraka/node/seal"
)

// Slots are the ways in which a folder's data key opens, as its key file says.
func Slots(dir string) ([]seal.Slot, error) { return seal.Slots(filepath.Join(dir, keyFileName)) }

// Rekey changes them. The folder's node may run meanwhile: it has the data key, which stays, and reads the key file at its start alone.
func Rekey(ctx context.Context, dir string, old seal.Opener, c seal.Change, renewed seal.Opener, rand io.Reader) (opened string, slots []seal.Slot, err error) {
	if _, err := ReadSettings(dir); err != nil {
		return "", nil, err
	}
	return seal.RekeyFile(ctx, filepath.Join(dir, keyFileName), fileLabel(), old, c, renewed, rand)
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of the first release (spec/log 13).
const (
	kindOldLeaf = "log-leaf" // log-leaf/<number>: the leaf
	kindOldHash = "log-hash" // log-hash/<index>: a node of the tree
)

// ErrOldForm says that the log lies in the store as the first release kept it.
var ErrOldForm = errors.New("the log is kept in the form of an older release: `ostraka node run` brings it into today's, once")

// Convert brings a log that the first release kept into today's form. Leaves, hashes and head stay what they are, so that whoever knew the log
// knows it still. Rows go in order, and each in one batch with those that it replaces: interrupted, it goes on where it was. It says how many rows it moved.
func Convert(ctx context.Context, s store.Store) (moved int64, err error) {
	for prefix := store.Prefix(kindOldLeaf); ; {
		items, err := s.Range(ctx, prefix, "", convertRows)
		if err != nil {
			return moved, fmt.Errorf("convert the log: %w", err)
		}
		if len(items) == 0 {
			return moved, nil
		}
		b, err := converted(ctx, s, items)
		if err == nil {
			_, err = s.Commit(ctx, b)
		}
		if err != nil {
			return moved, fmt.Errorf("convert the log: %w", err)
		}
		moved += int64(len(items))
	}
}

// convertRows are moved in one batch: a row put, and one deleted for the leaf and each of the hashes that it completes, which are two on average
// and so many more than that at most.
const convertRows = (store.MaxWrites - maxHashes) / 4

// converted moves leaves that follow one another.
func converted(ctx context.Context, s store.Store, items []store.Item) (b store.Batch, err error) {
	first := int64(-1)
	for i, it := range items {
		n, err := strconv.ParseUint(strings.TrimPrefix(it.Key, store.Prefix(kindOldLeaf)), 16, 48)
		if first < 0 {
			first = int64(n)
		}
		if err != nil || int64(n) != first+int64(i) {
			return b, fmt.Errorf("row %q follows %d others from %d on: %w", it.Key, i, first, errors.Join(err, errNoRow))
		}
		r := row{leaf: it.Value}
		b.Delete = append(b.Delete, it.Key)
		for x := tlog.StoredHashes(int64(n)); x < tlog.StoredHashes(int64(n)+1); x++ {
			h, err := s.Get(ctx, store.Key(kindOldHash, store.Number(uint64(x))))
			if err != nil || len(h.Value) != tlog.HashSize {
				return b, fmt.Errorf("hash %d, %d bytes: %w", x, len(h.Value), errors.Join(err, errNoRow))
			}
			r.hashes = append(r.hashes, tlog.Hash(h.Value))
			b.Delete = append(b.Delete, h.Key)
		}
		b.Put = append(b.Put, store.Entry{Key: leafKey(int64(n)), Value: r.encode()})
	}
	return b, nil
}

var errNoRow = errors.New("a row of the log is missing or damaged: keep the folder as it is, and put an intact copy of the store back")

// oldForm says whether rows of the first release are left.
func oldForm(ctx context.Context, s store.Store) error {
	items, err := s.Range(ctx, store.Prefix(kindOldLeaf), "", 1)
	if err == nil && len(items) > 0 {
		err = ErrOldForm
	}
	return err
}

package tagged

import (
	"context"
	"fmt"

	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/store"
)

// Survey reads a store through below its tags, and says how many rows carry this node's and how many do not. Each row is shown to see, if that is given.
func Survey(ctx context.Context, under store.Reader, mac MAC, see func(it store.Item, tagged bool) error) (with, without int64, err error) {
	err = each(ctx, under, func(page []store.Item) error {
		for _, it := range page {
			ok, err := holds(mac, it)
			switch {
			case err != nil:
				return err
			case ok:
				with++
			default:
				without++
			}
			if see == nil {
				continue
			}
			if err := see(it, ok); err != nil {
				return err
			}
		}
		return nil
	})
	return with, without, err
}

// Tag puts this node's tag on every row that lacks it, but the one named last. Rows are believed as they are: whoever calls it says that nobody tampered
// with them. Interrupted, it goes on where it was. It says how many rows it tagged.
func Tag(ctx context.Context, under store.Store, mac MAC, last string) (moved int64, err error) {
	var b store.Batch
	size := 0
	flush := func() error {
		if len(b.Put) == 0 {
			return nil
		}
		failpoint.Hit("tag-before-batch")
		if _, err := under.Commit(ctx, b); err != nil {
			return fmt.Errorf("tag the rows of the store: %w", err)
		}
		failpoint.Hit("tag-after-batch")
		moved += int64(len(b.Put))
		b, size = store.Batch{}, 0
		return nil
	}
	err = each(ctx, under, func(page []store.Item) error {
		for _, it := range page {
			ok, err := holds(mac, it)
			if err != nil {
				return err
			}
			if ok || it.Key == last {
				continue
			}
			value, err := seal(mac, it.Key, it.Value)
			if err != nil {
				return err
			}
			room := 2*len(it.Key) + len(it.Value) + Size
			if len(b.Put) == store.MaxWrites || size+room > store.MaxBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			size += room
			b.If, b.Put = append(b.If, store.Unchanged(it)), append(b.Put, store.Entry{Key: it.Key, Value: value})
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return moved, err
}

// pageOf is how many rows are read at a time: each may be large.
const pageOf = 64

func each(ctx context.Context, under store.Reader, do func([]store.Item) error) error {
	for after := ""; ; {
		page, err := under.Range(ctx, "", after, pageOf)
		if err != nil {
			return err
		}
		if err := do(page); err != nil {
			return err
		}
		if len(page) < pageOf {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// A Mark says that no node may run over a store: it is being filled, or the node moved elsewhere. Two stores of one node in use are a clone.
type Mark struct {
	State string    `json:"state"` // Filling, Filled or Left
	Of    string    `json:"of"`    // the node's identity, hex
	Where string    `json:"where"` // the data folder that is concerned, and its machine
	At    time.Time `json:"at"`
}

// States of a Mark.
const (
	Filling = "filling" // records are copied into it
	Filled  = "filled"  // they were, and were compared: the node's settings are to name it next
	Left    = "left"    // the node's records were copied out of it
)

func (m Mark) form() error {
	if m.State != Filling && m.State != Filled && m.State != Left {
		return fmt.Errorf("state %.20q", m.State)
	}
	return nil
}

// Marked reads the store's mark; nil: it has none.
func (c *Cluster) Marked(ctx context.Context) (*Mark, error) {
	m, _, _, err := row[Mark](ctx, c, rowMark)
	return m, err
}

// Mark marks the store, or takes the mark away (nil), while this tenure lasts.
func (t *Tenure) Mark(ctx context.Context, m *Mark) error {
	op := dropOp(t.c.key(rowMark))
	if m != nil {
		raw, err := json.Marshal(m)
		if err != nil {
			return err
		}
		op = putOp(t.c.key(rowMark), raw, 0)
	}
	r, err := anyone(ctx, &t.c.links, func(ctx context.Context, k *link) (*pb.TxnResponse, error) {
		return k.txn(ctx, &pb.TxnRequest{
			Compare: []*pb.Compare{created(t.c.key(rowOwner), int64(t.token))},
			Success: []*pb.RequestOp{op}, Failure: []*pb.RequestOp{getOp(t.c.key(rowOwner), true)},
		})
	})
	if err != nil {
		return fmt.Errorf("mark the store: %w", err)
	}
	if !r.Succeeded {
		return t.store.fenced(r)
	}
	return nil
}

package client

import (
	"context"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/statement"
)

// HandIn hands every node a statement that nobody signs since it proves itself: an operator's proof of life (spec/sos 4.5). Whoever carries
// it needs no key.
func (c *Circle) HandIn(ctx context.Context, s statement.Statement) Answers[Taken] {
	return c.Submit(ctx, &v1.SubmitRequest{What: &v1.SubmitRequest_Signed{Signed: &v1.Signed{Statement: s.Bytes()}}})
}

package client

import (
	"bytes"
	"context"
	"slices"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Vote signs the intent's own bytes and hands the vote to every node.
func (c *Circle) Vote(ctx context.Context, s statement.Statement, verb signet.Verb) (Answers[Taken], error) {
	if c.signer == nil {
		return nil, ErrNoKey
	}
	sig, err := c.signer.Sign(ctx, verb, s.Bytes())
	if err != nil {
		return nil, err
	}
	return c.HandVote(ctx, s, verb, sig), nil
}

// HandVote hands a vote that was signed elsewhere to every node: by a wallet, or on a passkey's page.
func (c *Circle) HandVote(ctx context.Context, s statement.Statement, verb signet.Verb, sig []byte) Answers[Taken] {
	id := s.ID()
	answers := c.Submit(ctx, &v1.SubmitRequest{What: &v1.SubmitRequest_Vote{Vote: &v1.Vote{Intent: id[:], Verb: string(verb), Signature: sig}}})
	// A node to which another was faster to pass the vote on refuses it as a repetition.
	for i, a := range answers {
		if a.Err != nil && Classify(a.Err) == Refused && c.counts(ctx, c.Members[i], id, verb, sig) {
			answers[i] = Answer[Taken]{Node: a.Node, Value: Taken{Known: true}}
		}
	}
	return answers
}

// counts says whether a node counts this very vote.
func (c *Circle) counts(ctx context.Context, m *Member, id statement.ID, verb signet.Verb, sig []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := m.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
	if err != nil || res.Msg.Intent == nil {
		return false
	}
	return slices.ContainsFunc(res.Msg.Intent.Votes, func(b *v1.Ballot) bool {
		return b.Verb == string(verb) && bytes.Equal(bytes.TrimSpace(b.Signature), bytes.TrimSpace(sig))
	})
}

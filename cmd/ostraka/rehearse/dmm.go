package rehearse

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/ssh"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var dmm = Story{
	Name:     "dmm",
	Incident: "May 2024, 4,502.9 bitcoin, about 305 million dollars: a session cookie stolen at the wallet's vendor let thieves alter a legitimate request on its way",
	tell:     tellDMM,
}

func tellDMM(ctx context.Context, t *tale) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	s, err := t.altered(ctx)
	if err != nil {
		return err
	}
	if err := t.session(ctx, s); err != nil {
		return err
	}
	return t.signed(ctx, "the request as alice signed it; bob and carol approve it", s, bob, carol)
}

// altered: alice's request pays another when it arrives. It gives her own, which the nodes have then.
func (t *tale) altered(ctx context.Context) (s statement.Statement, err error) {
	if s, err = t.transfer(ctx, payee, milliether(100), 0); err != nil {
		return s, err
	}
	sig, err := t.sign(ctx, alice, signet.Makes(statement.Intent), s)
	if err != nil {
		return s, err
	}
	t.nonce-- // the same request but for who is paid
	other, err := t.transfer(ctx, thief, milliether(100), 0)
	if err != nil {
		return s, err
	}
	answers, err := t.hand(ctx, other, sig)
	if err != nil {
		return s, err
	}
	t.refusedBy("alice's request arrives with another payee, under her signature", answers, intent.ErrOtherBytes)
	unknown, err := t.unknown(ctx, other.ID())
	if err != nil {
		return s, err
	}
	t.step(Step{What: "the altered request at the nodes", Outcome: map[bool]string{true: "none of them keeps it", false: "a node keeps it"}[unknown], Held: unknown})
	if answers, err = t.hand(ctx, s, sig); err == nil {
		_, err = answers.Need("propose", len(t.circle.Operators))
	}
	return s, err
}

// session: the token of bob's session is stolen. It reads, and that is all.
func (t *tale) session(ctx context.Context, s statement.Statement) error {
	c, err := t.as(bob)
	if err != nil {
		return err
	}
	if _, _, err := c.Vaults(ctx); err != nil { // bob's program logs in
		return err
	}
	own, err := t.newSigner()
	if err != nil {
		return err
	}
	vote, err := own.Sign(ctx, signet.Approve, s.Bytes())
	if err != nil {
		return err
	}
	loot, err := t.transfer(ctx, thief, milliether(100), 0)
	if err != nil {
		return err
	}
	ask, err := own.Sign(ctx, signet.Makes(statement.Intent), loot.Bytes())
	if err != nil {
		return err
	}
	id := s.ID()
	var reads int
	var votes, asks client.Answers[client.Taken]
	for _, o := range t.circle.Operators {
		token := client.Cache{Dir: filepath.Join(t.circle.Dir, "tokens")}.Get(o.Identity, c.Signer().Key(), time.Now())
		if token == "" {
			return fmt.Errorf("bob has no token at %s", o.Name)
		}
		robbed := withToken(o, token)
		if _, err := robbed.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]})); err == nil {
			reads++
		}
		_, err := robbed.Submit(ctx, connect.NewRequest(&v1.SubmitRequest{What: &v1.SubmitRequest_Vote{Vote: &v1.Vote{Intent: id[:], Verb: string(signet.Approve), Signature: vote}}}))
		votes = append(votes, client.Answer[client.Taken]{Node: o.Name, Err: err})
		_, err = robbed.Submit(ctx, connect.NewRequest(&v1.SubmitRequest{What: &v1.SubmitRequest_Signed{Signed: &v1.Signed{Statement: loot.Bytes(), Signature: ask}}}))
		asks = append(asks, client.Answer[client.Taken]{Node: o.Name, Err: err})
	}
	t.step(Step{What: "a thief reads with the token of bob's session", Outcome: fmt.Sprintf("%d of %d nodes answer: a token is for reading", reads, len(t.circle.Operators)), Held: reads == len(t.circle.Operators)})
	t.refusedBy("the thief approves with bob's token and a key of their own", votes, intent.ErrStranger)
	t.refusedBy("the thief asks for money with bob's token", asks, intent.ErrNoInitiator)
	return nil
}

// withToken talks to a node as whoever stole a token does, with a browser that pins nothing.
func withToken(o *local.Operator, token string) ostrakav1connect.PeopleClient {
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, DisableKeepAlives: true}} //nolint:gosec // a thief's
	bearer := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	})
	return ostrakav1connect.NewPeopleClient(h, "https://"+o.People, connect.WithInterceptors(bearer))
}

// newSigner is a key that nobody knows.
func (t *tale) newSigner() (*client.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	return client.NewSigner(s)
}

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Member is a chain's client of one endpoint.
type Member interface {
	Endpoint() string // scheme and host
}

// Health is how an endpoint stands: which chain it serves, and how far it is.
type Health struct {
	Chain  string // CAIP-2: "eip155:1"
	Height uint64
	At     time.Time // of the latest block
}

// A Panel is a node's endpoints of one chain. What it answers is what they agree on: where two differ, nothing is signed, whichever of them is right; and of
// several, more than half must answer, so that one which lies is never left alone with the node. One endpoint's word is its own.
type Panel[M Member] struct{ members []M }

// MaxPanel bounds the endpoints of one chain.
const MaxPanel = 8

// NewPanel makes a panel of endpoints of different hosts; dial makes the client of one.
func NewPanel[M Member](urls []string, o Options, dial func(string, Options) (M, error)) (p Panel[M], err error) {
	if len(urls) == 0 || len(urls) > MaxPanel {
		return p, fmt.Errorf("%d endpoints, want 1 to %d", len(urls), MaxPanel)
	}
	if len(urls) > 1 && o.Short == 0 {
		o.Short = DefaultShort
	}
	var members []M
	for _, u := range urls {
		c, err := dial(u, o)
		if err != nil {
			return p, err
		}
		if slices.ContainsFunc(members, func(m M) bool { return m.Endpoint() == c.Endpoint() }) {
			return p, fmt.Errorf("endpoint %s stands twice: two names of one host are one word", c.Endpoint())
		}
		members = append(members, c)
	}
	return Panel[M]{members}, nil
}

// Members are the endpoints, in their order.
func (p *Panel[M]) Members() []M { return slices.Clone(p.members) }

// String names the endpoints, without credentials.
func (p *Panel[M]) String() string {
	var names []string
	for _, m := range p.members {
		names = append(names, m.Endpoint())
	}
	return strings.Join(names, ", ")
}

// GoString returns what String returns.
func (p *Panel[M]) GoString() string { return p.String() }

// Need is how many must answer: more than half.
func (p *Panel[M]) Need() int { return len(p.members)/2 + 1 }

// Any puts questions to one endpoint after another until one answers: what is asked so is advice to people, and every node checks what comes of it. A refusal is an answer.
func (p *Panel[M]) Any(ctx context.Context, q func(context.Context, M) error) (err error) {
	for _, m := range p.members {
		if err = q(ctx, m); Environment(err) == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Said is one endpoint's answer.
type Said[M Member, T any] struct {
	By    M
	Value T
}

// all puts a question to all endpoints at once.
func all[M Member, T any](ctx context.Context, p *Panel[M], q func(context.Context, M) (T, error)) ([]T, []error) {
	values, errs := make([]T, len(p.members)), make([]error, len(p.members))
	var wg sync.WaitGroup
	for i, m := range p.members {
		wg.Go(func() { values[i], errs[i] = q(ctx, m) })
	}
	wg.Wait()
	return values, errs
}

// Ask puts a question to all endpoints at once. It gives the answers of those that answered, if they are enough; an endpoint's refusal is an answer of its own kind, and as
// good as none here.
func Ask[M Member, T any](ctx context.Context, p *Panel[M], what string, q func(context.Context, M) (T, error)) ([]Said[M, T], error) {
	values, errs := all(ctx, p, q)
	var out []Said[M, T]
	for i, m := range p.members {
		if errs[i] == nil {
			out = append(out, Said[M, T]{m, values[i]})
		}
	}
	if len(out) >= p.Need() {
		return out, nil
	}
	if len(p.members) == 1 {
		return nil, errs[0]
	}
	silent := silences(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
	return nil, fmt.Errorf("%s: %d of %d endpoints answer, and %d must: %w", what, len(out), len(p.members), p.Need(), silent)
}

// silences are what endpoints did that gave no answer, in one line: people read it as the reason for which an intent waits.
type silences []error

func (s silences) Error() string {
	var texts []string
	for _, err := range s {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (s silences) Unwrap() []error { return s }

// Agreed is what all answers are, in words. There is one at least.
func Agreed[M Member, T any](all []Said[M, T], what string, words func(T) string) (T, error) {
	for _, x := range all[1:] {
		if a, b := words(all[0].Value), words(x.Value); a != b {
			var none T
			return none, &DisagreementError{What: what, A: all[0].By.Endpoint(), SaysA: a, B: x.By.Endpoint(), SaysB: b}
		}
	}
	return all[0].Value, nil
}

// verdict is how an endpoint finds a transaction: nil, its Mismatches, or what it waits for.
type verdict struct{ err error }

// Judge asks all endpoints for a verdict, and gives the one that they agree on.
func Judge[M Member](ctx context.Context, p *Panel[M], what string, check func(context.Context, M) error) error {
	all, err := Ask(ctx, p, what, func(ctx context.Context, m M) (verdict, error) {
		err := check(ctx, m)
		var mismatch *Mismatch
		var waiting Waiting
		if err == nil || errors.As(err, &mismatch) || errors.As(err, &waiting) {
			return verdict{err}, nil
		}
		return verdict{}, err
	})
	if err != nil {
		return err
	}
	v, err := Agreed(all, what, verdict.class)
	if err != nil {
		return err
	}
	return v.err
}

// class is what verdicts are compared by: endpoints that are a block apart name other numbers for the same reason.
func (v verdict) class() string {
	var waiting Waiting
	switch {
	case v.err == nil:
		return "that all is well"
	case errors.As(v.err, &waiting):
		return waiting.Waits()
	}
	return "that it does not fit: " + strings.Join(Fields(v.err), ", ")
}

// Fields are what mismatches are about, each once.
func Fields(err error) (out []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, Fields(e)...)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if m := (*Mismatch)(nil); errors.As(err, &m) {
		out = append(out, string(m.Field))
	}
	return out
}

// Known says whether some endpoint that answers says yes, and whether all do, each of the panel's.
func Known[M Member](ctx context.Context, p *Panel[M], what string, knows func(context.Context, M) (bool, error)) (some, every bool, err error) {
	all, err := Ask(ctx, p, what, knows)
	if err != nil {
		return false, false, err
	}
	n := 0
	for _, x := range all {
		if x.Value {
			n++
		}
	}
	return n > 0, n == len(p.members), nil
}

// Send gives a signed transaction to all endpoints, and returns its hash. It is sent if one of them took it: what they refuse or do not answer is given back only if none did, of each by its name.
// It is Rejected only if all refuse it: a refusal by some and silence by others is an unknown outcome.
func Send[M Member, H any](ctx context.Context, p *Panel[M], send func(context.Context, M) (H, error)) (hash H, err error) {
	hashes, errs := all(ctx, p, send)
	for i, err := range errs {
		if err == nil {
			return hashes[i], nil
		}
	}
	if len(errs) == 1 {
		return hash, errs[0]
	}
	var told silences
	unknown := false
	for i, err := range errs {
		told = append(told, fmt.Errorf("%s: %w", p.members[i].Endpoint(), err))
		unknown = unknown || !isRejected(err)
	}
	if !unknown {
		return hash, told
	}
	for i, err := range told {
		if isRejected(err) { // its words are for people, and nobody is to take it for the outcome
			told[i] = errors.New(err.Error())
		}
	}
	return hash, told
}

func isRejected(err error) bool {
	rejected := (*Rejected)(nil)
	return errors.As(err, &rejected)
}

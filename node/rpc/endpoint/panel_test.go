package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// A member says what its URL is.
type member string

func (m member) Endpoint() string { return string(m) }

func panel(t *testing.T, says ...string) *endpoint.Panel[member] {
	t.Helper()
	var urls []string
	for i, s := range says {
		urls = append(urls, fmt.Sprintf("%d:%s", i, s))
	}
	p, err := endpoint.NewPanel(urls, endpoint.Options{}, func(url string, _ endpoint.Options) (member, error) { return member(url), nil })
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// A later is another verdict that time changes.
type later struct{}

func (later) Error() string { return "later" }
func (later) Waits() string { return "that it comes later" }

// Verdicts of different classes never make one: above all, two that wait for different things do not agree.
func TestJudge(t *testing.T) {
	verdicts := map[string]error{
		"well": nil, "behind": &endpoint.Behind{Height: 2, Head: 1}, "far behind": &endpoint.Behind{Height: 9, Head: 1}, "later": later{},
		"a": &endpoint.Mismatch{Field: "a"}, "a and b": errors.Join(&endpoint.Mismatch{Field: "b"}, &endpoint.Mismatch{Field: "a"}),
		"b and a": errors.Join(&endpoint.Mismatch{Field: "a"}, &endpoint.Mismatch{Field: "b"}, &endpoint.Mismatch{Field: "a"}),
		"refusal": &endpoint.CallError{Message: "no"}, "silence": &endpoint.EndpointError{Err: errors.New("nothing")},
	}
	for _, c := range []struct {
		says string // of each, divided by commas
		want string // "" for all is well
		of   any    // the error's type
	}{
		{"well", "", nil}, {"well,well,silence", "", nil}, {"well,silence", "1 of 2 endpoints answer", nil}, {"well,refusal", "1 of 2 endpoints answer", nil},
		{"silence,well,refusal", "1 of 3 endpoints answer, and 2 must: call  at : nothing; ; call  at : refused", new(*endpoint.CallError)}, // in one line, for people
		{"refusal", "refused", new(*endpoint.CallError)}, {"behind,far behind", "awaits block 2", new(*endpoint.Behind)}, {"later,later", "later", new(later)},
		{"behind,later", "that it comes later", new(*endpoint.DisagreementError)}, {"well,behind", "that it is not there yet", new(*endpoint.DisagreementError)},
		{"a,a", "a: expected", new(*endpoint.Mismatch)}, {"a and b,b and a", "a: expected", new(*endpoint.Mismatch)},
		{"a,a and b", "that it does not fit: a, b", new(*endpoint.DisagreementError)}, {"well,well,a", "that it does not fit: a", new(*endpoint.DisagreementError)},
	} {
		p := panel(t, strings.Split(c.says, ",")...)
		err := endpoint.Judge(t.Context(), p, "it", func(_ context.Context, m member) error {
			_, says, _ := strings.Cut(string(m), ":")
			return verdicts[says]
		})
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)), c.of != nil && !errors.As(err, c.of):
			t.Errorf("%s: %v, want %q of %T", c.says, err, c.want, c.of)
		}
	}
}

// How many must answer is more than half.
func TestNeed(t *testing.T) {
	for n, want := range []int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4, 8: 5} {
		if n > 0 && panel(t, make([]string, n)...).Need() != want {
			t.Errorf("of %d, %d must answer; want %d", n, panel(t, make([]string, n)...).Need(), want)
		}
	}
}

// What none takes is told of each by its name; it is refused only if all refuse it.
func TestSendTellsOfEach(t *testing.T) {
	refused := &endpoint.Rejected{Hash: "0xab", Err: &endpoint.CallError{Message: "too little"}}
	kept := errors.New("it may have landed")
	for _, c := range []struct {
		says     []error
		rejected bool
		want     string // empty: it is sent
	}{
		{[]error{nil, refused}, false, ""}, {[]error{refused, kept, nil}, false, ""},
		{[]error{refused}, true, "broadcast 0xab: call  at : refused with code 0: too little"},
		{[]error{refused, refused}, true, "0:: broadcast 0xab: call  at : refused with code 0: too little; 1:: broadcast 0xab: call  at : refused with code 0: too little"},
		{[]error{refused, kept}, false, "0:: broadcast 0xab: call  at : refused with code 0: too little; 1:: it may have landed"},
	} {
		p := panel(t, make([]string, len(c.says))...)
		_, err := endpoint.Send(t.Context(), p, func(_ context.Context, m member) (int, error) { return 0, c.says[m[0]-'0'] })
		rejected := (*endpoint.Rejected)(nil)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("%v: %v, want %q", c.says, err, c.want)
		case errors.As(err, &rejected) != c.rejected:
			t.Errorf("%v: refused %t", c.says, !c.rejected)
		case c.want != "" && errors.Is(err, kept) != (len(c.says) == 2 && !c.rejected):
			t.Errorf("%v: what it was is lost: %v", c.says, err)
		}
	}
}

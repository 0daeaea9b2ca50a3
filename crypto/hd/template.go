package hd

import (
	"fmt"
	"strconv"
	"strings"
)

// A Template says which paths below a root are used: for each step a range of numbers. A path matches it if it has as many
// steps, each in its range.
type Template []Span

// A Span is the steps from Low to High, both included.
type Span struct{ Low, High uint32 }

// ParseTemplate parses "m" and up to 8 steps such as "m/0/*/0-1/*": each is a number, a range, or * for 0 to MaxStep. Every template has
// one form: a range of one number is written as a number, the whole range as *. A hardened step is ErrHardened.
func ParseTemplate(s string) (Template, error) {
	head, rest, more := strings.Cut(s, "/")
	if head != "m" {
		return nil, fmt.Errorf("path template %.80q does not begin with m", s)
	}
	var t Template
	for more {
		var step string
		step, rest, more = strings.Cut(rest, "/")
		if len(t) == MaxDepth {
			return nil, fmt.Errorf("path template %.80q has more than %d steps", s, MaxDepth)
		}
		span, err := parseSpan(step)
		if err != nil {
			return nil, fmt.Errorf("path template %.80q, step %d: %w", s, len(t)+1, err)
		}
		t = append(t, span)
	}
	return t, nil
}

func parseSpan(s string) (Span, error) {
	if s == "*" {
		return Span{0, MaxStep}, nil
	}
	low, high, isRange := strings.Cut(s, "-")
	from, err := parseStep(low)
	if err != nil {
		return Span{}, err
	}
	if !isRange {
		return Span{from, from}, nil
	}
	to, err := parseStep(high)
	if err != nil {
		return Span{}, err
	}
	switch span := (Span{from, to}); {
	case from > to:
		return Span{}, fmt.Errorf("range %s is empty", s)
	case span.String() != s:
		return Span{}, fmt.Errorf("range %s is written %s", s, span)
	default:
		return span, nil
	}
}

// Match says which step of a path the template does not allow; nil if it allows all.
func (t Template) Match(p Path) error {
	if len(p) != len(t) {
		return fmt.Errorf("derivation path %v has %d steps, template %v has %d", p, len(p), t, len(t))
	}
	for i, step := range p {
		if step < t[i].Low || step > t[i].High {
			return fmt.Errorf("derivation path %v, step %d: %d is outside %v of template %v", p, i+1, step, t[i], t)
		}
	}
	return nil
}

// String is the template as ParseTemplate takes it.
func (t Template) String() string {
	var b strings.Builder
	b.WriteByte('m')
	for _, span := range t {
		b.WriteByte('/')
		b.WriteString(span.String())
	}
	return b.String()
}

// String is the step of a template.
func (s Span) String() string {
	switch {
	case s.Low == 0 && s.High == MaxStep:
		return "*"
	case s.Low == s.High:
		return strconv.FormatUint(uint64(s.Low), 10)
	default:
		return fmt.Sprintf("%d-%d", s.Low, s.High)
	}
}

package hd

import (
	"errors"
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	for s, c := range map[string]struct {
		match []Path
		not   map[string]Path // the reason, and the path
	}{
		"m": {[]Path{nil, {}}, map[string]Path{"has 1 steps, template m has 0": {0}}},
		"m/0/*/0-1/*": {
			[]Path{{0, 0, 0, 0}, {0, 7, 1, MaxStep}, {0, MaxStep, 0, 3}},
			map[string]Path{
				"step 1: 1 is outside 0":            {1, 7, 1, 5},
				"step 3: 2 is outside 0-1":          {0, 7, 2, 5},
				"step 4: 2147483648 is outside *":   {0, 7, 1, 1 << 31},
				"has 3 steps, template m/0/*/0-1/*": {0, 7, 1},
				"has 5 steps, template m/0/*/0-1/*": {0, 7, 1, 5, 0},
				"has 0 steps":                       nil,
			},
		},
		"m/5-2147483647": {[]Path{{5}, {6}, {MaxStep}}, map[string]Path{"4 is outside 5-2147483647": {4}}},
		"m/2147483647":   {[]Path{{MaxStep}}, map[string]Path{"0 is outside 2147483647": {0}}},
		"m/0/1/2/3/4/5-6/7/*": {[]Path{{0, 1, 2, 3, 4, 6, 7, 8}}, map[string]Path{
			"step 6: 7 is outside 5-6": {0, 1, 2, 3, 4, 7, 7, 8},
		}},
	} {
		template, err := ParseTemplate(s)
		if err != nil || template.String() != s {
			t.Errorf("%s: %v, %v", s, template, err)
			continue
		}
		for _, p := range c.match {
			if err := template.Match(p); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		for want, p := range c.not {
			if err := template.Match(p); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s matches %v: %v, want %s", s, p, err, want)
			}
		}
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	for s, want := range map[string]string{
		"": "does not begin with m", "M/0": "does not begin with m", "0/1": "does not begin with m", "m/": "not a number",
		"m//0": "step 1", "m/0/": "step 2", "m/**": "not a number", "m/*-1": "not a number", "m/0-*": "not a number", "m/-": "not a number",
		"m/-1": "not a number", "m/1-": "not a number", "m/1-2-3": "not a number", "m/00-1": "not a number", "m/0 - 1": "not a number",
		"m/2-1": "range 2-1 is empty", "m/3-3": "is written 3", "m/0-2147483647": "is written *", "m/x": "not a number",
		"m/1/2/3/4/5/6/7/8/9": "more than 8 steps", "m/0,1": "not a number",
	} {
		p, err := ParseTemplate(s)
		if p != nil || err == nil || errors.Is(err, ErrHardened) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", s, p, err, want)
		}
	}
	for _, s := range []string{"m/0'", "m/0h", "m/0-1'", "m/0'-1", "m/2147483648", "m/0-2147483648", "m/0/44H/*"} {
		if p, err := ParseTemplate(s); p != nil || !errors.Is(err, ErrHardened) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"m", "m/0/*/0-1/*", "m/3-3", "m/0-2147483647", "m/0'", "m/1/2/3/4/5/6/7/8/9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		template, err := ParseTemplate(s)
		if err != nil {
			return
		}
		if template.String() != s || len(template) > MaxDepth {
			t.Fatalf("%q became %q", s, template)
		}
		var low, high Path
		for _, span := range template {
			if span.Low > span.High || span.High > MaxStep {
				t.Fatalf("%q has the range %v", s, span)
			}
			low, high = append(low, span.Low), append(high, span.High)
		}
		if template.Match(low) != nil || template.Match(high) != nil {
			t.Fatalf("%q does not match its own ends", s)
		}
	})
}

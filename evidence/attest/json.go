package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxJSON  = 16 << 10 // bytes
	maxDepth = 8        // of objects and lists
)

// An object is a JSON object that all readers see alike: no name stands twice in it, nor in two spellings of upper and lower case, at any
// depth. Else one reader could see the account that was signed for, and another the one that stands behind it.
type object map[string]any

// readObject reads one JSON object and nothing else.
func readObject(b []byte) (object, error) {
	switch {
	case len(b) > maxJSON:
		return nil, fmt.Errorf("JSON of %d bytes, at most %d are read", len(b), maxJSON)
	case !utf8.Valid(b), !json.Valid(b):
		return nil, errors.New("it is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("it is no JSON object")
	}
	return o, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested deeper than %d", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o, spelt := object{}, map[string]bool{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			n, _ := name.(string)
			if !printable(n) {
				return nil, fmt.Errorf("JSON has the name %q", n)
			}
			if folded := strings.ToLower(n); spelt[folded] {
				return nil, fmt.Errorf("JSON has the name %q twice: readers would differ", n)
			} else {
				spelt[folded] = true
			}
			if o[n], err = readValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

// printable says that a text is 1 to 512 visible ASCII characters and spaces: it will be shown, and compared.
func printable(s string) bool {
	if s == "" || len(s) > 512 {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// texts reads fields that must be there, as printable texts.
func (o object) texts(into map[string]*string) error {
	for name, to := range into {
		s, ok := o[name].(string)
		if !ok || !printable(s) {
			return fmt.Errorf("%s is missing, or no plain text", name)
		}
		*to = s
	}
	return nil
}

// optional reads a text that may be empty, null or missing.
func (o object) optional(name string) (string, error) {
	switch v := o[name].(type) {
	case nil:
		return "", nil
	case string:
		if v == "" || printable(v) {
			return v, nil
		}
	}
	return "", fmt.Errorf("%s is no plain text", name)
}

// number reads a whole number that must be there and is not negative.
func (o object) number(name string) (int64, error) {
	n, ok := o[name].(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s is missing, or no number", name)
	}
	v, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%s is %q, no whole number", name, n)
	}
	return v, nil
}

func (o object) object(name string) (object, error) {
	v, ok := o[name].(object)
	if !ok {
		return nil, fmt.Errorf("%s is missing, or no object", name)
	}
	return v, nil
}

package node

import (
	"encoding/json"
	"slices"
	"testing"
)

// One endpoint of a chain is a text in node.json, as releases before wrote it; several are a list.
func TestURLs(t *testing.T) {
	for text, want := range map[string]URLs{`"https://a"`: {"https://a"}, `["https://a","https://b"]`: {"https://a", "https://b"}} {
		var u URLs
		if err := json.Unmarshal([]byte(text), &u); err != nil || !slices.Equal(u, want) {
			t.Errorf("%s: %v, %v", text, u, err)
		}
		if b, err := json.Marshal(u); err != nil || string(b) != text {
			t.Errorf("%v is written as %s, %v", u, b, err)
		}
	}
	for _, text := range []string{`7`, `{"a":"b"}`, `["a",7]`} {
		if err := json.Unmarshal([]byte(text), new(URLs)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

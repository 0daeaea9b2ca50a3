package node

import (
	"encoding/json"
	"errors"
)

// URLs are a chain's endpoints, each of a host of its own. In node.json one stands as a text, several as a list.
type URLs []string

// UnmarshalJSON takes either form.
func (u *URLs) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*u = URLs{one}
		return nil
	}
	if err := json.Unmarshal(b, (*[]string)(u)); err != nil {
		return errors.New("want a URL, or a list of URLs")
	}
	return nil
}

// MarshalJSON writes one as a text, as releases before read it.
func (u URLs) MarshalJSON() ([]byte, error) {
	if len(u) == 1 {
		return json.Marshal(u[0])
	}
	return json.Marshal([]string(u))
}

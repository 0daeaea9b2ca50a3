package backup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/ostraka/ostraka/custody/backup"
)

// Recipients reads age1… lines, of age's own or of a plugin, whose program the node runs as its own user. Those whom a quantum computer would
// not keep out alone are taken, unless classical is said: a copy lies about for years, and whoever took it may wait.
func Recipients(lines []string, classical bool) (out []age.Recipient, err error) {
	if len(lines) == 0 || len(lines) > backup.MaxRecipients {
		return nil, fmt.Errorf("there are %d recipients, 1 to %d are allowed", len(lines), backup.MaxRecipients)
	}
	for i, line := range lines {
		if strings.HasPrefix(strings.ToUpper(line), "AGE-SECRET-KEY-") || strings.HasPrefix(strings.ToUpper(line), "AGE-PLUGIN-") {
			return nil, fmt.Errorf("recipient %d is a private key: give the age1… line that belongs to it", i+1)
		}
		if slices.Contains(lines[:i], line) {
			return nil, fmt.Errorf("recipient %.80q is given twice", line)
		}
		r, err := recipient(line)
		if err != nil {
			return nil, fmt.Errorf("recipient %.80q: %w", line, err)
		}
		if !classical {
			r = lasting{r, line}
		}
		out = append(out, r)
	}
	return out, nil
}

func recipient(line string) (age.Recipient, error) {
	if own, err := age.ParseRecipients(strings.NewReader(line)); err == nil && len(own) == 1 {
		return own[0], nil
	}
	// The node has no terminal: a plugin that must ask something cannot be used here.
	silent := errors.New("the plugin asks for something, and a node has nobody to ask")
	return plugin.NewRecipient(line, &plugin.ClientUI{
		DisplayMessage: func(string, string) error { return nil },
		RequestValue:   func(string, string, bool) (string, error) { return "", silent },
		Confirm:        func(string, string, string, string) (bool, error) { return false, silent },
		WaitTimer:      func(string) {},
	})
}

// lasting takes a recipient only if it says of itself that it is post-quantum.
type lasting struct {
	age.Recipient
	line string
}

func (l lasting) WrapWithLabels(key []byte) ([]*age.Stanza, []string, error) {
	r, ok := l.Recipient.(age.RecipientWithLabels)
	if ok {
		stanzas, labels, err := r.WrapWithLabels(key)
		if err != nil || slices.Contains(labels, "postquantum") {
			return stanzas, labels, err
		}
	}
	return nil, nil, &ClassicalError{l.line}
}

// A ClassicalError says that a quantum computer could open what is encrypted to a recipient.
type ClassicalError struct{ Recipient string }

func (e *ClassicalError) Error() string {
	return fmt.Sprintf("recipient %.80s is not post-quantum: make one with `age-keygen -pq` (age1pq1…), or give --classical", e.Recipient)
}

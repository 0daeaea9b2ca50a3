package published

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A Memory is what somebody who watches remembers: which circle it is, and the last checkpoint of each log, as the log signed it. A log that is
// shown later must have grown from it.
type Memory struct {
	Circle      statement.ID
	Checkpoints map[string][]byte // by origin
}

const (
	memoryVersion = 1
	maxMemory     = 8 << 20 // bytes of the file
	maxRemembered = 256     // logs
)

type memoryForm struct {
	Version     int               `json:"version"`
	Circle      string            `json:"circle"`
	Checkpoints map[string]string `json:"checkpoints"`
}

// LoadMemory reads a memory; a file that is not there remembers nothing.
func LoadMemory(path string) (Memory, error) {
	m := Memory{Checkpoints: map[string][]byte{}}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return m, fmt.Errorf("read what was seen: %w", err)
	}
	if m, err = DecodeMemory(raw); err != nil {
		return m, fmt.Errorf("read what was seen: %s: %w; without the file, whatever is shown next is taken as the beginning", path, err)
	}
	return m, nil
}

// DecodeMemory reads what Encode wrote, strictly.
func DecodeMemory(raw []byte) (Memory, error) {
	m := Memory{Checkpoints: map[string][]byte{}}
	var f memoryForm
	if err := client.DecodeFile(raw, maxMemory, &f); err != nil {
		return m, err
	}
	if f.Version != memoryVersion {
		return m, fmt.Errorf("version %d is not known here, %d is", f.Version, memoryVersion)
	}
	id, err := statement.ParseID(f.Circle)
	if err != nil {
		return m, fmt.Errorf("circle: %w", err)
	}
	m.Circle = id
	for origin, signed := range f.Checkpoints {
		if (tlog.Request{Checkpoint: []byte(signed)}).Origin() != origin {
			return m, fmt.Errorf("the checkpoint of log %.120q is another's", origin)
		}
		m.Checkpoints[origin] = []byte(signed)
	}
	return m, nil
}

// Encode is the file's content.
func (m Memory) Encode() ([]byte, error) {
	f := memoryForm{memoryVersion, m.Circle.String(), map[string]string{}}
	for origin, signed := range m.Checkpoints {
		f.Checkpoints[origin] = string(signed)
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	return append(raw, '\n'), err
}

// Save replaces the file at once.
func (m Memory) Save(path string) error {
	raw, err := m.Encode()
	if err == nil {
		err = client.WritePrivate(path, raw)
	}
	if err != nil {
		return fmt.Errorf("write what was seen: %w", err)
	}
	return nil
}

// Seen are the checkpoints, as the verifier takes them.
func (m Memory) Seen() (out [][]byte) {
	for _, origin := range slices.Sorted(maps.Keys(m.Checkpoints)) {
		out = append(out, m.Checkpoints[origin])
	}
	return out
}

// Forget takes a log out, so that it need not be shown any more. It gives how many entries the log had when it was seen last, and whether it was remembered.
func (m Memory) Forget(origin string) (rest Memory, entries int64, was bool) {
	signed, was := m.Checkpoints[origin]
	if !was {
		return m, 0, false
	}
	if head, ok := shown(signed); ok {
		entries = head.Size
	}
	rest = Memory{m.Circle, maps.Clone(m.Checkpoints)}
	delete(rest.Checkpoints, origin)
	return rest, entries, true
}

// Learn remembers the logs of a report that grew from what was remembered. Of an operator of whom anything fails the old checkpoint stays, so that the
// failure does.
func (m Memory) Learn(r *verify.Report) Memory {
	out := Memory{m.Circle, maps.Clone(m.Checkpoints)}
	if out.Circle.IsZero() {
		out.Circle = r.CircleID
	}
	if r.CircleID != out.Circle {
		return m
	}
	for _, l := range r.Logs {
		wrong := slices.ContainsFunc(r.Claims, func(c verify.Claim) bool { return c.Failed != "" && c.Subject == "operator "+l.Operator })
		if !wrong && (len(out.Checkpoints) < maxRemembered || out.Checkpoints[l.Origin] != nil) {
			out.Checkpoints[l.Origin] = []byte(l.Signed)
		}
	}
	return out
}

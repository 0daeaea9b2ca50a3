package rehearse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
)

// One step that did not hold, and the story does not; nor does one without steps.
func TestHeld(t *testing.T) {
	for name, c := range map[string]struct {
		steps []Step
		want  bool
	}{"none": {nil, false}, "all": {[]Step{{Held: true}, {Held: true}}, true}, "but one": {[]Step{{Held: true}, {}, {Held: true}}, false}} {
		heard := 0
		story := Story{Name: name, tell: func(_ context.Context, t *tale) error {
			for _, s := range c.steps {
				t.step(s)
			}
			return nil
		}}
		r, err := NewStage("", "", "").Tell(t.Context(), story, Listener{Step: func(Step) { heard++ }})
		if err != nil || r.Held != c.want || len(r.Steps) != len(c.steps) || heard != len(c.steps) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	broken := errors.New("no room")
	if _, err := NewStage("", "", "").Tell(t.Context(), Story{tell: func(context.Context, *tale) error { return broken }}, Listener{}); !errors.Is(err, broken) {
		t.Errorf("trouble is told as %v", err)
	}
	// What was not refused may keep the story from going on: it does not hold, and is told.
	r, err := NewStage("", "", "").Tell(t.Context(), Story{tell: func(_ context.Context, t *tale) error { t.step(Step{}); return broken }}, Listener{Step: func(Step) {}})
	if err != nil || r.Held || len(r.Steps) != 2 || r.Steps[1].Outcome != broken.Error() {
		t.Errorf("%+v, %v", r, err)
	}
}

// A refusal counts if every node said it, and for the reason.
func TestRefused(t *testing.T) {
	said := func(why error) client.Answer[client.Taken] {
		return client.Answer[client.Taken]{Node: "acme", Err: wire(t, why)}
	}
	for name, c := range map[string]struct {
		answers client.Answers[client.Taken]
		want    bool
	}{
		"all":           {client.Answers[client.Taken]{said(intent.ErrExpired), said(intent.ErrExpired)}, true},
		"one took it":   {client.Answers[client.Taken]{said(intent.ErrExpired), {Node: "bolt"}}, false},
		"another says":  {client.Answers[client.Taken]{said(intent.ErrExpired), said(intent.ErrStranger)}, false},
		"one is away":   {client.Answers[client.Taken]{said(intent.ErrExpired), {Node: "bolt", Err: intent.ErrExpired}}, false},
		"nobody at all": {nil, false},
	} {
		if x := refused(name, c.answers, intent.ErrExpired); x.Held != c.want || (x.Rule != "") != c.want {
			t.Errorf("%s: %+v", name, x)
		}
	}
}

// wire is an error as a node answers it.
func wire(t *testing.T, why error) error {
	t.Helper()
	err := connect.NewWireError(connect.CodePermissionDenied, why)
	if !connect.IsWireError(err) {
		t.Fatal("it is no node's answer")
	}
	return err
}

// The scan finds a share in every form that it looks for, whatever stands beside it.
func TestScan(t *testing.T) {
	share := make([]byte, 32)
	for i := range share {
		share[i] = byte(7*i + 3)
	}
	forms := writings(share)
	dir := t.TempDir()
	if found, _, err := scan(dir, forms); err != nil || len(found) > 0 {
		t.Errorf("in an empty folder: %v, %v", found, err)
	}
	for name, text := range forms {
		if err := os.WriteFile(filepath.Join(dir, "x"), []byte("k: "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, n, err := scan(dir, forms); err != nil || !slices.Contains(found, name) || n != len(text)+4 {
			t.Errorf("%s: found %v, %d bytes, %v", name, found, n, err)
		}
	}
	other := writings(append([]byte{1}, share[1:]...))
	if found, _, err := scan(dir, map[string]string{"raw": other["raw"], "hex": other["hex"]}); err != nil || len(found) > 0 {
		t.Errorf("another share: %v, %v", found, err)
	}
}

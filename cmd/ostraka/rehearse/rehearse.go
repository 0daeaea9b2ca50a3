package rehearse

import (
	"context"
	"fmt"
	"slices"
)

// A Story is one incident.
type Story struct {
	Name     string
	Incident string // when, who, how much, and why; one line
	// Alters says that the story leaves a circle that no other can go on with.
	Alters bool

	tell func(context.Context, *tale) error
}

// All are the stories of this program, in the order of the incidents.
func All() []Story {
	return []Story{quadriga, stakehound, ronin, harmony, primetrust, multichain, dmm, wazirx, bybit, drift, emergency}
}

// Emergency is the story of SOS.
func Emergency() Story { return emergency }

// Find finds a story by its name.
func Find(name string) (Story, bool) {
	all := All()
	i := slices.IndexFunc(all, func(s Story) bool { return s.Name == name })
	if i < 0 {
		return Story{}, false
	}
	return all[i], true
}

// A Step is one thing that was tried.
type Step struct {
	What    string `json:"what"`
	Outcome string `json:"outcome"` // what happened
	Rule    string `json:"rule"`    // that decided, as the program named it; empty where nothing was refused
	Held    bool   `json:"held"`    // whether it is what must happen
}

// A Report is a story that was told.
type Report struct {
	Name     string `json:"name"`
	Incident string `json:"incident"`
	Steps    []Step `json:"steps"`
	Held     bool   `json:"held"`            // every step did
	Shown    string `json:"shown,omitempty"` // what all of it shows, in a sentence or two without the last point; if it held
}

// A Listener hears of a story as it goes on.
type Listener struct {
	Step func(Step)
	Busy func(what string) // what takes its time now
}

// tale is one story being told.
type tale struct {
	*Stage
	to     Listener
	report Report

	heldBy             []string // operators that hold the vault, once it is not the first ones
	request, charterID string   // of an emergency: the request, and the charter that guardians were told
}

// Tell tells a story. An error means that it could not be told to its end, which says nothing of whether it would hold.
func (s *Stage) Tell(ctx context.Context, story Story, to Listener) (Report, error) {
	t := &tale{Stage: s, to: to, report: Report{Name: story.Name, Incident: story.Incident, Steps: []Step{}}}
	err := story.tell(ctx, t)
	failed := slices.ContainsFunc(t.report.Steps, func(s Step) bool { return !s.Held })
	if story.Alters || failed || err != nil {
		s.leave()
	}
	switch {
	case err != nil && failed && ctx.Err() == nil: // what should have been refused is in the way
		t.step(Step{What: "the story goes on", Outcome: shorten(err.Error())})
	case err != nil:
		return t.report, fmt.Errorf("rehearse %s: after %d steps: %w", story.Name, len(t.report.Steps), err)
	}
	if t.report.Held = len(t.report.Steps) > 0 && !failed; !t.report.Held {
		t.report.Shown = ""
	}
	return t.report, nil
}

// step ends a step.
func (t *tale) step(x Step) {
	t.report.Steps = append(t.report.Steps, x)
	t.to.Step(x)
}

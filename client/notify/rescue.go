package notify

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A Rescue is what nodes show of a vault's SOS. Nobody needs a token for it.
type Rescue struct {
	Vault, VaultID string
	Drill          bool
	Missing        map[string][]Lack // by node that shows the vault
	Requests       []RescueRequest
}

// A Lack is what a vault is missing, in a node's words.
type Lack struct {
	What string `json:"what"`
	Do   string `json:"do"`
	Late bool   `json:"drill"` // a drill is overdue
}

// A RescueRequest is a request, and how far each node has it.
type RescueRequest struct {
	ID, Trigger, Reason, Role, By string
	Subjects                      []string
	Says                          map[string]string // by node: its state
}

// KnownRescue is what was told of a vault's SOS.
type KnownRescue struct {
	Unready bool                `json:"unready"`          // people were told that it is not ready
	Drills  string              `json:"drills,omitempty"` // mark of the overdue drills that were told
	Steps   map[string][]string `json:"steps,omitempty"`  // by request: states
}

type readyData struct {
	Vault   string   `json:"vault"`
	VaultID string   `json:"vault_id"`
	Drill   bool     `json:"drill"`
	Missing []Lack   `json:"missing"`
	Nodes   []string `json:"nodes"` // that say so
}

func (d readyData) title() string {
	var whats []string
	for _, m := range d.Missing {
		whats = append(whats, m.What)
	}
	return strings.TrimSuffix(d.Vault+": "+strings.Join(whats, "; "), ": ")
}

type stepData struct {
	Vault    string   `json:"vault"`
	VaultID  string   `json:"vault_id"`
	Drill    bool     `json:"drill"`
	Request  string   `json:"request"`
	State    string   `json:"state"`
	Trigger  string   `json:"trigger"`
	Subjects []string `json:"subjects"`
	Reason   string   `json:"reason"`
	Role     string   `json:"role"`
	By       string   `json:"by"`
	Nodes    []string `json:"nodes"` // that say so
}

// Bounds of what nodes can have told of one vault.
const (
	maxLacks    = 40
	maxRequests = 64
)

// open are the states of a request that goes on: at the first look they are told too.
var open = []string{"armed", "declared", "contest", "active", "lock-up"}

func (l *look) rescues() {
	for _, r := range l.shown.Rescues {
		k := l.known.SOS[r.VaultID]
		k.Steps = maps.Clone(k.Steps)
		l.readiness(r, &k)
		l.steps(r, &k)
		if l.known.SOS == nil {
			l.known.SOS = map[string]KnownRescue{}
		}
		l.known.SOS[r.VaultID] = k
	}
}

// readiness tells when most nodes come to say that a vault is not ready, or is; and which drills are overdue, whenever others are.
func (l *look) readiness(r Rescue, k *KnownRescue) {
	var says, unready []string
	lacks := map[string]Lack{}
	for node, missing := range r.Missing {
		if !l.holds[node] {
			continue
		}
		says = append(says, node)
		if len(missing) > 0 {
			unready = append(unready, node)
		}
		for _, m := range missing {
			m.What, m.Do = cut(m.What), cut(m.Do)
			lacks[m.What] = m
		}
	}
	slices.Sort(unready)
	all := slices.Sorted(maps.Keys(lacks))
	d := readyData{r.Vault, r.VaultID, r.Drill, []Lack{}, unready}
	late := readyData{r.Vault, r.VaultID, r.Drill, []Lack{}, unready}
	for _, what := range all[:min(len(all), maxLacks)] {
		d.Missing = append(d.Missing, lacks[what])
		if lacks[what].Late {
			late.Missing = append(late.Missing, lacks[what])
		}
	}
	switch is := l.most(len(unready), len(says)); {
	case is && !k.Unready:
		l.tell(SOSNotReady, named(r.Vault, r.VaultID), d, r.VaultID, l.now.Format(time.RFC3339))
		k.Unready = true
	case k.Unready && len(says) > 0 && l.most(len(says)-len(unready), len(says)):
		slices.Sort(says)
		l.tell(SOSReady, named(r.Vault, r.VaultID), readyData{r.Vault, r.VaultID, r.Drill, []Lack{}, says}, r.VaultID, l.now.Format(time.RFC3339))
		k.Unready = false
	}
	if !l.most(len(unready), len(says)) || len(late.Missing) == 0 {
		if len(unready) == 0 {
			k.Drills = ""
		}
		return
	}
	if m := mark(late.title()); m != k.Drills {
		k.Drills = m
		l.tell(SOSDrill, named(r.Vault, r.VaultID), late, r.VaultID, m, l.now.Format(time.RFC3339))
	}
}

// steps tells each state of each request once, as soon as one node says it: a declaration that some could hide by silence would run out in silence (spec/sos 9, S10).
func (l *look) steps(r Rescue, k *KnownRescue) {
	shown := map[string]bool{}
	for _, q := range r.Requests[:min(len(r.Requests), maxRequests)] {
		shown[q.ID] = true
		by := map[string][]string{}
		for node, state := range q.Says {
			if l.holds[node] {
				by[state] = append(by[state], node)
			}
		}
		for _, state := range slices.Sorted(maps.Keys(by)) {
			if slices.Contains(k.Steps[q.ID], state) {
				continue
			}
			if k.Steps == nil {
				k.Steps = map[string][]string{}
			}
			k.Steps[q.ID] = append(slices.Clone(k.Steps[q.ID]), state)
			if l.first && !slices.Contains(open, state) {
				continue
			}
			slices.Sort(by[state])
			d := stepData{r.Vault, r.VaultID, r.Drill, q.ID, cut(state), q.Trigger, q.Subjects, cut(q.Reason), q.Role, q.By, by[state]}
			l.tell(SOSStep, named(r.Vault, r.VaultID), d, q.ID, state)
		}
	}
	maps.DeleteFunc(k.Steps, func(id string, _ []string) bool { return !shown[id] })
}

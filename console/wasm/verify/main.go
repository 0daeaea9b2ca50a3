//go:build js && wasm

// Command verify is the verifier in a visitor's browser: evidence/verify, compiled to WebAssembly, in a worker of the page that
// `disclose publish` wrote (spec/disclosure). It reads the bundle beside the page, tells the page how far it is, and ends with its report.
package main

import (
	"encoding/json"
	"fmt"
	"syscall/js"
	"time"

	"github.com/ostraka/ostraka/console/verdict"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A message goes to the page. Kinds: logs, progress, checking, done, error.
type message struct {
	Kind     string               `json:"kind"`
	Text     string               `json:"text,omitempty"` // error; progress: what is found so far
	Logs     []head               `json:"logs,omitempty"`
	Source   string               `json:"source,omitempty"`
	Read     int64                `json:"read"`
	Of       int64                `json:"of"`
	Report   *verify.Report       `json:"report,omitempty"`
	Verdict  *verdict.Verdict     `json:"verdict,omitempty"`
	Differs  []verdict.Difference `json:"differs,omitempty"`  // from report.json
	Evidence string               `json:"evidence,omitempty"` // of places: how what the publisher says of it differs
	Compared string               `json:"compared,omitempty"` // why it was not compared; empty: it was
	Seconds  float64              `json:"seconds"`
}

// A head is a checkpoint as it is shown, before anything of it is checked.
type head struct {
	Operator string `json:"operator"`
	Size     int64  `json:"size"`
	Root     string `json:"root"`
	Error    string `json:"error,omitempty"`
}

func main() {
	if err := run(js.Global().Get("base").String()); err != nil {
		say(message{Kind: "error", Text: err.Error()})
	}
}

func say(m message) {
	raw, err := json.Marshal(m)
	if err != nil {
		raw = []byte(`{"kind":"error","text":"the report cannot be written"}`)
	}
	js.Global().Call("postMessage", string(raw))
}

func run(base string) error {
	began := time.Now()
	files := newFiles(base)
	sources, b, err := verify.Open(base, files.get)
	if err != nil {
		return err
	}
	heads, total := look(b, sources, files)
	say(message{Kind: "logs", Logs: heads, Of: total})
	o := verify.Options{Now: began, Encryptions: encryptions, Progress: func(p verify.Progress) error {
		m := message{Kind: "progress", Source: p.Source, Read: int64(p.Entries) + p.Read, Of: total, Text: p.Verdict}
		if m.Read+256 >= total {
			m.Kind = "checking"
		}
		say(m)
		return nil
	}}
	if len(b.Evidence) > 0 {
		o.Evidence = func(charter.Document) []places.Finding {
			return places.Left(b.Listed(), "a browser holds no keys for it; the command can: ostraka verify --evidence")
		}
	}
	if o.Circle, err = asked(); err != nil {
		return err
	}
	r, err := verify.Verify(sources, o)
	if err != nil {
		return err
	}
	v := verdict.Of(r)
	end := message{Kind: "done", Report: r, Verdict: &v, Read: total, Of: total}
	end.compare(files, b)
	end.Seconds = time.Since(began).Seconds()
	say(end)
	return nil
}

// encryptions is how many of second sharings are checked here: some seconds' work.
const encryptions = 48

// asked is the circle that the page's address asks for (#circle=…), by which a visitor who knows it is not shown another.
func asked() (id statement.ID, err error) {
	text := js.Global().Get("circle").String()
	if text == "" {
		return id, nil
	}
	return statement.ParseID(text)
}

// look reads the checkpoints first, so that the page can show them at once. What it says is checked later.
func look(b verify.Bundle, sources []verify.Source, files *files) (heads []head, total int64) {
	for i, l := range b.Logs {
		h := head{Operator: l.Operator}
		raw, err := sources[i].Fetch(tlog.PathCheckpoint)
		if err == nil {
			h.Size, h.Root, err = shown(raw)
		}
		if err != nil {
			h.Error = err.Error()
		}
		files.sizes[l.Path] = h.Size
		total += h.Size
		heads = append(heads, h)
	}
	return heads, total
}

// shown is what a checkpoint says, believed by nobody yet.
func shown(signed []byte) (size int64, root string, err error) {
	var origin string
	if _, err = fmt.Sscanf(string(signed[:min(len(signed), 1024)]), "%s\n%d\n%s\n", &origin, &size, &root); err != nil || size < 0 || size > tlog.MaxSize {
		return 0, "", fmt.Errorf("the checkpoint is none")
	}
	return size, root, nil
}

// compare holds the report to the one that the publisher put beside the logs.
func (m *message) compare(files *files, b verify.Bundle) {
	raw, err := files.get(verify.PathReport)
	if err != nil {
		m.Compared = err.Error()
		return
	}
	var published verify.Report
	if err := json.Unmarshal(raw, &published); err != nil {
		m.Compared = fmt.Sprintf("%s is not a report of this version: %v", verify.PathReport, err)
		return
	}
	m.Differs, m.Evidence = verdict.Differences(&published, m.Report, verdict.Sources(b)), verdict.Evidence(&published, m.Report)
}

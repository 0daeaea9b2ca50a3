package console

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.js
	script string
	//go:embed page.css
	style string

	pages = template.Must(template.New("page").Parse(pageText))
)

// policy is the Content-Security-Policy: this page's own script and style, by hash, and requests to where it comes from.
var policy = "default-src 'none'; script-src '" + digest(script) + "'; style-src '" + digest(style) + "'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Shown is what a step's page says, and what it asks the browser for.
type Shown struct {
	Title  string // what is asked, as a question or an order
	Lead   string // one paragraph
	Facts  string // as the command line shows them, line by line
	Text   string // the statement that is signed, in its own words; "" if none is
	Button string
	Auto   bool // one of a series, of which the first alone takes a click

	ask ceremony
}

// ceremony is what navigator.credentials takes, its bytes in base64url.
type ceremony struct {
	Do      string `json:"do"` // create or get
	Options any    `json:"options"`
}

type view struct {
	Step int // 0: nothing is asked now
	Shown
}

// Ask is the ceremony in JSON, for the script.
func (v view) Ask() (string, error) {
	b, err := json.Marshal(v.ask)
	return string(b), err
}

func (v view) Script() template.JS { return template.JS(script) } //nolint:gosec // embedded
func (v view) Style() template.CSS { return template.CSS(style) } //nolint:gosec // embedded

func (v view) write(w io.Writer) error { return pages.Execute(w, v) }

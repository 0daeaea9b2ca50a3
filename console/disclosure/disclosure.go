package disclosure

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/evidence/verify"
)

// PathPage is the page, beside verify.PathBundle and verify.PathReport.
const PathPage = "index.html"

// assets stand in the folder as they are.
//
//go:embed page.css page.js worker.js
var assets embed.FS

//go:embed page.html parts.html
var pages embed.FS

var page = template.Must(template.New("page.html").Funcs(words).ParseFS(pages, "page.html", "parts.html"))

// policy is the page's Content-Security-Policy: its own files alone, and no text that becomes script. It stands in the page, since any
// server may serve it.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types disclosure"

// Files gives what stands in the folder beside the logs, by path: the page with its parts, what the publisher's verifier found, and the
// list of logs. Without a program the page shows what the publisher found, and says that it checks nothing.
func Files(r *verify.Report, b verify.Bundle, p wasm.Program) (map[string][]byte, error) {
	files, sum := map[string][]byte{}, ""
	if len(p.Packed) > 0 && len(p.Runtime) > 0 {
		files[wasm.ProgramFile], files[wasm.RuntimeFile] = p.Packed, p.Runtime
		h := sha256.Sum256(p.Packed)
		sum = hex.EncodeToString(h[:])
	}
	read, err := data(r, b)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, read)
	var out bytes.Buffer
	if err := page.Execute(&out, newView(r, b, sum)); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	files[PathPage] = out.Bytes()
	entries, err := assets.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if sum == "" && filepath.Ext(e.Name()) == ".js" { // it runs the program
			continue
		}
		if files[e.Name()], err = assets.ReadFile(e.Name()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// data gives the files of Files that no browser runs: the list of logs, and the report.
func data(r *verify.Report, b verify.Bundle) (map[string][]byte, error) {
	files := map[string][]byte{}
	for path, value := range map[string]any{verify.PathBundle: b, verify.PathReport: r} {
		raw, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
		files[path] = append(raw, '\n')
	}
	_, err := verify.ParseBundle(files[verify.PathBundle]) // or no visitor could read it
	return files, err
}

// Write puts Files into a folder. Each file is whole at every moment, and the page comes last: a visitor sees the old one until all that the
// new one needs is there.
func Write(dir string, r *verify.Report, b verify.Bundle, p wasm.Program) error {
	files, err := Files(r, b, p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("publish into %s: %w", dir, err)
	}
	names := slices.Sorted(maps.Keys(files))
	names = append(slices.DeleteFunc(names, func(n string) bool { return n == PathPage }), PathPage)
	for _, name := range names {
		if err := client.Replace(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return fmt.Errorf("publish into %s: %w", dir, err)
		}
	}
	return nil
}

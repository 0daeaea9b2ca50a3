package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The program says its own hash, by which a release lists it.
func TestVersionSaysItsHash(t *testing.T) {
	alone(t)
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, out, _ := try("version", "--json")
	var doc map[string]string
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc["sha256"] != fmt.Sprintf("%x", sha256.Sum256(program)) {
		t.Errorf("%v: %s", err, out)
	}
	if code, out, _ := try("version"); code != codeDone || !strings.HasPrefix(out, "ostraka "+doc["version"]+" (go") {
		t.Errorf("code %d, %s", code, out)
	}
}

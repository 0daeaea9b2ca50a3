//go:build !js

package charter

import (
	_ "embed"
	"strconv"
	"strings"
	"text/template"
)

// A Start is what the file that `charter init` writes is filled with.
type Start struct {
	Circle    string
	Payee     string // its address
	Refuge    string // a rescue address; empty: none
	Operators []StartOperator
	People    []StartPerson
	Groups    []Group
	Guardians []StartGuardian
}

// A StartOperator is an operator with one replica.
type StartOperator struct {
	Name, Entity, Identity                                   string
	Independent                                              bool
	Provider, Account, Region, Jurisdiction, Hardware, Admin string
}

// A StartGuardian is a guardian, whose card may be no card yet.
type StartGuardian struct {
	Name, Person, Organisation, Jurisdiction, Card string
}

// A StartPerson has one key.
type StartPerson struct {
	Name, Organisation, Key string
}

//go:embed template/charter.yaml
var startFile string

// StartPolicy is the default rules, with a treasurer's comments.
//
//go:embed template/policy.cedar
var StartPolicy string

// File is the charter's file, with comments: 3-of-3 over three operators, two groups of people, five guardians. The template is read
// here and not in a variable: programs that write no charter are smaller without it.
func (s Start) File() (string, error) {
	t, err := template.New("charter").Funcs(template.FuncMap{
		"quote": strconv.Quote,
		"join":  func(names []string) string { return strings.Join(names, ", ") },
		"sub":   func(a, b int) int { return a - b },
	}).Parse(startFile)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, s)
	return b.String(), err
}

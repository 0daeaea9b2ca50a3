package rehearse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/client"
)

// result is how one command of this program ended.
type result struct {
	code      int
	out, errs string
}

// run runs one command of this program, as people do. It knows no contexts and no keys but those that it is given.
func (t *tale) run(ctx context.Context, args ...string) (result, error) {
	cmd := exec.CommandContext(ctx, t.binary, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OSTRAKA_") || strings.HasPrefix(v, "SSH_AUTH_SOCK=")
	})
	if t.circle != nil {
		cmd.Env = append(cmd.Env, client.FileVariable+"="+t.circle.ContextsFile())
	}
	cmd.Env = append(cmd.Env, t.environment[""]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	r := result{out: out.String(), errs: errs.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		r.code, err = exit.ExitCode(), nil
	}
	if t.said != nil {
		t.said(r)
	}
	return r, err
}

// must is run for what has to go well for the story to go on.
func (t *tale) must(ctx context.Context, args ...string) (result, error) {
	r, err := t.run(ctx, args...)
	if err == nil && r.code != 0 {
		err = fmt.Errorf("ostraka %s: exit %d: %s", strings.Join(args, " "), r.code, strings.TrimSpace(r.errs))
	}
	return r, err
}

// said is what the program told of its end: the error, without what to do next.
func (r result) said() string {
	for line := range strings.Lines(r.errs) {
		if text, ok := strings.CutPrefix(line, "ostraka: "); ok {
			return strings.TrimSpace(text)
		}
	}
	return strings.TrimSpace(r.errs)
}

// firstLine is the first line of a text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return shorten(line)
}

var controlRule = regexp.MustCompile(`control rule ([a-z]+(?:/[a-z]+)?)`)

// controlRules are those that a text names.
func controlRules(text string) string {
	var all []string
	for _, m := range controlRule.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// refusal is a step: a command that must end with code 3 and say so much.
func (t *tale) refusal(ctx context.Context, what string, wants []string, args ...string) error {
	r, err := t.run(ctx, args...)
	if err != nil {
		return err
	}
	x := Step{What: what, Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(r.said())), Rule: controlRules(r.errs), Held: r.code == codeRefused && controlRules(r.errs) != ""}
	for _, want := range wants {
		x.Held = x.Held && strings.Contains(r.errs+r.out, want)
	}
	t.step(x)
	return nil
}

const (
	codeRefused    = 3
	codeUnverified = 4
	codeNotReady   = 5
	longest        = 300
)

func shorten(text string) string {
	if r := []rune(text); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return text
}

// linted is what `charter lint --json` says of a charter's one vault.
type linted struct {
	code   int
	errs   string
	Vaults []struct {
		Numbers []struct {
			Kind              string
			Steal, Halt, Lose struct {
				Size       *int
				Coalitions [][]string
			}
		}
		Broken []struct {
			Rule       string
			Have, Want int
			Who        []string
		}
	}
}

// number is a control number by kind: steal, halt, lose; 0: no coalition suffices.
func (l linted) number(kind string) (n [3]int) {
	for _, x := range l.Vaults[0].Numbers {
		if x.Kind == kind {
			for i, size := range []*int{x.Steal.Size, x.Halt.Size, x.Lose.Size} {
				if size != nil {
					n[i] = *size
				}
			}
		}
	}
	return n
}

// stealer is the smallest coalition of a kind that steals, if there is only one.
func (l linted) stealer(kind string) string {
	for _, x := range l.Vaults[0].Numbers {
		if x.Kind == kind && len(x.Steal.Coalitions) == 1 {
			return strings.Join(x.Steal.Coalitions[0], ", ")
		}
	}
	return ""
}

// broken are the rules that the vault breaks, and who breaks them.
func (l linted) broken() (rules []string, text string) {
	var all []string
	for _, b := range l.Vaults[0].Broken {
		rules = append(rules, b.Rule)
		who := ""
		if len(b.Who) > 0 {
			who = " (" + strings.Join(b.Who, ", ") + ")"
		}
		all = append(all, fmt.Sprintf("control rule %s: it is %d%s, at least %d is asked", b.Rule, b.Have, who, b.Want))
	}
	return rules, strings.Join(all, "; ")
}

func (t *tale) lint(ctx context.Context, folder string) (l linted, err error) {
	r, err := t.run(ctx, "charter", "lint", folder, "--json")
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(r.out), &l); err != nil || len(l.Vaults) != 1 {
		return l, fmt.Errorf("`ostraka charter lint`: exit %d, %d vaults: %s", r.code, len(l.Vaults), strings.TrimSpace(r.errs))
	}
	l.code, l.errs = r.code, r.errs
	return l, nil
}

// lintRefuses is a step: lint must end with code 3 for exactly these rules.
func (t *tale) lintRefuses(ctx context.Context, what, folder string, rules ...string) (linted, error) {
	l, err := t.lint(ctx, folder)
	if err != nil {
		return l, err
	}
	broken, text := l.broken()
	t.step(Step{
		What: what + ": `ostraka charter lint`", Outcome: fmt.Sprintf("exit %d: %s", l.code, shorten(text)), Rule: strings.Join(broken, ", "),
		Held: l.code == codeRefused && slices.Equal(broken, rules),
	})
	return l, nil
}

// lintPasses is a step: lint must end with code 0, and the numbers of organisations be these.
func (t *tale) lintPasses(ctx context.Context, what, folder string, organisations [3]int) error {
	l, err := t.lint(ctx, folder)
	if err != nil {
		return err
	}
	n := l.number("organisation")
	t.step(Step{
		What:    what + ": `ostraka charter lint`",
		Outcome: fmt.Sprintf("exit %d: of organisations %d together could steal, %d halt, %d lose", l.code, n[0], n[1], n[2]),
		Held:    l.code == 0 && n == organisations,
	})
	return nil
}

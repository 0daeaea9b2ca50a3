package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
)

// A Level is how well it is.
type Level string

// Levels.
const (
	Well      Level = "well"      // nothing failed, and nothing needs attention
	Attention Level = "attention" // true, and should not stay so
	Wrong     Level = "wrong"     // something does not hold
)

// A Verdict is the answer to "is it well?".
type Verdict struct {
	Level   Level    `json:"level"`
	Title   string   `json:"title"`
	Reasons []string `json:"reasons"` // the most important, three at most
	More    int      `json:"more"`    // of the same kind, that are not among these
	Missing []string `json:"missing"` // what vaults lack, and a reader should know
}

const most = 3

// Of finds the verdict.
func Of(r *verify.Report) Verdict {
	v := Verdict{Level: Well, Title: "All is well", Reasons: strengths(r), Missing: missing(r)}
	all := v.Reasons
	switch {
	case r.Failed:
		v.Level, v.Title, all = Wrong, "Something is wrong", failures(r)
	case len(r.Attention) > 0 || len(r.Vaults) == 0:
		v.Level, v.Title, all = Attention, "Needs attention", r.Attention
		if len(r.Vaults) == 0 {
			all = append(all[:len(all):len(all)], "the circle has no vault yet: there is nothing to steal or to sign with")
		}
	}
	v.Reasons, v.More = all[:min(len(all), most)], max(0, len(all)-most)
	v.Reasons = slices.Clone(v.Reasons) // of the report's own
	for i, s := range v.Reasons {
		v.Reasons[i] = sentence(s)
	}
	return v
}

// failures are the claims that do not hold, each with what was found.
func failures(r *verify.Report) (out []string) {
	for _, c := range r.Claims {
		if c.Failed != "" {
			out = append(out, Failure(c))
		}
	}
	return out
}

// Failure says what does not hold, and what was found instead.
func Failure(c verify.Claim) string {
	return sentence(fmt.Sprintf("%s: “%s” does not hold: %s", c.Subject, c.Claim, c.Failed))
}

// strengths are what a good report shows: who would have to collude, that all live, that their logs agree.
func strengths(r *verify.Report) (out []string) {
	for _, x := range r.Vaults {
		if len(x.Keys) > 0 {
			out = append(out, fmt.Sprintf("every signature of vault %s takes %d of its %s together", x.Name, x.Threshold, operators(len(x.Committee))))
			break
		}
	}
	live, oldest := 0, time.Time{}
	for _, o := range r.Operators {
		if !o.Silent && !o.LastSeen.IsZero() {
			live++
			if oldest.IsZero() || o.LastSeen.Before(oldest) {
				oldest = o.LastSeen
			}
		}
	}
	if live > 0 && live == len(r.Operators) {
		out = append(out, fmt.Sprintf("all %s live: each was seen within %s of this check", operators(live), Ago(r.Time.Sub(oldest))))
	}
	if n := len(r.Logs); n > 1 {
		out = append(out, fmt.Sprintf("%s entries in %d logs were read whole; the logs agree, and vouch for one another", Number(r.Entries), n))
	}
	return out
}

// missing is what vaults with a key lack, each in one sentence.
func missing(r *verify.Report) (out []string) {
	for _, v := range r.Vaults {
		if len(v.Keys) > 0 && v.Plan == nil {
			out = append(out, fmt.Sprintf("Vault %s has no rescue plan (SOS): if more operators lose their shares than it can spare, what it holds is lost.", v.Name))
		}
	}
	return out
}

func operators(n int) string {
	if n == 1 {
		return "1 operator"
	}
	return fmt.Sprintf("%d operators", n)
}

// ours begin what we say; other sentences begin with a name, which is written as it is.
var ours = []string{"all", "every", "the", "no", "vault", "operator", "circle", "circle:", "log", "request", "heartbeat", "its", "it"}

// sentence begins with a capital, unless a name does, has times as people write them, and ends with a full stop.
func sentence(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		bare := strings.TrimRight(w, ".,;:")
		if t, err := time.Parse(time.RFC3339, bare); err == nil {
			words[i] = t.UTC().Format("2 Jan 2006, 15:04") + " UTC" + w[len(bare):]
		}
	}
	s = strings.Join(words, " ")
	if word, _, _ := strings.Cut(s, " "); slices.Contains(ours, word) {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return strings.TrimSuffix(s, ".") + "."
}

// Ago is a length of time in words: its two largest units are too many for a reader, one is enough.
func Ago(d time.Duration) string {
	d = max(d, 0)
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.unit); n > 1 || n == 1 && u.unit != 24*time.Hour {
			if n == 1 {
				return "1 " + u.name
			}
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "moments"
}

// Number writes a count with thin spaces between thousands.
func Number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

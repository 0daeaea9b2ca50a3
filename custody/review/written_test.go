package review

import (
	"flag"
	"os"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
)

var update = flag.Bool("update", false, "write the example charter of cmd/ostraka/testdata")

const exampleFolder = "../../cmd/ostraka/testdata/charter/"

// The example that the commands' tests read is the default charter, filled in.
func TestExampleIsTheDefault(t *testing.T) {
	text, err := start(t).File()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"charter.yaml": text, "policy.cedar": charter.StartPolicy} {
		if *update {
			if err := os.WriteFile(exampleFolder+name, []byte(want), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(exampleFolder + name)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the default gives: run this test with -update (%v)", name, err)
		}
	}
}

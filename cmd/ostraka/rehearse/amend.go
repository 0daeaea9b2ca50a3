package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// amend has every officer sign another version of the charter, and gives the version's id. What is stricter throughout is then in force at
// every node.
func (t *tale) amend(ctx context.Context, file, policy string) (string, error) {
	id, err := t.signAmendment(ctx, file, policy)
	if err != nil {
		return id, err
	}
	ok, err := poll(ctx, awhile, func() (bool, error) {
		v, err := t.vault(ctx)
		return err == nil && v.Under.String() == id, err
	})
	if err == nil && !ok {
		err = fmt.Errorf("charter %.8s is signed by all officers and not in force", id)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(t.circle.CharterFolder(), "charter.yaml"), []byte(file), 0o600) // as people keep their copy
	}
	return id, err
}

// signAmendment: the first officer signs the file, the others the version that they then see.
func (t *tale) signAmendment(ctx context.Context, file, policy string) (id string, err error) {
	folder, err := t.writeCharter(file, policy)
	if err != nil {
		return "", err
	}
	for i, o := range t.circle.Operators {
		args := []string{"charter", "amend", folder, "--yes", "--json", "--dir", o.Dir, "--key", o.Officer}
		if i > 0 {
			args = []string{"charter", "sign", "--id", id, "--yes", "--json", "--dir", o.Dir, "--key", o.Officer}
		}
		var r result
		ok, err := poll(ctx, awhile, func() (bool, error) {
			r, err = t.run(ctx, args...)
			return err == nil && (r.code == 0 || i == 0), err // until the others' nodes have heard of it
		})
		if err != nil {
			return "", err
		}
		if !ok || r.code != 0 {
			return "", fmt.Errorf("%s signs an amendment: exit %d: %s", o.Name, r.code, r.said())
		}
		var doc struct{ ID string }
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			return "", err
		}
		id = doc.ID
	}
	return id, nil
}

package bolt

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/storetest"
)

const testReserve = 256 << 10

func openStore(dir string) (store.Store, error) { return Open(dir, Options{Reserve: testReserve}) }

func TestMain(m *testing.M) {
	storetest.Child(openStore)
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Driver{
		Open:  openStore,
		Files: func(dir string) []string { return []string{filepath.Join(dir, dataFile)} },
	})
}

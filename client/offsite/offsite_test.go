package offsite

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// served is a bucket of an S3-compatible server in this process: what it says of an operation that it lacks is its own.
func served(t *testing.T) (s *s3mem.Backend, to string, asked *[]*http.Request) {
	t.Helper()
	s = s3mem.New()
	if err := s.CreateBucket("vaults"); err != nil {
		t.Fatal(err)
	}
	asked = &[]*http.Request{}
	inner := gofakes3.New(s).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Clone(context.Background()))
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "me")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "mine")
	t.Setenv("AWS_REGION", "us-east-1")
	return s, "s3://vaults/acme", asked
}

func put(t *testing.T, p Place, name, what string) (string, error) {
	t.Helper()
	spool, err := p.Spool()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(spool, what); err != nil {
		t.Fatal(err)
	}
	where, err := p.Put(t.Context(), spool, name)
	if _, gone := os.Stat(spool.Name()); gone == nil {
		t.Errorf("the spool %s stays", spool.Name())
	}
	return where, err
}

func read(t *testing.T, p Place, where string) string {
	t.Helper()
	f, err := p.Open(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What is put is found, read back whole, and stands beside what is no backup; in a folder nothing takes its place.
func TestPlaces(t *testing.T) {
	s, bucket, _ := served(t)
	if _, err := s.PutObject("vaults", "acme/letter.txt", nil, strings.NewReader("x"), 1, nil); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{bucket, dir} {
		p, err := At(to, 0)
		if err != nil {
			t.Fatal(err)
		}
		where, err := put(t, p, "one"+SuffixExport, "what is sealed")
		if err != nil || !strings.HasPrefix(where, to+"/") {
			t.Fatalf("%s: %s, %v", to, where, err)
		}
		if got := read(t, p, where); got != "what is sealed" {
			t.Errorf("%s: read back %q", to, got)
		}
		if _, err := put(t, p, "two"+SuffixReceipt, "noted"); err != nil {
			t.Fatal(err)
		}
		all, err := p.List(t.Context())
		slices.Sort(all)
		if err != nil || len(all) != 2 || all[0] != where {
			t.Errorf("%s: lists %v, %v", to, all, err)
		}
	}
	p, err := At(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, p, "one"+SuffixExport, "another"); err == nil || read(t, p, filepath.Join(dir, "one"+SuffixExport)) != "what is sealed" {
		t.Errorf("a backup takes another's place: %v", err)
	}
}

// A bucket is asked never to replace what is there, and to keep what lies there where it is to be retained.
func TestBucketIsAskedToKeep(t *testing.T) {
	_, to, asked := served(t)
	p, err := At(to, 48*3600*1e9)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = put(t, p, "one"+SuffixExport, "what is sealed")
	i := slices.IndexFunc(*asked, func(r *http.Request) bool { return r.Method == http.MethodPut })
	if i < 0 {
		t.Fatal("nothing was put")
	}
	h := (*asked)[i].Header
	if h.Get("If-None-Match") != "*" || h.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" || h.Get("X-Amz-Object-Lock-Retain-Until-Date") == "" {
		t.Errorf("asked with %v", h)
	}
}

func TestAtRefuses(t *testing.T) {
	served(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{"s3:///x": "names no bucket", "https://x/y": "no folder", file: "is no folder", file + "/none": "look at"} {
		if _, err := At(to, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", to, err)
		}
	}
	if _, err := At(t.TempDir(), 1); err == nil || !strings.Contains(err.Error(), "only a bucket") {
		t.Errorf("a folder retains: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := At("s3://vaults", 0); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("without a key: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "mine")
	t.Setenv("AWS_ENDPOINT_URL_S3", "ftp://x")
	if _, err := At("s3://vaults", 0); err == nil || !strings.Contains(err.Error(), "no https://host") {
		t.Errorf("an endpoint by ftp: %v", err)
	}
}

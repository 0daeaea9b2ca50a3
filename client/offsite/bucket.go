package offsite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const defaultEndpoint = "https://s3.amazonaws.com"

// A bucket is asked as the environment says: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, and
// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL where it is not Amazon's.
type bucket struct {
	client *minio.Client
	name   string
	prefix string
	retain time.Duration
}

func newBucket(rest string, retain time.Duration) (*bucket, error) {
	name, prefix, _ := strings.Cut(rest, "/")
	if name == "" {
		return nil, errors.New("s3:// names no bucket: want s3://bucket/prefix")
	}
	endpoint := defaultEndpoint
	for _, v := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		if s := os.Getenv(v); s != "" {
			endpoint = s
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("AWS_ENDPOINT_URL_S3 %q is no https://host", endpoint)
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "" {
		return nil, errors.New("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: a bucket asks who writes")
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewEnvAWS(), Secure: u.Scheme == "https", Region: os.Getenv("AWS_REGION")})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return &bucket{c, name, strings.Trim(prefix, "/"), retain}, nil
}

func (b *bucket) key(where string) string { return strings.TrimPrefix(where, "s3://"+b.name+"/") }

// Spool implements Place: what is to go is a ciphertext already, so it may lie on this machine meanwhile.
func (b *bucket) Spool() (*os.File, error) { return os.CreateTemp("", "ostraka-partial-*") }

func (b *bucket) Put(ctx context.Context, spool *os.File, name string) (string, error) {
	defer os.Remove(spool.Name())
	defer spool.Close()
	key := path.Join(b.prefix, name)
	where := "s3://" + b.name + "/" + key
	size, err := spool.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		return "", fmt.Errorf("put %s: %w", where, err)
	}
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream", SendContentMd5: true}
	opts.SetMatchETagExcept("*") // never in the place of something that is there
	if b.retain > 0 {
		// Compliance: nobody deletes it before, whoever has the account.
		opts.Mode, opts.RetainUntilDate = minio.Compliance, time.Now().Add(b.retain).UTC()
	}
	if _, err := b.client.PutObject(ctx, b.name, key, spool, size, opts); err != nil {
		return "", fmt.Errorf("put %s: %w", where, err)
	}
	return where, nil
}

func (b *bucket) Open(ctx context.Context, where string) (io.ReadCloser, error) {
	return b.client.GetObject(ctx, b.name, b.key(where), minio.GetObjectOptions{})
}

func (b *bucket) List(ctx context.Context) (out []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, fmt.Errorf("list s3://%s/%s: %w", b.name, b.prefix, o.Err)
		}
		if ours(o.Key) {
			out = append(out, "s3://"+b.name+"/"+o.Key)
		}
		if len(out) > mostListed {
			return nil, fmt.Errorf("s3://%s/%s holds more than %d backups: name a longer prefix", b.name, b.prefix, mostListed)
		}
	}
	return out, nil
}

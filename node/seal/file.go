package seal

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/internal/failpoint"
)

const (
	// MaxWrapped is the largest wrapped data key, in bytes.
	MaxWrapped = 16 << 10

	maxFile    = 64 << 10
	fileFormat = "ostraka key file"
)

var (
	// ErrDamaged means that a key file is not what was written.
	ErrDamaged = errors.New("key file is damaged")

	// ErrReadable means that other users may read or write a key file.
	ErrReadable = errors.New("key file is open to other users")
)

// keyFile is the key file: indented JSON in this order, and nothing else.
type keyFile struct {
	Format   string `json:"format"`
	Version  uint   `json:"version"`
	Provider string `json:"provider"`
	Wrapped  string `json:"wrapped"`  // lower-case hex
	Checksum string `json:"checksum"` // lower-case hex of SHA-256 over the rest
}

// CreateFile draws a data key, wraps it under label and writes the key file (0600),
// which must not exist. The file is durable, and was read back and unwrapped, when it
// returns. rand gives the data key and the box's nonces.
func CreateFile(ctx context.Context, path string, kek KEK, label Label, rand io.Reader) (*Box, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create key file: %s: %w", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	dek, err := NewKey(rand)
	if err != nil {
		return nil, err
	}
	return CreateFileFor(ctx, path, kek, label, dek, rand)
}

// CreateFileFor is CreateFile with a data key that is there already, and that it takes over: of an export, whose rows it opens.
func CreateFileFor(ctx context.Context, path string, kek KEK, label Label, dek secret.Bytes, rand io.Reader) (*Box, error) {
	if err := replaceFile(ctx, path, kek, label, dek); err != nil {
		return nil, fmt.Errorf("create key file %s: %w", path, err)
	}
	return NewBox(dek, rand)
}

// OpenFile unwraps the data key of a key file. Errors: ErrReadable, ErrDamaged, and the
// provider's (a wrong passphrase is passphrase.ErrPassphrase).
func OpenFile(ctx context.Context, path string, kek KEK, label Label, rand io.Reader) (*Box, error) {
	dek, err := unwrapFile(ctx, path, kek, label)
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w", path, err)
	}
	return NewBox(dek, rand)
}

// RekeyFile wraps the data key anew with another provider or passphrase. The file is
// the old one or the new one at every moment, also after a crash; what rows hold does
// not change. Copies of the old file still open with the old passphrase.
func RekeyFile(ctx context.Context, path string, old, new KEK, label Label) error {
	dek, err := unwrapFile(ctx, path, old, label)
	if err != nil {
		return fmt.Errorf("rekey %s: %w", path, err)
	}
	defer dek.Wipe()
	if err := replaceFile(ctx, path, new, label, dek); err != nil {
		return fmt.Errorf("rekey %s: %w", path, err)
	}
	return nil
}

// replaceFile writes under another name, syncs, reads back, renames, syncs the folder.
func replaceFile(ctx context.Context, path string, kek KEK, label Label, dek secret.Bytes) error {
	wrapped, err := kek.Wrap(ctx, dek, label)
	if err != nil {
		return err
	}
	b, err := encodeFile(kek.Name(), wrapped)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what a crash left
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	failpoint.Hit("seal/file/before")
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	back, err := unwrapFile(ctx, tmp, kek, label)
	if err == nil && !back.Equal(dek) {
		err = errors.New("another data key came back")
	}
	back.Wipe()
	if err != nil {
		return fmt.Errorf("read back: %w", errors.Join(err, os.Remove(tmp)))
	}
	failpoint.Hit("seal/file/written")
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	failpoint.Hit("seal/file/renamed")
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return err
	}
	failpoint.Hit("seal/file/done")
	return nil
}

func unwrapFile(ctx context.Context, path string, kek KEK, label Label) (secret.Bytes, error) {
	b, err := readFile(path)
	if err != nil {
		return secret.Bytes{}, err
	}
	provider, wrapped, err := decodeFile(b)
	if err != nil {
		return secret.Bytes{}, err
	}
	if provider != kek.Name() {
		return secret.Bytes{}, fmt.Errorf("it needs provider %s, not %s", provider, kek.Name())
	}
	dek, err := kek.Unwrap(ctx, wrapped, label)
	if err != nil {
		return secret.Bytes{}, err
	}
	if dek.Len() != KeySize {
		dek.Wipe()
		return secret.Bytes{}, fmt.Errorf("data key has %d bytes, not %d", dek.Len(), KeySize)
	}
	return dek, nil
}

// readFile reads a regular file that only its owner may use.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if p := info.Mode().Perm(); p&0o077 != 0 {
		return nil, fmt.Errorf("%w: mode %04o; run chmod 600 on it", ErrReadable, p)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%w: more than %d bytes", ErrDamaged, maxFile)
	}
	return b, err
}

func encodeFile(provider string, wrapped []byte) ([]byte, error) {
	if len(wrapped) > MaxWrapped {
		return nil, fmt.Errorf("wrapped data key has %d bytes, at most %d are allowed", len(wrapped), MaxWrapped)
	}
	sum := fileSum(provider, wrapped)
	b, err := json.MarshalIndent(keyFile{fileFormat, version, provider, hex.EncodeToString(wrapped), hex.EncodeToString(sum[:])}, "", "  ")
	return append(b, '\n'), err
}

func fileSum(provider string, wrapped []byte) [32]byte {
	return transcript.New(transcript.SealKeyFile).Uint(version).Bytes([]byte(provider)).Bytes(wrapped).Sum256()
}

// decodeFile accepts exactly the bytes that encodeFile makes: JSON with repeated,
// unknown or otherwise spelled names is damage. A newer version is named as such.
func decodeFile(b []byte) (provider string, wrapped []byte, err error) {
	damaged := func(format string, args ...any) (string, []byte, error) {
		return "", nil, fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
	}
	var k keyFile
	if err := json.Unmarshal(b, &k); err != nil {
		return damaged("%w", err)
	}
	if k.Format != fileFormat {
		return damaged("format is %q", k.Format)
	}
	if k.Version != version {
		return "", nil, fmt.Errorf("key file has version %d, this program knows %d", k.Version, version)
	}
	if wrapped, err = hex.DecodeString(k.Wrapped); err != nil {
		return damaged("wrapped: %w", err)
	}
	canonical, err := encodeFile(k.Provider, wrapped)
	if err != nil {
		return damaged("%w", err)
	}
	if !bytes.Equal(canonical, b) {
		return damaged("bytes differ from those of its content: checksum, order or spelling is wrong")
	}
	return k.Provider, wrapped, nil
}

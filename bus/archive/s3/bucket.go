package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

const (
	wholePut = 16 << 20        // bytes of a blob that is sent in one request
	dialing  = 4 * time.Second // with all retries less than an API request may take: who asked is told what doesn't answer
)

// retries is how often a request is sent, with pauses of up to a second.
var retries = 8

// Bucket is a part of a bucket, as blobs.
type Bucket struct {
	address Address
	client  *minio.Client
}

// Open gives the blobs at an address. It asks the store nothing; see Check. The
// credentials are those of the environment, of the first of files (in AWS's
// format) that has some, or of ~/.aws/credentials.
func Open(a Address, files ...string) (*Bucket, error) {
	providers := []credentials.Provider{&credentials.EnvAWS{}, &credentials.EnvMinio{}}
	for _, file := range files {
		providers = append(providers, &credentials.FileAWSCredentials{Filename: file})
	}
	providers = append(providers, &credentials.FileAWSCredentials{})
	transport, err := minio.DefaultTransport(!a.Plain)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", a, err)
	}
	transport.DialContext = (&net.Dialer{Timeout: dialing}).DialContext
	client, err := minio.New(a.Endpoint, &minio.Options{
		Creds: credentials.NewChainCredentials(providers), Secure: !a.Plain, Region: a.Region, MaxRetries: retries, Transport: transport,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", a, events.ErrInvalid, err)
	}
	return &Bucket{a, client}, nil
}

// Check asks whether the bucket is there and these credentials may look into it.
func (b *Bucket) Check(ctx context.Context) error {
	_, err := b.List(ctx, "none/")
	return err
}

// key is the object of a blob.
func (b *Bucket) key(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." {
		return "", fmt.Errorf("%w: %q can't name a blob", events.ErrInvalid, name)
	}
	return b.address.Prefix + name, nil
}

// Put stores a blob.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	key, err := b.key(name)
	if err != nil {
		return err
	}
	var whole bytes.Buffer
	if _, err := io.CopyN(&whole, r, wholePut); err != nil && err != io.EOF { //nolint:errorlint // as CopyN has it
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	var body io.Reader = bytes.NewReader(whole.Bytes())
	size, options := int64(whole.Len()), minio.PutObjectOptions{}
	if size == wholePut { // there may be more
		body, size = io.MultiReader(body, r), -1
		options = minio.PutObjectOptions{PartSize: wholePut, SendContentMd5: true, DisableContentSha256: true} // not all stores know signed chunks of parts
	}
	if _, err = b.client.PutObject(ctx, b.address.Bucket, key, body, size, options); err != nil {
		return b.failed("put blob "+name, err)
	}
	return nil
}

// Get opens a blob; the reader is an io.Seeker.
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	key, err := b.key(name)
	if err != nil {
		return nil, err
	}
	object, err := b.client.GetObject(ctx, b.address.Bucket, key, minio.GetObjectOptions{})
	if err == nil {
		_, err = object.Stat() // nothing was asked before
	}
	if err != nil {
		return nil, b.failed("get blob "+name, err)
	}
	return object, nil
}

// List gives the names that begin with prefix, sorted.
func (b *Bucket) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var names []string
	for object := range b.client.ListObjectsIter(ctx, b.address.Bucket, minio.ListObjectsOptions{Prefix: b.address.Prefix + prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, b.failed("list blobs", object.Err)
		}
		names = append(names, strings.TrimPrefix(object.Key, b.address.Prefix))
	}
	slices.Sort(names)
	return names, nil
}

// Delete removes a blob; one that isn't there is no error.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	key, err := b.key(name)
	if err != nil {
		return err
	}
	if err := b.client.RemoveObject(ctx, b.address.Bucket, key, minio.RemoveObjectOptions{}); err != nil {
		if err = b.failed("delete blob "+name, err); !isNotFound(err) {
			return err
		}
	}
	return nil
}

var _ bus.Blobs = (*Bucket)(nil)

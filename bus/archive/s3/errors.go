package s3

import (
	"context"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"

	"github.com/reckon-project/reckon/events"
)

func isNotFound(err error) bool { return errors.Is(err, events.ErrNotFound) }

// failed puts what the store said into a class, with what to do about it.
func (b *Bucket) failed(doing string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch said := minio.ToErrorResponse(err); said.Code {
	case minio.NoSuchKey:
		return fmt.Errorf("%s: %w", doing, events.ErrNotFound)
	case minio.NoSuchBucket:
		return fmt.Errorf("%s: %w: %s has no bucket %s: create it, or correct the archive's address", doing, events.ErrInvalid, b.address.Endpoint, b.address.Bucket)
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "Forbidden", "403 Forbidden":
		return fmt.Errorf("%s: %w: %s refuses these credentials for the bucket %s (%s): they need to list, get, put and delete objects below %q; they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or from a file",
			doing, events.ErrInvalid, b.address.Endpoint, b.address.Bucket, said.Code, b.address.Prefix)
	case "":
		return fmt.Errorf("%s: %w: the bucket %s at %s can't be reached: %w", doing, events.ErrUnavailable, b.address.Bucket, b.address.Endpoint, err)
	default:
		return fmt.Errorf("%s: %w: %s says %s: %w", doing, events.ErrUnavailable, b.address.Endpoint, said.Code, err)
	}
}

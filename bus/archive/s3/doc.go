// Package s3 keeps blobs in a bucket of an S3-compatible store (AWS, MinIO,
// Ceph, Garage and others): the archive of a cluster whose disks are small.
//
// What a [Bucket] promises beside what bus.Blobs says:
//
//  1. Put returns when the store has acknowledged the whole object; an object
//     that failed on the way isn't there. A blob of up to 16 MiB (a segment's
//     size, nearly always) is sent in one request and is sent again, with
//     growing pauses, when the store doesn't answer or is overloaded.
//  2. What the reader of Get gives can be sought in: reading one frame of a
//     segment transfers no more than it.
//  3. Errors say what to do: a bucket that isn't there and refused credentials
//     are of class events.ErrInvalid, a store that can't be reached of class
//     events.ErrUnavailable.
//
// Credentials come from the environment (AWS_ACCESS_KEY_ID and so on) or a file
// in AWS's format, never from the address.
package s3

// Package sealed keeps the values of Secrets out of the log's plain text, and
// lets them be forgotten although the log forgets nothing.
//
//	Secret ──Seal──► Secret with envelopes ──► log, checkpoints, backups
//	                     │ object key, one per uid, wrapped by the cluster key
//	                     └──► KeyStore (overwrites; never backed up with the log)
//
// What a [Keyring] promises:
//
//  1. A sealed Secret is a valid corev1.Secret: the same keys, and for each
//     value a versioned envelope, authenticated together with the object's uid
//     and the key it stands under: a value moved elsewhere doesn't open.
//  2. A value that didn't change keeps its envelope, byte for byte, when the
//     previous sealed version is passed to Seal.
//  3. After Destroy no copy of the object's values can be opened any more,
//     wherever it is: their key is gone. Opening gives [ErrDestroyed] and the
//     Secret without those values.
//  4. Without the cluster key the key store's files open nothing.
//
// The caller's duties: the uid is set before Seal; Destroy is called only after
// the deletion is durable; previous versions come from the same object.
//
// What it doesn't hide: a value's length, which keys there are, and whether a
// value changed.
package sealed

// Package durable writes small files that an agent goes on from after the machine lost its power.
//
//  1. A reader finds the old content or the new one, never a part.
//  2. When Write returned, the new content stays whatever happens to the machine.
package durable

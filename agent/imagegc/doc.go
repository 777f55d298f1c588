// Package imagegc removes images that nobody needs when their disk becomes full.
//
//  1. Above the high threshold images go, the longest unused first, until the disk
//     is at the low one.
//  2. What a container uses, what is pinned, what is younger than the minimum age
//     and what isn't the node's own stays. The node's own is what it pulled:
//     what was imported can't be had again.
//  3. With a maximum age, what was unused for longer goes, however much space there is.
//
// An image counts as used when it was last seen in use; a collector that starts
// sees all images for the first time.
package imagegc

// Package volumeexpand answers claims that ask for more than they have.
//
// A volume of the built-in local path grows in the books: first the volume's
// capacity, then the claim's. Of any other volume an external resizer sees to it;
// the claim's users are told that once (annotation reckon.dev/told).
package volumeexpand

// Package helm pins the Helm that the end-to-end tests build: a module of its
// own, so that nothing of Helm's is a dependency of Reckon.
package helm

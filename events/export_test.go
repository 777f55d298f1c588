package events

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
)

// ChangesTwice gives the changes between two objects in words, with their
// paths: as Classify sees them, and by the dumb twin that compares JSON trees.
func ChangesTwice(old, new runtime.Object) (got, want []string) {
	words := func(changes []change) (out []string) {
		for _, c := range changes {
			text, telling := c.words()
			out = append(out, fmt.Sprintf("%s: %t %t %s %t", c.path, c.old == nil, c.new == nil, text, telling))
		}
		return out
	}
	var twin []change
	if reflect.TypeOf(old) != reflect.TypeOf(new) {
		twin = []change{{}}
	} else {
		collect(&twin, "", withoutBookkeeping(treeOf(old)), withoutBookkeeping(treeOf(new)))
	}
	return words(changesBetween(old, new)), words(twin)
}

func treeOf(obj runtime.Object) map[string]any {
	data, err := EncodeObject(obj)
	if err != nil {
		panic(err)
	}
	s := scanner{data: data}
	tree, err := s.valueMap()
	if err != nil {
		panic(err)
	}
	delete(tree, "apiVersion")
	delete(tree, "kind")
	return tree
}

// ApplyShared is how Fold applies a patch.
func ApplyShared(value runtime.Object, patch []byte) (runtime.Object, error) {
	return applyShared(value, patch)
}

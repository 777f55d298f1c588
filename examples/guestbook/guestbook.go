package main

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Version is the API that the operator adds.
var Version = schema.GroupVersion{Group: "examples.reckon.dev", Version: "v1"}

// Guestbook is what people have written.
type Guestbook struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Entries []string `json:"entries,omitempty"`
	} `json:"spec,omitempty"`
	Status struct {
		Pages int `json:"pages,omitempty"`
	} `json:"status,omitempty"`
}

// GuestbookList is a list of them.
type GuestbookList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Guestbook `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (g *Guestbook) DeepCopyObject() runtime.Object {
	c := *g
	g.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	c.Spec.Entries = slices.Clone(g.Spec.Entries)
	return &c
}

// DeepCopyObject implements runtime.Object.
func (l *GuestbookList) DeepCopyObject() runtime.Object {
	c := *l
	l.ListMeta.DeepCopyInto(&c.ListMeta)
	c.Items = make([]Guestbook, len(l.Items))
	for i := range l.Items {
		c.Items[i] = *l.Items[i].DeepCopyObject().(*Guestbook)
	}
	return &c
}

// AddToScheme makes the kinds known.
func AddToScheme(s *runtime.Scheme) {
	s.AddKnownTypes(Version, &Guestbook{}, &GuestbookList{})
	metav1.AddToGroupVersion(s, Version)
}

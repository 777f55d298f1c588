package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	csiNodes    = "/apis/storage.k8s.io/v1/csinodes"
	annNodeID   = "csi.volume.kubernetes.io/nodeid" // on a node: its name at each driver, as JSON
	mostAnswers = 5                                 // tries of a write that others come before
)

// CSINode keeps the object that says which CSI drivers a node has.
type CSINode struct {
	Client *Client
	Node   string
}

// SetCSIDriver says that the node has a driver, and puts its topology on the node's labels.
func (c CSINode) SetCSIDriver(ctx context.Context, d storagev1.CSINodeDriver, topology map[string]string) error {
	node, err := c.Client.Node(ctx, c.Node)
	if err != nil {
		return err
	}
	if err := c.label(ctx, node, func(ids map[string]string) { ids[d.Name] = d.NodeID }, topology); err != nil {
		return err
	}
	return c.change(ctx, node, func(all []storagev1.CSINodeDriver) []storagev1.CSINodeDriver {
		return append(without(all, d.Name), d)
	})
}

// RemoveCSIDriver says that the node doesn't have a driver any more.
func (c CSINode) RemoveCSIDriver(ctx context.Context, name string) error {
	node, err := c.Client.Node(ctx, c.Node)
	if err != nil {
		return err
	}
	if err := c.change(ctx, node, func(all []storagev1.CSINodeDriver) []storagev1.CSINodeDriver { return without(all, name) }); err != nil {
		return err
	}
	return c.label(ctx, node, func(ids map[string]string) { delete(ids, name) }, nil)
}

func without(all []storagev1.CSINodeDriver, name string) []storagev1.CSINodeDriver {
	return slices.DeleteFunc(slices.Clone(all), func(d storagev1.CSINodeDriver) bool { return d.Name == name })
}

// change writes the drivers until nobody else wrote meanwhile. An object of an
// earlier node of this name is replaced.
func (c CSINode) change(ctx context.Context, node *v1.Node, to func([]storagev1.CSINodeDriver) []storagev1.CSINodeDriver) error {
	var err error
	for range mostAnswers {
		if err = c.changeOnce(ctx, node, to); !errors.Is(err, events.ErrConflict) && !errors.Is(err, events.ErrExists) {
			return err
		}
	}
	return err
}

func (c CSINode) changeOnce(ctx context.Context, node *v1.Node, to func([]storagev1.CSINodeDriver) []storagev1.CSINodeDriver) error {
	have := &storagev1.CSINode{}
	err := c.Client.do(ctx, http.MethodGet, csiNodes+"/"+c.Node, "", nil, have)
	if errors.Is(err, events.ErrNotFound) {
		return c.Client.do(ctx, http.MethodPost, csiNodes, typeJSON, &storagev1.CSINode{
			TypeMeta: metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "CSINode"},
			ObjectMeta: metav1.ObjectMeta{Name: c.Node, OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}},
			Spec: storagev1.CSINodeSpec{Drivers: append([]storagev1.CSINodeDriver{}, to(nil)...)},
		}, nil)
	}
	if err != nil {
		return err
	}
	drivers := to(have.Spec.Drivers)
	if equality.Semantic.DeepEqual(drivers, have.Spec.Drivers) {
		return nil
	}
	have.TypeMeta = metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "CSINode"}
	// A driver's entry can't be changed, only left out and put in again.
	if kept := unchanged(have.Spec.Drivers, drivers); len(kept) < len(drivers) && len(kept) < len(have.Spec.Drivers) {
		have.Spec.Drivers = kept
		if err := c.Client.do(ctx, http.MethodPut, csiNodes+"/"+c.Node, typeJSON, have, have); err != nil {
			return err
		}
	}
	have.Spec.Drivers = drivers
	return c.Client.do(ctx, http.MethodPut, csiNodes+"/"+c.Node, typeJSON, have, nil)
}

// unchanged gives the entries that two lists share.
func unchanged(a, b []storagev1.CSINodeDriver) []storagev1.CSINodeDriver {
	return slices.DeleteFunc(slices.Clone(a), func(d storagev1.CSINodeDriver) bool {
		return !slices.ContainsFunc(b, func(e storagev1.CSINodeDriver) bool { return equality.Semantic.DeepEqual(d, e) })
	})
}

// label brings the node's annotation with its ids and its topology labels up to date.
func (c CSINode) label(ctx context.Context, node *v1.Node, change func(ids map[string]string), topology map[string]string) error {
	ids := map[string]string{}
	if text := node.Annotations[annNodeID]; text != "" {
		if err := json.Unmarshal([]byte(text), &ids); err != nil {
			ids = map[string]string{} // somebody broke it
		}
	}
	had := maps.Clone(ids)
	change(ids)
	labels := missing(topology, node.Labels)
	if maps.Equal(had, ids) && len(labels) == 0 {
		return nil
	}
	data, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	metadata := map[string]any{"annotations": map[string]any{annNodeID: string(data)}}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	return c.Client.do(ctx, http.MethodPatch, "/api/v1/nodes/"+c.Node, typeMerge, map[string]any{"metadata": metadata}, nil)
}

package metrics

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	api "k8s.io/metrics/pkg/apis/metrics"
)

// table prints metrics for kubectl get.
type table struct{}

var _ rest.TableConvertor = table{}

// ConvertToTable implements rest.TableConvertor.
func (table) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	var out metav1.Table
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		out.ColumnDefinitions = []metav1.TableColumnDefinition{
			{Name: "Name", Type: "string", Format: "name", Description: "Name of the resource"},
			{Name: "cpu", Type: "string", Format: "quantity", Description: "CPU used, in cores"},
			{Name: "memory", Type: "string", Format: "quantity", Description: "memory of the working set"},
			{Name: "Window", Type: "string", Format: "duration", Description: "time that the use of CPU was measured over"},
		}
	}
	add := func(o runtime.Object, name string, cpu, memory resource.Quantity, window metav1.Duration) {
		out.Rows = append(out.Rows, metav1.TableRow{
			Cells:  []any{name, cpu.String(), memory.String(), window.Duration.String()},
			Object: runtime.RawExtension{Object: o},
		})
	}
	pod := func(m *api.PodMetrics) {
		var cpu, memory resource.Quantity
		for _, c := range m.Containers {
			cpu.Add(c.Usage[corev1.ResourceCPU])
			memory.Add(c.Usage[corev1.ResourceMemory])
		}
		add(m, m.Name, cpu, memory, m.Window)
	}
	node := func(m *api.NodeMetrics) {
		add(m, m.Name, m.Usage[corev1.ResourceCPU], m.Usage[corev1.ResourceMemory], m.Window)
	}
	switch m := object.(type) {
	case *api.PodMetrics:
		pod(m)
	case *api.PodMetricsList:
		for i := range m.Items {
			pod(&m.Items[i])
		}
	case *api.NodeMetrics:
		node(m)
	case *api.NodeMetricsList:
		for i := range m.Items {
			node(&m.Items[i])
		}
	default:
		return nil, fmt.Errorf("a %T is no metrics", object)
	}
	return &out, nil
}

package scheduler

import (
	"math/bits"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ImageLocality prefers nodes that have the pod's images already: the more bytes, and
// the more nodes have them, the higher the score. That counts from 23 MB on,
// and up to 1,000 MB for each image.
//
// The number of nodes is rounded to four significant bits: an image that spreads over
// thousands of nodes changes the scores some dozens of times, not thousands.
type ImageLocality struct{}

const (
	fewImageBytes  = 23 << 20
	manyImageBytes = 1000 << 20
)

// Name is Kubernetes' name of it.
func (ImageLocality) Name() string { return "ImageLocality" }

// Score is 0 while no node is known to have one of the images.
func (ImageLocality) Score(c *cluster, cl *class, n *node) int64 {
	if len(cl.images) == 0 || len(n.images) == 0 {
		return 0
	}
	var sum int64
	for _, name := range cl.images {
		if i := c.images[name]; i != nil {
			if size, ok := i.on[n.index]; ok {
				sum += size * rounded(len(i.on)) / rounded(c.ready)
			}
		}
	}
	most := int64(manyImageBytes) * int64(len(cl.images))
	return (min(max(sum, fewImageBytes), most) - fewImageBytes) * best / (most - fewImageBytes)
}

// image is one that nodes have.
type image struct{ on map[int32]int64 } // its size by node index

// rounded is n down to four significant bits, at least 1.
func rounded(n int) int64 {
	if drop := bits.Len(uint(n)) - 4; drop > 0 {
		n = n >> drop << drop
	}
	return int64(max(n, 1))
}

// imagesOf are the names of a pod's images, in order: with a tag, as nodes report them.
func imagesOf(pod *corev1.Pod) []string {
	out := make([]string, 0, len(pod.Spec.Containers)+len(pod.Spec.InitContainers))
	add := func(name string) {
		if name == "" {
			return
		}
		if strings.LastIndexByte(name, ':') <= strings.LastIndexByte(name, '/') {
			name += ":latest"
		}
		out = append(out, name)
	}
	for i := range pod.Spec.InitContainers {
		add(pod.Spec.InitContainers[i].Image)
	}
	for i := range pod.Spec.Containers {
		add(pod.Spec.Containers[i].Image)
	}
	for i := range pod.Spec.Volumes {
		if v := pod.Spec.Volumes[i].Image; v != nil {
			add(v.Reference)
		}
	}
	slices.Sort(out)
	return out
}

// setImages takes in which images a node has.
func (c *cluster) setImages(n *node, have []corev1.ContainerImage) {
	if !c.looksAtImages || sameImages(n.images, have) {
		return
	}
	for _, i := range n.images {
		for _, name := range i.Names {
			if of := c.images[name]; of != nil {
				if delete(of.on, n.index); len(of.on) == 0 {
					delete(c.images, name)
				}
			}
		}
	}
	n.images = have
	for _, i := range have {
		for _, name := range i.Names {
			of := c.images[name]
			if of == nil {
				of = &image{map[int32]int64{}}
				c.images[name] = of
			}
			of.on[n.index] = i.SizeBytes
		}
	}
	c.touch(n)
}

func sameImages(a, b []corev1.ContainerImage) bool {
	return slices.EqualFunc(a, b, func(a, b corev1.ContainerImage) bool {
		return a.SizeBytes == b.SizeBytes && slices.Equal(a.Names, b.Names)
	})
}

// imagesSpread sums up on how many nodes a class' images are: when it changes, all
// nodes score anew.
func (c *cluster) imagesSpread(cl *class) uint64 {
	if len(c.images) == 0 || len(cl.images) == 0 {
		return 0
	}
	var sum uint64
	for _, name := range cl.images {
		sum *= 1<<20 + 7
		if i := c.images[name]; i != nil {
			sum += uint64(rounded(len(i.on))) + 1
		}
	}
	if sum == 0 {
		return 0
	}
	return sum*(1<<20+7) + uint64(rounded(c.ready))
}

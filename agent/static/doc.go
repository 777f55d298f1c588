// Package static reads the pods that a node runs by itself from the files of a folder.
//
//  1. A file holds one pod, or a list of them, in YAML or JSON; files whose names begin with a
//     dot are left out.
//  2. A pod's uid comes from its content, its file and its node: another content is another pod.
//  3. A file that can't be used is told of and runs nothing; the others do.
//  4. Pods may not refer to objects of the cluster: they have to run without it.
package static

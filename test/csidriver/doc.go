// Package csidriver is a CSI driver for tests: volumes are folders, and loop devices on
// files where they are block volumes. It passes the sanity suite of csi-test.
//
//		d := csidriver.New(csidriver.Options{Name: "test.csi.example.com", Dir: dir, NodeID: "n1"})
//		stop, err := d.Serve(dir + "/csi.sock")           // identity, controller and node service
//		leave, err := d.Register(registry, dir+"/csi.sock") // as a node-driver-registrar does
//
//	 1. Calls may be repeated; what is published or staged twice is there once.
//	 2. It mounts where it is told, unmounts it, and removes a target path that it made.
//	 3. Volumes outlive the driver: another one on the same folder has them.
//	 4. Calls tells what it was asked, in order.
//
// An inline volume is a folder that goes when it is unpublished.
package csidriver

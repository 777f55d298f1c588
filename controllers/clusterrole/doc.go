// Package clusterrole gives a ClusterRole with an aggregation rule the rules of
// those that its selectors match: view, edit and admin learn this way what is
// allowed on a custom resource.
//
//  1. The rules are those of the matching roles in order of the selectors, then of
//     names; each is there once. The role itself never counts.
//  2. What a person writes into such a role's rules is put right again.
//  3. A change leads only to those roles that it may concern.
package clusterrole

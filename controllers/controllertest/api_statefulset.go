package controllertest

import appsv1 "k8s.io/api/apps/v1"

// setStatefulSetDefaults fills in what the API would.
func setStatefulSetDefaults(o *appsv1.StatefulSet) {
	o.Spec.Replicas = orDefault(o.Spec.Replicas, 1)
	o.Spec.RevisionHistoryLimit = orDefault(o.Spec.RevisionHistoryLimit, 10)
	if o.Spec.PodManagementPolicy == "" {
		o.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
	}
	u := &o.Spec.UpdateStrategy
	if u.Type == "" {
		u.Type = appsv1.RollingUpdateStatefulSetStrategyType
	}
	if u.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		if u.RollingUpdate == nil {
			u.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
		}
		u.RollingUpdate.Partition = orDefault(u.RollingUpdate.Partition, 0)
	}
	if o.Spec.PersistentVolumeClaimRetentionPolicy == nil {
		o.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
			WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		}
	}
}

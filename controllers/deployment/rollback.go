package deployment

import (
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/reckon-project/reckon/controllers"
)

// rollbackTo is the revision that the annotation of old clients asks to go back to;
// 0: the one before.
func (r *rollout) rollbackTo() (int64, bool) {
	n, err := strconv.ParseInt(r.d.Annotations[rollbackAnnotation], 10, 64)
	return n, err == nil
}

// rollback puts the template of a revision back, with the annotations that it had,
// and in any case takes the annotation away.
func (r *rollout) rollback(to int64) controllers.Intent {
	changed := r.d.DeepCopy()
	delete(changed.Annotations, rollbackAnnotation)
	if to == 0 {
		if to = r.lastRevision(); to == 0 {
			return controllers.Update(r.object, changed).Because("DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
		}
	}
	for _, rs := range r.all {
		if revisionOf(rs.Annotations) != to {
			continue
		}
		if sameTemplate(&rs.Spec.Template, &r.d.Spec.Template) {
			return controllers.Update(r.object, changed).
				Because("DeploymentRollbackTemplateUnchanged", "The rollback revision contains the same template as current deployment %q", r.d.Name)
		}
		changed.Spec.Template = *rs.Spec.Template.DeepCopy()
		delete(changed.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		maps.DeleteFunc(changed.Annotations, func(name, _ string) bool { return !own(name) })
		for k, v := range rs.Annotations {
			if !own(k) {
				changed.Annotations[k] = v
			}
		}
		return controllers.Update(r.object, changed).Because("DeploymentRollback", "Rolled back deployment %q to revision %d", r.d.Name, to)
	}
	return controllers.Update(r.object, changed).Because("DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to.")
}

// lastRevision is the one before that of the present template.
func (r *rollout) lastRevision() int64 {
	newest, last := int64(0), int64(0)
	if r.new == nil {
		newest = r.nextRevision()
	}
	for _, rs := range r.all {
		switch n := revisionOf(rs.Annotations); {
		case n >= newest:
			newest, last = n, newest
		case n > last:
			last = n
		}
	}
	return last
}

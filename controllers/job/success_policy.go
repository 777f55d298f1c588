package job

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
)

// criteriaMet says which rule of the success policy the succeeded indexes
// fulfil, "" if none.
func criteriaMet(policy *batchv1.SuccessPolicy, completions int, succeeded indexes) string {
	if policy == nil || len(succeeded) == 0 {
		return ""
	}
	for i, rule := range policy.Rules {
		met := false
		switch {
		case rule.SucceededIndexes != nil:
			required := parseIndexes(*rule.SucceededIndexes, completions)
			if len(required) == 0 {
				continue
			}
			have := required.common(succeeded)
			met = have == required.total() || rule.SucceededCount != nil && have >= int(*rule.SucceededCount)
		case rule.SucceededCount != nil:
			met = succeeded.total() >= int(*rule.SucceededCount)
		}
		if met {
			return fmt.Sprintf("Matched rules at index %d", i)
		}
	}
	return ""
}

package scheduler

import (
	"errors"
	"testing"

	"github.com/reckon-project/reckon/events"
)

func TestParsePreemption(t *testing.T) {
	for name, c := range map[string]struct {
		profile string
		want    preemptionArgs
	}{
		"usual":              {"{}", usualPreemption},
		"arguments":          {"{pluginConfig: [{name: DefaultPreemption, args: {minCandidateNodesPercentage: 5, minCandidateNodesAbsolute: 7}}]}", preemptionArgs{percent: 5, absolute: 7}},
		"disabled":           {"{plugins: {postFilter: {disabled: [{name: DefaultPreemption}]}}}", preemptionArgs{percent: 10, absolute: 100, off: true}},
		"all disabled":       {"{plugins: {multiPoint: {disabled: [{name: '*'}]}}}", preemptionArgs{percent: 10, absolute: 100, off: true}},
		"all but it":         {"{plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: DefaultPreemption}]}}}", usualPreemption},
		"disabled elsewhere": {"{plugins: {multiPoint: {disabled: [{name: DefaultPreemption}]}}}", preemptionArgs{percent: 10, absolute: 100, off: true}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := ParseConfig([]byte(configHead + "profiles: [" + c.profile + "]\n"))
			if err != nil {
				t.Fatal(err)
			}
			if got := config.profiles[0].plugins.preemption; got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	for _, bad := range []string{"{minCandidateNodesPercentage: 101}", "{minCandidateNodesAbsolute: -1}", "{minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}"} {
		_, err := ParseConfig([]byte(configHead + "profiles: [{pluginConfig: [{name: DefaultPreemption, args: " + bad + "}]}]\n"))
		if !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

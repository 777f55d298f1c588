package scheduler

import (
	"errors"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/events"
)

const configHead = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig([]byte(configHead + `
leaderElection: {leaderElect: true}
profiles:
- schedulerName: default-scheduler
  plugins:
    multiPoint:
      disabled: [{name: PodTopologySpread}]
    filter:
      disabled: [{name: NodePorts}]
    score:
      disabled: [{name: "*"}]
      enabled: [{name: NodeResourcesFit, weight: 7}, {name: TaintToleration}]
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: MostAllocated
        resources: [{name: cpu, weight: 3}, {name: memory, weight: 1}]
`))
	if err != nil {
		t.Fatal(err)
	}
	p := c.plugins()
	var filters, scores []string
	for _, f := range p.filters {
		filters = append(filters, f.Name())
	}
	for _, s := range p.scores {
		scores = append(scores, s.Name())
	}
	if got := strings.Join(filters, " "); got != "NodeUnschedulable NodeName TaintToleration NodeAffinity NodeResourcesFit VolumeRestrictions NodeVolumeLimits VolumeBinding VolumeZone DynamicResources InterPodAffinity" || p.static != 4 {
		t.Errorf("filters %s, %d static", got, p.static)
	}
	if got := strings.Join(scores, " "); got != "TaintToleration NodeResourcesFit" || p.staticScores != 1 || p.spread != 0 {
		t.Errorf("scores %s, %d static, spread %d", got, p.staticScores, p.spread)
	}
	if w := p.weight("NodeResourcesFit"); w != 7 {
		t.Errorf("NodeResourcesFit counts %d", w)
	}
	if w := p.weight("TaintToleration"); w != 3 {
		t.Errorf("TaintToleration counts %d, not its usual weight", w)
	}
	full, empty := &node{allocatable: []int64{1000, 1000}, cpu: 900, memory: 100}, &node{allocatable: []int64{1000, 1000}}
	cl := &class{demand: &demand{}}
	fit := p.scores[1].score
	if a, b := fit.Score(nil, cl, full), fit.Score(nil, cl, empty); a != 70_000 || b != 0 {
		t.Errorf("a node used to 90 %% of cpu and 10 %% of memory scores %d, an empty one %d", a, b)
	}
}

func TestParseConfigOfNothing(t *testing.T) {
	c, err := ParseConfig([]byte(configHead))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.plugins(), (*Config)(nil).plugins(); len(got.filters) != len(want.filters) || len(got.scores) != len(want.scores) {
		t.Errorf("an empty configuration isn't the default one: %v", got)
	}
}

func TestRequestedToCapacityRatioFollowsItsCurve(t *testing.T) {
	c, err := ParseConfig([]byte(configHead + `
profiles:
- pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu}]
        requestedToCapacityRatio:
          shape: [{utilization: 20, score: 0}, {utilization: 60, score: 10}, {utilization: 100, score: 5}]
`))
	if err != nil {
		t.Fatal(err)
	}
	s := c.plugins().scores[2].score
	cl := &class{demand: &demand{}}
	for cpu, want := range map[int64]int64{0: 0, 200: 0, 400: 50_000, 600: 100_000, 800: 75_000, 1000: 50_000} {
		if got := s.Score(nil, cl, &node{allocatable: []int64{1000, 1000}, cpu: cpu}); got != want {
			t.Errorf("%d of 1000 scores %d, want %d", cpu, got, want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"another kind":     {"apiVersion: v1\nkind: Pod\n", "no kind"},
		"unknown field":    {configHead + "profile: []\n", `unknown field "profile"`},
		"unknown plugin":   {configHead + "profiles: [{plugins: {score: {enabled: [{name: Best}]}}}]\n", "plugins.score.enabled[0]: no plugin Best: there are NodeUnschedulable"},
		"absent plugin":    {configHead + "profiles: [{plugins: {filter: {enabled: [{name: PrioritySort}]}}}]\n", "PrioritySort can't be chosen"},
		"a filter's score": {configHead + "profiles: [{plugins: {score: {enabled: [{name: NodePorts}]}}}]\n", "the plugin NodePorts does nothing at that point"},
		"other point":      {configHead + "profiles: [{plugins: {permit: {enabled: [{name: X}]}}}]\n", "plugins.permit: only plugins at"},
		"one name twice":   {configHead + "profiles: [{}, {}]\n", "profiles[1].schedulerName: there is a profile of the name default-scheduler already"},
		"no name":          {configHead + "profiles: [{schedulerName: ''}]\n", "profiles[0].schedulerName: it is empty"},
		"extender binds":   {configHead + "extenders: [{urlPrefix: http://127.0.0.1, bindVerb: bind}]\n", "extenders[0].bindVerb: placements are events"},
		"extender's score": {configHead + "extenders: [{urlPrefix: http://127.0.0.1, prioritizeVerb: score}]\n", "extenders[0].weight: 0 is not positive"},
		"percentage":       {configHead + "percentageOfNodesToScore: 101\n", "101 is not between"},
		"weight":           {configHead + "profiles: [{plugins: {score: {enabled: [{name: NodeAffinity, weight: 1001}]}}}]\n", "1001 is not between"},
		"strategy":         {configHead + "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Tightest}}}]}]\n", `"Tightest" is none of`},
		"no shape":         {configHead + "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio}}}]}]\n", "at least one point"},
		"one twice":        {configHead + "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated, resources: [{name: gpu}, {name: gpu}]}}}]}]\n", "gpu is there twice"},
		"other arguments":  {configHead + "profiles: [{pluginConfig: [{name: DynamicResources, args: {apiVersion: kubescheduler.config.k8s.io/v1, kind: DynamicResourcesArgs}}]}]\n", "DynamicResources can't be chosen"},
		"affinity weight":  {configHead + "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]\n", "args.hardPodAffinityWeight: 101 is not between 0 and 100"},
		"system defaults":  {configHead + "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}}]}]\n", "say List"},
		"default skew":     {configHead + "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}}]}]\n", "defaultConstraints[0].maxSkew: 0 is not above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseConfig([]byte(c.text))
			if !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
		})
	}
}

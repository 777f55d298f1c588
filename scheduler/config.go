package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	configv1 "k8s.io/kube-scheduler/config/v1"
)

// Config says which plugins decide and what their scores count, for each
// scheduler name.
type Config struct {
	profiles  []profile
	extenders []*extender
}

// plugins are those of the first profile.
func (c *Config) plugins() plugins {
	return c.list()[0].plugins
}

// ParseConfig reads a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1,
// YAML or JSON). What it asks for and this scheduler doesn't do is an error of
// class events.ErrInvalid that names the field; what is about processes that
// there are none of here (leader election, client connection) is passed over, and so is
// percentageOfNodesToScore: all nodes that changed are always looked at.
func ParseConfig(data []byte) (*Config, error) {
	scheme := runtime.NewScheme()
	if err := configv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: scheduler configuration: %w", events.ErrInvalid, err)
	}
	file, ok := object.(*configv1.KubeSchedulerConfiguration)
	if !ok {
		return nil, invalid("", "it is a %T, not a KubeSchedulerConfiguration", object)
	}
	if err := file.DecodeNestedObjects(codecs.UniversalDeserializer()); err != nil {
		return nil, fmt.Errorf("%w: scheduler configuration: %w", events.ErrInvalid, err)
	}
	if p := file.PercentageOfNodesToScore; p != nil && (*p < 0 || *p > 100) {
		return nil, invalid("percentageOfNodesToScore", "%d is not between 0 and 100", *p)
	}
	if len(file.Profiles) == 0 {
		file.Profiles = make([]configv1.KubeSchedulerProfile, 1)
	}
	config := &Config{}
	for i := range file.Profiles {
		p, err := parseProfile(fmt.Sprintf("profiles[%d]", i), &file.Profiles[i])
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(config.profiles, func(o profile) bool { return o.name == p.name }) {
			return nil, invalid(fmt.Sprintf("profiles[%d].schedulerName", i), "there is a profile of the name %s already", p.name)
		}
		config.profiles = append(config.profiles, p)
	}
	for i := range file.Extenders {
		e, ignored, err := parseExtender(fmt.Sprintf("extenders[%d]", i), &file.Extenders[i])
		if err != nil {
			return nil, err
		}
		config.extenders = append(config.extenders, e)
		for _, p := range config.profiles {
			for _, name := range ignored {
				p.plugins.settings.ignored[name] = true
			}
		}
	}
	return config, nil
}

func invalid(field, format string, args ...any) error {
	if field != "" {
		field += ": "
	}
	return fmt.Errorf("%w: scheduler configuration: %s%s", events.ErrInvalid, field, fmt.Sprintf(format, args...))
}

// parseProfile reads one profile.
func parseProfile(at string, p *configv1.KubeSchedulerProfile) (out profile, err error) {
	out.name = corev1.DefaultSchedulerName
	if p.SchedulerName != nil {
		out.name = *p.SchedulerName
	}
	if out.name == "" {
		return out, invalid(at+".schedulerName", "it is empty")
	}
	args, err := parseArgs(at, p.PluginConfig)
	if err != nil {
		return out, err
	}
	all := known(args)
	filters, scores := map[string]bool{}, map[string]int64{}
	for _, f := range all.filters {
		filters[f.Name()] = true
	}
	for _, s := range all.scores {
		scores[s.Name()] = s.weight
	}
	usual := all.names()
	if p.Plugins == nil {
		p.Plugins = &configv1.Plugins{}
	}
	all.preemption.off = preemptionOff(p.Plugins)
	if err := checkOthers(at, p.Plugins); err != nil {
		return out, err
	}
	// multiPoint first: what a point itself says goes before it.
	for _, of := range []struct {
		point           string
		set             configv1.PluginSet
		filters, scores bool
	}{
		{"multiPoint", p.Plugins.MultiPoint, true, true},
		{"filter", p.Plugins.Filter, true, false},
		{"score", p.Plugins.Score, false, true},
	} {
		for i, d := range of.set.Disabled {
			if d.Name != "*" && !slices.Contains(usual, d.Name) && !slices.Contains(absentPlugins, d.Name) {
				return out, unknownPlugin(fmt.Sprintf(at+".plugins.%s.disabled[%d]", of.point, i), d.Name, usual)
			}
			for name := range filters {
				if of.filters && (d.Name == "*" || d.Name == name) {
					filters[name] = false
				}
			}
			for name := range scores {
				if of.scores && (d.Name == "*" || d.Name == name) {
					scores[name] = 0
				}
			}
		}
		for i, e := range of.set.Enabled {
			if of.filters && of.scores && e.Name == defaultPreemption {
				continue
			}
			field := fmt.Sprintf(at+".plugins.%s.enabled[%d]", of.point, i)
			_, isFilter := filters[e.Name]
			_, isScore := scores[e.Name]
			isFilter, isScore = isFilter && of.filters, isScore && of.scores
			if !isFilter && !isScore {
				return out, unknownPlugin(field, e.Name, usual)
			}
			if isFilter {
				filters[e.Name] = true
			}
			if isScore {
				scores[e.Name] = all.weight(e.Name)
				if e.Weight != nil && *e.Weight != 0 {
					scores[e.Name] = int64(*e.Weight)
				}
				if w := scores[e.Name]; w < 0 || w > 1000 {
					return out, invalid(field+".weight", "%d is not between 1 and 1000", w)
				}
			}
		}
	}
	out.plugins = all.chosen(filters, scores)
	return out, nil
}

// absentPlugins are Kubernetes' that may be disabled here because they aren't there.
var absentPlugins = []string{
	"SchedulingGates", "PrioritySort",
	"DefaultPreemption", "DefaultBinder", "GangScheduling",
}

func unknownPlugin(field, name string, usual []string) error {
	if slices.Contains(absentPlugins, name) {
		return invalid(field, "the plugin %s can't be chosen in this scheduler", name)
	}
	if slices.Contains(usual, name) {
		return invalid(field, "the plugin %s does nothing at that point", name)
	}
	return invalid(field, "no plugin %s: there are %s", name, strings.Join(usual, ", "))
}

// checkOthers refuses plugins at points where this scheduler has none to choose.
func checkOthers(field string, p *configv1.Plugins) error {
	for _, at := range []struct {
		point string
		set   configv1.PluginSet
	}{
		{"preEnqueue", p.PreEnqueue}, {"queueSort", p.QueueSort}, {"preFilter", p.PreFilter}, {"postFilter", withoutPreemption(p.PostFilter)},
		{"preScore", p.PreScore}, {"reserve", p.Reserve}, {"permit", p.Permit}, {"preBind", p.PreBind}, {"bind", p.Bind}, {"postBind", p.PostBind},
		{"placementGenerate", p.PlacementGenerate}, {"placementScore", p.PlacementScore}, {"podGroupPostFilter", p.PodGroupPostFilter},
	} {
		if len(at.set.Enabled)+len(at.set.Disabled) > 0 {
			return invalid(field+".plugins."+at.point, "only plugins at multiPoint, filter and score can be chosen in this scheduler")
		}
	}
	return nil
}

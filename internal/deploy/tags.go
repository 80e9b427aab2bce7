package deploy

import (
	"maps"
	"slices"
)

// sortedTags are tags with others over them, by key: the same call twice is the same call.
func sortedTags(tags map[string]string, over ...Tag) (all []Tag) {
	merged := maps.Clone(tags)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, t := range over {
		merged[t.Key] = t.Value
	}
	for _, k := range slices.Sorted(maps.Keys(merged)) {
		all = append(all, Tag{k, merged[k]})
	}
	return all
}

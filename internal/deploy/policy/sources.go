package policy

import (
	"slices"
	"strings"
)

// sources are the rights to read the backups that another farm left.
func (s Scope) sources() []Statement {
	if len(s.Sources) == 0 {
		return nil
	}
	var objects, buckets []string
	for _, place := range s.Sources {
		place = strings.Trim(place, "/")
		bucket, _, _ := strings.Cut(place, "/")
		objects, buckets = append(objects, s.arn("s3", place+"/*")), append(buckets, s.arn("s3", bucket))
	}
	slices.Sort(buckets)
	return []Statement{
		{
			Sid: "RestoreFrom", Action: []string{"s3:GetObject"}, Resource: objects,
			Why: "A database is restored from the backups that another farm left. Needed only for as long as that takes.",
		},
		{
			Sid: "ListRestoreFrom", Action: []string{"s3:ListBucket"}, Resource: slices.Compact(buckets),
			Why: "Which backups that farm left.",
		},
	}
}

package ec2

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// template is a launch template with its versions, which stay numbered when one is deleted.
type template struct {
	templateOut
	versions map[int]*templateVersion
	serial   string
}

type templateOut struct {
	LaunchTemplateId, LaunchTemplateName, CreatedBy string
	CreateTime                                      time.Time
	DefaultVersionNumber, LatestVersionNumber       int
	Tag                                             []Tag
}

type templateVersion struct {
	LaunchTemplateId, LaunchTemplateName, CreatedBy, VersionDescription string
	VersionNumber                                                       int
	CreateTime                                                          time.Time
	DefaultVersion                                                      bool
	LaunchTemplateData                                                  launchSpec
}

type (
	createTemplate struct {
		ClientToken        string
		LaunchTemplateName string     `q:",required"`
		LaunchTemplateData launchSpec `q:",required"`
		VersionDescription string
		TagSpecification   []TagSpecification
	}
	createVersion struct {
		ClientToken                          string
		LaunchTemplateId, LaunchTemplateName string
		LaunchTemplateData                   launchSpec `q:",required"`
		SourceVersion, VersionDescription    string
		ResolveAlias                         bool
	}
	describeTemplates struct {
		paged
		LaunchTemplateId   []string
		LaunchTemplateName []string
		Filter             []wire.Filter
	}
	describeVersions struct {
		paged
		LaunchTemplateId, LaunchTemplateName string
		LaunchTemplateVersion                []string
		MinVersion, MaxVersion               string
		ResolveAlias                         bool
		Filter                               []wire.Filter
	}
	deleteTemplate struct{ LaunchTemplateId, LaunchTemplateName string }
	deleteVersions struct {
		LaunchTemplateId, LaunchTemplateName string
		LaunchTemplateVersion                []string
	}
	modifyTemplate struct {
		ClientToken                          string
		LaunchTemplateId, LaunchTemplateName string
		SetDefaultVersion                    string
	}
	templateMade  struct{ LaunchTemplate templateOut }
	versionMade   struct{ LaunchTemplateVersion templateVersion }
	templatesList struct {
		LaunchTemplate []templateOut `x:"launchTemplates"`
		NextToken      string
	}
	versionsList struct {
		Version   []templateVersion `x:"launchTemplateVersionSet"`
		NextToken string
	}
	versionDeleted struct {
		LaunchTemplateId, LaunchTemplateName string
		VersionNumber                        int
		ResponseError                        *struct{ Code, Message string }
	}
	versionsDeleted struct {
		Deleted []versionDeleted `x:"successfullyDeletedLaunchTemplateVersionSet"`
		Failed  []versionDeleted `x:"unsuccessfullyDeletedLaunchTemplateVersionSet"`
	}
)

func (s *Service) onTemplates() {
	wire.On(s.Query, "CreateLaunchTemplate", s.createTemplate)
	wire.On(s.Query, "CreateLaunchTemplateVersion", s.createVersion)
	wire.On(s.Query, "DescribeLaunchTemplates", s.describeTemplates)
	wire.On(s.Query, "DescribeLaunchTemplateVersions", s.describeVersions)
	wire.On(s.Query, "ModifyLaunchTemplate", s.modifyTemplate)
	wire.On(s.Query, "DeleteLaunchTemplate", s.deleteTemplate)
	wire.On(s.Query, "DeleteLaunchTemplateVersions", s.deleteVersions)
}

// template finds a launch template by id or name; exactly one of them is given.
func (s *Service) template(id, name string) (*template, error) {
	switch {
	case id != "" && name != "":
		return nil, wire.Errorf("InvalidParameterCombination", "You must specify either the launch template ID or the launch template name, but not both.")
	case id == "" && name == "":
		return nil, wire.Errorf("MissingParameter", "You must specify either the launch template ID or the launch template name.")
	case id != "" && !wellFormed("lt", id):
		return nil, wire.Errorf("InvalidLaunchTemplateId.Malformed", "The launch template ID '%s' is malformed.", id)
	}
	for _, t := range s.templates {
		if t.LaunchTemplateId == id || t.LaunchTemplateName == name {
			return t, nil
		}
	}
	if id != "" {
		return nil, wire.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	return nil, wire.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
}

// version finds a version by number, "$Latest" or "$Default" (which "" means too).
func (t *template) version(which string) (*templateVersion, error) {
	n := 0
	switch which {
	case "", "$Default":
		n = t.DefaultVersionNumber
	case "$Latest":
		n = t.LatestVersionNumber
	default:
		var err error
		if n, err = strconv.Atoi(which); err != nil {
			return nil, wire.Errorf("InvalidLaunchTemplateVersion.Malformed", "The launch template version '%s' is malformed.", which)
		}
	}
	if v, ok := t.versions[n]; ok {
		return v, nil
	}
	return nil, wire.Errorf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", which, t.LaunchTemplateId)
}

// merged is what a launch template (nil: none) and the request's own parameters make together: the latter win.
func (s *Service) merged(ref *templateRef, own launchSpec) (launchSpec, []Tag, error) {
	if ref == nil {
		return own, nil, nil
	}
	t, err := s.template(ref.LaunchTemplateId, ref.LaunchTemplateName)
	if err != nil {
		return own, nil, err
	}
	v, err := t.version(ref.Version)
	if err != nil {
		return own, nil, err
	}
	spec := v.LaunchTemplateData
	to, from := reflect.ValueOf(&spec).Elem(), reflect.ValueOf(own)
	for i := range from.NumField() {
		if name := from.Type().Field(i).Name; !from.Field(i).IsZero() && name != "TagSpecification" {
			to.Field(i).Set(from.Field(i))
		}
	}
	spec.TagSpecification = mergeTags(spec.TagSpecification, own.TagSpecification)
	return spec, []Tag{{"aws:ec2launchtemplate:id", t.LaunchTemplateId}, {"aws:ec2launchtemplate:version", itoa(v.VersionNumber)}}, nil
}

// mergeTags adds a request's tags to a template's, by kind; the request's win by key.
func mergeTags(base, over []TagSpecification) []TagSpecification {
	out := slices.Clone(base)
	return append(out, over...) // later ones overwrite when they are set
}

func (s *Service) checkTemplate(d launchSpec) error {
	for _, spec := range d.TagSpecification {
		if spec.ResourceType == "" {
			return wire.Errorf("InvalidTagKey.Malformed", "Tag specification resource type must have a value")
		}
	}
	return checkTags(d.TagSpecification, "instance", "volume", "network-interface", "spot-instances-request")
}

func (s *Service) createTemplate(c *wire.Context, in *createTemplate) (*templateMade, error) {
	params := *in
	params.ClientToken = ""
	id, err := once(s, c, "CreateLaunchTemplate", in.ClientToken, params, func() (string, error) {
		n := in.LaunchTemplateName
		if len(n) < 3 || len(n) > 128 || strings.Trim(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789().-/_") != "" {
			return "", wire.Errorf("InvalidLaunchTemplateName.MalformedException", "Launch template names must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
		}
		if _, err := s.template("", n); err == nil {
			return "", wire.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
		if err := checkTags(in.TagSpecification, "launch-template"); err != nil {
			return "", err
		}
		if err := s.checkTemplate(in.LaunchTemplateData); err != nil {
			return "", err
		}
		if err := c.Commit(); err != nil {
			return "", err
		}
		t := &template{versions: map[int]*templateVersion{}, serial: s.world.Serial()}
		t.templateOut = templateOut{LaunchTemplateId: s.world.ID("lt"), LaunchTemplateName: n, CreatedBy: c.Caller.ARN, CreateTime: s.world.Now(), DefaultVersionNumber: 1}
		s.templates[t.LaunchTemplateId] = t
		s.tagNew(t.LaunchTemplateId, "launch-template", in.TagSpecification)
		s.addVersion(c, t, in.LaunchTemplateData, in.VersionDescription)
		return t.LaunchTemplateId, nil
	})
	if err != nil {
		return nil, err
	}
	t, ok := s.templates[id]
	if !ok {
		return nil, wire.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	return &templateMade{s.describeTemplate(t)}, nil
}

func (s *Service) describeTemplate(t *template) templateOut {
	out := t.templateOut
	out.Tag = s.tagsOf(t.LaunchTemplateId)
	return out
}

func (s *Service) addVersion(c *wire.Context, t *template, data launchSpec, description string) *templateVersion {
	t.LatestVersionNumber++
	v := &templateVersion{LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName, CreatedBy: c.Caller.ARN, VersionDescription: description,
		VersionNumber: t.LatestVersionNumber, CreateTime: s.world.Now(), LaunchTemplateData: data}
	v.DefaultVersion = v.VersionNumber == t.DefaultVersionNumber
	t.versions[v.VersionNumber] = v
	return v
}

func (s *Service) createVersion(c *wire.Context, in *createVersion) (*versionMade, error) {
	t, err := s.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = ""
	v, err := once(s, c, "CreateLaunchTemplateVersion", in.ClientToken, params, func() (*templateVersion, error) {
		if err := s.checkTemplate(in.LaunchTemplateData); err != nil {
			return nil, err
		}
		data := in.LaunchTemplateData
		if in.SourceVersion != "" {
			var err error
			if data, _, err = s.merged(&templateRef{LaunchTemplateId: t.LaunchTemplateId, Version: in.SourceVersion}, data); err != nil {
				return nil, err
			}
		}
		if err := c.Commit(); err != nil {
			return nil, err
		}
		return s.addVersion(c, t, data, in.VersionDescription), nil
	})
	if err != nil {
		return nil, err
	}
	return &versionMade{*v}, nil
}

func (s *Service) describeTemplates(_ *wire.Context, in *describeTemplates) (*templatesList, error) {
	size, err := in.size(s.world, 0, 1, 200)
	if err != nil {
		return nil, err
	}
	for _, id := range in.LaunchTemplateId {
		if _, err := s.template(id, ""); err != nil {
			return nil, err
		}
	}
	for _, name := range in.LaunchTemplateName {
		if _, err := s.template("", name); err != nil {
			return nil, err
		}
	}
	var all []*template
	for _, t := range s.templates {
		ok, err := wire.Pass(in.Filter, s.tags[t.LaunchTemplateId], func(name string) ([]string, bool) {
			return pick(name, map[string]string{"launch-template-name": t.LaunchTemplateName, "create-time": t.CreateTime.UTC().Format(time.RFC3339)})
		})
		if err != nil {
			return nil, err
		}
		asked := len(in.LaunchTemplateId)+len(in.LaunchTemplateName) == 0 || slices.Contains(in.LaunchTemplateId, t.LaunchTemplateId) || slices.Contains(in.LaunchTemplateName, t.LaunchTemplateName)
		if ok && asked {
			all = append(all, t)
		}
	}
	page, next, werr := wire.Page(all, func(t *template) string { return t.serial }, "templates", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	out := &templatesList{NextToken: next}
	for _, t := range page {
		out.LaunchTemplate = append(out.LaunchTemplate, s.describeTemplate(t))
	}
	return out, nil
}

func (s *Service) describeVersions(_ *wire.Context, in *describeVersions) (*versionsList, error) {
	size, err := in.size(s.world, 0, 1, 200)
	if err != nil {
		return nil, err
	}
	t, err := s.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	var all []templateVersion
	for _, which := range in.LaunchTemplateVersion {
		v, err := t.version(which)
		if err != nil {
			return nil, err
		}
		all = append(all, *v)
	}
	least, most := bound(in.MinVersion, 0), bound(in.MaxVersion, 1<<30)
	for _, v := range t.versions {
		if len(in.LaunchTemplateVersion) == 0 && v.VersionNumber >= least && v.VersionNumber <= most {
			all = append(all, *v)
		}
	}
	// Newest first, as the real one lists them.
	page, next, werr := wire.Page(all, func(v templateVersion) string { return itoa(1<<30 - v.VersionNumber) }, "versions", in.NextToken, size)
	if werr != nil {
		return nil, werr
	}
	return &versionsList{page, next}, nil
}

func bound(s string, none int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return none
}

func (s *Service) modifyTemplate(c *wire.Context, in *modifyTemplate) (*templateMade, error) {
	t, err := s.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	v, err := t.version(in.SetDefaultVersion)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	t.versions[t.DefaultVersionNumber].DefaultVersion = false
	t.DefaultVersionNumber, v.DefaultVersion = v.VersionNumber, true
	return &templateMade{s.describeTemplate(t)}, nil
}

func (s *Service) deleteTemplate(c *wire.Context, in *deleteTemplate) (*templateMade, error) {
	t, err := s.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	out := &templateMade{s.describeTemplate(t)}
	delete(s.templates, t.LaunchTemplateId)
	delete(s.tags, t.LaunchTemplateId)
	return out, nil
}

func (s *Service) deleteVersions(c *wire.Context, in *deleteVersions) (*versionsDeleted, error) {
	t, err := s.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	out := &versionsDeleted{}
	for _, which := range in.LaunchTemplateVersion {
		n, _ := strconv.Atoi(which)
		d := versionDeleted{LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName, VersionNumber: n}
		switch _, ok := t.versions[n]; {
		case !ok:
			d.ResponseError = &struct{ Code, Message string }{"launchTemplateVersionDoesNotExist", "Could not find the specified version " + which}
		case n == t.DefaultVersionNumber:
			d.ResponseError = &struct{ Code, Message string }{"unexpectedError", "Cannot delete the default version of a launch template"}
		default:
			delete(t.versions, n)
			out.Deleted = append(out.Deleted, d)
			continue
		}
		out.Failed = append(out.Failed, d)
	}
	return out, nil
}

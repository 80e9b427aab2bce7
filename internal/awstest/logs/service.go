// Package logs answers for CloudWatch Logs as far as somebody writes to a group that is there: JSON, one action a call.
package logs

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

const target = "Logs_20140328."

// Service is CloudWatch Logs.
type Service struct {
	world  *wire.World
	groups map[string]map[string][]event // streams by group
}

type event struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// New returns a service without groups.
func New(w *wire.World) *Service { return &Service{world: w, groups: map[string]map[string][]event{}} }

// AddGroup makes a log group, as somebody else did.
func (s *Service) AddGroup(name string) {
	s.world.Lock()
	defer s.world.Unlock()
	s.groups[name] = map[string][]event{}
}

// Lines are those of a group's streams, by stream.
func (s *Service) Lines(group string) map[string][]string {
	s.world.Lock()
	defer s.world.Unlock()
	all := map[string][]string{}
	for stream, events := range s.groups[group] {
		all[stream] = []string{}
		for _, e := range events {
			all[stream] = append(all[stream], e.Message)
		}
	}
	return all
}

// Action implements wire.Service.
func (s *Service) Action(r *http.Request) (string, *wire.Error) {
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok || !slices.Contains([]string{"CreateLogStream", "PutLogEvents", "DescribeLogGroups"}, action) {
		return action, wire.Errorf("UnknownOperationException", "")
	}
	return action, nil
}

// request has the fields of all actions.
type request struct {
	LogGroupName, LogStreamName, LogGroupNamePrefix, NextToken string
	Limit                                                      int
	LogEvents                                                  []event
}

// Serve implements wire.Service.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, _ wire.Caller) {
	action, _ := s.Action(r)
	var in request
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		s.Refuse(w, r, wire.Errorf("SerializationException", "%v", err))
		return
	}
	s.world.Lock()
	out, err := s.do(action, in)
	s.world.Unlock()
	if err != nil {
		s.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out) // the client is gone
}

func (s *Service) do(action string, in request) (any, *wire.Error) {
	streams, group := s.groups[in.LogGroupName]
	if action == "DescribeLogGroups" {
		groups := []map[string]any{}
		for name := range s.groups {
			if strings.HasPrefix(name, in.LogGroupNamePrefix) {
				groups = append(groups, map[string]any{"logGroupName": name, "arn": s.world.ARN("logs", s.world.Region, "log-group:"+name+":*")})
			}
		}
		return map[string]any{"logGroups": groups}, nil
	}
	if !group {
		return nil, wire.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
	}
	events, stream := streams[in.LogStreamName]
	if action == "CreateLogStream" {
		if stream {
			return nil, wire.Errorf("ResourceAlreadyExistsException", "The specified log stream already exists")
		}
		if in.LogStreamName == "" || len(in.LogStreamName) > 512 || strings.ContainsAny(in.LogStreamName, ":*") {
			return nil, wire.Errorf("InvalidParameterException", "1 validation error detected: Value at 'logStreamName' failed to satisfy constraint")
		}
		streams[in.LogStreamName] = nil
		return map[string]any{}, nil
	}
	if !stream {
		return nil, wire.Errorf("ResourceNotFoundException", "The specified log stream does not exist.")
	}
	if err := s.check(in.LogEvents); err != nil {
		return nil, err
	}
	streams[in.LogStreamName] = append(events, in.LogEvents...)
	return map[string]any{"nextSequenceToken": s.world.Letters(16)}, nil
}

// check refuses what the API documents that it refuses.
func (s *Service) check(events []event) *wire.Error {
	invalid := func(why string) *wire.Error {
		return wire.Errorf("InvalidParameterException", "Log events in a single PutLogEvents request %s", why)
	}
	size := 0
	now := s.world.Now()
	for i, e := range events {
		size += len(e.Message) + 26
		at := time.UnixMilli(e.Timestamp)
		switch {
		case e.Message == "":
			return invalid("must not be empty.")
		case i > 0 && e.Timestamp < events[i-1].Timestamp:
			return invalid("must be in chronological order.")
		case at.After(now.Add(2 * time.Hour)):
			return invalid("must not be more than 2 hours in the future.")
		}
	}
	if len(events) == 0 || len(events) > 10_000 || size > 1<<20 {
		return invalid("must be 1 to 10,000, and 1,048,576 bytes at most.")
	}
	return nil
}

// Refuse implements wire.Service.
func (s *Service) Refuse(w http.ResponseWriter, _ *http.Request, e *wire.Error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": e.Code, "message": e.Message}) // the client is gone
}

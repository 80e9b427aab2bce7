package dynalitetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const targetPrefix = "DynamoDB_20120810."

// ServeHTTP passes a call on, or carries out what dynalite cannot.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	s.mu.Lock()
	s.calls[operation] = append(s.calls[operation], string(body))
	failing := s.fails[operation]
	if len(failing) > 0 {
		s.fails[operation] = failing[1:]
	}
	s.mu.Unlock()
	if len(failing) > 0 {
		refuse(w, failing[0].code, failing[0].message, nil)
		return
	}
	switch operation {
	case "TransactWriteItems":
		s.moves.Lock()
		defer s.moves.Unlock()
		s.transact(w, r, body)
		return
	case "UpdateTimeToLive", "UpdateContinuousBackups":
		answer(w, http.StatusOK, map[string]any{})
		return
	}
	s.moves.RLock()
	defer s.moves.RUnlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.proxy.ServeHTTP(w, r)
}

// write is one item of a transaction, in any of its forms.
type write struct {
	TableName                 string
	Key, Item                 map[string]any `json:",omitempty"`
	ConditionExpression       string         `json:",omitempty"`
	UpdateExpression          string         `json:",omitempty"`
	ExpressionAttributeNames  map[string]any `json:",omitempty"`
	ExpressionAttributeValues map[string]any `json:",omitempty"`

	ReturnValuesOnConditionCheckFailure string `json:",omitempty"`
}

type reason struct {
	Code    string
	Message string         `json:",omitempty"`
	Item    map[string]any `json:",omitempty"`
}

func (s *Server) transact(w http.ResponseWriter, r *http.Request, body []byte) {
	var in struct {
		ClientRequestToken     string
		TransactItems          []map[string]write
		ReturnConsumedCapacity string
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		refuse(w, "ValidationException", err.Error(), nil)
		return
	}
	if before, ok := s.done[in.ClientRequestToken]; ok && in.ClientRequestToken != "" {
		if before != string(body) {
			refuse(w, "IdempotentParameterMismatchException", "another request had this token", nil)
			return
		}
		answer(w, http.StatusOK, map[string]any{})
		return
	}
	if problem := check(in.TransactItems); problem != "" {
		refuse(w, "ValidationException", problem, nil)
		return
	}
	reasons, undo, failed := make([]reason, len(in.TransactItems)), []func(){}, false
	for i, item := range in.TransactItems {
		for kind, one := range item {
			back, err := s.one(r, kind, one)
			if back != nil && (err != nil || kind == "ConditionCheck") {
				back()
			} else if back != nil {
				undo = append(undo, back)
			}
			reasons[i] = reason{Code: "None"}
			if err == nil {
				continue
			}
			if err.code != "ConditionalCheckFailedException" {
				for _, u := range undo {
					u()
				}
				refuse(w, err.code, err.message, nil)
				return
			}
			failed = true
			reasons[i] = reason{Code: "ConditionalCheckFailed", Message: err.message}
		}
	}
	if !failed {
		s.done[in.ClientRequestToken] = string(body)
		answer(w, http.StatusOK, map[string]any{})
		return
	}
	for _, u := range undo {
		u()
	}
	refuse(w, "TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for specific reasons", reasons)
}

// check is what DynamoDB says of a transaction's shape.
func check(items []map[string]write) string {
	if len(items) == 0 || len(items) > 100 {
		return fmt.Sprintf("a transaction has 1 to 100 items, not %d", len(items))
	}
	seen := map[string]bool{}
	for _, item := range items {
		if len(item) != 1 {
			return "TransactItems can only contain one of Check, Put, Update or Delete"
		}
		for kind, w := range item {
			if kind != "ConditionCheck" && kind != "Update" {
				return "this stand-in carries out ConditionCheck and Update only, not " + kind
			}
			if kind == "ConditionCheck" && w.ConditionExpression == "" {
				return "a ConditionCheck needs its condition"
			}
			if (kind == "Update") != (w.UpdateExpression != "") {
				return "an UpdateExpression belongs to an Update"
			}
			key, err := json.Marshal([]any{w.TableName, w.Key})
			if err != nil || seen[string(key)] {
				return "Transaction request cannot include multiple operations on one item"
			}
			seen[string(key)] = true
		}
	}
	return ""
}

// one carries one item out and returns how it is undone. A check is a conditional delete that is undone in any case.
func (s *Server) one(r *http.Request, kind string, one write) (undo func(), _ *failure) {
	var before struct{ Item map[string]any }
	if err := s.call(r, "GetItem", map[string]any{"TableName": one.TableName, "Key": one.Key, "ConsistentRead": true}, &before); err != nil {
		return nil, err
	}
	undo = func() {
		if before.Item == nil {
			_ = s.call(r, "DeleteItem", map[string]any{"TableName": one.TableName, "Key": one.Key}, nil)
			return
		}
		_ = s.call(r, "PutItem", map[string]any{"TableName": one.TableName, "Item": before.Item}, nil)
	}
	operation := "UpdateItem"
	if kind == "ConditionCheck" {
		operation = "DeleteItem"
	}
	if err := s.call(r, operation, one, nil); err != nil {
		return nil, err
	}
	return undo, nil
}

// call makes a call of its own in the name of r.
func (s *Server) call(r *http.Request, operation string, in, out any) *failure {
	body, err := json.Marshal(in)
	if err != nil {
		return &failure{"InternalServerError", err.Error()}
	}
	req, err := http.NewRequest(http.MethodPost, s.Plain, bytes.NewReader(body))
	if err != nil {
		return &failure{"InternalServerError", err.Error()}
	}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Content-Type"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	req.Header.Set("X-Amz-Target", targetPrefix+operation)
	res, err := s.client.Do(req)
	if err != nil {
		return &failure{"InternalServerError", err.Error()}
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return &failure{"InternalServerError", err.Error()}
	}
	if res.StatusCode != http.StatusOK {
		var said struct {
			Type    string `json:"__type"`
			Message string
		}
		_ = json.Unmarshal(got, &said)
		_, code, _ := strings.Cut(said.Type, "#")
		return &failure{code, said.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(got, out); err != nil {
		return &failure{"InternalServerError", err.Error()}
	}
	return nil
}

func refuse(w http.ResponseWriter, code, message string, reasons []reason) {
	body := map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": message}
	if reasons != nil {
		body["CancellationReasons"] = reasons
	}
	status := http.StatusBadRequest
	if code == "InternalServerError" {
		status = http.StatusInternalServerError
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

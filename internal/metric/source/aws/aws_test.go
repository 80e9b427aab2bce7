package aws

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// standIn answers as AWS does, and refuses what AWS would: unsigned calls, other operations, other forms.
type standIn struct {
	t  *testing.T
	mu sync.Mutex
	// calls are the bodies of CloudWatch's.
	calls []cbor.Map
	depth string
	fail  bool
}

func start(t *testing.T) *standIn {
	s := &standIn{t: t, depth: "12"}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	signed := r.Header.Get("Authorization")
	switch {
	case r.Method != http.MethodPost || !strings.HasPrefix(signed, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"):
		w.WriteHeader(http.StatusForbidden)
	case r.Header.Get("X-Amz-Target") == "AmazonSQS.GetQueueAttributes" && strings.Contains(signed, "/eu-west-1/sqs/"):
		s.queue(w, r, body)
	case r.URL.Path == "/service/GraniteServiceVersion20100801/operation/GetMetricData" && r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" && strings.Contains(signed, "/eu-central-1/monitoring/"):
		s.metrics(w, body)
	default:
		s.t.Errorf("AWS has no %s %s %q, signed %s", r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"), signed)
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *standIn) queue(w http.ResponseWriter, r *http.Request, body []byte) {
	var in struct {
		QueueURL       string   `json:"QueueUrl"`
		AttributeNames []string `json:"AttributeNames"`
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err := json.Unmarshal(body, &in); err != nil || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" || len(in.AttributeNames) != 1 || in.AttributeNames[0] != "ApproximateNumberOfMessages" {
		s.t.Errorf("SQS was asked %s, %v", body, err)
	}
	if !strings.HasSuffix(in.QueueURL, "/123456789012/mail") {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`)
		return
	}
	fmt.Fprintf(w, `{"Attributes":{"ApproximateNumberOfMessages":%q}}`, s.depth)
}

var minute = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// metrics gives each metric three minutes, "Empty" none, and tells those of "Late" on a second page.
func (s *standIn) metrics(w http.ResponseWriter, body []byte) {
	v, err := cbor.Decode(body)
	in, ok := v.(cbor.Map)
	if err != nil || !ok {
		s.t.Errorf("CloudWatch was asked %x, %v", body, err)
		return
	}
	s.calls = append(s.calls, in)
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	if s.fail {
		w.WriteHeader(http.StatusBadRequest)
		w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#InvalidParameterValueException"), "message": cbor.String("StartTime must be before EndTime")}))
		return
	}
	_, second := in["NextToken"]
	out, results := cbor.Map{}, cbor.List{}
	for _, q := range in["MetricDataQueries"].(cbor.List) {
		query := q.(cbor.Map)
		stat := query["MetricStat"].(cbor.Map)
		name := string(stat["Metric"].(cbor.Map)["MetricName"].(cbor.String))
		if late := name == "Late"; late != second {
			if late {
				out["NextToken"] = cbor.String("more")
			}
			continue
		}
		r := cbor.Map{"Id": query["Id"], "Label": cbor.String(name), "StatusCode": cbor.String("Complete"), "Timestamps": cbor.List{}, "Values": cbor.List{}}
		switch name {
		case "Empty":
		case "Forbidden":
			r["StatusCode"] = cbor.String("Forbidden")
		default:
			times, values := cbor.List{}, cbor.List{}
			for i := range 3 {
				at := minute.Add(time.Duration(i) * time.Minute)
				times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(float64(at.Unix()))})
				values = append(values, cbor.Float64(float64(10+i)))
			}
			r["Timestamps"], r["Values"] = times, values
		}
		results = append(results, r)
	}
	out["MetricDataResults"] = results
	w.Write(cbor.Encode(out))
}

func TestDepth(t *testing.T) {
	s := start(t)
	var c Clients
	q := spec.SQSMetric{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/mail", Measure: spec.Depth}
	if v, err := c.Depth(t.Context(), q); err != nil || v != 12 {
		t.Errorf("%v messages, %v", v, err)
	}
	s.depth = "many"
	if v, err := c.Depth(t.Context(), q); err == nil {
		t.Errorf("%q messages are %v", s.depth, v)
	}
	q.QueueURL += "-2"
	if _, err := c.Depth(t.Context(), q); err == nil || !strings.Contains(err.Error(), "does not exist") || strings.Contains(err.Error(), "RequestID") {
		t.Errorf("of a queue that is not there: %v", err)
	}
	q = spec.SQSMetric{QueueURL: "http://localhost:9324/123456789012/mail"}
	if _, err := c.Depth(t.Context(), q); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
}

func TestData(t *testing.T) {
	s := start(t)
	var c Clients
	metric := func(name string) spec.CloudWatchMetric {
		return spec.CloudWatchMetric{Namespace: "Shop", Name: name, Stat: "p99", Period: spec.Duration(time.Minute), Dimensions: map[string]string{"Queue": "mail", "App": "shop"}}
	}
	queries := []spec.CloudWatchMetric{metric("A"), metric("Empty"), metric("Late"), metric("Forbidden")}
	points, errs := c.Data(t.Context(), "eu-central-1", queries, minute.Add(-5*time.Minute), minute.Add(150*time.Second))
	// The third minute is not over: its value still grows.
	for i, want := range []int{2, 0, 2, 0} {
		if len(points[i]) != want || (errs[i] != nil) != (i == 3) {
			t.Errorf("%s: %v, %v; want %d points", queries[i].Name, points[i], errs[i], want)
		}
	}
	if p := points[2]; len(p) == 2 && (!p[1].At.Equal(minute.Add(2*time.Minute)) || p[1].Value != 11) {
		t.Errorf("the second minute is %+v; want 11 at its end", p[1])
	}
	if len(s.calls) != 2 {
		t.Fatalf("four metrics on two pages took %d calls", len(s.calls))
	}
	stat := s.calls[0]["MetricDataQueries"].(cbor.List)[0].(cbor.Map)["MetricStat"].(cbor.Map)
	if stat["Stat"] != cbor.String("p99") || stat["Period"] != cbor.Uint(60) || len(stat["Metric"].(cbor.Map)["Dimensions"].(cbor.List)) != 2 {
		t.Errorf("asked %+v", stat)
	}
	s.fail = true
	_, errs = c.Data(t.Context(), "eu-central-1", queries, minute, minute)
	for i, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "StartTime must be before EndTime") {
			t.Errorf("%s of a call that failed: %v", queries[i].Name, err)
		}
	}
}

// TestManyMetrics: as many calls as CloudWatch's limit asks for.
func TestManyMetrics(t *testing.T) {
	s := start(t)
	var c Clients
	queries := make([]spec.CloudWatchMetric, mostQueries+1)
	for i := range queries {
		queries[i] = spec.CloudWatchMetric{Namespace: "Shop", Name: "A", Stat: "Sum", Period: spec.Duration(time.Minute)}
	}
	points, errs := c.Data(t.Context(), "eu-central-1", queries, minute, minute.Add(time.Hour))
	if len(s.calls) != 2 || errs[mostQueries] != nil || len(points[mostQueries]) != 3 || len(points[0]) != 3 {
		t.Errorf("%d calls; the last metric is %v, %v", len(s.calls), points[mostQueries], errs[mostQueries])
	}
}

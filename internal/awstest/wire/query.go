package wire

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
)

// Query is a service of the query protocol: parameters in a form, XML out.
type Query struct {
	World     *World
	Version   string // the API's date, which every request must name
	Namespace string
	Style     Style
	actions   map[string]func(c *Context, form url.Values) (any, error)
}

// Context is one request on its way through an action.
type Context struct {
	Caller Caller
	// DryRun is set where the caller only wants to know whether he might.
	DryRun bool
}

// Commit is called by an action that has checked everything and is about to change something. On a dry run it is the
// error by which EC2 says that the request would have succeeded.
func (c *Context) Commit() error {
	if c.DryRun {
		return Errorf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").With(http.StatusPreconditionFailed)
	}
	return nil
}

// On declares an action. In's fields are its parameters (see Decode), Out's its result (see Encode). It runs with the
// world locked.
func On[In, Out any](q *Query, action string, do func(c *Context, in *In) (*Out, error)) {
	if q.actions == nil {
		q.actions = map[string]func(*Context, url.Values) (any, error){}
	}
	q.actions[action] = func(c *Context, form url.Values) (any, error) {
		in := new(In)
		if err := Decode(form, in, q.Style == Member); err != nil {
			if q.Style == Member && err.Code != "InvalidParameterValue" {
				err.Code = "ValidationError"
			}
			return nil, err
		}
		q.World.Lock()
		defer q.World.Unlock()
		out, err := do(c, in)
		if err != nil {
			return nil, err
		}
		return out, c.Commit()
	}
}

// Action implements Service.
func (q *Query) Action(r *http.Request) (string, *Error) {
	if r.Form == nil {
		return "", Errorf("MissingAction", "The request is missing an action or a required parameter.")
	}
	action := r.Form.Get("Action")
	if action == "" {
		return "", Errorf("MissingAction", "The request is missing an action or a required parameter.")
	}
	if _, ok := q.actions[action]; !ok || r.Form.Get("Version") != q.Version {
		return action, Errorf("InvalidAction", "The action %s is not valid for this web service.", action)
	}
	return action, nil
}

// Serve implements Service.
func (q *Query) Serve(w http.ResponseWriter, r *http.Request, caller Caller) {
	form := url.Values{}
	for k, v := range r.Form {
		form[k] = v
	}
	action := form.Get("Action")
	form.Del("Action")
	form.Del("Version")
	c := &Context{Caller: caller}
	if q.Style == EC2 {
		c.DryRun = form.Get("DryRun") == "true"
		form.Del("DryRun")
	}
	out, err := q.actions[action](c, form)
	if err != nil {
		q.Refuse(w, r, AsError(err))
		return
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><%sResponse xmlns="%s">`, action, q.Namespace)
	id := q.requestID(w)
	if q.Style == EC2 {
		fmt.Fprintf(&b, "<requestId>%s</requestId>", id)
		Encode(&b, out, q.Style)
	} else {
		fmt.Fprintf(&b, "<%sResult>", action)
		Encode(&b, out, q.Style)
		fmt.Fprintf(&b, "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>", action, id)
	}
	fmt.Fprintf(&b, "</%sResponse>", action)
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Write(b.Bytes()) //nolint:errcheck // the client is gone
}

// Refuse implements Service.
func (q *Query) Refuse(w http.ResponseWriter, _ *http.Request, e *Error) {
	id := q.requestID(w)
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	if q.Style == EC2 {
		b.WriteString("<Response><Errors><Error>")
		EC2.pair(&b, "Code", e.Code, "Message", e.Message)
		fmt.Fprintf(&b, "</Error></Errors><RequestID>%s</RequestID></Response>", id)
	} else {
		who := "Sender"
		if e.Status >= 500 {
			who = "Receiver"
		}
		fmt.Fprintf(&b, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type>`, q.Namespace, who)
		EC2.pair(&b, "Code", e.Code, "Message", e.Message)
		fmt.Fprintf(&b, "</Error><RequestId>%s</RequestId></ErrorResponse>", id)
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.WriteHeader(e.Status)
	w.Write(b.Bytes()) //nolint:errcheck // the client is gone
}

func (s Style) pair(b *bytes.Buffer, nameText ...string) {
	for i := 0; i < len(nameText); i += 2 {
		s.text(b, nameText[i], nameText[i+1])
	}
}

// requestID makes an id and puts it into the answer's header.
func (q *Query) requestID(w http.ResponseWriter) string {
	q.World.Lock()
	defer q.World.Unlock()
	id := q.World.RequestID()
	w.Header().Set("X-Amzn-Requestid", id)
	return id
}

// RequestID is a new one. The world is locked.
func (w *World) RequestID() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", w.random.Uint32(), w.random.IntN(1<<16), w.random.IntN(1<<12),
		w.random.IntN(1<<12), w.random.Uint64()&(1<<48-1))
}

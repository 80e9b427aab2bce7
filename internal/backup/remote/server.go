package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
)

const (
	// stalled is how long a transfer may move no byte.
	stalled = 2 * time.Minute
	// piece is how much is moved between two looks at the clock.
	piece = 256 << 10
)

// fromHeader confirms the offset that an answer begins at: who does not know of offsets answers with the whole.
const fromHeader = "X-Farmhand-From"

// Serve answers one request of a Client on target. Paths end in /object?name=, with &from= for what begins at an offset, or /list?prefix=.
func Serve(w http.ResponseWriter, r *http.Request, target backup.Target) {
	name := r.URL.Query().Get("name")
	var err error
	switch r.Method {
	case http.MethodPut:
		var n int64
		body := &moving{r: r.Body, control: http.NewResponseController(w)}
		if r.Header.Get("If-None-Match") == "*" {
			var b []byte
			if b, err = io.ReadAll(io.LimitReader(body, 1<<20)); err == nil {
				err, n = target.PutNew(r.Context(), name, b), int64(len(b))
			}
		} else {
			n, err = target.Put(r.Context(), name, body)
		}
		if err == nil {
			reply(w, http.StatusOK, answer{Size: n})
			return
		}
	case http.MethodDelete:
		if err = target.Delete(r.Context(), name); err == nil {
			reply(w, http.StatusOK, answer{})
			return
		}
	case http.MethodGet:
		if !r.URL.Query().Has("name") {
			var objects []backup.Object
			if objects, err = target.List(r.Context(), r.URL.Query().Get("prefix")); err == nil {
				reply(w, http.StatusOK, objects)
				return
			}
			break
		}
		if err = send(w, r, target, name); err == nil {
			return
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	status, a := answerFor(err)
	reply(w, status, a)
}

// send streams an object. Once a byte is out an error can only break the stream off, which the client notices.
func send(w http.ResponseWriter, r *http.Request, target backup.Target, name string) error {
	from := int64(0)
	if text := r.URL.Query().Get("from"); text != "" {
		var err error
		if from, err = strconv.ParseInt(text, 10, 64); err != nil || from < 0 {
			return fmt.Errorf("from=%q is no offset", text)
		}
		w.Header().Set(fromHeader, strconv.FormatInt(from, 10))
	}
	o, err := target.GetFrom(r.Context(), name, from)
	if err != nil {
		return err
	}
	defer o.Close()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/octet-stream")
	for {
		_ = control.SetWriteDeadline(time.Now().Add(stalled))
		_, err := io.CopyN(w, o, piece)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// moving lets a request take as long as bytes come.
type moving struct {
	r       io.Reader
	control *http.ResponseController
}

func (m *moving) Read(p []byte) (int, error) {
	deadline := time.Now().Add(stalled)
	_ = m.control.SetReadDeadline(deadline)
	_ = m.control.SetWriteDeadline(deadline.Add(stalled)) // of the answer, which comes after the last byte
	return m.r.Read(p)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error here is a client that has gone
}

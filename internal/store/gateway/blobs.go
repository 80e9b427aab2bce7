package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// blobPiece is how much of a blob is read and sent at a time.
const blobPiece = 64 << 10

// blob sends a blob from the offset that the Range header asks for, which is all of HTTP's ranges that a client whose
// transfer broke needs. Its bytes are not trusted before their end: the client checks the hash, too.
func (s *Server) blob(w http.ResponseWriter, r *http.Request) {
	c, err := s.authenticate(r.Context(), r)
	name := r.PathValue("name")
	if err == nil && !c.rights.mayOpen(name) {
		err = denied(c, "read", "blob "+name)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	blob, err := s.blobs.OpenBlob(r.Context(), name)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer blob.Close()
	status := http.StatusOK
	if from, ok := rangeStart(r.Header.Get("Range")); ok {
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-*/*", from))
		_, err = io.CopyN(io.Discard, blob, from)
	}
	// The first piece is read before the status is sent, so that a damaged blob is told by its error where it can be.
	piece := make([]byte, blobPiece)
	n := 0
	if err == nil {
		n, err = io.ReadFull(blob, piece)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.Header().Del("Content-Range")
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(status)
	control := http.NewResponseController(w)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a long transfer may take long, a stuck one may not
		if _, writeErr := w.Write(piece[:n]); writeErr != nil {
			return
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the status is out: breaking off is the one way to say that this was not all
		}
		n, err = io.ReadFull(blob, piece)
	}
}

// rangeStart reads "bytes=N-".
func rangeStart(header string) (int64, bool) {
	s, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, "-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

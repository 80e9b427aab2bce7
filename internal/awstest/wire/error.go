package wire

import (
	"fmt"
	"net/http"
)

// Error is what an API answers in place of a result: code and message as AWS documents them.
type Error struct {
	Code    string
	Message string
	Status  int               // HTTP status; 400 where a constructor is not told
	Detail  map[string]string // further elements of the error document (S3: Region, BucketName)
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf is an error with HTTP status 400.
func Errorf(code, format string, a ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, a...), Status: http.StatusBadRequest}
}

// With is the error with another HTTP status.
func (e *Error) With(status int) *Error {
	c := *e
	c.Status = status
	return &c
}

// AsError is err if it is an Error, else an internal failure that holds its words.
func AsError(err error) *Error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // errors of this package are never wrapped
		return e
	}
	return Errorf("InternalError", "%v", err).With(http.StatusInternalServerError)
}

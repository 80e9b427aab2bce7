package wire

import (
	"encoding/base64"
	"sort"
	"strings"
)

// Page is the part of items that follows the token, at most size of them, and the token of the next part (empty at the
// end). Items come in the order of key, which names an item for ever, so that a page stays right while others come and
// go. Tokens are opaque, and good for the list of this name only.
func Page[T any](items []T, key func(T) string, list, token string, size int) ([]T, string, *Error) {
	sort.SliceStable(items, func(i, j int) bool { return key(items[i]) < key(items[j]) })
	if token != "" {
		plain, err := base64.URLEncoding.DecodeString(token)
		of, after, ok := strings.Cut(string(plain), "\x00")
		if err != nil || !ok || of != list {
			return nil, "", Errorf("InvalidNextToken", "The token '%s' is invalid.", token)
		}
		items = items[sort.Search(len(items), func(i int) bool { return key(items[i]) > after }):]
	}
	if size <= 0 || len(items) <= size {
		return items, "", nil
	}
	return items[:size], base64.URLEncoding.EncodeToString([]byte(list + "\x00" + key(items[size-1]))), nil
}

// Size is the number of entries on a page: what the caller asked for (0: nothing said) within the API's limits and the
// world's cap.
func (w *World) Size(asked, least, most int) (int, *Error) {
	if asked != 0 && (asked < least || asked > most) {
		return 0, Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", asked, least, most)
	}
	if asked == 0 {
		asked = most
	}
	if w.PageSize > 0 && asked > w.PageSize {
		asked = w.PageSize
	}
	return asked, nil
}

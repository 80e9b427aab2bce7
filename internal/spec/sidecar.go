package spec

// Sidecar is a declared daemon that keeps farms.
type Sidecar struct {
	ID    string `json:"id"`    // what Farm.Sidecar names
	Local bool   `json:"local"` // on the machine whose state directory holds the store
}

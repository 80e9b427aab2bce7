package spec

// Application is code to deploy: a folder packed into a release.
type Application struct {
	Name    string `json:"name"`
	Release string `json:"release"` // SHA-256 of the packed folder, hex: its name among the blobs
	Bytes   int64  `json:"bytes"`
	// DocumentRoot is the folder inside the release that a web server serves, "" for its top.
	DocumentRoot string `json:"document_root,omitempty"`
}

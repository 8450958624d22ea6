// Package pages has the pages for people: the users at /, and the description of the API at /docs.
// They are static files without data. Their scripts call the API as every other client does.
package pages

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"path"
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"
	viewer "github.com/swaggest/swgui/v5/static"
)

//go:embed *.html assets
var own embed.FS

// PathDocs is the path of the page with the description.
const PathDocs = "/docs"

// PathAssets begins the paths of the pages' other files.
const PathAssets = "/assets/"

// The Content-Security-Policy of the pages. Both load scripts and styles from this origin, show
// pictures that are not uploaded yet (blob:), and can neither be framed nor send forms. They have
// no inline script or style.
const (
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
		"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "

	// Trusted types let the browser refuse to turn data into markup.
	usersPolicy = policy + "img-src 'self' blob:; require-trusted-types-for 'script'; trusted-types 'none'"

	// Swagger UI has its icons in its style sheet (data:), and turns descriptions into markup through
	// a sanitizer without trusted types.
	docsPolicy = policy + "img-src 'self' blob: data:"
)

// A File is what is served under one path.
type File struct {
	Path        string
	ContentType string
	Policy      string // Content-Security-Policy; empty unless the file is a page

	read func() contents
}

// contents are both forms of a file. They are made at its first request and shared by all, because
// a copy for each request would be 1.5 MB that a slow client holds.
type contents struct {
	etag          string
	plain, packed []byte
}

// Files returns every file of the pages.
func Files() []*File {
	files := []*File{
		{Path: "/", ContentType: contentTypes[".html"], Policy: usersPolicy, read: plain("index.html")},
		{Path: PathDocs, ContentType: contentTypes[".html"], Policy: docsPolicy, read: plain("docs.html")},
	}
	entries, err := fs.ReadDir(own, "assets")
	must(err)
	for _, entry := range entries {
		files = append(files, asset(entry.Name(), plain("assets/"+entry.Name())))
	}
	for _, name := range []string{"swagger-ui.css", "swagger-ui-bundle.js"} {
		files = append(files, asset(name, packed(name+".gz")))
	}
	return files
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func asset(name string, read func() contents) *File {
	return &File{Path: PathAssets + name, ContentType: contentTypes[path.Ext(name)], read: read}
}

// ETag is a weak entity tag without its W/ and quotes: both forms of the file have the same.
func (f *File) ETag() string { return f.read().etag }

// Gzipped returns the compressed file. The caller must not change it.
func (f *File) Gzipped() []byte { return f.read().packed }

// Plain returns the file. The caller must not change it.
func (f *File) Plain() []byte { return f.read().plain }

// plain reads an embedded file of this package.
func plain(name string) func() contents {
	return sync.OnceValue(func() contents {
		data, err := own.ReadFile(name)
		must(err)
		var b bytes.Buffer
		pack, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		must(err)
		_, err = pack.Write(data)
		must(err)
		must(pack.Close())
		return contents{etag: tag(data), plain: data, packed: b.Bytes()}
	})
}

// packed reads a file of the viewer, which its module has compressed.
func packed(name string) func() contents {
	return sync.OnceValue(func() contents {
		data, err := viewer.FS.ReadFile(name)
		must(err)
		unpack, err := gzip.NewReader(bytes.NewReader(data))
		must(err)
		plain, err := io.ReadAll(unpack)
		must(err)
		return contents{etag: tag(data), plain: plain, packed: data}
	})
}

func tag(data []byte) string { return strconv.FormatUint(xxhash.Sum64(data), 16) }

// must panics on an error. Reading an embedded file fails in every build or in none.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Package image builds the API's container image for a local cluster, named after its sources.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Name is the image's repository on a local cluster.
const Name = "prima-api"

// Tag returns a hash of the sources of the image, 16 hexadecimal digits. The sources are the
// Dockerfile and what .dockerignore lets through, in the checkout at root. A change of them changes
// the tag and rolls out.
func Tag(root string) (string, error) {
	checkout := os.DirFS(root)
	files := []string{"Dockerfile", "go.work"}
	err := fs.WalkDir(checkout, "app", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case entry.Type().IsRegular() && !strings.HasSuffix(name, "_test.go"):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("list what the image is built from: %w", err)
	}
	slices.Sort(files)
	all := sha256.New()
	for _, name := range files {
		content, err := fs.ReadFile(checkout, name)
		if err != nil {
			return "", fmt.Errorf("read what the image is built from: %w", err)
		}
		_, _ = fmt.Fprintf(all, "%s %x\n", name, sha256.Sum256(content))
	}
	return hex.EncodeToString(all.Sum(nil)[:8]), nil
}

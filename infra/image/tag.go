// Package image names the API's container image after what it is built from.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Name is the image's repository on a local cluster.
const Name = "prima-api"

// Tag returns a hash of what the image of the checkout at root is built from, 16 hexadecimal digits:
// the same sources have the same tag on every machine, and any change of them has another, so that a
// changed image rolls out and an unchanged one does not. What counts is what .dockerignore lets
// through, and the Dockerfile.
func Tag(root string) (string, error) {
	files := []string{"Dockerfile", "go.work"}
	err := filepath.WalkDir(filepath.Join(root, "app"), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case !entry.Type().IsRegular() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		relative, err := filepath.Rel(root, path)
		files = append(files, filepath.ToSlash(relative))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("list what the image is built from: %w", err)
	}
	slices.Sort(files)

	all := sha256.New()
	for _, name := range files {
		sum, err := sumFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return "", fmt.Errorf("read what the image is built from: %w", err)
		}
		_, _ = fmt.Fprintf(all, "%s %x\n", name, sum) // a hash takes everything
	}
	return hex.EncodeToString(all.Sum(nil)[:8]), nil
}

func sumFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // a file of the checkout
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return sum.Sum(nil), errors.Join(err, f.Close())
}

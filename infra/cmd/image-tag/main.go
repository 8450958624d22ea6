// Command image-tag prints the tag of the image that this checkout builds, for scripts. Its argument is
// the root of the checkout, by default the current folder.
package main

import (
	"fmt"
	"os"

	"prima.internal/infra/image"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	tag, err := image.Tag(root)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "image-tag:", err)
		os.Exit(1)
	}
	fmt.Println(tag)
}

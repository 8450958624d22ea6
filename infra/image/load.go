package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// kept is how many images of former builds stay, for kubectl rollout undo.
const kept = 3

// Load builds the image of the checkout at root and loads it into a profile of Minikube, unless the profile has it.
// It passes on the lines that the commands print, and removes the images of old builds.
func Load(ctx context.Context, root, profile, tag string, progress func(line string)) error {
	b := builder{ctx, root, profile, progress}
	there, err := b.loaded(tag)
	if err != nil {
		return fmt.Errorf("%w\nIs the profile running? `task up` starts it. On a cluster that is not Minikube's, "+
			"api.image must be that of a registry, or api.tag the tag of an image that the cluster has", err)
	}
	if there {
		return nil
	}
	revision, err := b.quiet().run("git", "rev-parse", "HEAD")
	if err != nil {
		revision = "unknown" // not a checkout
	}
	name := Name + ":" + tag
	progress("Building the image " + name)
	_, err = b.run("docker", "build", "--progress", "plain", "--build-arg", "VERSION="+tag,
		"--build-arg", "REVISION="+strings.TrimSpace(revision), "-t", name, ".")
	if err != nil {
		return err
	}
	progress("Loading it into Minikube")
	_, loadErr := b.run("minikube", "-p", profile, "image", "load", name)
	there, err = b.loaded(tag)
	if !there && err == nil { // some versions of Docker and Minikube load nothing and report no error
		there, err = b.loadFile(name, tag)
	}
	if err != nil || !there {
		return errors.Join(fmt.Errorf("the image %s could not be loaded into the profile %s", name, profile), loadErr, err)
	}
	b.quiet().prune()
	return nil
}

type builder struct {
	ctx           context.Context //nolint:containedctx // of one call of Load
	root, profile string
	progress      func(string)
}

// quiet returns a builder that passes nothing on.
func (b builder) quiet() builder {
	b.progress = func(string) {}
	return b
}

// loaded reports whether the profile has the image with a tag.
func (b builder) loaded(tag string) (bool, error) {
	images, err := b.quiet().run("minikube", "-p", b.profile, "image", "ls")
	return slices.ContainsFunc(strings.Fields(images), func(name string) bool {
		return strings.HasSuffix("/"+name, "/"+Name+":"+tag)
	}), err
}

// loadFile loads an image by way of a file, and reports whether the profile has it then.
func (b builder) loadFile(name, tag string) (bool, error) {
	folder, err := os.MkdirTemp("", Name)
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "image.tar")
	if _, err := b.run("docker", "save", "-o", file, name); err != nil {
		return false, err
	}
	if _, err := b.run("minikube", "-p", b.profile, "image", "load", file); err != nil {
		return false, err
	}
	return b.loaded(tag)
}

// prune removes all but the latest images from Docker and from the profile. One that is in use stays.
func (b builder) prune() {
	tags, _ := b.run("docker", "images", Name, "--format", "{{.Tag}}") // the latest first
	all := strings.Fields(tags)
	for _, tag := range all[min(kept, len(all)):] {
		_, _ = b.run("docker", "image", "rm", Name+":"+tag)
		_, _ = b.run("minikube", "-p", b.profile, "image", "rm", Name+":"+tag)
	}
}

// run runs a command in the checkout and returns its standard output. Its error has the last lines that were printed.
func (b builder) run(name string, args ...string) (string, error) {
	c := exec.CommandContext(b.ctx, name, args...) //nolint:gosec // one of the commands above
	c.Dir, c.Env = b.root, append(os.Environ(), "DOCKER_BUILDKIT=1")
	var stdout strings.Builder
	read, write := io.Pipe()
	c.Stdout, c.Stderr = io.MultiWriter(&stdout, write), write
	done := make(chan []string)
	go func() {
		var last []string
		for lines := bufio.NewScanner(read); lines.Scan(); {
			b.progress(lines.Text())
			last = append(last, lines.Text())
			last = last[max(0, len(last)-15):]
		}
		_, _ = io.Copy(io.Discard, read) // after a line that is too long
		done <- last
	}()
	err := c.Run()
	_ = write.Close()
	last := <-done
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, strings.Join(last, "\n"))
	}
	return stdout.String(), nil
}

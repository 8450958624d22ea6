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

// kept is how many images of the latest builds are kept, for kubectl rollout undo.
const kept = 3

// Load builds the image of the checkout at root and loads it into a profile of Minikube that lacks
// it. It passes the output of the commands to progress, and removes the images of old builds.
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
	revision, err := b.run(quiet, "git", "rev-parse", "HEAD")
	if err != nil {
		revision = "unknown" // not a checkout
	}
	name := Name + ":" + tag
	progress("Building the image " + name)
	if _, err = b.run(progress, "docker", "build", "--progress", "plain", "--build-arg", "VERSION="+tag,
		"--build-arg", "REVISION="+revision, "-t", name, "."); err != nil {
		return err
	}
	progress("Loading it into Minikube")
	_, loadErr := b.run(b.progress, "minikube", "-p", profile, "image", "load", name)
	there, err = b.loaded(tag)
	if !there && err == nil { // some versions of Docker and Minikube load nothing and report no error
		there, err = b.loadFile(name, tag)
	}
	if err != nil || !there {
		return errors.Join(fmt.Errorf("the image %s could not be loaded into the profile %s", name, profile), loadErr, err)
	}
	b.prune()
	return nil
}

type builder struct {
	ctx           context.Context //nolint:containedctx // of one call of Load
	root, profile string
	progress      func(string)
}

func quiet(string) {}

// loaded reports whether the profile has the image with a tag.
func (b builder) loaded(tag string) (bool, error) {
	images, err := b.run(quiet, "minikube", "-p", b.profile, "image", "ls")
	return slices.ContainsFunc(strings.Fields(images), func(name string) bool {
		return strings.HasSuffix("/"+name, "/"+Name+":"+tag)
	}), err
}

// loadFile loads an image from a file, and reports whether the profile has it then.
func (b builder) loadFile(name, tag string) (bool, error) {
	folder, err := os.MkdirTemp("", Name)
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "image.tar")
	if _, err := b.run(b.progress, "docker", "save", "-o", file, name); err != nil {
		return false, err
	}
	if _, err := b.run(b.progress, "minikube", "-p", b.profile, "image", "load", file); err != nil {
		return false, err
	}
	return b.loaded(tag)
}

// prune removes all but the latest images from Docker and from the profile. An image in use stays.
func (b builder) prune() {
	tags, _ := b.run(quiet, "docker", "images", Name, "--format", "{{.Tag}}") // the latest first
	all := strings.Fields(tags)
	for _, tag := range all[min(kept, len(all)):] {
		_, _ = b.run(quiet, "docker", "image", "rm", Name+":"+tag)
		_, _ = b.run(quiet, "minikube", "-p", b.profile, "image", "rm", Name+":"+tag)
	}
}

// run runs a command, passes each line that it prints to progress, and returns them. Its error has
// the last ones.
func (b builder) run(progress func(string), name string, args ...string) (string, error) {
	c := exec.CommandContext(b.ctx, name, args...) //nolint:gosec // one of the commands above
	c.Dir, c.Env = b.root, append(os.Environ(), "DOCKER_BUILDKIT=1")
	printed, err := c.StdoutPipe()
	if err != nil {
		return "", err
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		return "", err
	}
	var all []string
	for lines := bufio.NewScanner(printed); lines.Scan(); {
		progress(lines.Text())
		all = append(all, lines.Text())
	}
	_, _ = io.Copy(io.Discard, printed) // what follows a line that is too long
	if err := c.Wait(); err != nil {
		last := strings.Join(all[max(0, len(all)-15):], "\n")
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, last)
	}
	return strings.Join(all, "\n"), nil
}

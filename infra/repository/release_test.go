package repository_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A checkout is a repository of its own with the script of the releases in it.
type checkout struct{ folder string }

func newCheckout(t *testing.T) checkout {
	t.Helper()
	c := checkout{t.TempDir()}
	require.NoError(t, os.Mkdir(filepath.Join(c.folder, "scripts"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.folder, "scripts/release"), []byte(read(t, "scripts/release")), 0o755))
	c.git(t, "init", "-q")
	c.commit(t, "Serve users")
	return c
}

func (c checkout) git(t *testing.T, args ...string) {
	t.Helper()
	command := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
	command.Dir = c.folder
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}

func (c checkout) commit(t *testing.T, subject string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(c.folder, "file"), []byte(subject), 0o600))
	c.git(t, "add", "-A")
	c.git(t, "commit", "-q", "-m", subject)
}

// release runs the script and returns what it prints.
func (c checkout) release(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.Command(filepath.Join(c.folder, "scripts/release"), args...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// Ensure a release is refused whose tag is of another form, of another commit, or below one that exists, or that is not all committed.
func TestReleaseIsChecked(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.git(t, "tag", "v0.9.0")
	c.commit(t, "Serve avatars")
	c.git(t, "tag", "v0.10.0")
	for version, fault := range map[string]string{
		"":              "not of the form v1.2.3",
		"1.2.3":         "not of the form v1.2.3",
		"v1.2":          "not of the form v1.2.3",
		"v1.02.3":       "not of the form v1.2.3",
		"v1.2.3-rc1":    "not of the form v1.2.3",
		"v1.2.3;reboot": "not of the form v1.2.3",
		"v0.9.0":        "not of this commit",
		"v1.0.0":        "not of this commit",
	} {
		out, err := c.release(t, "check", version)
		require.Error(t, err, version)
		assert.Contains(t, out, fault, version)
	}
	out, err := c.release(t, "check", "v0.10.0")
	require.NoError(t, err, out)

	c.git(t, "tag", "v0.9.1")
	out, err = c.release(t, "check", "v0.9.1")
	require.Error(t, err)
	assert.Contains(t, out, "v0.9.1 is below v0.10.0")

	require.NoError(t, os.WriteFile(filepath.Join(c.folder, "file"), []byte("changed"), 0o600))
	out, err = c.release(t, "check", "v0.10.0")
	require.Error(t, err)
	assert.Contains(t, out, "not committed")
}

// Ensure the notes of a release are what changed since the one before it, by version and not by letters, and everything in the first.
func TestReleaseNotes(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	out, err := c.release(t, "notes", "v0.9.0")
	require.NoError(t, err, out)
	assert.Regexp(t, `^## What changed\n\n- Serve users \([0-9a-f]+\)\n$`, out)

	c.git(t, "tag", "v0.9.0")
	c.commit(t, "Serve avatars")
	c.git(t, "tag", "v0.10.0")
	c.commit(t, "Serve `$(pages)`")
	c.git(t, "tag", "v0.11.0")
	out, err = c.release(t, "notes", "v0.11.0", "registry.example.com/api:v0.11.0@sha256:0", "oci://registry.example.com/charts/prima-api --version 0.11.0")
	require.NoError(t, err, out)
	assert.Regexp(t, "^## What changed since v0.10.0\n\n- Serve `\\$\\(pages\\)` \\([0-9a-f]+\\)\n\n## Image\n\n    registry.example.com/api:v0.11.0@sha256:0\n\n"+
		"## Chart\n\n    helm install prima-api oci://registry.example.com/charts/prima-api --version 0.11.0\n", out)
}

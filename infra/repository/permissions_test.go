package repository_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure what docs/aws.md says of the roles, for those who make them by hand, is what the contract gives them.
func TestRolesAreDocumented(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(read(t, "docs/aws.md"), "\n| action | on | API | sweep |\n|---|---|---|---|\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[config.Role][]string{}
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		require.Len(t, cells, 4, row)
		service := ""
		for _, action := range matches("`([^`]+)`", cells[0]) {
			if prefix, name, ok := strings.Cut(action, ":"); ok {
				service, action = prefix, name
			}
			for i, role := range []config.Role{config.RoleAPI, config.RoleSweep} {
				if strings.TrimSpace(cells[2+i]) != "" {
					documented[role] = append(documented[role], service+":"+action)
				}
			}
		}
	}
	for _, role := range config.Roles() {
		var allowed []string
		for _, statement := range role.Policy("table", "bucket").Statement {
			allowed = append(allowed, statement.Action...)
		}
		slices.Sort(allowed)
		slices.Sort(documented[role])
		assert.Equal(t, allowed, documented[role], "%s", role)
	}
	assert.ElementsMatch(t, config.Roles(), slices.Collect(maps.Keys(documented)))
	assert.Regexp(t, regexp.QuoteMeta("`"+config.AvatarPrefix+"*`"), table)
}

package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"prima.internal/app/contract"
)

// Ensure every field has a row, and every row is whole.
func TestRows(t *testing.T) {
	t.Parallel()
	require.NoError(t, contract.Check((*Config).rows))
}

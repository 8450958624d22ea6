package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// role makes this test binary devaws or a command that devaws runs.
const role = "DEVAWS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "devaws":
		_ = os.Setenv(role, "command")
		main()
	case "command": // exits with 3 if it finds AWS
		r, err := http.Get(os.Getenv("AWS_ENDPOINT_URL") + "/_localstack/health")
		if err == nil && r.StatusCode == http.StatusOK && os.Getenv("AWS_ACCESS_KEY_ID") != "" {
			os.Exit(3)
		}
	}
}

func devaws(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), role+"=devaws", "GATEWAY_LISTEN=127.0.0.1:0",
		"KUMO_DATA_DIR="+dir, "KUMO_PERSIST_FLUSH_INTERVAL_MS=50")
	return c
}

// start starts devaws and returns what it says, its endpoint and a function that ends it and
// returns its exit status.
func start(t *testing.T, dir string, args ...string) (line, endpoint string, stop func() int) {
	t.Helper()
	c := devaws(t, dir, args...)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	line, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, endpoint, _ = strings.Cut(line, " on ")
	endpoint, _, _ = strings.Cut(endpoint, ",")
	return line, endpoint, func() int {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		_ = c.Wait()
		return c.ProcessState.ExitCode()
	}
}

func clients(endpoint string) (*dynamodb.Client, *s3.Client) {
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	return dynamodb.NewFromConfig(cfg), s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// Ensure the table and the bucket of the contract are there, and that what they hold survives a
// restart.
func TestServe(t *testing.T) {
	t.Parallel()
	dir, want := t.TempDir(), config.Default()
	line, endpoint, stop := start(t, dir)
	for _, r := range want.Resources() {
		assert.Contains(t, line, string(r.Kind)+" "+*r.Name)
	}
	db, bucket := clients(endpoint)
	table, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &want.Table})
	require.NoError(t, err)
	assert.Equal(t, config.KeyAttribute, *table.Table.KeySchema[0].AttributeName)
	assert.Equal(t, types.BillingModePayPerRequest, table.Table.BillingModeSummary.BillingMode)
	key := map[string]types.AttributeValue{config.KeyAttribute: &types.AttributeValueMemberS{Value: "x"}}
	_, err = db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &want.Table, Item: key})
	require.NoError(t, err)
	_, err = bucket.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &want.Bucket, Key: aws.String("a/b"), Body: strings.NewReader("face"),
	})
	require.NoError(t, err)
	assert.Zero(t, stop())

	_, endpoint, stop = start(t, dir)
	defer stop()
	db, bucket = clients(endpoint)
	item, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &want.Table, Key: key})
	require.NoError(t, err)
	assert.Equal(t, key, item.Item)
	object, err := bucket.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &want.Bucket, Key: aws.String("a/b")})
	require.NoError(t, err)
	defer object.Body.Close()
	body, err := io.ReadAll(object.Body)
	require.NoError(t, err)
	assert.Equal(t, "face", string(body))
}

// Ensure an empty devaws has no table, and reports itself as healthy in the way that LocalStack
// does.
func TestEmpty(t *testing.T) {
	t.Parallel()
	line, endpoint, stop := start(t, "", "-empty")
	defer stop()
	assert.Contains(t, line, ", empty\n")
	db, _ := clients(endpoint)
	tables, err := db.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	require.NoError(t, err)
	assert.Empty(t, tables.TableNames)
	r, err := http.Get(endpoint + "/_localstack/health")
	require.NoError(t, err)
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	assert.Contains(t, string(body), `"dynamodb": "running", "s3": "running"`)
}

// Ensure a command finds the endpoint in its environment, and that its exit status is that of
// devaws.
func TestCommand(t *testing.T) {
	t.Parallel()
	c := devaws(t, "", os.Args[0])
	_ = c.Run()
	assert.Equal(t, 3, c.ProcessState.ExitCode())
	_, _, stop := start(t, "", "sleep", "60")
	assert.NotZero(t, stop(), "sleep ends by the SIGTERM that is passed on")
}

// Ensure a port that is taken and a command that does not exist are errors that name them.
func TestErrors(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, args := range [][]string{{"-addr", taken.Addr().String()}, {"no-such-command"}} {
		out, err := devaws(t, "", args...).CombinedOutput()
		assert.Error(t, err)
		assert.Contains(t, string(out), args[len(args)-1])
	}
}

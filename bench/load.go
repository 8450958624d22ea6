package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/uuid"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/sync/errgroup"
)

// A load is one request; each connection repeats it when it has read the response.
type load struct {
	Target      vegeta.Target // without a URL, the load calls DynamoDB instead of a server
	Status      int           // of every response
	Users       int           // in the list of every response
	Connections uint64
	Duration    time.Duration // if it is 0, there is one request
}

// Pace implements [vegeta.Pacer]: there is no pause between requests.
func (l load) Pace(_ time.Duration, sent uint64) (time.Duration, bool) {
	return 0, l.Duration == 0 && sent == 1
}

// Rate implements [vegeta.Pacer]. Attacks do not call it.
func (l load) Rate(time.Duration) float64 { return math.Inf(1) }

// child runs a load, which is JSON, and writes what it measured.
func child(ctx context.Context, encoded string) error {
	var l load
	if err := json.Unmarshal([]byte(encoded), &l); err != nil {
		return err
	}
	run := attack
	if l.Target.URL == "" {
		run = loop
	}
	figures, err := run(ctx, l)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(figures))
}

// attack sends a load. It checks the first response whole. It fails if another one has a different
// status or length.
func attack(_ context.Context, l load) (map[string]float64, error) {
	e := &expect{load: l}
	e.first.Grow(1024 + 512*l.Users) // as much as it reads
	attacker := vegeta.NewAttacker(vegeta.Workers(l.Connections), vegeta.MaxWorkers(l.Connections),
		vegeta.Client(&http.Client{Transport: e}))
	var m vegeta.Metrics
	var failed error
	for r := range attacker.Attack(vegeta.NewStaticTargeter(l.Target), l, l.Duration, "") {
		if r.Error != "" {
			failed = cmp.Or(failed, errors.New(r.Error))
			attacker.Stop()
		}
		m.Add(r)
	}
	m.Close()
	return map[string]float64{
		requestCount: float64(m.Requests), requestRate: m.Throughput, firstByte: milliseconds(e.firstByte),
		latencyP50: milliseconds(m.Latencies.P50), latencyP99: milliseconds(m.Latencies.P99),
	}, cmp.Or(failed, e.check())
}

// client sends all requests. It does not ask for compression, which not every side has.
var client = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, ReadBufferSize: 64 << 10}

// expect is a client that fails if a response has not the right status and the length of the first
// one. It keeps only the first one, because keeping others would take time from the backend's core.
type expect struct {
	load

	once      sync.Once
	first     bytes.Buffer
	firstByte time.Duration // of the first response
}

// RoundTrip implements [http.RoundTripper].
func (e *expect) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	response, err := client.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	length := int64(-1)
	e.once.Do(func() {
		e.firstByte = time.Since(begun)
		length, err = e.first.ReadFrom(response.Body)
	})
	if length < 0 {
		length, err = io.Copy(io.Discard, response.Body)
	}
	_ = response.Body.Close()
	if err == nil && (response.StatusCode != e.Status || length != int64(e.first.Len())) {
		err = fmt.Errorf("status %d and %d bytes, must be %d and %d", response.StatusCode, length, e.Status, e.first.Len())
	}
	if err != nil {
		return nil, err
	}
	response.Body = http.NoBody
	return response, nil
}

// check fails unless the first response is the list of the users, or names the user it created.
func (e *expect) check() error {
	var list []user
	var created struct{ ID uuid.UUID }
	var body any = &list
	if e.Status == http.StatusCreated {
		body = &created
	}
	err := json.Unmarshal(e.first.Bytes(), body)
	if err != nil || len(list) != e.Users || e.Status == http.StatusCreated && created.ID == uuid.Nil {
		return errors.Join(err, fmt.Errorf("the first response has %d users, must have %d: %.200q",
			len(list), e.Users, e.first.String()))
	}
	for i, u := range list {
		if want := userNumber(i); u != want {
			return fmt.Errorf("user %d is %+v, must be %+v", i, u, want)
		}
	}
	return nil
}

// loop calls PutItem as often as it can by the SDK with its defaults, without a server.
func loop(ctx context.Context, l load) (map[string]float64, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	db := dynamodb.NewFromConfig(cfg)
	item, _ := attributevalue.MarshalMap(user{ID: uuid.NewString(), Name: "Ada", Email: "ada@example.com"}) // no error
	ctx, cancel := context.WithTimeout(ctx, l.Duration)
	defer cancel()
	callers, each := errgroup.WithContext(ctx)
	var calls atomic.Int64
	for range l.Connections {
		callers.Go(func() error {
			for {
				if _, err := db.PutItem(each, &dynamodb.PutItemInput{TableName: aws.String("users"), Item: item}); err != nil {
					return err
				}
				calls.Add(1)
			}
		})
	}
	if err := callers.Wait(); ctx.Err() == nil {
		return nil, err
	}
	return map[string]float64{requestRate: float64(calls.Load()) / l.Duration.Seconds()}, nil
}

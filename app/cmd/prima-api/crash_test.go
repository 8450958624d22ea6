package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// An outcome is what the API shows.
type outcome struct {
	users int
	image string // of Ada; empty if she is gone or has none
}

// A write is something that a client does with Ada, who has an avatar.
type write struct {
	do            func(p *process, path string) reply // path is hers
	before, after []string                            // the calls that change something, until it is done and then
	outcome       outcome
}

// Ensure a process that is killed at any point of a write leaves users and images as they were
// before or after that write, and that the sweep removes whatever else it leaves in the bucket.
//
// It is killed when a call has been carried out and it has not read the response. To AWS that is
// the same as before its next call.
func TestCrash(t *testing.T) {
	t.Parallel()
	first, second := string(apitest.PNG(2, 2)), string(apitest.PNG(3, 3))
	for name, w := range map[string]write{
		"creating a user": {
			do:     func(p *process, _ string) reply { return p.upload("Grace", []byte(second)) },
			before: []string{"S3.PutObject"}, after: []string{"DynamoDB.PutItem"},
			outcome: outcome{2, first},
		},
		"replacing an avatar": {
			do: func(p *process, path string) reply {
				return send(http.MethodPut, p.url+path+"/avatar", second, "Content-Type: image/png")
			},
			before: []string{"S3.PutObject"}, after: []string{"DynamoDB.UpdateItem", "S3.DeleteObject"},
			outcome: outcome{1, second},
		},
		"removing an avatar": {
			do:      func(p *process, path string) reply { return send(http.MethodDelete, p.url+path+"/avatar", "") },
			after:   []string{"DynamoDB.UpdateItem", "S3.DeleteObject"},
			outcome: outcome{1, ""},
		},
		"deleting a user": {
			do:      func(p *process, path string) reply { return send(http.MethodDelete, p.url+path, "") },
			after:   []string{"DynamoDB.DeleteItem", "S3.DeleteObject"},
			outcome: outcome{0, ""},
		},
	} {
		kill := func(call string, want outcome) {
			t.Run(name+", "+call, func(t *testing.T) {
				t.Parallel()
				a := awstest.Start(t)
				a.Pass(-2 * time.Hour) // the time of the bucket, so that every image is old for the sweep
				p := start(t, a.Environ()...)
				path := config.PathUsers + "/" + p.upload("Ada", []byte(first)).is(t, http.StatusCreated).id(t)
				reached := hang(a, true, call)
				written := make(chan reply, 1)
				go func() { written <- w.do(p, path) }()
				<-reached
				p.signal(t, os.Kill)
				assert.Error(t, (<-written).err)
				p.wait(t)
				a.Heal(call)
				requireOutcome(t, a, want)
			})
		}
		for _, call := range w.before {
			kill(call, outcome{1, first})
		}
		for _, call := range w.after {
			kill(call, w.outcome)
		}
	}
}

// requireOutcome requires what a new process shows, and that a sweep leaves nothing else.
func requireOutcome(t *testing.T, a *awstest.AWS, want outcome) {
	t.Helper()
	got, named := outcome{}, []string{}
	for _, u := range start(t, a.Environ()...).users(t) {
		got.users++
		if u.AvatarURL == "" {
			continue
		}
		r := get(t, u.AvatarURL).is(t, http.StatusOK)
		if u.Name == "Ada" {
			got.image = r.body
		}
		_, id, _ := strings.Cut(u.AvatarURL, "?v=")
		named = append(named, config.AvatarPrefix+u.ID+"/"+id)
	}
	assert.Equal(t, want, got)

	status, _, stderr := command(t, "sweep", a.Environ()...)
	assert.Equal(t, 0, status, stderr)
	assert.ElementsMatch(t, named, a.Objects(t))
}

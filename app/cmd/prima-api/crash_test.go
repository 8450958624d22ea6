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
	"prima.internal/app/bucket"
	"prima.internal/app/config"
)

// A crash is a write of which the program is killed at one of its calls.
type crash struct {
	write   func(p *process, ada string) reply // ada is the path of a user with the first image
	calls   []string                           // that the write makes, in their order
	commits string                             // the call after which the write has been done
	before  outcome
	after   outcome
}

// An outcome is what the API shows.
type outcome struct {
	users int
	image []byte // of Ada; nil if she is gone or has none
}

// Ensure a process that is killed at any point of a write leaves users and images as they were
// before or after that write, and that the sweep removes whatever else it leaves in the bucket.
func TestCrash(t *testing.T) {
	t.Parallel()
	first, second := apitest.PNG(2, 2), apitest.PNG(3, 3)
	for name, c := range map[string]crash{
		"creating a user": {
			write:   func(p *process, _ string) reply { return p.upload("Grace", second) },
			calls:   []string{"S3.PutObject", "DynamoDB.PutItem"},
			commits: "DynamoDB.PutItem",
			before:  outcome{1, first}, after: outcome{2, first},
		},
		"replacing an avatar": {
			write: func(p *process, ada string) reply {
				return send(http.MethodPut, p.url+ada+"/avatar", string(second), "Content-Type: image/png")
			},
			calls:   []string{"DynamoDB.GetItem", "S3.PutObject", "DynamoDB.UpdateItem", "S3.DeleteObject"},
			commits: "DynamoDB.UpdateItem",
			before:  outcome{1, first}, after: outcome{1, second},
		},
		"removing an avatar": {
			write:   func(p *process, ada string) reply { return send(http.MethodDelete, p.url+ada+"/avatar", "") },
			calls:   []string{"DynamoDB.GetItem", "DynamoDB.UpdateItem", "S3.DeleteObject"},
			commits: "DynamoDB.UpdateItem",
			before:  outcome{1, first}, after: outcome{1, nil},
		},
		"deleting a user": {
			write:   func(p *process, ada string) reply { return send(http.MethodDelete, p.url+ada, "") },
			calls:   []string{"DynamoDB.GetItem", "DynamoDB.DeleteItem", "S3.DeleteObject"},
			commits: "DynamoDB.DeleteItem",
			before:  outcome{1, first}, after: outcome{0, nil},
		},
	} {
		committed := false
		for _, call := range c.calls {
			for _, when := range []string{"before", "after"} {
				carriedOut, want := when == "after", c.before
				if committed = committed || carriedOut && call == c.commits; committed {
					want = c.after
				}
				t.Run(name+" "+when+" "+call, func(t *testing.T) {
					t.Parallel()
					c.kill(t, first, call, carriedOut, want)
				})
			}
		}
	}
}

// kill kills the program at a call, before or after AWS has carried it out, and requires an
// outcome.
func (c crash) kill(t *testing.T, image []byte, call string, carriedOut bool, want outcome) {
	t.Helper()
	a := awstest.Start(t)
	a.Pass(-2 * time.Hour) // the time of the bucket, so that every image is old for the sweep
	p := start(t, a.Environ()...)
	ada := config.PathUsers + "/" + p.upload("Ada", image).is(t, http.StatusCreated).id(t)
	reached := hang(a, carriedOut, call)
	written := make(chan reply, 1)
	go func() { written <- c.write(p, ada) }()
	<-reached
	p.signal(t, os.Kill)
	assert.Error(t, (<-written).err)
	p.wait(t)
	a.Heal(call)

	p = start(t, a.Environ()...)
	got, named := outcome{}, []string{}
	for _, u := range p.users(t) {
		got.users++
		if u.AvatarURL == "" {
			continue
		}
		r := get(t, u.AvatarURL).is(t, http.StatusOK)
		if u.Name == "Ada" {
			got.image = []byte(r.body)
		}
		_, id, _ := strings.Cut(u.AvatarURL, "?v=")
		named = append(named, bucket.Prefix+u.ID+"/"+id)
	}
	assert.Equal(t, want, got)
	assert.Subset(t, a.Objects(t), named)

	status, stdout, stderr := command(t, []string{"sweep"}, a.Environ()...)
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, " removed")
	assert.ElementsMatch(t, named, a.Objects(t))
}

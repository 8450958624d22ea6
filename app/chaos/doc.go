// Package chaos holds the API to what it promises while the network to AWS, or AWS itself, fails. All
// of it is in the tests.
//
// The API is the program itself, in a process of its own, and AWS is the embedded one, in the test's
// process. Between the two stands toxiproxy (https://github.com/Shopify/toxiproxy), once for DynamoDB
// and once for S3. It works on TCP connections, so that what happens to packets is put in its terms:
//
//   - A black hole takes connections and swallows what is sent.
//   - A port that refuses is a proxy that does not listen.
//   - Loss of packets is a small share of answers that stall or break off. What TCP sends again is late
//     rather than lost; to the API only what comes too late makes a difference.
//   - A long outage lasts hundreds of times as long as a request may take, which settings make short.
//
// Lines of the log that begin with “figure:” say what was seen.
package chaos

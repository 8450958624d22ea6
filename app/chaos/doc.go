// Package chaos tests what the API promises while the network to AWS, or AWS itself, fails.
//
// The API is the program itself, in a process of its own. AWS is the embedded one, in the test's
// process. Between the two stands toxiproxy (https://github.com/Shopify/toxiproxy), once for
// DynamoDB and once for S3. A black hole takes connections and swallows what is sent; a port that
// refuses is a proxy that does not listen. Settings make REQUEST_TIMEOUT short, and with it every
// outage.
package chaos

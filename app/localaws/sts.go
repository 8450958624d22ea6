package localaws

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
)

type callerIdentity struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type stsError struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// serveSTS answers GetCallerIdentity, which Pulumi and Terraform ask before anything else.
func serveSTS(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	form, _ := url.ParseQuery(string(b))
	if action := form.Get("Action"); action != "GetCallerIdentity" {
		answerXML(w, r, http.StatusBadRequest, stsError{
			Type: "Sender", Code: "InvalidAction", Message: "the embedded STS has no " + action, RequestID: requestID(),
		})
		return
	}
	answerXML(w, r, http.StatusOK, callerIdentity{
		Arn: "arn:aws:iam::" + Account + ":root", UserID: Account, Account: Account, RequestID: requestID(),
	})
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
)

const (
	slackPath     = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
	twilioAccount = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	twilioToken   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	twilioPath    = "/2010-04-01/Accounts/" + twilioAccount + "/Messages.json"
)

// slack is an incoming webhook.
func (s *standIns) slack(w http.ResponseWriter, r *http.Request) {
	var message struct{ Text string }
	switch err := json.NewDecoder(r.Body).Decode(&message); {
	case err != nil:
		http.Error(w, "invalid_payload", http.StatusBadRequest)
	case message.Text == "":
		http.Error(w, "no_text", http.StatusBadRequest)
	default:
		s.accept(slack.Name, message.Text)
		_, _ = io.WriteString(w, "ok")
	}
}

// twilio is the part of Twilio's API that sends a text message.
func (s *standIns) twilio(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	user, password, _ := r.BasicAuth()
	switch to, text := r.PostFormValue("To"), r.PostFormValue("Body"); {
	case user != twilioAccount || password != twilioToken:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"status":401,"code":20003,"message":"Authenticate"}`)
	case text == "":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":400,"code":21602,"message":"Message body is required."}`)
	default:
		s.accept(sms.Name, fmt.Sprintf("to %s: %s", to, text))
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"sid":"SM%032d","status":"queued","error_code":null}`, 1)
	}
}

package console

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

// curl returns a command that makes the request of the delivery's next attempt, with masks in place
// of secrets, and without the signature, which would need one. It is empty for other channels than
// an HTTP endpoint. note says what is missing.
func (c *Console) curl(
	q *request, sub *webhook.Subscription, d *webhook.Delivery, payload []byte,
) (command, note string, err error) {
	i := slices.Index(sub.ChannelKeys(), d.Channel)
	if i < 0 || sub.Channels[i].Channel != httpendpoint.Name || len(payload) == 0 {
		return "", "", nil
	}
	masked, err := c.fields.Masked(sub)
	if err != nil {
		return "", "", err
	}
	var endpoint httpendpoint.Config
	if json.Unmarshal(masked.Channels[i].Configs, &endpoint) != nil {
		return "", "", nil //nolint:nilerr // the store cannot decrypt it: there is no command
	}
	body := string(payload)
	if len(endpoint.PayloadTemplate) > 0 && string(endpoint.PayloadTemplate) != "null" {
		// Templates may hold secrets that the mask hides: render what is stored.
		var stored httpendpoint.Config
		var e event.Event
		if json.Unmarshal(sub.Channels[i].Configs, &stored) != nil || json.Unmarshal(payload, &e) != nil {
			return "", "", nil //nolint:nilerr // the attempts say that it cannot be decoded
		}
		source := stored.PayloadTemplate
		if !q.identity.Reveal {
			source = endpoint.PayloadTemplate
		}
		rendered, err := c.renderTemplate(q, template.ShapeObject, string(source), template.FormatPlain, &e)
		if err != nil {
			return "", "", nil //nolint:nilerr // the attempts say why it does not render
		}
		body = rendered
	}
	headers := map[string]string{"Content-Type": "application/json",
		httpendpoint.HeaderEventID: d.EventID, httpendpoint.HeaderDeliveryID: d.ID.String(),
		httpendpoint.HeaderAttempt: strconv.Itoa(len(d.Attempts) + 1)}
	maps.Copy(headers, endpoint.Headers)
	method := "POST"
	if strings.EqualFold(endpoint.Method, "PUT") {
		method = "PUT"
	}
	lines := []string{"curl -X " + method + " " + quote(endpoint.URL)}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lines = append(lines, "-H "+quote(name+": "+headers[name]))
		if headers[name] == configs.Mask {
			note = "Replace the masks with the values."
		}
	}
	lines = append(lines, "--data-binary "+quote(body))
	if endpoint.SigningSecret != "" {
		note = strings.TrimSpace(note + " The command has no signature.")
	}
	return strings.Join(lines, " \\\n  "), note, nil
}

// quote writes a word for a POSIX shell, whatever it holds. curl would read a file for a body that
// begins with "@", which the JSON of an event does not.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

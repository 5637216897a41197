package receivertest

// rivals is how many senders send the same event at the same time.
const rivals = 8

var rules = []Rule{
	{
		Name:  "valid event",
		Why:   "an authentic event gets 2xx and is handled once",
		check: validEvent,
	},
	{
		Name:  "documented events",
		Why:   "both spellings of the envelope are accepted, and unknown fields are ignored",
		check: documentedEvents,
	},
	{
		Name: "any JSON",
		Why: "white space, the order of fields and escapes are up to the sender, and a signature " +
			"covers the bytes as they were sent",
		check: anyJSON,
	},
	{
		Name: "unknown type",
		Why: "an event of a type without a handler gets 2xx: it would have no effect if it were " +
			"sent again",
		check: unknownType,
	},
	{
		Name: "header case",
		Why: "names of headers are case-insensitive: HTTP/2 and many senders write them in lower " +
			"case",
		check: headerCase,
	},
	{
		Name:  "wrong secret",
		Why:   "without exactly one right secret the answer is 401 and the event is not handled",
		needs: needsSecret,
		check: wrongSecret,
	},
	{
		Name: "wrong secret reads no body",
		Why: "a wrong secret is refused before the body has arrived, so that strangers cost no " +
			"memory and no time",
		needs: needsSecret,
		check: wrongSecretEarly,
	},
	{
		Name: "wrong signature",
		Why: "without a signature of this body and id by a known key the answer is 401 and the " +
			"event is not handled",
		needs: needsSigner,
		check: wrongSignature,
	},
	{
		Name: "several signatures",
		Why: "any of 16 signatures may match, in any place and on any line, so that keys can be " +
			"rotated; a 17th is ignored, to bound the cost of a header",
		needs: needsSigner,
		check: severalSignatures,
	},
	{
		Name: "signed id",
		Why: "an event_id other than the signed webhook-id gets a 4xx, so that the event which is " +
			"handled and deduplicated is the one that was signed",
		needs: needsSigner,
		check: signedID,
	},
	{
		Name: "replayed old timestamp",
		Why: "a signature from long ago, or from the future, gets 401, because an attacker may " +
			"have recorded it",
		needs: needsSigner,
		check: oldTimestamp,
	},
	{
		Name:  "other credentials",
		Why:   "every secret and key in use is accepted, so that they can be rotated",
		needs: needsOthers,
		check: otherCredentials,
	},
	{
		Name:  "retired credentials",
		Why:   "a secret or key that is no longer in use gets 401, because it may have leaked",
		needs: needsRetired,
		check: retiredCredentials,
	},
	{
		Name: "uniform refusal",
		Why: "all refusals of credentials are the same, so that an attacker does not learn which " +
			"part was right",
		check: uniformRefusal,
	},
	{
		Name:  "duplicate",
		Why:   "an event that is sent again gets 2xx and is not handled again",
		check: duplicate,
	},
	{
		Name: "odd ids",
		Why: "an id is any text: ids that differ anywhere are different events, and no id breaks " +
			"the store",
		check: oddIDs,
	},
	{
		Name:  "many at once",
		Why:   "different events that arrive at the same time are each handled once",
		check: manyAtOnce,
	},
	{
		Name: "concurrent duplicate",
		Why: "of copies that arrive at the same time one is handled; the others get 2xx after " +
			"that, or an answer that makes the sender retry",
		check: concurrentDuplicate,
	},
	{
		Name: "duplicate in flight",
		Why: "a copy of an event gets no 2xx while the event is still being handled: if the " +
			"handler failed, the sender would not send it again",
		needs: needsHold,
		check: duplicateInFlight,
	},
	{
		Name: "failing handler",
		Why: "an event whose handler fails gets a 5xx, best 503, and is handled when it is sent " +
			"again",
		needs: needsFail,
		check: failingHandler,
	},
	{
		Name:  "body at the limit",
		Why:   "a body of exactly the limit is accepted",
		check: bodyAtLimit,
	},
	{
		Name:  "oversize",
		Why:   "a body over the limit gets 413, with a Content-Length and in chunks",
		check: oversize,
	},
	{
		Name: "compressed body",
		Why: "a decompressed body is limited too, because a few bytes can decompress to a " +
			"gigabyte; a receiver that decompresses nothing answers a 4xx, best 415",
		check: compressed,
	},
	{
		Name: "content type",
		Why: "a body of another type than JSON gets a 4xx, best 415; browsers send such bodies " +
			"from any page without a preflight request",
		check: contentType,
	},
	{
		Name:  "malformed",
		Why:   "an authentic body that is not an event gets a 4xx and has no effect",
		check: malformed,
	},
	{
		Name: "no type",
		Why: "an event without event_type gets a 4xx: there is no handler for it, and with a 2xx " +
			"it would be lost without a trace",
		check: noType,
	},
	{
		Name:  "wrong method",
		Why:   "only POST is accepted; other methods get a 4xx, best 405",
		check: wrongMethod,
	},
	{
		Name:  "slow body",
		Why:   "the connection of a sender that does not send the announced body is closed in time",
		needs: needsReadTimeout,
		check: slowBody,
	},
	{
		Name: "no secrets in answers",
		Why: "no answer contains the secret or the signature that would have been right: its " +
			"reader could send events",
		check: noLeaks,
	},
	{
		Name:  "still alive",
		Why:   "after all of this an event is still accepted and handled",
		check: validEvent,
	},
	{
		Name: "long memory",
		Why: "the first event of the run is not handled again when it is sent again at the end: " +
			"senders retry for days",
		check: longMemory,
	},
}

func needsSecret(s *suite) string {
	if s.Secret == "" {
		return "needs Options.Secret"
	}
	return ""
}

func needsSigner(s *suite) string {
	if s.Signer == nil {
		return "needs Options.Signer"
	}
	return ""
}

func needsHold(s *suite) string {
	if s.Hold == nil {
		return "needs Options.Hold"
	}
	return ""
}

func needsFail(s *suite) string {
	if s.Fail == nil {
		return "needs Options.Fail"
	}
	return ""
}

func needsOthers(s *suite) string {
	if len(s.Others) == 0 {
		return "needs Options.Others"
	}
	return ""
}

func needsRetired(s *suite) string {
	if len(s.Retired) == 0 {
		return "needs Options.Retired"
	}
	return ""
}

func needsReadTimeout(s *suite) string {
	if s.ReadTimeout == 0 {
		return "needs Options.ReadTimeout"
	}
	return ""
}

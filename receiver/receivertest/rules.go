package receivertest

// rivals is how many send the same event at the same time.
const rivals = 8

var rules = []Rule{
	{
		Name:  "valid event",
		Why:   "an authentic event is acknowledged with 2xx and handled once",
		check: validEvent,
	},
	{
		Name:  "documented events",
		Why:   "both spellings of the envelope are accepted, and fields that are not known",
		check: documentedEvents,
	},
	{
		Name:  "any JSON",
		Why:   "white space, order and escapes are the sender's business, and a signature is of the bytes as they came",
		check: anyJSON,
	},
	{
		Name:  "unknown type",
		Why:   "an event type that nobody handles gets 2xx: sending it again would change nothing",
		check: unknownType,
	},
	{
		Name:  "header case",
		Why:   "names of headers have no case: HTTP/2 and many senders write them in small letters",
		check: headerCase,
	},
	{
		Name:  "wrong secret",
		Why:   "without the right secret, once, the answer is 401 and nothing happens",
		needs: needsSecret,
		check: wrongSecret,
	},
	{
		Name:  "wrong secret reads no body",
		Why:   "a wrong secret is answered before the body has arrived: strangers get no memory and no time",
		needs: needsSecret,
		check: wrongSecretEarly,
	},
	{
		Name:  "wrong signature",
		Why:   "without a signature by a known key, of this body and id, the answer is 401 and nothing happens",
		needs: needsSigner,
		check: wrongSignature,
	},
	{
		Name:  "several signatures",
		Why:   "any of 16 signatures counts, wherever it stands and on whichever line a proxy has put it, so that keys can be rotated; a 17th does not, so that a header costs no more than that",
		needs: needsSigner,
		check: severalSignatures,
	},
	{
		Name:  "signed id",
		Why:   "an event_id that is not the signed webhook-id gets a 4xx: what is signed, deduplicated and handled is one event",
		needs: needsSigner,
		check: signedID,
	},
	{
		Name:  "replayed old timestamp",
		Why:   "a signature from long ago, or from the future, is 401: somebody may have recorded it",
		needs: needsSigner,
		check: oldTimestamp,
	},
	{
		Name:  "other credentials",
		Why:   "every secret and key that is in use is accepted, or none could ever be changed",
		needs: needsOthers,
		check: otherCredentials,
	},
	{
		Name:  "retired credentials",
		Why:   "a secret or key that is not in use any more gets 401: it was changed because somebody else may have it",
		needs: needsRetired,
		check: retiredCredentials,
	},
	{
		Name:  "uniform refusal",
		Why:   "all refusals of credentials look the same, so that nobody learns which part was right",
		check: uniformRefusal,
	},
	{
		Name:  "duplicate",
		Why:   "an event that comes again is acknowledged with 2xx and not handled again",
		check: duplicate,
	},
	{
		Name:  "odd ids",
		Why:   "an id is any text: two that differ anywhere are two events, and nothing in one breaks a store",
		check: oddIDs,
	},
	{
		Name:  "many at once",
		Why:   "different events that come at the same time are each handled once",
		check: manyAtOnce,
	},
	{
		Name:  "concurrent duplicate",
		Why:   "of copies that come at the same time one is handled; the others get 2xx once it is, or are asked to come again",
		check: concurrentDuplicate,
	},
	{
		Name:  "duplicate in flight",
		Why:   "nothing is acknowledged while the event is still being handled: that may fail, and then nobody would send it again",
		needs: needsHold,
		check: duplicateInFlight,
	},
	{
		Name:  "failing handler",
		Why:   "an event whose handler fails gets a 5xx, best 503, and is handled when it comes again: it is acknowledged only once it is done",
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
		Why:   "a body over the limit gets 413, whether or not its length is announced",
		check: oversize,
	},
	{
		Name:  "compressed body",
		Why:   "what a body unpacks to has a limit too, and where nothing unpacks, a compressed body gets a 4xx, best 415: a few bytes can hold a gigabyte",
		check: compressed,
	},
	{
		Name:  "content type",
		Why:   "a body that does not say it is JSON gets a 4xx, best 415; browsers can send such a body from any page without asking",
		check: contentType,
	},
	{
		Name:  "malformed",
		Why:   "an authentic body that is no event gets a 4xx and does no harm",
		check: malformed,
	},
	{
		Name:  "no type",
		Why:   "an event without event_type gets a 4xx: nobody can handle it, and acknowledged it is lost without a trace",
		check: noType,
	},
	{
		Name:  "wrong method",
		Why:   "webhooks are posted; everything else gets a 4xx, best 405",
		check: wrongMethod,
	},
	{
		Name:  "slow body",
		Why:   "a sender that does not send what it announced is let go of in time",
		needs: needsReadTimeout,
		check: slowBody,
	},
	{
		Name:  "no secrets in answers",
		Why:   "no answer has the secret in it, or the signature that would have been right: whoever reads it could send events",
		check: noLeaks,
	},
	{
		Name:  "still alive",
		Why:   "after all of this the next event is handled as ever",
		check: validEvent,
	},
	{
		Name:  "long memory",
		Why:   "the first event of the run is not handled again when it comes once more at the end: senders try for days",
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

package configs

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/event/signature"
)

// maxPrevious is how many earlier signing secrets stay in use.
const maxPrevious = 3

const (
	fieldSecret   = "signing_secret"
	fieldPrevious = "signing_secrets"
)

// Rotation is what [Rotate] did.
type Rotation struct {
	// Secret is the new secret, which requests are signed with from now on, and Public the public
	// key of v1a signatures; empty if the secret is not a key pair.
	Secret, Public string
	// Previous is how many earlier secrets requests are still signed with.
	Previous int
}

// Rotate adds a new signing secret before the present one to the configs of a channel that can
// sign. Requests are signed with both until [DropPrevious].
func Rotate(configs json.RawMessage) (json.RawMessage, Rotation, error) {
	s, err := readSigning(configs)
	if err != nil {
		return nil, Rotation{}, err
	}
	secret, public := newSecret(s.current())
	s.secrets = append([]string{secret}, s.secrets[:min(len(s.secrets), maxPrevious)]...)
	rotated, err := s.write()
	return rotated, Rotation{secret, public, len(s.secrets) - 1}, err
}

// DropPrevious ends a rotation: only the newest signing secret is kept.
func DropPrevious(configs json.RawMessage) (json.RawMessage, error) {
	s, err := readSigning(configs)
	if err != nil {
		return nil, err
	}
	s.secrets = s.secrets[:min(len(s.secrets), 1)]
	return s.write()
}

// SigningSecrets returns how many signing secrets the configs have.
func SigningSecrets(configs json.RawMessage) (int, error) {
	s, err := readSigning(configs)
	return len(s.secrets), err
}

// newSecret makes a secret of the same kind as the present one.
func newSecret(present string) (secret, public string) {
	key := signature.NewKey()
	if old, err := signature.ParseKey(present); err == nil {
		if _, pair := old.Public(); pair {
			key = signature.NewKeyPair()
		}
	}
	if verifies, ok := key.Public(); ok {
		public = verifies.Reveal()
	}
	return key.Reveal(), public
}

// signing is the configs of a channel that can sign, and its secrets, the newest first.
type signing struct {
	members map[string]json.RawMessage
	secrets []string
}

func readSigning(configs json.RawMessage) (s signing, err error) {
	if err := json.Unmarshal(configs, &s.members); err != nil {
		return s, err
	}
	if s.members == nil { // the configs are null
		s.members = make(map[string]json.RawMessage)
	}
	var current string
	for field, value := range map[string]any{fieldSecret: &current, fieldPrevious: &s.secrets} {
		if raw := s.members[field]; raw != nil {
			if err := json.Unmarshal(raw, value); err != nil {
				return s, err
			}
		}
	}
	if current != "" {
		s.secrets = append([]string{current}, s.secrets...)
	}
	return s, nil
}

func (s signing) current() string {
	if len(s.secrets) == 0 {
		return ""
	}
	return s.secrets[0]
}

func (s signing) write() (json.RawMessage, error) {
	delete(s.members, fieldSecret)
	delete(s.members, fieldPrevious)
	set := func(field string, value any) error {
		raw, err := json.Marshal(value)
		s.members[field] = raw
		return err
	}
	if len(s.secrets) > 0 {
		if err := set(fieldSecret, s.secrets[0]); err != nil {
			return nil, err
		}
	}
	if len(s.secrets) > 1 {
		if err := set(fieldPrevious, s.secrets[1:]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(s.members)
}

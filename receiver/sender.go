package receiver

import "fmt"

// A Sender says by which credentials a request was let in: which of
// [Config.Secrets], and which of the keys of [Config.Signature]. Two senders that
// share a secret are one; one that changes its secret is two for a while. It tells
// the senders of one Receiver apart: the first secret of another one is the same
// Sender. The zero value is a sender that is not known.
type Sender uint32

// senderOf returns the sender with these credentials, -1 for one that was not
// looked at.
func senderOf(secret, key int) Sender {
	return Sender(min(secret+1, 0xffff)<<16 | min(key+1, 0xffff)) //nolint:gosec // neither is negative
}

// String names the credentials by their index, as in "secret 0, key 1".
func (s Sender) String() string {
	secret, key := int(s>>16)-1, int(s&0xffff)-1
	switch {
	case secret < 0 && key < 0:
		return "unknown"
	case secret < 0:
		return fmt.Sprint("key ", key)
	case key < 0:
		return fmt.Sprint("secret ", secret)
	}
	return fmt.Sprintf("secret %d, key %d", secret, key)
}

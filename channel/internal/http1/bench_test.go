//go:build unix

package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// sinkEnv tells a copy of the test binary to be the benchmarks' server.
const sinkEnv = "WEBHOOKS_TEST_HTTP1_SINK"

func TestMain(m *testing.M) {
	if os.Getenv(sinkEnv) != "" {
		if err := serveSink(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveSink answers requests on a plain and a TLS port, which it prints, until its
// standard input ends. It listens on all of 127.0.0.0/8, so that each address there is a
// host of its own.
func serveSink() error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	for _, encrypted := range []bool{false, true} {
		l, err := net.Listen("tcp4", "0.0.0.0:0")
		if err != nil {
			return err
		}
		fmt.Println(l.Addr().(*net.TCPAddr).Port)
		if encrypted {
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go answerAll(c)
			}
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

func answerAll(c net.Conn) {
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	for {
		length := 0
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			}
			if len(line) == len("\r\n") {
				break
			}
		}
		if _, err := br.Discard(length); err != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n"+
			"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// startSink starts serveSink in another process, so that what this one takes is the client's.
func startSink(b *testing.B) (plain, encrypted string) {
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), sinkEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	_, err = fmt.Fscan(out, &plain, &encrypted)
	require.NoError(b, err)
	return plain, encrypted
}

// BenchmarkTransport is the client's CPU for each request of 600 bytes, in microseconds:
// net/http as channelkit configures it, and Transport. With 2,000 hosts, each request goes
// to any of them, and most need a new connection.
func BenchmarkTransport(b *testing.B) {
	plain, encrypted := startSink(b)
	dialer := &net.Dialer{}
	for _, scheme := range []string{"http", "https"} {
		port := plain
		if scheme == "https" {
			port = encrypted
		}
		for _, hosts := range []int{1, 2000} {
			newConfig := func() *tls.Config {
				return &tls.Config{ServerName: "sink", InsecureSkipVerify: true, //nolint:gosec // as costly
					ClientSessionCache: tls.NewLRUClientSessionCache(1024)}
			}
			transports := map[string]interface {
				http.RoundTripper
				CloseIdleConnections()
			}{
				"net_http": &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: newConfig(),
					MaxIdleConns: 1024, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
					DisableCompression: true},
				"http1": http1.New(http1.Config{Dial: dialer.DialContext, TLS: newConfig(),
					MaxIdle: 1024, MaxIdlePerHost: 64, IdleTimeout: 90 * time.Second,
					MaxHeader: 64 << 10, TLSTimeout: 10 * time.Second}),
			}
			for _, name := range []string{"net_http", "http1"} {
				b.Run(fmt.Sprintf("%s/hosts=%d/%s", scheme, hosts, name), func(b *testing.B) {
					defer transports[name].CloseIdleConnections()
					urls := make([]string, hosts)
					for i := range urls {
						urls[i] = fmt.Sprintf("%s://127.1.%d.%d:%s/hook", scheme, i>>8, i&255, port)
					}
					benchmarkPosts(b, transports[name], urls)
				})
			}
		}
	}
}

func benchmarkPosts(b *testing.B, transport http.RoundTripper, urls []string) {
	requests := make([]*http.Request, len(urls))
	for i, url := range urls {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, nil)
		require.NoError(b, err)
		r.Header = http.Header{"Content-Type": {"application/json"}, "Accept-Encoding": {"identity"},
			"User-Agent": {"webhooks-go (+https://github.com/mixpeek/webhooks-go)"},
			"X-Secret":   {"a shared secret of some length"}, "Idempotency-Key": nil}
		requests[i] = r
	}
	body := []byte(strings.Repeat("x", 600))
	post := func(i int) error {
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		defer cancel()
		r := requests[i].WithContext(ctx)
		r.ContentLength = int64(len(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		return err
	}
	b.SetParallelism(16)
	b.ReportAllocs()
	before := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := post(mathrand.IntN(len(urls))); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// cpuTime is the user and system time of this process.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

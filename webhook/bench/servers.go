package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// printServers says what the database servers promise: figures of one that does
// not sync its disk are no figures of one that does.
func printServers(ctx context.Context, o options, out io.Writer) error {
	if slices.Contains(o.engines, "postgres") || slices.Contains(o.engines, "river") {
		text, err := postgresSettings(ctx, o)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, text)
	}
	if slices.Contains(o.engines, "asynq") {
		text, err := redisSettings(ctx, o)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, text)
	}
	return nil
}

func postgresSettings(ctx context.Context, o options) (text string, err error) {
	if o.dsn == "" {
		return "", errNoDSN
	}
	conn, err := pgx.Connect(ctx, o.dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, `SELECT 'PostgreSQL ' || current_setting('server_version') || ': ' ||
		string_agg(name || '=' || current_setting(name), ', ' ORDER BY name)
		FROM unnest(ARRAY['autovacuum', 'fsync', 'shared_buffers', 'synchronous_commit', 'max_wal_size']) name`).Scan(&text)
	return text, err
}

func redisSettings(ctx context.Context, o options) (string, error) {
	opt, err := redis.ParseURL(o.redis)
	if err != nil {
		return "", fmt.Errorf("-redis must name a Redis: %w", err)
	}
	client := redis.NewClient(opt)
	defer func() { _ = client.Close() }()
	config, err := client.ConfigGet(ctx, "append*").Result()
	if err != nil {
		return "", err
	}
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(info, "redis_version:")
	version, _, _ = strings.Cut(version, "\r\n")
	return fmt.Sprintf("Redis %s: appendonly=%s, appendfsync=%s", version, config["appendonly"],
		config["appendfsync"]), nil
}

// pgx, version 4.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

const (
	user     = 42
	uuidUser = "00000000-0000-4000-8000-000000000042"
	marker   = "stands-in-the-text"
)

var ctx = context.Background()

type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}

// The first value of the first row, as pgx gives it to who does not say a type.
func value(from querier, query string, parameters ...any) (found any, err error) {
	rows, err := from.Query(ctx, query, parameters...)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		found = values[0]
	}
	return found, rows.Err()
}

func valueAs(conn *pgx.Conn, userID string, query string, parameters ...any) (found any, err error) {
	err = conn.BeginFunc(ctx, func(tx pgx.Tx) error {
		if _, err := value(tx, "SELECT set_config('key_vault.user_id', $1, true)", userID); err != nil {
			return err
		}
		found, err = value(tx, query, parameters...)
		return err
	})
	return
}

func describe(err error) string {
	if err == nil {
		return "no error"
	}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Sprintf("%s %T", said.Code, err)
	}
	return fmt.Sprintf("- %T", err)
}

func howToPass(conn *pgx.Conn, userID any) string {
	ways := []struct {
		name, placeholder string
		passed            any
	}{{"as it is", "$1", userID}, {"with ::text", "$1::text", userID}, {"as a string", "$1", fmt.Sprint(userID)}}
	for _, way := range ways {
		key, err := value(conn, "SELECT key_vault.get("+way.placeholder+", 'gemini')", way.passed)
		if err == nil && key == fmt.Sprintf("key-of-%v", userID) {
			return way.name
		}
	}
	return "not at all"
}

func must[T any](found T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return found
}

func check(holds bool, what string) {
	if !holds {
		log.Fatal(what)
	}
}

func main() {
	conn := must(pgx.Connect(ctx, "sslmode=disable"))
	if _, err := value(conn, "SELECT key_vault.get($1::text, 'gemini')", user); err != nil {
		fmt.Println("trap: pgx: it takes no integer for text, even when cast")
	}
	text := must(value(conn, "SELECT current_query() FROM (SELECT $1::text) AS q", marker)).(string)
	fmt.Println("parameters:", map[bool]string{true: "text", false: "bound"}[strings.Contains(text, marker)])
	fmt.Println("identity: conn.BeginFunc(ctx, ...)")
	check(must(valueAs(conn, fmt.Sprint(user), "SELECT key_vault.get(NULL, $1)", "gemini")) == fmt.Sprintf("key-of-%d", user), "not the user's key")
	left := must(value(conn, "SELECT current_setting('key_vault.user_id', true)"))
	check(left == nil || left == "", "the identity outlives its transaction")
	fmt.Println("integer:", howToPass(conn, user))
	fmt.Println("uuid:", howToPass(conn, uuidUser))
	fmt.Printf("jsonb: %T\n", must(valueAs(conn, fmt.Sprint(user), "SELECT key_vault.get_all(NULL)")))
	fmt.Printf("get: %v\n", must(valueAs(conn, "nobody", "SELECT key_vault.get(NULL, $1)", "gemini")))
	_, err := valueAs(conn, "nobody", "SELECT key_vault.require(NULL, $1)", "gemini")
	fmt.Println("require:", describe(err))
	_, err = valueAs(conn, "nobody", "SELECT key_vault.get($1, 'gemini')", fmt.Sprint(user))
	fmt.Println("refused:", describe(err))
	_, err = value(conn, "SELECT pg_terminate_backend(pg_backend_pid())")
	fmt.Println("stopped:", describe(err))
	_, err = pgx.Connect(ctx, "port=1 sslmode=disable")
	fmt.Println("unreachable:", describe(err))
}

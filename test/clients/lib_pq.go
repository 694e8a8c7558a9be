// lib/pq, of Go's database/sql.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/lib/pq"
)

const (
	user     = 42
	uuidUser = "00000000-0000-4000-8000-000000000042"
	marker   = "stands-in-the-text"
)

type querier interface {
	QueryRow(string, ...any) *sql.Row
}

func value[T any](from querier, query string, parameters ...any) (found T, err error) {
	err = from.QueryRow(query, parameters...).Scan(&found)
	return
}

func valueAs[T any](db *sql.DB, userID string, query string, parameters ...any) (found T, err error) {
	tx, err := db.Begin()
	if err != nil {
		return
	}
	defer tx.Rollback()
	if _, err = tx.Exec("SELECT set_config('key_vault.user_id', $1, true)", userID); err != nil {
		return
	}
	if found, err = value[T](tx, query, parameters...); err == nil {
		err = tx.Commit()
	}
	return
}

func describe(err error) string {
	if err == nil {
		return "no error"
	}
	var said *pq.Error
	if errors.As(err, &said) {
		return fmt.Sprintf("%s %T", said.Code, err)
	}
	return fmt.Sprintf("- %T", err)
}

func howToPass(db *sql.DB, userID any) string {
	ways := []struct {
		name, placeholder string
		passed            any
	}{{"as it is", "$1", userID}, {"with ::text", "$1::text", userID}, {"as a string", "$1", fmt.Sprint(userID)}}
	for _, way := range ways {
		key, err := value[sql.NullString](db, "SELECT key_vault.get("+way.placeholder+", 'gemini')", way.passed)
		if err == nil && key.String == fmt.Sprintf("key-of-%v", userID) {
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
	db := must(sql.Open("postgres", "sslmode=disable"))
	text := must(value[string](db, "SELECT current_query() FROM (SELECT $1::text) AS q", marker))
	fmt.Println("parameters:", map[bool]string{true: "text", false: "bound"}[strings.Contains(text, marker)])
	fmt.Println("identity: db.Begin()")
	check(must(valueAs[string](db, fmt.Sprint(user), "SELECT key_vault.get(NULL, $1)", "gemini")) == fmt.Sprintf("key-of-%d", user), "not the user's key")
	check(must(value[sql.NullString](db, "SELECT current_setting('key_vault.user_id', true)")).String == "", "the identity outlives its transaction")
	fmt.Println("integer:", howToPass(db, user))
	fmt.Println("uuid:", howToPass(db, uuidUser))
	fmt.Printf("jsonb: %T\n", must(valueAs[any](db, fmt.Sprint(user), "SELECT key_vault.get_all(NULL)")))
	fmt.Printf("get: %v\n", must(valueAs[any](db, "nobody", "SELECT key_vault.get(NULL, $1)", "gemini")))
	_, err := valueAs[string](db, "nobody", "SELECT key_vault.require(NULL, $1)", "gemini")
	fmt.Println("require:", describe(err))
	_, err = valueAs[string](db, "nobody", "SELECT key_vault.get($1, 'gemini')", fmt.Sprint(user))
	fmt.Println("refused:", describe(err))
	_, err = value[bool](db, "SELECT pg_terminate_backend(pg_backend_pid())")
	fmt.Println("stopped:", describe(err))
	fmt.Println("unreachable:", describe(must(sql.Open("postgres", "port=1 sslmode=disable")).Ping()))
}

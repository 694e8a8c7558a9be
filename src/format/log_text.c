/*
 * log_text.c
 *		Takes literals out of log entries.  What is written never overtakes what is
 *		still to be read, because no token gets longer.
 */
#include <string.h>

#include "format/log_text.h"
#include "format/sql_redact.h"

static const char mask[] = "****";

#define MASK_LEN (sizeof(mask) - 1)

typedef struct Edit
{
	char	   *text;
	size_t		read;			/* all before is done with */
	size_t		written;
} Edit;

static void
keep(Edit *edit, size_t until)
{
	memmove(edit->text + edit->written, edit->text + edit->read, until - edit->read);
	edit->written += until - edit->read;
	edit->read = until;
}

static void
put(Edit *edit, const char *bytes, size_t len)
{
	memcpy(edit->text + edit->written, bytes, len);
	edit->written += len;
}

/* Puts stars in the place of what is not read yet, as many as have room. */
static void
put_mask(Edit *edit, size_t until)
{
	size_t		room = until - edit->read;

	put(edit, mask, room < MASK_LEN ? room : MASK_LEN);
	edit->read = until;
}

static void
put_quoted_mask(Edit *edit, size_t until)
{
	size_t		room = until - edit->read;

	if (room < 2)
	{
		put_mask(edit, until);
		return;
	}
	put(edit, "'", 1);
	put(edit, mask, room - 2 < MASK_LEN ? room - 2 : MASK_LEN);
	put(edit, "'", 1);
	edit->read = until;
}

static void
put_comment(Edit *edit, size_t until)
{
	if (edit->text[edit->read] == '-')
		put(edit, "--", 2);
	else
		put(edit, "/* */", until - edit->read < 5 ? until - edit->read : 5);
	edit->read = until;
}

/* Hides the literals from where the edit is up to an offset. */
static void
hide_literals(Edit *edit, size_t until, KvSqlScanner scanner)
{
	KvSqlToken	token;

	scanner.text = edit->text;
	scanner.at = edit->read;
	scanner.len = until;
	while (kv_sql_next_hidden(&scanner, &token))
	{
		if (token.kind == KV_SQL_NUMBER)
			continue;
		keep(edit, token.start);
		if (token.kind == KV_SQL_COMMENT)
			put_comment(edit, token.end);
		else
			put_quoted_mask(edit, token.end);
	}
	keep(edit, until);
}

size_t
kv_log_hide_literals(char *text, size_t len, bool backslashes)
{
	Edit		edit = {0};
	KvSqlScanner scanner = {.backslashes = backslashes, .in_prose = true};

	edit.text = text;
	hide_literals(&edit, len, scanner);
	return edit.written;
}

static bool
stands_at(const char *text, size_t at, size_t len, const char *what)
{
	return len - at >= strlen(what) && memcmp(text + at, what, strlen(what)) == 0;
}

static size_t
find(const char *text, size_t at, size_t len, const char *what)
{
	while (at < len && !stands_at(text, at, len, what))
		at++;
	return at;
}

/* Behind the string of JSON whose quote stands in front of an offset. */
static size_t
skip_json_string(const char *text, size_t at, size_t len, bool *has_escapes)
{
	*has_escapes = false;
	while (at < len && text[at] != '"')
	{
		if (text[at] == '\\')
		{
			*has_escapes = true;
			at++;
		}
		at++;
	}
	return at < len ? at : len;
}

/* Where the first literal or comment may begin. */
static size_t
find_literal(const char *text, size_t at, size_t end)
{
	for (; at < end; at++)
	{
		char		next = at + 1 < end ? text[at + 1] : '\0';

		if (text[at] == '\'' || (text[at] == '$' && !kv_sql_is_digit(next)) ||
			(text[at] == '-' && next == '-') || (text[at] == '/' && next == '*'))
			return at;
	}
	return end;
}

static void
hide_in_json(Edit *edit, size_t len, KvSqlScanner scanner)
{
	for (;;)
	{
		size_t		quote = find(edit->text, edit->read, len, "\"");
		bool		has_escapes;
		size_t		end;

		if (quote == len)
			break;
		end = skip_json_string(edit->text, quote + 1, len, &has_escapes);
		keep(edit, quote + 1);
		if (!has_escapes)
			hide_literals(edit, end, scanner);
		else
		{
			keep(edit, find_literal(edit->text, edit->read, end));
			put_mask(edit, end);
		}
		keep(edit, end < len ? end + 1 : end);
	}
	keep(edit, len);
}

size_t
kv_log_hide_in_plan(char *text, size_t len, bool backslashes)
{
	Edit		edit = {.text = text};
	KvSqlScanner scanner = {.backslashes = backslashes};
	size_t		begin = find(text, 0, len, "Query");

	if (begin == len)
		return kv_log_hide_literals(text, len, backslashes);
	if (begin > 0 && text[begin - 1] == '"')
	{
		/* "Query Text": "SELECT 1" */
		keep(&edit, begin - 1);
		hide_in_json(&edit, len, scanner);
	}
	else if (stands_at(text, begin, len, "Query Text: \""))
		hide_in_json(&edit, len, scanner);
	else
	{
		/* Query Text: SELECT 1, <Query-Text>SELECT 1 */
		keep(&edit, begin);
		hide_literals(&edit, len, scanner);
	}
	return edit.written;
}

/* Behind a field of CSV; the comma that follows is not taken. */
static size_t
skip_csv_field(const char *text, size_t at, size_t len)
{
	bool		quoted = false;

	for (; at < len && (quoted || text[at] != ','); at++)
		if (text[at] == '"')
			quoted = !quoted;
	return at;
}

size_t
kv_log_hide_in_audit(char *text, size_t len, bool backslashes)
{
	Edit		edit = {.text = text};
	KvSqlScanner scanner = {.backslashes = backslashes, .in_prose = true};
	size_t		at = 0;

	for (int field = 1; field < 8; field++)
	{
		at = skip_csv_field(text, at, len);
		at += at < len;
	}
	keep(&edit, at);
	at = skip_csv_field(text, at, len);
	hide_literals(&edit, at, scanner);
	if (at < len)
	{
		keep(&edit, at + 1);
		at = skip_csv_field(text, at + 1, len);
		if (edit.read < at && text[edit.read] != '<')
			put_mask(&edit, at);
	}
	keep(&edit, len);
	return edit.written;
}

/* A quotation mark of any language that PostgreSQL speaks, in UTF-8 or Latin-1. */
static bool
is_quotation_mark(const unsigned char *at, size_t len, bool follows_ascii)
{
	if (at[0] == '"' || (follows_ascii && (at[0] == 0xab || at[0] == 0xbb)))
		return true;
	if (len >= 2 && at[0] == 0xc2 && (at[1] == 0xab || at[1] == 0xbb))
		return true;
	return len >= 3 && ((at[0] == 0xe2 && at[1] == 0x80 && at[2] >= 0x98 && at[2] <= 0x9f) ||
						(at[0] == 0xe3 && at[1] == 0x80 && at[2] >= 0x8c && at[2] <= 0x8f));
}

size_t
kv_log_hide_quoted(char *text, size_t len)
{
	Edit		edit = {.text = text};
	size_t		colon = find(text, 0, len, ": ");
	size_t		quote = 0;

	while (quote < len && !is_quotation_mark((const unsigned char *) text + quote, len - quote,
											 quote > 0 && (text[quote - 1] & 0x80) == 0))
		quote++;
	colon = colon < len ? colon + 2 : len;
	keep(&edit, colon < quote ? colon : quote);
	put_mask(&edit, len);
	return edit.written;
}

size_t
kv_log_hide_row(char *text, size_t len)
{
	Edit		edit = {.text = text};
	size_t		values = find(text, 0, len, ")=(");

	if (values == len)
		values = find(text, 0, len, "(");
	else
		values += 2;
	keep(&edit, values);
	put_mask(&edit, len);
	return edit.written;
}

size_t
kv_log_hide_copied(char *text, size_t len)
{
	Edit		edit = {.text = text};
	size_t		line = 0;

	while (line < len && !stands_at(text, line, len, "COPY "))
		line = find(text, line, len, "\n") + 1;
	if (line < len)
	{
		size_t		data = find(text, line, len, ": ");

		/* the data may have newlines: all that follows may be it */
		keep(&edit, data < len ? data + 2 : len);
		put_mask(&edit, len);
	}
	keep(&edit, len);
	return edit.written;
}

size_t
kv_log_hide_json(char *text, size_t len)
{
	Edit		edit = {.text = text};
	size_t		end = find(text, 0, len, "\n");

	if (find(text, 0, end, "JSON") < end)
	{
		size_t		colon = find(text, 0, end, ":");

		keep(&edit, colon < end ? colon + 1 : 0);
		if (edit.read < end && text[edit.read] == ' ')
			keep(&edit, edit.read + 1);
		put_mask(&edit, end);
	}
	keep(&edit, len);
	return edit.written;
}

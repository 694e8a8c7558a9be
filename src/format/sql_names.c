/*
 * sql_names.c
 *		Looks for names in any text.
 */
#include <string.h>

#include "format/sql_names.h"
#include "format/sql_token.h"
#include "format/sql_words.h"

#define WORD(text, rarest) {(text), sizeof(text) - 1, (rarest)}

static const KvSqlWord schema = WORD("key_vault", 4);
static const KvSqlWord execute = WORD("execute", 1);

static const KvSqlWord our_functions[] = {
	WORD("set", 0), WORD("import_dotenv", 12), WORD("import_keys", 7),
	WORD("inspect_key", 8), WORD("authenticate", 3), WORD("trust_issuer", 2)
};

#define OUR_FUNCTIONS (sizeof(our_functions) / sizeof(our_functions[0]))

/* Whether the schema at an offset is followed by a function of ours. */
static bool
has_our_function(const KvSqlPlace *place, void *is_mentioned)
{
	const char *text = place->text;
	size_t		next = kv_sql_skip_gap(text, place->len, place->end);

	*(bool *) is_mentioned = true;
	if (next >= place->len || text[next] != '.')
		return false;
	next = kv_sql_skip_gap(text, place->len, next + 1);
	for (size_t i = 0; i < OUR_FUNCTIONS; i++)
		if (kv_sql_word_end(text, place->len, next, our_functions[i].text, our_functions[i].len) > 0)
			return true;
	return false;
}

/*
 * UPDATE ... SET (a, b, c) = ... and ALTER ... SET (a = 1, b = 2) call no function.
 * at is behind the parenthesis.
 */
static bool
has_arguments_of_set(const char *text, size_t len, size_t at)
{
	KvSqlScanner scanner = {.text = text, .len = len, .at = at};
	KvSqlToken	token;
	size_t		depth = 1;
	size_t		commas = 0;

	while (depth > 0 && kv_sql_next(&scanner, &token))
	{
		char		c = text[token.start];

		if (token.kind != KV_SQL_OTHER)
			continue;
		if (c == '(' || c == '[')
			depth++;
		else if (c == ')' || c == ']')
			depth--;
		else if (c == ',' && depth == 1)
			commas++;
		else if (c == '=' && depth == 1 && commas == 0 &&
				 (token.end == len || text[token.end] != '>') && text[token.start - 1] != ':')
			return false;
	}
	at = kv_sql_skip_gap(text, len, scanner.at);
	return commas >= 2 && (at >= len || text[at] != '=');
}

static bool
is_called(const KvSqlPlace *place, void *function)
{
	const char *text = place->text;
	size_t		before = kv_sql_skip_gap_back(text, place->at);
	size_t		next = kv_sql_skip_gap(text, place->len, place->end);

	if ((before > 0 && text[before - 1] == '.') || next >= place->len || text[next] != '(')
		return false;
	return *(size_t *) function != 0 || has_arguments_of_set(text, place->len, next + 1);
}

bool
kv_sql_calls_ours(const char *text, size_t len)
{
	for (size_t i = 0; i < OUR_FUNCTIONS; i++)
		if (kv_sql_any_word(text, len, &our_functions[i], is_called, &i))
			return true;
	return false;
}

bool
kv_sql_names_ours(const char *text, size_t len)
{
	bool		is_mentioned = false;

	return kv_sql_any_word(text, len, &schema, has_our_function, &is_mentioned) ||
		(is_mentioned && kv_sql_calls_ours(text, len));
}

/* A name that is written as U&"...", perhaps with UESCAPE behind it, may be any. */
static bool
is_unicode_name(const char *text, size_t end)
{
	size_t		begin = end;

	if (end > 0 && text[end - 1] == '\'')
		return true;
	if (text[end] != '"' && text[end] != '\\')
		return false;
	while (begin > 0 && text[begin - 1] != '"' && end - begin < 8 * KV_SQL_NAME_MAX)
		begin--;
	begin = kv_sql_skip_gap_back(text, begin);
	return begin > 0 && text[begin - 1] == '&';
}

/* Whether the word that ends there, in front of a dot, is that schema. */
static bool
is_schema(const char *text, size_t end, const KvSqlName *name)
{
	size_t		begin = end - name->schema_len;

	if (end >= name->schema_len && kv_sql_word_begins(text, begin) &&
		kv_sql_is_same(text + begin, name->schema, name->schema_len))
		return true;
	return is_unicode_name(text, end);
}

/* Whether the word at an offset has no schema, or that one. */
static bool
has_schema(const KvSqlPlace *place, void *argument)
{
	const KvSqlName *name = argument;
	const char *text = place->text;
	size_t		dot = kv_sql_skip_gap_back(text, place->at);

	return name->schema_len == 0 || dot == 0 || text[dot - 1] != '.' ||
		is_schema(text, kv_sql_skip_gap_back(text, dot - 1), name);
}

bool
kv_sql_names_listed(const char *text, size_t len, const KvSqlName *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		KvSqlWord	word = {names[i].name, names[i].name_len, names[i].rarest};

		if (kv_sql_any_word(text, len, &word, has_schema, (void *) &names[i]))
			return true;
	}
	return false;
}

/* One word of a name in a list, in lower case, its quotes taken off. */
static bool
parse_word(KvSqlScanner *scanner, char word[KV_SQL_NAME_MAX], unsigned char *word_len)
{
	KvSqlToken	token = {.kind = KV_SQL_OTHER};
	size_t		start;
	size_t		end;

	while (kv_sql_next(scanner, &token) && token.kind == KV_SQL_SPACE)
		;
	start = token.start;
	end = token.end;
	if (token.kind == KV_SQL_QUOTED && token.style == KV_SQL_PLAIN)
		kv_sql_content(scanner->text, &token, &start, &end);
	else if (token.kind != KV_SQL_WORD)
		return false;
	if (start == end || end - start > KV_SQL_NAME_MAX)
		return false;
	*word_len = (unsigned char) (end - start);
	for (size_t i = 0; i < end - start; i++)
		word[i] = kv_sql_lower(scanner->text[start + i]);
	return true;
}

/* The next character that is no white space, which the scanner is then behind; NUL at the end. */
static char
next_separator(KvSqlScanner *scanner)
{
	while (scanner->at < scanner->len && kv_sql_is_space(scanner->text[scanner->at]))
		scanner->at++;
	return scanner->at < scanner->len ? scanner->text[scanner->at++] : '\0';
}

bool
kv_sql_names_parse(const char *list, KvSqlName *names, size_t size, size_t *count)
{
	KvSqlScanner scanner = {.text = list, .len = strlen(list)};
	char		separator;

	*count = 0;
	if (next_separator(&scanner) == '\0')
		return true;
	scanner.at = 0;
	do
	{
		KvSqlName  *name = &names[*count];

		if (*count == size || !parse_word(&scanner, name->name, &name->name_len))
			return false;
		(*count)++;
		name->schema_len = 0;
		separator = next_separator(&scanner);
		if (separator == '.')
		{
			memcpy(name->schema, name->name, name->name_len);
			name->schema_len = name->name_len;
			if (!parse_word(&scanner, name->name, &name->name_len))
				return false;
			separator = next_separator(&scanner);
		}
		name->rarest = (unsigned char) kv_sql_rarest(name->name, name->name_len);
	} while (separator == ',');
	return separator == '\0';
}

typedef struct Executed
{
	KvSqlNameTest test;
	void	   *argument;
} Executed;

/* The name behind EXECUTE.  One that must be read to be known is given as an empty one. */
static bool
test_executed(const KvSqlPlace *place, void *argument)
{
	const Executed *executed = argument;
	const char *text = place->text;
	KvSqlScanner scanner = {.text = text, .len = place->len, .at = place->end};
	KvSqlToken	token = {.kind = KV_SQL_OTHER};
	char		name[KV_SQL_NAME_MAX + 1] = "";
	size_t		start;
	size_t		end;

	while (kv_sql_next(&scanner, &token) &&
		   (token.kind == KV_SQL_SPACE || token.kind == KV_SQL_COMMENT))
		;
	if (scanner.at == place->end || (token.kind != KV_SQL_WORD && token.kind != KV_SQL_QUOTED))
		return false;
	start = token.start;
	end = token.end;
	if (token.kind == KV_SQL_QUOTED)
		kv_sql_content(text, &token, &start, &end);
	if (token.style == KV_SQL_PLAIN && end - start <= KV_SQL_NAME_MAX &&
		memchr(text + start, '"', end - start) == NULL)
	{
		for (size_t i = 0; i < end - start; i++)
			name[i] = token.kind == KV_SQL_WORD ? kv_sql_lower(text[start + i]) : text[start + i];
		name[end - start] = '\0';
	}
	return executed->test(name, executed->argument);
}

bool
kv_sql_any_executed(const char *text, size_t len, KvSqlNameTest test, void *argument)
{
	Executed	executed = {test, argument};

	return kv_sql_any_word(text, len, &execute, test_executed, &executed);
}

/*
 * sql_names.c
 *		Looks for names in any text.  Texts that name nothing are the rule, so what
 *		is fast is to find no such word.
 */
#include <string.h>

#include "format/sql_literals.h"
#include "format/sql_names.h"

static const char *const our_functions[] = {
	"set", "import_dotenv", "import_keys", "inspect_key", "authenticate", "trust_issuer"
};

#define OUR_FUNCTIONS (sizeof(our_functions) / sizeof(our_functions[0]))

static unsigned char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char) (c - 'A' + 'a') : (unsigned char) c;
}

static bool
is_same(const char *text, const char *word, size_t len)
{
	while (len-- > 0)
		if (lower(*text++) != (unsigned char) *word++)
			return false;
	return true;
}

/* $$ may stand right in front of a word, and behind it. */
static bool
is_word_char(char c)
{
	return kv_sql_is_name_char(c) && c != '$';
}

/* The letter of an escape as JSON has it, `\n`, belongs to no word. */
static bool
word_begins(const char *text, size_t at)
{
	if (at == 0 || !is_word_char(text[at - 1]))
		return true;
	return at >= 2 && text[at - 2] == '\\' && kv_sql_is_one_of(text[at - 1], "bfnrt");
}

static bool
word_is_at(const char *text, size_t len, size_t at, const char *word, size_t word_len)
{
	return len - at >= word_len && is_same(text + at, word, word_len) &&
		(len - at == word_len || !is_word_char(text[at + word_len]));
}

/*
 * The offset of a word, from an offset on; len when it is not there.  Horspool's
 * search: the text's character under the word's last one says how far to go on.
 */
static size_t
find_word(const char *text, size_t len, size_t at, const char *word, size_t word_len)
{
	unsigned char skip[256];

	memset(skip, (int) word_len, sizeof(skip));
	for (size_t i = 0; i + 1 < word_len; i++)
	{
		unsigned char c = (unsigned char) word[i];

		skip[c] = (unsigned char) (word_len - 1 - i);
		if (c >= 'a' && c <= 'z')
			skip[c - 'a' + 'A'] = skip[c];
	}
	while (len - at >= word_len && at < len)
	{
		if (word_is_at(text, len, at, word, word_len) && word_begins(text, at))
			return at;
		at += skip[(unsigned char) text[at + word_len - 1]];
	}
	return len;
}

/*
 * Behind what may stand between the words of one name: white space, comments, the
 * quotes of the names, and how JSON and CSV spell those.
 */
static size_t
skip_gap(const char *text, size_t len, size_t at)
{
	for (;;)
	{
		KvSqlScanner scanner = {.text = text, .len = len, .at = at};
		KvSqlToken	token;

		if (at < len && (text[at] == '"' || text[at] == '\\'))
		{
			at++;
			if (text[at - 1] == '\\' && at < len && kv_sql_is_one_of(text[at], "fnrt"))
				at++;
			continue;
		}
		if (at < len && !kv_sql_is_space(text[at]) && text[at] != '-' && text[at] != '/')
			return at;
		if (!kv_sql_next(&scanner, &token) ||
			(token.kind != KV_SQL_SPACE && token.kind != KV_SQL_COMMENT))
			return at;
		at = scanner.at;
	}
}

/* In front of white space and quotes; behind what stands there. */
static size_t
skip_gap_back(const char *text, size_t at)
{
	while (at > 0 && (kv_sql_is_space(text[at - 1]) || text[at - 1] == '"' || text[at - 1] == '\\'))
		at--;
	return at;
}

bool
kv_sql_names_ours(const char *text, size_t len)
{
	static const char schema[] = "key_vault";
	size_t		at = 0;

	while ((at = find_word(text, len, at, schema, strlen(schema))) < len)
	{
		size_t		next = skip_gap(text, len, at + strlen(schema));

		at += strlen(schema);
		if (next >= len || text[next] != '.')
			continue;
		next = skip_gap(text, len, next + 1);
		for (size_t i = 0; i < OUR_FUNCTIONS; i++)
			if (word_is_at(text, len, next, our_functions[i], strlen(our_functions[i])))
				return true;
	}
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
	at = skip_gap(text, len, scanner.at);
	return commas >= 2 && (at >= len || text[at] != '=');
}

static bool
calls(const char *text, size_t len, const char *function)
{
	size_t		at = 0;

	while ((at = find_word(text, len, at, function, strlen(function))) < len)
	{
		size_t		before = skip_gap_back(text, at);
		size_t		next = skip_gap(text, len, at + strlen(function));

		at += strlen(function);
		if ((before > 0 && text[before - 1] == '.') || next >= len || text[next] != '(')
			continue;
		if (function != our_functions[0] || has_arguments_of_set(text, len, next + 1))
			return true;
	}
	return false;
}

bool
kv_sql_calls_ours(const char *text, size_t len)
{
	for (size_t i = 0; i < OUR_FUNCTIONS; i++)
		if (calls(text, len, our_functions[i]))
			return true;
	return false;
}

/* Whether the word at an offset has no schema, or that one. */
static bool
has_schema(const char *text, size_t at, const KvSqlName *name)
{
	size_t		dot = skip_gap_back(text, at);
	size_t		end;

	if (dot == 0 || text[dot - 1] != '.')
		return true;
	end = skip_gap_back(text, dot - 1);
	return end >= name->schema_len &&
		is_same(text + end - name->schema_len, name->schema, name->schema_len) &&
		word_begins(text, end - name->schema_len);
}

bool
kv_sql_names_listed(const char *text, size_t len, const KvSqlName *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		const KvSqlName *name = &names[i];
		size_t		at = 0;

		while ((at = find_word(text, len, at, name->name, name->name_len)) < len)
		{
			if (name->schema_len == 0 || has_schema(text, at, name))
				return true;
			at += name->name_len;
		}
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
		word[i] = (char) lower(scanner->text[start + i]);
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
		if (separator != '.')
			continue;
		memcpy(name->schema, name->name, name->name_len);
		name->schema_len = name->name_len;
		if (!parse_word(&scanner, name->name, &name->name_len))
			return false;
		separator = next_separator(&scanner);
	} while (separator == ',');
	return separator == '\0';
}

bool
kv_sql_next_executed(const char *text, size_t len, size_t *at, char name[KV_SQL_NAME_MAX + 1])
{
	static const char execute[] = "execute";

	while ((*at = find_word(text, len, *at, execute, strlen(execute))) < len)
	{
		KvSqlScanner scanner = {.text = text, .len = len};
		KvSqlToken	token;
		size_t		start;
		size_t		end;

		*at += strlen(execute);
		scanner.at = *at;
		while (kv_sql_next(&scanner, &token) &&
			   (token.kind == KV_SQL_SPACE || token.kind == KV_SQL_COMMENT))
			;
		if (scanner.at == *at || (token.kind != KV_SQL_WORD && token.kind != KV_SQL_QUOTED))
			continue;
		start = token.start;
		end = token.end;
		if (token.kind == KV_SQL_QUOTED)
			kv_sql_content(text, &token, &start, &end);
		if (end - start > KV_SQL_NAME_MAX)
			end = start + KV_SQL_NAME_MAX;
		for (size_t i = 0; i < end - start; i++)
			name[i] = token.kind == KV_SQL_WORD ? (char) lower(text[start + i]) : text[start + i];
		name[end - start] = '\0';
		return true;
	}
	return false;
}

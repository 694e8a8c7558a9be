/*
 * dotenv_read.c
 *		What can be said of the text of a .env file, by what its two readers say.
 *
 * Which file that is, and what a variable means, is not known here.
 */
#include <stdlib.h>
#include <string.h>

#include "dotenv.h"
#include "dotenv_last.h"
#include "dotenv_spell.h"

bool
kv_dotenv_name_is_good(const char *name)
{
	if (*name == '\0' || (*name >= '0' && *name <= '9'))
		return false;
	for (; *name != '\0'; name++)
	{
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
			  (*name >= '0' && *name <= '9') || *name == '_'))
			return false;
	}
	return true;
}

KvStatus
kv_dotenv_check(const char *text, size_t len, size_t *line)
{
	const KvDotenvBytes bytes = {text, len};
	const char *nul;

	*line = 0;
	if (len > KV_DOTENV_MAX)
		return KV_TOO_LARGE;
	nul = len > 0 ? memchr(text, '\0', len) : NULL;
	if (nul == NULL)
		return KV_OK;
	*line = 1 + kv_scan_count_line_ends(&bytes, 0, (size_t) (nul - text));
	return KV_SYNTAX;
}

void
kv_dotenv_begin(KvDotenvReader *reader, const char *text, size_t len)
{
	reader->bytes.text = text;
	reader->bytes.len = len;
	reader->offset = 0;
	reader->line = 1;
	reader->counted = 0;
}

bool
kv_dotenv_has_name(const char *text, const KvDotenvEntry *entry, const char *name)
{
	return entry->name_len == strlen(name) &&
		memcmp(text + entry->name, name, entry->name_len) == 0;
}

KvDotenvLast
kv_dotenv_find_last(const char *text, size_t len, const char *name)
{
	KvDotenvLast last = {0};
	KvDotenvReader reader;
	KvDotenvEntry entry;
	KvDotenvFound found;

	kv_dotenv_begin(&reader, text, len);
	while ((found = kv_dotenv_python_next(&reader, &entry)) != KV_DOTENV_END)
	{
		if (found == KV_DOTENV_ENTRY && kv_dotenv_has_name(text, &entry, name))
		{
			last.python = entry;
			last.in_python = true;
		}
	}
	kv_dotenv_begin(&reader, text, len);
	while (kv_dotenv_npm_next(&reader, &entry))
	{
		if (kv_dotenv_has_name(text, &entry, name))
		{
			last.npm = entry;
			last.in_npm = true;
		}
	}
	return last;
}

bool
kv_dotenv_is_comment_alone(const char *text, const KvDotenvEntry *entry)
{
	return entry->has_value && entry->value_len > 0 && text[entry->value] == '#' &&
		entry->value > entry->equals + 1;
}

/* The value that both read, into out; KV_AMBIGUOUS when they do not read the same. */
static KvStatus
decode_both(const char *text, const KvDotenvLast *last, char *out, size_t *len)
{
	size_t		npm_size = last->npm.value_len;
	char	   *npm = malloc(npm_size > 0 ? npm_size : 1);
	size_t		npm_len;
	bool		is_same;

	if (npm == NULL)
		return KV_NO_MEMORY;
	npm_len = kv_dotenv_npm_decode(text, &last->npm, npm);
	*len = npm_len == 0 && kv_dotenv_is_comment_alone(text, &last->python) ? 0 :
		kv_dotenv_python_decode(text, &last->python, out);
	is_same = *len == npm_len && (npm_len == 0 || memcmp(out, npm, npm_len) == 0) &&
		!kv_dotenv_is_interpolated(out, *len);
	kv_dotenv_free(npm, npm_size);
	return is_same ? KV_OK : KV_AMBIGUOUS;
}

KvStatus
kv_dotenv_get(const char *text, size_t len, const char *name,
			  KvDotenvValue *value, size_t *line)
{
	KvDotenvLast last;
	KvStatus	status;
	bool		in_python;

	value->found = false;
	value->len = 0;
	value->python_line = 0;
	value->npm_line = 0;
	status = kv_dotenv_check(text, len, line);
	if (status != KV_OK)
		return status;

	/* A name alone is "no value" to python-dotenv, and nothing to npm's dotenv */
	last = kv_dotenv_find_last(text, len, name);
	in_python = last.in_python && last.python.has_value;
	value->python_line = in_python ? last.python.line : 0;
	value->npm_line = last.in_npm ? last.npm.line : 0;
	if (!in_python && !last.in_npm)
		return KV_OK;

	*line = value->python_line > value->npm_line ? value->python_line : value->npm_line;
	if (in_python != last.in_npm)
		return KV_AMBIGUOUS;
	/* Decoding never makes it longer, but it might make it fit */
	if (last.python.value_len > value->size)
		return KV_TOO_LARGE;
	status = decode_both(text, &last, value->data, &value->len);
	if (status != KV_OK)
		return status;
	value->found = true;
	*line = 0;
	return KV_OK;
}

/* What is noted of odd lines. */
typedef struct OddLines
{
	size_t	   *lines;
	size_t		max;
	size_t		count;
	size_t		newest;
} OddLines;

static void
note(OddLines *odd, size_t line)
{
	if (line == odd->newest)
		return;
	if (odd->count < odd->max)
		odd->lines[odd->count] = line;
	odd->count++;
	odd->newest = line;
}

/* Whether what python-dotenv found is no variable, and not odd for that. */
static bool
is_name_alone(const char *text, size_t len, KvDotenvFound found, const KvDotenvEntry *entry)
{
	const KvDotenvBytes bytes = {text, len};

	return found == KV_DOTENV_ENTRY && !entry->has_value &&
		kv_scan_word_len(&bytes, entry->name) == entry->name_len;
}

size_t
kv_dotenv_odd_lines(const char *text, size_t len, size_t *lines, size_t max)
{
	OddLines	odd = {.max = max};
	KvDotenvReader readers[2];
	KvDotenvEntry python;
	KvDotenvEntry npm;
	KvDotenvFound found;
	bool		in_npm;

	odd.lines = lines;
	kv_dotenv_begin(&readers[0], text, len);
	kv_dotenv_begin(&readers[1], text, len);
	found = kv_dotenv_python_next(&readers[0], &python);
	in_npm = kv_dotenv_npm_next(&readers[1], &npm);
	while (found != KV_DOTENV_END || in_npm)
	{
		/* Who is not there yet waits; both are, only when both see the same name */
		bool		with_python = found != KV_DOTENV_END && (!in_npm || python.name <= npm.name);
		bool		with_npm = in_npm && (found == KV_DOTENV_END || npm.name <= python.name);
		bool		agree = with_python && with_npm && found == KV_DOTENV_ENTRY && python.has_value;

		if (!agree && with_npm)
			note(&odd, npm.line);
		else if (!agree && !is_name_alone(text, len, found, &python))
			note(&odd, python.line);
		if (with_python)
			found = kv_dotenv_python_next(&readers[0], &python);
		if (with_npm)
			in_npm = kv_dotenv_npm_next(&readers[1], &npm);
	}
	return odd.count;
}

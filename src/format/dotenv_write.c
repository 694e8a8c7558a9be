/*
 * dotenv_write.c
 *		Changing one variable in the text of a .env file.
 *
 * A value is spelled only in ways that both readers read alike, whatever it holds: it
 * comes from a user, and must not become another variable.  What was made is read again,
 * by both, before it is handed out.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "dotenv.h"
#include "dotenv_last.h"
#include "dotenv_same.h"
#include "dotenv_spell.h"

/* A text that is being written; the caller owns bytes. */
typedef struct Output
{
	char	   *bytes;
	size_t		len;
} Output;

static void
put(Output *out, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
}

/* The file's kind of line end: that of its first line. */
static const char *
line_end_of(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '\n')
			return "\n";
		if (text[i] == '\r')
			return i + 1 < len && text[i + 1] == '\n' ? "\r\n" : "\r";
	}
	return "\n";
}

/* Where a value goes, and what else goes there. */
typedef struct Place
{
	size_t		start;			/* of what it takes the place of, */
	size_t		end;			/* which may be nothing */
	const char *before[4];		/* what is put in front of it, up to a NULL */
	const char *behind;
} Place;

/*
 * Where a variable is assigned last, or named: python-dotenv takes a name alone for an
 * assignment of nothing, so that is given a value, too.  False when there is no such
 * line, or npm's dotenv goes by a later one.
 */
static bool
find_place(const char *text, const KvDotenvLast *last, Place *place)
{
	const KvDotenvEntry *entry = &last->python;

	if (!last->in_python || (last->in_npm && last->npm.name > entry->name))
		return false;
	memset(place, 0, sizeof(*place));
	place->behind = "";
	if (!entry->has_value)
	{
		place->start = place->end = entry->name + entry->name_len;
		place->before[0] = "=";
	}
	else if (entry->value_len == 0 || kv_dotenv_is_comment_alone(text, entry))
		place->start = place->end = entry->equals + 1;	/* in front of the blanks */
	else
	{
		place->start = entry->value;
		place->end = entry->value + entry->value_len;
	}
	return true;
}

static bool
is_open(const char *text, size_t len)
{
	return len > 0 && text[len - 1] != '\n' && text[len - 1] != '\r';
}

/*
 * At the end, on a line of its own; blank is a line end or nothing.  Behind a blank line
 * also when the last one is "NAME:": npm's dotenv would take the next for its value.
 */
static Place
place_at_end(const char *text, size_t len, const char *name, const char *blank)
{
	const char *line_end = line_end_of(text, len);
	Place		place = {len, len, {is_open(text, len) ? line_end : "", blank, name, "="}, line_end};

	return place;
}

/* A change of one variable, while ways to make it are tried. */
typedef struct Attempt
{
	const char *text;
	size_t		len;
	const char *name;
	const char *value;
	size_t		value_len;
} Attempt;

/* Writes the old text with the value in its place. */
static void
put_text(Output *out, const Attempt *attempt, const Place *place, KvDotenvStyle style)
{
	put(out, attempt->text, place->start);
	for (int i = 0; i < 4 && place->before[i] != NULL; i++)
		put(out, place->before[i], strlen(place->before[i]));
	out->len += kv_dotenv_spell(style, attempt->value, attempt->value_len,
								out->bytes + out->len);
	put(out, place->behind, strlen(place->behind));
	put(out, attempt->text + place->end, attempt->len - place->end);
}

/* Tries one way to spell it; *out is handed out only if it is KV_OK. */
static KvStatus
try_style(const Attempt *attempt, const Place *place, KvDotenvStyle style,
		  char **out, size_t *out_len)
{
	/* The name, a =, the value with quotes and escapes, three line ends */
	const size_t size = attempt->len + strlen(attempt->name) + 1 +
		2 * attempt->value_len + 2 + 6;
	Output		output = {malloc(size), 0};
	KvStatus	status;

	if (output.bytes == NULL)
		return KV_NO_MEMORY;
	put_text(&output, attempt, place, style);

	status = output.len > KV_DOTENV_MAX ? KV_TOO_LARGE :
		kv_dotenv_reads_back(output.bytes, output.len, attempt->name,
							 attempt->value, attempt->value_len);
	if (status == KV_OK && !kv_dotenv_rest_is_same(attempt->text, attempt->len,
												   output.bytes, output.len, attempt->name))
		status = KV_UNREPRESENTABLE;

	if (status != KV_OK)
	{
		kv_dotenv_free(output.bytes, size);
		return status;
	}
	*out = output.bytes;
	*out_len = output.len;
	return KV_OK;
}

/* Tries all ways to spell it in one place, the wanted one first. */
static KvStatus
try_place(const Attempt *attempt, const Place *place, KvDotenvStyle wanted,
		  char **out, size_t *out_len)
{
	KvStatus	status = KV_UNREPRESENTABLE;

	for (int i = -1; i < KV_DOTENV_STYLES && status == KV_UNREPRESENTABLE; i++)
	{
		KvDotenvStyle style = i < 0 ? wanted : (KvDotenvStyle) i;

		if (kv_dotenv_can_spell(style, attempt->value, attempt->value_len))
			status = try_style(attempt, place, style, out, out_len);
	}
	return status;
}

/* The style to try first: the one in which the variable's value is spelled now. */
static KvDotenvStyle
style_of(const KvDotenvEntry *entry)
{
	return entry->quote == '\'' ? KV_DOTENV_SINGLE :
		entry->quote == '"' ? KV_DOTENV_DOUBLE : KV_DOTENV_BARE;
}

/* A text that holds the value already stays as it is. */
static KvStatus
copy_if_held(const Attempt *attempt, char **out, size_t *out_len)
{
	Output		output = {malloc(attempt->len > 0 ? attempt->len : 1), 0};
	KvStatus	status;

	if (output.bytes == NULL)
		return KV_NO_MEMORY;
	put(&output, attempt->text, attempt->len);
	status = kv_dotenv_reads_back(output.bytes, output.len, attempt->name,
								  attempt->value, attempt->value_len);
	if (status != KV_OK)
	{
		kv_dotenv_free(output.bytes, output.len);
		return status;
	}
	*out = output.bytes;
	*out_len = output.len;
	return KV_OK;
}

/*
 * Ends the last line first.  To npm's dotenv a line "A:" is a variable only when it is
 * ended, and nothing can be put below it while it is not.
 */
static KvStatus
set_below_open_line(const Attempt *attempt, char **out, size_t *out_len, size_t *line)
{
	const char *line_end = line_end_of(attempt->text, attempt->len);
	const size_t size = attempt->len + strlen(line_end);
	Output		ended = {malloc(size), 0};
	KvStatus	status;

	if (ended.bytes == NULL)
		return KV_NO_MEMORY;
	put(&ended, attempt->text, attempt->len);
	put(&ended, line_end, strlen(line_end));
	status = kv_dotenv_set(ended.bytes, ended.len, attempt->name,
						   attempt->value, attempt->value_len, out, out_len, line);
	kv_dotenv_free(ended.bytes, size);
	return status;
}

KvStatus
kv_dotenv_set(const char *text, size_t len, const char *name,
			  const char *value, size_t value_len,
			  char **out, size_t *out_len, size_t *line)
{
	const Attempt attempt = {len > 0 ? text : "", len, name, value, value_len};
	KvDotenvLast last;
	Place		place;
	KvStatus	status;

	*out = NULL;
	*out_len = 0;
	*line = 0;
	if (!kv_dotenv_name_is_good(name))
		return KV_SYNTAX;
	if (strlen(name) > KV_DOTENV_MAX || value_len > KV_DOTENV_MAX)
		return KV_TOO_LARGE;
	if (!kv_dotenv_can_hold(value, value_len))
		return KV_UNREPRESENTABLE;
	status = kv_dotenv_check(attempt.text, len, line);
	if (status != KV_OK)
		return status;

	last = kv_dotenv_find_last(attempt.text, len, name);
	status = KV_UNREPRESENTABLE;
	if (last.in_python && !kv_dotenv_is_comment_alone(attempt.text, &last.python))
		status = copy_if_held(&attempt, out, out_len);
	if (status == KV_UNREPRESENTABLE && find_place(attempt.text, &last, &place))
		status = try_place(&attempt, &place, style_of(&last.python), out, out_len);
	for (int i = 0; i < 2 && status == KV_UNREPRESENTABLE; i++)
	{
		place = place_at_end(attempt.text, len, name, i > 0 ? line_end_of(attempt.text, len) : "");
		status = try_place(&attempt, &place, KV_DOTENV_BARE, out, out_len);
	}
	if (status == KV_UNREPRESENTABLE && is_open(attempt.text, len))
		status = set_below_open_line(&attempt, out, out_len, line);
	return status;
}

/* Copies the text without the lines of a variable; the line of the last, or 0. */
static size_t
put_without(Output *out, const char *text, size_t len, const char *name)
{
	KvDotenvReader readers[2];
	KvDotenvEntry entries[2];
	bool		found[2];
	size_t		copied = 0;
	size_t		line = 0;

	for (int i = 0; i < 2; i++)
		kv_dotenv_begin(&readers[i], text, len);
	found[0] = kv_dotenv_python_next_entry(&readers[0], &entries[0]);
	found[1] = kv_dotenv_npm_next(&readers[1], &entries[1]);
	while (found[0] || found[1])
	{
		/* Whichever comes first; of what both find, the one takes the other along */
		int			i = found[1] && (!found[0] || entries[1].start < entries[0].start);
		const KvDotenvEntry *entry = &entries[i];

		if (kv_dotenv_has_name(text, entry, name))
		{
			if (entry->start > copied)
				put(out, text + copied, entry->start - copied);
			if (entry->end > copied)
				copied = entry->end;
			line = entry->line;
		}
		found[i] = i == 0 ? kv_dotenv_python_next_entry(&readers[0], &entries[0]) :
			kv_dotenv_npm_next(&readers[1], &entries[1]);
	}
	put(out, text + copied, len - copied);
	return line;
}

KvStatus
kv_dotenv_unset(const char *text, size_t len, const char *name,
				char **out, size_t *out_len, size_t *line)
{
	Output		output;
	size_t		last_line;
	KvDotenvLast left;
	KvStatus	status;

	*out = NULL;
	*out_len = 0;
	*line = 0;
	if (len == 0)
		text = "";				/* it may be NULL, on which nothing can be added */
	if (!kv_dotenv_name_is_good(name))
		return KV_SYNTAX;
	status = kv_dotenv_check(text, len, line);
	if (status != KV_OK)
		return status;

	output.len = 0;
	output.bytes = malloc(len > 0 ? len : 1);
	if (output.bytes == NULL)
		return KV_NO_MEMORY;
	last_line = put_without(&output, text, len, name);
	left = kv_dotenv_find_last(output.bytes, output.len, name);
	if (left.in_python || left.in_npm ||
		!kv_dotenv_rest_is_same(text, len, output.bytes, output.len, name))
	{
		*line = last_line;
		kv_dotenv_free(output.bytes, len);
		return KV_AMBIGUOUS;
	}
	*out = output.bytes;
	*out_len = output.len;
	return KV_OK;
}

void
kv_dotenv_free(char *text, size_t len)
{
	if (text == NULL)
		return;
	OPENSSL_cleanse(text, len);
	free(text);
}

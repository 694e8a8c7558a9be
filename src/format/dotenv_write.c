/*
 * dotenv_write.c
 *		Changing one variable in the text of a .env file.
 *
 * A value is spelled only in ways that our reader, python-dotenv and npm's dotenv
 * read alike, whatever it holds: it comes from a user, and must not become another
 * variable.  What was made is read again before it is handed out.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "dotenv.h"
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

static bool
has_name(const KvDotenvReader *reader, const KvDotenvEntry *entry, const char *name)
{
	return entry->name_len == strlen(name) &&
		memcmp(reader->text + entry->name, name, entry->name_len) == 0;
}

/*
 * Finds where a variable is assigned last, or named: python-dotenv takes a name
 * alone for an assignment of nothing, so that is given a value, too.
 */
static KvStatus
find_last(const char *text, size_t len, const char *name,
		  KvDotenvEntry *last, bool *exists, size_t *line)
{
	KvDotenvReader reader;
	KvDotenvEntry entry;
	bool		found = true;
	KvStatus	status;

	*exists = false;
	status = kv_dotenv_begin(&reader, text, len);
	while (status == KV_OK && found)
	{
		status = kv_dotenv_next(&reader, &entry, &found);
		if (status == KV_OK && found && has_name(&reader, &entry, name))
		{
			*last = entry;
			*exists = true;
		}
	}
	*line = status == KV_OK ? 0 : reader.line;
	return status;
}

/* What is compared before and after: an entry that is not of this variable. */
static KvStatus
next_other(KvDotenvReader *reader, KvDotenvEntry *entry, const char *name, bool *found)
{
	KvStatus	status;

	do
		status = kv_dotenv_next(reader, entry, found);
	while (status == KV_OK && *found && has_name(reader, entry, name));
	return status;
}

/* Whether all other variables are spelled in the new text as they were in the old. */
static bool
others_are_same(const char *old_text, size_t old_len, const Output *new_text,
				const char *name)
{
	KvDotenvReader old_reader;
	KvDotenvReader new_reader;
	KvDotenvEntry old_entry;
	KvDotenvEntry new_entry;
	bool		old_found;
	bool		new_found;

	if (kv_dotenv_begin(&old_reader, old_text, old_len) != KV_OK ||
		kv_dotenv_begin(&new_reader, new_text->bytes, new_text->len) != KV_OK)
		return false;
	for (;;)
	{
		if (next_other(&old_reader, &old_entry, name, &old_found) != KV_OK ||
			next_other(&new_reader, &new_entry, name, &new_found) != KV_OK ||
			old_found != new_found)
			return false;
		if (!old_found)
			return true;
		if (old_entry.has_value != new_entry.has_value ||
			old_entry.name_len != new_entry.name_len ||
			old_entry.value_len != new_entry.value_len ||
			memcmp(old_text + old_entry.name, new_text->bytes + new_entry.name,
				   old_entry.name_len) != 0 ||
			memcmp(old_text + old_entry.value, new_text->bytes + new_entry.value,
				   old_entry.value_len) != 0)
			return false;
	}
}

/* KV_OK when the new text gives the variable this value. */
static KvStatus
reads_back(const Output *new_text, const char *name,
		   const char *value, size_t value_len)
{
	KvDotenvValue got = {.size = new_text->len};
	KvStatus	status;
	size_t		line;

	got.data = malloc(got.size);
	if (got.data == NULL)
		return KV_NO_MEMORY;
	status = kv_dotenv_get(new_text->bytes, new_text->len, name, &got, &line);
	if (status != KV_OK || !got.found || got.len != value_len ||
		(value_len > 0 && memcmp(got.data, value, value_len) != 0))
		status = KV_UNREPRESENTABLE;
	kv_dotenv_free(got.data, got.size);
	return status;
}

/* Writes the old text with the value in its place, or with a line added. */
static void
put_text(Output *out, const char *text, size_t len, const char *name,
		 const KvDotenvEntry *place, KvDotenvStyle style, const char *value, size_t value_len)
{
	const char *line_end = line_end_of(text, len);

	if (place != NULL)
	{
		size_t		start = place->has_value ? place->value : place->name + place->name_len;
		size_t		end = place->has_value ? start + place->value_len : start;

		put(out, text, start);
		if (!place->has_value)
			put(out, "=", 1);
		out->len += kv_dotenv_spell(style, value, value_len, out->bytes + out->len);
		put(out, text + end, len - end);
		return;
	}

	put(out, text, len);
	if (len > 0 && text[len - 1] != '\n' && text[len - 1] != '\r')
		put(out, line_end, strlen(line_end));
	put(out, name, strlen(name));
	put(out, "=", 1);
	out->len += kv_dotenv_spell(style, value, value_len, out->bytes + out->len);
	put(out, line_end, strlen(line_end));
}

/* Tries one way to spell it; *out is handed out only if it is KV_OK. */
static KvStatus
try_style(const char *text, size_t len, const char *name, const KvDotenvEntry *place,
		  KvDotenvStyle style, const char *value, size_t value_len,
		  char **out, size_t *out_len)
{
	/* The name, a =, the value with quotes and escapes, two line ends */
	const size_t size = len + strlen(name) + 1 + 2 * value_len + 2 + 4;
	Output		output = {malloc(size), 0};
	KvStatus	status;

	if (output.bytes == NULL)
		return KV_NO_MEMORY;
	put_text(&output, text, len, name, place, style, value, value_len);

	status = output.len > KV_DOTENV_MAX ? KV_TOO_LARGE :
		reads_back(&output, name, value, value_len);
	if (status == KV_OK && !others_are_same(text, len, &output, name))
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

/* The style to try first: the one in which the variable's value is spelled now. */
static KvDotenvStyle
style_of(const KvDotenvEntry *entry)
{
	return entry->quote == '\'' ? KV_DOTENV_SINGLE :
		entry->quote == '"' ? KV_DOTENV_DOUBLE : KV_DOTENV_BARE;
}

KvStatus
kv_dotenv_set(const char *text, size_t len, const char *name,
			  const char *value, size_t value_len,
			  char **out, size_t *out_len, size_t *line)
{
	KvDotenvEntry last;
	bool		exists;
	KvDotenvStyle		first;
	KvStatus	status;

	*out = NULL;
	*out_len = 0;
	*line = 0;
	if (len == 0)
		text = "";				/* it may be NULL, on which nothing can be added */
	if (!kv_dotenv_name_is_good(name))
		return KV_SYNTAX;
	if (strlen(name) > KV_DOTENV_MAX || value_len > KV_DOTENV_MAX)
		return KV_TOO_LARGE;
	if (!kv_dotenv_can_hold(value, value_len))
		return KV_UNREPRESENTABLE;

	status = find_last(text, len, name, &last, &exists, line);
	if (status != KV_OK)
		return status;
	first = exists ? style_of(&last) : KV_DOTENV_BARE;

	status = KV_UNREPRESENTABLE;
	for (int i = -1; i < KV_DOTENV_STYLES && status == KV_UNREPRESENTABLE; i++)
	{
		KvDotenvStyle		style = i < 0 ? first : (KvDotenvStyle) i;

		if (kv_dotenv_can_spell(style, value, value_len))
			status = try_style(text, len, name, exists ? &last : NULL, style,
							   value, value_len, out, out_len);
	}
	return status;
}

KvStatus
kv_dotenv_unset(const char *text, size_t len, const char *name,
				char **out, size_t *out_len, size_t *line)
{
	Output		output = {NULL, 0};
	KvDotenvReader reader;
	KvDotenvEntry entry;
	size_t		copied = 0;
	bool		found = true;
	KvStatus	status;

	*out = NULL;
	*out_len = 0;
	*line = 0;
	if (len == 0)
		text = "";				/* it may be NULL, on which nothing can be added */
	if (!kv_dotenv_name_is_good(name))
		return KV_SYNTAX;

	status = kv_dotenv_begin(&reader, text, len);
	if (status == KV_OK)
	{
		output.bytes = malloc(len > 0 ? len : 1);
		if (output.bytes == NULL)
			return KV_NO_MEMORY;
	}
	while (status == KV_OK && found)
	{
		status = kv_dotenv_next(&reader, &entry, &found);
		if (status == KV_OK && found && has_name(&reader, &entry, name))
		{
			put(&output, text + copied, entry.start - copied);
			copied = entry.end;
		}
	}
	if (status != KV_OK)
	{
		*line = reader.line;
		kv_dotenv_free(output.bytes, len);
		return status;
	}
	put(&output, text + copied, len - copied);
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

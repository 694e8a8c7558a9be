/*
 * dotenv_tool.c
 *		What dotenv_differential.py asks our reader and writer, one request a line.
 *
 *		python TEXT				ok NAME VALUE NAME VALUE ..., as python-dotenv would
 *		npm TEXT				ok NAME VALUE NAME VALUE ..., as npm's dotenv would
 *		get TEXT NAME			ok VALUE, or ok when there is none
 *		odd TEXT				ok LINE LINE ...
 *		set TEXT NAME VALUE		ok TEXT
 *		unset TEXT NAME			ok TEXT
 *
 * or "error CODE LINE".  All but the first words and lines are hexadecimal, "-" when
 * empty.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/dotenv.h"
#include "format/dotenv_readers.h"

typedef struct Bytes
{
	char	   *data;
	size_t		len;
} Bytes;

static int
hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The next word of the request, decoded, with a NUL behind it. */
static Bytes
take_bytes(void)
{
	const char *hex = strtok(NULL, " \n");
	Bytes		bytes;

	if (hex == NULL || strcmp(hex, "-") == 0)
		hex = "";
	bytes.len = strlen(hex) / 2;
	bytes.data = malloc(bytes.len + 1);
	for (size_t i = 0; i < bytes.len; i++)
		bytes.data[i] = (char) (hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	bytes.data[bytes.len] = '\0';
	return bytes;
}

static void
put_bytes(const char *data, size_t len)
{
	putchar(' ');
	if (len == 0)
		putchar('-');
	for (size_t i = 0; i < len; i++)
		printf("%02x", (unsigned char) data[i]);
}

static const char *
name_of(KvStatus status)
{
	switch (status)
	{
		case KV_SYNTAX:
			return "KV_SYNTAX";
		case KV_TOO_LARGE:
			return "KV_TOO_LARGE";
		case KV_UNREPRESENTABLE:
			return "KV_UNREPRESENTABLE";
		case KV_AMBIGUOUS:
			return "KV_AMBIGUOUS";
		default:
			return "unexpected";
	}
}

static void
put_entry(const char *text, const KvDotenvEntry *entry,
		  size_t (*decode) (const char *text, const KvDotenvEntry *entry, char *out))
{
	char	   *value = malloc(entry->value_len + 1);

	put_bytes(text + entry->name, entry->name_len);
	put_bytes(value, decode(text, entry, value));
	free(value);
}

/* As python-dotenv's values do: a name alone takes away what was there. */
static void
read_as_python(void)
{
	Bytes		text = take_bytes();
	KvDotenvReader reader;
	KvDotenvEntry entry;
	KvDotenvFound found;

	printf("ok");
	kv_dotenv_begin(&reader, text.data, text.len);
	while ((found = kv_dotenv_python_next(&reader, &entry)) != KV_DOTENV_END)
	{
		if (found == KV_DOTENV_ENTRY && entry.has_value)
			put_entry(text.data, &entry, kv_dotenv_python_decode);
		else if (found == KV_DOTENV_ENTRY)
		{
			put_bytes(text.data + entry.name, entry.name_len);
			printf(" none");
		}
	}
	free(text.data);
}

static void
read_as_npm(void)
{
	Bytes		text = take_bytes();
	KvDotenvReader reader;
	KvDotenvEntry entry;

	printf("ok");
	kv_dotenv_begin(&reader, text.data, text.len);
	while (kv_dotenv_npm_next(&reader, &entry))
		put_entry(text.data, &entry, kv_dotenv_npm_decode);
	free(text.data);
}

static void
get(void)
{
	Bytes		text = take_bytes();
	Bytes		name = take_bytes();
	KvDotenvValue value = {.data = malloc(text.len + 1), .size = text.len};
	size_t		line;
	KvStatus	status = kv_dotenv_get(text.data, text.len, name.data, &value, &line);

	if (status != KV_OK)
		printf("error %s %zu", name_of(status), line);
	else
	{
		printf("ok");
		if (value.found)
			put_bytes(value.data, value.len);
	}
	free(value.data);
	free(name.data);
	free(text.data);
}

static void
odd(void)
{
	Bytes		text = take_bytes();
	size_t		lines[100];
	size_t		count = kv_dotenv_odd_lines(text.data, text.len, lines, 100);

	printf("ok");
	for (size_t i = 0; i < count && i < 100; i++)
		printf(" %zu", lines[i]);
	free(text.data);
}

static void
change(bool set)
{
	Bytes		text = take_bytes();
	Bytes		name = take_bytes();
	Bytes		value = {NULL, 0};
	char	   *out;
	size_t		out_len;
	size_t		line;
	KvStatus	status;

	if (set)
	{
		value = take_bytes();
		status = kv_dotenv_set(text.data, text.len, name.data, value.data, value.len,
							   &out, &out_len, &line);
	}
	else
		status = kv_dotenv_unset(text.data, text.len, name.data, &out, &out_len, &line);

	if (status == KV_OK)
	{
		printf("ok");
		put_bytes(out, out_len);
	}
	else
		printf("error %s %zu", name_of(status), line);
	kv_dotenv_free(out, out_len);
	free(value.data);
	free(name.data);
	free(text.data);
}

int
main(void)
{
	char	   *line = NULL;
	size_t		size = 0;

	while (getline(&line, &size, stdin) > 0)
	{
		const char *request = strtok(line, " \n");

		if (request == NULL)
			continue;
		if (strcmp(request, "python") == 0)
			read_as_python();
		else if (strcmp(request, "npm") == 0)
			read_as_npm();
		else if (strcmp(request, "get") == 0)
			get();
		else if (strcmp(request, "odd") == 0)
			odd();
		else if (strcmp(request, "set") == 0)
			change(true);
		else if (strcmp(request, "unset") == 0)
			change(false);
		putchar('\n');
	}
	free(line);
	return 0;
}
